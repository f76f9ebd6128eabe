#include "worker.h"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr unsigned mostEvents = 128;
/** Packets or trains read from one socket before the next has its turn. */
constexpr unsigned listenerTurn = 32;
constexpr unsigned relayTurn = 8;
/** A packet may pass through this many relay ports of ours; more is a circle of routes. */
constexpr unsigned mostHops = 4;
/** In place of a socket's number, in epoll: there are orders, or packets from another worker. */
constexpr uint32_t orders = UINT32_MAX;

uint32_t headerBytesOf(uint16_t framing) { return framing == bare ? 0 : framing == indication ? mostHeaderBytes : 4; }

}  // namespace

Worker::Worker(Shared& shared, unsigned index, int epoll, uint64_t seed, bool byRing)
    : shared_(shared),
      index_(index),
      epoll_(epoll),
      counters_(*shared.counters[index]),
      table_(shared.ways, static_cast<uint32_t>(shared.relays.size()), seed),
      sockets_(maxListeners + shared.relays.size()),
      ready_(sockets_.size()),
      random_(seed * 0xd1342543de82ef95) {
  epoll_event event{.events = EPOLLIN, .data = {.u32 = orders}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, shared_.queues[index_].eventFd(), &event);
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
    if (dtls_) keepTime();
    flush();
  }
  if (dtls_) dtls_->close();
  sendAll();
  if (ring_) endRing();
  for (size_t i = 0; i < sockets_.size(); i++)
    if (sockets_[i].fd != 0) ::close(sockets_[i].fd);
}

void Worker::turn() {
  wait(readyCount_ == 0);
  for (size_t turns = readyCount_; turns > 0; turns--) {
    const uint32_t socket = ready_[readyBegin_];
    readyBegin_ = readyBegin_ + 1 < ready_.size() ? readyBegin_ + 1 : 0;
    readyCount_--;
    serve(socket);
  }
}

/** A socket is epoll's until its first packet comes, and the ring's from then on: most relay ports are idle. */
void Worker::turnByRing() {
  ring_->wait(readyCount_ == 0);
  now_ = shared_.now();
  while (ring_->hasEvents()) takeFromRing();
  for (; readyCount_ > 0; readyCount_--) {
    arm(ready_[readyBegin_]);
    readyBegin_ = readyBegin_ + 1 < ready_.size() ? readyBegin_ + 1 : 0;
  }
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
  if (isHere(socket)) enqueue(socket);
  else if (isRelay(socket)) announceClosed(socket);
}

void Worker::arm(uint32_t socket) {
  obey();
  Socket& state = sockets_[socket];
  state.isReady = false;
  if (!isHere(socket) || state.isArmed) return;
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
    if (events[i].data.u32 == DtlsTimer::mark) {
      timer_->settle();
    } else if (events[i].data.u32 != orders) {
      enqueue(events[i].data.u32);
    } else {
      shared_.queues[index_].settle();
      obey();
      takeCrossings();
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
  if (records_) records_->reset();
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

void Worker::fromClient(uint32_t socket, const Endpoint& from, const Payload& packet, bool isUnderReview) {
  if (const unsigned home = shared_.homeOf(from); home != index_) {
    bump(counters_.strays, 1);
    if (Record* record = cross(home, atListener, socket, from, packet)) commit(home);
    return;
  }
  if (sockets_[socket].isSecure) dtls_->receive(socket, from, packet.bytes, packet.length, now_);
  else judge(socket, from, packet, isUnderReview);
}

void Worker::judge(uint32_t socket, const Endpoint& from, const Payload& packet, bool isUnderReview) {
  const auto [bytes, length, room, trafficClass] = packet;
  // Binding answers are counted as UDP's, so that over DTLS they are left to the controller.
  const Shortcuts shortcuts{shared_.shortcuts.binding && !isSession(socket), shared_.shortcuts.send};
  const Verdict verdict = judgeAtListener(table_, socket, from, bytes, length, now_, shortcuts);
  switch (verdict.fate) {
    case Fate::answer:
      if (!shared_.replies.admits(from, now_) && !table_.knows(socket, from, now_)) return counters_.drop(Drop::flooded);
      answer(socket, from, bytes, verdict.hasFingerprint);
      break;
    case Fate::handUp:
      handUp(socket, from, bytes, length);
      break;
    case Fate::forwardSend:
      if (!isOpen(*verdict.way, verdict.port)) return handUp(socket, from, bytes, length);
      [[fallthrough]];
    case Fate::drop:
      // It may be for the channel that its client has just asked for.
      if (verdict.fate == Fate::drop && verdict.drop == Drop::noChannel && !isUnderReview && isUnanswered(socket, from))
        return handUp(socket, from, bytes, length);
      [[fallthrough]];
    case Fate::forward:
      follow(verdict, from, {bytes + verdict.offset, verdict.length, room + verdict.offset, trafficClass}, 0);
  }
}

/** Whether the controller has yet to look at what this client sent it last. */
bool Worker::isUnanswered(uint32_t socket, const Endpoint& client) {
  const Question& question = questions_[table_.hashOf(Key::of(socket, client, bare)) % mostQuestions];
  return question.socket == socket && !shared_.up[index_][listenerOf(socket)]->isReadTo(question.end);
}

/** Whether the controller has let an indication go to this port of the peer, or would not have to be asked. */
bool Worker::isOpen(const Way& way, uint16_t port) const {
  return way.isOpened(port) || (way.to.ownAddress != noOwnAddress && shared_.owners[way.to.ownAddress].of(port) != 0);
}

void Worker::fromPeer(uint32_t socket, const Endpoint& from, const Payload& payload, unsigned hops) {
  follow(judgeAtRelay(table_, socket, from, payload.length, now_), from, payload, hops);
}

void Worker::follow(const Verdict& verdict, const Endpoint& from, const Payload& payload, unsigned hops) {
  if (verdict.fate == Fate::drop) {
    counters_.drop(verdict.drop);
    return;
  }
  const Way& way = *verdict.way;
  const uint32_t owner = way.toPeer ? way.to.socket : way.from.socket;
  if (!mayPass(owner, way.toPeer, payload.length)) return;
  const Account account = accountOf(owner, way.toPeer);
  if (!isRelay(way.to.socket)) {
    toClient(way.to, from, payload, account);
  } else {
    const bool isSend = verdict.fate == Fate::forwardSend;
    const bool mayLeave = isSend ? way.isOpened(verdict.port) : way.to.mayLeave;
    toPeer(way.to, isSend ? verdict.port : way.to.peer.port, mayLeave, payload, account, hops);
  }
}

/** The one function that writes to peers. What is for a relay port of ours does not leave the process. */
void Worker::toPeer(const Leg& to, uint16_t port, bool mayLeave, const Payload& payload, const Account& account,
                    unsigned hops) {
  const uint32_t owner = to.ownAddress != noOwnAddress ? shared_.owners[to.ownAddress].of(port) : 0;
  if (owner != 0 ? hops >= mostHops : !mayLeave || port == 0) {
    counters_.drop(Drop::forbiddenPeer);
    return;
  }
  const Relay& relay = shared_.relays[slotOf(to.socket)];
  if (relay.worker != index_) {
    // The route's client is not whom the port was opened for. Its worker asks who owns the destination, too.
    if (Record* record = cross(relay.worker, outOfRelay, to.socket, to.peer, payload)) {
      record->ownAddress = to.ownAddress;
      record->toPort = port;
      record->mayLeave = mayLeave;
      record->hops = static_cast<uint8_t>(hops);
      commit(relay.worker);
    }
  } else if (!isHere(to.socket)) {
    counters_.drop(Drop::congested);
  } else if (owner != 0) {
    account.add(1, payload.length);
    toOwn(owner, to, port, payload, hops + 1);
  } else {
    toPeers_.add(relay.fd, to.peer, port, {payload.bytes, 0, payload.bytes, payload.length, 0, payload.trafficClass}, account);
    if (toPeers_.isFull()) sendAll();
  }
}

/** As if it came from the relayed address that it leaves by: the two routes are one from client to client. */
void Worker::toOwn(uint32_t owner, const Leg& to, uint16_t port, const Payload& payload, unsigned hops) {
  const Endpoint from = shared_.relays[slotOf(to.socket)].at;
  if (owner == Owners::elsewhere) {
    Ring& ring = *shared_.up[index_][maxListeners];
    Record* record = ring.reserve(from, payload.length);
    if (!record) {
      counters_.drop(Drop::congested);
      return;
    }
    record->ownAddress = to.ownAddress;
    record->toPort = port;
    record->hops = static_cast<uint8_t>(hops);
    std::memcpy(record->bytes(), payload.bytes, payload.length);
    ring.commit();
    hasHandedUp_ = true;
    return;
  }
  const uint32_t socket = Owners::slotAt(owner) + maxListeners;
  const unsigned worker = Owners::workerAt(owner);
  if (worker == index_) return fromPeer(socket, from, payload, hops);
  if (Record* record = cross(worker, atRelay, socket, from, payload)) {
    record->hops = static_cast<uint8_t>(hops);
    commit(worker);
  }
}

void Worker::toClient(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account) {
  if (isSession(to.socket)) return toSession(to, peer, payload, account);
  const uint32_t needed = headerBytesOf(to.framing);
  const bool hasRoom = payload.room >= needed;
  uint8_t* const end = hasRoom ? payload.bytes : toClients_.scratch() + mostHeaderBytes;
  const uint32_t headerBytes = writeHeader(end, to.framing, peer, payload.length, random_);
  if (headerBytes == none || !isHere(to.socket)) {
    counters_.drop(Drop::congested);
    return;
  }
  const Frame frame{end - headerBytes, headerBytes, payload.bytes, payload.length, paddingOf(to.framing, payload.length),
                    payload.trafficClass};
  toClients_.add(sockets_[to.socket].fd, to.peer, to.peer.port, frame, account);
  if (toClients_.isFull()) sendAll();
}

void Worker::answer(uint32_t socket, const Endpoint& from, const uint8_t* request, bool hasFingerprint) {
  uint8_t* bytes = toClients_.scratch();
  toClients_.scratch();
  const uint32_t length = writeBindingAnswer(bytes, request, from, hasFingerprint);
  toClients_.add(sockets_[socket].fd, from, from.port, {bytes, 0, bytes, length, 0, 0}, {});
  bump(counters_.answered, 1);
  if (toClients_.isFull()) sendAll();
}

void Worker::handUp(uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length) {
  const uint32_t listener = listenerOf(socket);
  Record* record = reserveUp(listener, UpKind::datagram, from, length);
  if (!record) {
    counters_.drop(Drop::flooded);
    return;
  }
  record->socket = socket;
  std::memcpy(record->bytes(), bytes, length);
  commitUp(listener);
  questions_[table_.hashOf(Key::of(socket, from, bare)) % mostQuestions] = {socket, shared_.up[index_][listener]->end()};
}

Record* Worker::reserveUp(uint32_t listener, UpKind kind, const Endpoint& from, uint32_t length) {
  Record* record = shared_.up[index_][listener]->reserve(from, length);
  if (record) record->kind = static_cast<uint8_t>(kind);
  return record;
}

void Worker::commitUp(uint32_t listener) {
  shared_.up[index_][listener]->commit();
  hasHandedUp_ = true;
}

/** Whether the limits of this relay port let a packet pass. */
bool Worker::mayPass(uint32_t relaySocket, bool toPeer, uint32_t length) {
  if (!isRelay(relaySocket)) return true;
  const Limits& limits = shared_.relays[slotOf(relaySocket)].limits;
  if (limits.count == 0 || admits(shared_.buckets, limits, toPeer, length, now_)) return true;
  counters_.drop(Drop::limited);
  return false;
}

Account Worker::accountOf(uint32_t relaySocket, bool toPeer) {
  if (!isRelay(relaySocket)) return {};
  const uint32_t slot = slotOf(relaySocket);
  Usage& usage = shared_.usage[slot];
  Usage& total = counters_.relayed[shared_.relays[slot].isSecure ? 1 : 0][shared_.relays[slot].at.family == 4 ? 0 : 1];
  return toPeer ? Account{&usage.toPeer, &total.toPeer} : Account{&usage.toClient, &total.toClient};
}

Record* Worker::cross(unsigned worker, uint8_t kind, uint32_t socket, const Endpoint& peer, const Payload& payload) {
  Record* record = shared_.crossings[worker][index_]->reserve(peer, payload.length);
  if (!record) {
    counters_.drop(Drop::congested);
    return nullptr;
  }
  record->kind = kind;
  record->socket = socket;
  record->trafficClass = payload.trafficClass;
  std::memcpy(record->bytes(), payload.bytes, payload.length);
  return record;
}

void Worker::commit(unsigned worker) {
  shared_.crossings[worker][index_]->commit();
  crossedTo_ |= uint64_t{1} << worker;
}

void Worker::takeCrossings() {
  for (unsigned from = 0; from < shared_.workers; from++) {
    if (from == index_) continue;
    shared_.crossings[index_][from]->drain([this](Record& record) { arrive(record); });
    // The records are the ring's again from here on.
    sendAll();
  }
}

void Worker::arrive(Record& record) {
  obey();
  const Payload payload{record.bytes(), record.length, 0, record.trafficClass};
  if (record.kind == atListener) return fromClient(record.socket, record.from(), payload, false);
  if (record.kind == intoSession) return encrypt(record.socket, record.from(), payload.bytes, payload.length, {});
  if (!isHere(record.socket)) return counters_.drop(Drop::noPermission);
  if (record.kind == atRelay) return fromPeer(record.socket, record.from(), payload, record.hops);
  const Leg to{record.socket, bare, record.from(), record.mayLeave != 0, record.ownAddress};
  toPeer(to, record.toPort, to.mayLeave, payload, accountOf(record.socket, true), record.hops);
}

}  // namespace sluice
