// Where records and what was in them lie until they are sent on.
#pragma once

#include "dtls-sessions.h"
#include "judge.h"
#include "memory.h"

namespace sluice {

class Records {
 public:
  /** To be had in front of each payload. */
  static constexpr uint32_t headroom = 64;

  bool hasRoomFor(uint32_t length) const { return used_ + length <= arena_.size(); }
  uint8_t* next() { return &arena_[used_]; }
  uint8_t* take(uint32_t length) {
    uint8_t* const at = next();
    used_ += length;
    return at;
  }
  /** Everything that was taken has left. */
  void reset() { used_ = 0; }

  /** For one frame, in one piece, until it is encrypted: its payload begins here, and its header ends here. */
  uint8_t* framePayload() { return &frame_[mostHeaderBytes]; }

 private:
  Span<uint8_t> arena_{512 * 1024};
  Span<uint8_t> frame_{mostHeaderBytes + 65'536 + 4};
  uint32_t used_ = 0;
};

}  // namespace sluice
