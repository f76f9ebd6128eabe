// How much may pass: token buckets that fill by themselves as time goes by, shared by relay ports on any threads
// (traffic-limits.ts has the rule). Nobody waits for anybody: two threads that take the last of one both get it, and
// what was taken too much is missing afterwards. No syscall.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "table.h"

namespace sluice {

/** A bucket is empty when more than this is missing: a second's worth is all that there is in one. */
inline constexpr int64_t bucketDepthNanos = 1'000'000'000;

/** Zeroed, it limits nothing. */
class alignas(64) Bucket {
 public:
  /** Makes it new and full; only while no relay port names it. A cost of 0 is no limit. */
  void begin(double nanosPerByte, double nanosPerPacket) {
    nanosPerByte_ = nanosPerByte;
    nanosPerPacket_ = nanosPerPacket;
    for (auto& direction : fullAt_)
      for (auto& fullAt : direction) fullAt.store(0, std::memory_order_relaxed);
  }

  bool isEmpty(bool toPeer, Micros now) const {
    const auto& [bytes, packets] = fullAt_[toPeer];
    const int64_t emptyFrom = now * 1000 + bucketDepthNanos;
    return bytes.load(std::memory_order_relaxed) >= emptyFrom || packets.load(std::memory_order_relaxed) >= emptyFrom;
  }

  void take(bool toPeer, uint32_t length, Micros now) {
    auto& [bytes, packets] = fullAt_[toPeer];
    postpone(bytes, nanosPerByte_ * length, now * 1000);
    postpone(packets, nanosPerPacket_, now * 1000);
  }

  bool isFull(Micros now) const {
    for (const auto& direction : fullAt_)
      for (const auto& fullAt : direction)
        if (fullAt.load(std::memory_order_relaxed) > now * 1000) return false;
    return true;
  }

 private:
  static void postpone(std::atomic<int64_t>& fullAt, double cost, int64_t now) {
    if (cost == 0) return;
    const auto nanos = static_cast<int64_t>(cost + 0.5);
    int64_t was = fullAt.load(std::memory_order_relaxed);
    while (!fullAt.compare_exchange_weak(was, std::max(was, now) + nanos, std::memory_order_relaxed)) {
    }
  }

  double nanosPerByte_;
  double nanosPerPacket_;
  /** By direction, to the client first: when the bytes and when the packets that were taken will have flowed back. */
  std::atomic<int64_t> fullAt_[2][2];
};

/** The buckets that one relay port names. */
struct Limits {
  static constexpr unsigned most = 4;
  uint8_t count = 0;
  uint32_t buckets[most] = {};
};

/** Whether there is something in all of them; if so, a packet of so many bytes is taken out of each. */
template <typename Buckets>
bool admits(Buckets& buckets, const Limits& limits, bool toPeer, uint32_t length, Micros now) {
  for (unsigned i = 0; i < limits.count; i++)
    if (buckets[limits.buckets[i]].isEmpty(toPeer, now)) return false;
  for (unsigned i = 0; i < limits.count; i++) buckets[limits.buckets[i]].take(toPeer, length, now);
  return true;
}

}  // namespace sluice
