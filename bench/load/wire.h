// What the generator sends and receives through.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

namespace load {

/** In host byte order. */
struct Address {
  uint32_t ip = 0;
  uint16_t port = 0;
  bool operator==(const Address&) const = default;
};

inline uint32_t parseIp(const std::string& text) {
  in_addr address;
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) throw std::runtime_error("not an IPv4 address: " + text);
  return ntohl(address.s_addr);
}

/** `local` is the address of the host that it came to; `bytes` live until the next `receive`. */
struct Packet {
  uint32_t local;
  Address from;
  std::span<const uint8_t> bytes;
};

[[noreturn]] inline void failed(const char* what) { throw std::runtime_error(std::string(what) + ": " + strerror(errno)); }

/** The generator's end of the network: many hosts behind one object. */
class Wire {
 public:
  static constexpr size_t batch = 64;
  static constexpr size_t largest = 2048;

  virtual ~Wire() = default;

  /** Room for a packet of up to `largest` bytes from `local` to `to`. `put` says how long it became. */
  virtual uint8_t* room(uint32_t local, Address to) = 0;
  virtual void put(size_t length) = 0;
  virtual void flush() = 0;

  /** What has arrived, about one batch. Never waits. */
  virtual std::span<const Packet> receive() = 0;
};

}  // namespace load
