// TCP clients, with TLS or without: a connection for each host, opened when it first sends. STUN messages and ChannelData
// follow one another in the stream, padded to four bytes (RFC 8656 section 12.5).
#pragma once

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tls-session.h"
#include "wire.h"

namespace load {

class TcpWire : public Wire {
 public:
  explicit TcpWire(bool isEncrypted) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) failed("epoll_create1");
    if (isEncrypted) tls_.emplace();
  }

  ~TcpWire() override {
    for (const auto& [local, connection] : connections_) close(connection.fd);
    close(epoll_);
  }
  TcpWire(const TcpWire&) = delete;
  TcpWire& operator=(const TcpWire&) = delete;

  uint8_t* room(uint32_t local, Address to) override {
    const auto [found, isNew] = connections_.try_emplace(local);
    if (isNew) open(found->second, local, to);
    sender_ = &found->second;
    const size_t used = sender_->outgoing.size();
    if (used == 0) dirty_.push_back(sender_);
    sender_->outgoing.resize(used + largest);
    return &sender_->outgoing[used];
  }

  void put(size_t length) override {
    const size_t start = sender_->outgoing.size() - largest;
    sender_->outgoing.resize(start + ((length + 3) & ~size_t(3)));
    if (sender_->tls) sender_->tls->seal(sender_->outgoing, start);
  }

  /** What a connection does not take now stays for the next time. */
  void flush() override {
    std::erase_if(dirty_, [](Connection* connection) {
      auto& bytes = connection->outgoing;
      const ssize_t sent = send(connection->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) failed("send");
      if (sent > 0) bytes.erase(bytes.begin(), bytes.begin() + sent);
      return bytes.empty();
    });
  }

  std::span<const Packet> receive() override {
    packets_.clear();
    const std::vector<Connection*> unread = std::exchange(unread_, {});
    for (Connection* connection : unread) read(*connection);
    if (!unread.empty()) return packets_;
    std::array<epoll_event, batch> events;
    const int count = epoll_wait(epoll_, events.data(), int(events.size()), 0);
    if (count < 0 && errno != EINTR) failed("epoll_wait");
    for (int i = 0; i < count; i++) read(*static_cast<Connection*>(events[size_t(i)].data.ptr));
    return packets_;
  }

 private:
  struct Connection {
    int fd = -1;
    uint32_t local = 0;
    Address server;
    std::optional<TlsSession> tls;
    std::vector<uint8_t> outgoing;
    std::vector<uint8_t> incoming = std::vector<uint8_t>(1 << 16);
    /** Of `incoming`: up to where there are bytes, and up to where they were already handed out. */
    size_t filled = 0, taken = 0;
  };

  void open(Connection& connection, uint32_t local, Address to) {
    int fd = connected(local, to);
    for (int tries = 1; fd < 0 && errno == ECONNREFUSED && tries < 100; tries++) {
      usleep(100'000);
      fd = connected(local, to);
    }
    if (fd < 0) failed("connect");
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls_) connection.tls.emplace(*tls_, fd);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) failed("fcntl");
    connection.fd = fd, connection.local = local, connection.server = to;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) failed("epoll_ctl");
  }

  /** Below 0, with errno, if the server does not take it: perhaps it only starts. */
  static int connected(uint32_t local, Address to) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) failed("socket");
    const sockaddr_in from = named({local, 0}), server = named(to);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) failed("bind");
    if (connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0) return fd;
    const int why = errno;
    close(fd);
    errno = why;
    return -1;
  }

  static sockaddr_in named(Address address) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(address.port);
    name.sin_addr.s_addr = htonl(address.ip);
    return name;
  }

  void read(Connection& connection) {
    auto& bytes = connection.incoming;
    std::copy(bytes.begin() + ptrdiff_t(connection.taken), bytes.begin() + ptrdiff_t(connection.filled), bytes.begin());
    connection.filled -= connection.taken;
    connection.taken = 0;
    connection.filled += fill(connection, std::span(bytes).subspan(connection.filled));
    for (size_t left = connection.filled; left >= 4; left = connection.filled - connection.taken) {
      const uint8_t* frame = &bytes[connection.taken];
      const bool isChannelData = (frame[0] & 0xc0) == 0x40;
      const size_t length = size_t(frame[2] << 8 | frame[3]) + (isChannelData ? 4 : 20);
      const size_t padded = (length + 3) & ~size_t(3);
      if (padded > left) break;
      packets_.push_back({connection.local, connection.server, {frame, length}});
      connection.taken += padded;
    }
  }

  size_t fill(Connection& connection, std::span<uint8_t> room) {
    if (connection.tls) {
      const size_t count = connection.tls->read(room);
      if (connection.tls->hasMore()) unread_.push_back(&connection);
      return count;
    }
    const ssize_t count = recv(connection.fd, room.data(), room.size(), 0);
    if (count == 0) throw std::runtime_error("the server hung up");
    if (count < 0 && errno != EAGAIN && errno != EINTR) failed("recv");
    return count < 0 ? 0 : size_t(count);
  }

  int epoll_;
  std::optional<TlsContext> tls_;
  /** By local address. Its elements stay where they are. */
  std::unordered_map<uint32_t, Connection> connections_;
  Connection* sender_ = nullptr;
  std::vector<Connection*> dirty_;
  /** Of what these have received, some is still to be read, though the system holds nothing. */
  std::vector<Connection*> unread_;
  std::vector<Packet> packets_;
};

}  // namespace load
