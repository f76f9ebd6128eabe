// Turns offloads of a network interface on and off, as ethtool would: `offloads NAME gro=on tso=off`.

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>

int main(int count, char** arguments) {
  static const std::map<std::string, uint32_t> commands{{"gro", ETHTOOL_SGRO}, {"tso", ETHTOOL_STSO}, {"gso", ETHTOOL_SGSO}};
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  for (int i = 2; i < count; i++) {
    const std::string word = arguments[i];
    const size_t equals = word.find('=');
    ethtool_value value{commands.at(word.substr(0, equals)), word.substr(equals + 1) == "on"};
    ifreq request{};
    strncpy(request.ifr_name, arguments[1], IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (ioctl(fd, SIOCETHTOOL, &request) != 0) {
      perror(word.c_str());
      return 1;
    }
  }
  close(fd);
  return 0;
}
