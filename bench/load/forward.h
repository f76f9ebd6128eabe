// Media through the relay: who sends to whom, what is checked where it arrives, and what came of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "clients.h"

namespace load {

/** `direct` leaves the relay out: what the generator can do by itself. */
enum class Direction { toPeer, toClient, echo, relayToRelay, direct };

struct ForwardOptions {
  Direction direction = Direction::toPeer;
  bool isByIndication = false;
  size_t size = 172;
  uint32_t clients = 1;
  uint32_t burst = 1;
  uint32_t underWay = 64;
  double seconds = 1;
  /** Packets a second at even distances; 0 sends as soon as a packet may be under way. */
  double rate = 0;
};

struct ForwardResult {
  uint64_t sent = 0, forwarded = 0, lost = 0, corrupt = 0, reordered = 0, stalls = 0;
  double seconds = 0, cpuSeconds = 0;
  /** Share of turns in which the generator could not send as everything was under way: near 0, it was the limit itself. */
  double fullShare = 0;
  uint64_t p50 = 0, p99 = 0;
};

class Forward {
 public:
  /** What each payload begins with. A fixed pattern follows to its end. */
  struct Stamp {
    uint64_t run;
    uint64_t sentAt;
    uint32_t client;
    uint32_t sequence;
  };

  Forward(Fleet& fleet, const std::vector<int>& pids, const ForwardOptions& options)
      : fleet_(fleet),
        options_(options),
        window_(pids, options.seconds),
        underWay_(options.rate > 0 ? UINT64_MAX : std::max(options.underWay, options.burst)),
        peerWire_(options.isByIndication ? fleet.unboundPeerWire : fleet.peerWire),
        run_(nanoseconds()),
        nextSequence_(options.clients),
        lastSequence_(options.clients) {
    if (options.size < sizeof(Stamp) || options.size > Wire::largest - 64) throw std::runtime_error("no such size");
    if (options.direction == Direction::relayToRelay && options.clients % 2 != 0) throw std::runtime_error("odd pairs");
    for (size_t i = 0; i < pattern_.size(); i++) pattern_[i] = uint8_t(i * 167 + 13);
    indication_[0] = uint8_t(run_);
  }

  ForwardResult run() {
    const uint64_t begunAt = nanoseconds();
    uint64_t turns = 0, fullTurns = 0;
    for (uint64_t now = begunAt; window_.goesOn(now, forwarded_); now = nanoseconds()) {
      const bool isFull = options_.rate > 0 ? sendDue(now, begunAt) : fill(now);
      turns++;
      if (isFull) fullTurns++;
      collect();
      underWay_.giveUpSilent(now);
    }
    while (underWay_.mayStillCome(nanoseconds())) collect();
    return {.sent = underWay_.sent(),
            .forwarded = window_.counted(),
            .lost = underWay_.lost(),
            .corrupt = corrupt_,
            .reordered = reordered_,
            .stalls = underWay_.stalls(),
            .seconds = window_.seconds(),
            .cpuSeconds = window_.cpuSeconds(),
            .fullShare = double(fullTurns) / double(turns),
            .p50 = latency_.quantile(0.5),
            .p99 = latency_.quantile(0.99)};
  }

 private:
  /** Says whether there was no room for even one burst. */
  bool fill(uint64_t now) {
    if (!underWay_.hasRoomFor(options_.burst)) return true;
    while (underWay_.hasRoomFor(options_.burst)) sendBurst(now);
    sender().flush();
    return false;
  }

  bool sendDue(uint64_t now, uint64_t begunAt) {
    const uint64_t due = uint64_t(double(now - begunAt) * options_.rate / 1e9);
    if (underWay_.sent() + options_.burst > due) return true;
    for (size_t sent = 0; underWay_.sent() + options_.burst <= due && sent < Wire::batch; sent += options_.burst) sendBurst(now);
    sender().flush();
    return false;
  }

  void sendBurst(uint64_t now) {
    for (uint32_t i = 0; i < options_.burst; i++) send(turn_, now);
    turn_ = (turn_ + 1) % options_.clients;
    underWay_.count(options_.burst);
  }

  bool isFromPeer() const { return options_.direction == Direction::toClient; }
  Wire& sender() { return isFromPeer() ? static_cast<Wire&>(peerWire_) : *fleet_.clientWire; }

  void send(uint32_t client, uint64_t now) {
    const Stamp stamp{run_, now, client, ++nextSequence_[client]};
    if (isFromPeer()) {
      uint8_t* at = peerWire_.room(fleet_.peerIp(client), fleet_.clients[client].relayed);
      writePayload(at, stamp);
      peerWire_.put(options_.size);
      return;
    }
    const bool isDirect = options_.direction == Direction::direct;
    const Address to = isDirect ? Address{fleet_.peerIp(client), peerWire_.port()} : fleet_.server;
    uint8_t* at = fleet_.clientWire->room(fleet_.clientIp(client), to);
    if (isDirect) writePayload(at, stamp), fleet_.clientWire->put(options_.size);
    else fleet_.clientWire->put(options_.isByIndication ? writeIndication(at, stamp) : writeChannelData(at, stamp));
  }

  void writePayload(uint8_t* at, const Stamp& stamp) const {
    std::memcpy(at, &stamp, sizeof stamp);
    std::memcpy(at + sizeof stamp, &pattern_[sizeof stamp], options_.size - sizeof stamp);
  }

  size_t writeChannelData(uint8_t* at, const Stamp& stamp) const {
    write16(at, options_.direction == Direction::relayToRelay ? partnerChannel : peerChannel);
    write16(at + 2, uint16_t(options_.size));
    writePayload(at + 4, stamp);
    return options_.size + 4;
  }

  size_t writeIndication(uint8_t* at, const Stamp& stamp) {
    std::memcpy(&indication_[4], &stamp.sequence, sizeof stamp.sequence);
    Writer writer(at, Method::send, Class::indication, indication_);
    writer.xorAddress(Attribute::xorPeerAddress, {fleet_.peerIp(stamp.client), peerWire_.port()});
    writePayload(writer.attribute(Attribute::data, options_.size), stamp);
    return writer.length();
  }

  void collect() {
    const bool isToPeer = options_.direction == Direction::toPeer || options_.direction == Direction::direct;
    if (isToPeer || options_.direction == Direction::echo) {
      const auto packets = peerWire_.receive();
      const uint64_t now = nanoseconds();
      for (const Packet& packet : packets) arrivedAtPeer(packet, now);
      peerWire_.flush();
    }
    if (!isToPeer) {
      const auto packets = fleet_.clientWire->receive();
      const uint64_t now = nanoseconds();
      for (const Packet& packet : packets) arrivedAtClient(packet, now);
    }
  }

  void arrivedAtPeer(const Packet& packet, uint64_t now) {
    const size_t client = packet.local - fleet_.firstPeer;
    if (!isIntact(packet.bytes, client)) return;
    const bool isDirect = options_.direction == Direction::direct;
    const bool isFromItsClient = isDirect ? packet.from.ip == fleet_.clientIp(client) : packet.from == fleet_.clients[client].relayed;
    if (!isFromItsClient) return void(corrupt_++);
    forwarded_++;
    if (options_.direction != Direction::echo) return finished(packet.bytes, now);
    std::memcpy(peerWire_.room(packet.local, packet.from), packet.bytes.data(), packet.bytes.size());
    peerWire_.put(packet.bytes.size());
  }

  void arrivedAtClient(const Packet& packet, uint64_t now) {
    const size_t client = packet.local - fleet_.firstClient;
    const Bytes payload = options_.isByIndication ? readIndication(packet.bytes, client) : readChannelData(packet.bytes);
    const bool isRelayToRelay = options_.direction == Direction::relayToRelay;
    if (!isIntact(payload, isRelayToRelay ? Fleet::partnerOf(client) : client)) return;
    forwarded_++;
    finished(payload, now);
  }

  Bytes readChannelData(Bytes bytes) const {
    const uint16_t channel = options_.direction == Direction::relayToRelay ? partnerChannel : peerChannel;
    if (bytes.size() < 4 || read16(&bytes[0]) != channel || bytes.size() < 4u + read16(&bytes[2])) return {};
    return bytes.subspan(4, read16(&bytes[2]));
  }

  Bytes readIndication(Bytes bytes, size_t client) const {
    const Reader message(bytes);
    if (!message.isStun() || message.type() != typeOf(Method::data, Class::indication)) return {};
    const Address peer{fleet_.peerIp(client), peerWire_.port()};
    if (message.xorAddress(Attribute::xorPeerAddress) != peer) return {};
    return message.attribute(Attribute::data);
  }

  /** Whether this run's payload arrived whole where it belongs. Leftovers of earlier runs are nobody's mistake. */
  bool isIntact(Bytes payload, size_t client) {
    if (payload.size() < sizeof(Stamp)) return corrupt_++, false;
    Stamp stamp;
    std::memcpy(&stamp, payload.data(), sizeof stamp);
    if (stamp.run != run_) return false;
    const bool isWhole = payload.size() == options_.size && stamp.client == client && client < options_.clients &&
                         std::memcmp(&payload[sizeof stamp], &pattern_[sizeof stamp], options_.size - sizeof stamp) == 0;
    if (!isWhole) corrupt_++;
    return isWhole;
  }

  void finished(Bytes payload, uint64_t now) {
    Stamp stamp;
    std::memcpy(&stamp, payload.data(), sizeof stamp);
    if (stamp.sequence <= lastSequence_[stamp.client]) reordered_++;
    else lastSequence_[stamp.client] = stamp.sequence;
    if (window_.isOpen()) latency_.add(now - stamp.sentAt);
    underWay_.arrived(now);
  }

  Fleet& fleet_;
  const ForwardOptions options_;
  Window window_;
  UnderWay underWay_;
  UdpWire& peerWire_;
  const uint64_t run_;
  uint32_t turn_ = 0;
  uint64_t forwarded_ = 0, corrupt_ = 0, reordered_ = 0;
  std::vector<uint32_t> nextSequence_, lastSequence_;
  std::array<uint8_t, Wire::largest> pattern_{};
  TransactionId indication_{};
  Histogram latency_;
};

}  // namespace load
