#include "streams.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif

namespace sluice {

namespace {

/** Read from one stream before the next has its turn. */
constexpr uint32_t readBytes = 64 * 1024;
/** What cannot be given up any more, since the kernel has it: a moment of video, too. */
constexpr int unsentBytes = 128 * 1024;

constexpr int tickEvery = 1000;

/** Of a clock that nobody sets, not even a test. */
int64_t millis() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

Streams::Streams(StreamSurroundings& around, const StreamLimits& limits, int epoll)
    : around_(around),
      limits_(limits),
      epoll_(epoll),
      streams_(limits.streams),
      blocks_(limits.waitingBytes) {
  for (auto* list : {&dirty_, &ready_, &turn_}) list->reserve(limits.streams);
}

Streams::~Streams() {
  for (uint32_t i = 0; i < used_; i++)
    if (streams_[i].fd != 0) ::close(streams_[i].fd);
}

Streams::Stream* Streams::find(uint32_t socket) {
  Stream& stream = streams_[indexOf(socket)];
  return stream.fd != 0 && stream.socket == socket ? &stream : nullptr;
}

void Streams::adopt(uint32_t socket, int fd, const Endpoint& client, const uint8_t* early, uint32_t length, Micros now) {
  now_ = now;
  const uint32_t index = indexOf(socket);
  Stream& stream = streams_[index];
  used_ = std::max(used_, index + 1);
  stream = {};
  stream.fd = fd;
  stream.socket = socket;
  stream.client = client;
  stream.since = now;
  stream.isWritable = true;
  count_++;
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsentBytes, sizeof unsentBytes);
  if (!blocks_.append(stream.held, early, length)) return end(stream);
  stream.missing = 0;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u32 = firstStream + index}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return end(stream);
  stream.isReadable = true;
  enqueue(stream);
}

void Streams::stir(uint32_t index, uint32_t events) {
  Stream& stream = streams_[index];
  if (stream.fd == 0) return;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) stream.isReadable = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) stream.isEnding = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) stream.isWritable = true;
  enqueue(stream);
}

void Streams::enqueue(Stream& stream) {
  if (stream.isReady) return;
  stream.isReady = true;
  ready_.push_back(static_cast<uint32_t>(&stream - &streams_[0]));
}

void Streams::turn(Micros now) {
  now_ = now;
  turn_.swap(ready_);
  for (const uint32_t index : turn_) {
    Stream& stream = streams_[index];
    stream.isReady = false;
    if (stream.fd != 0 && stream.isWritable && stream.isBlocked()) drain(stream);
    if (stream.fd != 0 && stream.isReadable && !stream.awaitsAnswer && !stream.isLeaving && !stream.hasEnded) read(stream);
  }
  turn_.clear();
}

void Streams::read(Stream& stream) {
  const uint32_t socket = stream.socket;
  uint8_t* const room = around_.roomForFrames(longestFrame + readBytes);
  if (!find(socket)) return;
  const uint32_t held = stream.held.size;
  // Of what was read before it was ours, or behind a request that has been answered, nothing may be missing.
  if (held > 0 && stream.missing == 0) {
    enqueue(stream);
    return cut(stream, room, held);
  }
  ssize_t received;
  do {
    received = recv(stream.fd, room + held, readBytes, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received > 0) {
    const auto length = static_cast<uint32_t>(received);
    if (length == readBytes || stream.isEnding) enqueue(stream);
    else stream.isReadable = false;
    around_.obeyBefore();
    if (!find(socket)) return;
    if (stream.missing > length) hold(stream, room + held, length, stream.missing - length);
    else cut(stream, room, held + length);
  } else if (received == 0) {
    // It may still read what the controller has yet to answer.
    stream.hasEnded = true;
    sayEnded(stream);
  } else if (errno == EAGAIN) {
    stream.isReadable = stream.isEnding = false;
  } else {
    end(stream);
  }
}

/** Into frames, after what was held has been put where there is room for it in front. */
void Streams::cut(Stream& stream, uint8_t* bytes, uint32_t length) {
  const uint32_t socket = stream.socket;
  blocks_.copy(stream.held, bytes, stream.held.size);
  blocks_.clear(stream.held);
  stream.missing = 0;
  cutFrames(stream, socket, bytes, length);
  around_.keepFrames(bytes + length);
}

void Streams::cutFrames(Stream& stream, uint32_t socket, uint8_t* bytes, uint32_t length) {
  for (;;) {
    const bool isStrangers = this->isStrangers(stream);
    if (!isStrangers) stream.hadRelay = true;
    const FrameLimits limits = !isStrangers ? everyFrame : stream.hadRelay ? formersFrames : strangersFrames;
    const uint32_t size = frameBytes(bytes, length, limits);
    if (size == none) return end(stream);
    if (size == 0) return hold(stream, bytes, length, length < 4 ? 4 - length : 8 - length);
    if (padded(size) > length) return hold(stream, bytes, length, padded(size) - length);
    stream.hasHeard = true;
    stream.since = now_;
    stream.awaitsAnswer = asksToBind(bytes);
    around_.framed(socket, stream.client, bytes, size);
    if (!find(socket)) return;
    bytes += padded(size);
    length -= padded(size);
    if (stream.awaitsAnswer || stream.isLeaving) return hold(stream, bytes, length, 0);
    if (length == 0) return;
  }
}

void Streams::hold(Stream& stream, const uint8_t* bytes, uint32_t length, uint32_t missing) {
  stream.missing = missing;
  if (blocks_.append(stream.held, bytes, length)) return;
  around_.lost(1);
  end(stream);
}

void Streams::use(uint32_t socket, Micros until) {
  if (Stream* const stream = find(socket)) stream->usedUntil = std::max(stream->usedUntil, until);
}

void Streams::own(uint32_t socket, bool hasRelay, bool mayBeSilent) {
  Stream* const stream = find(socket);
  if (!stream) return;
  stream->hasRelay = hasRelay;
  stream->hadRelay = stream->hadRelay || hasRelay;
  stream->mayBeSilent = mayBeSilent;
}

void Streams::resume(uint32_t socket, Micros now) {
  now_ = now;
  Stream* const stream = find(socket);
  if (!stream || !stream->awaitsAnswer) return;
  stream->awaitsAnswer = false;
  stream->isReadable = true;
  enqueue(*stream);
}

void Streams::release(uint32_t socket) {
  Stream* const stream = find(socket);
  if (!stream) return;
  flush();
  if (!find(socket)) return;
  stream->isLeaving = true;
  if (!stream->isBlocked()) letGo(*stream);
}

void Streams::letGo(Stream& stream) {
  const uint32_t length = stream.held.size;
  uint8_t* const early = gathered_.data();
  blocks_.copy(stream.held, early, length);
  epoll_ctl(epoll_, EPOLL_CTL_DEL, stream.fd, nullptr);
  if (!around_.streamReleased(stream.socket, stream.fd, early, length)) return end(stream);
  stream.hasEnded = true;
  stream.fd = 0;
  close(stream);
}

void Streams::hangUp(uint32_t socket) {
  Stream* const stream = find(socket);
  if (!stream) return;
  if (stream->hasEnded) {
    // It has been told by way of the controller, whose last answers go first.
    flush();
    if (!find(socket)) return;
  }
  end(*stream);
}

void Streams::end(Stream& stream) {
  if (!stream.hasEnded) sayEnded(stream);
  close(stream);
}

void Streams::close(Stream& stream) {
  if (stream.fd != 0) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, stream.fd, nullptr);
    ::close(stream.fd);
  }
  for (Chain* chain : {&stream.held, &stream.begun, &stream.answers, &stream.media}) blocks_.clear(*chain);
  stream.fd = 0;
  count_--;
}

void Streams::sayEnded(Stream& stream) {
  stream.hasEnded = true;
  if (!unreported_.empty() || !around_.streamEnded(stream.socket)) unreported_.push_back(stream.socket);
}

void Streams::tick(Micros now) {
  const int64_t at = millis();
  if (at - tickedAt_ < tickEvery) return;
  tickedAt_ = at;
  now_ = now;
  std::erase_if(unreported_, [this](uint32_t socket) { return around_.streamEnded(socket); });
  for (uint32_t i = 0; i < used_; i++) {
    Stream& stream = streams_[i];
    if (stream.fd == 0 || stream.mayBeSilent || now < stream.usedUntil) continue;
    const Micros most = !stream.hasHeard ? limits_.firstFrame : stream.hasRelay ? limits_.idle : limits_.strangerIdle;
    if (now - stream.since >= most) end(stream);
  }
}

int Streams::tickMillis() const { return count_ > 0 || !unreported_.empty() ? tickEvery : 0; }

}  // namespace sluice
