// What the threads of one engine share: relay ports, whose they are, the clock, and the way up to the controller.
#pragma once

#include <time.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "buckets.h"
#include "challenge.h"
#include "commands.h"
#include "counters.h"
#include "dtls-sessions.h"
#include "memory.h"
#include "reply-budget.h"
#include "ring.h"
#include "streams.h"

namespace sluice {

/** One relay port. The controller's thread fills it in, and not again before all workers have let go of it. */
struct Relay {
  int fd;
  uint8_t worker;
  /** As peers see it. */
  Endpoint at;
  Limits limits;
  /** Of the client that it was opened for. */
  ClientTransport transport;
};

/** Whose relay port an own relayed address is: 0 for nobody's. */
class Owners {
 public:
  Owners() : ports_(65'536) {}

  /** Held by the plane in JavaScript. */
  static constexpr uint32_t elsewhere = UINT32_MAX;

  uint32_t of(uint16_t port) const { return ports_[port].load(std::memory_order_acquire); }
  void set(uint16_t port, uint32_t owner) { ports_[port].store(owner, std::memory_order_release); }

  static uint32_t place(uint32_t slot, uint8_t worker) { return static_cast<uint32_t>(worker) << 24 | (slot + 1); }
  static uint32_t slotAt(uint32_t owner) { return (owner & 0xffffff) - 1; }
  static uint8_t workerAt(uint32_t owner) { return static_cast<uint8_t>(owner >> 24); }

 private:
  Span<std::atomic<uint32_t>> ports_;
};

/** The ring for packets to relay ports held elsewhere, and the one for all streams. */
inline constexpr uint32_t ringElsewhere = maxListeners;
inline constexpr uint32_t ringOfStreams = maxListeners + 1;
inline constexpr uint32_t ringsUp = maxListeners + 2;

inline constexpr unsigned mostWorkers = 64;
inline constexpr unsigned mostOwnAddresses = 16;

/** Ends of TLS whose streams the controller has, until it says what becomes of them. */
class KeptEnds {
 public:
  void keep(uint32_t stream, std::unique_ptr<TlsEnd> end) {
    const std::lock_guard guard(lock_);
    ends_[stream] = std::move(end);
  }

  /** nullptr if there is none. */
  std::unique_ptr<TlsEnd> take(uint32_t stream) {
    const std::lock_guard guard(lock_);
    const auto found = ends_.find(stream);
    if (found == ends_.end()) return nullptr;
    auto end = std::move(found->second);
    ends_.erase(found);
    return end;
  }

 private:
  std::mutex lock_;
  std::unordered_map<uint32_t, std::unique_ptr<TlsEnd>> ends_;
};

struct Shared {
  Shared(unsigned workers, uint32_t relays, uint32_t ways, uint32_t buckets)
      : workers(workers), ways(ways), relays(relays), buckets(buckets), usage(nullptr) {}

  const unsigned workers;
  /** Room for the ways of each worker. */
  const uint32_t ways;
  Span<Relay> relays;
  Span<Bucket> buckets;
  /** By slot; in memory that JavaScript reads. */
  Usage* usage;
  /** Of joined connections, in the same way. */
  Usage* joined = nullptr;
  Counters* counters[mostWorkers] = {};
  const std::unique_ptr<CommandQueue[]> queues = std::make_unique<CommandQueue[]>(workers);
  /** Places of its ways that each worker has used up. */
  std::atomic<uint32_t> taken[mostWorkers] = {};
  /** From worker to worker: [to][from]. */
  std::unique_ptr<Ring> crossings[mostWorkers][mostWorkers];
  /** To the controller, by worker: one for each listener for datagrams, then these. */
  std::unique_ptr<Ring> up[mostWorkers][ringsUp];
  Owners owners[mostOwnAddresses];
  Shortcuts shortcuts{};
  /** Of the plane's clock: until then the controller answers every Binding request itself. */
  std::atomic<Micros> bindingsGoUpUntil{0};
  ReplyBudget replies;
  DtlsLimits dtls{};
  StreamLimits streams{};
  /** Nanoseconds that the plane's clock is ahead of the monotonic one. */
  std::atomic<int64_t> clockOffset{0};
  /** If not nullptr, the plane's clock is what stands there: that of a test, which owns the time. */
  const std::atomic<Micros>* ownedClock = nullptr;

  /** What clients over TLS and DTLS are shown from now on. */
  std::mutex credentialsLock;
  std::shared_ptr<const Credentials> credentials;

  KeptEnds ends;

  /** What strangers are told from now on. */
  std::mutex challengeLock;
  std::shared_ptr<const Challenge> challenge;

  /** Relay ports that a worker has closed, their usage final. */
  std::mutex closedLock;
  std::vector<uint32_t> closed;
  /** And pairs of joined connections that have ended, in the same way. */
  std::vector<uint32_t> parted;

  /** Called by workers; tells the controller once until it has looked. */
  void wakeController() {
    if (!isAwake.exchange(true, std::memory_order_acq_rel)) wake(wakeContext);
  }
  std::atomic<bool> isAwake{false};
  void (*wake)(void*) = nullptr;
  void* wakeContext = nullptr;

  /** The plane's clock: monotonic, anchored by the controller. */
  Micros now() const {
    if (ownedClock) return ownedClock->load(std::memory_order_acquire);
    return (monotonic() + clockOffset.load(std::memory_order_relaxed)) / 1000;
  }
  static int64_t monotonic() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

  /** The worker at which a client's packets arrive; Engine::steer has the kernel count the same way. */
  unsigned homeOf(const Endpoint& client) const {
    if (workers == 1) return 0;
    uint32_t mixed = 0;
    for (unsigned i = 0; i < (client.family == 4 ? 4 : 16); i += 4)
      mixed = (mixed ^ read32(client.address.bytes() + i)) * steeringKey;
    mixed = (mixed ^ client.port) * steeringKey;
    return (mixed >> 16) % workers;
  }
  /** Odd and secret, so that nobody can choose to be at the same worker always. */
  uint32_t steeringKey = 1;
};

}  // namespace sluice
