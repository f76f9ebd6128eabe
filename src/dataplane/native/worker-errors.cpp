// What a worker does with ICMP errors about what it sent to peers: it tells the controller, who knows whether the client
// is to hear of it (RFC 8656 section 11.5). Not more often than that does any good, as anybody can make such packets.

#include <algorithm>

#include "worker.h"

namespace sluice {

namespace {

/** Of one relay port, on average and at once; a router tells the same sender no more often. */
constexpr Micros portInterval = 100'000;
constexpr unsigned portBurst = 10;
/** The same, of all relay ports of all workers together. */
constexpr Micros totalInterval = 500;
constexpr unsigned totalBurst = 1000;
/** So many are read in one turn; what is more is forgotten, since it takes of the room for packets. */
constexpr unsigned mostInOneTurn = 16;

/** RFC 792: destination unreachable, as a fragment would have been needed. */
constexpr uint8_t unreachable = 3;
constexpr uint8_t fragmentationNeeded = 4;

/** Of a record: type and code, two bytes unused, MTU. */
constexpr uint32_t errorBytes = 8;

bool isRested(Micros restedAt, Micros now, Micros interval, unsigned burst) {
  return std::max(restedAt, now) + interval <= now + interval * burst;
}

}  // namespace

void Worker::takeErrors(uint32_t socket, uint16_t unsentTo) {
  Socket& state = sockets_[socket];
  state.hasErrors = false;
  IcmpError error;
  for (unsigned taken = 0; takeError(state.fd, error); taken++) {
    if (error.origin == IcmpError::Origin::network) {
      tell(socket, error);
    } else if (error.origin == IcmpError::Origin::link && unsentTo != 0) {
      // As the first router would have said if the link had taken it. It was tried twice, and is told once.
      error.type = unreachable;
      error.code = fragmentationNeeded;
      error.peer.port = unsentTo;
      tell(socket, error);
      unsentTo = 0;
    }
    if (taken < mostInOneTurn) continue;
    const uint8_t family = shared_.relays[slotOf(socket)].at.family;
    hearErrors(state.fd, family, false);
    hearErrors(state.fd, family, true);
    return;
  }
}

void Worker::tell(uint32_t socket, const IcmpError& error) {
  Micros& portRestedAt = sockets_[socket].errorsRestedAt;
  const Micros ownInterval = totalInterval * shared_.workers;
  const bool isAllowed = isRested(portRestedAt, now_, portInterval, portBurst) &&
                         isRested(errorsRestedAt_, now_, ownInterval, totalBurst / shared_.workers);
  Record* const record = isAllowed ? shared_.up[index_][ringElsewhere]->reserve(error.peer, errorBytes) : nullptr;
  if (!record) return counters_.drop(Drop::flooded);
  portRestedAt = std::max(portRestedAt, now_) + portInterval;
  errorsRestedAt_ = std::max(errorsRestedAt_, now_) + ownInterval;
  record->kind = static_cast<uint8_t>(UpKind::icmp);
  record->socket = socket;
  write32(record->bytes(), uint32_t{error.type} << 24 | uint32_t{error.code} << 16);
  write32(record->bytes() + 4, error.mtu);
  shared_.up[index_][ringElsewhere]->commit();
  hasHandedUp_ = true;
}

}  // namespace sluice
