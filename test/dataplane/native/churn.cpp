// The engine with all its threads, without Node, under ThreadSanitizer or AddressSanitizer: relay ports are opened and
// closed, streams begin and end, half of them over TLS, and routes come and go while packets arrive, and ICMP errors.
// ./churn SECONDS THREADS CERTIFICATE KEY; it fails if nothing comes through, or if the kernel gives a client's packets to
// another thread than his.

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

constexpr uint32_t slots = 8;
constexpr uint16_t channel = 0x4001;

void require(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::exit(1);
}

struct End {
  int fd;
  Endpoint at;
};

Endpoint loopback(uint16_t port) {
  const uint8_t bytes[4] = {127, 0, 0, 1};
  return {Address::of(bytes, 4), port, 4};
}

End openEnd() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  SocketAddress address;
  writeSocketAddress(address, loopback(0), 0);
  require(fd >= 0 && bind(fd, &address.any, sizeof address.v4) == 0, "bind");
  socklen_t length = sizeof address;
  getsockname(fd, &address.any, &length);
  return {fd, endpointOf(address)};
}

void sendFrom(const End& end, const Endpoint& to, const void* bytes, size_t length) {
  SocketAddress address;
  writeSocketAddress(address, to, to.port);
  sendto(end.fd, bytes, length, MSG_DONTWAIT, &address.any, sizeof address.v4);
}

/** The two ends of a stream: ours, and what the engine is to adopt. */
struct Pair {
  int ours;
  int theirs;
};

Pair openStream() {
  int ends[2];
  require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "socketpair");
  return {ends[0], ends[1]};
}

/** Clients and peers, in a thread of their own: they send to everywhere, always, and count what comes. */
class World {
 public:
  explicit World(uint16_t listener) : listener_(loopback(listener)) {
    for (uint32_t i = 0; i < slots; i++) {
      clients.push_back(openEnd());
      peers.push_back(openEnd());
    }
    thread_ = std::thread([this] {
      while (!isOver_) turn();
    });
  }
  ~World() {
    isOver_ = true;
    thread_.join();
    for (const auto* ends : {&clients, &peers})
      for (const End& end : *ends) ::close(end.fd);
    for (const auto& stream : streams)
      if (stream != 0) ::close(stream);
  }

  std::vector<End> clients;
  std::vector<End> peers;
  std::atomic<uint16_t> relayPorts[slots] = {};
  /** Ends of streams, 0 for none. Those that are to end are closed by whoever writes to them. */
  std::atomic<int> streams[slots] = {};
  /** nullptr for plain ones. Not to be changed while there is a stream. */
  std::unique_ptr<TlsClient> tls[slots];
  std::atomic<bool> isEnding[slots] = {};
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> streamed{0};
  /** Over TLS, and as far as frames. */
  std::atomic<uint64_t> secured{0};

 private:
  void turn() {
    const uint8_t frame[] = {channel >> 8, channel & 0xff, 0, 4, 'd', 'a', 't', 'a'};
    const uint8_t stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
    for (uint32_t i = 0; i < slots; i++) {
      sendFrom(clients[i], listener_, frame, sizeof frame);
      sendFrom(clients[i], listener_, stun, sizeof stun);
      if (const uint16_t port = relayPorts[i]) sendFrom(peers[i], loopback(port), "back", 4);
    }
    for (uint32_t i = 0; i < slots; i++) talk(i);
    uint8_t bytes[256];
    for (const auto* ends : {&clients, &peers})
      for (const End& end : *ends)
        while (recv(end.fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) received++;
  }

  /** On a stream: frames cut anywhere, of which every other client reads nothing. */
  void talk(uint32_t i) {
    const int stream = streams[i];
    if (stream == 0) return;
    static const std::vector<uint8_t> frames = [] {
      std::vector<uint8_t> all;
      for (int n = 0; n < 20; n++) {
        all.insert(all.end(), {channel >> 8, channel & 0xff, 0, 6, 's', 't', 'r', 'e', 'a', 'm', 0, 0});
        all.insert(all.end(), {0, static_cast<uint8_t>(n == 19 ? 0x0b : 1), 0, 0, 0x21, 0x12, 0xa4, 0x42});
        all.resize(all.size() + 12);
      }
      return all;
    }();
    const size_t length = 1 + static_cast<size_t>(std::rand()) % 200;
    if (tls[i] && std::rand() % 64 == 0) tls[i]->changeKeys();
    const size_t left = frames.size() - said_[i];
    const ssize_t written = say(i, &frames[said_[i]], isHeard_[i] ? std::min(length, left) : left);
    isHeard_[i] = written > 0;
    if (written > 0) said_[i] = (said_[i] + static_cast<size_t>(written)) % frames.size();
    uint8_t bytes[4096];
    if (i % 2 == 0)
      while ((tls[i] ? tls[i]->receive(bytes, sizeof bytes) : ::read(stream, bytes, sizeof bytes)) > 0) streamed++;
    if (!isEnding[i]) return;
    if (tls[i] && tls[i]->isShaken()) secured++;
    ::close(stream);
    said_[i] = 0;
    isHeard_[i] = false;
    isEnding[i] = false;
    streams[i] = 0;
  }

  ssize_t say(uint32_t i, const uint8_t* bytes, size_t length) {
    return tls[i] ? tls[i]->send(bytes, length) : ::send(streams[i], bytes, length, MSG_NOSIGNAL);
  }

  size_t said_[slots] = {};
  /** Whether the last was taken; else no less is to be tried again, as TLS wants it. */
  bool isHeard_[slots] = {};
  const Endpoint listener_;
  std::atomic<bool> isOver_{false};
  std::thread thread_;
};

}  // namespace

/** A worker that gets no time piles up a bounded heap of orders, and what ends something is always among them. */
void fill(CommandQueue& queue) {
  const std::vector<uint8_t> packet(1000);
  const auto pushPacket = [&] { return queue.push({.kind = Command::Kind::send}, packet.data(), 1000); };
  size_t taken = 0;
  while (pushPacket()) taken++;
  require(taken == CommandQueue::mostBytes / 1000, "packets without bound");
  while (queue.push({.kind = Command::Kind::route})) taken++;
  require(taken == CommandQueue::mostCommands, "routes without bound");
  require(queue.push({.kind = Command::Kind::unroute}) && queue.push({.kind = Command::Kind::stop}), "an end refused");
  CommandList list;
  queue.take(list);
  require(list.commands.size() == taken + 2 && pushPacket(), "no room after all were taken");
}

void churn(double seconds, unsigned workers, bool byRing, std::shared_ptr<const Credentials> credentials) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(static_cast<int>(1000 * seconds));
  std::vector<Counters> counters(workers);
  std::vector<Usage> usage(slots);
  const StreamLimits streams{.streams = slots, .waitingBytes = 256 * 1024, .handshakes = 3, .handshake = 1'000'000,
                             .firstFrame = 1'000'000, .strangerIdle = 1'000'000, .idle = 1'000'000};
  Engine::Options options{.workers = workers, .relays = slots, .ways = 256, .buckets = 2, .shortcuts = {true, true},
                          .replies = {.intervalNanos = 10'000, .burst = 100}, .byRing = byRing, .streams = streams, .counters = counters.data(),
                          .usage = usage.data(), .joined = nullptr, .ownedClock = nullptr, .wake = [](void*) {}, .wakeContext = nullptr};
  Engine engine(options);
  require(engine.start(options) == 0, "start");
  constexpr uint32_t ringBytes = 64 * 1024;
  std::vector<std::vector<uint64_t>> rings;
  for (unsigned worker = 0; worker < workers; worker++) {
    for (const uint32_t listener : {0u, ringElsewhere, ringOfStreams}) {
      rings.emplace_back(ringBytes / sizeof(uint64_t));
      engine.giveRing(worker, listener, reinterpret_cast<uint8_t*>(rings.back().data()), ringBytes);
    }
  }
  engine.flush(0, false);
  engine.show(std::move(credentials));
  const int listener = engine.listen(0, loopback(0), false);
  require(listener > 0, "listen");
  engine.flush(0, true);

  // All relay ports share them, so that all threads take from them.
  engine.bucket(0).begin(10, 0);
  engine.bucket(1).begin(0, 100'000);

  World world(static_cast<uint16_t>(listener));
  bool isOpen[slots] = {};
  bool isClosing[slots] = {};
  uint64_t lives = 0;
  uint64_t errors = 0;
  // By place: the number of its stream, and whether there is one.
  uint32_t numbers[slots];
  bool isStreaming[slots] = {};
  for (uint32_t i = 0; i < slots; i++) numbers[i] = firstStream + i;
  uint64_t adopted = 0;
  const auto begin = [&](uint32_t i) {
    const Pair pair = openStream();
    const uint8_t early[] = {0, 1, 0, 0};
    const bool isSecure = i % 4 < 2;
    const uint8_t rest[] = {0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    [[maybe_unused]] const ssize_t written = isSecure ? 0 : ::send(pair.ours, rest, sizeof rest, MSG_NOSIGNAL);
    isStreaming[i] = engine.adopt(numbers[i], pair.theirs, world.clients[i].at, early, isSecure ? 0 : sizeof early, isSecure) == 0;
    ::close(pair.theirs);
    if (isStreaming[i]) adopted++;
    engine.tell(numbers[i], {.kind = Command::Kind::ownStream, .hasRelay = true});
    world.tls[i] = isSecure ? std::make_unique<TlsClient>(pair.ours) : nullptr;
    world.streams[i] = pair.ours;
  };
  const auto hear = [&](Record& record) {
    const uint32_t i = Streams::indexOf(record.socket);
    if (record.kind == static_cast<uint8_t>(UpKind::datagram)) {
      if (record.bytes()[1] != 0x0b) return;
      engine.tell(record.socket, {.kind = std::rand() % 2 ? Command::Kind::resume : Command::Kind::release});
      return;
    }
    if (record.kind == static_cast<uint8_t>(UpKind::released)) {
      int fd;
      std::memcpy(&fd, record.bytes(), sizeof fd);
      ::close(fd);
      engine.dropEnd(record.socket);
    }
    engine.tell(record.socket, {.kind = Command::Kind::hangUp});
    if (record.socket != numbers[i]) return;
    numbers[i] = numbers[i] < 0xfff00000 ? numbers[i] + 0x10000 : firstStream + i;
    isStreaming[i] = false;
    if (world.streams[i] != 0) world.isEnding[i] = true;
  };
  for (uint64_t round = 1; std::chrono::steady_clock::now() < end; round++) {
    const uint32_t slot = static_cast<uint32_t>(std::rand()) % slots;
    const Leg client{0, channel, world.clients[slot].at, true, noOwnAddress};
    const Leg permitted{0, indication, world.clients[slot].at, true, noOwnAddress};
    const Leg peer{maxListeners + slot, bare, world.peers[slot].at, true, 0};
    const Leg nobody{maxListeners + slot, bare, loopback(1), true, noOwnAddress};
    const Leg anyPort{maxListeners + slot, bare, {peer.peer.address, 0, 4}, false, 0};
    const auto port = static_cast<uint16_t>(30'000 + slot);
    if (!isOpen[slot] && !isClosing[slot]) {
      // Now and then for another client, so that a route runs over two threads.
      const Endpoint forWhom = world.clients[round % 3 == 0 ? (slot + 1) % slots : slot].at;
      if (engine.openRelay(slot, loopback(port), loopback(port), forWhom, {2, {0, 1}}, ClientTransport::udp) != 0) continue;
      isOpen[slot] = true;
      world.relayPorts[slot] = port;
      engine.setOwner(0, port, engine.placeOf(slot));
      lives++;
    } else if (isOpen[slot] && round % 16 == 0) {
      isOpen[slot] = false;
      isClosing[slot] = true;
      engine.setOwner(0, port, 0);
      engine.closeRelay(slot);
    } else if (isOpen[slot]) {
      switch (round % 5) {
        case 0:
          engine.unroute(client, peer);
          break;
        case 1:
          engine.route(permitted, anyPort, INT64_MAX);
          break;
        case 2:
          engine.send(maxListeners + slot, peer, reinterpret_cast<const uint8_t*>("sent"), 4, round % 2 == 0);
          engine.send(0, client, reinterpret_cast<const uint8_t*>("told"), 4, false);
          engine.send(maxListeners + slot, nobody, reinterpret_cast<const uint8_t*>("lost"), 4, round % 2 == 0);
          break;
        case 3:
          engine.arrive(slot, world.peers[slot].at, reinterpret_cast<const uint8_t*>("here"), 4, 0);
          break;
        default:
          engine.route(client, peer, INT64_MAX);
      }
    }
    const Leg onStream{numbers[slot], channel, world.clients[slot].at, true, noOwnAddress};
    if (!isStreaming[slot] && world.streams[slot] == 0) begin(slot);
    else if (round % 61 == 0) world.isEnding[slot] = true;
    else if (round % 67 == 0) engine.tell(numbers[slot], {.kind = Command::Kind::hangUp});
    else if (isOpen[slot] && round % 3 == 0) engine.route(onStream, peer, INT64_MAX);
    else engine.send(numbers[slot], onStream, reinterpret_cast<const uint8_t*>("told"), 4, false);
    engine.flush(0, round % 4 == 0);
    engine.begin();
    for (const uint32_t closed : engine.takeClosed()) isClosing[closed] = false;
    for (unsigned worker = 0; worker < workers; worker++) {
      engine.ring(worker, 0).drain([](Record&) {});
      engine.ring(worker, ringOfStreams).drain(hear);
      engine.ring(worker, ringElsewhere).drain([&](Record& record) { errors += record.from() == nobody.peer ? 1 : 0; });
    }
    if (round % 8 == 0) poll(nullptr, 0, 1);
  }
  // Before its sockets are closed one by one.
  for (Counters& each : counters)
    require(std::atomic_ref(each.strays).load() == 0, "the kernel steers otherwise than the threads");
  engine.stop();
  std::printf("%lu relay ports opened, %lu packets received, %lu errors, %lu streams adopted, %lu of them secured, %lu reads\n", lives,
              world.received.load(), errors, adopted, world.secured.load(), world.streamed.load());
}

int main(int, char** arguments) {
  // OpenSSL writes without regard to that.
  signal(SIGPIPE, SIG_IGN);
  {
    CommandQueue queue;
    fill(queue);
  }
  for (const bool byRing : {true, false})
    churn(std::atof(arguments[1]), static_cast<unsigned>(std::atoi(arguments[2])), byRing, credentialsOf(arguments[3], arguments[4]));
}
