// What the controller sends to clients by listeners: gathered while it has its turn, so that it leaves with few calls, and
// so that whoever asks again at once wakes a thread for all of that and not for each.
#pragma once

#include <utility>

#include "outbox.h"

namespace sluice {

class Answers {
 public:
  /** The bytes are copied. False if they are longer than a datagram can be. */
  bool add(int fd, const Endpoint& to, const uint8_t* bytes, uint32_t length) {
    if (length > roomBytes) return false;
    if (outbox_.isFull() || used_ + length > roomBytes) flush();
    uint8_t* const at = &room_[used_];
    std::memcpy(at, bytes, length);
    used_ += length;
    outbox_.add(fd, to, to.port, {at, 0, at, length, 0, 0}, {});
    return true;
  }

  void flush() {
    outbox_.flush(lost_);
    used_ = 0;
  }

  /** How many a socket could not take since this was last asked. */
  uint64_t takeLost() { return std::exchange(lost_, 0); }

 private:
  static constexpr uint32_t roomBytes = 65'536;

  Outbox outbox_;
  Span<uint8_t> room_{roomBytes};
  uint32_t used_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace sluice
