// The DTLS sessions of one thread (RFC 6347, RFC 7350): handshakes after a cookie, and records in both directions. A
// session begins when the controller says so and gives it a number; when it has ended, the controller is told.
#pragma once

#include <openssl/bio.h>

#include <deque>
#include <unordered_map>

#include "cookies.h"
#include "credentials.h"
#include "table.h"

namespace sluice {

/** What a thread lets its sessions do. Bytes are the caller's again when a call returns. */
class DtlsSurroundings {
 public:
  /** A datagram of records for a client. */
  virtual void transmit(uint32_t listener, const Endpoint& to, const uint8_t* bytes, uint32_t length) = 0;
  /** Where the payload of a record may be written, `DtlsSessions::mostPayloadBytes` of it, before it is `decrypted`. */
  virtual uint8_t* payloadRoom() = 0;
  virtual void decrypted(uint32_t session, const Endpoint& from, uint8_t* payload, uint32_t length) = 0;
  /** The controller may begin a session with this ClientHello, whose sender is where it says. */
  virtual void knock(uint32_t listener, const Endpoint& from, const uint8_t* hello, uint32_t length) = 0;
  /** False if the controller cannot be told now. */
  virtual bool ended(uint32_t listener, uint32_t session) = 0;
  /** Neither a record of a session nor a beginning of one. */
  virtual void malformed() = 0;

 protected:
  ~DtlsSurroundings() = default;
};

struct DtlsLimits {
  /** At once, over all threads; sessions are numbered from 0 up to this. */
  uint32_t sessions;
  /** At once in one thread. One more ends the oldest. */
  uint32_t handshakes;
  Micros handshake;
  /** For a session that says nothing and that no route runs over. */
  Micros idle;
};

class DtlsSessions {
 public:
  /** Of what a record carries (RFC 6347 section 4.1). */
  static constexpr uint32_t mostPayloadBytes = 16'384;
  static constexpr uint32_t mostRecordBytes = mostPayloadBytes + 512;

  DtlsSessions(DtlsSurroundings& around, const DtlsLimits& limits);
  ~DtlsSessions();
  DtlsSessions(const DtlsSessions&) = delete;
  DtlsSessions& operator=(const DtlsSessions&) = delete;

  /** For whoever comes from now on. */
  void show(std::shared_ptr<const Credentials> credentials);
  /** A datagram. */
  void receive(uint32_t listener, const Endpoint& from, const uint8_t* bytes, uint32_t length, Micros now);
  /** Answers a ClientHello that knocked. If that is no longer possible, the session has ended at once. */
  void admit(uint32_t number, uint32_t listener, const Endpoint& from, const uint8_t* hello, uint32_t length, Micros now);
  /** False if there is no such session, or no record holds this. */
  bool send(uint32_t number, const uint8_t* payload, uint32_t length);
  /** A route runs over it until then. */
  void use(uint32_t number, Micros until);
  bool has(uint32_t number) const { return numbered_[number] != nullptr; }
  /** Of a session that is there. */
  uint32_t listenerOf(uint32_t number) const { return numbered_[number]->listener; }
  /** Retransmits, and ends what has been silent for too long. To be called now and then; it looks at the time itself. */
  void tick(Micros now);
  /** How often there may be something to do, although nothing comes; 0 for never. */
  int tickMillis() const;
  /** Says goodbye to every client, and tells nobody else. */
  void close();

 private:
  struct Place {
    Endpoint client;
    uint32_t listener;

    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    uint64_t seed;
    size_t operator()(const Place& place) const;
  };

  /** A ClientHello's, by which a repeated one is known. */
  static constexpr uint32_t randomBytes = 32;

  struct Session : DtlsPath {
    uint32_t number;
    /** Outlive what points into them. */
    std::shared_ptr<const Credentials> credentials;
    SslPointer ssl;
    bool isOpen;
    uint8_t random[randomBytes];
    /** Since when it has said nothing; until it is open, since when it has been there. */
    Micros since;
    Micros usedUntil;
    /** What came for its handshake. */
    uint32_t datagrams;
    uint32_t laterRecords;
    /** No encrypted record is shorter. */
    uint32_t shortestRecord;
  };

  void greet(uint32_t listener, const Endpoint& from, const uint8_t* bytes, uint32_t length);
  bool listens(SSL* ssl, const uint8_t* bytes, uint32_t length);
  bool connect(SSL* ssl, DtlsPath& path);
  bool maySee(Session& session, const uint8_t* bytes, uint32_t length);
  bool handshake(Session& session);
  void read(Session& session);
  void end(Session& session);
  void forget(Session& session);
  void report(uint32_t listener, uint32_t number);
  static void sayGoodbye(Session& session);

  static int readPacket(BIO* bio, char* to, int room);
  static int writePacket(BIO* bio, const char* bytes, int length);
  static long control(BIO* bio, int command, long number, void* pointer);
  friend int generateCookie(SSL*, unsigned char*, unsigned*);
  friend int verifyCookie(SSL*, const unsigned char*, unsigned);

  DtlsSurroundings& around_;
  const DtlsLimits limits_;
  const Cookies cookies_;
  struct MethodDeleter {
    void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
    void operator()(BIO_ADDR* address) const { BIO_ADDR_free(address); }
  };
  std::unique_ptr<BIO_METHOD, MethodDeleter> method_;
  std::unique_ptr<BIO_ADDR, MethodDeleter> unused_;
  std::shared_ptr<const Credentials> credentials_;
  /** Answers every ClientHello without a cookie, and remembers nothing of it. */
  DtlsPath greeterPath_;
  SslPointer greeter_;
  std::unordered_map<Place, std::unique_ptr<Session>, PlaceHash> sessions_;
  Span<Session*> numbered_;
  /** Oldest first. */
  std::deque<Session*> handshakes_;
  struct Ended {
    uint32_t listener;
    uint32_t number;
  };
  std::vector<Ended> unreported_;
  /** What OpenSSL is to read next. */
  const uint8_t* packet_ = nullptr;
  uint32_t packetBytes_ = 0;
  Micros now_ = 0;
  int64_t tickedAt_ = 0;
};

}  // namespace sluice
