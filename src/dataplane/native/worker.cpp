// What becomes of a packet: where it is judged, and the ways that it leaves by.

#include "worker.h"

namespace sluice {

namespace {

/** A packet may pass through this many relay ports of ours; more is a circle of routes. */
constexpr unsigned mostHops = 4;

uint32_t headerBytesOf(uint16_t framing) { return framing == bare ? 0 : framing == indication ? mostHeaderBytes : 4; }

}  // namespace

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
  // Binding answers are counted as UDP's, so that elsewhere they are left to the controller.
  const bool isPlain = !isConnected(socket);
  const bool answersBinding = shared_.shortcuts.binding && isPlain && now_ >= shared_.bindingsGoUpUntil.load(std::memory_order_relaxed);
  const Shortcuts shortcuts{answersBinding, shared_.shortcuts.send, challenge_ != nullptr && isPlain};
  const Verdict verdict = judgeAtListener(table_, socket, from, bytes, length, now_, shortcuts);
  switch (verdict.fate) {
    case Fate::answer:
      if (!shared_.replies.admits(from, now_) && !table_.knows(socket, from, now_)) return counters_.drop(Drop::flooded);
      answer(socket, from, bytes, verdict.hasFingerprint);
      break;
    case Fate::challenge:
      if (!shared_.replies.admits(from, now_)) return counters_.drop(Drop::flooded);
      challenge(socket, from, packet, verdict.hasFingerprint);
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
    const Frame frame{payload.bytes, 0, payload.bytes, payload.length, 0, payload.trafficClass};
    toPeers_.add(relay.fd, to.peer, port, frame, account, to.socket);
    if (toPeers_.isFull()) sendAll();
  }
}

/** As if it came from the relayed address that it leaves by: the two routes are one from client to client. */
void Worker::toOwn(uint32_t owner, const Leg& to, uint16_t port, const Payload& payload, unsigned hops) {
  const Endpoint from = shared_.relays[slotOf(to.socket)].at;
  if (owner == Owners::elsewhere) {
    Ring& ring = *shared_.up[index_][ringElsewhere];
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
  if (isStream(to.socket)) return toStream(to, peer, payload, account);
  if (isSession(to.socket)) return toSession(to, peer, payload, account);
  const uint32_t needed = headerBytesOf(to.framing);
  const bool hasRoom = payload.room >= needed;
  uint8_t* const end = hasRoom ? payload.bytes : toClients_.scratch(mostHeaderBytes) + mostHeaderBytes;
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
  uint8_t* bytes = toClients_.scratch(mostAnswerBytes);
  const uint32_t length = writeBindingAnswer(bytes, request, from, hasFingerprint);
  toClients_.add(sockets_[socket].fd, from, from.port, {bytes, 0, bytes, length, 0, 0}, {});
  bump(counters_.answered, 1);
  if (toClients_.isFull()) sendAll();
}

void Worker::challenge(uint32_t socket, const Endpoint& from, const Payload& request, bool hasFingerprint) {
  uint8_t* bytes = toClients_.scratch(Challenge::mostBytes);
  const uint32_t length = challenge_->write(bytes, request.bytes, request.length, from, now_ / 1'000'000, hasFingerprint);
  toClients_.add(sockets_[socket].fd, from, from.port, {bytes, 0, bytes, length, 0, 0}, {});
  bump(counters_.challenged, 1);
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
  const Relay& relay = shared_.relays[slot];
  Usage& total = counters_.relayed[static_cast<unsigned>(relay.transport)][relay.at.family == 4 ? 0 : 1];
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
  if (record.kind == intoStream) return arriveAtStream(record.socket, payload);
  if (record.kind == intoSession) return encrypt(record.socket, record.from(), payload.bytes, payload.length, {});
  if (!isHere(record.socket)) return counters_.drop(Drop::noPermission);
  if (record.kind == atRelay) return fromPeer(record.socket, record.from(), payload, record.hops);
  const Leg to{record.socket, bare, record.from(), record.mayLeave != 0, record.ownAddress};
  toPeer(to, record.toPort, to.mayLeave, payload, accountOf(record.socket, true), record.hops);
}

}  // namespace sluice
