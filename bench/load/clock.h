// What is measured: time, latency, and the CPU that other processes spent.
#pragma once

#include <dirent.h>
#include <time.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace load {

inline uint64_t nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1'000'000'000 + uint64_t(now.tv_nsec);
}

/** CPU time of every thread of the processes, as the scheduler charged it, in nanoseconds. */
inline uint64_t cpuNanoseconds(const std::vector<int>& pids) {
  uint64_t total = 0;
  for (const int pid : pids) {
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task/";
    DIR* directory = opendir(tasks.c_str());
    if (directory == nullptr) continue;
    while (const dirent* entry = readdir(directory)) {
      if (entry->d_name[0] == '.') continue;
      FILE* file = fopen((tasks + entry->d_name + "/schedstat").c_str(), "r");
      if (file == nullptr) continue;
      unsigned long long onCpu = 0;
      if (fscanf(file, "%llu", &onCpu) == 1) total += onCpu;
      fclose(file);
    }
    closedir(directory);
  }
  return total;
}

/** Counts durations in buckets 1/32 of their power of two wide: about 3 % resolution over the whole range. */
class Histogram {
 public:
  void add(uint64_t duration) {
    buckets_[bucketOf(duration)]++;
    count_++;
  }

  /** The middle of the bucket in which this share (0 to 1) of all durations is reached; 0 if there are none. */
  uint64_t quantile(double share) const {
    uint64_t left = uint64_t(double(count_) * share);
    for (size_t bucket = 0; bucket < buckets_.size(); bucket++) {
      if (buckets_[bucket] > left) return middleOf(bucket);
      left -= buckets_[bucket];
    }
    return 0;
  }

 private:
  static size_t bucketOf(uint64_t duration) {
    if (duration < 32) return size_t(duration);
    const unsigned shift = unsigned(std::bit_width(duration)) - 6;
    return 32 * (shift + 1) + size_t((duration >> shift) & 31);
  }

  static uint64_t middleOf(size_t bucket) {
    if (bucket < 32) return bucket;
    const unsigned shift = unsigned(bucket / 32) - 1;
    return ((32 + bucket % 32) << shift) + ((uint64_t(1) << shift) >> 1);
  }

  std::array<uint64_t, 32 * 60> buckets_{};
  uint64_t count_ = 0;
};

}  // namespace load
