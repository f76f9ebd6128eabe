// ICMP errors about what left by a socket, as the system keeps them for it (IP_RECVERR): a queue that takes of the room
// for packets, and one call that fails for each. Of a socket that does not hear them they change nothing.
#pragma once

#include "wire.h"

namespace sluice {

struct IcmpError {
  enum class Origin : uint8_t {
    /** An ICMP packet. */
    network,
    /** This machine's link, for which a packet was too long that had to leave in one piece. `type` and `code` are not set. */
    link,
    /** Nothing of interest. */
    other,
  };

  Origin origin;
  uint8_t type;
  uint8_t code;
  /** Where the packet was to go; port 0 if the system does not say. */
  Endpoint peer;
  /** Of errors that say that a packet was too long: what would not be. */
  uint32_t mtu;
};

/** Whether errors are kept for this socket. Those that are, are forgotten when they are not kept any more. */
void hearErrors(int fd, uint8_t family, bool isSet);

/** The oldest. False if there is none. */
bool takeError(int fd, IcmpError& error);

}  // namespace sluice
