// UDP in batches. One socket stands for thousands of hosts: it is bound to the wildcard address, and each packet names its
// own local address (IP_PKTINFO), so the generator needs neither a socket nor a port per client.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "wire.h"

namespace load {

class UdpWire : public Wire {
 public:
  UdpWire() : outgoing_(std::make_unique<Half>()), incoming_(std::make_unique<Half>()) {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) failed("socket");
    const int on = 1;
    if (setsockopt(fd_, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0) failed("IP_PKTINFO");
    enlarge(SO_RCVBUFFORCE, SO_RCVBUF);
    enlarge(SO_SNDBUFFORCE, SO_SNDBUF);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    socklen_t length = sizeof any;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&any), length) != 0) failed("bind");
    if (getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &length) != 0) failed("getsockname");
    port_ = ntohs(any.sin_port);
  }

  ~UdpWire() override { close(fd_); }
  UdpWire(const UdpWire&) = delete;
  UdpWire& operator=(const UdpWire&) = delete;

  uint16_t port() const { return port_; }

  uint8_t* room(uint32_t local, Address to) override {
    if (queued_ == batch) flush();
    Half& half = *outgoing_;
    half.names[queued_].sin_port = htons(to.port);
    half.names[queued_].sin_addr.s_addr = htonl(to.ip);
    half.control[queued_].info().ipi_spec_dst.s_addr = htonl(local);
    return half.bytes[queued_].data();
  }

  void put(size_t length) override { outgoing_->vectors[queued_++].iov_len = length; }

  void flush() override {
    unsigned sent = 0;
    while (sent < queued_) {
      const int count = sendmmsg(fd_, &outgoing_->headers[sent], unsigned(queued_) - sent, 0);
      if (count > 0) sent += unsigned(count);
      else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR) failed("sendmmsg");
    }
    queued_ = 0;
  }

  std::span<const Packet> receive() override {
    Half& half = *incoming_;
    for (auto& header : half.headers) {
      header.msg_hdr.msg_namelen = sizeof(sockaddr_in);
      header.msg_hdr.msg_controllen = sizeof(Control);
    }
    const int count = recvmmsg(fd_, half.headers.data(), batch, 0, nullptr);
    if (count < 0 && errno != EAGAIN && errno != EINTR) failed("recvmmsg");
    const size_t received = count < 0 ? 0 : size_t(count);
    for (size_t i = 0; i < received; i++) {
      const sockaddr_in& name = half.names[i];
      packets_[i] = {ntohl(half.control[i].info().ipi_addr.s_addr),
                     {ntohl(name.sin_addr.s_addr), ntohs(name.sin_port)},
                     {half.bytes[i].data(), half.headers[i].msg_len}};
    }
    return {packets_.data(), received};
  }

 private:
  /** A control message that holds one in_pktinfo. */
  struct Control {
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(in_pktinfo))> bytes{};

    Control() {
      auto* header = reinterpret_cast<cmsghdr*>(bytes.data());
      header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
      header->cmsg_level = IPPROTO_IP;
      header->cmsg_type = IP_PKTINFO;
    }
    in_pktinfo& info() { return *reinterpret_cast<in_pktinfo*>(CMSG_DATA(reinterpret_cast<cmsghdr*>(bytes.data()))); }
  };

  struct Half {
    std::array<std::array<uint8_t, largest>, batch> bytes{};
    std::array<sockaddr_in, batch> names{};
    std::array<Control, batch> control{};
    std::array<iovec, batch> vectors{};
    std::array<mmsghdr, batch> headers{};

    Half() {
      for (size_t i = 0; i < batch; i++) {
        names[i].sin_family = AF_INET;
        vectors[i] = {bytes[i].data(), largest};
        msghdr& header = headers[i].msg_hdr;
        header.msg_name = &names[i];
        header.msg_namelen = sizeof(sockaddr_in);
        header.msg_iov = &vectors[i];
        header.msg_iovlen = 1;
        header.msg_control = &control[i];
        header.msg_controllen = sizeof(Control);
      }
    }
  };

  void enlarge(int forced, int asked) {
    const int size = 16 << 20;
    if (setsockopt(fd_, SOL_SOCKET, forced, &size, sizeof size) != 0) setsockopt(fd_, SOL_SOCKET, asked, &size, sizeof size);
  }

  int fd_;
  uint16_t port_;
  size_t queued_ = 0;
  std::unique_ptr<Half> outgoing_, incoming_;
  std::array<Packet, batch> packets_{};
};

}  // namespace load
