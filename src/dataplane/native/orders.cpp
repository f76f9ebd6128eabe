// What a worker does on the controller's word.

#include <unistd.h>

#include "worker.h"

namespace sluice {

/** What the controller ordered before a packet was sent holds for that packet. */
void Worker::obey() {
  if (shared_.ownedClock) now_ = shared_.now();
  if (!shared_.queues[index_].hasOrders()) return;
  shared_.queues[index_].take(orders_);
  for (const Command& command : orders_.commands) perform(command, orders_.bytes.data() + command.offset);
  sendAll();
  orders_.clear();
  shared_.taken[index_].store(table_.taken(), std::memory_order_relaxed);
}

void Worker::perform(const Command& command, uint8_t* bytes) {
  switch (command.kind) {
    case Command::Kind::listen:
      sockets_[command.socket].fd = command.fd;
      watch(command.fd, command.socket);
      break;
    case Command::Kind::listenSecurely:
      sockets_[command.socket].fd = command.fd;
      listenSecurely(command.socket);
      watch(command.fd, command.socket);
      break;
    case Command::Kind::show:
      if (dtls_) dtls_->show(shownCredentials());
      break;
    case Command::Kind::challenge: {
      const std::lock_guard guard(shared_.challengeLock);
      challenge_ = shared_.challenge;
      break;
    }
    case Command::Kind::admit:
      admit(command, bytes);
      break;
    case Command::Kind::adopt:
      adopt(command, bytes);
      break;
    case Command::Kind::ownStream:
      streams_->own(command.socket, command.hasRelay, command.mayBeSilent);
      break;
    case Command::Kind::resume:
      streams_->resume(command.socket, now_);
      break;
    case Command::Kind::release:
      streams_->release(command.socket);
      break;
    case Command::Kind::hangUp:
      streams_->hangUp(command.socket);
      break;
    case Command::Kind::openRelay:
      sockets_[command.socket].fd = shared_.relays[slotOf(command.socket)].fd;
      sockets_[command.socket].overflowed = 0;
      sockets_[command.socket].hasErrors = false;
      sockets_[command.socket].errorsRestedAt = 0;
      break;
    case Command::Kind::closeRelay:
      closeRelay(command.socket);
      break;
    case Command::Kind::route:
      if (command.hasClient && isSession(command.client.socket))
        dtls_->use(sessionOf(command.client.socket), command.until);
      if (command.hasClient && isStream(command.client.socket) && streams_) streams_->use(command.client.socket, command.until);
      if (!table_.route(command.client, command.peer, command.until, now_, command.hasClient, command.hasPeer))
        counters_.drop(Drop::congested);
      break;
    case Command::Kind::unroute:
      table_.unroute(command.client, command.peer);
      break;
    case Command::Kind::expect:
      if (!table_.expect(command.socket, command.peer.peer, command.until, now_)) counters_.drop(Drop::congested);
      break;
    case Command::Kind::askAgain:
      table_.closePorts();
      break;
    case Command::Kind::send:
      send(command, bytes);
      break;
    case Command::Kind::arrive:
      if (isRelay(command.socket)) fromPeer(command.socket, command.peer.peer, {bytes, command.length, 0, 0}, command.hops);
      else if (!isConnected(command.socket)) fromClient(command.socket, command.peer.peer, {bytes, command.length, 0, 0}, true);
      else if (isStream(command.socket) ? streams_->has(command.socket) : dtls_->has(sessionOf(command.socket))) judge(command.socket, command.peer.peer, {bytes, command.length, 0, 0}, true);
      break;
    case Command::Kind::stop:
      isStopped_ = true;
  }
}

void Worker::closeRelay(uint32_t socket) {
  table_.forget(slotOf(socket));
  if (isHere(socket)) {
    // What is on its way through this port goes first, and counts.
    sendAll();
    ::close(sockets_[socket].fd);
    sockets_[socket].fd = 0;
  }
  // Its port is not free before the ring has let go of it.
  if (sockets_[socket].isArmed) ring_->disarm(socket);
  else announceClosed(socket);
}

void Worker::announceClosed(uint32_t socket) {
  {
    const std::lock_guard guard(shared_.closedLock);
    shared_.closed.push_back(slotOf(socket));
  }
  hasHandedUp_ = true;
}

/** What the controller sends to a client or to a peer. Policy was asked where it gave the order. */
void Worker::send(const Command& command, uint8_t* bytes) {
  if (isStream(command.socket)) return streams_->send(command.socket, bytes, command.length, true);
  if (isSession(command.socket)) return encrypt(command.socket, command.peer.peer, bytes, command.length, {});
  const Payload payload{bytes, command.length, 0, 0};
  if (!isHere(command.socket)) return;
  const Leg& to = command.peer;
  if (!isRelay(command.socket)) {
    toClients_.add(sockets_[command.socket].fd, to.peer, to.peer.port, {bytes, 0, bytes, command.length, 0, 0}, {});
    if (toClients_.isFull()) sendAll();
    return;
  }
  if (to.mayLeave) table_.open(command.socket, to.peer);
  if (!mayPass(command.socket, true, command.length)) return;
  const auto leave = [&] { toPeer(to, to.peer.port, to.mayLeave, payload, accountOf(command.socket, true), 0); };
  if (!command.dontFragment) return leave();
  // DF is the socket's, so that this packet has to leave alone.
  sendAll();
  setDontFragment(sockets_[command.socket].fd, true);
  leave();
  sendAll();
  setDontFragment(sockets_[command.socket].fd, false);
  takeErrors(command.socket, to.peer.port);
}

}  // namespace sluice
