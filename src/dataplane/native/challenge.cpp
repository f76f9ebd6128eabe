#include "challenge.h"

#include <algorithm>

#include "hmac.h"
#include "judge.h"

namespace sluice {

namespace {

constexpr uint32_t transactionIdAt = 8;
constexpr uint32_t transactionIdBytes = 12;
/** Seconds, and what of the MAC comes after them. */
constexpr uint32_t stampBytes = 11;
constexpr uint32_t stampCharacters = 15;

/** RFC 4648 section 5, without padding. */
void writeBase64url(uint8_t* to, const uint8_t* bytes, uint32_t length) {
  static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint32_t bits = 0;
  uint32_t count = 0;
  for (uint32_t i = 0; i < length; i++) {
    bits = bits << 8 | bytes[i];
    for (count += 8; count >= 6; count -= 6) *to++ = static_cast<uint8_t>(alphabet[bits >> (count - 6) & 63]);
  }
  if (count > 0) *to = static_cast<uint8_t>(alphabet[bits << (6 - count) & 63]);
}

/** RFC 8489 section 9.2.4 asks for no more than a nonce; how ours is made, nonce.ts says. */
void writeStamp(uint8_t* to, Bytes secret, Bytes context, const Endpoint& client, int64_t seconds) {
  uint8_t stamp[4 + sha256Bytes];
  write32(stamp, static_cast<uint32_t>(seconds));
  uint8_t place[3] = {client.family};
  write16(place + 1, client.port);
  const Bytes address{client.address.bytes(), client.family == 4 ? 4u : 16u};
  hmacSha256(stamp + 4, secret, {{stamp, 4}, place, address, context});
  writeBase64url(to, stamp, stampBytes);
}

/** Twice and a half as much as was asked with (growthLimit in reply.ts). */
bool isSmall(uint32_t answerBytes, uint32_t requestBytes) { return answerBytes * 2 <= requestBytes * 5; }

}  // namespace

bool Challenge::fits() const {
  return !answers.empty() && std::all_of(answers.begin(), answers.end(), [](const Answer& answer) {
    return answer.stampAt + stampCharacters <= answer.bytes.size() && answer.bytes.size() + fingerprintBytes <= mostBytes;
  });
}

uint32_t Challenge::write(uint8_t* to, const uint8_t* request, uint32_t length, const Endpoint& client, int64_t seconds,
                          bool hasFingerprint) const {
  const Answer* answer = &answers.front();
  while (answer != &answers.back() && !isSmall(static_cast<uint32_t>(answer->bytes.size()), length)) answer++;
  const auto answerBytes = static_cast<uint32_t>(answer->bytes.size());
  std::memcpy(to, answer->bytes.data(), answerBytes);
  std::memcpy(to + transactionIdAt, request + transactionIdAt, transactionIdBytes);
  writeStamp(to + answer->stampAt, secret, answer->context, client, seconds);
  if (!hasFingerprint || !isSmall(answerBytes + fingerprintBytes, length)) return answerBytes;
  return addFingerprint(to, answerBytes);
}

}  // namespace sluice
