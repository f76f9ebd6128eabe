// How many Binding answers strangers at one network get from all threads together, as reply-budget.ts has it for what the
// controller answers: for each /24 of IPv4 and /56 of IPv6, in fixed memory addressed by a keyed hash. No syscall.
#pragma once

#include <algorithm>
#include <atomic>

#include "memory.h"
#include "table.h"

namespace sluice {

class ReplyBudget {
 public:
  struct Rate {
    /** Between two answers; 0 for no limit. */
    int64_t intervalNanos;
    /** Answers at once, after a while without any. */
    int64_t burst;
  };

  ReplyBudget() : fullAt_(buckets) {}

  void begin(const Rate& rate, uint64_t seed) {
    rate_ = rate;
    seed_ = seed;
  }

  /** Whether one more answer may go there; if so, it is spent. */
  bool admits(const Endpoint& to, Micros now) {
    std::atomic<int64_t>& fullAt = fullAt_[bucketOf(to)];
    const int64_t nanos = now * 1000;
    int64_t was = fullAt.load(std::memory_order_relaxed);
    int64_t next;
    do {
      next = std::max(was, nanos) + rate_.intervalNanos;
      if (next > nanos + rate_.intervalNanos * rate_.burst) return false;
    } while (!fullAt.compare_exchange_weak(was, next, std::memory_order_relaxed));
    return true;
  }

 private:
  static constexpr uint32_t buckets = 16'384;

  uint32_t bucketOf(const Endpoint& to) const {
    uint64_t network = 0;
    std::memcpy(&network, to.address.bytes(), to.family == 4 ? 3 : 7);
    return mixed(network ^ seed_, seed_ | 1) % buckets;
  }

  static uint64_t mixed(uint64_t value, uint64_t factor) {
    const auto product = static_cast<unsigned __int128>(value) * factor;
    const auto folded = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    const auto again = static_cast<unsigned __int128>(folded) * 0x9e3779b97f4a7c15;
    return static_cast<uint64_t>(again) ^ static_cast<uint64_t>(again >> 64);
  }

  Rate rate_{};
  uint64_t seed_ = 0;
  Span<std::atomic<int64_t>> fullAt_;
};

}  // namespace sluice
