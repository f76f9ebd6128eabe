// DTLS sessions and their clients on a network that loses, repeats, garbles and invents, under AddressSanitizer and UBSan,
// without threads and sockets. ./dtls-fuzz SEED SECONDS CERTIFICATE KEY; it fails if no session comes about, or if a client
// gets what nobody has sent.

#include <openssl/err.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "dtls-sessions.h"

using namespace sluice;

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint16_t clients = 12;
constexpr uint32_t sessions = 8;
constexpr DtlsLimits limits{sessions, 4, 400'000, 2'000'000};
constexpr uint8_t mark = 0x5a;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

std::string contentOf(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Endpoint endpointOf(uint16_t client) {
  const uint8_t address[4] = {192, 0, 2, 1};
  return {Address::of(address, 4), static_cast<uint16_t>(client + 1), 4};
}

/** OpenSSL's client between two memory BIOs, of which each holds one datagram at a time. */
struct Client {
  SSL* ssl = nullptr;
  BIO* in = nullptr;
  BIO* out = nullptr;

  void begin(SSL_CTX* context) {
    SSL_free(ssl);
    ssl = SSL_new(context);
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl, 1200);
    SSL_set_connect_state(ssl);
  }
};

class World : private DtlsSurroundings {
 public:
  World(uint64_t seed, std::shared_ptr<const Credentials> credentials) : random_(seed), dtls_(*this, limits) {
    dtls_.show(std::move(credentials));
    context_ = SSL_CTX_new(DTLS_client_method());
    for (Client& client : clients_) client.begin(context_);
    for (uint32_t number = 0; number < sessions; number++) free_.push_back(number);
  }
  ~World() {
    dtls_.close();
    for (Client& client : clients_) SSL_free(client.ssl);
    SSL_CTX_free(context_);
  }

  void turn() {
    now_ += 1000;
    const auto which = static_cast<uint16_t>(below(clients));
    Client& client = clients_[which];
    if (below(200) == 0) client.begin(context_);
    ERR_clear_error();
    if (below(40) == 0) DTLSv1_handle_timeout(client.ssl);
    if (!SSL_is_init_finished(client.ssl)) SSL_do_handshake(client.ssl);
    else if (below(300) == 0) SSL_shutdown(client.ssl);
    else {
      const Bytes payload(1 + below(1500), mark);
      SSL_write(client.ssl, payload.data(), static_cast<int>(payload.size()));
    }
    send(which, client);
    if (below(4) == 0) dtls_.receive(0, endpointOf(which), scrap_.data(), static_cast<uint32_t>(scrap_.size()), now_);
    while (!knocks_.empty()) answer();
    if (below(20) == 0) dtls_.tick(now_);
    for (uint32_t number = 0; number < sessions; number++)
      if (below(8) == 0) dtls_.send(number, payload_, 1 + below(sizeof payload_));
  }

  uint64_t decryptedCount = 0;
  uint64_t endedCount = 0;
  uint64_t returned = 0;

 private:
  struct Knock {
    Endpoint from;
    Bytes hello;
  };

  uint32_t below(uint64_t limit) { return static_cast<uint32_t>(random_() % limit); }

  /** What a client has for the server, and what the network makes of it. */
  void send(uint16_t which, Client& client) {
    char* data = nullptr;
    const long length = BIO_get_mem_data(client.out, &data);
    Bytes datagram(data, data + length);
    static_cast<void>(BIO_reset(client.out));
    if (datagram.empty()) return;
    if (below(10) == 0) return;
    if (below(6) == 0) datagram[below(datagram.size())] ^= static_cast<uint8_t>(1 << below(8));
    if (below(20) == 0) datagram.resize(1 + below(datagram.size()));
    if (below(20) == 0) datagram.insert(datagram.end(), scrap_.begin(), scrap_.end());
    scrap_ = datagram;
    for (uint32_t times = below(12) == 0 ? 2 : 1; times > 0; times--)
      dtls_.receive(0, endpointOf(which), datagram.data(), static_cast<uint32_t>(datagram.size()), now_);
  }

  void answer() {
    const Knock knock = knocks_.front();
    knocks_.erase(knocks_.begin());
    if (free_.empty()) return;
    const uint32_t number = free_.back();
    free_.pop_back();
    dtls_.admit(number, 0, knock.from, knock.hello.data(), static_cast<uint32_t>(knock.hello.size()), now_);
  }

  void transmit(uint32_t, const Endpoint& to, const uint8_t* bytes, uint32_t length) override {
    require(length <= DtlsSessions::mostRecordBytes, "a datagram is too long");
    Client& client = clients_[to.port - 1];
    if (below(10) == 0) return;
    static_cast<void>(BIO_reset(client.in));
    BIO_write(client.in, bytes, static_cast<int>(length));
    uint8_t payload[DtlsSessions::mostPayloadBytes];
    ERR_clear_error();
    if (!SSL_is_init_finished(client.ssl)) SSL_do_handshake(client.ssl);
    else if (const int got = SSL_read(client.ssl, payload, sizeof payload); got > 0) {
      returned++;
      for (int i = 0; i < got; i++) require(payload[i] == 0, "a client got what nobody has sent");
    }
  }
  uint8_t* payloadRoom() override { return room_.get(); }
  void decrypted(uint32_t session, const Endpoint& from, uint8_t* payload, uint32_t length) override {
    require(dtls_.listenerOf(session) == 0 && from.port <= clients, "a session is somebody else's");
    for (uint32_t i = 0; i < length; i++) require(payload[i] == mark, "a server got what nobody has sent");
    decryptedCount++;
    if (below(4) == 0) dtls_.use(session, now_ + 1'000'000);
  }
  void knock(uint32_t, const Endpoint& from, const uint8_t* hello, uint32_t length) override {
    knocks_.push_back({from, {hello, hello + length}});
  }
  bool ended(uint32_t, uint32_t session) override {
    if (below(10) == 0) return false;
    for (const uint32_t other : free_) require(other != session, "a session ends twice");
    free_.push_back(session);
    endedCount++;
    return true;
  }
  void malformed() override {}

  std::mt19937_64 random_;
  Micros now_ = 0;
  SSL_CTX* context_ = nullptr;
  Client clients_[clients];
  std::vector<Knock> knocks_;
  std::vector<uint32_t> free_;
  /** What the network invents: something that was sent before. */
  Bytes scrap_{22, 0xfe, 0xfd};
  uint8_t payload_[1400] = {};
  /** Of exactly this size, so that nothing is written behind it. */
  std::unique_ptr<uint8_t[]> room_ = std::make_unique<uint8_t[]>(DtlsSessions::mostPayloadBytes);
  DtlsSessions dtls_;
};

}  // namespace

int main(int count, char** arguments) {
  require(count == 5, "./dtls-fuzz SEED SECONDS CERTIFICATE KEY");
  std::string why;
  auto credentials = Credentials::make({{{}, contentOf(arguments[3]), contentOf(arguments[4])}}, "DEFAULT", why);
  require(credentials != nullptr, why.c_str());
  World world(std::strtoull(arguments[1], nullptr, 10), credentials);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(arguments[2]));
  while (std::chrono::steady_clock::now() < end) world.turn();
  require(world.decryptedCount > 0 && world.returned > 0 && world.endedCount > 0, "nothing came about");
  std::printf("%llu records received, %llu sent, %llu sessions ended\n",
              static_cast<unsigned long long>(world.decryptedCount), static_cast<unsigned long long>(world.returned),
              static_cast<unsigned long long>(world.endedCount));
}
