// TLS 1.2 (Debian's coturn offers no later one) from a client to the server: a record for each packet, as clients of WebRTC
// send them, and several records to a call, so that the generator is not what limits.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <vector>

#include "wire.h"

namespace load {

/** What all sessions of a generator have in common. */
class TlsContext {
 public:
  TlsContext() : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free) {
    // Every server is to encrypt alike. Who it is does not matter here: its certificate was made for this run.
    const bool isSet = context_ && SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION) == 1 &&
                       SSL_CTX_set_max_proto_version(context_.get(), TLS1_2_VERSION) == 1 &&
                       SSL_CTX_set_cipher_list(context_.get(), "ECDHE-ECDSA-AES128-GCM-SHA256") == 1;
    if (!isSet) throw std::runtime_error("OpenSSL: no TLS 1.2");
    SSL_CTX_set_read_ahead(context_.get(), 1);
  }

  SSL_CTX* get() const { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
};

class TlsSession {
 public:
  /** Waits for the handshake. The socket stays the caller's. */
  TlsSession(const TlsContext& context, int fd) : ssl_(SSL_new(context.get()), &SSL_free) {
    ERR_clear_error();
    if (!ssl_ || SSL_set_fd(ssl_.get(), fd) != 1 || SSL_connect(ssl_.get()) != 1) failedTls("handshake");
    records_ = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl_.get(), records_);
  }

  /** Replaces what stands in `bytes` from `start` on by its record. */
  void seal(std::vector<uint8_t>& bytes, size_t start) {
    ERR_clear_error();
    if (SSL_write(ssl_.get(), &bytes[start], int(bytes.size() - start)) <= 0) failedTls("SSL_write");
    char* record = nullptr;
    const long length = BIO_get_mem_data(records_, &record);
    bytes.resize(start);
    bytes.insert(bytes.end(), record, record + length);
    BIO_reset(records_);
  }

  /** As much as has come and there is room for; 0 if that is nothing. */
  size_t read(std::span<uint8_t> room) {
    size_t count = 0;
    while (count < room.size()) {
      ERR_clear_error();
      const int length = SSL_read(ssl_.get(), &room[count], int(room.size() - count));
      if (length <= 0 && SSL_get_error(ssl_.get(), length) == SSL_ERROR_WANT_READ) break;
      if (length <= 0) failedTls("SSL_read");
      count += size_t(length);
    }
    return count;
  }

  /** Whether something was received that `read` had no room for. */
  bool hasMore() const { return SSL_has_pending(ssl_.get()) == 1; }

 private:
  [[noreturn]] static void failedTls(const std::string& what) {
    const unsigned long why = ERR_get_error();
    throw std::runtime_error(what + ": " + (why == 0 ? "the server hung up" : ERR_reason_error_string(why)));
  }

  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  /** Belongs to the session. */
  BIO* records_ = nullptr;
};

}  // namespace load
