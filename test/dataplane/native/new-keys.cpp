// A client over TLS 1.3 that asks for new keys on and on, and reads none of the answers that TLS itself gives to that, under
// AddressSanitizer, without Node. ./new-keys CERTIFICATE KEY; it fails if nobody hangs up on it long before there is no room.

#include <poll.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "engine.h"
#include "tls-client.h"

using namespace sluice;

namespace {

/** An answer takes 27 bytes, a socket some 200 KB of them, and a thread should keep no more than that of one client. */
constexpr unsigned mostChanges = 50'000;

void require(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::_Exit(1);
}

void await(int fd, short events) {
  pollfd one{fd, events, 0};
  require(poll(&one, 1, 10'000) == 1, "it waits for nothing");
}

}  // namespace

int main(int, char** arguments) {
  signal(SIGPIPE, SIG_IGN);
  Counters counters[1] = {};
  Usage usage[1] = {};
  const StreamLimits streams{.streams = 1, .waitingBytes = 64 * 1024 * 1024, .handshakes = 1, .handshake = INT64_MAX,
                             .firstFrame = INT64_MAX, .strangerIdle = INT64_MAX, .idle = INT64_MAX};
  const Engine::Options options{.workers = 1, .relays = 1, .ways = 16, .buckets = 1, .shortcuts = {true, true},
                                .replies = {.intervalNanos = 10'000, .burst = 100}, .byRing = false, .streams = streams,
                                .counters = counters, .usage = usage, .joined = nullptr, .ownedClock = nullptr,
                                .wake = [](void*) {}, .wakeContext = nullptr};
  Engine engine(options);
  require(engine.start(options) == 0, "start");
  uint64_t memory[1024];
  engine.giveRing(0, ringOfStreams, reinterpret_cast<uint8_t*>(memory), sizeof memory);
  engine.show(credentialsOf(arguments[1], arguments[2]));
  int ends[2];
  require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "socketpair");
  require(engine.adopt(firstStream, ends[1], Endpoint{}, nullptr, 0, true) == 0, "adopt");
  ::close(ends[1]);
  engine.flush(0, true);

  TlsClient client(ends[0]);
  while (!client.shakeHands()) await(ends[0], POLLIN);
  const uint8_t frame[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
  unsigned changes = 0;
  for (;; changes++) {
    client.changeKeys();
    ssize_t sent;
    while ((sent = client.send(frame, sizeof frame)) < 0 && errno == EAGAIN) await(ends[0], POLLOUT);
    if (sent < 0) break;
    require(changes < mostChanges, "no end");
  }
  std::printf("hung up on after %u changes\n", changes);
  engine.stop();
  ::close(ends[0]);
}
