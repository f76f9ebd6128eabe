// Pairs of TCP connections that one thread carries on as one (joins.ts has the rule): what comes by either leaves by the
// other, through a pipe that the kernel fills and empties (splice(2)), no faster than the slower one takes it. Where the
// client's is TLS, through memory, and its records are opened and sealed on the way.
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "pipes.h"
#include "shared.h"
#include "timer.h"

namespace sluice {

/** What the controller wants of a thread's pairs. */
struct JoinOrder {
  uint32_t slot;
  /** Of the client and of the peer, the thread's from here on; below 0 to break off the pair that there is. */
  int fds[2] = {-1, -1};
  /** What was read of each before. */
  std::vector<uint8_t> early[2];
  Limits limits;
  /** They end when nothing has come for so long; 0 for never. */
  Micros idle = 0;
  /** The client's, if it is TLS. */
  std::unique_ptr<TlsEnd> tls;
};

class Joins {
 public:
  /** In place of a socket's number, in the worker's epoll. */
  static constexpr uint32_t mark = UINT32_MAX - 2;

  explicit Joins(Shared& shared);
  ~Joins();
  Joins(const Joins&) = delete;
  Joins& operator=(const Joins&) = delete;

  bool isOpen() const { return epoll_ >= 0 && eventFd_ >= 0; }
  /** What the worker is to wait for, so that it has its `turn`. */
  int epoll() const { return epoll_; }
  /** From the controller's thread. */
  void push(JoinOrder&& order);
  /** A few of those that are ready, a piece each. Returns whether there may be more. */
  bool turn();

 private:
  /** One direction. */
  struct Flow {
    /** What is on its way: bytes that were read before or by way of TLS, else in the pipe. */
    std::vector<uint8_t> early;
    Pipe pipe;
    uint32_t bytes = 0;
    /** The limits have let it pass, and it is counted. */
    bool isAdmitted = false;
    /** The other end takes no more for now. */
    bool isBlocked = false;
    /** It may not pass for now, or there is no pipe for it. */
    bool isHeld = false;
    /** Nothing more comes. */
    bool hasEnded = false;
    /** And that has been passed on. */
    bool isDone = false;
  };

  struct Pair {
    uint32_t slot;
    /** Client, peer. */
    int fds[2];
    /** What epoll waits for; `unwatched` if it does not even know the socket. */
    uint32_t awaited[2];
    /** To the peer, to the client: by the index of where it comes from. */
    Flow flows[2];
    Limits limits;
    Micros idle;
    /** When something came last. */
    Micros since;
    /** One of the waiting. */
    bool isWaiting;
    std::unique_ptr<TlsEnd> tls;
    /** What TLS itself has to say to the client. No more is read of who does not take it. */
    std::vector<uint8_t> said;
    bool hasSaidGoodbye;
  };
  static constexpr uint32_t unwatched = UINT32_MAX;

  void obey();
  void begin(JoinOrder& order);
  void happened(Pair& pair, unsigned end, uint32_t events);
  void tick();
  void serve(Pair& pair);
  bool pump(Pair& pair, unsigned from);
  bool fill(Pair& pair, unsigned from);
  bool fillByMemory(Pair& pair, unsigned from);
  bool seal(Pair& pair);
  void say(Pair& pair);
  bool drain(Pair& pair, unsigned from);
  void hold(Pair& pair, Flow& flow);
  void await(Pair& pair, unsigned end);
  void breakOff(Pair& pair);
  void end(Pair& pair);
  void keepTime();

  Shared& shared_;
  const int epoll_;
  const int eventFd_;
  Timer timer_;
  Pipes pipes_;
  /** What came by TLS's way, as it came and as it is meant. */
  std::vector<uint8_t> came_;
  std::vector<uint8_t> plain_;
  /** By slot. */
  std::unordered_map<uint32_t, Pair> pairs_;
  /** With something held. */
  std::vector<uint32_t> waiting_;
  std::mutex lock_;
  std::vector<JoinOrder> orders_;
};

}  // namespace sluice
