// Where frames of streams lie until they are sent on.
#pragma once

#include "memory.h"

namespace sluice {

class FrameRoom {
 public:
  bool hasRoomFor(uint32_t bytes) const { return used_ + bytes <= arena_.size(); }
  uint8_t* next() { return &arena_[used_]; }
  /** What lies before `end` stays until `reset`. */
  void keep(const uint8_t* end) { used_ = static_cast<uint32_t>(end - &arena_[0] + 63) & ~63u; }
  /** Everything has left. */
  void reset() { used_ = 0; }

  /** For one frame, in one piece, on its way to another thread: its payload begins here, and its header ends here. */
  uint8_t* framePayload() { return &frame_[64]; }

 private:
  Span<uint8_t> arena_{1024 * 1024};
  Span<uint8_t> frame_{64 + 65'536 + 64};
  uint32_t used_ = 0;
};

}  // namespace sluice
