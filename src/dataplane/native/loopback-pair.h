// Two ends of one TCP connection within this machine, for joining what has both its ends here.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace sluice {

/** Both are the caller's. False if this machine is out of descriptors or ports, or somebody pushes in. */
inline bool openLoopbackPair(int (&fds)[2]) {
  constexpr int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const auto nameOf = [](int fd, auto get) {
    sockaddr_in name{};
    socklen_t length = sizeof name;
    get(fd, reinterpret_cast<sockaddr*>(&name), &length);
    return name;
  };
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int listener = socket(AF_INET, kind, 0);
  const int near = socket(AF_INET, kind, 0);
  int far = -1;
  if (listener >= 0 && near >= 0 && bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 && listen(listener, 1) == 0) {
    const sockaddr_in bound = nameOf(listener, getsockname);
    // It takes no waiting, and what comes of it is seen below.
    connect(near, reinterpret_cast<const sockaddr*>(&bound), sizeof bound);
    far = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  }
  if (listener >= 0) close(listener);
  // Others on this machine could have connected first.
  if (far >= 0 && nameOf(far, getpeername).sin_port == nameOf(near, getsockname).sin_port) {
    fds[0] = near;
    fds[1] = far;
    return true;
  }
  for (const int fd : {near, far})
    if (fd >= 0) close(fd);
  return false;
}

}  // namespace sluice
