// What a worker does for clients over DTLS.

#include <algorithm>

#include "worker.h"

namespace sluice {

std::shared_ptr<const Credentials> Worker::shownCredentials() {
  const std::lock_guard guard(shared_.credentialsLock);
  return shared_.credentials;
}

void Worker::listenSecurely(uint32_t listener) {
  if (!dtls_) {
    records_ = std::make_unique<Records>();
    DtlsSurroundings& around = *this;
    dtls_ = std::make_unique<DtlsSessions>(around, shared_.dtls);
    dtls_->show(shownCredentials());
  }
  sockets_[listener].isSecure = true;
}


void Worker::admit(const Command& command, const uint8_t* hello) {
  dtls_->admit(sessionOf(command.socket), command.client.socket, command.client.peer, hello, command.length, now_);
}

void Worker::toSession(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account) {
  uint8_t* const at = records_->framePayload();
  const uint32_t headerBytes = writeHeader(at, to.framing, peer, payload.length, random_);
  const uint32_t paddingBytes = paddingOf(to.framing, payload.length);
  const uint32_t length = headerBytes + payload.length + paddingBytes;
  if (headerBytes == none || length > DtlsSessions::mostPayloadBytes) return counters_.drop(Drop::congested);
  std::memcpy(at, payload.bytes, payload.length);
  std::memset(at + payload.length, 0, paddingBytes);
  encrypt(to.socket, to.peer, at - headerBytes, length, {account, payload.length});
}

void Worker::encrypt(uint32_t socket, const Endpoint& client, const uint8_t* bytes, uint32_t length,
                     const Counted& counted) {
  if (const unsigned home = shared_.homeOf(client); home != index_) {
    if (!cross(home, intoSession, socket, client, {const_cast<uint8_t*>(bytes), length, 0, 0})) return;
    counted.account.add(1, counted.payloadBytes);
    commit(home);
    return;
  }
  inRecord_ = counted;
  if (!dtls_->send(sessionOf(socket), bytes, length)) counters_.drop(Drop::congested);
  inRecord_ = {};
}

void Worker::transmit(uint32_t listener, const Endpoint& to, const uint8_t* bytes, uint32_t length) {
  if (!records_->hasRoomFor(length)) sendAll();
  uint8_t* const record = records_->take(length);
  std::memcpy(record, bytes, length);
  // Only the payload counts, and all else of the record stands before it, as far as an outbox can tell.
  const uint32_t payloadBytes = std::min(inRecord_.payloadBytes, length);
  uint8_t* const payload = record + length - payloadBytes;
  toClients_.add(sockets_[listener].fd, to, to.port, {record, length - payloadBytes, payload, payloadBytes, 0},
                 inRecord_.account);
  if (toClients_.isFull()) sendAll();
}

uint8_t* Worker::payloadRoom() {
  if (!records_->hasRoomFor(Records::headroom + DtlsSessions::mostPayloadBytes)) sendAll();
  return records_->next() + Records::headroom;
}

void Worker::decrypted(uint32_t session, const Endpoint& from, uint8_t* payload, uint32_t length) {
  records_->take(Records::headroom + length);
  judge(firstSession + session, from, {payload, length, Records::headroom}, false);
}

void Worker::knock(uint32_t listener, const Endpoint& from, const uint8_t* hello, uint32_t length) {
  Record* const record = reserveUp(listener, UpKind::knock, from, length);
  if (!record) return counters_.drop(Drop::flooded);
  std::memcpy(record->bytes(), hello, length);
  commitUp(listener);
}

bool Worker::ended(uint32_t listener, uint32_t session) {
  Record* const record = reserveUp(listener, UpKind::ended, {}, 0);
  if (!record) return false;
  record->socket = firstSession + session;
  commitUp(listener);
  return true;
}

}  // namespace sluice
