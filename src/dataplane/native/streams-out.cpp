// What leaves by streams: as much at once as their sockets take, and the rest in the order of what it is worth.

#include <sys/socket.h>

#include <cerrno>

#include "streams.h"

namespace sluice {

namespace {

constexpr uint8_t zeros[4] = {};
/** That may wait behind a socket that takes no more: of media a moment of video, of answers what nobody needs. */
constexpr uint32_t mostMedia = 256 * 1024;
constexpr uint32_t mostAnswers = 64 * 1024;
/** The same, of TLS's own records and one that was sealed. */
constexpr uint32_t mostBegun = 128 * 1024;
/** Of what is free, so that those who read nothing leave something for the others. */
constexpr uint64_t shareOfFree = 8;
constexpr uint32_t lengthBytes = 4;

constexpr unsigned mostPieces = 512;

}  // namespace

void Streams::sendMedia(uint32_t socket, uint16_t framing, const Endpoint& peer, uint8_t* payload, uint32_t length,
                        uint32_t room, uint64_t& random) {
  Stream* const stream = find(socket);
  if (!stream) return;
  Pending* const frame = pend(*stream);
  if (!frame) return;
  uint8_t* const end = room >= mostHeaderBytes ? payload : frame->scratch + mostHeaderBytes;
  frame->headerBytes = writeHeader(end, framing, peer, length, random);
  if (frame->headerBytes == none) return around_.lost(1);
  frame->header = end - frame->headerBytes;
  frame->payload = payload;
  frame->payloadBytes = length;
  frame->paddingBytes = padded(length) - length;
  frame->isAnswer = false;
  submit(*stream, *frame);
}

void Streams::send(uint32_t socket, const uint8_t* bytes, uint32_t length, bool isAnswer) {
  Stream* const stream = find(socket);
  if (!stream) return;
  Pending* const frame = pend(*stream);
  if (!frame) return;
  frame->header = bytes;
  frame->headerBytes = 0;
  frame->payload = bytes;
  frame->payloadBytes = length;
  frame->paddingBytes = padded(length) - length;
  frame->isAnswer = isAnswer;
  submit(*stream, *frame);
}

/** Room for one more; it is of no use unless it is submitted. nullptr if the stream has ended by what had to go first. */
Streams::Pending* Streams::pend(Stream& stream) {
  const uint32_t socket = stream.socket;
  if (pendingCount_ == mostPending) flush();
  return find(socket) ? &pending_[pendingCount_] : nullptr;
}

void Streams::submit(Stream& stream, Pending& frame) {
  if (stream.isBlocked()) return wait(stream, frame, 0);
  const uint32_t number = ++pendingCount_;
  frame.next = 0;
  if (stream.firstPending == 0) {
    stream.firstPending = number;
    dirty_.push_back(indexOf(stream));
  } else {
    pending_[stream.lastPending - 1].next = number;
  }
  stream.lastPending = number;
}

void Streams::flush() {
  if (pendingCount_ == 0) return;
  for (const uint32_t index : dirty_) {
    Stream& stream = streams_[index];
    if (stream.fd != 0) write(stream);
    stream.firstPending = stream.lastPending = 0;
  }
  dirty_.clear();
  pendingCount_ = 0;
}

/** As much of what is pending as the socket takes, with as few calls as can be; the rest waits. */
void Streams::write(Stream& stream) {
  iovec pieces[mostPieces];
  for (uint32_t next = stream.firstPending; next != 0 && stream.fd != 0;) {
    if (stream.isBlocked()) {
      wait(stream, pending_[next - 1], 0);
      next = pending_[next - 1].next;
      continue;
    }
    unsigned count = 0;
    uint32_t end = next;
    const auto add = [&](const uint8_t* bytes, size_t length) {
      if (length == 0) return;
      if (count > 0 && static_cast<const uint8_t*>(pieces[count - 1].iov_base) + pieces[count - 1].iov_len == bytes)
        pieces[count - 1].iov_len += length;
      else pieces[count++] = {const_cast<uint8_t*>(bytes), length};
    };
    for (; end != 0 && count + 3 <= mostPieces; end = pending_[end - 1].next) {
      const Pending& frame = pending_[end - 1];
      add(frame.header, frame.headerBytes);
      add(frame.payload, frame.payloadBytes);
      if (frame.paddingBytes > 0) pieces[count++] = {const_cast<uint8_t*>(zeros), frame.paddingBytes};
    }
    size_t sent = put(stream, pieces, count);
    for (; next != end && stream.fd != 0; next = pending_[next - 1].next) {
      const Pending& frame = pending_[next - 1];
      const auto part = static_cast<uint32_t>(std::min<size_t>(sent, frame.bytes()));
      sent -= part;
      if (part < frame.bytes()) wait(stream, frame, part);
    }
  }
}

/** Of which the socket took `sent` bytes. */
void Streams::wait(Stream& stream, const Pending& frame, uint32_t sent) {
  if (sent == 0) {
    queue(stream, frame.isAnswer ? stream.answers : stream.media, frame);
    if (stream.answers.size > mostAnswers) end(stream);
    else trim(stream);
    return;
  }
  bool isKept = true;
  const auto keep = [&](const uint8_t* bytes, uint32_t length) {
    const uint32_t gone = std::min(sent, length);
    sent -= gone;
    isKept = isKept && finishLater(stream, bytes + gone, length - gone);
  };
  keep(frame.header, frame.headerBytes);
  keep(frame.payload, frame.payloadBytes);
  keep(zeros, frame.paddingBytes);
  if (!isKept) end(stream);
}

/** What has been begun has to be finished. False if that cannot be. */
bool Streams::finishLater(Stream& stream, const uint8_t* bytes, uint32_t length) {
  TlsEnd* const end = endOf(stream);
  if (!end || length == 0) return blocks_.append(stream.begun, bytes, length);
  records_.clear();
  return end->seal(bytes, length, records_) &&
         blocks_.append(stream.begun, records_.data(), static_cast<uint32_t>(records_.size()));
}

void Streams::queue(Stream& stream, Chain& chain, const Pending& frame) {
  const uint32_t length = frame.bytes();
  if (!blocks_.hasRoomFor(length + lengthBytes)) {
    if (frame.isAnswer) end(stream);
    else around_.lost(1);
    return;
  }
  blocks_.append(chain, &length, lengthBytes);
  blocks_.append(chain, frame.header, frame.headerBytes);
  blocks_.append(chain, frame.payload, frame.payloadBytes);
  blocks_.append(chain, zeros, frame.paddingBytes);
}

/** The oldest media goes, as long as there is more than may wait. */
void Streams::trim(Stream& stream) {
  const uint64_t most = std::min<uint64_t>(mostMedia, blocks_.freeBytes() / shareOfFree);
  uint64_t lost = 0;
  for (; stream.media.size > most; lost++) {
    uint32_t length;
    blocks_.copy(stream.media, reinterpret_cast<uint8_t*>(&length), lengthBytes);
    blocks_.skip(stream.media, lengthBytes + length);
  }
  if (lost > 0) around_.lost(lost);
}

/** Writes what waits: what was begun first, then answers, then media. */
void Streams::drain(Stream& stream) {
  while (stream.fd != 0 && stream.isWritable && stream.begun.size + stream.answers.size + stream.media.size > 0) {
    if (stream.begun.size > 0) {
      const uint32_t length = std::min(stream.begun.size, gatheredBytes);
      blocks_.copy(stream.begun, gathered_.data(), length);
      const iovec piece{gathered_.data(), length};
      const size_t sent = putAsIs(stream, &piece, 1);
      if (stream.fd != 0) blocks_.skip(stream.begun, static_cast<uint32_t>(sent));
      continue;
    }
    uint32_t length = 0;
    for (Chain* chain : {&stream.answers, &stream.media})
      length += gather(*chain, gathered_.data() + length, gatheredBytes - length);
    const iovec piece{gathered_.data(), length};
    const auto sent = static_cast<uint32_t>(put(stream, &piece, 1));
    if (stream.fd != 0 && !finishLater(stream, gathered_.data() + sent, length - sent)) end(stream);
  }
  if (stream.fd != 0 && stream.isLeaving && !stream.isBlocked()) letGo(stream);
}

/** As many whole frames as there is room for. Those that did not fit wait on. */
uint32_t Streams::gather(Chain& chain, uint8_t* to, uint32_t room) {
  uint32_t gathered = 0;
  while (chain.size > 0) {
    uint32_t length;
    blocks_.copy(chain, reinterpret_cast<uint8_t*>(&length), lengthBytes);
    if (gathered + length > room) break;
    blocks_.skip(chain, lengthBytes);
    blocks_.copy(chain, to + gathered, length);
    blocks_.skip(chain, length);
    gathered += length;
  }
  return gathered;
}

/** Returns how many bytes have left or been begun; if they are not all, the socket takes no more. */
size_t Streams::put(Stream& stream, const iovec* pieces, unsigned count) {
  TlsEnd* const end = endOf(stream);
  return end ? putSealed(stream, *end, pieces, count) : putAsIs(stream, pieces, count);
}

/** A record at a time: what is sealed cannot be given up any more. */
size_t Streams::putSealed(Stream& stream, TlsEnd& end, const iovec* pieces, unsigned count) {
  size_t taken = 0;
  unsigned next = 0;
  size_t gone = 0;
  while (stream.fd != 0 && stream.isWritable && next < count) {
    uint32_t length = 0;
    while (next < count && length < TlsEnd::mostPayloadBytes) {
      const iovec& piece = pieces[next];
      const size_t part = std::min<size_t>(piece.iov_len - gone, TlsEnd::mostPayloadBytes - length);
      std::memcpy(&payload_[length], static_cast<const uint8_t*>(piece.iov_base) + gone, part);
      length += static_cast<uint32_t>(part);
      gone += part;
      if (gone < piece.iov_len) break;
      gone = 0;
      next++;
    }
    taken += length;
    records_.clear();
    if (end.seal(payload_.data(), length, records_)) putRecords(stream);
    else this->end(stream);
  }
  return taken;
}

size_t Streams::putAsIs(Stream& stream, const iovec* pieces, unsigned count) {
  size_t wanted = 0;
  for (unsigned i = 0; i < count; i++) wanted += pieces[i].iov_len;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = count;
  ssize_t sent;
  do {
    sent = sendmsg(stream.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
    end(stream);
    return wanted;
  }
  const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (taken < wanted) stream.isWritable = false;
  return taken;
}

/** At once as far as may be, and the rest before all else. Who makes TLS itself say more than he reads is hung up on. */
void Streams::putRecords(Stream& stream) {
  size_t sent = 0;
  if (!records_.empty() && stream.begun.size == 0 && stream.isWritable) {
    const iovec piece{records_.data(), records_.size()};
    sent = putAsIs(stream, &piece, 1);
  }
  const auto rest = static_cast<uint32_t>(records_.size() - sent);
  if (stream.fd == 0 || rest == 0) return;
  const uint64_t most = std::min<uint64_t>(mostBegun, blocks_.freeBytes() / shareOfFree);
  if (stream.begun.size > most || !blocks_.append(stream.begun, records_.data() + sent, rest)) end(stream);
}

}  // namespace sluice
