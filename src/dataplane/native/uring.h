// One io_uring, without a library: submissions that wait until the next call, completions read where the kernel writes them.
#pragma once

#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace sluice {

class Uring {
 public:
  Uring() = default;
  ~Uring() {
    if (submissions_ != nullptr) munmap(submissions_, entries_ * sizeof(io_uring_sqe));
    if (rings_ != nullptr) munmap(rings_, ringBytes_);
    if (fd_ >= 0) ::close(fd_);
  }
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  /** False where the kernel has none, or lets us have none. Powers of two. To be used by the thread that calls `begin`. */
  bool open(unsigned entries, unsigned completions) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
                       IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
    parameters.cq_entries = completions;
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, entries, &parameters));
    if (fd_ < 0 || (parameters.features & IORING_FEAT_SINGLE_MMAP) == 0) return false;
    entries_ = parameters.sq_entries;
    const size_t submissionRing = parameters.sq_off.array + entries_ * sizeof(uint32_t);
    const size_t completionRing = parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe);
    ringBytes_ = submissionRing > completionRing ? submissionRing : completionRing;
    rings_ = map(ringBytes_, IORING_OFF_SQ_RING);
    submissions_ = reinterpret_cast<io_uring_sqe*>(map(entries_ * sizeof(io_uring_sqe), IORING_OFF_SQES));
    if (rings_ == nullptr || submissions_ == nullptr) return false;
    submissionTail_ = at<uint32_t>(parameters.sq_off.tail);
    completionHead_ = at<uint32_t>(parameters.cq_off.head);
    completionTail_ = at<uint32_t>(parameters.cq_off.tail);
    completionMask_ = parameters.cq_entries - 1;
    completions_ = at<io_uring_cqe>(parameters.cq_off.cqes);
    uint32_t* order = at<uint32_t>(parameters.sq_off.array);
    for (uint32_t i = 0; i < entries_; i++) order[i] = i;
    return true;
  }

  int enroll(unsigned operation, void* argument, unsigned count) {
    return static_cast<int>(syscall(SYS_io_uring_register, fd_, operation, argument, count));
  }

  /** By the thread that uses it from here on. */
  bool begin() { return enroll(IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0; }

  /** An empty submission, to be filled in before the next call. */
  io_uring_sqe& next() {
    if (waiting_ == entries_) submit();
    io_uring_sqe& submission = submissions_[tail_++ & (entries_ - 1)];
    waiting_++;
    std::memset(&submission, 0, sizeof submission);
    return submission;
  }

  /** Submits what waits, and has the kernel do what there is to do until there are so many completions. */
  void enter(unsigned completions) {
    __atomic_store_n(submissionTail_, tail_, __ATOMIC_RELEASE);
    long submitted;
    do {
      submitted = syscall(SYS_io_uring_enter, fd_, waiting_, completions, IORING_ENTER_GETEVENTS, nullptr, 0);
    } while (submitted < 0 && errno == EINTR && completions > 0);
    // Short of memory it takes less: the rest waits for the next call.
    if (submitted > 0) waiting_ -= static_cast<uint32_t>(submitted);
  }

  void submit() {
    while (waiting_ > 0) enter(0);
  }

  bool hasCompletions() const { return *completionHead_ != __atomic_load_n(completionTail_, __ATOMIC_ACQUIRE); }

  /** Only if there are some. */
  io_uring_cqe take() {
    const uint32_t head = *completionHead_;
    const io_uring_cqe completion = completions_[head & completionMask_];
    __atomic_store_n(completionHead_, head + 1, __ATOMIC_RELEASE);
    return completion;
  }

 private:
  uint8_t* map(size_t bytes, uint64_t what) {
    void* const where = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, static_cast<off_t>(what));
    return where == MAP_FAILED ? nullptr : static_cast<uint8_t*>(where);
  }

  template <typename T>
  T* at(uint32_t offset) {
    return reinterpret_cast<T*>(rings_ + offset);
  }

  int fd_ = -1;
  uint32_t entries_ = 0;
  uint8_t* rings_ = nullptr;
  size_t ringBytes_ = 0;
  io_uring_sqe* submissions_ = nullptr;
  uint32_t* submissionTail_ = nullptr;
  uint32_t tail_ = 0;
  uint32_t waiting_ = 0;
  uint32_t* completionHead_ = nullptr;
  uint32_t* completionTail_ = nullptr;
  uint32_t completionMask_ = 0;
  io_uring_cqe* completions_ = nullptr;
};

}  // namespace sluice
