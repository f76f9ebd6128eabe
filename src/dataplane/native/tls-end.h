// The server's end of TLS (RFC 8446, RFC 5246) on one byte stream, without the stream: records go in and bytes come out, and
// the other way about. It holds no descriptor and belongs to no thread, so it goes along when its connection does.
#pragma once

#include <openssl/bio.h>

#include <cstdint>
#include <vector>

#include "credentials.h"

namespace sluice {

class TlsEnd {
 public:
  /** Of what a record carries. What is sealed at once becomes one record if it is no more than this. */
  static constexpr uint32_t mostPayloadBytes = 16'384;
  /** That an end may have kept of what came before: no more than a record. */
  static constexpr uint32_t mostKeptBytes = mostPayloadBytes + 2048;

  /** nullptr for want of memory, or of credentials. */
  static std::unique_ptr<TlsEnd> make(std::shared_ptr<const Credentials> credentials);
  TlsEnd(const TlsEnd&) = delete;
  TlsEnd& operator=(const TlsEnd&) = delete;

  /**
   * Takes what came, and writes what it says to `plain`, where there has to be room for `mostKeptBytes` more than came.
   * Returns how many bytes. What is to be sent for it, such as a handshake's answer, is appended to `records`.
   */
  uint32_t open(const uint8_t* came, uint32_t length, uint8_t* plain, std::vector<uint8_t>& records);
  /** Appends the records that say this; not before the handshake is done. False if it is broken. */
  bool seal(const uint8_t* plain, uint32_t length, std::vector<uint8_t>& records);
  /** Tells the other end that no more comes. */
  void sayGoodbye(std::vector<uint8_t>& records);

  bool isShaken() const { return isShaken_; }
  /** The other end has said that no more comes. */
  bool hasEnded() const { return hasEnded_; }
  bool isBroken() const { return isBroken_; }

 private:
  explicit TlsEnd(std::shared_ptr<const Credentials> credentials) : credentials_(std::move(credentials)) {}

  static BIO_METHOD* method();
  static int read(BIO* bio, char* to, int room);
  static int write(BIO* bio, const char* bytes, int length);
  static long control(BIO* bio, int command, long, void*);

  /** Its handshake looks into them. */
  const std::shared_ptr<const Credentials> credentials_;
  SslPointer ssl_;
  /** What came and OpenSSL has yet to take; where its records go. Only during a call. */
  const uint8_t* came_ = nullptr;
  uint32_t cameBytes_ = 0;
  std::vector<uint8_t>* records_ = nullptr;
  bool isShaken_ = false;
  bool hasEnded_ = false;
  bool isBroken_ = false;
};

}  // namespace sluice
