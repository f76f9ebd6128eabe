// The clients, and the requests with which they get what they need of the server: allocations, permissions, channels.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stun.h"
#include "window.h"
#include "udp-wire.h"

namespace load {

struct Client {
  std::string nonce;
  Address relayed;
};

enum class Request { allocate, permit, bindPeer, bindPartner, renew, release };

constexpr uint16_t peerChannel = 0x4000;
constexpr uint16_t partnerChannel = 0x4001;
constexpr uint32_t lifetimeSeconds = 3600;

/** Client number i is the host `firstClient + i`; its peer is the host `firstPeer + i`. */
struct Fleet {
  Address server;
  uint32_t firstClient, firstPeer;
  std::string username, realm;
  HmacSha1 key;
  std::unique_ptr<Wire> clientWire;
  UdpWire peerWire;
  /** Peers on it have a permission but no channel, so that what they send comes as Data indications. */
  UdpWire unboundPeerWire;
  std::vector<Client> clients;

  uint32_t clientIp(size_t index) const { return firstClient + uint32_t(index); }
  uint32_t peerIp(size_t index) const { return firstPeer + uint32_t(index); }
  /** The other client of a pair that talks relay to relay. */
  static size_t partnerOf(size_t index) { return index ^ 1; }
};

/** Takes clients through a list of requests, many at a time, and answers challenges on the way. */
class Conversations {
 public:
  Conversations(Fleet& fleet, std::vector<Request> script, size_t concurrency)
      : fleet_(fleet), script_(std::move(script)), conversations_(concurrency) {
    prefix_ = nanoseconds();
  }

  size_t completed() const { return completed_; }
  size_t retransmitted() const { return retransmitted_; }

  /** Runs until `next` has no further client and all have finished. Throws if the server refuses or stays silent. */
  void run(const std::function<std::optional<size_t>()>& next) {
    bool isOver = false;
    while (!isOver || active_ > 0) {
      for (size_t slot = 0; slot < conversations_.size() && !isOver && active_ < conversations_.size(); slot++) {
        if (conversations_[slot].isActive) continue;
        const std::optional<size_t> client = next();
        isOver = !client.has_value();
        if (client) begin(slot, *client);
      }
      fleet_.clientWire->flush();
      for (const Packet& packet : fleet_.clientWire->receive()) arrived(packet);
      retransmit(nanoseconds());
    }
    fleet_.clientWire->flush();
  }

 private:
  struct Conversation {
    bool isActive = false;
    size_t client = 0;
    size_t step = 0;
    TransactionId id{};
    uint64_t sentAt = 0;
    int tries = 0;
    int challenges = 0;
  };

  void begin(size_t slot, size_t client) {
    if (client >= fleet_.clients.size()) fleet_.clients.resize(client + 1);
    if (client >= slots_.size()) slots_.resize(client + 1, none);
    slots_[client] = slot;
    conversations_[slot] = {.isActive = true, .client = client};
    active_++;
    ask(conversations_[slot]);
  }

  void ask(Conversation& conversation) {
    prefix_++;
    std::memcpy(conversation.id.data(), &prefix_, sizeof prefix_);
    conversation.tries = 0;
    send(conversation);
  }

  void send(Conversation& conversation) {
    const Client& client = fleet_.clients[conversation.client];
    uint8_t* at = fleet_.clientWire->room(fleet_.clientIp(conversation.client), fleet_.server);
    fleet_.clientWire->put(write(at, script_[conversation.step], conversation, client));
    conversation.sentAt = nanoseconds();
    conversation.tries++;
  }

  size_t write(uint8_t* at, Request request, const Conversation& conversation, const Client& client) {
    static constexpr Method methods[] = {Method::allocate,    Method::createPermission, Method::channelBind,
                                         Method::channelBind, Method::refresh,          Method::refresh};
    Writer writer(at, methods[size_t(request)], Class::request, conversation.id);
    const Address peer{fleet_.peerIp(conversation.client), fleet_.peerWire.port()};
    switch (request) {
      case Request::allocate:
        writer.number(Attribute::requestedTransport, 17u << 24);
        writer.number(Attribute::lifetime, lifetimeSeconds);
        break;
      case Request::permit:
        writer.xorAddress(Attribute::xorPeerAddress, peer);
        break;
      case Request::bindPeer:
        writer.number(Attribute::channelNumber, uint32_t(peerChannel) << 16);
        writer.xorAddress(Attribute::xorPeerAddress, peer);
        break;
      case Request::bindPartner:
        writer.number(Attribute::channelNumber, uint32_t(partnerChannel) << 16);
        writer.xorAddress(Attribute::xorPeerAddress, fleet_.clients[Fleet::partnerOf(conversation.client)].relayed);
        break;
      case Request::renew:
        writer.number(Attribute::lifetime, lifetimeSeconds);
        break;
      case Request::release:
        writer.number(Attribute::lifetime, 0);
        break;
    }
    if (!client.nonce.empty()) {
      writer.text(Attribute::username, fleet_.username);
      writer.text(Attribute::realm, fleet_.realm);
      writer.text(Attribute::nonce, client.nonce);
      writer.integrity(fleet_.key);
    }
    return writer.length();
  }

  void arrived(const Packet& packet) {
    const size_t index = packet.local - fleet_.firstClient;
    if (index >= slots_.size() || slots_[index] == none) return;
    Conversation& conversation = conversations_[slots_[index]];
    const Reader message(packet.bytes);
    if (!message.isStun() || !message.isAnswerTo(conversation.id)) return;
    const int code = message.errorCode();
    if ((code == 401 || code == 438) && conversation.challenges++ < 3) return answerChallenge(conversation, message);
    if (code != 0) refused(script_[conversation.step], std::to_string(code));
    Client& client = fleet_.clients[index];
    if (script_[conversation.step] == Request::allocate) client.relayed = message.xorAddress(Attribute::xorRelayedAddress);
    if (script_[conversation.step] == Request::release) client = {};
    if (++conversation.step < script_.size()) return ask(conversation);
    conversation.isActive = false;
    slots_[index] = none;
    active_--;
    completed_++;
  }

  void answerChallenge(Conversation& conversation, const Reader& message) {
    const Bytes nonce = message.attribute(Attribute::nonce);
    fleet_.clients[conversation.client].nonce.assign(nonce.begin(), nonce.end());
    ask(conversation);
  }

  void retransmit(uint64_t now) {
    if (now < scannedAt_ + 20'000'000) return;
    scannedAt_ = now;
    for (Conversation& conversation : conversations_) {
      if (!conversation.isActive || now < conversation.sentAt + 500'000'000) continue;
      if (conversation.tries == 20) refused(script_[conversation.step], "no answer");
      retransmitted_++;
      send(conversation);
    }
  }

  [[noreturn]] static void refused(Request request, const std::string& why) {
    static constexpr const char* names[] = {"Allocate",    "CreatePermission", "ChannelBind",
                                            "ChannelBind", "Refresh",          "Refresh"};
    throw std::runtime_error(std::string(names[size_t(request)]) + ": " + why);
  }

  static constexpr size_t none = SIZE_MAX;
  Fleet& fleet_;
  std::vector<Request> script_;
  std::vector<Conversation> conversations_;
  /** Client → its conversation. */
  std::vector<size_t> slots_;
  size_t active_ = 0, completed_ = 0, retransmitted_ = 0;
  uint64_t prefix_ = 0, scannedAt_ = 0;
};

}  // namespace load
