// Feeds the judge, the table, the ring and streams bytes that nobody would send, under AddressSanitizer and UBSan. Each
// packet lies in memory of exactly its size. Built alone it makes its own inputs from a seed: ./fuzz SEED SECONDS; with clang,
// -fsanitize=fuzzer -DLIBFUZZER lets libFuzzer make them.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "judge.h"
#include "blocks.h"
#include "ring.h"
#include "stream-frames.h"

using namespace sluice;

namespace {

constexpr uint32_t relays = 4;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/** Takes what it needs off the front; zeros when there is no more. */
class Source {
 public:
  Source(const uint8_t* bytes, size_t length) : bytes_(bytes), left_(length) {}
  bool isEmpty() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    left_--;
    return *bytes_++;
  }
  uint32_t below(uint32_t limit) { return byte() % limit; }
  std::vector<uint8_t> take(size_t length) {
    std::vector<uint8_t> taken;
    while (taken.size() < length && left_ > 0) taken.push_back(byte());
    return taken;
  }

 private:
  const uint8_t* bytes_;
  size_t left_;
};

Endpoint endpointFrom(Source& source) {
  static constexpr uint8_t addresses[4][16] = {{192, 0, 2, 1}, {192, 0, 2, 2}, {0x20, 1, 0xd, 0xb8}, {192, 0, 2, 1}};
  const uint32_t which = source.below(4);
  const uint8_t family = which < 2 ? 4 : 6;
  return {Address::of(addresses[which], family), static_cast<uint16_t>(source.below(3)), family};
}

uint16_t framingFrom(Source& source) {
  static constexpr uint16_t framings[] = {bare, indication, 0x4000, 0x4001, 0x7fff};
  return framings[source.below(5)];
}

Leg legFrom(Source& source, bool mayListen) {
  const uint32_t socket = mayListen && source.below(2) == 0 ? source.below(2) : maxListeners + source.below(relays);
  const uint16_t framing = framingFrom(source);
  const Endpoint peer = endpointFrom(source);
  return {socket, framing, peer, source.below(2) == 0, noOwnAddress};
}

/** Near enough to something well-formed to get past the first checks; the rest is the input's. */
std::vector<uint8_t> packetFrom(Source& source) {
  const uint8_t shape = source.byte();
  std::vector<uint8_t> body = source.take(source.byte());
  std::vector<uint8_t> packet;
  if (shape % 4 == 0) return body;
  if (shape % 4 == 1) {
    packet = {0x40, static_cast<uint8_t>(shape & 1), 0, static_cast<uint8_t>(body.size() + shape / 64)};
  } else {
    while (body.size() % 4 != 0) body.push_back(0);
    const uint8_t type = shape % 4 == 2 ? 0x01 : 0x16;
    packet = {0, type, 0, static_cast<uint8_t>(body.size()), 0x21, 0x12, 0xa4, 0x42};
    packet.resize(20, shape);
  }
  packet.insert(packet.end(), body.begin(), body.end());
  return packet;
}

void judge(Table& table, Source& source, Micros now) {
  const std::vector<uint8_t> packet = packetFrom(source);
  const auto length = static_cast<uint32_t>(packet.size());
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[length]);
  std::copy(packet.begin(), packet.end(), exact.get());
  const Endpoint from = endpointFrom(source);
  const bool isAtListener = source.below(2) == 0;
  const Verdict verdict =
      isAtListener ? judgeAtListener(table, source.below(2), from, exact.get(), length, now, {true, true, true})
                   : judgeAtRelay(table, maxListeners + source.below(relays), from, length, now);
  if (verdict.fate == Fate::answer) {
    uint8_t answer[mostAnswerBytes];
    require(writeBindingAnswer(answer, exact.get(), from, verdict.hasFingerprint) <= mostAnswerBytes, "a long answer");
  }
  if (verdict.fate != Fate::forward && verdict.fate != Fate::forwardSend) return;
  require(verdict.way != nullptr && now < verdict.way->until, "forwarded along a way that has ended");
  require(uint64_t{verdict.offset} + verdict.length <= length, "forwarded more than there is");
  const std::unique_ptr<uint8_t[]> header(new uint8_t[mostHeaderBytes]);
  uint64_t random = 1;
  const uint32_t headerBytes = writeHeader(header.get() + mostHeaderBytes, verdict.way->to.framing, from, verdict.length, random);
  require(headerBytes <= mostHeaderBytes, "a long header");
}

void turn(Ring& ring, Source& source, uint64_t& sent, uint64_t& seen) {
  if (source.below(4) == 0) {
    ring.drain([&](Record& record) {
      require(record.size <= 256 + sizeof(Record) + 8, "a record out of bounds");
      for (uint32_t i = 0; i < record.length; i++) require(record.bytes()[i] == static_cast<uint8_t>(seen), "other bytes");
      seen++;
    });
    require(seen == sent, "a record lost");
    return;
  }
  const uint32_t length = source.byte();
  if (Record* record = ring.reserve(endpointFrom(source), length)) {
    std::memset(record->bytes(), static_cast<uint8_t>(sent++), length);
    ring.commit();
  }
}

/** A beginning of a frame says how long it is, the same however much more there is, and that is within the limits. */
void frame(Source& source) {
  static constexpr FrameLimits all[] = {everyFrame, strangersFrames, formersFrames};
  const FrameLimits limits = all[source.below(3)];
  const std::vector<uint8_t> packet = packetFrom(source);
  uint32_t known = 0;
  for (uint32_t length = 0; length <= packet.size(); length++) {
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[length]);
    std::copy_n(packet.begin(), length, exact.get());
    const uint32_t size = frameBytes(exact.get(), length, limits);
    require(known == 0 || size == known, "a frame of two lengths");
    require(size == none || padded(size) <= longestFrame, "a long frame");
    known = size;
  }
}

/** What was put in comes out, and every block is free again in the end. */
void wait(Source& source) {
  Blocks blocks(5 * 4096);
  const uint64_t room = blocks.freeBytes();
  Chain chains[2];
  uint64_t in[2] = {};
  uint64_t out[2] = {};
  for (uint32_t turns = source.byte(); turns > 0; turns--) {
    const uint32_t which = source.below(2);
    const uint32_t length = source.byte() * 40u;
    std::vector<uint8_t> bytes(length);
    if (source.below(2) == 0) {
      for (uint32_t i = 0; i < length; i++) bytes[i] = static_cast<uint8_t>((in[which] + i) * 31);
      if (blocks.append(chains[which], bytes.data(), length)) in[which] += length;
    } else if (length <= chains[which].size) {
      blocks.copy(chains[which], bytes.data(), length);
      for (uint32_t i = 0; i < length; i++)
        require(bytes[i] == static_cast<uint8_t>((out[which] + i) * 31), "other bytes than were put in");
      blocks.skip(chains[which], length);
      out[which] += length;
    }
    require(chains[which].size == in[which] - out[which], "another size");
  }
  for (Chain& chain : chains) blocks.clear(chain);
  require(blocks.freeBytes() == room, "a block lost");
}

void run(const uint8_t* bytes, size_t length) {
  Source source(bytes, length);
  Table table(64, relays, 7);
  constexpr uint32_t ringBytes = 1024;
  const std::unique_ptr<uint64_t[]> memory(new uint64_t[ringBytes / sizeof(uint64_t)]);
  Ring ring(reinterpret_cast<uint8_t*>(memory.get()), ringBytes);
  uint64_t sent = 0;
  uint64_t seen = 0;
  Micros now = 0;
  while (!source.isEmpty()) {
    switch (source.below(10)) {
      case 0:
      case 1: {
        const Leg client = legFrom(source, true);
        const Leg peer = legFrom(source, false);
        const Micros until = source.byte();
        table.route(client, peer, until, now, source.below(8) != 0, source.below(8) != 0);
        break;
      }
      case 2: {
        const Leg client = legFrom(source, true);
        table.unroute(client, legFrom(source, false));
        break;
      }
      case 3:
        table.forget(source.below(relays));
        break;
      case 4:
        table.open(maxListeners + source.below(relays), endpointFrom(source));
        now += source.below(8);
        break;
      case 5:
        turn(ring, source, sent, seen);
        break;
      case 6:
        frame(source);
        break;
      case 7:
        wait(source);
        break;
      default:
        judge(table, source, now);
    }
  }
  for (uint32_t slot = 0; slot < relays; slot++) table.forget(slot);
  require(table.size() == 0, "a way without its relay port");
}

}  // namespace

#ifdef LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  run(bytes, length);
  return 0;
}
#else
int main(int, char** arguments) {
  uint64_t random = std::strtoull(arguments[1], nullptr, 10);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(static_cast<int>(1000 * std::atof(arguments[2])));
  uint64_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; runs++) {
    std::vector<uint8_t> input(512);
    for (uint8_t& byte : input) {
      random = random * 6364136223846793005 + 1442695040888963407;
      byte = static_cast<uint8_t>(random >> 56);
      if (random >> 32 & 1) byte %= 8;
    }
    run(input.data(), input.size());
  }
  std::printf("%lu inputs\n", runs);
}
#endif
