// The threads and what they share, as the controller's thread sees them. Every call is made on that one thread.
#pragma once

#include <memory>
#include <vector>

#include "worker.h"

namespace sluice {

class Engine {
 public:
  struct Options {
    unsigned workers;
    uint32_t relays;
    /** Directions of routes that each worker has room for. */
    uint32_t ways;
    /** Limits that relay ports may name. */
    uint32_t buckets;
    Shortcuts shortcuts;
    ReplyBudget::Rate replies;
    /** Whether to receive through io_uring where the kernel has it. */
    bool byRing;
    DtlsLimits dtls;
    StreamLimits streams;
    /** One each for every worker, and one for every relay port: zeroed, and outliving the engine. */
    Counters* counters;
    Usage* usage;
    /** One for every pair of joined connections. */
    Usage* joined;
    /** See Shared. */
    const std::atomic<Micros>* ownedClock;
    /** A worker has something for the controller: called on its thread, once until `begin`. */
    void (*wake)(void*);
    void* wakeContext;
  };

  explicit Engine(const Options& options);
  ~Engine() { stop(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /** 0, or an errno. */
  int start(const Options& options);
  void stop();

  /** Where what `worker` hands up from this listener comes by; or one of the others that Shared has. */
  void giveRing(unsigned worker, uint32_t listener, uint8_t* memory, uint32_t capacity);
  Ring& ring(unsigned worker, uint32_t listener) { return *shared_.up[worker][listener]; }

  /** For plain datagrams or for DTLS. The bound port, or a negative errno. */
  int listen(uint32_t listener, const Endpoint& at, bool isSecure);
  /** To clients over TLS and DTLS. There has to be a first time before any of them. */
  void show(std::shared_ptr<const Credentials> credentials);
  /** Has first Allocate requests answered so; nullptr: handed up. False if that is too long for a thread to write. */
  bool challenge(std::shared_ptr<const Challenge> challenge);
  /** Begins a DTLS session with the ClientHello that knocked at this listener. False if its thread has too much to do. */
  bool admit(uint32_t session, uint32_t listener, const Endpoint& client, const uint8_t* hello, uint32_t length);
  /**
   * Takes over a stream from its client, of which `early` was read before: what is behind this descriptor, which stays the
   * caller's. If it is TLS, from its first byte on. 0, or an errno.
   */
  int adopt(uint32_t stream, int fd, const Endpoint& client, const uint8_t* early, uint32_t length, bool isSecure);
  /** What `command` says, about a stream. */
  void tell(uint32_t stream, Command command);
  /** 0, or an errno; ENOBUFS if the worker of that client has too many routes already. */
  int openRelay(uint32_t slot, const Endpoint& bind, const Endpoint& at, const Endpoint& client, const Limits& limits,
                ClientTransport transport);
  void closeRelay(uint32_t slot);
  /** For another route over this relay port, whatever becomes of all that its worker has yet to be told. */
  bool hasRoom(uint32_t slot);
  Bucket& bucket(uint32_t index) { return shared_.buckets[index]; }
  /** For packets of another plane's relay ports. */
  bool admits(const Limits& limits, bool toPeer, uint32_t length, Micros now) {
    return sluice::admits(shared_.buckets, limits, toPeer, length, now);
  }
  void setOwner(uint8_t ownAddress, uint16_t port, uint32_t owner) { shared_.owners[ownAddress].set(port, owner); }
  uint32_t placeOf(uint32_t slot) const { return Owners::place(slot, shared_.relays[slot].worker); }
  /** False if a worker has more orders than it can take. */
  bool route(const Leg& client, const Leg& peer, Micros until);
  void unroute(const Leg& client, const Leg& peer);
  void expect(uint32_t listener, const Endpoint& from, Micros until);
  void handUpBindings(Micros until) { shared_.bindingsGoUpUntil.store(until, std::memory_order_relaxed); }
  /** What policy has let go counts no more for Send indications. */
  void askAgain();
  /** By a thread, when it gets to it: that of the client, or of the relay port. False if it has more orders than it can take. */
  bool send(uint32_t socket, const Leg& to, const uint8_t* bytes, uint32_t length, bool dontFragment);
  /** A packet from elsewhere in the process, for a relay port; or one for a listener that the controller was handed. */
  bool arrive(uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length, unsigned hops);
  /** Has a thread carry these two on as one, by descriptors of its own; `client`: the stream that it was, if it is TLS. 0, or an errno. */
  int join(JoinOrder order, uint32_t client);
  /** No pair is made of a stream that was released, if it is TLS. */
  void dropEnd(uint32_t stream) { shared_.ends.take(stream); }
  void breakOffJoin(uint32_t slot) { workers_[slot % shared_.workers]->joins().push({.slot = slot}); }
  /** Pairs that have ended by now, their usage final. */
  std::vector<uint32_t> takeParted();

  /** Sets the clock, and wakes whoever has got orders; without `all`, only those whose orders wait for nothing else. */
  void flush(Micros now, bool all);

  /** From now on another `wake` comes. */
  void begin() { shared_.isAwake.store(false, std::memory_order_release); }
  /** Relay ports that are closed by now, their usage final, their slots free. */
  std::vector<uint32_t> takeClosed();

 private:
  unsigned homeOf(const Leg& leg) const;
  /** Orders about routes hold for every packet that arrives from now on, so nobody has to be woken for them. */
  bool push(unsigned worker, const Command& command);
  bool pushUrgently(unsigned worker, const Command& command, const uint8_t* bytes = nullptr, uint32_t length = 0);
  void steer(int fd);

  Shared shared_;
  /** By index of a stream: its worker. */
  Span<uint8_t> streamHomes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  /** Memory of the rings between workers. */
  std::vector<std::unique_ptr<Span<uint8_t>>> memory_;
  /** By slot: routes of several workers run over it. */
  Span<bool> isSplit_;
  /** By slot: workers that have yet to forget it. */
  Span<uint8_t> closing_;
  /** Workers with orders, and those that have to be woken for them at once. */
  uint64_t told_ = 0;
  uint64_t awaited_ = 0;
};

}  // namespace sluice
