// OpenSSL would have these functions left for those of EVP, and keeps them.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "hmac.h"

#include <openssl/sha.h>

#include <algorithm>

namespace sluice {

namespace {

struct Sha1 {
  using Context = SHA_CTX;
  static constexpr uint32_t digestBytes = sha1Bytes;
  static void begin(Context& context) { SHA1_Init(&context); }
  static void add(Context& context, Bytes bytes) { SHA1_Update(&context, bytes.data(), bytes.size()); }
  static void end(uint8_t* to, Context& context) { SHA1_Final(to, &context); }
};

struct Sha256 {
  using Context = SHA256_CTX;
  static constexpr uint32_t digestBytes = sha256Bytes;
  static void begin(Context& context) { SHA256_Init(&context); }
  static void add(Context& context, Bytes bytes) { SHA256_Update(&context, bytes.data(), bytes.size()); }
  static void end(uint8_t* to, Context& context) { SHA256_Final(to, &context); }
};

/** What both hash functions take in at a time. */
constexpr uint32_t blockBytes = 64;

template <typename Hash>
void hmac(uint8_t* to, Bytes key, std::initializer_list<Bytes> text) {
  typename Hash::Context context;
  uint8_t block[blockBytes] = {};
  if (key.size() > blockBytes) {
    Hash::begin(context);
    Hash::add(context, key);
    Hash::end(block, context);
  } else {
    std::copy(key.begin(), key.end(), block);
  }
  for (uint8_t& byte : block) byte ^= 0x36;
  Hash::begin(context);
  Hash::add(context, block);
  for (const Bytes part : text) Hash::add(context, part);
  uint8_t inner[Hash::digestBytes];
  Hash::end(inner, context);
  for (uint8_t& byte : block) byte ^= 0x36 ^ 0x5c;
  Hash::begin(context);
  Hash::add(context, block);
  Hash::add(context, inner);
  Hash::end(to, context);
}

}  // namespace

void hmacSha1(uint8_t* to, Bytes key, std::initializer_list<Bytes> text) { hmac<Sha1>(to, key, text); }
void hmacSha256(uint8_t* to, Bytes key, std::initializer_list<Bytes> text) { hmac<Sha256>(to, key, text); }

}  // namespace sluice
