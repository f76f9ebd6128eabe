// What becomes of a packet, and how it is framed on its way: routes.ts and framing.ts for this plane. No syscall.
#pragma once

#include "table.h"

namespace sluice {

/** In the order of DropReason in contract.ts. */
enum class Drop : uint8_t { noChannel, noPermission, forbiddenPeer, malformed, limited, congested, flooded };
inline constexpr unsigned drops = 7;

enum class Fate : uint8_t {
  /** Along `way`: `length` bytes of payload from `offset`. */
  forward,
  /** The same, out of a Send indication to `port` of the peer; to be handed up unless that port is open or our own. */
  forwardSend,
  /** A Binding request that has only one possible answer. */
  answer,
  /** An Allocate request without integrity, which gets a challenge whatever else is in it. */
  challenge,
  handUp,
  drop,
};

struct Verdict {
  Fate fate;
  Drop drop = Drop::malformed;
  /** Whether the answer ends in a FINGERPRINT; of a challenge, if that is not too long then. */
  bool hasFingerprint = false;
  uint16_t port = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  Way* way = nullptr;
};

/**
 * What a listener does by itself beyond the rule, as TurnServer would: answer Binding, forward Send indications, challenge
 * first Allocate requests.
 */
struct Shortcuts {
  bool binding;
  bool send;
  bool challenge;
};

Verdict judgeAtListener(Table& table, uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length,
                        Micros now, Shortcuts shortcuts);
Verdict judgeAtRelay(Table& table, uint32_t socket, const Endpoint& from, uint32_t length, Micros now);

/** Room to leave in front of a payload for any frame. */
inline constexpr uint32_t mostHeaderBytes = 48;
inline constexpr uint32_t mostAnswerBytes = 52;

/** Writes what stands before the payload so that it ends at `end`; returns how much, or none if no frame holds it. */
uint32_t writeHeader(uint8_t* end, uint16_t framing, const Endpoint& peer, uint32_t length, uint64_t& random);

/** What has to follow the payload: DATA is padded, ChannelData over UDP is not. */
inline uint32_t paddingOf(uint16_t framing, uint32_t length) {
  return framing == indication ? padded(length) - length : 0;
}

inline constexpr uint32_t fingerprintBytes = 8;

/** Ends a message of so many bytes in a FINGERPRINT, for which there is room; returns how many it has then. */
uint32_t addFingerprint(uint8_t* message, uint32_t length);

/** The same bytes as the controller's answer. */
uint32_t writeBindingAnswer(uint8_t* to, const uint8_t* request, const Endpoint& client, bool hasFingerprint);

}  // namespace sluice
