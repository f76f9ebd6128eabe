#include "tls-end.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>

namespace sluice {

std::unique_ptr<TlsEnd> TlsEnd::make(std::shared_ptr<const Credentials> credentials) {
  if (!credentials) return nullptr;
  std::unique_ptr<TlsEnd> end(new TlsEnd(std::move(credentials)));
  end->ssl_ = end->credentials_->newServer(Credentials::Transport::stream);
  BIO* const bio = end->ssl_ ? BIO_new(method()) : nullptr;
  if (!bio) return nullptr;
  BIO_set_data(bio, end.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(end->ssl_.get(), bio, bio);
  SSL_set_accept_state(end->ssl_.get());
  return end;
}

uint32_t TlsEnd::open(const uint8_t* came, uint32_t length, uint8_t* plain, std::vector<uint8_t>& records) {
  came_ = came;
  cameBytes_ = length;
  records_ = &records;
  const uint32_t room = length + mostKeptBytes;
  uint32_t opened = 0;
  while (!hasEnded_ && !isBroken_) {
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), plain + opened, static_cast<int>(room - opened));
    if (result > 0) {
      opened += static_cast<uint32_t>(result);
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ) break;
    if (error == SSL_ERROR_ZERO_RETURN) hasEnded_ = true;
    else isBroken_ = true;
  }
  ERR_clear_error();
  isShaken_ = isShaken_ || SSL_is_init_finished(ssl_.get());
  records_ = nullptr;
  return opened;
}

bool TlsEnd::seal(const uint8_t* plain, uint32_t length, std::vector<uint8_t>& records) {
  if (isBroken_) return false;
  records_ = &records;
  ERR_clear_error();
  // Our side of the stream takes everything, so this takes all or fails for good.
  isBroken_ = SSL_write(ssl_.get(), plain, static_cast<int>(length)) != static_cast<int>(length);
  records_ = nullptr;
  return !isBroken_;
}

void TlsEnd::sayGoodbye(std::vector<uint8_t>& records) {
  if (!isShaken_ || isBroken_) return;
  records_ = &records;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  records_ = nullptr;
}

BIO_METHOD* TlsEnd::method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sluice stream");
    BIO_meth_set_read(made, read);
    BIO_meth_set_write(made, write);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

int TlsEnd::read(BIO* bio, char* to, int room) {
  TlsEnd& self = *static_cast<TlsEnd*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.cameBytes_ == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const uint32_t length = std::min(self.cameBytes_, static_cast<uint32_t>(room));
  std::memcpy(to, self.came_, length);
  self.came_ += length;
  self.cameBytes_ -= length;
  return static_cast<int>(length);
}

int TlsEnd::write(BIO* bio, const char* bytes, int length) {
  TlsEnd& self = *static_cast<TlsEnd*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self.records_->insert(self.records_->end(), bytes, bytes + length);
  return length;
}

long TlsEnd::control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

}  // namespace sluice
