// Addresses, endpoints and numbers as they stand in packets. No syscall.
#pragma once

#include <netinet/in.h>

#include <bit>
#include <cstdint>
#include <cstring>

namespace sluice {

inline uint16_t read16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

inline uint32_t read32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 | static_cast<uint32_t>(at[2]) << 8 |
         at[3];
}

inline void write16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline void write32(uint8_t* at, uint32_t value) {
  write16(at, value >> 16);
  write16(at + 2, value);
}

inline uint32_t padded(uint32_t length) { return (length + 3) & ~3u; }

/** The bytes of an IP address in network order; of IPv4 the first four, the rest zero. */
struct Address {
  uint64_t first = 0;
  uint64_t second = 0;

  bool operator==(const Address&) const = default;

  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(this); }

  static Address of(const void* bytes, uint8_t family) {
    Address address;
    std::memcpy(static_cast<void*>(&address), bytes, family == 4 ? 4 : 16);
    return address;
  }
};
static_assert(sizeof(Address) == 16);

struct Endpoint {
  Address address;
  uint16_t port = 0;
  /** 4 or 6. */
  uint8_t family = 4;

  bool operator==(const Endpoint&) const = default;
};

/** What the kernel fills in and takes: an IPv4 address lies at the front of it. */
union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

inline socklen_t lengthOf(const Endpoint& endpoint) {
  return endpoint.family == 4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

inline Endpoint endpointOf(const SocketAddress& from) {
  if (from.any.sa_family == AF_INET) return {Address::of(&from.v4.sin_addr, 4), ntohs(from.v4.sin_port), 4};
  return {Address::of(&from.v6.sin6_addr, 6), ntohs(from.v6.sin6_port), 6};
}

inline void writeSocketAddress(SocketAddress& to, const Endpoint& endpoint, uint16_t port) {
  if (endpoint.family == 4) {
    to.v4 = {};
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(port);
    std::memcpy(&to.v4.sin_addr, endpoint.address.bytes(), 4);
  } else {
    to.v6 = {};
    to.v6.sin6_family = AF_INET6;
    to.v6.sin6_port = htons(port);
    std::memcpy(&to.v6.sin6_addr, endpoint.address.bytes(), 16);
  }
}

}  // namespace sluice
