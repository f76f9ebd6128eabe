#include "icmp-errors.h"

// Before linux/errqueue.h, which needs struct timespec.
#include <time.h>

#include <linux/errqueue.h>
#include <sys/socket.h>

#include <cerrno>

namespace sluice {

namespace {

bool isError(const cmsghdr& control) {
  return (control.cmsg_level == IPPROTO_IP && control.cmsg_type == IP_RECVERR) ||
         (control.cmsg_level == IPPROTO_IPV6 && control.cmsg_type == IPV6_RECVERR);
}

IcmpError::Origin originOf(const sock_extended_err& error) {
  if (error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6) return IcmpError::Origin::network;
  const bool isTooLong = error.ee_origin == SO_EE_ORIGIN_LOCAL && error.ee_errno == EMSGSIZE;
  return isTooLong ? IcmpError::Origin::link : IcmpError::Origin::other;
}

}  // namespace

void hearErrors(int fd, uint8_t family, bool isSet) {
  const int value = isSet;
  if (family == 4) setsockopt(fd, IPPROTO_IP, IP_RECVERR, &value, sizeof value);
  else setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &value, sizeof value);
}

bool takeError(int fd, IcmpError& error) {
  SocketAddress peer{};
  alignas(cmsghdr) uint8_t control[256];
  msghdr header{};
  header.msg_name = &peer;
  header.msg_namelen = sizeof peer;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t length;
  do {
    length = recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return false;
  error = {.origin = IcmpError::Origin::other};
  if (header.msg_namelen == 0) return true;
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each; each = CMSG_NXTHDR(&header, each)) {
    if (!isError(*each) || each->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err told;
    std::memcpy(&told, CMSG_DATA(each), sizeof told);
    error = {originOf(told), told.ee_type, told.ee_code, endpointOf(peer), told.ee_info};
  }
  return true;
}

}  // namespace sluice
