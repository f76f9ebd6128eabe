// The routes of one thread, as routes.ts has them: each arrival leg belongs to one way at a time. Sized at the start:
// open addressing over an array of ways, no allocation after that. No syscall.
#pragma once

#include <algorithm>
#include <bit>

#include "memory.h"
#include "wire.h"

namespace sluice {

/** Of the plane's clock. */
using Micros = int64_t;

/** How payload is wrapped on a leg; any other value is a channel number. */
inline constexpr uint16_t bare = 0;
inline constexpr uint16_t indication = 1;

inline constexpr uint32_t none = UINT32_MAX;

/** Sockets are numbered: listeners first, then relay ports by their slot, and far behind them DTLS sessions and streams. */
inline constexpr uint32_t maxListeners = 32;
inline constexpr uint32_t firstSession = 0x80000000;
inline constexpr uint32_t firstStream = 0xc0000000;
inline bool isRelay(uint32_t socket) { return socket >= maxListeners && socket < firstSession; }
inline bool isSession(uint32_t socket) { return socket >= firstSession && socket < firstStream; }
inline bool isStream(uint32_t socket) { return socket >= firstStream; }
/** Whether clients have sockets of their own there, which threads and not the kernel tell apart. */
inline bool isConnected(uint32_t socket) { return socket >= firstSession; }
inline uint32_t slotOf(uint32_t socket) { return socket - maxListeners; }

struct Leg {
  uint32_t socket;
  uint16_t framing;
  Endpoint peer;
  /** Whether policy lets packets leave here for a peer that is not one of our own relay ports. */
  bool mayLeave;
  /** Which of our own relayed addresses the peer's address is; noOwnAddress for none. */
  uint8_t ownAddress;
};
inline constexpr uint8_t noOwnAddress = UINT8_MAX;

inline bool isSameLeg(const Leg& one, const Leg& other) {
  return one.socket == other.socket && one.framing == other.framing && one.peer == other.peer;
}

/** Where a packet arrives. What a client sends in indications arrives for one peer address (`toward`) at a time. */
struct Key {
  Address from;
  Address toward;
  uint32_t socket;
  uint16_t port;
  uint16_t framing;

  bool operator==(const Key&) const = default;

  /** In place of a framing that packets can have: that a client is known. */
  static constexpr uint16_t presence = 3;
  /** The same: that ChannelData from there is handed up where no route takes it. */
  static constexpr uint16_t expected = 4;

  static Key of(uint32_t socket, const Endpoint& from, uint16_t framing) {
    return {from.address, {}, socket, from.port, static_cast<uint16_t>(framing | (from.family == 6 ? 0x8000 : 0))};
  }
  static Key ofSend(uint32_t socket, const Endpoint& from, const Endpoint& peer) {
    Key key = of(socket, from, peer.family == 6 ? indication + 1 : indication);
    key.toward = peer.address;
    return key;
  }
};
static_assert(sizeof(Key) == 40);

/** One direction of a route: what arrives at `key` leaves on `to`. */
struct Way {
  Key key;
  Leg from;
  Leg to;
  Micros until;
  /** The other direction, if this thread has it. */
  uint32_t twin;
  /** The ways over one relay port hang together, so that they can end with it. */
  uint32_t next, previous;
  bool toPeer;
  /** Ports of the peer to which policy let an indication go; only a way of Send indications has them. */
  uint8_t openedPorts;
  uint16_t opened[6];

  uint32_t anchor() const {
    if (isRelay(from.socket)) return slotOf(from.socket);
    return isRelay(to.socket) ? slotOf(to.socket) : none;
  }
  bool isOpened(uint16_t port) const {
    for (unsigned i = 0; i < sizeof opened / sizeof *opened; i++)
      if (opened[i] == port) return true;
    return false;
  }
};

class Table {
 public:
  /** `anchors` is how many relay ports there can be. */
  Table(uint32_t ways, uint32_t anchors, uint64_t seed)
      : ways_(ways), index_(std::bit_ceil(uint64_t{ways} * 2)), anchors_(anchors), seed_(seed) {}

  /** The live way from here, or nullptr. */
  Way* find(const Key& key, Micros now) {
    Way* way = at(key);
    return way && now < way->until ? way : nullptr;
  }

  /** `hasClient` and `hasPeer`: whether packets of that leg arrive at this thread. False if there is no room. */
  bool route(const Leg& client, const Leg& peer, Micros until, Micros now, bool hasClient, bool hasPeer) {
    sweep(now);
    if (hasClient && !isRelay(client.socket)) know(client, until);
    const Key clientKey = client.framing == indication ? Key::ofSend(client.socket, client.peer, peer.peer)
                                                       : Key::of(client.socket, client.peer, client.framing);
    const Key peerKey = Key::of(peer.socket, peer.peer, peer.framing);
    Way former{};
    if (Way* way = hasClient ? at(clientKey) : nullptr) {
      former = *way;
      // That Send indications find one route only is this table's affair, and costs no route its other direction.
      if (client.framing == indication) part(*way);
      end(*way);
    }
    if (Way* way = hasPeer ? at(peerKey) : nullptr) end(*way);
    // Asked only now: a route that is sent again takes the place that it had.
    if (taken() + 2 > ways_.size()) return false;
    // Between a leg and itself there is one way.
    Way* toPeer = hasClient && !(hasPeer && clientKey == peerKey) ? file(clientKey, client, peer, until, true) : nullptr;
    Way* toClient = hasPeer && peer.framing != indication ? file(peerKey, peer, client, until, false) : nullptr;
    if (toPeer && toClient) {
      toPeer->twin = number(*toClient);
      toClient->twin = number(*toPeer);
    }
    if (toPeer && isSameLeg(former.from, client) && isSameLeg(former.to, peer)) {
      toPeer->openedPorts = former.openedPorts;
      std::memcpy(toPeer->opened, former.opened, sizeof former.opened);
    }
    return true;
  }

  /** Ends the route between these two legs, and no other that holds one of them. */
  void unroute(const Leg& client, const Leg& peer) {
    Way* toPeer = at(client.framing == indication ? Key::ofSend(client.socket, client.peer, peer.peer)
                                                  : Key::of(client.socket, client.peer, client.framing));
    if (toPeer && isSameLeg(toPeer->from, client) && isSameLeg(toPeer->to, peer)) end(*toPeer);
    Way* toClient = at(Key::of(peer.socket, peer.peer, peer.framing));
    if (toClient && isSameLeg(toClient->from, peer) && isSameLeg(toClient->to, client)) end(*toClient);
  }

  /** Has ChannelData from this client handed up until then, where no route takes it. False if there is no room. */
  bool expect(uint32_t socket, const Endpoint& from, Micros until, Micros now) {
    const Key key = Key::of(socket, from, Key::expected);
    if (Way* way = at(key)) end(*way);
    if (until <= now) return true;
    if (used_ - free_ + 1 > ways_.size()) return false;
    const Leg nowhere{.socket = socket, .framing = Key::expected, .peer = from, .mayLeave = false, .ownAddress = noOwnAddress};
    file(key, nowhere, nowhere, until, true);
    return true;
  }

  /** Ends every route over this relay port. */
  void forget(uint32_t slot) {
    while (anchors_[slot] != 0) end(ways_[anchors_[slot] - 1]);
  }

  /** Lets Send indications go to this port of the peer, since the controller let one go. */
  void open(uint32_t relay, const Endpoint& peer) {
    Endpoint any = peer;
    any.port = 0;
    Way* toClient = at(Key::of(relay, any, bare));
    if (!toClient || toClient->twin == none) return;
    Way& way = ways_[toClient->twin];
    if (way.from.framing != indication || way.isOpened(peer.port)) return;
    way.opened[way.openedPorts] = peer.port;
    way.openedPorts = static_cast<uint8_t>((way.openedPorts + 1) % (sizeof way.opened / sizeof *way.opened));
  }

  /** Of all peers: no Send indication goes anywhere before the controller has let one go there again. */
  void closePorts() {
    for (uint32_t i = 0; i < used_; i++) std::memset(ways_[i].opened, 0, sizeof ways_[i].opened);
  }

  /** Whether a client has a route there, or had one until a little while ago. */
  bool knows(uint32_t socket, const Endpoint& client, Micros now) {
    return find(Key::of(socket, client, Key::presence), now) != nullptr;
  }

  /** Keyed: nobody can choose whose hash is like whose. */
  uint64_t hashOf(const Key& key) const {
    uint64_t words[5];
    static_assert(sizeof words == sizeof key);
    std::memcpy(words, static_cast<const void*>(&key), sizeof key);
    const uint64_t other = std::rotl(seed_, 29);
    const uint64_t hash = fold(words[0] ^ seed_, words[1] ^ other) ^ std::rotl(fold(words[2] ^ other, words[3] ^ seed_), 17);
    return fold(hash ^ words[4], seed_ ^ 0x9e3779b97f4a7c15);
  }

  uint32_t number(const Way& way) const { return static_cast<uint32_t>(&way - &ways_[0]); }
  /** Places that are not free. */
  uint32_t taken() const { return used_ - free_; }
  /** How many ways there are, those included whose end has passed. */
  uint32_t size() const { return taken() - known_; }

 private:
  /** A place in the index: the upper half of the key's hash, and the number of its way plus one, 0 for empty. */
  struct Entry {
    uint32_t tag;
    uint32_t way;
  };

  Way* at(const Key& key) {
    const uint64_t hash = hashOf(key);
    const uint64_t mask = index_.size() - 1;
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (uint64_t i = hash & mask; index_[i].way != 0; i = (i + 1) & mask) {
      if (index_[i].tag == tag && ways_[index_[i].way - 1].key == key) return &ways_[index_[i].way - 1];
    }
    return nullptr;
  }

  /** Until the last of its routes would end: in a place like that of a way, which no packet takes. */
  void know(const Leg& client, Micros until) {
    const Key key = Key::of(client.socket, client.peer, Key::presence);
    if (Way* known = at(key)) {
      known->until = std::max(known->until, until);
    } else if (taken() < ways_.size()) {
      file(key, client, {}, until, false);
      known_++;
    }
  }

  Way* file(const Key& key, const Leg& from, const Leg& to, Micros until, bool toPeer) {
    Way& way = take();
    way.key = key;
    way.from = from;
    way.to = to;
    way.until = until;
    way.twin = none;
    way.toPeer = toPeer;
    way.openedPorts = 0;
    std::memset(way.opened, 0, sizeof way.opened);
    const uint64_t hash = hashOf(key);
    const uint64_t mask = index_.size() - 1;
    uint64_t i = hash & mask;
    while (index_[i].way != 0) i = (i + 1) & mask;
    index_[i] = {static_cast<uint32_t>(hash >> 32), number(way) + 1};
    hang(way);
    return &way;
  }

  /** Ends the way and its twin. */
  void end(Way& way) {
    const uint32_t twin = way.twin;
    remove(way);
    if (twin != none) remove(ways_[twin]);
  }

  /** From its twin. */
  void part(Way& way) {
    if (way.twin != none) ways_[way.twin].twin = none;
    way.twin = none;
  }

  void remove(Way& way) {
    unhang(way);
    vacate(way);
    if ((way.key.framing & 0x7fff) == Key::presence) known_--;
    way.until = 0;
    way.twin = none;
    way.key.socket = none;
    way.next = firstFree_;
    firstFree_ = number(way) + 1;
    free_++;
  }

  /** Closes the gap, so that no lookup ends too early: what follows moves back where its hash allows it. */
  void vacate(const Way& way) {
    const uint64_t mask = index_.size() - 1;
    uint64_t gap = hashOf(way.key) & mask;
    while (index_[gap].way != number(way) + 1) gap = (gap + 1) & mask;
    for (uint64_t i = (gap + 1) & mask; index_[i].way != 0; i = (i + 1) & mask) {
      const uint64_t home = hashOf(ways_[index_[i].way - 1].key) & mask;
      if (((i - home) & mask) < ((i - gap) & mask)) continue;
      index_[gap] = index_[i];
      gap = i;
    }
    index_[gap] = {};
  }

  Way& take() {
    if (firstFree_ == 0) return ways_[used_++];
    Way& way = ways_[firstFree_ - 1];
    firstFree_ = way.next;
    free_--;
    return way;
  }

  void hang(Way& way) {
    way.next = way.previous = 0;
    const uint32_t anchor = way.anchor();
    if (anchor == none) return;
    way.next = anchors_[anchor];
    if (way.next != 0) ways_[way.next - 1].previous = number(way) + 1;
    anchors_[anchor] = number(way) + 1;
  }

  void unhang(Way& way) {
    const uint32_t anchor = way.anchor();
    if (anchor == none) return;
    if (way.previous != 0) ways_[way.previous - 1].next = way.next;
    else anchors_[anchor] = way.next;
    if (way.next != 0) ways_[way.next - 1].previous = way.previous;
  }

  /** Each new route looks at a few old ones, so that ended ones never pile up and nothing ever scans them all. */
  void sweep(Micros now) {
    for (int i = 0; i < 4 && used_ > 0; i++) {
      swept_ = swept_ + 1 < used_ ? swept_ + 1 : 0;
      Way& way = ways_[swept_];
      if (way.key.socket != none && way.until <= now) end(way);
    }
  }

  static uint64_t fold(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }

  Span<Way> ways_;
  Span<Entry> index_;
  /** By slot: the first way over that relay port, plus one. */
  Span<uint32_t> anchors_;
  const uint64_t seed_;
  uint32_t used_ = 0;
  uint32_t free_ = 0;
  /** Places for clients that are known. */
  uint32_t known_ = 0;
  uint32_t firstFree_ = 0;
  uint32_t swept_ = 0;
};

}  // namespace sluice
