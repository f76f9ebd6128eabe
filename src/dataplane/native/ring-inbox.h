// The inbox through io_uring: the kernel puts packets of every armed socket into buffers of ours by itself, and one call
// gets whatever has come, instead of several for each socket. For kernels that have it; inbox.h is for the others.
#pragma once

#include "inbox.h"
#include "uring.h"

namespace sluice {

class RingInbox {
 public:
  /** False where this kernel has no such thing. `epoll` is watched for sockets that are not armed, and for orders. */
  bool open(int epoll) {
    if (!ring_.open(submissions, completions)) return false;
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uintptr_t>(free_.data());
    registration.ring_entries = most;
    if (ring_.enroll(IORING_REGISTER_PBUF_RING, &registration, 1) != 0) return false;
    epoll_ = epoll;
    header_.msg_namelen = nameBytes;
    header_.msg_controllen = sizeof(Control);
    return true;
  }

  /** By the worker's thread. */
  bool begin() {
    for (unsigned i = 0; i < most; i++) used_[i] = static_cast<uint16_t>(i);
    usedCount_ = most;
    reset();
    if (!ring_.begin()) return false;
    watchEpoll();
    return true;
  }

  /** Packets that come to this socket are events from here on, until one says that they have come to an end. */
  void arm(int fd, uint32_t socket) {
    io_uring_sqe& submission = ring_.next();
    submission.opcode = IORING_OP_RECVMSG;
    submission.fd = fd;
    submission.addr = reinterpret_cast<uintptr_t>(&header_);
    submission.len = 1;
    submission.ioprio = IORING_RECV_MULTISHOT;
    submission.flags = IOSQE_BUFFER_SELECT;
    submission.user_data = socket;
  }

  /** Brings about the end. */
  void disarm(uint32_t socket) { cancel(socket, 0); }
  void cancelAll() { cancel(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL); }

  void wait(bool mayBlock) { ring_.enter(mayBlock && !ring_.hasCompletions() ? 1 : 0); }

  /** Epoll has something; or a packet has come to a socket, no more do, or both. */
  struct Event {
    bool isForEpoll;
    uint32_t socket;
    bool isEnd;
    /** It has come to an end for what only the socket knows, such as an ICMP error. */
    bool isFailure;
    bool hasArrival;
    Arrival arrival;
  };

  bool hasEvents() const { return ring_.hasCompletions(); }

  /** Only if there are some. */
  Event take() {
    const io_uring_cqe completion = ring_.take();
    const bool isOfSocket = completion.user_data <= UINT32_MAX;
    const bool isEnd = (completion.flags & IORING_CQE_F_MORE) == 0;
    const bool isFailure = completion.res < 0 && completion.res != -ENOBUFS;
    Event event{completion.user_data == ofEpoll, static_cast<uint32_t>(completion.user_data), isOfSocket && isEnd, isFailure, false, {}};
    if (event.isForEpoll && isEnd && completion.res != -ECANCELED) watchEpoll();
    if ((completion.flags & IORING_CQE_F_BUFFER) == 0) return event;
    const auto buffer = static_cast<uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
    used_[usedCount_++] = buffer;
    event.hasArrival = completion.res >= static_cast<int>(frontBytes);
    if (event.hasArrival) event.arrival = arrivalIn(&buffers_[buffer * size_t{bufferBytes}]);
    return event;
  }

  /** The buffers of what was taken may be filled anew. */
  void reset() {
    for (unsigned i = 0; i < usedCount_; i++) {
      io_uring_buf& buffer = free_[freeTail_++ & (most - 1)];
      buffer.addr = reinterpret_cast<uintptr_t>(&buffers_[used_[i] * size_t{bufferBytes}]);
      buffer.len = frontBytes + Inbox::longest;
      buffer.bid = used_[i];
    }
    if (usedCount_ > 0) __atomic_store_n(&free_[0].resv, freeTail_, __ATOMIC_RELEASE);
    usedCount_ = 0;
  }

 private:
  static constexpr unsigned submissions = 256;
  static constexpr unsigned completions = 4096;
  /** Buffers; more than come in one turn, so that sockets seldom find none. */
  static constexpr unsigned most = 128;
  static constexpr uint64_t ofEpoll = UINT64_MAX;
  static constexpr uint64_t ofCancellation = UINT64_MAX - 1;
  /** In front of the payload the kernel puts lengths, where it came from, and control messages. */
  static constexpr uint32_t nameBytes = 32;
  static constexpr uint32_t frontBytes = sizeof(io_uring_recvmsg_out) + nameBytes + sizeof(Control);
  static constexpr uint32_t bufferBytes = Inbox::longest + 4096 + 192;
  static_assert(nameBytes >= sizeof(SocketAddress) && frontBytes >= Inbox::headroom && bufferBytes >= frontBytes + Inbox::longest);

  void cancel(uint32_t socket, uint32_t flags) {
    io_uring_sqe& submission = ring_.next();
    submission.opcode = IORING_OP_ASYNC_CANCEL;
    submission.fd = -1;
    submission.addr = socket;
    submission.cancel_flags = flags;
    submission.user_data = ofCancellation;
  }

  void watchEpoll() {
    io_uring_sqe& submission = ring_.next();
    submission.opcode = IORING_OP_POLL_ADD;
    submission.fd = epoll_;
    submission.len = IORING_POLL_ADD_MULTI;
    submission.poll32_events = POLLIN;
    submission.user_data = ofEpoll;
  }

  static Arrival arrivalIn(uint8_t* buffer) {
    io_uring_recvmsg_out lengths;
    std::memcpy(&lengths, buffer, sizeof lengths);
    uint8_t* const name = buffer + sizeof lengths;
    msghdr header{};
    header.msg_control = name + nameBytes;
    header.msg_controllen = lengths.controllen;
    const uint32_t length = lengths.payloadlen < Inbox::longest ? lengths.payloadlen : Inbox::longest;
    return arrivalOf(header, buffer + frontBytes, length, reinterpret_cast<const SocketAddress*>(name));
  }

  Uring ring_;
  int epoll_ = -1;
  msghdr header_{};
  /** What the kernel takes buffers from: its tail lies in the first of them. */
  Span<io_uring_buf> free_{most};
  uint16_t freeTail_ = 0;
  Span<uint8_t> buffers_{most * size_t{bufferBytes}};
  uint16_t used_[most] = {};
  unsigned usedCount_ = 0;
};

}  // namespace sluice
