// Wakes a thread that sleeps in epoll, for what has to be done although nothing comes: handshakes are repeated, and silence
// ends.
#pragma once

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>

namespace sluice {

class Timer {
 public:
  /** In place of a socket's number, in epoll. */
  static constexpr uint32_t mark = UINT32_MAX - 1;

  explicit Timer(int epoll) : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    epoll_event event{.events = EPOLLIN, .data = {.u32 = mark}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event);
  }
  ~Timer() { ::close(fd_); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /** From now on; 0 for never. */
  void every(int millis) {
    if (millis == millis_) return;
    millis_ = millis;
    const timespec interval{millis / 1000, millis % 1000 * 1'000'000};
    const itimerspec times{interval, interval};
    timerfd_settime(fd_, 0, &times, nullptr);
  }

  /** After a wake. */
  void settle() const {
    uint64_t times;
    [[maybe_unused]] const ssize_t read = ::read(fd_, &times, sizeof times);
  }

 private:
  const int fd_;
  int millis_ = 0;
};

}  // namespace sluice
