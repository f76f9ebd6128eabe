// The border to JavaScript (native.ts): the verbs of the contract go in; packets for the controller, counters and usage
// come out through memory that both sides read.

#include "arguments.h"
#include "engine.h"
#include "judge-binding.h"
#include "loopback-pair.h"

namespace sluice {

namespace {

class EngineBinding : public Napi::ObjectWrap<EngineBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Engine",
                       {
                           InstanceMethod<&EngineBinding::giveRing>("giveRing"),
                           InstanceMethod<&EngineBinding::listen>("listen"),
                           InstanceMethod<&EngineBinding::show>("show"),
                           InstanceMethod<&EngineBinding::challenge>("challenge"),
                           InstanceMethod<&EngineBinding::admit>("admit"),
                           InstanceMethod<&EngineBinding::adopt>("adopt"),
                           InstanceMethod<&EngineBinding::dropEnd>("dropEnd"),
                           InstanceMethod<&EngineBinding::ownStream>("ownStream"),
                           InstanceMethod<&EngineBinding::resume>("resume"),
                           InstanceMethod<&EngineBinding::releaseStream>("releaseStream"),
                           InstanceMethod<&EngineBinding::hangUp>("hangUp"),
                           InstanceMethod<&EngineBinding::openRelay>("openRelay"),
                           InstanceMethod<&EngineBinding::closeRelay>("closeRelay"),
                           InstanceMethod<&EngineBinding::beginBucket>("beginBucket"),
                           InstanceMethod<&EngineBinding::isFull>("isFull"),
                           InstanceMethod<&EngineBinding::admits>("admits"),
                           InstanceMethod<&EngineBinding::setOwner>("setOwner"),
                           InstanceMethod<&EngineBinding::route>("route"),
                           InstanceMethod<&EngineBinding::unroute>("unroute"),
                           InstanceMethod<&EngineBinding::expect>("expect"),
                           InstanceMethod<&EngineBinding::hasRoom>("hasRoom"),
                           InstanceMethod<&EngineBinding::handUpBindings>("handUpBindings"),
                           InstanceMethod<&EngineBinding::askAgain>("askAgain"),
                           InstanceMethod<&EngineBinding::send>("send"),
                           InstanceMethod<&EngineBinding::arrive>("arrive"),
                           InstanceMethod<&EngineBinding::flush>("flush"),
                           InstanceMethod<&EngineBinding::begin>("begin"),
                           InstanceMethod<&EngineBinding::readable>("readable"),
                           InstanceMethod<&EngineBinding::release>("release"),
                           InstanceMethod<&EngineBinding::takeClosed>("takeClosed"),
                           InstanceMethod<&EngineBinding::connectWithin>("connectWithin"),
                           InstanceMethod<&EngineBinding::join>("join"),
                           InstanceMethod<&EngineBinding::breakOffJoin>("breakOffJoin"),
                           InstanceMethod<&EngineBinding::takeParted>("takeParted"),
                           InstanceMethod<&EngineBinding::stop>("stop"),
                       });
  }

  /**
   * { workers, relays, ways, buckets, answersBinding, forwardsSends, replies, byRing, dtls: { sessions, handshakes,
   * handshakeMillis, idleMillis }, streams: { streams, waitingBytes, handshakes, handshakeMillis, firstFrameMillis,
   * strangerIdleMillis, idleMillis }, counters, usage, joined, clock? }, and what to call on a wake.
   */
  explicit EngineBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const auto options = info[0].As<Napi::Object>();
    Engine::Options engine{};
    engine.workers = uint32Of(options.Get("workers"));
    engine.relays = uint32Of(options.Get("relays"));
    engine.ways = uint32Of(options.Get("ways"));
    engine.buckets = uint32Of(options.Get("buckets"));
    engine.shortcuts = {.binding = options.Get("answersBinding").As<Napi::Boolean>(),
                        .send = options.Get("forwardsSends").As<Napi::Boolean>()};
    const auto replies = options.Get("replies").As<Napi::Object>();
    engine.replies = {replies.Get("intervalNanos").As<Napi::Number>(), replies.Get("burst").As<Napi::Number>()};
    engine.byRing = options.Get("byRing").As<Napi::Boolean>();
    const auto dtls = options.Get("dtls").As<Napi::Object>();
    engine.dtls = {uint32Of(dtls.Get("sessions")), uint32Of(dtls.Get("handshakes")), microsOf(dtls.Get("handshakeMillis")),
                   microsOf(dtls.Get("idleMillis"))};
    const auto streams = options.Get("streams").As<Napi::Object>();
    engine.streams = {uint32Of(streams.Get("streams")), static_cast<uint64_t>(streams.Get("waitingBytes").As<Napi::Number>().Int64Value()),
                      uint32Of(streams.Get("handshakes")), microsOf(streams.Get("handshakeMillis")),
                      microsOf(streams.Get("firstFrameMillis")), microsOf(streams.Get("strangerIdleMillis")),
                      microsOf(streams.Get("idleMillis"))};
    engine.counters = static_cast<Counters*>(keep(options.Get("counters")));
    engine.usage = static_cast<Usage*>(keep(options.Get("usage")));
    engine.joined = static_cast<Usage*>(keep(options.Get("joined")));
    const Napi::Value clock = options.Get("clock");
    if (!clock.IsUndefined()) engine.ownedClock = static_cast<const std::atomic<Micros>*>(keep(clock));
    wake_ = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "sluice plane", 0, 1);
    isAwake_ = true;
    engine.wake = [](void* self) { static_cast<EngineBinding*>(self)->wake_.NonBlockingCall(); };
    engine.wakeContext = this;
    engine_ = std::make_unique<Engine>(engine);
    napi_add_env_cleanup_hook(info.Env(), &EngineBinding::atExit, this);
    if (const int error = engine_->start(engine)) {
      halt();
      Napi::Error::New(info.Env(), std::strerror(error)).ThrowAsJavaScriptException();
    }
  }

  ~EngineBinding() {
    napi_remove_env_cleanup_hook(Env(), &EngineBinding::atExit, this);
    halt();
  }

 private:
  static void atExit(void* self) { static_cast<EngineBinding*>(self)->halt(); }

  void halt() {
    engine_.reset();
    if (isAwake_) wake_.Release();
    isAwake_ = false;
  }

  void* keep(const Napi::Value& value) {
    auto buffer = value.As<Napi::ArrayBuffer>();
    kept_.push_back(Napi::Persistent(buffer.As<Napi::Object>()));
    return buffer.Data();
  }

  /** Worker, listener, ArrayBuffer. */
  void giveRing(const Napi::CallbackInfo& info) {
    const auto capacity = static_cast<uint32_t>(info[2].As<Napi::ArrayBuffer>().ByteLength());
    engine_->giveRing(uint32Of(info[0]), uint32Of(info[1]), static_cast<uint8_t*>(keep(info[2])), capacity);
  }

  /** Listener, address, port, whether for DTLS. Returns the port, or a negative errno. */
  Napi::Value listen(const Napi::CallbackInfo& info) {
    const bool isSecure = info[3].As<Napi::Boolean>();
    return Napi::Number::New(info.Env(), engine_->listen(uint32Of(info[0]), endpointOf(info[1], info[2]), isSecure));
  }

  /** Certificates, { names, chain, key } each, and ciphers. Returns what is wrong with them, if anything is. */
  Napi::Value show(const Napi::CallbackInfo& info) {
    const auto given = info[0].As<Napi::Array>();
    std::vector<Certificate> certificates;
    for (uint32_t i = 0; i < given.Length(); i++) {
      const auto each = given.Get(i).As<Napi::Object>();
      const auto names = each.Get("names").As<Napi::Array>();
      Certificate& certificate = certificates.emplace_back(Certificate{{}, textOf(each.Get("chain")), textOf(each.Get("key"))});
      for (uint32_t j = 0; j < names.Length(); j++) certificate.names.push_back(textOf(names.Get(j)));
    }
    std::string why;
    auto credentials = Credentials::make(certificates, textOf(info[1]), why);
    if (!credentials) return Napi::String::New(info.Env(), why);
    engine_->show(std::move(credentials));
    return info.Env().Undefined();
  }

  static std::string textOf(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

  /** What strangers are told, or undefined. Returns whether threads can tell them. */
  Napi::Value challenge(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), engine_->challenge(challengeOf(info[0])));
  }

  /** Session, listener, address and port of the client, its ClientHello. Returns whether its thread will see to it. */
  Napi::Value admit(const Napi::CallbackInfo& info) {
    const auto hello = info[4].As<Napi::Uint8Array>();
    const auto length = static_cast<uint32_t>(hello.ByteLength());
    return Napi::Boolean::New(info.Env(), engine_->admit(uint32Of(info[0]), uint32Of(info[1]), endpointOf(info[2], info[3]),
                                                         hello.Data(), length));
  }

  /** Stream, descriptor, address and port of the client, what was read of it, whether it is TLS. Returns 0 or an errno. */
  Napi::Value adopt(const Napi::CallbackInfo& info) {
    const auto early = info[4].As<Napi::Uint8Array>();
    const auto length = static_cast<uint32_t>(early.ByteLength());
    const int fd = info[1].As<Napi::Number>();
    return Napi::Number::New(info.Env(), engine_->adopt(uint32Of(info[0]), fd, endpointOf(info[2], info[3]), early.Data(), length,
                                                         info[5].As<Napi::Boolean>()));
  }

  void dropEnd(const Napi::CallbackInfo& info) { engine_->dropEnd(uint32Of(info[0])); }

  /** Stream, whether it has relay ports, and such as excuse any silence. */
  void ownStream(const Napi::CallbackInfo& info) {
    const bool hasRelay = info[1].As<Napi::Boolean>();
    engine_->tell(uint32Of(info[0]), {.kind = Command::Kind::ownStream, .hasRelay = hasRelay, .mayBeSilent = info[2].As<Napi::Boolean>()});
  }

  void resume(const Napi::CallbackInfo& info) { engine_->tell(uint32Of(info[0]), {.kind = Command::Kind::resume}); }
  void releaseStream(const Napi::CallbackInfo& info) { engine_->tell(uint32Of(info[0]), {.kind = Command::Kind::release}); }
  void hangUp(const Napi::CallbackInfo& info) { engine_->tell(uint32Of(info[0]), {.kind = Command::Kind::hangUp}); }

  /** Slot; address and port to bind; as peers see it; of the client; its buckets; its transport. Returns 0 or an errno. */
  Napi::Value openRelay(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), engine_->openRelay(uint32Of(info[0]), endpointOf(info[1], info[2]),
                                                            endpointOf(info[3], info[2]), endpointOf(info[4], info[5]),
                                                            limitsOf(info[6]), static_cast<ClientTransport>(uint32Of(info[7]))));
  }

  void closeRelay(const Napi::CallbackInfo& info) { engine_->closeRelay(uint32Of(info[0])); }

  /** Index, and how long a byte and a packet take to flow back, in nanoseconds. */
  void beginBucket(const Napi::CallbackInfo& info) {
    engine_->bucket(uint32Of(info[0])).begin(info[1].As<Napi::Number>(), info[2].As<Napi::Number>());
  }

  /** Index, now. */
  Napi::Value isFull(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), engine_->bucket(uint32Of(info[0])).isFull(microsOf(info[1])));
  }

  /** Buckets, whether it is for a peer, length, now. */
  Napi::Value admits(const Napi::CallbackInfo& info) {
    const bool toPeer = info[1].As<Napi::Boolean>();
    return Napi::Boolean::New(info.Env(), engine_->admits(limitsOf(info[0]), toPeer, uint32Of(info[2]), microsOf(info[3])));
  }

  static Limits limitsOf(const Napi::Value& value) {
    const auto buckets = value.As<Napi::Array>();
    Limits limits;
    for (uint32_t i = 0; i < buckets.Length() && i < Limits::most; i++) limits.buckets[limits.count++] = uint32Of(buckets.Get(i));
    return limits;
  }

  /** Own address, port, and a slot, or -1 for nobody, or -2 for the plane in JavaScript. */
  void setOwner(const Napi::CallbackInfo& info) {
    const int32_t slot = info[2].As<Napi::Number>().Int32Value();
    const uint32_t owner = slot >= 0 ? engine_->placeOf(static_cast<uint32_t>(slot)) : slot == -1 ? 0 : Owners::elsewhere;
    engine_->setOwner(static_cast<uint8_t>(uint32Of(info[0])), static_cast<uint16_t>(uint32Of(info[1])), owner);
  }

  /** Both legs, and until when. */
  Napi::Value route(const Napi::CallbackInfo& info) {
    const bool isTaken = engine_->route(legOf(info, 0), legOf(info, legArguments), microsOf(info[2 * legArguments]));
    return Napi::Boolean::New(info.Env(), isTaken);
  }

  void unroute(const Napi::CallbackInfo& info) { engine_->unroute(legOf(info, 0), legOf(info, legArguments)); }

  /** Listener, address and port of the client, and until when. */
  void expect(const Napi::CallbackInfo& info) {
    engine_->expect(uint32Of(info[0]), endpointOf(info[1], info[2]), microsOf(info[3]));
  }

  Napi::Value hasRoom(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), engine_->hasRoom(uint32Of(info[0])));
  }

  void handUpBindings(const Napi::CallbackInfo& info) { engine_->handUpBindings(microsOf(info[0])); }

  void askAgain(const Napi::CallbackInfo&) { engine_->askAgain(); }

  /** A leg, of which the socket is what it leaves by; the bytes, and whether they must not be fragmented. */
  Napi::Value send(const Napi::CallbackInfo& info) {
    const Leg to = legOf(info, 0);
    const Bytes bytes = viewOf(info[legArguments]);
    const bool dontFragment = info[legArguments + 1].As<Napi::Boolean>();
    return Napi::Boolean::New(info.Env(), engine_->send(to.socket, to, bytes.data(), static_cast<uint32_t>(bytes.size()), dontFragment));
  }

  /** Socket, address and port of the sender, bytes, hops. */
  Napi::Value arrive(const Napi::CallbackInfo& info) {
    const auto bytes = info[3].As<Napi::Uint8Array>();
    const auto length = static_cast<uint32_t>(bytes.ByteLength());
    return Napi::Boolean::New(info.Env(), engine_->arrive(uint32Of(info[0]), endpointOf(info[1], info[2]), bytes.Data(), length,
                                                          uint32Of(info[4])));
  }

  void flush(const Napi::CallbackInfo& info) { engine_->flush(microsOf(info[0]), info[1].As<Napi::Boolean>()); }

  void begin(const Napi::CallbackInfo&) { engine_->begin(); }

  /** Worker, listener. Returns up to where its ring may be read: a position that only grows. */
  Napi::Value readable(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(engine_->ring(uint32Of(info[0]), uint32Of(info[1])).end()));
  }

  /** Worker, listener, and the position up to which it has been read. */
  void release(const Napi::CallbackInfo& info) {
    engine_->ring(uint32Of(info[0]), uint32Of(info[1])).release(static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value()));
  }

  Napi::Value takeClosed(const Napi::CallbackInfo& info) { return numbersOf(info.Env(), engine_->takeClosed()); }

  /**
   * Slot; descriptors of client and peer, and what was read of each before; buckets; milliseconds of silence; the stream that
   * the client was, if it is TLS. 0 or an errno.
   */
  Napi::Value join(const Napi::CallbackInfo& info) {
    JoinOrder order{.slot = uint32Of(info[0]), .limits = limitsOf(info[5]), .idle = microsOf(info[6])};
    for (const unsigned end : {0, 1}) {
      order.fds[end] = info[1 + end].As<Napi::Number>().Int32Value();
      const auto early = info[3 + end].As<Napi::Uint8Array>();
      order.early[end].assign(early.Data(), early.Data() + early.ByteLength());
    }
    return Napi::Number::New(info.Env(), engine_->join(std::move(order), uint32Of(info[7])));
  }

  /** Returns the descriptors of both ends of a connection within this machine, which are the caller's; none if there is none. */
  Napi::Value connectWithin(const Napi::CallbackInfo& info) {
    int fds[2];
    const bool isOpen = openLoopbackPair(fds);
    auto ends = Napi::Array::New(info.Env());
    for (uint32_t end = 0; isOpen && end < 2; end++) ends.Set(end, fds[end]);
    return ends;
  }

  void breakOffJoin(const Napi::CallbackInfo& info) { engine_->breakOffJoin(uint32Of(info[0])); }
  Napi::Value takeParted(const Napi::CallbackInfo& info) { return numbersOf(info.Env(), engine_->takeParted()); }

  static Napi::Value numbersOf(Napi::Env env, const std::vector<uint32_t>& numbers) {
    auto array = Napi::Array::New(env, numbers.size());
    for (size_t i = 0; i < numbers.size(); i++) array.Set(static_cast<uint32_t>(i), numbers[i]);
    return array;
  }

  /** Ends every thread and socket. No other call may follow. */
  void stop(const Napi::CallbackInfo&) { halt(); }

  std::unique_ptr<Engine> engine_;
  Napi::ThreadSafeFunction wake_;
  bool isAwake_ = false;
  std::vector<Napi::ObjectReference> kept_;
};

/** Where to: 20 bytes for SHA-1, 32 for SHA-256; key, parts of the text: three at most. */
void writeHmac(const Napi::CallbackInfo& info) {
  const Bytes to = viewOf(info[0]);
  const auto partAt = [&](size_t at) { return at < info.Length() ? viewOf(info[at]) : Bytes{}; };
  const auto write = to.size() == sha256Bytes ? hmacSha256 : to.size() == sha1Bytes ? hmacSha1 : nullptr;
  if (write) write(const_cast<uint8_t*>(to.data()), viewOf(info[1]), {partAt(2), partAt(3), partAt(4)});
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineBinding::define(env));
  exports.Set("Judge", defineJudge(env));
  exports.Set("writeHmac", Napi::Function::New<writeHmac>(env));
  return exports;
}

}  // namespace

}  // namespace sluice

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return sluice::init(env, exports); }
NODE_API_MODULE(sluice, Init)
