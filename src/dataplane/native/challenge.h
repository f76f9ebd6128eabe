// The 401 to a first Allocate request, as the controller would write it: its bytes come from there (turn/challenges.ts), and
// only the transaction id and the stamp of the nonce (turn/nonce.ts) are put in here. No syscall and no allocation.
#pragma once

#include <vector>

#include "wire.h"

namespace sluice {

struct Challenge {
  struct Answer {
    std::vector<uint8_t> bytes;
    uint32_t stampAt;
    std::vector<uint8_t> context;
  };

  /** Room for any answer with a FINGERPRINT. A realm that needs more is the controller's. */
  static constexpr uint32_t mostBytes = 240;

  std::vector<uint8_t> secret;
  std::vector<Answer> answers;

  bool fits() const;

  /** Writes what `client` is told at that time; returns how much. */
  uint32_t write(uint8_t* to, const uint8_t* request, uint32_t length, const Endpoint& client, int64_t seconds,
                 bool hasFingerprint) const;
};

}  // namespace sluice
