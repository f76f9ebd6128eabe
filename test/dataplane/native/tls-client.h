// A TLS client for the programs of this folder: over a descriptor that does not wait, with nobody's certificate believed.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "credentials.h"

namespace sluice {

inline std::string textOf(const char* path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

inline std::shared_ptr<const Credentials> credentialsOf(const char* certificate, const char* key) {
  std::string why;
  auto credentials = Credentials::make({{{}, textOf(certificate), textOf(key)}}, "DEFAULT", why);
  if (!credentials) std::fprintf(stderr, "%s\n", why.c_str());
  return credentials;
}

class TlsClient {
 public:
  explicit TlsClient(int fd) : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
    SSL_set_fd(ssl_.get(), fd);
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_connect_state(ssl_.get());
  }

  bool isShaken() const { return SSL_is_init_finished(ssl_.get()); }
  bool shakeHands() { return settle(SSL_do_handshake(ssl_.get())) == 1; }
  /** As send and recv have it. Who tries again has to begin with the same bytes. */
  ssize_t send(const void* bytes, size_t length) { return settle(SSL_write(ssl_.get(), bytes, static_cast<int>(length))); }
  ssize_t receive(void* bytes, size_t room) { return settle(SSL_read(ssl_.get(), bytes, static_cast<int>(room))); }
  /** New keys, and that the other end is to take new ones, too. */
  void changeKeys() { SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED); }
  /** Nothing more is sent. */
  void end() { SSL_shutdown(ssl_.get()); }

 private:
  ssize_t settle(int result) {
    const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    if (error == SSL_ERROR_NONE) return result;
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
  }

  std::unique_ptr<SSL_CTX, SslDeleter> context_;
  SslPointer ssl_;
};

}  // namespace sluice
