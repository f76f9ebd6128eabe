#include "engine.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF 51
#endif

namespace sluice {

namespace {

/** Asked of the kernel, which may grant less. A listener carries all clients, a relay port one. */
constexpr int listenerBufferBytes = 4 * 1024 * 1024;
constexpr int relayBufferBytes = 1024 * 1024;
constexpr uint32_t crossingBytes = 1024 * 1024;

void set(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

/** A bound, unconnected UDP socket; 0 or an errno. */
int openUdp(const Endpoint& at, int bufferBytes, bool isShared, int& fd) {
  fd = socket(at.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  if (at.family == 6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (isShared) set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  set(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes);
  set(fd, SOL_SOCKET, SO_SNDBUF, bufferBytes);
  // A kernel that knows no trains of packets hands them over one by one.
  set(fd, SOL_UDP, UDP_GRO, 1);
  set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  if (at.family == 4) set(fd, IPPROTO_IP, IP_RECVTOS, 1);
  else set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  // RFC 8656 section 14: packets leave as if those that they came in had been free to be fragmented, as we cannot know.
  if (at.family == 4) setDontFragment(fd, false);
  SocketAddress address;
  writeSocketAddress(address, at, at.port);
  if (bind(fd, &address.any, lengthOf(at)) == 0) return 0;
  const int error = errno;
  ::close(fd);
  fd = -1;
  return error;
}

}  // namespace

Engine::Engine(const Options& options)
    : shared_(options.workers, options.relays, options.ways, options.buckets),
      streamHomes_(options.streams.streams),
      isSplit_(options.relays),
      closing_(options.relays) {
  shared_.usage = options.usage;
  shared_.joined = options.joined;
  shared_.shortcuts = options.shortcuts;
  shared_.dtls = options.dtls;
  shared_.streams = options.streams;
  shared_.ownedClock = options.ownedClock;
  shared_.wake = options.wake;
  shared_.wakeContext = options.wakeContext;
  for (unsigned i = 0; i < options.workers; i++) shared_.counters[i] = &options.counters[i];
}

int Engine::start(const Options& options) {
  for (unsigned to = 0; to < options.workers; to++) {
    for (unsigned from = 0; from < options.workers; from++) {
      if (to == from) continue;
      memory_.push_back(std::make_unique<Span<uint8_t>>(crossingBytes));
      shared_.crossings[to][from] = std::make_unique<Ring>(memory_.back()->data(), crossingBytes);
    }
  }
  uint64_t seed;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return errno;
  shared_.replies.begin(options.replies, seed);
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return errno;
  shared_.steeringKey = static_cast<uint32_t>(seed) | 1;
  for (unsigned i = 0; i < options.workers; i++) {
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return errno;
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || shared_.queues[i].eventFd() < 0) return errno;
    workers_.push_back(std::make_unique<Worker>(shared_, i, epoll, seed, options.byRing));
    if (!workers_[i]->joins().isOpen()) return EMFILE;
  }
  for (const auto& worker : workers_)
    if (!worker->start()) return EAGAIN;
  return 0;
}

void Engine::stop() {
  for (unsigned i = 0; i < workers_.size(); i++) {
    shared_.queues[i].push({.kind = Command::Kind::stop});
    shared_.queues[i].wake();
  }
  workers_.clear();
}

void Engine::giveRing(unsigned worker, uint32_t listener, uint8_t* memory, uint32_t capacity) {
  shared_.up[worker][listener] = std::make_unique<Ring>(memory, capacity);
}

int Engine::listen(uint32_t listener, const Endpoint& at, bool isSecure) {
  Endpoint bound = at;
  // Sockets that share a port would share it with another relay's as well: the first asks for it alone.
  int probe;
  if (const int error = openUdp(bound, listenerBufferBytes, false, probe)) return -error;
  SocketAddress address;
  socklen_t length = sizeof address;
  getsockname(probe, &address.any, &length);
  bound.port = endpointOf(address).port;
  ::close(probe);

  std::vector<int> fds;
  for (unsigned i = 0; i < shared_.workers; i++) {
    int fd;
    if (const int error = openUdp(bound, listenerBufferBytes, shared_.workers > 1, fd)) {
      for (const int open : fds) ::close(open);
      return -error;
    }
    fds.push_back(fd);
  }
  if (shared_.workers > 1) steer(fds[0]);
  for (unsigned i = 0; i < shared_.workers; i++)
    pushUrgently(i, {.kind = isSecure ? Command::Kind::listenSecurely : Command::Kind::listen, .socket = listener, .fd = fds[i]});
  return bound.port;
}

void Engine::show(std::shared_ptr<const Credentials> credentials) {
  {
    const std::lock_guard guard(shared_.credentialsLock);
    shared_.credentials = std::move(credentials);
  }
  for (unsigned i = 0; i < shared_.workers; i++) pushUrgently(i, {.kind = Command::Kind::show});
}

bool Engine::challenge(std::shared_ptr<const Challenge> challenge) {
  if (challenge && !challenge->fits()) return false;
  {
    const std::lock_guard guard(shared_.challengeLock);
    shared_.challenge = std::move(challenge);
  }
  for (unsigned i = 0; i < shared_.workers; i++) push(i, {.kind = Command::Kind::challenge});
  return true;
}

bool Engine::admit(uint32_t session, uint32_t listener, const Endpoint& client, const uint8_t* hello, uint32_t length) {
  Command command{.kind = Command::Kind::admit, .socket = firstSession + session};
  command.client.socket = listener;
  command.client.peer = client;
  return pushUrgently(shared_.homeOf(client), command, hello, length);
}

int Engine::adopt(uint32_t stream, int fd, const Endpoint& client, const uint8_t* early, uint32_t length, bool isSecure) {
  const int ours = fcntl(fd, F_DUPFD_CLOEXEC, 1);
  if (ours < 0) return errno;
  const unsigned home = shared_.homeOf(client);
  streamHomes_[Streams::indexOf(stream)] = static_cast<uint8_t>(home);
  Command command{.kind = Command::Kind::adopt, .isSecure = isSecure, .socket = stream, .fd = ours};
  command.client.peer = client;
  if (pushUrgently(home, command, early, length)) return 0;
  ::close(ours);
  return ENOBUFS;
}

void Engine::tell(uint32_t stream, Command command) {
  command.socket = stream;
  pushUrgently(streamHomes_[Streams::indexOf(stream)], command);
}

/**
 * Has the kernel give each client's packets to the worker that Shared::homeOf names. Where it cannot, or does not for
 * some packet, workers pass packets on among themselves.
 */
void Engine::steer(int fd) {
  constexpr auto network = static_cast<uint32_t>(SKF_NET_OFF);
  constexpr uint16_t loadWord = BPF_LD | BPF_W | BPF_ABS;
  constexpr uint16_t loadHalf = BPF_LD | BPF_H | BPF_IND;
  constexpr uint16_t mix = BPF_ALU | BPF_XOR | BPF_X;
  const sock_filter multiply{BPF_ALU | BPF_MUL | BPF_K, 0, 0, shared_.steeringKey};
  constexpr sock_filter toX{BPF_MISC | BPF_TAX, 0, 0, 0};
  // The hash so far passes through scratch 0 where the accumulator is needed; IPv4 has its port behind a header of any length.
  sock_filter program[] = {
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, network},
      {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 4},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 11, 4},
      {loadWord, 0, 0, network + 12},
      multiply,
      {BPF_ST, 0, 0, 0},
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, network},
      {BPF_ALU | BPF_AND | BPF_K, 0, 0, 15},
      {BPF_ALU | BPF_LSH | BPF_K, 0, 0, 2},
      toX,
      {loadHalf, 0, 0, network},
      {BPF_LDX | BPF_MEM, 0, 0, 0},
      {mix, 0, 0, 0},
      {BPF_JMP | BPF_JA, 0, 0, 17},
      {loadWord, 0, 0, network + 8},
      multiply,
      toX,
      {loadWord, 0, 0, network + 12},
      {mix, 0, 0, 0},
      multiply,
      toX,
      {loadWord, 0, 0, network + 16},
      {mix, 0, 0, 0},
      multiply,
      toX,
      {loadWord, 0, 0, network + 20},
      {mix, 0, 0, 0},
      multiply,
      toX,
      {BPF_LD | BPF_H | BPF_ABS, 0, 0, network + 40},
      {mix, 0, 0, 0},
      // IPv4 goes on here.
      multiply,
      {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 16},
      {BPF_ALU | BPF_MOD | BPF_K, 0, 0, shared_.workers},
      {BPF_RET | BPF_A, 0, 0, 0},
  };
  const sock_fprog filter{sizeof program / sizeof *program, program};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter);
}

int Engine::openRelay(uint32_t slot, const Endpoint& bind, const Endpoint& at, const Endpoint& client, const Limits& limits,
                      ClientTransport transport) {
  const unsigned home = shared_.homeOf(client);
  // What is left is for those who are in already.
  if (shared_.taken[home].load(std::memory_order_relaxed) >= shared_.ways - shared_.ways / 4) return ENOBUFS;
  int fd;
  if (const int error = openUdp(bind, relayBufferBytes, false, fd)) return error;
  hearErrors(fd, bind.family, true);
  Relay& relay = shared_.relays[slot];
  relay.fd = fd;
  relay.worker = static_cast<uint8_t>(home);
  relay.at = at;
  relay.limits = limits;
  relay.transport = transport;
  isSplit_[slot] = false;
  push(relay.worker, {.kind = Command::Kind::openRelay, .socket = maxListeners + slot});
  workers_[relay.worker]->watch(fd, maxListeners + slot);
  return 0;
}

bool Engine::hasRoom(uint32_t slot) {
  // Each way has a place, and so has their client.
  constexpr size_t placesOfRoute = 3;
  const unsigned home = shared_.relays[slot].worker;
  const size_t taken = shared_.taken[home].load(std::memory_order_relaxed) + placesOfRoute * shared_.queues[home].size();
  return taken < shared_.ways - shared_.ways / 8;
}

void Engine::closeRelay(uint32_t slot) {
  const Command command{.kind = Command::Kind::closeRelay, .socket = maxListeners + slot};
  const uint8_t owner = shared_.relays[slot].worker;
  closing_[slot] = isSplit_[slot] ? static_cast<uint8_t>(shared_.workers) : 1;
  for (unsigned i = 0; i < shared_.workers; i++)
    if (i == owner || isSplit_[slot]) push(i, command);
}

std::vector<uint32_t> Engine::takeClosed() {
  std::vector<uint32_t> closed;
  {
    const std::lock_guard guard(shared_.closedLock);
    closed.swap(shared_.closed);
  }
  std::erase_if(closed, [this](uint32_t slot) { return --closing_[slot] > 0; });
  return closed;
}

unsigned Engine::homeOf(const Leg& leg) const {
  return isRelay(leg.socket) ? shared_.relays[slotOf(leg.socket)].worker : shared_.homeOf(leg.peer);
}

bool Engine::route(const Leg& client, const Leg& peer, Micros until) {
  const unsigned clientHome = homeOf(client);
  const unsigned peerHome = homeOf(peer);
  Command command{.kind = Command::Kind::route, .until = until, .client = client, .peer = peer};
  if (clientHome == peerHome) {
    command.hasClient = command.hasPeer = true;
    return push(clientHome, command);
  }
  for (const Leg* leg : {&client, &peer})
    if (isRelay(leg->socket)) isSplit_[slotOf(leg->socket)] = true;
  command.hasClient = true;
  if (!push(clientHome, command)) return false;
  command.hasClient = false;
  command.hasPeer = true;
  return push(peerHome, command);
}

void Engine::unroute(const Leg& client, const Leg& peer) {
  const Command command{.kind = Command::Kind::unroute, .client = client, .peer = peer};
  push(homeOf(client), command);
  if (homeOf(peer) != homeOf(client)) push(homeOf(peer), command);
}

void Engine::expect(uint32_t listener, const Endpoint& from, Micros until) {
  Leg client{};
  client.peer = from;
  push(shared_.homeOf(from), {.kind = Command::Kind::expect, .socket = listener, .until = until, .peer = client});
}

void Engine::askAgain() {
  for (unsigned i = 0; i < shared_.workers; i++) push(i, {.kind = Command::Kind::askAgain});
}

bool Engine::send(uint32_t socket, const Leg& to, const uint8_t* bytes, uint32_t length, bool dontFragment) {
  const unsigned worker = isRelay(socket) ? shared_.relays[slotOf(socket)].worker : shared_.homeOf(to.peer);
  const Command command{.kind = Command::Kind::send, .dontFragment = dontFragment, .socket = socket, .peer = to};
  return pushUrgently(worker, command, bytes, length);
}

bool Engine::arrive(uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length, unsigned hops) {
  Leg peer{};
  peer.peer = from;
  const Command command{.kind = Command::Kind::arrive, .hops = hops, .socket = socket, .peer = peer};
  return pushUrgently(isRelay(socket) ? shared_.relays[slotOf(socket)].worker : shared_.homeOf(from), command, bytes, length);
}

int Engine::join(JoinOrder order, uint32_t client) {
  if (client != 0) {
    order.tls = shared_.ends.take(client);
    if (!order.tls) return ENOTCONN;
  }
  int* const fds = order.fds;
  for (const unsigned end : {0, 1}) fds[end] = fcntl(fds[end], F_DUPFD_CLOEXEC, 0);
  if (fds[0] >= 0 && fds[1] >= 0) {
    workers_[order.slot % shared_.workers]->joins().push(std::move(order));
    return 0;
  }
  for (const unsigned end : {0, 1})
    if (fds[end] >= 0) ::close(fds[end]);
  return EMFILE;
}

std::vector<uint32_t> Engine::takeParted() {
  const std::lock_guard guard(shared_.closedLock);
  return std::exchange(shared_.parted, {});
}

bool Engine::push(unsigned worker, const Command& command) {
  told_ |= uint64_t{1} << worker;
  return shared_.queues[worker].push(command);
}

bool Engine::pushUrgently(unsigned worker, const Command& command, const uint8_t* bytes, uint32_t length) {
  told_ |= uint64_t{1} << worker;
  awaited_ |= uint64_t{1} << worker;
  return shared_.queues[worker].push(command, bytes, length);
}

void Engine::flush(Micros now, bool all) {
  shared_.clockOffset.store(now * 1000 - Shared::monotonic(), std::memory_order_relaxed);
  for (uint64_t woken = all ? told_ : awaited_; woken != 0; woken &= woken - 1) {
    const int worker = std::countr_zero(woken);
    shared_.queues[worker].wake();
    told_ &= ~(uint64_t{1} << worker);
    awaited_ &= ~(uint64_t{1} << worker);
  }
}

}  // namespace sluice
