#include "cookies.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace sluice {

Cookies::Cookies() {
  uint8_t key[32];
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  mac_.reset(EVP_MAC_CTX_new(hmac));
  EVP_MAC_free(hmac);
  if (!mac_ || RAND_bytes(key, sizeof key) != 1 || EVP_MAC_init(mac_.get(), key, sizeof key, parameters) != 1) mac_.reset();
  OPENSSL_cleanse(key, sizeof key);
}

bool Cookies::write(uint8_t* cookie, uint32_t listener, const Endpoint& client, int64_t seconds) const {
  return writeOfSlot(cookie, listener, client, seconds / slotSeconds);
}

bool Cookies::isGood(const uint8_t* cookie, size_t length, uint32_t listener, const Endpoint& client,
                     int64_t seconds) const {
  if (length != bytes) return false;
  for (const int64_t slot : {seconds / slotSeconds, seconds / slotSeconds - 1}) {
    uint8_t expected[bytes];
    if (writeOfSlot(expected, listener, client, slot) && CRYPTO_memcmp(cookie, expected, bytes) == 0) return true;
  }
  return false;
}

bool Cookies::writeOfSlot(uint8_t* cookie, uint32_t listener, const Endpoint& client, int64_t slot) const {
  uint8_t text[sizeof slot + sizeof listener + 2 + 16];
  std::memcpy(text, &slot, sizeof slot);
  std::memcpy(text + 8, &listener, sizeof listener);
  write16(text + 12, client.port);
  std::memcpy(text + 14, client.address.bytes(), 16);
  uint8_t whole[32];
  size_t length = 0;
  // With no key it begins anew with the one that it has.
  if (!mac_ || EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) != 1 || EVP_MAC_update(mac_.get(), text, sizeof text) != 1 ||
      EVP_MAC_final(mac_.get(), whole, &length, sizeof whole) != 1)
    return false;
  std::memcpy(cookie, whole, bytes);
  return true;
}

}  // namespace sluice
