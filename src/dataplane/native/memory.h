// Arrays whose size is fixed at the start: zeroed address space, of which only what is touched takes memory (of large
// ones, by 2 MiB where the kernel has such pages).
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <type_traits>

namespace sluice {

template <typename T>
class Span {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit Span(size_t size) : size_(size) {
    void* at = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) std::abort();
    // What lies scattered over many pages costs a walk through the page tables with each look. A hint: some kernels have none.
    if (bytes() >= hugePageBytes) madvise(at, bytes(), MADV_HUGEPAGE);
    at_ = static_cast<T*>(at);
  }
  ~Span() { munmap(static_cast<void*>(at_), bytes()); }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  T& operator[](size_t i) { return at_[i]; }
  const T& operator[](size_t i) const { return at_[i]; }
  T* data() { return at_; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t hugePageBytes = 2 * 1024 * 1024;

  size_t bytes() const { return size_ * sizeof(T); }

  T* at_;
  size_t size_;
};

}  // namespace sluice
