// Where packets lie from the moment they are received until they are sent on: a fixed number of large buffers, each
// with room for a frame in front, since a buffer may hold a train of packets (UDP_GRO).
#pragma once

#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>

#include "judge.h"
#include "memory.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace sluice {

struct Arrival {
  uint8_t* bytes;
  uint32_t length;
  /** Length of each packet of a train but the last; `length` for a lone one. */
  uint32_t segment;
  /** Packets that the kernel has dropped for want of room since the socket was opened; 0 if it does not say. */
  uint32_t overflowed;
  /** DSCP and ECN, in one byte as IP has them. */
  uint8_t trafficClass;
  const SocketAddress* from;
};

struct Control {
  /** No more than four bytes each: UDP_GRO, SO_RXQ_OVFL, and IP_TOS or IPV6_TCLASS. */
  alignas(cmsghdr) uint8_t bytes[3 * CMSG_SPACE(sizeof(uint32_t))];
};

/** `header` has the control messages that came with it. */
inline Arrival arrivalOf(msghdr& header, uint8_t* bytes, uint32_t length, const SocketAddress* from) {
  uint32_t segment = length;
  uint32_t overflowed = 0;
  uint8_t trafficClass = 0;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) trafficClass = *CMSG_DATA(control);
    if (control->cmsg_len < CMSG_LEN(sizeof(uint32_t))) continue;
    uint32_t value;
    std::memcpy(&value, CMSG_DATA(control), sizeof value);
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) trafficClass = static_cast<uint8_t>(value);
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO && value > 0) segment = value;
    if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) overflowed = value;
  }
  return {bytes, length, segment, overflowed, trafficClass, from};
}

class Inbox {
 public:
  static constexpr unsigned most = 64;
  /** Of a train. */
  static constexpr uint32_t longest = 65'536;
  /** To be had in front of each arrival. */
  static constexpr uint32_t headroom = 64;

  Inbox() {
    for (unsigned i = 0; i < most; i++) {
      iovecs_[i] = {&buffers_[i * bufferBytes] + headroom, longest};
      messages_[i].msg_hdr.msg_iov = &iovecs_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      messages_[i].msg_hdr.msg_name = &from_[i];
      messages_[i].msg_hdr.msg_control = control_[i].bytes;
      ready(i);
    }
  }

  bool hasRoomFor(unsigned packets) const { return used_ + packets <= most; }
  /** The buffers may be filled anew. */
  void reset() { used_ = 0; }

  /** Returns how many came, 0 for none, -1 with errno; they are at `first`, `first + 1` … */
  int receive(int fd, unsigned wanted, unsigned& first) {
    first = used_;
    int count;
    do {
      count = wanted == 1 ? receiveOne(fd) : recvmmsg(fd, &messages_[used_], wanted, MSG_DONTWAIT, nullptr);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return errno == EAGAIN ? 0 : -1;
    used_ += static_cast<unsigned>(count);
    return count;
  }

  /** To be asked once for each that came. */
  Arrival take(unsigned i) {
    const Arrival arrival =
        arrivalOf(messages_[i].msg_hdr, &buffers_[i * bufferBytes] + headroom, messages_[i].msg_len, &from_[i]);
    ready(i);
    return arrival;
  }

 private:
  /** Not a multiple of a page, or the fronts of all buffers would fall into the same few lines of the cache. */
  static constexpr uint32_t bufferBytes = headroom + longest + 4096 + 128;

  int receiveOne(int fd) {
    const ssize_t length = recvmsg(fd, &messages_[used_].msg_hdr, MSG_DONTWAIT);
    if (length < 0) return -1;
    messages_[used_].msg_len = static_cast<unsigned>(length);
    return 1;
  }

  void ready(unsigned i) {
    messages_[i].msg_hdr.msg_namelen = sizeof(SocketAddress);
    messages_[i].msg_hdr.msg_controllen = sizeof(Control);
  }

  Span<uint8_t> buffers_{most * size_t{bufferBytes}};
  Span<mmsghdr> messages_{most};
  Span<iovec> iovecs_{most};
  Span<SocketAddress> from_{most};
  Span<Control> control_{most};
  unsigned used_ = 0;
};

}  // namespace sluice
