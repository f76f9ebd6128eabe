// As much of STUN and TURN as a client needs that trusts its server (RFC 8489, RFC 8656).
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "sha1.h"
#include "wire.h"

namespace load {

constexpr uint32_t magicCookie = 0x2112a442;
constexpr size_t headerLength = 20;

enum class Method : uint16_t {
  binding = 1, allocate = 3, refresh = 4, send = 6, data = 7, createPermission = 8, channelBind = 9
};
enum class Class : uint16_t { request = 0x000, indication = 0x010, success = 0x100, error = 0x110 };
enum class Attribute : uint16_t {
  username = 0x0006, messageIntegrity = 0x0008, errorCode = 0x0009, channelNumber = 0x000c, lifetime = 0x000d,
  xorPeerAddress = 0x0012, data = 0x0013, realm = 0x0014, nonce = 0x0015, xorRelayedAddress = 0x0016,
  requestedTransport = 0x0019, xorMappedAddress = 0x0020
};

using TransactionId = std::array<uint8_t, 12>;

inline uint16_t read16(const uint8_t* at) { return uint16_t(at[0] << 8 | at[1]); }
inline uint32_t read32(const uint8_t* at) { return uint32_t(read16(at)) << 16 | read16(at + 2); }
inline void write16(uint8_t* at, uint16_t value) { at[0] = uint8_t(value >> 8), at[1] = uint8_t(value); }
inline void write32(uint8_t* at, uint32_t value) { write16(at, uint16_t(value >> 16)), write16(at + 2, uint16_t(value)); }
inline uint16_t typeOf(Method method, Class kind) { return uint16_t(method) | uint16_t(kind); }

/** Writes one message into a packet, attribute by attribute. */
class Writer {
 public:
  Writer(uint8_t* at, Method method, Class kind, const TransactionId& id) : start_(at), end_(at + headerLength) {
    write16(at, typeOf(method, kind));
    write16(at + 2, 0);
    write32(at + 4, magicCookie);
    std::memcpy(at + 8, id.data(), id.size());
  }

  /** The value's place, already padded with zeroes. */
  uint8_t* attribute(Attribute type, size_t length) {
    uint8_t* value = end_ + 4;
    write16(end_, uint16_t(type));
    write16(end_ + 2, uint16_t(length));
    end_ = value + length;
    while ((end_ - start_) % 4 != 0) *end_++ = 0;
    write16(start_ + 2, uint16_t(this->length() - headerLength));
    return value;
  }

  void text(Attribute type, const std::string& value) { std::memcpy(attribute(type, value.size()), value.data(), value.size()); }
  void number(Attribute type, uint32_t value) { write32(attribute(type, 4), value); }

  void xorAddress(Attribute type, Address address) {
    uint8_t* value = attribute(type, 8);
    write16(value, 1);
    write16(value + 2, address.port ^ uint16_t(magicCookie >> 16));
    write32(value + 4, address.ip ^ magicCookie);
  }

  void integrity(const HmacSha1& hmac) {
    const size_t covered = length();
    uint8_t* value = attribute(Attribute::messageIntegrity, sizeof(Digest));
    const Digest digest = hmac({start_, covered});
    std::memcpy(value, digest.data(), digest.size());
  }

  size_t length() const { return size_t(end_ - start_); }

 private:
  uint8_t* start_;
  uint8_t* end_;
};

/** A look into a message that arrived. `isStun` first; the rest is only asked of what is. */
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  bool isStun() const {
    return bytes_.size() >= headerLength && read32(&bytes_[4]) == magicCookie &&
           size_t(read16(&bytes_[2])) + headerLength == bytes_.size();
  }
  uint16_t type() const { return read16(&bytes_[0]); }
  bool isAnswerTo(const TransactionId& id) const { return std::memcmp(&bytes_[8], id.data(), id.size()) == 0; }

  /** Empty if the attribute is missing. */
  Bytes attribute(Attribute type) const {
    for (size_t at = headerLength; at + 4 <= bytes_.size();) {
      const size_t length = read16(&bytes_[at + 2]);
      if (at + 4 + length > bytes_.size()) break;
      if (read16(&bytes_[at]) == uint16_t(type)) return bytes_.subspan(at + 4, length);
      at += 4 + ((length + 3) & ~size_t(3));
    }
    return {};
  }

  Address xorAddress(Attribute type) const {
    const Bytes value = attribute(type);
    if (value.size() != 8) return {};
    return {read32(&value[4]) ^ magicCookie, uint16_t(read16(&value[2]) ^ (magicCookie >> 16))};
  }

  /** 0 if it is no error. */
  int errorCode() const {
    const Bytes value = attribute(Attribute::errorCode);
    return value.size() < 4 ? 0 : (value[2] & 7) * 100 + value[3];
  }

 private:
  Bytes bytes_;
};

}  // namespace load
