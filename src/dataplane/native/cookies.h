// What a client has to send back before anything is stored for it (RFC 6347 section 4.2.1): a MAC over where it says it is.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <memory>

#include "wire.h"

namespace sluice {

class Cookies {
 public:
  /** Short enough for the reply to be no longer than the shortest ClientHello. */
  static constexpr unsigned bytes = 16;

  Cookies();

  /** For a client of this listener, at a time in seconds. False if OpenSSL has no HMAC. */
  bool write(uint8_t* cookie, uint32_t listener, const Endpoint& client, int64_t seconds) const;
  /** Whether it was written here lately: in this half minute or in the one before. */
  bool isGood(const uint8_t* cookie, size_t length, uint32_t listener, const Endpoint& client, int64_t seconds) const;

 private:
  static constexpr int64_t slotSeconds = 30;

  struct Deleter {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };

  bool writeOfSlot(uint8_t* cookie, uint32_t listener, const Endpoint& client, int64_t slot) const;

  std::unique_ptr<EVP_MAC_CTX, Deleter> mac_;
};

/** Where a client is, as OpenSSL meets it: what its transport and its cookies are about. */
class DtlsSessions;
struct DtlsPath {
  DtlsSessions* sessions;
  uint32_t listener;
  Endpoint client;

  static DtlsPath& of(const SSL* ssl) { return *static_cast<DtlsPath*>(SSL_get_app_data(ssl)); }
};

/** As OpenSSL calls them. */
int generateCookie(SSL* ssl, unsigned char* cookie, unsigned* length);
int verifyCookie(SSL* ssl, const unsigned char* cookie, unsigned length);

}  // namespace sluice
