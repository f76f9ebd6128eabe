// What a worker does for clients on streams, and how it keeps the time for whatever lasts.

#include <algorithm>

#include "worker.h"

namespace sluice {

void Worker::keepTime() {
  int most = 0;
  const auto atLeastEvery = [&most](int millis) { most = most == 0 || millis == 0 ? std::max(most, millis) : std::min(most, millis); };
  if (dtls_) {
    dtls_->tick(now_);
    atLeastEvery(dtls_->tickMillis());
  }
  if (streams_) {
    streams_->tick(now_);
    atLeastEvery(streams_->tickMillis());
  }
  if (!timer_) timer_ = std::make_unique<Timer>(epoll_);
  timer_->every(most);
}

void Worker::turnStreams() {
  if (!streams_ || !streams_->areReady()) return;
  // Answers that wait go before media.
  obey();
  streams_->turn(now_);
}

void Worker::adopt(const Command& command, const uint8_t* early) {
  if (!streams_) {
    frames_ = std::make_unique<FrameRoom>();
    StreamSurroundings& around = *this;
    streams_ = std::make_unique<Streams>(around, shared_.streams, epoll_);
  }
  auto end = command.isSecure ? TlsEnd::make(shownCredentials()) : nullptr;
  const bool isLost = command.isSecure && !end;
  streams_->adopt(command.socket, command.fd, command.client.peer, early, command.length, std::move(end), now_);
  if (isLost) streams_->hangUp(command.socket);
}

void Worker::toStream(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account) {
  if (const unsigned home = shared_.homeOf(to.peer); home != index_) {
    if (crossFramed(home, to, peer, payload)) account.add(1, payload.length);
    return;
  }
  // Its routes are about to end.
  if (!streams_ || !streams_->has(to.socket)) return counters_.drop(Drop::noPermission);
  account.add(1, payload.length);
  streams_->sendMedia(to.socket, to.framing, peer, payload.bytes, payload.length, payload.room, random_);
}

void Worker::arriveAtStream(uint32_t socket, const Payload& frame) {
  if (!streams_ || !streams_->has(socket)) return counters_.drop(Drop::noPermission);
  streams_->send(socket, frame.bytes, frame.length, false);
}

/** Since a header needs what only this thread knows. */
bool Worker::crossFramed(unsigned home, const Leg& to, const Endpoint& peer, const Payload& payload) {
  if (!frames_) frames_ = std::make_unique<FrameRoom>();
  uint8_t* const at = frames_->framePayload();
  const uint32_t headerBytes = writeHeader(at, to.framing, peer, payload.length, random_);
  if (headerBytes == none) {
    counters_.drop(Drop::congested);
    return false;
  }
  std::memcpy(at, payload.bytes, payload.length);
  const Payload frame{at - headerBytes, headerBytes + payload.length, 0, 0};
  if (!cross(home, intoStream, to.socket, to.peer, frame)) return false;
  commit(home);
  return true;
}

uint8_t* Worker::roomForFrames(uint32_t bytes) {
  if (!frames_->hasRoomFor(bytes)) sendAll();
  return frames_->next();
}

void Worker::framed(uint32_t socket, const Endpoint& from, uint8_t* bytes, uint32_t length) {
  judge(socket, from, {bytes, length, 0, 0}, false);
}

bool Worker::streamEnded(uint32_t socket) {
  Record* const record = reserveUp(ringOfStreams, UpKind::ended, {}, 0);
  if (!record) return false;
  record->socket = socket;
  commitUp(ringOfStreams);
  return true;
}

bool Worker::streamReleased(uint32_t socket, int fd, const uint8_t* early, uint32_t length, std::unique_ptr<TlsEnd>& end) {
  Record* const record = reserveUp(ringOfStreams, UpKind::released, {}, sizeof fd + length);
  if (!record) return false;
  record->socket = socket;
  std::memcpy(record->bytes(), &fd, sizeof fd);
  std::memcpy(record->bytes() + sizeof fd, early, length);
  if (end) shared_.ends.keep(socket, std::move(end));
  commitUp(ringOfStreams);
  return true;
}

}  // namespace sluice
