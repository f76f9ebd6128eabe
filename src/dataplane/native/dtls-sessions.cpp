#include "dtls-sessions.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <time.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr uint8_t handshakeType = 22;
constexpr uint8_t clientHello = 1;
constexpr uint32_t recordHeaderBytes = 13;
constexpr uint32_t messageHeaderBytes = 12;
/** Of a ClientHello: behind both headers and its version. */
constexpr uint32_t randomAt = recordHeaderBytes + messageHeaderBytes + 2;
/** Up to its cookie, and without one. */
constexpr uint32_t shortestHello = randomAt + 32 + 1 + 1;

/** Fits every path that IPv6 runs over, with room for what tunnels add: flights are never cut up on their way. */
constexpr long mostDatagramBytes = 1200;

/** A handshake takes five datagrams of a client if none is lost, and one or two records of the next epoch. */
constexpr uint32_t mostHandshakeDatagrams = 64;
constexpr uint32_t mostLaterRecords = 8;

constexpr int busyTickMillis = 100;
constexpr int idleTickMillis = 1000;

/** Of a clock that nobody sets, not even a test: OpenSSL's own timers run by such a one, too. */
int64_t millis() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

uint16_t epochOf(const uint8_t* record) { return read16(record + 3); }

bool isClientHello(const uint8_t* bytes, uint32_t length) {
  return length >= shortestHello && bytes[0] == handshakeType && bytes[1] == 0xfe && epochOf(bytes) == 0 &&
         bytes[recordHeaderBytes] == clientHello;
}

/** What stands around the payload: a tag, and with AES the part of the nonce that is not known. */
uint32_t shortestRecordOf(const SSL_CIPHER* cipher) {
  if (!cipher) return UINT32_MAX;
  return SSL_CIPHER_get_cipher_nid(cipher) == NID_chacha20_poly1305 ? 16 : 8 + 16;
}

/** Whether it is worth another try, or will never be anything. */
bool isWaiting(const SSL* ssl, int result) {
  const int error = SSL_get_error(ssl, result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

}  // namespace

int generateCookie(SSL* ssl, unsigned char* cookie, unsigned* length) {
  const DtlsPath& path = DtlsPath::of(ssl);
  *length = Cookies::bytes;
  return path.sessions->cookies_.write(cookie, path.listener, path.client, millis() / 1000) ? 1 : 0;
}

int verifyCookie(SSL* ssl, const unsigned char* cookie, unsigned length) {
  const DtlsPath& path = DtlsPath::of(ssl);
  return path.sessions->cookies_.isGood(cookie, length, path.listener, path.client, millis() / 1000) ? 1 : 0;
}

size_t DtlsSessions::PlaceHash::operator()(const Place& place) const {
  const auto fold = [](uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  const uint64_t rest = uint64_t{place.listener} << 32 | uint64_t{place.client.port} << 8 | place.client.family;
  return fold(fold(place.client.address.first ^ seed, place.client.address.second ^ std::rotl(seed, 29)) ^ rest,
              seed ^ 0x9e3779b97f4a7c15);
}

DtlsSessions::DtlsSessions(DtlsSurroundings& around, const DtlsLimits& limits)
    : around_(around),
      limits_(limits),
      method_(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sluice")),
      unused_(BIO_ADDR_new()),
      greeterPath_{this, 0, {}},
      sessions_(0, PlaceHash{[] {
        uint64_t seed = 0;
        RAND_bytes(reinterpret_cast<uint8_t*>(&seed), sizeof seed);
        return seed;
      }()}),
      numbered_(limits.sessions) {
  BIO_meth_set_read(method_.get(), readPacket);
  BIO_meth_set_write(method_.get(), writePacket);
  BIO_meth_set_ctrl(method_.get(), control);
}

DtlsSessions::~DtlsSessions() = default;

void DtlsSessions::show(std::shared_ptr<const Credentials> credentials) {
  credentials_ = std::move(credentials);
  greeter_ = credentials_->newServer(Credentials::Transport::datagrams);
  if (greeter_ && !connect(greeter_.get(), greeterPath_)) greeter_.reset();
}

void DtlsSessions::receive(uint32_t listener, const Endpoint& from, const uint8_t* bytes, uint32_t length, Micros now) {
  now_ = now;
  const auto found = sessions_.find({from, listener});
  const bool isHello = isClientHello(bytes, length);
  if (found == sessions_.end()) {
    if (isHello) greet(listener, from, bytes, length);
    else around_.malformed();
    return;
  }
  Session& session = *found->second;
  // Whoever begins anew has to show his cookie first, as if nobody had been there (RFC 6347 section 4.2.8).
  if (isHello && std::memcmp(bytes + randomAt, session.random, randomBytes) != 0)
    return greet(listener, from, bytes, length);
  if (!maySee(session, bytes, length)) return;
  packet_ = bytes;
  packetBytes_ = length;
  if (session.isOpen || handshake(session)) read(session);
  packet_ = nullptr;
}

/** Sends a HelloVerifyRequest, which is shorter than what it answers, or has the controller asked. */
void DtlsSessions::greet(uint32_t listener, const Endpoint& from, const uint8_t* bytes, uint32_t length) {
  if (!greeter_) return;
  greeterPath_ = {this, listener, from};
  if (!listens(greeter_.get(), bytes, length)) return;
  if (const auto former = sessions_.find({from, listener}); former != sessions_.end()) end(*former->second);
  // The controller has to hear of the end first. The client will say hello again.
  if (unreported_.empty()) around_.knock(listener, from, bytes, length);
}

/** Whether it is a ClientHello with a good cookie. */
bool DtlsSessions::listens(SSL* ssl, const uint8_t* bytes, uint32_t length) {
  packet_ = bytes;
  packetBytes_ = length;
  ERR_clear_error();
  const bool isGood = DTLSv1_listen(ssl, unused_.get()) == 1;
  packet_ = nullptr;
  return isGood;
}

bool DtlsSessions::connect(SSL* ssl, DtlsPath& path) {
  BIO* const bio = BIO_new(method_.get());
  if (!bio) return false;
  BIO_set_data(bio, &path);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_app_data(ssl, &path);
  SSL_set_accept_state(ssl);
  SSL_set_mtu(ssl, mostDatagramBytes);
  return true;
}

void DtlsSessions::admit(uint32_t number, uint32_t listener, const Endpoint& from, const uint8_t* hello, uint32_t length,
                         Micros now) {
  now_ = now;
  const Place place{from, listener};
  SslPointer ssl = credentials_ && !sessions_.contains(place) ? credentials_->newServer(Credentials::Transport::datagrams) : nullptr;
  if (!ssl || !isClientHello(hello, length)) return report(listener, number);
  auto owned = std::make_unique<Session>();
  Session& session = *owned;
  static_cast<DtlsPath&>(session) = {this, listener, from};
  session.number = number;
  session.credentials = credentials_;
  session.ssl = std::move(ssl);
  session.isOpen = false;
  std::memcpy(session.random, hello + randomAt, randomBytes);
  session.since = now;
  session.usedUntil = 0;
  session.datagrams = session.laterRecords = 0;
  session.shortestRecord = UINT32_MAX;
  if (!connect(session.ssl.get(), session) || !listens(session.ssl.get(), hello, length)) return report(listener, number);
  if (handshakes_.size() >= limits_.handshakes) end(*handshakes_.front());
  sessions_.emplace(place, std::move(owned));
  numbered_[number] = &session;
  handshakes_.push_back(&session);
  handshake(session);
}

/**
 * OpenSSL ends a session for an encrypted record that is too short for its cipher, which anybody could send. In a handshake,
 * it keeps a whole buffer for each record that comes before its time, so that few are let in.
 */
bool DtlsSessions::maySee(Session& session, const uint8_t* bytes, uint32_t length) {
  if (!session.isOpen && ++session.datagrams > mostHandshakeDatagrams) return false;
  for (uint32_t at = 0; at + recordHeaderBytes <= length;) {
    const uint32_t recordBytes = read16(bytes + at + recordHeaderBytes - 2);
    const bool isEncrypted = epochOf(bytes + at) != 0;
    if (isEncrypted && recordBytes < session.shortestRecord) return false;
    if (isEncrypted && !session.isOpen && ++session.laterRecords > mostLaterRecords) return false;
    at += recordHeaderBytes + recordBytes;
  }
  return true;
}

/** Goes on with it as far as it goes now. False if it is not done; then the session may be gone. */
bool DtlsSessions::handshake(Session& session) {
  ERR_clear_error();
  const int result = SSL_do_handshake(session.ssl.get());
  session.shortestRecord = shortestRecordOf(SSL_get_pending_cipher(session.ssl.get()));
  if (result == 1) {
    session.isOpen = true;
    session.since = now_;
    std::erase(handshakes_, &session);
    return true;
  }
  if (!isWaiting(session.ssl.get(), result)) end(session);
  return false;
}

void DtlsSessions::read(Session& session) {
  for (;;) {
    uint8_t* const payload = around_.payloadRoom();
    ERR_clear_error();
    const int length = SSL_read(session.ssl.get(), payload, mostPayloadBytes);
    if (length <= 0) {
      if (!isWaiting(session.ssl.get(), length)) end(session);
      return;
    }
    session.since = now_;
    around_.decrypted(session.number, session.client, payload, static_cast<uint32_t>(length));
  }
}

bool DtlsSessions::send(uint32_t number, const uint8_t* payload, uint32_t length) {
  Session* const session = numbered_[number];
  if (!session || !session->isOpen || length > mostPayloadBytes) return false;
  ERR_clear_error();
  return SSL_write(session->ssl.get(), payload, static_cast<int>(length)) == static_cast<int>(length);
}

void DtlsSessions::use(uint32_t number, Micros until) {
  if (Session* const session = numbered_[number]) session->usedUntil = std::max(session->usedUntil, until);
}

void DtlsSessions::tick(Micros now) {
  const int64_t at = millis();
  if (at - tickedAt_ < busyTickMillis) return;
  const bool isTimeToSweep = at / idleTickMillis != tickedAt_ / idleTickMillis;
  tickedAt_ = at;
  now_ = now;
  std::erase_if(unreported_, [this](const Ended& gone) { return around_.ended(gone.listener, gone.number); });
  for (const std::deque<Session*> all = handshakes_; Session* session : all) {
    ERR_clear_error();
    if (now - session->since >= limits_.handshake || DTLSv1_handle_timeout(session->ssl.get()) < 0) end(*session);
  }
  if (!isTimeToSweep) return;
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    Session& session = *(next++)->second;
    if (session.isOpen && now - session.since >= limits_.idle && now >= session.usedUntil) end(session);
  }
}

int DtlsSessions::tickMillis() const {
  if (!handshakes_.empty() || !unreported_.empty()) return busyTickMillis;
  return sessions_.empty() ? 0 : idleTickMillis;
}

void DtlsSessions::close() {
  for (const auto& [place, session] : sessions_) sayGoodbye(*session);
}

void DtlsSessions::end(Session& session) {
  sayGoodbye(session);
  const auto [listener, number] = std::pair(session.listener, session.number);
  if (!session.isOpen) std::erase(handshakes_, &session);
  numbered_[number] = nullptr;
  sessions_.erase(Place{session.client, listener});
  report(listener, number);
}

void DtlsSessions::sayGoodbye(Session& session) {
  if (!session.isOpen) return;
  ERR_clear_error();
  SSL_shutdown(session.ssl.get());
}

void DtlsSessions::report(uint32_t listener, uint32_t number) {
  if (!unreported_.empty() || !around_.ended(listener, number)) unreported_.push_back({listener, number});
}

int DtlsSessions::readPacket(BIO* bio, char* to, int room) {
  DtlsSessions& self = *static_cast<DtlsPath*>(BIO_get_data(bio))->sessions;
  BIO_clear_retry_flags(bio);
  if (!self.packet_) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const uint32_t length = std::min(self.packetBytes_, static_cast<uint32_t>(room));
  std::memcpy(to, self.packet_, length);
  self.packet_ = nullptr;
  return static_cast<int>(length);
}

int DtlsSessions::writePacket(BIO* bio, const char* bytes, int length) {
  const DtlsPath& path = *static_cast<DtlsPath*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  path.sessions->around_.transmit(path.listener, path.client, reinterpret_cast<const uint8_t*>(bytes),
                                  static_cast<uint32_t>(length));
  return length;
}

long DtlsSessions::control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

}  // namespace sluice
