// HMAC (RFC 2104) by the plain functions of OpenSSL: what it does to find and set up an EVP one costs several times the
// hashing of texts as short as ours. No syscall and no allocation.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

namespace sluice {

using Bytes = std::span<const uint8_t>;

inline constexpr uint32_t sha1Bytes = 20;
inline constexpr uint32_t sha256Bytes = 32;

/** Writes the MAC over these parts as one text. */
void hmacSha1(uint8_t* to, Bytes key, std::initializer_list<Bytes> text);
void hmacSha256(uint8_t* to, Bytes key, std::initializer_list<Bytes> text);

}  // namespace sluice
