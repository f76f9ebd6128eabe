// Where a frame on a byte stream ends (RFC 8489 section 6.2.2, RFC 8656 section 12.5), as stun/stream.ts has it. No syscall.
#pragma once

#include "table.h"

namespace sluice {

/** What is awaited of a stream. A frame that says that it is longer breaks it. */
struct FrameLimits {
  /** Of a STUN message behind its header. */
  uint32_t messageBytes;
  /** Of the payload of ChannelData. Below 0, there is none. */
  int32_t channelDataBytes;
};

/** The longest payload that fits a UDP datagram; nothing longer can be relayed, so nothing longer is awaited. */
inline constexpr FrameLimits everyFrame{0xffff, 65'527};
/** For who has nothing here yet: any request fits, and there is no channel. */
inline constexpr FrameLimits strangersFrames{4096, -1};
/** For who had something: what was under way when that ended is dropped, and no reason to hang up. */
inline constexpr FrameLimits formersFrames{4096, 4096};

/** Padding included. */
inline constexpr uint32_t longestFrame = 20 + 0xfffc;

/** Bytes of the frame that begins here, without padding; 0 while that is not known; `none` if it is none. */
inline uint32_t frameBytes(const uint8_t* bytes, uint32_t length, const FrameLimits& limits) {
  if (length == 0) return 0;
  const bool isChannelData = bytes[0] >> 6 == 1;
  if (bytes[0] >> 6 > 1 || (isChannelData && limits.channelDataBytes < 0)) return none;
  if (length < (isChannelData ? 4u : 8u)) return 0;
  const uint32_t said = read16(bytes + 2);
  if (isChannelData) return said <= static_cast<uint32_t>(limits.channelDataBytes) ? 4 + said : none;
  return said % 4 == 0 && read32(bytes + 4) == 0x2112a442 && said <= limits.messageBytes ? 20 + said : none;
}

/** Behind a ConnectionBind request come bytes for the peer, if it is granted (RFC 6062 section 5.4). */
inline bool asksToBind(const uint8_t* frame) { return frame[0] == 0 && frame[1] == 0x0b; }

}  // namespace sluice
