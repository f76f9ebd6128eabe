// SHA-1 and HMAC-SHA1 (RFC 3174, RFC 2104), for MESSAGE-INTEGRITY. Here so that the load generator needs no library.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace load {

using Bytes = std::span<const uint8_t>;
using Digest = std::array<uint8_t, 20>;

class Sha1 {
 public:
  void update(Bytes bytes) {
    total_ += bytes.size();
    for (const uint8_t byte : bytes) {
      block_[filled_++] = byte;
      if (filled_ == block_.size()) compress();
    }
  }

  Digest finish() {
    const uint64_t bits = total_ * 8;
    const uint8_t end = 0x80, zero = 0;
    update({&end, 1});
    while (filled_ != 56) update({&zero, 1});
    for (int i = 0; i < 8; i++) block_[56 + i] = uint8_t(bits >> (56 - 8 * i));
    compress();
    Digest digest;
    for (size_t i = 0; i < digest.size(); i++) digest[i] = uint8_t(state_[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
  }

 private:
  void compress() {
    uint32_t w[80];
    for (int i = 0; i < 16; i++) {
      uint32_t word;
      std::memcpy(&word, &block_[4 * i], 4);
      w[i] = __builtin_bswap32(word);
    }
    for (int i = 16; i < 80; i++) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e] = state_;
    for (int i = 0; i < 80; i++) {
      const uint32_t f = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      static constexpr uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
      const uint32_t next = std::rotl(a, 5) + f + e + constants[i / 20] + w[i];
      e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    state_[0] += a, state_[1] += b, state_[2] += c, state_[3] += d, state_[4] += e;
    filled_ = 0;
  }

  std::array<uint32_t, 5> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::array<uint8_t, 64> block_{};
  size_t filled_ = 0;
  uint64_t total_ = 0;
};

/** Keyed once: the two padded key blocks are hashed here and not again for each message. */
class HmacSha1 {
 public:
  /** The key is at most 64 bytes. */
  explicit HmacSha1(Bytes key) {
    std::array<uint8_t, 64> inner, outer;
    for (size_t i = 0; i < 64; i++) {
      const uint8_t byte = i < key.size() ? key[i] : 0;
      inner[i] = byte ^ 0x36, outer[i] = byte ^ 0x5c;
    }
    inner_.update(inner);
    outer_.update(outer);
  }

  Digest operator()(Bytes message) const {
    Sha1 inner = inner_, outer = outer_;
    inner.update(message);
    outer.update(inner.finish());
    return outer.finish();
  }

 private:
  Sha1 inner_, outer_;
};

}  // namespace load
