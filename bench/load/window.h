// The measured part of a run, and how many packets may be under way at once.
#pragma once

#include <cstdint>
#include <vector>

#include "clock.h"

namespace load {

/** Opens after a warm-up and closes `seconds` later; what was counted and what the server spent in between is the result. */
class Window {
 public:
  Window(const std::vector<int>& pids, double seconds)
      : pids_(pids), opensAt_(nanoseconds() + 150'000'000), length_(uint64_t(seconds * 1e9)) {}

  bool isOpen() const { return openedAt_ != 0 && closedAt_ == 0; }

  /** To be called often with the count so far. Says whether the run goes on. */
  bool goesOn(uint64_t now, uint64_t count) {
    if (openedAt_ == 0 && now >= opensAt_) {
      countAtOpening_ = count;
      cpuAtOpening_ = cpuNanoseconds(pids_);
      openedAt_ = nanoseconds();
    } else if (isOpen() && now >= openedAt_ + length_) {
      counted_ = count - countAtOpening_;
      cpu_ = cpuNanoseconds(pids_) - cpuAtOpening_;
      closedAt_ = nanoseconds();
    }
    return closedAt_ == 0;
  }

  uint64_t counted() const { return counted_; }
  double seconds() const { return double(closedAt_ - openedAt_) / 1e9; }
  double cpuSeconds() const { return double(cpu_) / 1e9; }

 private:
  const std::vector<int>& pids_;
  uint64_t opensAt_, length_;
  uint64_t openedAt_ = 0, closedAt_ = 0;
  uint64_t countAtOpening_ = 0, cpuAtOpening_ = 0, counted_ = 0, cpu_ = 0;
};

/** Keeps at most `limit` packets under way. What has not come after a silence is given up, so that loss ends no run. */
class UnderWay {
 public:
  explicit UnderWay(uint64_t limit) : limit_(limit) {}

  uint64_t sent() const { return sent_; }
  uint64_t lost() const { return sent_ > arrived_ ? sent_ - arrived_ : 0; }
  uint64_t stalls() const { return stalls_; }
  bool hasRoomFor(uint64_t count) const { return open_ + count <= limit_; }
  void count(uint64_t packets) { sent_ += packets, open_ += packets; }

  void arrived(uint64_t now) {
    arrived_++;
    if (open_ > 0) open_--;
    heardAt_ = now;
  }

  void giveUpSilent(uint64_t now) {
    if (heardAt_ == 0) heardAt_ = now;
    if (open_ == 0 || now < heardAt_ + silence) return;
    open_ = 0;
    heardAt_ = now;
    stalls_++;
  }

  /** After the end: whether something may still come. */
  bool mayStillCome(uint64_t now) const { return lost() > 0 && now < heardAt_ + patience; }

 private:
  static constexpr uint64_t silence = 300'000'000;
  static constexpr uint64_t patience = 1'000'000'000;
  uint64_t limit_;
  uint64_t sent_ = 0, arrived_ = 0, open_ = 0, heardAt_ = 0, stalls_ = 0;
};

}  // namespace load
