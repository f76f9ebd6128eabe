// One thread, its listener sockets, its relay ports and its routes. It shares nothing that it would have to lock for.
#pragma once

#include <pthread.h>

#include "inbox.h"
#include "joins.h"
#include "outbox.h"
#include "frame-room.h"
#include "icmp-errors.h"
#include "timer.h"
#include "records.h"
#include "ring-inbox.h"
#include "shared.h"

namespace sluice {

/** Kinds of what crosses from worker to worker. */
enum Crossing : uint8_t { atListener, atRelay, outOfRelay, intoSession, intoStream };

/** Kinds of what is handed up (native-rings.ts). */
enum class UpKind : uint8_t { datagram, knock, ended, icmp, released };

class Worker : private DtlsSurroundings, private StreamSurroundings {
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
  Joins& joins() { return joins_; }

 private:
  /** Payload of a packet, how many bytes in front of it may be overwritten, and DSCP and ECN of the packet. */
  struct Payload {
    uint8_t* bytes;
    uint32_t length;
    uint32_t room;
    uint8_t trafficClass;
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
    /** A listener for DTLS. */
    bool isSecure;
    /** Its error queue has or may have something, to be read when it has its turn. */
    bool hasErrors;
    /** When it may tell of as many errors at once as ever; in the past, if it may. */
    Micros errorsRestedAt;
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

  /** Of a relay port. `unsentTo`: the port of the peer for whom the last packet was, if it had to leave in one piece. */
  void takeErrors(uint32_t socket, uint16_t unsentTo = 0);
  void tell(uint32_t socket, const IcmpError& error);

  /** `isUnderReview`: the controller has seen what this client asked before, and what it answers to that holds. */
  void fromClient(uint32_t socket, const Endpoint& from, const Payload& packet, bool isUnderReview);
  void judge(uint32_t socket, const Endpoint& from, const Payload& packet, bool isUnderReview);
  bool isUnanswered(uint32_t socket, const Endpoint& client);
  bool isOpen(const Way& way, uint16_t port) const;
  void turnStreams();
  /** Whether something can be done without waiting for anything. */
  bool hasMore() const { return readyCount_ > 0 || haveJoinsTurn_ || (streams_ && streams_->areReady()); }
  bool isHere(uint32_t socket) const { return sockets_[socket].fd != 0; }
  void fromPeer(uint32_t socket, const Endpoint& from, const Payload& payload, unsigned hops);
  void follow(const Verdict& verdict, const Endpoint& from, const Payload& payload, unsigned hops);
  void toPeer(const Leg& to, uint16_t port, bool mayLeave, const Payload& payload, const Account& account, unsigned hops);
  void toOwn(uint32_t owner, const Leg& to, uint16_t port, const Payload& payload, unsigned hops);
  void toClient(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account);
  void answer(uint32_t socket, const Endpoint& from, const uint8_t* request, bool hasFingerprint);
  void challenge(uint32_t socket, const Endpoint& from, const Payload& request, bool hasFingerprint);
  void handUp(uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length);
  /** Room for `length` bytes by way of this listener, to be filled in and then committed; nullptr if there is none. */
  Record* reserveUp(uint32_t listener, UpKind kind, const Endpoint& from, uint32_t length);
  void commitUp(uint32_t listener);
  bool mayPass(uint32_t relaySocket, bool toPeer, uint32_t length);
  Account accountOf(uint32_t relaySocket, bool toPeer);

  /** For another worker, to be filled in further and then committed; nullptr if it was dropped for want of room. */
  Record* cross(unsigned worker, uint8_t kind, uint32_t socket, const Endpoint& peer, const Payload& payload);
  void commit(unsigned worker);
  void takeCrossings();
  void arrive(Record& record);

  /** By way of which the controller hears of it. */
  uint32_t listenerOf(uint32_t socket) const {
    if (isStream(socket)) return ringOfStreams;
    return isSession(socket) ? dtls_->listenerOf(sessionOf(socket)) : socket;
  }
  static uint32_t sessionOf(uint32_t socket) { return socket - firstSession; }
  std::shared_ptr<const Credentials> shownCredentials();
  void listenSecurely(uint32_t listener);
  void keepTime();
  void admit(const Command& command, const uint8_t* hello);
  void toSession(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account);
  /** What of a record counts, and where. */
  struct Counted {
    Account account;
    uint32_t payloadBytes = 0;
  };
  void encrypt(uint32_t socket, const Endpoint& client, const uint8_t* bytes, uint32_t length, const Counted& counted);
  void transmit(uint32_t listener, const Endpoint& to, const uint8_t* bytes, uint32_t length) override;
  uint8_t* payloadRoom() override;
  void decrypted(uint32_t session, const Endpoint& from, uint8_t* payload, uint32_t length) override;
  void knock(uint32_t listener, const Endpoint& from, const uint8_t* hello, uint32_t length) override;
  bool ended(uint32_t listener, uint32_t session) override;
  void malformed() override { counters_.drop(Drop::malformed); }

  void adopt(const Command& command, const uint8_t* early);
  void toStream(const Leg& to, const Endpoint& peer, const Payload& payload, const Account& account);
  void arriveAtStream(uint32_t socket, const Payload& frame);
  bool crossFramed(unsigned home, const Leg& to, const Endpoint& peer, const Payload& payload);
  uint8_t* roomForFrames(uint32_t bytes) override;
  void keepFrames(const uint8_t* end) override { frames_->keep(end); }
  void obeyBefore() override { obey(); }
  void framed(uint32_t socket, const Endpoint& from, uint8_t* bytes, uint32_t length) override;
  bool streamEnded(uint32_t socket) override;
  bool streamReleased(uint32_t socket, int fd, const uint8_t* early, uint32_t length, std::unique_ptr<TlsEnd>& end) override;
  void lost(uint64_t frames) override { counters_.drop(Drop::congested, frames); }

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
  /** nullptr while there is no listener for DTLS. */
  std::unique_ptr<Records> records_;
  std::unique_ptr<DtlsSessions> dtls_;
  std::unique_ptr<Timer> timer_;
  /** nullptr until there is a client on a stream. */
  std::unique_ptr<FrameRoom> frames_;
  std::unique_ptr<Streams> streams_;
  Counted inRecord_;
  Joins joins_;
  bool haveJoinsTurn_ = false;
  /** nullptr while first Allocate requests are the controller's. */
  std::shared_ptr<const Challenge> challenge_;
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
  /** Like Socket::errorsRestedAt, of all relay ports together. */
  Micros errorsRestedAt_ = 0;
  uint64_t crossedTo_ = 0;
  bool isStopped_ = false;
  bool isRunning_ = false;
  pthread_t thread_{};
};

}  // namespace sluice
