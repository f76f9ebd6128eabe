// What a plane counts, in memory that JavaScript reads as it is (native.ts knows the order). One thread writes each.
#pragma once

#include <atomic>
#include <cstdint>

#include "judge.h"

namespace sluice {

inline void bump(uint64_t& cell, uint64_t by) {
  std::atomic_ref<uint64_t>(cell).store(cell + by, std::memory_order_relaxed);
}

struct Traffic {
  uint64_t packets;
  uint64_t bytes;

  void add(int64_t morePackets, int64_t moreBytes) {
    bump(packets, static_cast<uint64_t>(morePackets));
    bump(bytes, static_cast<uint64_t>(moreBytes));
  }
};

/** What one relay port carried. */
struct Usage {
  Traffic toPeer;
  Traffic toClient;
};

/** In the order of native-counters.ts. */
enum class ClientTransport : uint8_t { udp, dtls, tcp, tls };
inline constexpr unsigned clientTransports = 4;

/** What one thread did. */
struct Counters {
  /** By transport of the client, and by family of the relay port: IPv4, IPv6. */
  Usage relayed[clientTransports][2];
  uint64_t dropped[drops];
  /** Binding requests answered here. */
  uint64_t answered;
  /** Packets of clients that the kernel gave to another thread than theirs. */
  uint64_t strays;
  /** Allocate requests challenged here. */
  uint64_t challenged;
  uint64_t reserved[6];

  void drop(Drop reason, uint64_t packets = 1) { bump(dropped[static_cast<unsigned>(reason)], packets); }
};
static_assert(sizeof(Counters) == 48 * sizeof(uint64_t));

/** Where a packet counts when it has left: with its relay port and in total, or nowhere. */
struct Account {
  Traffic* port = nullptr;
  Traffic* total = nullptr;

  bool operator==(const Account&) const = default;

  void add(int64_t packets, int64_t bytes) const {
    if (port) port->add(packets, bytes);
    if (total) total->add(packets, bytes);
  }
};

}  // namespace sluice
