// What stands in the IP headers of packets that the engine relays (RFC 8656 sections 13 and 14), which Node cannot tell:
// DSCP and ECN as they came, both ways and over both families, and IPv4 packets that may be fragmented, but for those
// that were sent with DONT-FRAGMENT.

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine.h"

using namespace sluice;

namespace {

constexpr uint16_t channel = 0x4001;
constexpr int patienceMillis = 10'000;
constexpr int expedited = 0xb8 | 1;
constexpr int assured = 0x88 | 2;

void require(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::exit(1);
}

Endpoint loopback(uint8_t family, uint16_t port) {
  const uint8_t four[4] = {127, 0, 0, 1};
  const uint8_t six[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return {Address::of(family == 4 ? four : six, family), port, family};
}

/** A client or a peer. */
class End {
 public:
  explicit End(uint8_t family) : isIpv4_(family == 4), fd_(socket(isIpv4_ ? AF_INET : AF_INET6, SOCK_DGRAM, 0)) {
    SocketAddress address;
    writeSocketAddress(address, loopback(family, 0), 0);
    require(fd_ >= 0 && bind(fd_, &address.any, lengthOf(loopback(family, 0))) == 0, "bind");
    set(isIpv4_ ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
    socklen_t length = sizeof address;
    getsockname(fd_, &address.any, &length);
    at = endpointOf(address);
  }
  ~End() { ::close(fd_); }
  End(const End&) = delete;

  void send(const Endpoint& to, int trafficClass, const std::string& bytes) {
    set(isIpv4_ ? IP_TOS : IPV6_TCLASS, trafficClass);
    SocketAddress address;
    writeSocketAddress(address, to, to.port);
    require(sendto(fd_, bytes.data(), bytes.size(), 0, &address.any, lengthOf(to)) > 0, "sendto");
  }

  /** Requires these bytes, marked so, to be what comes next. */
  void expect(int trafficClass, const std::string& wanted) {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    require(poll(&readable, 1, patienceMillis) == 1, "nothing came");
    char bytes[256];
    alignas(cmsghdr) char control[64];
    iovec piece{bytes, sizeof bytes};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t length = recvmsg(fd_, &header, 0);
    require(length >= 0 && std::string(bytes, static_cast<size_t>(length)) == wanted, "other bytes came");
    const cmsghdr* first = CMSG_FIRSTHDR(&header);
    require(first != nullptr && *CMSG_DATA(first) == trafficClass, "it came marked otherwise");
  }

  Endpoint at;

 private:
  void set(int name, int value) {
    require(setsockopt(fd_, isIpv4_ ? IPPROTO_IP : IPPROTO_IPV6, name, &value, sizeof value) == 0, "setsockopt");
  }

  const bool isIpv4_;
  const int fd_;
};

std::string framed(const std::string& payload) {
  std::string frame(4, '\0');
  write16(reinterpret_cast<uint8_t*>(frame.data()), channel);
  write16(reinterpret_cast<uint8_t*>(frame.data()) + 2, static_cast<uint32_t>(payload.size()));
  return frame + payload;
}

/** Sees every IPv4 packet with its header, not to be had without rights: the next to that port is to have DF or not. */
void expectDontFragment(int raw, uint16_t port, bool isSet) {
  for (;;) {
    pollfd readable{.fd = raw, .events = POLLIN, .revents = 0};
    require(poll(&readable, 1, patienceMillis) == 1, "no packet was seen");
    uint8_t bytes[256];
    require(recv(raw, bytes, sizeof bytes, 0) > 28, "recv");
    if (read16(bytes + 4 * (bytes[0] & 15) + 2) != port) continue;
    require(((read16(bytes + 6) & IP_DF) != 0) == isSet, "DF is not as it should be");
    return;
  }
}

void relayOver(uint8_t family, bool byRing) {
  std::vector<Counters> counters(1);
  std::vector<Usage> usage(1);
  Engine::Options options{.workers = 1, .relays = 1, .ways = 16, .buckets = 1, .shortcuts = {true, true},
                          .replies = {.intervalNanos = 0, .burst = 1}, .byRing = byRing, .streams = {.streams = 1}, .counters = counters.data(),
                          .usage = usage.data(), .joined = nullptr, .ownedClock = nullptr, .wake = [](void*) {}, .wakeContext = nullptr};
  Engine engine(options);
  require(engine.start(options) == 0, "start");
  const int listener = engine.listen(0, loopback(family, 0), false);
  require(listener > 0, "listen");
  const Endpoint server = loopback(family, static_cast<uint16_t>(listener));
  End client(family);
  End peer(family);
  Endpoint relay = loopback(family, 40'000);
  while (engine.openRelay(0, relay, relay, client.at, {}, ClientTransport::udp) != 0) relay.port++;
  engine.route({0, channel, client.at, true, noOwnAddress}, {maxListeners, bare, peer.at, true, noOwnAddress}, INT64_MAX);
  engine.flush(0, true);

  const int raw = family == 4 ? socket(AF_INET, SOCK_RAW, IPPROTO_UDP) : -1;
  for (const int trafficClass : {expedited, 0, assured}) {
    client.send(server, trafficClass, framed("there"));
    peer.expect(trafficClass, "there");
    peer.send(relay, trafficClass, "back");
    client.expect(trafficClass, framed("back"));
  }
  for (int i = 0; raw >= 0 && i < 3; i++) {
    expectDontFragment(raw, peer.at.port, false);
    expectDontFragment(raw, client.at.port, false);
  }
  const Leg toPeer{maxListeners, bare, peer.at, true, noOwnAddress};
  for (const bool dontFragment : {true, false, true, true, false}) {
    engine.send(maxListeners, toPeer, reinterpret_cast<const uint8_t*>("sent"), 4, dontFragment);
    engine.flush(0, true);
    peer.expect(0, "sent");
    if (raw >= 0) expectDontFragment(raw, peer.at.port, dontFragment);
  }
  // One order behind another, of which none may wait for the next.
  for (const bool dontFragment : {false, true, false})
    engine.send(maxListeners, toPeer, reinterpret_cast<const uint8_t*>("sent"), 4, dontFragment);
  engine.flush(0, true);
  for (const bool dontFragment : {false, true, false}) {
    peer.expect(0, "sent");
    if (raw >= 0) expectDontFragment(raw, peer.at.port, dontFragment);
  }
  if (raw >= 0) ::close(raw);
  // What is marked otherwise is of no train with what came before.
  const std::vector<int> mixed = {expedited, expedited, assured, 0, 0, expedited};
  for (const int trafficClass : mixed) client.send(server, trafficClass, framed("many"));
  for (const int trafficClass : mixed) peer.expect(trafficClass, "many");
  engine.stop();
}

}  // namespace

int main() {
  for (const bool byRing : {false, true})
    for (const uint8_t family : {4, 6}) relayOver(family, byRing);
  std::puts("marked as they came");
}
