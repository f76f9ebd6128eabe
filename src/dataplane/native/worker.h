// One thread, its listener sockets, its relay ports and its routes. It shares nothing that it would have to lock for.
#pragma once

#include <pthread.h>

#include "inbox.h"
#include "outbox.h"
#include "ring-inbox.h"
#include "shared.h"

namespace sluice {

class Worker {
 public:
  /** `epoll` is the worker's from here on. By io_uring, if wanted and to be had. */
  Worker(Shared& shared, unsigned index, int epoll, uint64_t seed, bool byRing);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  bool start();
  /** From any thread: packets that come in by this socket are the worker's, once it has been told of it. */
  void watch(int fd, uint32_t socket);
  /** After Command::stop. */
  void join();

 private:
  /** Payload of a packet, and how many bytes in front of it may be overwritten. */
  struct Payload {
    uint8_t* bytes;
    uint32_t length;
    uint32_t room;
  };

  struct Socket {
    /** 0, which Node keeps for itself, unless packets that come in here are this worker's. */
    int fd;
    /** Packets that the kernel dropped here, as far as they are counted. */
    uint32_t overflowed;
    /** Waits for its turn. */
    bool isReady;
    /** The ring receives its packets, or has yet to let go of it. */
    bool isArmed;
  };

  /** What some client asked the controller last. */
  struct Question {
    uint32_t socket;
    /** Where it ends in the ring of that listener. */
    uint64_t end;
  };

  void run();
  void turn();
  void turnByRing();
  void takeFromRing();
  void arm(uint32_t socket);
  void endRing();
  /** Returns whether there may be more. */
  bool wait(bool mayBlock);
  void enqueue(uint32_t socket);
  void serve(uint32_t socket);
  void receive(uint32_t socket, const Arrival& arrival);
  void sendAll();
  void flush();

  /** `isUnderReview`: the controller has seen what this client asked before, and what it answers to that holds. */
  void fromClient(uint32_t socket, const Endpoint& from, const Payload& packet, bool isUnderReview);
  bool isUnanswered(uint32_t socket, const Endpoint& client);
  bool isOpen(const Way& way, uint16_t port) const;
  bool isHere(uint32_t socket) const { return sockets_[socket].fd != 0; }
  void fromPeer(uint32_t socket, const Endpoint& from, const Payload& payload, unsigned hops);
  void follow(const Verdict& verdict, const Endpoint& from, const Payload& payload, unsigned hops);
  void toPeer(const Leg& to, uint16_t port, bool mayLeave, const Payload& payload, const Account& account, unsigned hops);
  void toOwn(uint32_t owner, const Leg& to, uint16_t port, const Payload& payload, unsigned hops);
  void toClient(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account);
  void answer(uint32_t socket, const Endpoint& from, const uint8_t* request, bool hasFingerprint);
  void handUp(uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length);
  bool mayPass(uint32_t relaySocket, bool toPeer, uint32_t length);
  Account accountOf(uint32_t relaySocket, bool toPeer);

  /** For another worker, to be filled in further and then committed; nullptr if it was dropped for want of room. */
  Record* cross(unsigned worker, uint8_t kind, uint32_t socket, const Endpoint& peer, const uint8_t* bytes, uint32_t length);
  void commit(unsigned worker);
  void takeCrossings();
  void arrive(Record& record);

  void obey();
  void perform(const Command& command, uint8_t* bytes);
  void closeRelay(uint32_t socket);
  void announceClosed(uint32_t socket);
  void send(const Command& command, uint8_t* bytes);

  Shared& shared_;
  const unsigned index_;
  const int epoll_;
  Counters& counters_;
  Table table_;
  Inbox inbox_;
  /** In place of it, where the kernel has what it takes. */
  std::unique_ptr<RingInbox> ring_;
  Uring sending_;
  /** Apart, since packets from clients and packets from peers come mixed, and leave by different sockets. */
  Outbox toPeers_;
  Outbox toClients_;
  /** Listeners, then relay ports. */
  Span<Socket> sockets_;
  /** Sockets that have or may have something to read, in turn. A socket is in it once at most. */
  Span<uint32_t> ready_;
  size_t readyBegin_ = 0;
  size_t readyCount_ = 0;
  CommandList orders_;
  /** By a hash of the client; who shares a place by chance is held to have asked, too. */
  static constexpr uint32_t mostQuestions = 4096;
  Span<Question> questions_{mostQuestions};
  Micros now_ = 0;
  uint64_t random_;
  bool hasHandedUp_ = false;
  uint64_t crossedTo_ = 0;
  bool isStopped_ = false;
  bool isRunning_ = false;
  pthread_t thread_{};
};

}  // namespace sluice
