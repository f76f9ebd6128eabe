// A bounded ring of records from one thread to one other. Full means no: nothing waits and nothing grows. No syscall.
#pragma once

#include <atomic>
#include <cstdint>

#include "wire.h"

namespace sluice {

/** Before each record's bytes; JavaScript reads it too, at these offsets (native.ts). */
struct Record {
  /** Of the record, itself included; 0: the rest of the ring is left empty. */
  uint32_t size;
  /** Of the bytes that follow. */
  uint32_t length;
  uint8_t address[16];
  uint16_t port;
  uint8_t family;
  /** What it is, in the words of whoever uses the ring. */
  uint8_t kind;
  uint8_t ownAddress;
  uint8_t hops;
  uint16_t toPort;
  uint32_t socket;
  uint8_t mayLeave;
  uint8_t trafficClass;
  uint8_t reserved[2];

  Endpoint from() const { return {Address::of(address, family), port, family}; }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
};
static_assert(sizeof(Record) == 40);

class Ring {
 public:
  /** `memory` is aligned to 8 bytes and outlives the ring; `capacity` is a power of two. */
  Ring(uint8_t* memory, uint32_t capacity) : memory_(memory), capacity_(capacity) {}

  /** Room for a record of `length` bytes, filled in by the caller before `commit`; nullptr if there is none. */
  Record* reserve(const Endpoint& from, uint32_t length) {
    const uint32_t size = (static_cast<uint32_t>(sizeof(Record)) + length + 7) & ~7u;
    const uint64_t written = written_.load(std::memory_order_relaxed);
    const uint64_t free = capacity_ - (written - read_.load(std::memory_order_acquire));
    const uint32_t at = static_cast<uint32_t>(written) & (capacity_ - 1);
    const uint32_t skipped = capacity_ - at < size ? capacity_ - at : 0;
    if (free < skipped + size) return nullptr;
    if (skipped != 0) reinterpret_cast<Record*>(memory_ + at)->size = 0;
    auto* record = reinterpret_cast<Record*>(memory_ + (skipped != 0 ? 0 : at));
    *record = {};
    record->size = size;
    record->length = length;
    std::memcpy(record->address, from.address.bytes(), 16);
    record->port = from.port;
    record->family = from.family;
    reserved_ = written + skipped + size;
    return record;
  }
  void commit() { written_.store(reserved_, std::memory_order_release); }

  /** Where the reader is, and up to where it may read: positions that only grow. */
  uint64_t begin() const { return read_.load(std::memory_order_relaxed); }
  uint64_t end() const { return written_.load(std::memory_order_acquire); }
  /** Whether everything up to this position has been read. */
  bool isReadTo(uint64_t position) const { return read_.load(std::memory_order_acquire) >= position; }
  void release(uint64_t position) { read_.store(position, std::memory_order_release); }

  template <typename Visit>
  void drain(Visit visit) {
    uint64_t position = begin();
    for (const uint64_t last = end(); position != last;) {
      const uint32_t at = static_cast<uint32_t>(position) & (capacity_ - 1);
      auto* record = reinterpret_cast<Record*>(memory_ + at);
      if (record->size == 0) {
        position += capacity_ - at;
        continue;
      }
      visit(*record);
      position += record->size;
    }
    release(position);
  }

 private:
  uint8_t* const memory_;
  const uint32_t capacity_;
  uint64_t reserved_ = 0;
  alignas(64) std::atomic<uint64_t> written_{0};
  alignas(64) std::atomic<uint64_t> read_{0};
};

}  // namespace sluice
