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

/** Milliseconds. */
constexpr int tickEvery = 1000;

/** Of a clock that nobody sets, not even a test. */
int64_t micros() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

ssize_t receive(int fd, uint8_t* to) {
  ssize_t received;
  do {
    received = recv(fd, to, readBytes, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  return received;
}

}  // namespace

Streams::Streams(StreamSurroundings& around, const StreamLimits& limits, int epoll)
    : around_(around),
      limits_(limits),
      epoll_(epoll),
      streams_(limits.streams),
      ends_(limits.streams),
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

void Streams::adopt(uint32_t socket, int fd, const Endpoint& client, const uint8_t* early, uint32_t length,
                    std::unique_ptr<TlsEnd> tls, Micros now) {
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
  if (tls) {
    stream.isShaking = true;
    stream.holdsRecords = length > 0;
    ends_[index] = std::move(tls);
    shaking_.push_back(socket);
    if (shaking_.size() > limits_.handshakes) end(*find(shaking_.front()));
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsentBytes, sizeof unsentBytes);
  if (length > longestFrame + readBytes || !blocks_.append(stream.held, early, length)) return end(stream);
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
  ready_.push_back(indexOf(stream));
}

void Streams::turn(Micros now) {
  now_ = now;
  turn_.swap(ready_);
  for (const uint32_t index : turn_) {
    Stream& stream = streams_[index];
    stream.isReady = false;
    if (stream.fd != 0 && stream.isWritable && stream.isBlocked()) drain(stream);
    if (stream.fd == 0 || !stream.isReadable || stream.awaitsAnswer || stream.isLeaving || stream.hasEnded) continue;
    if (stream.isShaking) shake(stream);
    else read(stream);
  }
  turn_.clear();
}

/** Signing takes a millisecond, in which no packet leaves: so packets get as much time as handshakes, if they want it. */
void Streams::shake(Stream& stream) {
  const int64_t begun = micros();
  if (begun < restsUntil_) return enqueue(stream);
  read(stream);
  const int64_t done = micros();
  restsUntil_ = done + (done - begun);
}

void Streams::read(Stream& stream) {
  const uint32_t socket = stream.socket;
  uint8_t* const room = around_.roomForFrames(longestFrame + readBytes + TlsEnd::mostKeptBytes);
  if (!find(socket)) return;
  TlsEnd* const end = endOf(stream);
  const uint32_t held = stream.held.size;
  if (stream.holdsRecords) {
    enqueue(stream);
    blocks_.copy(stream.held, gathered_.data(), held);
    blocks_.clear(stream.held);
    stream.holdsRecords = false;
    return open(stream, *end, gathered_.data(), held, room);
  }
  // Of what was read before it was ours, or behind a request that has been answered, nothing may be missing.
  if (held > 0 && stream.missing == 0) {
    enqueue(stream);
    return cut(stream, room, held);
  }
  const bool isOver = end && end->hasEnded();
  const ssize_t received = isOver ? 0 : receive(stream.fd, end ? gathered_.data() : room + held);
  if (received > 0) {
    const auto length = static_cast<uint32_t>(received);
    if (length == readBytes || stream.isEnding) enqueue(stream);
    else stream.isReadable = false;
    if (end) open(stream, *end, gathered_.data(), length, room);
    else arrived(stream, room, length);
  } else if (received == 0) {
    // It may still read what the controller has yet to answer.
    stream.hasEnded = true;
    sayEnded(stream);
  } else if (errno == EAGAIN) {
    stream.isReadable = stream.isEnding = false;
  } else {
    this->end(stream);
  }
}

/** What these records say, and what is to be answered to that by TLS itself. */
void Streams::open(Stream& stream, TlsEnd& end, const uint8_t* came, uint32_t length, uint8_t* room) {
  const uint32_t socket = stream.socket;
  records_.clear();
  const uint32_t opened = end.open(came, length, room + stream.held.size, records_);
  if (stream.isShaking && end.isShaken()) {
    stream.isShaking = false;
    stream.since = now_;
    std::erase(shaking_, socket);
  }
  putRecords(stream);
  if (opened > 0 && find(socket)) arrived(stream, room, opened);
  if (!find(socket)) return;
  if (end.isBroken()) return this->end(stream);
  if (!end.hasEnded()) return;
  stream.isReadable = true;
  enqueue(stream);
}

/** So many bytes, behind where there is room for what is held. */
void Streams::arrived(Stream& stream, uint8_t* room, uint32_t length) {
  const uint32_t socket = stream.socket;
  const uint32_t held = stream.held.size;
  around_.obeyBefore();
  if (!find(socket)) return;
  if (stream.missing > length) hold(stream, room + held, length, stream.missing - length);
  else cut(stream, room, held + length);
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
  if (!around_.streamReleased(stream.socket, stream.fd, early, length, ends_[indexOf(stream)])) return end(stream);
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
  if (stream.isShaking) std::erase(shaking_, stream.socket);
  if (stream.fd != 0) {
    sayGoodbye(stream);
    epoll_ctl(epoll_, EPOLL_CTL_DEL, stream.fd, nullptr);
    ::close(stream.fd);
  }
  for (Chain* chain : {&stream.held, &stream.begun, &stream.answers, &stream.media}) blocks_.clear(*chain);
  ends_[indexOf(stream)].reset();
  stream.fd = 0;
  count_--;
}

/** Not in the middle of a record. */
void Streams::sayGoodbye(Stream& stream) {
  TlsEnd* const end = endOf(stream);
  if (!end || stream.begun.size > 0) return;
  records_.clear();
  end->sayGoodbye(records_);
  [[maybe_unused]] const ssize_t sent = ::send(stream.fd, records_.data(), records_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Streams::sayEnded(Stream& stream) {
  stream.hasEnded = true;
  if (!unreported_.empty() || !around_.streamEnded(stream.socket)) unreported_.push_back(stream.socket);
}

void Streams::tick(Micros now) {
  const int64_t at = micros() / 1000;
  if (at - tickedAt_ < tickEvery) return;
  tickedAt_ = at;
  now_ = now;
  std::erase_if(unreported_, [this](uint32_t socket) { return around_.streamEnded(socket); });
  for (uint32_t i = 0; i < used_; i++) {
    Stream& stream = streams_[i];
    if (stream.fd == 0 || stream.mayBeSilent || now < stream.usedUntil) continue;
    const Micros most = stream.isShaking ? limits_.handshake : !stream.hasHeard ? limits_.firstFrame : stream.hasRelay ? limits_.idle : limits_.strangerIdle;
    if (now - stream.since >= most) end(stream);
  }
}

int Streams::tickMillis() const { return count_ > 0 || !unreported_.empty() ? tickEvery : 0; }

}  // namespace sluice
