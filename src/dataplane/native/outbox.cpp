#include "outbox.h"

#include <netinet/udp.h>

#include <cerrno>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace sluice {

namespace {

constexpr uint8_t zeros[4] = {};
constexpr int sendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
/** More errors than these do not come between calls that follow each other, short of a flood. */
constexpr unsigned mostTries = 8;

bool isForSize(int error) { return error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP; }

}  // namespace

Outbox::Outbox() {
  for (unsigned i = 0; i < most; i++) messages_[i].msg_hdr.msg_name = &trains_[i].to;
}

void Outbox::add(int fd, const Endpoint& to, uint16_t port, const Frame& frame, const Account& account, uint32_t relay) {
  const uint32_t bytes = frame.bytes();
  const bool joins = count_ > 0 && trains_[count_ - 1].account == account && fits(trains_[count_ - 1], fd, to, port, frame);
  if (!joins) {
    Train& train = trains_[count_];
    writeSocketAddress(train.to, to, port);
    train.endpoint = to;
    train.port = port;
    train.trafficClass = frame.trafficClass;
    train.fd = fd;
    train.relay = relay;
    train.segment = bytes;
    train.packets = train.bytes = train.payloadBytes = 0;
    train.isClosed = false;
    train.account = account;
    msghdr& header = messages_[count_].msg_hdr;
    header.msg_namelen = lengthOf(to);
    header.msg_iov = &iovecs_[pieces_];
    header.msg_iovlen = 0;
    count_++;
  }
  Train& train = trains_[count_ - 1];
  train.packets++;
  train.bytes += bytes;
  train.payloadBytes += frame.payloadBytes;
  train.isClosed = bytes < train.segment;
  mmsghdr& message = messages_[count_ - 1];
  if (frame.header + frame.headerBytes == frame.payload) {
    put(message, frame.header, frame.headerBytes + frame.payloadBytes);
  } else {
    if (frame.headerBytes > 0) put(message, frame.header, frame.headerBytes);
    put(message, frame.payload, frame.payloadBytes);
  }
  if (frame.paddingBytes > 0) put(message, zeros, frame.paddingBytes);
}

bool Outbox::fits(const Train& train, int fd, const Endpoint& to, uint16_t port, const Frame& frame) const {
  const uint32_t bytes = frame.bytes();
  return maySegment_ && train.fd == fd && train.port == port && !train.isClosed && bytes > 0 && bytes <= train.segment &&
         train.packets < mostSegments && train.trafficClass == frame.trafficClass && train.bytes + bytes <= mostTrainBytes && train.endpoint == to;
}

/** What lies right behind the piece before it becomes part of that. */
void Outbox::put(mmsghdr& message, const void* at, size_t length) {
  msghdr& header = message.msg_hdr;
  if (header.msg_iovlen > 0) {
    iovec& last = header.msg_iov[header.msg_iovlen - 1];
    if (static_cast<const uint8_t*>(last.iov_base) + last.iov_len == at) {
      last.iov_len += length;
      return;
    }
  }
  iovecs_[pieces_++] = {const_cast<void*>(at), length};
  header.msg_iovlen++;
}

void Outbox::flush(uint64_t& lost) {
  unsigned packets = 0;
  for (unsigned i = 0; i < count_; i++) {
    Train& train = trains_[i];
    packets += train.packets;
    // Before it leaves, so that whoever has got a packet finds it counted.
    train.account.add(train.packets, train.payloadBytes);
    writeControl(i, true);
  }
  if (ring_ && count_ > 1 && packets < 2 * count_) sendByRing(lost);
  else sendByCalls(lost);
  count_ = pieces_ = scratchUsed_ = 0;
}

/** What the kernel is told beside the bytes: how to mark them and, of a train as a whole, where to cut it. */
void Outbox::writeControl(unsigned at, bool isWhole) {
  Train& train = trains_[at];
  size_t length = 0;
  const auto write = [&](int level, int type, const auto& value) {
    auto* control = reinterpret_cast<cmsghdr*>(train.control + length);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(control), &value, sizeof value);
    length += CMSG_SPACE(sizeof value);
  };
  if (train.trafficClass != 0) {
    const bool isIpv4 = train.endpoint.family == 4;
    write(isIpv4 ? IPPROTO_IP : IPPROTO_IPV6, isIpv4 ? IP_TOS : IPV6_TCLASS, int{train.trafficClass});
  }
  if (train.packets > 1 && isWhole) write(SOL_UDP, UDP_SEGMENT, static_cast<uint16_t>(train.segment));
  messages_[at].msg_hdr.msg_control = length > 0 ? train.control : nullptr;
  messages_[at].msg_hdr.msg_controllen = length;
}

/** All are done when the call returns, since none may wait for room. */
void Outbox::sendByRing(uint64_t& lost) {
  for (unsigned i = 0; i < count_; i++) {
    io_uring_sqe& submission = ring_->next();
    const msghdr& header = messages_[i].msg_hdr;
    submission.fd = trains_[i].fd;
    if (header.msg_iovlen == 1 && header.msg_controllen == 0) {
      submission.opcode = IORING_OP_SEND;
      submission.addr = reinterpret_cast<uintptr_t>(header.msg_iov->iov_base);
      submission.len = static_cast<uint32_t>(header.msg_iov->iov_len);
      submission.addr2 = reinterpret_cast<uintptr_t>(header.msg_name);
      submission.addr_len = static_cast<uint16_t>(header.msg_namelen);
    } else {
      submission.opcode = IORING_OP_SENDMSG;
      submission.addr = reinterpret_cast<uintptr_t>(&header);
      submission.len = 1;
    }
    submission.msg_flags = sendFlags;
    submission.flags = IOSQE_CQE_SKIP_SUCCESS;
    submission.user_data = i;
  }
  ring_->submit();
  while (ring_->hasCompletions()) {
    const io_uring_cqe completion = ring_->take();
    failed(static_cast<unsigned>(completion.user_data), -completion.res, lost);
  }
}

void Outbox::sendByCalls(uint64_t& lost) {
  for (unsigned first = 0; first < count_;) {
    unsigned end = first + 1;
    while (end < count_ && trains_[end].fd == trains_[first].fd) end++;
    while (first < end) first += send(first, end, lost);
  }
}

/** Returns how many messages are dealt with, one at least. */
unsigned Outbox::send(unsigned first, unsigned end, uint64_t& lost) {
  const int fd = trains_[first].fd;
  int done;
  do {
    done = end - first == 1 ? (sendmsg(fd, &messages_[first].msg_hdr, sendFlags) < 0 ? -1 : 1)
                            : sendmmsg(fd, &messages_[first], end - first, sendFlags);
  } while (done < 0 && errno == EINTR);
  if (done <= 0) {
    failed(first, errno, lost);
    return 1;
  }
  return static_cast<unsigned>(done);
}

void Outbox::failed(unsigned at, int error, uint64_t& lost) {
  error = sendAgain(at, error);
  if (error == 0) return;
  if (trains_[at].packets == 1 || !isForSize(error)) {
    trains_[at].account.add(-int64_t{trains_[at].packets}, -int64_t{trains_[at].payloadBytes});
    lost += trains_[at].packets;
    return;
  }
  // EIO: the device can neither cut up buffers nor compute checksums, and never will. Else this path's MTU is too small.
  if (error == EIO) maySegment_ = false;
  sendApart(at, lost);
}

/** Each ICMP error that comes for a relay port makes one call fail that has nothing to do with it. Returns 0 or an errno. */
int Outbox::sendAgain(unsigned at, int error) {
  const Train& train = trains_[at];
  if (train.relay == none || error == EAGAIN || error == ENOBUFS) return error;
  if (struckCount_ < most) struck_[struckCount_++] = train.relay;
  unsigned others = 0;
  for (unsigned tries = 0; tries < mostTries; tries++) {
    // Only an ICMP error brings this one. Others a call may have by itself, and will have again.
    if (error != ECONNREFUSED && ++others > 1) return error;
    if (sendmsg(train.fd, &messages_[at].msg_hdr, sendFlags) >= 0) return 0;
    error = errno;
  }
  return error;
}

void Outbox::sendApart(unsigned at, uint64_t& lost) {
  const Train& train = trains_[at];
  writeControl(at, false);
  const msghdr whole = messages_[at].msg_hdr;
  iovec pieces[4];
  size_t piece = 0;
  size_t used = 0;
  for (uint32_t left = train.bytes; left > 0;) {
    uint32_t wanted = left < train.segment ? left : train.segment;
    left -= wanted;
    msghdr one = whole;
    one.msg_iov = pieces;
    one.msg_iovlen = 0;
    while (wanted > 0) {
      const iovec& source = whole.msg_iov[piece];
      const size_t length = source.iov_len - used < wanted ? source.iov_len - used : wanted;
      pieces[one.msg_iovlen++] = {static_cast<uint8_t*>(source.iov_base) + used, length};
      wanted -= static_cast<uint32_t>(length);
      used += length;
      if (used == source.iov_len) {
        piece++;
        used = 0;
      }
    }
    if (sendmsg(train.fd, &one, sendFlags) < 0 && sendmsg(train.fd, &one, sendFlags) < 0) lost++;
  }
}

}  // namespace sluice
