// What the controller's thread tells a worker, off the packet path: a list under a lock, and an eventfd that wakes. It is
// bounded, should a worker get no time: packets and routes are refused then, and counted as congested.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "table.h"

namespace sluice {

struct Command {
  enum class Kind : uint8_t {
    listen,
    listenSecurely,
    show,
    challenge,
    admit,
    adopt,
    ownStream,
    resume,
    release,
    hangUp,
    openRelay,
    closeRelay,
    route,
    unroute,
    expect,
    askAgain,
    send,
    arrive,
    stop
  };

  Kind kind;
  /** route: whether packets of that leg arrive at this worker. */
  bool hasClient = false;
  bool hasPeer = false;
  /** arrive: how many relay ports it has passed through, this one included. */
  unsigned hops = 0;
  /** send, out of a relay port: whether it must not be fragmented. */
  bool dontFragment = false;
  /** ownStream: whether its client has relay ports, and of those some that excuse any silence. */
  bool hasRelay = false;
  bool mayBeSilent = false;
  /** adopt: whether it is TLS. */
  bool isSecure = false;
  /** Which it is about: a listener, a relay port, a session or a stream. */
  uint32_t socket = 0;
  int fd = -1;
  Micros until = 0;
  /** route, unroute; admit: at which listener, and where from; adopt: where from. */
  Leg client{};
  /** route, unroute; send: where to, and whether it may leave; expect, arrive: where from. */
  Leg peer{};
  /** Where its bytes lie among those of the list. */
  uint32_t offset = 0;
  uint32_t length = 0;
};

struct CommandList {
  std::vector<Command> commands;
  std::vector<uint8_t> bytes;

  void clear() {
    commands.clear();
    bytes.clear();
  }
};

class CommandQueue {
 public:
  CommandQueue() : eventFd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~CommandQueue() { ::close(eventFd_); }
  CommandQueue(const CommandQueue&) = delete;
  CommandQueue& operator=(const CommandQueue&) = delete;

  int eventFd() const { return eventFd_; }

  /**
   * False if it waits for too much already. What ends something is always taken: there is no more of it than there is to
   * be ended.
   */
  bool push(Command command, const uint8_t* bytes = nullptr, uint32_t length = 0) {
    const std::lock_guard guard(lock_);
    if (isMore(command.kind) && list_.commands.size() >= mostCommands) return false;
    if (list_.bytes.size() + length > mostBytes) return false;
    command.offset = static_cast<uint32_t>(list_.bytes.size());
    command.length = length;
    if (length > 0) list_.bytes.insert(list_.bytes.end(), bytes, bytes + length);
    list_.commands.push_back(command);
    hasOrders_.store(true, std::memory_order_release);
    return true;
  }

  /** Of packets to be sent or judged, and of orders that begin something. */
  static constexpr size_t mostBytes = 1024 * 1024;
  static constexpr size_t mostCommands = 65'536;

  /** To be asked between receiving a packet and judging it: an order given before the packet was sent is seen. */
  bool hasOrders() const { return hasOrders_.load(std::memory_order_acquire); }

  void wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(eventFd_, &one, sizeof one);
  }

  /** Everything pushed so far, in exchange for an empty list. */
  void take(CommandList& into) {
    const std::lock_guard guard(lock_);
    hasOrders_.store(false, std::memory_order_relaxed);
    std::swap(list_, into);
  }

  /** What waits to be obeyed. */
  size_t size() {
    const std::lock_guard guard(lock_);
    return list_.commands.size();
  }

  /** After a wake, before looking at what it was for. */
  void settle() const {
    uint64_t count;
    [[maybe_unused]] const ssize_t read = ::read(eventFd_, &count, sizeof count);
  }

 private:
  static bool isMore(Command::Kind kind) {
    return kind == Command::Kind::route || kind == Command::Kind::send || kind == Command::Kind::arrive;
  }

  const int eventFd_;
  std::mutex lock_;
  CommandList list_;
  std::atomic<bool> hasOrders_{false};
};

}  // namespace sluice
