// Joined connections under ThreadSanitizer or AddressSanitizer, without Node: pairs come and go while bytes pass both ways,
// of some clients over TLS. ./joins SECONDS THREADS CERTIFICATE KEY; it fails if one arrives changed, is lost on the way to
// an end that was heard of, or if a pair's end is not told of once.

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "engine.h"
#include "tls-client.h"

using namespace sluice;

namespace {

constexpr uint32_t slots = 16;

void require(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::exit(1);
}

/** The two ends of a TCP connection. */
void connection(int& here, int& there) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  require(bind(listener, reinterpret_cast<sockaddr*>(&at), length) == 0 && listen(listener, 1) == 0, "listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&at), &length);
  here = socket(AF_INET, SOCK_STREAM, 0);
  require(connect(here, reinterpret_cast<sockaddr*>(&at), length) == 0, "connect");
  there = accept(listener, nullptr, nullptr);
  require(there >= 0, "accept");
  close(listener);
}

uint8_t byteAt(uint64_t position, uint32_t key) { return static_cast<uint8_t>((position * 131 + key) >> 3); }

/** Far ends of joined connections, in a thread of their own. */
struct Side {
  int fd;
  uint32_t sendKey, receiveKey;
  uint64_t toSend, sent, received;
  bool hasEnded;
  std::unique_ptr<TlsClient> tls;

  ssize_t say(const uint8_t* bytes, size_t length) {
    return tls ? tls->send(bytes, length) : send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  ssize_t hear(uint8_t* bytes, size_t room) { return tls ? tls->receive(bytes, room) : recv(fd, bytes, room, MSG_DONTWAIT); }
  void sayEnd() {
    if (tls) tls->end();
    else shutdown(fd, SHUT_WR);
  }

  /** False when there is nothing more to do: it has sent all and heard the end, or was broken off. */
  bool turn() {
    uint8_t bytes[30'000];
    if (sent < toSend) {
      const size_t wanted = std::min<uint64_t>(sizeof bytes, toSend - sent);
      for (size_t i = 0; i < wanted; i++) bytes[i] = byteAt(sent + i, sendKey);
      if (tls && std::rand() % 8 == 0) tls->changeKeys();
      const ssize_t count = say(bytes, wanted);
      if (count < 0 && errno != EAGAIN) return false;
      if (count > 0) sent += static_cast<uint64_t>(count);
      if (sent == toSend) sayEnd();
    }
    const ssize_t count = hasEnded ? -1 : hear(bytes, sizeof bytes);
    if (!hasEnded && count < 0 && errno != EAGAIN) return false;
    for (ssize_t i = 0; i < count; i++, received++) require(bytes[i] == byteAt(received, receiveKey), "another byte came");
    if (count == 0) hasEnded = true;
    return !hasEnded || sent < toSend;
  }
};

struct Pair {
  /** What the controller has of it. */
  int hulls[2];
  Side sides[2];
  bool isBroken;
};

class Churn {
 public:
  Churn(unsigned workers, bool byRing, std::shared_ptr<const Credentials> credentials)
      : credentials_(std::move(credentials)), counters_(workers), usage_(1), joined_(slots) {
    Engine::Options options{.workers = workers, .relays = 1, .ways = 16, .buckets = 1, .shortcuts = {true, true},
                            .replies = {.intervalNanos = 10'000, .burst = 100}, .byRing = byRing, .streams = {.streams = 1}, .counters = counters_.data(),
                            .usage = usage_.data(), .joined = joined_.data(), .ownedClock = nullptr, .wake = [](void*) {},
                            .wakeContext = nullptr};
    engine_ = std::make_unique<Engine>(options);
    require(engine_->start(options) == 0, "start");
    engine_->flush(0, true);
    // A megabyte a second for half of them together.
    engine_->bucket(0).begin(1000, 0);
  }

  void run(double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(static_cast<int>(1000 * seconds));
    while (std::chrono::steady_clock::now() < end || parted_ == 0) {
      for (uint32_t slot = 0; slot < slots; slot++)
        if (!pairs_[slot]) begin(slot);
      turn();
      if (std::rand() % 50 == 0) breakOff(static_cast<uint32_t>(std::rand()) % slots);
      engine_->begin();
      takeParted();
    }
    std::printf("%llu pairs parted, %llu bytes received\n", static_cast<unsigned long long>(parted_),
                static_cast<unsigned long long>(received_));
    engine_->stop();
    for (auto& pair : pairs_)
      if (pair) closeAll(*pair);
  }

 private:
  void begin(uint32_t slot) {
    auto pair = std::make_unique<Pair>();
    joined_[slot] = {};
    JoinOrder order{.slot = slot};
    for (const unsigned end : {0u, 1u}) {
      Side& side = pair->sides[end];
      connection(side.fd, pair->hulls[end]);
      fcntl(pair->hulls[end], F_SETFL, O_NONBLOCK);
      side.sendKey = slot * 2 + end;
      side.receiveKey = slot * 2 + (1 - end);
      side.toSend = static_cast<uint64_t>(std::rand()) % 200'000;
      order.fds[end] = pair->hulls[end];
      // The first of it was read before.
      const uint64_t early = std::min<uint64_t>(side.toSend, static_cast<uint64_t>(std::rand()) % 20'000);
      for (; side.sent < early; side.sent++) order.early[end].push_back(byteAt(side.sent, side.sendKey));
      if (end == 0 && slot % 4 < 2) order.tls = secure(side, pair->hulls[end]);
      if (side.sent == side.toSend) side.sayEnd();
    }
    if (slot % 2 == 0) order.limits.buckets[order.limits.count++] = 0;
    require(engine_->join(std::move(order), 0) == 0, "join");
    pairs_[slot] = std::move(pair);
  }

  /** The server's end, once hands are shaken. */
  std::unique_ptr<TlsEnd> secure(Side& side, int theirs) {
    fcntl(side.fd, F_SETFL, O_NONBLOCK);
    side.tls = std::make_unique<TlsClient>(side.fd);
    auto end = TlsEnd::make(credentials_);
    std::vector<uint8_t> plain(65'536 + TlsEnd::mostKeptBytes), records;
    uint8_t came[65'536];
    while (!side.tls->shakeHands() || !end->isShaken()) {
      const ssize_t count = recv(theirs, came, sizeof came, MSG_DONTWAIT);
      if (count > 0) end->open(came, static_cast<uint32_t>(count), plain.data(), records);
      require(!end->isBroken(), "no handshake");
      if (!records.empty()) require(send(theirs, records.data(), records.size(), 0) > 0, "send");
      records.clear();
    }
    return end;
  }

  void turn() {
    for (auto& pair : pairs_) {
      if (!pair) continue;
      for (Side& side : pair->sides) side.turn();
    }
  }

  void breakOff(uint32_t slot) {
    if (!pairs_[slot]) return;
    pairs_[slot]->isBroken = true;
    if (std::rand() % 2 == 0) return engine_->breakOffJoin(slot);
    const linger atOnce{1, 0};
    const int fd = pairs_[slot]->sides[0].fd;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
    close(fd);
    pairs_[slot]->sides[0] = {-1, 0, 0, 0, 0, 0, true, nullptr};
    // Of a reset that comes when nothing may be sent to us, TCP need not hear.
    engine_->breakOffJoin(slot);
  }

  void takeParted() {
    for (const uint32_t slot : engine_->takeParted()) {
      require(pairs_[slot] != nullptr, "told of twice");
      Pair& pair = *pairs_[slot];
      if (!pair.isBroken) {
        for (Side& side : pair.sides)
          while (side.turn()) {
          }
        for (const unsigned end : {0u, 1u})
          require(pair.sides[end].received == pair.sides[1 - end].toSend, "not all of it came");
        require(joined_[slot].toPeer.bytes == pair.sides[0].toSend, "counted otherwise");
      }
      parted_++;
      for (const Side& side : pair.sides) received_ += side.received;
      closeAll(pair);
      pairs_[slot] = nullptr;
    }
  }

  static void closeAll(const Pair& pair) {
    for (const unsigned end : {0u, 1u}) {
      close(pair.hulls[end]);
      if (pair.sides[end].fd >= 0) close(pair.sides[end].fd);
    }
  }

  const std::shared_ptr<const Credentials> credentials_;
  std::vector<Counters> counters_;
  std::vector<Usage> usage_;
  std::vector<Usage> joined_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Pair> pairs_[slots];
  uint64_t parted_ = 0, received_ = 0;
};

}  // namespace

int main(int, char** arguments) {
  // OpenSSL writes without regard to that.
  signal(SIGPIPE, SIG_IGN);
  for (const bool byRing : {true, false})
    Churn(static_cast<unsigned>(std::atoi(arguments[2])), byRing, credentialsOf(arguments[3], arguments[4])).run(std::atof(arguments[1]));
}
