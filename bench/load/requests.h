// Requests as fast as the server answers them: Binding, and whole lives of allocations.
#pragma once

#include <algorithm>

#include "clients.h"

namespace load {

struct RequestsResult {
  uint64_t done = 0, lost = 0, corrupt = 0;
  double seconds = 0, cpuSeconds = 0;
};

/** Binding requests of many clients in turn, `limit` under way. Each answer must hold its asker's own address. */
inline RequestsResult askForBindings(Fleet& fleet, const std::vector<int>& pids, uint32_t clients, uint32_t limit, double seconds) {
  Window window(pids, seconds);
  UnderWay underWay(limit);
  UdpWire& wire = dynamic_cast<UdpWire&>(*fleet.clientWire);
  TransactionId id{};
  const uint32_t run = uint32_t(nanoseconds());
  std::memcpy(id.data(), &run, sizeof run);
  uint64_t answered = 0, corrupt = 0;
  const auto collect = [&] {
    for (const Packet& packet : wire.receive()) {
      const Reader message(packet.bytes);
      if (!message.isStun() || std::memcmp(&packet.bytes[8], &run, sizeof run) != 0) continue;
      const bool isRight = message.type() == typeOf(Method::binding, Class::success) &&
                           message.xorAddress(Attribute::xorMappedAddress) == Address{packet.local, wire.port()};
      if (!isRight) corrupt++;
      answered++;
      underWay.arrived(nanoseconds());
    }
  };
  for (uint64_t now = nanoseconds(); window.goesOn(now, answered); now = nanoseconds()) {
    for (; underWay.hasRoomFor(1); underWay.count(1)) {
      const uint64_t sequence = underWay.sent();
      std::memcpy(&id[4], &sequence, sizeof sequence);
      const uint32_t ip = fleet.clientIp(sequence % clients);
      wire.put(Writer(wire.room(ip, fleet.server), Method::binding, Class::request, id).length());
    }
    wire.flush();
    collect();
    underWay.giveUpSilent(now);
  }
  while (underWay.mayStillCome(nanoseconds())) collect();
  return {window.counted(), underWay.lost(), corrupt, window.seconds(), window.cpuSeconds()};
}

/** Allocations made and given back, each by a host that the server has not heard of lately. */
inline RequestsResult churn(Fleet& fleet, const std::vector<int>& pids, bool isWithChannel, uint32_t limit, double seconds) {
  static size_t next = 0;
  constexpr size_t first = 20'000, count = 40'000;
  using enum Request;
  const std::vector<Request> script =
      isWithChannel ? std::vector{allocate, permit, bindPeer, release} : std::vector{allocate, release};
  Window window(pids, seconds);
  Conversations conversations(fleet, script, limit);
  conversations.run([&]() -> std::optional<size_t> {
    if (!window.goesOn(nanoseconds(), conversations.completed())) return std::nullopt;
    return first + next++ % count;
  });
  return {window.counted(), conversations.retransmitted(), 0, window.seconds(), window.cpuSeconds()};
}

}  // namespace load
