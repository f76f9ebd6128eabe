// Bytes that wait, of any number of streams, in a fixed number of blocks that one thread has for all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "memory.h"

namespace sluice {

/** Bytes in order; they lie in blocks of one pool. Empty if zeroed. */
struct Chain {
  uint32_t size = 0;
  /** Numbers of blocks plus one. */
  uint32_t first = 0, last = 0;
  /** Where they begin in the first block, and end in the last one. */
  uint32_t begin = 0, end = 0;
};

class Blocks {
 public:
  explicit Blocks(uint64_t bytes) : blocks_(std::max<uint64_t>(bytes / sizeof(Block), 1)) {}

  bool hasRoomFor(uint32_t length) const { return freeBytes() >= uint64_t{length} + room; }
  uint64_t freeBytes() const { return (blocks_.size() - used_) * room; }

  /** False, and nothing done, if there is no room for all of them. */
  bool append(Chain& chain, const void* bytes, uint32_t length) {
    const uint32_t left = chain.last == 0 ? 0 : room - chain.end;
    if (length > left && (length - left + room - 1) / room > blocks_.size() - used_) return false;
    const auto* from = static_cast<const uint8_t*>(bytes);
    while (length > 0) {
      if (chain.last == 0 || chain.end == room) extend(chain);
      const uint32_t piece = std::min(length, room - chain.end);
      std::memcpy(at(chain.last).bytes + chain.end, from, piece);
      chain.end += piece;
      chain.size += piece;
      from += piece;
      length -= piece;
    }
    return true;
  }

  /** The first `length` bytes, which have to be there. */
  void copy(const Chain& chain, uint8_t* to, uint32_t length) const {
    uint32_t begin = chain.begin;
    for (uint32_t block = chain.first; length > 0; block = blocks_[block - 1].next, begin = 0) {
      const uint32_t piece = std::min(length, room - begin);
      std::memcpy(to, blocks_[block - 1].bytes + begin, piece);
      to += piece;
      length -= piece;
    }
  }

  /** Lets go of the first `length` bytes, which have to be there. */
  void skip(Chain& chain, uint32_t length) {
    chain.size -= length;
    if (chain.size == 0) return clear(chain);
    for (uint32_t left = room - chain.begin; length >= left; left = room) {
      length -= left;
      chain.first = release(chain.first);
      chain.begin = 0;
    }
    chain.begin += length;
  }

  void clear(Chain& chain) {
    for (uint32_t block = chain.first; block != 0;) block = release(block);
    chain = {};
  }

 private:
  static constexpr uint32_t room = 4092;
  struct Block {
    uint32_t next;
    uint8_t bytes[room];
  };

  Block& at(uint32_t block) { return blocks_[block - 1]; }

  void extend(Chain& chain) {
    uint32_t block = firstFree_;
    if (block != 0) firstFree_ = at(block).next;
    else block = ++touched_;
    used_++;
    at(block).next = 0;
    if (chain.last != 0) at(chain.last).next = block;
    else chain.first = block;
    chain.last = block;
    chain.end = 0;
  }

  /** Returns the one behind it. */
  uint32_t release(uint32_t block) {
    const uint32_t next = at(block).next;
    at(block).next = firstFree_;
    firstFree_ = block;
    used_--;
    return next;
  }

  Span<Block> blocks_;
  uint64_t used_ = 0;
  uint32_t touched_ = 0;
  uint32_t firstFree_ = 0;
};

}  // namespace sluice
