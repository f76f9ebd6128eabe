// A worker's life: how it waits for packets, by io_uring or by epoll and calls, and which socket has its turn.

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

#include "worker.h"

namespace sluice {

namespace {

constexpr unsigned mostEvents = 128;
/** Packets or trains read from one socket before the next has its turn. */
constexpr unsigned listenerTurn = 32;
constexpr unsigned relayTurn = 8;
/** In place of a socket's number, in epoll: there are orders, or packets from another worker. */
constexpr uint32_t orders = UINT32_MAX;

}  // namespace

Worker::Worker(Shared& shared, unsigned index, int epoll, uint64_t seed, bool byRing)
    : shared_(shared),
      index_(index),
      epoll_(epoll),
      counters_(*shared.counters[index]),
      table_(shared.ways, static_cast<uint32_t>(shared.relays.size()), seed),
      joins_(shared),
      sockets_(maxListeners + shared.relays.size()),
      ready_(sockets_.size()),
      random_(seed * 0xd1342543de82ef95) {
  epoll_event event{.events = EPOLLIN, .data = {.u32 = orders}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, shared_.queues[index_].eventFd(), &event);
  watch(joins_.epoll(), Joins::mark);
  if (byRing) ring_ = std::make_unique<RingInbox>();
  if (ring_ && (!ring_->open(epoll_) || !sending_.open(64, 128))) ring_ = nullptr;
}

Worker::~Worker() {
  join();
  ::close(epoll_);
}

bool Worker::start() {
  // Signals are the main thread's: what a new thread blocks, it inherits.
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  const auto body = [](void* self) -> void* {
    static_cast<Worker*>(self)->run();
    return nullptr;
  };
  isRunning_ = pthread_create(&thread_, nullptr, body, this) == 0;
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
  if (isRunning_) pthread_setname_np(thread_, "sluice-plane");
  return isRunning_;
}

void Worker::watch(int fd, uint32_t socket) {
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u32 = socket}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Worker::join() {
  if (isRunning_) pthread_join(thread_, nullptr);
  isRunning_ = false;
}

void Worker::run() {
  if (ring_ && (!ring_->begin() || !sending_.begin())) ring_ = nullptr;
  if (ring_) toPeers_.sendBy(&sending_);
  if (ring_) toClients_.sendBy(&sending_);
  while (!isStopped_) {
    if (ring_) turnByRing();
    else turn();
    if (haveJoinsTurn_) haveJoinsTurn_ = joins_.turn();
    if (dtls_ || streams_) keepTime();
    flush();
  }
  if (dtls_) dtls_->close();
  sendAll();
  if (ring_) endRing();
  for (size_t i = 0; i < sockets_.size(); i++)
    if (sockets_[i].fd != 0) ::close(sockets_[i].fd);
}

void Worker::turn() {
  wait(!hasMore());
  for (size_t turns = readyCount_; turns > 0; turns--) {
    const uint32_t socket = ready_[readyBegin_];
    readyBegin_ = readyBegin_ + 1 < ready_.size() ? readyBegin_ + 1 : 0;
    readyCount_--;
    serve(socket);
  }
  turnStreams();
}

/** A socket is epoll's until its first packet comes, and the ring's from then on: most relay ports are idle. */
void Worker::turnByRing() {
  ring_->wait(!hasMore());
  now_ = shared_.now();
  while (ring_->hasEvents()) takeFromRing();
  for (; readyCount_ > 0; readyCount_--) {
    arm(ready_[readyBegin_]);
    readyBegin_ = readyBegin_ + 1 < ready_.size() ? readyBegin_ + 1 : 0;
  }
  turnStreams();
}

void Worker::takeFromRing() {
  const RingInbox::Event event = ring_->take();
  if (event.isForEpoll) {
    while (wait(false)) {
    }
    return;
  }
  const uint32_t socket = event.socket;
  if (event.hasArrival) {
    obey();
    // What came to a socket that has been closed since is lost with it.
    if (isHere(socket)) receive(socket, event.arrival);
  }
  if (!event.isEnd) return;
  sockets_[socket].isArmed = false;
  if (event.isFailure && isRelay(socket)) sockets_[socket].hasErrors = true;
  if (isHere(socket)) enqueue(socket);
  else if (isRelay(socket)) announceClosed(socket);
}

void Worker::arm(uint32_t socket) {
  obey();
  Socket& state = sockets_[socket];
  state.isReady = false;
  if (!isHere(socket)) return;
  // First, for they make a socket look readable that is not, which the ring would try again and again.
  if (state.hasErrors) takeErrors(socket);
  if (state.isArmed) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, state.fd, nullptr);
  state.isArmed = true;
  ring_->arm(state.fd, socket);
}

/** Has the kernel let go of the sockets, so that their ports are free when they are closed. */
void Worker::endRing() {
  ring_->cancelAll();
  for (size_t socket = 0; socket < sockets_.size(); socket++) {
    while (sockets_[socket].isArmed) {
      ring_->wait(true);
      while (ring_->hasEvents())
        if (const RingInbox::Event event = ring_->take(); event.isEnd) sockets_[event.socket].isArmed = false;
      ring_->reset();
    }
  }
  ring_ = nullptr;
}

/** Sockets report once that something came (EPOLLET): they are in turn until they are read empty. */
bool Worker::wait(bool mayBlock) {
  epoll_event events[mostEvents];
  const int count = epoll_wait(epoll_, events, mostEvents, mayBlock ? -1 : 0);
  now_ = shared_.now();
  for (int i = 0; i < count; i++) {
    if (events[i].data.u32 == Timer::mark) {
      timer_->settle();
    } else if (events[i].data.u32 == Joins::mark) {
      haveJoinsTurn_ = true;
    } else if (const uint32_t socket = events[i].data.u32; socket == orders) {
      shared_.queues[index_].settle();
      obey();
      takeCrossings();
    } else if (isStream(socket)) {
      streams_->stir(Streams::indexOf(socket), events[i].events);
    } else {
      if ((events[i].events & EPOLLERR) != 0 && isRelay(socket)) sockets_[socket].hasErrors = true;
      enqueue(socket);
    }
  }
  return count == mostEvents;
}

void Worker::enqueue(uint32_t socket) {
  if (sockets_[socket].isReady) return;
  sockets_[socket].isReady = true;
  const size_t end = readyBegin_ + readyCount_;
  ready_[end < ready_.size() ? end : end - ready_.size()] = socket;
  readyCount_++;
}

void Worker::serve(uint32_t socket) {
  sockets_[socket].isReady = false;
  obey();
  if (!isHere(socket)) return;
  if (sockets_[socket].hasErrors) takeErrors(socket);
  const unsigned wanted = isRelay(socket) ? relayTurn : listenerTurn;
  if (!inbox_.hasRoomFor(wanted)) flush();
  unsigned first;
  const int count = inbox_.receive(sockets_[socket].fd, wanted, first);
  obey();
  for (int i = 0; i < count; i++) receive(socket, inbox_.take(first + static_cast<unsigned>(i)));
  if (count < 0 || static_cast<unsigned>(count) == wanted) enqueue(socket);
}

void Worker::receive(uint32_t socket, const Arrival& arrival) {
  const Endpoint from = endpointOf(*arrival.from);
  uint32_t& overflowed = sockets_[socket].overflowed;
  if (arrival.overflowed != 0 && arrival.overflowed != overflowed) {
    counters_.drop(Drop::congested, arrival.overflowed - overflowed);
    overflowed = arrival.overflowed;
  }
  uint32_t at = 0;
  do {
    const uint32_t length = std::min(arrival.segment, arrival.length - at);
    const uint32_t room = at == 0 ? Inbox::headroom : 0;
    const Payload packet{arrival.bytes + at, length, room, arrival.trafficClass};
    if (isRelay(socket)) fromPeer(socket, from, packet, 0);
    else fromClient(socket, from, packet, false);
    at += length;
  } while (at < arrival.length);
}

void Worker::sendAll() {
  uint64_t lost = 0;
  toPeers_.flush(lost);
  toClients_.flush(lost);
  if (lost > 0) counters_.drop(Drop::congested, lost);
  for (uint32_t relay; (relay = toPeers_.takeStruck()) != none;) {
    sockets_[relay].hasErrors = true;
    enqueue(relay);
  }
  if (streams_) streams_->flush();
  if (records_) records_->reset();
  if (frames_) frames_->reset();
}

/** Sends what waits, after which the buffers may be filled anew, and tells whom it concerns. */
void Worker::flush() {
  sendAll();
  inbox_.reset();
  if (ring_) ring_->reset();
  for (; crossedTo_ != 0; crossedTo_ &= crossedTo_ - 1) shared_.queues[std::countr_zero(crossedTo_)].wake();
  if (hasHandedUp_) shared_.wakeController();
  hasHandedUp_ = false;
}

}  // namespace sluice
