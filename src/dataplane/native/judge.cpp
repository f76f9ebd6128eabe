#include "judge.h"

#include <array>

namespace sluice {

namespace {

constexpr uint32_t headerBytes = 20;
constexpr uint32_t magicCookie = 0x2112a442;
constexpr uint16_t bindingRequest = 0x0001;
constexpr uint16_t bindingSuccess = 0x0101;
constexpr uint16_t allocateRequest = 0x0003;
constexpr uint16_t sendIndication = 0x0016;
constexpr uint16_t dataIndication = 0x0017;
constexpr uint16_t messageIntegrity = 0x0008;
constexpr uint16_t xorPeerAddress = 0x0012;
constexpr uint16_t data = 0x0013;
constexpr uint16_t messageIntegritySha256 = 0x001c;
constexpr uint16_t xorMappedAddress = 0x0020;
constexpr uint16_t fingerprint = 0x8028;
constexpr uint16_t firstOptional = 0x8000;
/** A header and REQUESTED-TRANSPORT. */
constexpr uint32_t smallestAllocateBytes = 28;

Verdict dropped(Drop reason) { return {.fate = Fate::drop, .drop = reason}; }

constexpr auto crcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    table[byte] = crc;
  }
  return table;
}();

/** RFC 8489 section 14.7: over what stands before it. */
uint32_t fingerprintOf(const uint8_t* message, uint32_t length) {
  uint32_t crc = UINT32_MAX;
  for (uint32_t i = 0; i < length; i++) crc = crc >> 8 ^ crcTable[(crc ^ message[i]) & 0xff];
  return ~crc ^ 0x5354554e;
}

/** What the shortcuts look for in a message. */
struct Contents {
  /** Whether it can be read to its end. */
  bool isWhole = false;
  /** Whether there is nothing else in it that would have to be understood. */
  bool isPlain = true;
  bool hasIntegrity = false;
  bool hasFingerprint = false;
  const uint8_t* peer = nullptr;
  uint32_t peerLength = 0;
  const uint8_t* data = nullptr;
  uint32_t dataLength = 0;
};

Contents contentsOf(const uint8_t* bytes, uint32_t length) {
  Contents contents;
  for (uint32_t at = headerBytes; at < length;) {
    const uint16_t type = read16(bytes + at);
    const uint32_t size = read16(bytes + at + 2);
    const uint8_t* value = bytes + at + 4;
    if (at + 4 + padded(size) > length) return contents;
    if (type == fingerprint) {
      if (size != 4 || at + fingerprintBytes != length || read32(value) != fingerprintOf(bytes, at)) return contents;
      contents.hasFingerprint = true;
    } else if (type == xorPeerAddress && !contents.peer) {
      contents.peer = value;
      contents.peerLength = size;
    } else if (type == data && !contents.data) {
      contents.data = value;
      contents.dataLength = size;
    } else if (type < firstOptional) {
      contents.isPlain = false;
      contents.hasIntegrity |= type == messageIntegrity || type == messageIntegritySha256;
    }
    at += 4 + padded(size);
  }
  contents.isWhole = true;
  return contents;
}

/** Covers the bytes of an address, or uncovers them: cookie and transaction id are the mask (section 14.2). */
void maskAddress(uint8_t* to, const uint8_t* from, const uint8_t* message, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) to[i] = from[i] ^ message[4 + i];
}

bool readPeer(Endpoint& peer, const Contents& contents, const uint8_t* message) {
  const uint8_t* value = contents.peer;
  if (!value || !((contents.peerLength == 8 && value[1] == 1) || (contents.peerLength == 20 && value[1] == 2)))
    return false;
  uint8_t address[16];
  maskAddress(address, value + 4, message, contents.peerLength - 4);
  peer.family = contents.peerLength == 8 ? 4 : 6;
  peer.address = Address::of(address, peer.family);
  peer.port = read16(value + 2) ^ static_cast<uint16_t>(magicCookie >> 16);
  return true;
}

uint32_t writeXorAddress(uint8_t* to, uint16_t type, const Endpoint& endpoint, const uint8_t* message) {
  const uint32_t size = endpoint.family == 4 ? 4 : 16;
  write16(to, type);
  write16(to + 2, 4 + size);
  to[4] = 0;
  to[5] = endpoint.family == 4 ? 1 : 2;
  write16(to + 6, endpoint.port ^ magicCookie >> 16);
  maskAddress(to + 8, endpoint.address.bytes(), message, size);
  return 8 + size;
}

/** For STUN that no bare route takes. Whatever is not as simple as can be goes to the controller, which knows it all. */
Verdict judgeStun(Table& table, uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length, Micros now,
                  Shortcuts shortcuts) {
  const Verdict up{.fate = Fate::handUp};
  const uint16_t type = read16(bytes);
  const bool isBinding = type == bindingRequest && shortcuts.binding;
  const bool isSend = type == sendIndication && shortcuts.send;
  const bool isAllocate = type == allocateRequest && length >= smallestAllocateBytes && shortcuts.challenge;
  if (!(isBinding || isSend || isAllocate) || read32(bytes + 4) != magicCookie) return up;
  const Contents contents = contentsOf(bytes, length);
  if (!contents.isWhole) return up;
  if (isAllocate)
    return contents.hasIntegrity ? up : Verdict{.fate = Fate::challenge, .hasFingerprint = contents.hasFingerprint};
  if (!contents.isPlain) return up;
  if (isBinding) {
    if (contents.peer || contents.data) return up;
    const uint32_t answerBytes = headerBytes + (from.family == 4 ? 12 : 24) + fingerprintBytes;
    const bool isSmall = answerBytes * 10 <= length * 16;
    return {.fate = Fate::answer, .hasFingerprint = contents.hasFingerprint && isSmall};
  }
  Endpoint peer;
  if (!contents.data || !readPeer(peer, contents, bytes) || peer.port == 0) return up;
  Way* way = table.find(Key::ofSend(socket, from, peer), now);
  if (!way) return up;
  return {.fate = Fate::forwardSend,
          .port = peer.port,
          .offset = static_cast<uint32_t>(contents.data - bytes),
          .length = contents.dataLength,
          .way = way};
}

}  // namespace

Verdict judgeAtListener(Table& table, uint32_t socket, const Endpoint& from, const uint8_t* bytes, uint32_t length,
                        Micros now, Shortcuts shortcuts) {
  if (from.port == 0) return dropped(Drop::malformed);
  if (length > 0 && bytes[0] >> 6 == 1) {
    if (length < 4 || length < 4u + read16(bytes + 2)) return dropped(Drop::malformed);
    Way* way = table.find(Key::of(socket, from, read16(bytes)), now);
    if (!way && table.find(Key::of(socket, from, Key::expected), now)) return {.fate = Fate::handUp};
    if (!way) return dropped(Drop::noChannel);
    return {.fate = Fate::forward, .offset = 4, .length = read16(bytes + 2), .way = way};
  }
  if (Way* way = table.find(Key::of(socket, from, bare), now)) return {.fate = Fate::forward, .length = length, .way = way};
  const bool isStun = length >= headerBytes && length % 4 == 0 && bytes[0] < 0x40 && length == headerBytes + read16(bytes + 2);
  return isStun ? judgeStun(table, socket, from, bytes, length, now, shortcuts) : dropped(Drop::malformed);
}

Verdict judgeAtRelay(Table& table, uint32_t socket, const Endpoint& from, uint32_t length, Micros now) {
  if (from.port == 0) return dropped(Drop::malformed);
  Key key = Key::of(socket, from, bare);
  Way* way = table.find(key, now);
  if (!way) {
    key.port = 0;
    way = table.find(key, now);
  }
  if (!way) return dropped(Drop::noPermission);
  return {.fate = Fate::forward, .length = length, .way = way};
}

uint32_t writeHeader(uint8_t* end, uint16_t framing, const Endpoint& peer, uint32_t length, uint64_t& random) {
  if (framing == bare) return 0;
  if (framing != indication) {
    write16(end - 4, framing);
    write16(end - 2, length);
    return 4;
  }
  const uint32_t attributeBytes = peer.family == 4 ? 12 : 24;
  // The same bound for both families as in framing.ts.
  if (length > 65'504) return none;
  uint8_t* message = end - 4 - attributeBytes - headerBytes;
  write16(message, dataIndication);
  write16(message + 2, attributeBytes + 4 + padded(length));
  write32(message + 4, magicCookie);
  for (int i = 0; i < 3; i++) {
    random += 0x9e3779b97f4a7c15;
    uint64_t mixed = (random ^ random >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    write32(message + 8 + 4 * i, static_cast<uint32_t>(mixed >> 32));
  }
  writeXorAddress(message + headerBytes, xorPeerAddress, peer, message);
  write16(end - 4, data);
  write16(end - 2, length);
  return headerBytes + attributeBytes + 4;
}

uint32_t writeBindingAnswer(uint8_t* to, const uint8_t* request, const Endpoint& client, bool hasFingerprint) {
  write16(to, bindingSuccess);
  std::memcpy(to + 4, request + 4, 16);
  const uint32_t length = headerBytes + writeXorAddress(to + headerBytes, xorMappedAddress, client, to);
  write16(to + 2, length - headerBytes);
  return hasFingerprint ? addFingerprint(to, length) : length;
}

uint32_t addFingerprint(uint8_t* message, uint32_t length) {
  write16(message + 2, length + fingerprintBytes - headerBytes);
  write16(message + length, fingerprint);
  write16(message + length + 2, 4);
  write32(message + length + 4, fingerprintOf(message, length));
  return length + fingerprintBytes;
}

}  // namespace sluice
