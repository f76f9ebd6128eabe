#include "joins.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice {

namespace {

/** In place of a slot and an end, in epoll: there are orders. */
constexpr uint32_t orders = UINT32_MAX;
/** Served before packets have their turn again. */
constexpr int eventsInOneTurn = 4;
/** How long those wait who may send no more for now, until they are asked again. */
constexpr int waitMillis = 20;
constexpr int sweepMillis = 1000;

bool isForLater(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EINTR); }

/** At once, whoever else has a descriptor of it: the other end is not to take this for all that there was to come. */
void reset(int fd) {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  connect(fd, &nobody, sizeof nobody);
}

}  // namespace

Joins::Joins(Shared& shared)
    : shared_(shared),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      eventFd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timer_(epoll_) {
  epoll_event event{.events = EPOLLIN, .data = {.u32 = orders}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, eventFd_, &event);
}

Joins::~Joins() {
  for (JoinOrder& order : orders_)
    for (const int fd : order.fds)
      if (fd >= 0) ::close(fd);
  while (!pairs_.empty()) breakOff(pairs_.begin()->second);
  ::close(eventFd_);
  ::close(epoll_);
}

void Joins::push(JoinOrder&& order) {
  {
    const std::lock_guard guard(lock_);
    orders_.push_back(std::move(order));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(eventFd_, &one, sizeof one);
}

bool Joins::turn() {
  epoll_event events[eventsInOneTurn];
  const int count = epoll_wait(epoll_, events, eventsInOneTurn, 0);
  for (int i = 0; i < count; i++) {
    const uint32_t what = events[i].data.u32;
    if (what == orders) obey();
    else if (what == Timer::mark) tick();
    else if (const auto found = pairs_.find(what / 2); found != pairs_.end()) happened(found->second, what % 2, events[i].events);
  }
  keepTime();
  return count > 0;
}

void Joins::obey() {
  uint64_t count;
  [[maybe_unused]] const ssize_t read = ::read(eventFd_, &count, sizeof count);
  std::vector<JoinOrder> taken;
  {
    const std::lock_guard guard(lock_);
    taken.swap(orders_);
  }
  for (JoinOrder& order : taken) {
    if (order.fds[0] >= 0) begin(order);
    else if (const auto found = pairs_.find(order.slot); found != pairs_.end()) breakOff(found->second);
  }
}

void Joins::begin(JoinOrder& order) {
  Pair& pair = pairs_[order.slot];
  pair.slot = order.slot;
  pair.limits = order.limits;
  pair.idle = order.idle;
  pair.since = shared_.now();
  pair.tls = std::move(order.tls);
  for (unsigned end : {0, 1}) {
    pair.fds[end] = order.fds[end];
    pair.awaited[end] = unwatched;
    pair.flows[end].bytes = static_cast<uint32_t>(order.early[end].size());
    pair.flows[end].early = std::move(order.early[end]);
  }
  serve(pair);
}

void Joins::happened(Pair& pair, unsigned end, uint32_t events) {
  int error = 0;
  socklen_t length = sizeof error;
  if (events & EPOLLERR) getsockopt(pair.fds[end], SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return breakOff(pair);
  // Closed in both directions, it would be reported for as long as the other end takes.
  if (events & (EPOLLHUP | EPOLLERR) && pair.awaited[end] == 0) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, pair.fds[end], nullptr);
    pair.awaited[end] = unwatched;
  }
  serve(pair);
}

void Joins::tick() {
  timer_.settle();
  std::vector<uint32_t> again = std::move(waiting_);
  waiting_.clear();
  for (const uint32_t slot : again) {
    const auto found = pairs_.find(slot);
    if (found == pairs_.end()) continue;
    found->second.isWaiting = false;
    serve(found->second);
  }
  const Micros now = shared_.now();
  for (auto next = pairs_.begin(); next != pairs_.end();) {
    Pair& pair = next++->second;
    if (pair.idle != 0 && now - pair.since >= pair.idle) breakOff(pair);
  }
}

void Joins::keepTime() { timer_.every(!waiting_.empty() ? waitMillis : !pairs_.empty() ? sweepMillis : 0); }

void Joins::serve(Pair& pair) {
  for (const unsigned from : {0u, 1u})
    if (!pump(pair, from)) return breakOff(pair);
  if (pair.flows[0].isDone && pair.flows[1].isDone) return end(pair);
  for (const unsigned end : {0u, 1u}) await(pair, end);
}

/** One piece at most. False if the two cannot go on. */
bool Joins::pump(Pair& pair, unsigned from) {
  Flow& flow = pair.flows[from];
  flow.isHeld = false;
  if (flow.bytes == 0 && !flow.hasEnded && !fill(pair, from)) return false;
  if (flow.bytes == 0 && from == 1) say(pair);
  if (flow.bytes > 0 && !drain(pair, from)) return false;
  if (flow.bytes > 0 || !flow.hasEnded || flow.isDone) return true;
  flow.isDone = true;
  return shutdown(pair.fds[1 - from], SHUT_WR) == 0;
}

bool Joins::fill(Pair& pair, unsigned from) {
  if (pair.tls) return fillByMemory(pair, from);
  Flow& flow = pair.flows[from];
  if (!pipes_.take(flow.pipe)) return hold(pair, flow), true;
  const ssize_t count = splice(pair.fds[from], nullptr, flow.pipe.in, nullptr, Pipes::bytes, SPLICE_F_NONBLOCK);
  flow.hasEnded = count == 0;
  if (count > 0) flow.bytes = static_cast<uint32_t>(count);
  else pipes_.giveBack(flow.pipe, true);
  return count >= 0 || isForLater(count);
}

bool Joins::fillByMemory(Pair& pair, unsigned from) {
  Flow& flow = pair.flows[from];
  flow.hasEnded = from == 0 && pair.tls->hasEnded();
  if (flow.hasEnded || (from == 0 && !pair.said.empty())) return true;
  came_.resize(Pipes::bytes);
  plain_.resize(Pipes::bytes + TlsEnd::mostKeptBytes);
  const ssize_t count = recv(pair.fds[from], came_.data(), came_.size(), MSG_DONTWAIT);
  flow.hasEnded = count == 0;
  if (count <= 0) return count == 0 || isForLater(count);
  flow.bytes = static_cast<uint32_t>(count);
  if (from == 0) flow.bytes = pair.tls->open(came_.data(), flow.bytes, plain_.data(), pair.said);
  const uint8_t* const bytes = from == 0 ? plain_.data() : came_.data();
  flow.early.assign(bytes, bytes + flow.bytes);
  flow.hasEnded = from == 0 && pair.tls->hasEnded();
  return !pair.tls->isBroken();
}

/** What is on its way to a client on TLS, behind what TLS itself has to say. */
bool Joins::seal(Pair& pair) {
  Flow& flow = pair.flows[1];
  std::vector<uint8_t> records = std::exchange(pair.said, {});
  if (!pair.tls->seal(flow.early.data(), flow.bytes, records)) return false;
  flow.early = std::move(records);
  flow.bytes = static_cast<uint32_t>(flow.early.size());
  return true;
}

/** That, where nothing is on its way; and that nothing more comes. */
void Joins::say(Pair& pair) {
  Flow& flow = pair.flows[1];
  if (flow.isDone) pair.said.clear();
  if (!pair.tls || flow.isDone) return;
  if (flow.hasEnded && !std::exchange(pair.hasSaidGoodbye, true)) pair.tls->sayGoodbye(pair.said);
  flow.early = std::exchange(pair.said, {});
  flow.bytes = static_cast<uint32_t>(flow.early.size());
  flow.isAdmitted = flow.bytes > 0;
}

bool Joins::drain(Pair& pair, unsigned from) {
  Flow& flow = pair.flows[from];
  const bool toPeer = from == 0;
  if (!flow.isAdmitted) {
    const Micros now = shared_.now();
    if (!admits(shared_.buckets, pair.limits, toPeer, flow.bytes, now)) return hold(pair, flow), true;
    flow.isAdmitted = true;
    pair.since = now;
    Usage& usage = shared_.joined[pair.slot];
    (toPeer ? usage.toPeer : usage.toClient).add(1, flow.bytes);
    if (!toPeer && pair.tls && !seal(pair)) return false;
  }
  const int to = pair.fds[1 - from];
  const ssize_t count = flow.early.empty()
                            ? splice(flow.pipe.out, nullptr, to, nullptr, flow.bytes, SPLICE_F_NONBLOCK)
                            : send(to, flow.early.data() + flow.early.size() - flow.bytes, flow.bytes, MSG_NOSIGNAL);
  if (count < 0 && !isForLater(count)) return false;
  if (count > 0) flow.bytes -= static_cast<uint32_t>(count);
  flow.isBlocked = flow.bytes > 0;
  if (flow.isBlocked) return true;
  flow.isAdmitted = false;
  flow.early = std::vector<uint8_t>();
  pipes_.giveBack(flow.pipe, true);
  return true;
}

/** To be tried again. */
void Joins::hold(Pair& pair, Flow& flow) {
  flow.isHeld = true;
  if (!std::exchange(pair.isWaiting, true)) waiting_.push_back(pair.slot);
}

void Joins::await(Pair& pair, unsigned end) {
  const Flow& out = pair.flows[end];
  const bool wantsMore = out.bytes == 0 && !out.hasEnded && !out.isHeld && (end == 1 || pair.said.empty());
  const uint32_t wanted = (wantsMore ? EPOLLIN : 0u) | (pair.flows[1 - end].isBlocked ? EPOLLOUT : 0u);
  uint32_t& awaited = pair.awaited[end];
  if (wanted == awaited || (wanted == 0 && awaited == unwatched)) return;
  epoll_event event{.events = wanted, .data = {.u32 = pair.slot * 2 + end}};
  epoll_ctl(epoll_, awaited == unwatched ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, pair.fds[end], &event);
  awaited = wanted;
}

void Joins::breakOff(Pair& pair) {
  for (const int fd : pair.fds) reset(fd);
  end(pair);
}

void Joins::end(Pair& pair) {
  for (Flow& flow : pair.flows) pipes_.giveBack(flow.pipe, flow.bytes == 0);
  // The controller has descriptors of both, too, so that epoll would not forget them by itself.
  for (const unsigned end : {0u, 1u}) {
    if (pair.awaited[end] != unwatched) epoll_ctl(epoll_, EPOLL_CTL_DEL, pair.fds[end], nullptr);
    ::close(pair.fds[end]);
  }
  const uint32_t slot = pair.slot;
  pairs_.erase(slot);
  {
    const std::lock_guard guard(shared_.closedLock);
    shared_.parted.push_back(slot);
  }
  shared_.wakeController();
}

}  // namespace sluice
