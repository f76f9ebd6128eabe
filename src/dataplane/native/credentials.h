// What clients over TLS and DTLS are shown and spoken to with: certificates by name (SNI, RFC 6066 section 3), applications
// (ALPN, RFC 7443), versions and ciphers. OpenSSL is the one that Node itself exports.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPointer = std::unique_ptr<SSL, SslDeleter>;

/** PEM texts, and lower-case names of which one may begin with `*.`. */
struct Certificate {
  std::vector<std::string> names;
  std::string chain;
  std::string key;
};

/** Shared by all threads, and never changed: new certificates are new credentials. */
class Credentials {
 public:
  enum class Transport : uint8_t { datagrams, stream };

  /** The first certificate is for who asks for no name that we know. nullptr, and `why`, if one is of no use. */
  static std::shared_ptr<const Credentials> make(const std::vector<Certificate>& certificates, const std::string& ciphers,
                                                 std::string& why);

  /** A server's side without transport; the credentials have to outlive its handshake. nullptr for want of memory. */
  SslPointer newServer(Transport transport) const { return SslPointer(SSL_new(shown_.front().contextOf(transport))); }

 private:
  using Context = std::unique_ptr<SSL_CTX, SslDeleter>;
  struct Shown {
    std::vector<std::string> names;
    Context datagrams;
    Context stream;

    SSL_CTX* contextOf(Transport transport) const { return (transport == Transport::stream ? stream : datagrams).get(); }
  };

  bool add(const Certificate& certificate, const std::string& ciphers);
  bool prepare(SSL_CTX* context, const Certificate& certificate);
  const Shown* find(const std::string& name) const;
  static int choose(SSL* ssl, int* alert, void* credentials);

  std::vector<Shown> shown_;
};

}  // namespace sluice
