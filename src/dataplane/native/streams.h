// The clients on stream connections of one thread: frames in, frames out (RFC 8656 section 12.5), as connection.ts has
// them. A client that reads too slowly loses its oldest media, never an answer, and never makes us hold more than a little.
#pragma once

#include <sys/uio.h>

#include <vector>

#include "blocks.h"
#include "judge.h"
#include "stream-frames.h"
#include "tls-end.h"

namespace sluice {

/** What a thread lets its streams do. Bytes are the caller's again when a call returns, unless it is said otherwise. */
class StreamSurroundings {
 public:
  /** Where so many bytes may be read to; what came before may have to leave for that, and streams may end by it. */
  virtual uint8_t* roomForFrames(uint32_t bytes) = 0;
  /** What lies before `end` has to stay until everything is sent. */
  virtual void keepFrames(const uint8_t* end) = 0;
  /** What the controller ordered by now holds for what has been read: to be called before that is looked at. */
  virtual void obeyBefore() = 0;
  /** A frame without its padding. */
  virtual void framed(uint32_t socket, const Endpoint& from, uint8_t* bytes, uint32_t length) = 0;
  /** Nothing more comes of it. False if the controller cannot be told now. */
  virtual bool streamEnded(uint32_t socket) = 0;
  /**
   * It is the controller's from now on, with what came behind the last frame, and its end of TLS if it has one. False, and
   * nothing taken, if it cannot be told now.
   */
  virtual bool streamReleased(uint32_t socket, int fd, const uint8_t* early, uint32_t length, std::unique_ptr<TlsEnd>& end) = 0;
  /** Frames for a client, or the rest of one from it, for which there was no room. */
  virtual void lost(uint64_t frames) = 0;

 protected:
  ~StreamSurroundings() = default;
};

struct StreamLimits {
  /** For which each thread has room. */
  uint32_t streams;
  /** That may wait in one thread for sockets and for the rest of frames. */
  uint64_t waitingBytes;
  /** Of TLS, in one thread; one more ends the oldest. And for one. */
  uint32_t handshakes;
  Micros handshake;
  /** For one that has not yet sent one complete frame. */
  Micros firstFrame;
  /** For one that has been answered and has nothing here. */
  Micros strangerIdle;
  /** For one that says nothing and that no route runs over. */
  Micros idle;
};

class Streams {
 public:
  Streams(StreamSurroundings& around, const StreamLimits& limits, int epoll);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /** From here on this descriptor is ours, and this client's; `early` was read of it before. Over TLS if there is an `end`. */
  void adopt(uint32_t socket, int fd, const Endpoint& client, const uint8_t* early, uint32_t length, std::unique_ptr<TlsEnd> end,
             Micros now);
  /** Epoll says that something is up with one of them: it is in turn from here on. */
  void stir(uint32_t index, uint32_t events);
  bool areReady() const { return !ready_.empty(); }
  /** Each that is in turn reads and writes once. */
  void turn(Micros now);

  bool has(uint32_t socket) const { return find(socket) != nullptr; }
  /** Media, which may be lost; its bytes must stay as they are until `flush`. Header and padding are added. */
  void sendMedia(uint32_t socket, uint16_t framing, const Endpoint& peer, uint8_t* payload, uint32_t length, uint32_t room,
                 uint64_t& random);
  /** A whole frame; the same, unless it is an answer. Who reads no answers is hung up on. */
  void send(uint32_t socket, const uint8_t* frame, uint32_t length, bool isAnswer);
  /** Writes what was sent. */
  void flush();
  bool mustFlush() const { return pendingCount_ > 0; }

  /** A route runs over it until then. */
  void use(uint32_t socket, Micros until);
  /** Whether its client has relay ports, and of those some that excuse any silence. */
  void own(uint32_t socket, bool hasRelay, bool mayBeSilent);
  /** Goes on with one whose ConnectionBind has been answered. */
  void resume(uint32_t socket, Micros now);
  /** Gives it to the controller, when what was sent has left. */
  void release(uint32_t socket);
  void hangUp(uint32_t socket);

  /** Ends what has been silent for too long. To be called now and then; it looks at the time itself. */
  void tick(Micros now);
  /** How often there may be something to do, although nothing comes; 0 for never. */
  int tickMillis() const;

  static uint32_t indexOf(uint32_t socket) { return socket & 0xffff; }

 private:
  struct Stream {
    /** 0, which Node keeps for itself, if there is none. */
    int fd;
    uint32_t socket;
    Endpoint client;
    /** What came of the next frame, and how much is missing of it, as far as that is known. */
    Chain held;
    uint32_t missing;
    /** What has to leave next, as it leaves: the rest of what the socket took a part of, and what TLS itself says. */
    Chain begun;
    /** Each frame behind its length. */
    Chain answers;
    Chain media;
    /** Of what waits for `flush`, plus one. */
    uint32_t firstPending, lastPending;
    /** Since when no complete frame has come. */
    Micros since;
    Micros usedUntil;
    /** The handshake of TLS is not done. */
    bool isShaking;
    /** What is held came before it was ours, and is records of TLS. */
    bool holdsRecords;
    bool hasHeard;
    bool hasRelay;
    bool hadRelay;
    bool mayBeSilent;
    bool isReady;
    bool isReadable;
    bool isWritable;
    /** The other end has no more to say. */
    bool isEnding;
    bool hasEnded;
    /** What was handed up last may make what follows something else than frames. */
    bool awaitsAnswer;
    bool isLeaving;

    bool isBlocked() const { return !isWritable || begun.size + answers.size + media.size > 0; }
  };

  /** A frame that has yet to be written. */
  struct Pending {
    uint8_t scratch[mostHeaderBytes];
    const uint8_t* header;
    const uint8_t* payload;
    uint32_t headerBytes;
    uint32_t payloadBytes;
    uint32_t paddingBytes;
    uint32_t next;
    bool isAnswer;

    uint32_t bytes() const { return headerBytes + payloadBytes + paddingBytes; }
  };

  Stream* find(uint32_t socket);
  const Stream* find(uint32_t socket) const { return const_cast<Streams*>(this)->find(socket); }
  bool isStrangers(const Stream& stream) const { return !stream.hasRelay && now_ >= stream.usedUntil; }
  uint32_t indexOf(const Stream& stream) const { return static_cast<uint32_t>(&stream - &streams_[0]); }
  TlsEnd* endOf(const Stream& stream) const { return ends_[indexOf(stream)].get(); }
  void enqueue(Stream& stream);
  void shake(Stream& stream);
  void read(Stream& stream);
  void arrived(Stream& stream, uint8_t* room, uint32_t length);
  void open(Stream& stream, TlsEnd& end, const uint8_t* came, uint32_t length, uint8_t* room);
  void cut(Stream& stream, uint8_t* bytes, uint32_t length);
  void cutFrames(Stream& stream, uint32_t socket, uint8_t* bytes, uint32_t length);
  void hold(Stream& stream, const uint8_t* bytes, uint32_t length, uint32_t missing);
  Pending* pend(Stream& stream);
  void submit(Stream& stream, Pending& frame);
  void write(Stream& stream);
  void wait(Stream& stream, const Pending& frame, uint32_t sent);
  void queue(Stream& stream, Chain& chain, const Pending& frame);
  void trim(Stream& stream);
  void drain(Stream& stream);
  uint32_t gather(Chain& chain, uint8_t* to, uint32_t room);
  bool finishLater(Stream& stream, const uint8_t* bytes, uint32_t length);
  size_t put(Stream& stream, const iovec* pieces, unsigned count);
  size_t putSealed(Stream& stream, TlsEnd& end, const iovec* pieces, unsigned count);
  size_t putAsIs(Stream& stream, const iovec* pieces, unsigned count);
  void putRecords(Stream& stream);
  void letGo(Stream& stream);
  void sayEnded(Stream& stream);
  void end(Stream& stream);
  void close(Stream& stream);
  void sayGoodbye(Stream& stream);

  static constexpr unsigned mostPending = 4096;
  /** More than is ever held of what came. */
  static constexpr uint32_t gatheredBytes = 192 * 1024;

  StreamSurroundings& around_;
  const StreamLimits limits_;
  const int epoll_;
  Span<Stream> streams_;
  /** By index, of those on TLS. */
  std::vector<std::unique_ptr<TlsEnd>> ends_;
  /** Those that are shaking hands, the oldest first, and until when packets come before them. */
  std::vector<uint32_t> shaking_;
  int64_t restsUntil_ = 0;
  /** What TLS has to say of what came or is to be sent; and a record's payload. */
  std::vector<uint8_t> records_;
  Span<uint8_t> payload_{TlsEnd::mostPayloadBytes};
  Blocks blocks_;
  Span<Pending> pending_{mostPending};
  uint32_t pendingCount_ = 0;
  /** With something pending, by index. */
  std::vector<uint32_t> dirty_;
  std::vector<uint32_t> ready_;
  std::vector<uint32_t> turn_;
  /** Ends that the controller has yet to hear of. */
  std::vector<uint32_t> unreported_;
  /** Where bytes that waited are gathered again. */
  Span<uint8_t> gathered_{gatheredBytes};
  uint32_t count_ = 0;
  /** Indices that were ever used are below. */
  uint32_t used_ = 0;
  Micros now_ = 0;
  int64_t tickedAt_ = 0;
};

}  // namespace sluice
