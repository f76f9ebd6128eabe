// Packets on their way out of one thread: gathered, not copied, and sent with as few calls as they allow. Consecutive
// ones of one way and one length leave as one buffer that the kernel or the card cuts up (UDP_SEGMENT).
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "counters.h"
#include "memory.h"
#include "table.h"
#include "uring.h"

namespace sluice {

/** What precedes the payload, the payload, how many zeros follow, and DSCP and ECN of the packet that it came in. */
struct Frame {
  const uint8_t* header;
  uint32_t headerBytes;
  const uint8_t* payload;
  uint32_t payloadBytes;
  uint32_t paddingBytes;
  uint8_t trafficClass;

  uint32_t bytes() const { return headerBytes + payloadBytes + paddingBytes; }
};

/** Whether IPv4 packets that leave by this socket have DF set: those too long for the way are then not sent (EMSGSIZE). */
inline void setDontFragment(int fd, bool isSet) {
  // Neither believes what others have made of the path before; and unset, ICMP errors about packets that had it come still.
  const int discovery = isSet ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT;
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discovery, sizeof discovery);
}

class Outbox {
 public:
  Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /** The frame's bytes must stay as they are until `flush`, which must be called when `isFull`. `relay`: see `takeStruck`. */
  void add(int fd, const Endpoint& to, uint16_t port, const Frame& frame, const Account& account, uint32_t relay = none);
  bool isFull() const { return count_ == most || pieces_ + 4 > mostPieces || scratchUsed_ + mostScratches > mostPieces; }
  /** Room for a header that cannot stand in front of its payload, or for what is written here; as long-lived as the frame. */
  uint8_t* scratch(uint32_t bytes) {
    uint8_t* const room = &scratch_[scratchUsed_ * scratchBytes];
    scratchUsed_ += (bytes + scratchBytes - 1) / scratchBytes;
    return room;
  }
  static constexpr unsigned scratchBytes = 48;
  /** In a row, for one frame. */
  static constexpr unsigned mostScratches = 5;
  /** From here on, what is to be sent by several sockets leaves with one call. */
  void sendBy(Uring* ring) { ring_ = ring; }
  /** Sends everything, and counts what the sockets did not take as `lost`. */
  void flush(uint64_t& lost);
  /** A relay port that may have got an ICMP error, since it did not take something: each once or twice, then `none`. */
  uint32_t takeStruck() { return struckCount_ > 0 ? struck_[--struckCount_] : none; }

 private:
  /** Packets for one destination that leave as one message. */
  struct Train {
    SocketAddress to;
    Endpoint endpoint;
    uint16_t port;
    uint8_t trafficClass;
    int fd;
    uint32_t relay;
    uint32_t segment;
    uint32_t packets;
    uint32_t bytes;
    uint32_t payloadBytes;
    /** Nothing may follow a segment shorter than the others. */
    bool isClosed;
    Account account;
    /** Room for a traffic class and the length of segments. */
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
  };

  bool fits(const Train& train, int fd, const Endpoint& to, uint16_t port, const Frame& frame) const;
  void writeControl(unsigned at, bool isWhole);
  void put(mmsghdr& message, const void* at, size_t length);
  void sendByRing(uint64_t& lost);
  void sendByCalls(uint64_t& lost);
  unsigned send(unsigned first, unsigned end, uint64_t& lost);
  void failed(unsigned at, int error, uint64_t& lost);
  int sendAgain(unsigned at, int error);
  void sendApart(unsigned at, uint64_t& lost);

  static constexpr unsigned most = 64;
  static constexpr unsigned mostPieces = 4096;
  static constexpr uint32_t mostSegments = 64;
  static constexpr uint32_t mostTrainBytes = 65'000;

  Span<Train> trains_{most};
  Span<mmsghdr> messages_{most};
  Span<iovec> iovecs_{mostPieces};
  Span<uint8_t> scratch_{mostPieces * scratchBytes};
  unsigned count_ = 0;
  unsigned pieces_ = 0;
  unsigned scratchUsed_ = 0;
  uint32_t struck_[most];
  unsigned struckCount_ = 0;
  bool maySegment_ = true;
  Uring* ring_ = nullptr;
};

}  // namespace sluice
