// Pipes for splice(2). A direction has one only while something is in it: most connections wait most of the time.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

namespace sluice {

struct Pipe {
  int out = -1;
  int in = -1;
};

class Pipes {
 public:
  Pipes() { idle_.reserve(mostIdle); }
  ~Pipes() {
    for (const Pipe& pipe : idle_) close(pipe);
  }
  Pipes(const Pipes&) = delete;
  Pipes& operator=(const Pipes&) = delete;

  /** What Linux gives a pipe: sixteen pages. More would have who reads slowly hold more of our memory. */
  static constexpr uint32_t bytes = 64 * 1024;

  /** An empty one; false if there are no descriptors for it. */
  bool take(Pipe& pipe) {
    if (idle_.empty()) {
      int ends[2];
      if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
      pipe = {ends[0], ends[1]};
      return true;
    }
    pipe = idle_.back();
    idle_.pop_back();
    return true;
  }

  /** The caller has none from here on. */
  void giveBack(Pipe& pipe, bool isEmpty) {
    if (pipe.out < 0) return;
    if (isEmpty && idle_.size() < mostIdle) idle_.push_back(pipe);
    else close(pipe);
    pipe = {};
  }

 private:
  static constexpr size_t mostIdle = 16;

  static void close(const Pipe& pipe) {
    ::close(pipe.out);
    ::close(pipe.in);
  }

  std::vector<Pipe> idle_;
};

}  // namespace sluice
