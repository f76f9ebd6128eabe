// The load generator: one thread that plays every client and every peer. Started with the server's address, it reads
// commands from stdin, one a line (`forward clients=100 direction=echo`), and answers each with one line of JSON.

#include <sched.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

#include "forward.h"
#include "requests.h"
#include "tcp-wire.h"

namespace load {

/** `name=value` words. Asking for one that is missing without saying what else is a mistake. */
class Words {
 public:
  explicit Words(std::istream& from) {
    for (std::string word; from >> word;) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos) throw std::runtime_error("not name=value: " + word);
      values_[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }

  std::string text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::runtime_error("missing: " + name);
    return found->second;
  }
  double number(const std::string& name) const { return std::stod(text(name)); }
  uint32_t count(const std::string& name) const { return uint32_t(std::stoul(text(name))); }

 private:
  std::map<std::string, std::string> values_;
};

std::vector<int> parsePids(const std::string& text) {
  std::vector<int> pids;
  std::istringstream list(text);
  for (std::string pid; std::getline(list, pid, ',');) pids.push_back(std::stoi(pid));
  return pids;
}

std::vector<uint8_t> parseHex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) bytes.push_back(uint8_t(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

Direction parseDirection(const std::string& name) {
  static const std::map<std::string, Direction> directions{{"to-peer", Direction::toPeer},
                                                           {"to-client", Direction::toClient},
                                                           {"echo", Direction::echo},
                                                           {"relay-to-relay", Direction::relayToRelay},
                                                           {"direct", Direction::direct}};
  return directions.at(name);
}

/** One line of JSON, number by number. */
class Json {
 public:
  template <typename Number>
  Json& operator()(const char* name, Number value) {
    text_ << (isFirst_ ? "{\"" : ",\"") << name << "\":" << value;
    isFirst_ = false;
    return *this;
  }
  std::string end() const { return text_.str() + "}"; }

 private:
  std::ostringstream text_{[] { std::ostringstream text; text.precision(12); return text; }()};
  bool isFirst_ = true;
};

std::unique_ptr<Wire> wireOf(const std::string& transport) {
  if (transport == "udp") return std::make_unique<UdpWire>();
  if (transport == "tcp" || transport == "tls") return std::make_unique<TcpWire>(transport == "tls");
  throw std::runtime_error("no such transport: " + transport);
}

class Generator {
 public:
  explicit Generator(const Words& words)
      : fleet_{.server = {parseIp(words.text("server")), uint16_t(words.count("port"))},
               .firstClient = parseIp(words.text("clients")),
               .firstPeer = parseIp(words.text("peers")),
               .username = words.text("username"),
               .realm = words.text("realm"),
               .key = HmacSha1(parseHex(words.text("key"))),
               .clientWire = wireOf(words.text("transport")),
               .peerWire = {},
               .unboundPeerWire = {},
               .clients = {}},
        pids_(parsePids(words.text("pids"))) {}

  std::string perform(const std::string& command, const Words& words) {
    if (command == "allocate") return allocate(words.count("clients"));
    if (command == "renew") return inTurn({Request::renew, Request::bindPeer}, allocated_, pairs_);
    if (command == "pair") return pair();
    if (command == "release") return release();
    if (command == "forward") return forward(words);
    if (command == "binding") return requests(askForBindings(fleet_, pids_, words.count("clients"), words.count("underway"), words.number("seconds")));
    if (command == "churn") return requests(churn(fleet_, pids_, words.count("channel") == 1, words.count("underway"), words.number("seconds")));
    throw std::runtime_error("unknown command: " + command);
  }

 private:
  std::string inTurn(const std::vector<Request>& script, size_t count, bool isWithPartner) {
    std::vector<Request> whole = script;
    if (isWithPartner) whole.push_back(Request::bindPartner);
    return talk(whole, 0, count);
  }

  std::string talk(const std::vector<Request>& script, size_t first, size_t end) {
    const uint64_t begunAt = nanoseconds();
    Conversations conversations(fleet_, script, 48);
    size_t next = first;
    conversations.run([&]() -> std::optional<size_t> { return next < end ? std::optional(next++) : std::nullopt; });
    return Json()("clients", end)("seconds", double(nanoseconds() - begunAt) / 1e9)("retransmitted", conversations.retransmitted()).end();
  }

  /** Brings the number of clients that have an allocation and a channel up to `count`. */
  std::string allocate(size_t count) {
    const size_t first = std::min(allocated_, count);
    const std::string result = talk({Request::allocate, Request::bindPeer}, first, count);
    allocated_ = std::max(allocated_, count);
    return result;
  }

  std::string pair() {
    pairs_ = true;
    return talk({Request::bindPartner}, 0, allocated_ & ~size_t(1));
  }

  std::string release() {
    const std::string result = talk({Request::release}, 0, allocated_);
    allocated_ = 0;
    pairs_ = false;
    return result;
  }

  std::string forward(const Words& words) {
    const ForwardOptions options{.direction = parseDirection(words.text("direction")),
                                 .isByIndication = words.text("framing") == "indication",
                                 .size = words.count("size"),
                                 .clients = words.count("clients"),
                                 .burst = words.count("burst"),
                                 .underWay = words.count("underway"),
                                 .seconds = words.number("seconds"),
                                 .rate = words.number("rate")};
    const size_t most = options.direction == Direction::direct ? maximumDirectly : allocated_;
    if (options.clients == 0 || options.clients > most) throw std::runtime_error("not that many allocations");
    const ForwardResult result = Forward(fleet_, pids_, options).run();
    return Json()("sent", result.sent)("forwarded", result.forwarded)("lost", result.lost)("corrupt", result.corrupt)(
               "reordered", result.reordered)("stalls", result.stalls)("seconds", result.seconds)(
               "cpuSeconds", result.cpuSeconds)("fullShare", result.fullShare)("p50Microseconds", double(result.p50) / 1e3)(
               "p99Microseconds", double(result.p99) / 1e3).end();
  }

  static std::string requests(const RequestsResult& result) {
    return Json()("done", result.done)("lost", result.lost)("corrupt", result.corrupt)("seconds", result.seconds)(
               "cpuSeconds", result.cpuSeconds).end();
  }

  static constexpr size_t maximumDirectly = 10'000;

  Fleet fleet_;
  std::vector<int> pids_;
  size_t allocated_ = 0;
  bool pairs_ = false;
};

std::string quoted(std::string text) {
  std::replace(text.begin(), text.end(), '"', '\'');
  return "\"" + text + "\"";
}

void serve(std::istream& commands, const std::string& options) {
  std::istringstream words(options);
  Generator generator{Words(words)};
  for (std::string line; std::getline(commands, line);) {
    std::istringstream rest(line);
    std::string command;
    rest >> command;
    try {
      std::cout << generator.perform(command, Words(rest)) << std::endl;
    } catch (const std::exception& problem) {
      std::cout << "{\"problem\":" << quoted(command + ": " + problem.what()) << "}" << std::endl;
    }
  }
}

}  // namespace load

int main(int count, char** arguments) {
  std::string options;
  for (int i = 1; i < count; i++) options += std::string(arguments[i]) + " ";
  try {
    load::serve(std::cin, options);
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << std::endl;
    return 1;
  }
  return 0;
}
