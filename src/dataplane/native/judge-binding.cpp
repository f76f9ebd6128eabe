#include "judge-binding.h"

#include "arguments.h"
#include "judge.h"

namespace sluice {

namespace {

class JudgeBinding : public Napi::ObjectWrap<JudgeBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Judge",
                       {
                           InstanceMethod<&JudgeBinding::route>("route"),
                           InstanceMethod<&JudgeBinding::unroute>("unroute"),
                           InstanceMethod<&JudgeBinding::expect>("expect"),
                           InstanceMethod<&JudgeBinding::forget>("forget"),
                           InstanceMethod<&JudgeBinding::open>("open"),
                           InstanceMethod<&JudgeBinding::size>("size"),
                           InstanceMethod<&JudgeBinding::atListener>("atListener"),
                           InstanceMethod<&JudgeBinding::atRelay>("atRelay"),
                           InstanceMethod<&JudgeBinding::answer>("answer"),
                           InstanceMethod<&JudgeBinding::challenge>("challenge"),
                           InstanceMethod<&JudgeBinding::frame>("frame"),
                       });
  }

  /** Ways and relay ports there is room for, and a seed. */
  explicit JudgeBinding(const Napi::CallbackInfo& info)
      : ObjectWrap(info), table_(uint32Of(info[0]), uint32Of(info[1]), uint32Of(info[2])) {}

 private:
  /** Both legs, until when, and now. */
  Napi::Value route(const Napi::CallbackInfo& info) {
    const bool hasRoom = table_.route(legOf(info, 0), legOf(info, legArguments), microsOf(info[2 * legArguments]),
                                      microsOf(info[2 * legArguments + 1]), true, true);
    return Napi::Boolean::New(info.Env(), hasRoom);
  }

  void unroute(const Napi::CallbackInfo& info) { table_.unroute(legOf(info, 0), legOf(info, legArguments)); }
  /** Listener, address, port, until when, and now. */
  Napi::Value expect(const Napi::CallbackInfo& info) {
    const bool hasRoom = table_.expect(uint32Of(info[0]), endpointOf(info[1], info[2]), microsOf(info[3]), microsOf(info[4]));
    return Napi::Boolean::New(info.Env(), hasRoom);
  }
  void forget(const Napi::CallbackInfo& info) { table_.forget(slotOf(uint32Of(info[0]))); }
  void open(const Napi::CallbackInfo& info) { table_.open(uint32Of(info[0]), endpointOf(info[1], info[2])); }
  Napi::Value size(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), table_.size()); }

  /** Socket, address, port, bytes, now. */
  Napi::Value atListener(const Napi::CallbackInfo& info) {
    const auto bytes = info[3].As<Napi::Uint8Array>();
    return verdictOf(info.Env(), judgeAtListener(table_, uint32Of(info[0]), endpointOf(info[1], info[2]), bytes.Data(),
                                                 static_cast<uint32_t>(bytes.ByteLength()), microsOf(info[4]), {true, true, true}));
  }
  Napi::Value atRelay(const Napi::CallbackInfo& info) {
    const auto bytes = info[3].As<Napi::Uint8Array>();
    return verdictOf(info.Env(), judgeAtRelay(table_, uint32Of(info[0]), endpointOf(info[1], info[2]),
                                              static_cast<uint32_t>(bytes.ByteLength()), microsOf(info[4])));
  }

  /** To a Binding request from this address and port, if the judge answers it. */
  Napi::Value answer(const Napi::CallbackInfo& info) {
    const auto bytes = info[2].As<Napi::Uint8Array>();
    const Endpoint from = endpointOf(info[0], info[1]);
    const Verdict verdict = judgeAtListener(table_, 0, from, bytes.Data(), static_cast<uint32_t>(bytes.ByteLength()), 0, {.binding = true});
    if (verdict.fate != Fate::answer) return info.Env().Undefined();
    uint8_t answer[mostAnswerBytes];
    const uint32_t length = writeBindingAnswer(answer, bytes.Data(), from, verdict.hasFingerprint);
    return Napi::Buffer<uint8_t>::Copy(info.Env(), answer, length);
  }

  /** What is told to a stranger at this address and port who sends this, now, if the judge would have it told. */
  Napi::Value challenge(const Napi::CallbackInfo& info) {
    const auto bytes = info[3].As<Napi::Uint8Array>();
    const Endpoint from = endpointOf(info[1], info[2]);
    const auto length = static_cast<uint32_t>(bytes.ByteLength());
    const Verdict verdict = judgeAtListener(table_, 0, from, bytes.Data(), length, 0, {.challenge = true});
    const auto challenge = challengeOf(info[0]);
    if (verdict.fate != Fate::challenge || !challenge->fits()) return info.Env().Undefined();
    uint8_t answer[Challenge::mostBytes];
    const int64_t seconds = microsOf(info[4]) / 1'000'000;
    const uint32_t answerBytes = challenge->write(answer, bytes.Data(), length, from, seconds, verdict.hasFingerprint);
    return Napi::Buffer<uint8_t>::Copy(info.Env(), answer, answerBytes);
  }

  /** Framing, address and port of the peer, payload: the packet as it leaves. */
  Napi::Value frame(const Napi::CallbackInfo& info) {
    const auto payload = info[3].As<Napi::Uint8Array>();
    const auto length = static_cast<uint32_t>(payload.ByteLength());
    const auto framing = static_cast<uint16_t>(uint32Of(info[0]));
    uint8_t header[mostHeaderBytes];
    uint64_t random = 1;
    const uint32_t headerBytes = writeHeader(header + mostHeaderBytes, framing, endpointOf(info[1], info[2]), length, random);
    if (headerBytes == none) return info.Env().Undefined();
    auto packet = Napi::Buffer<uint8_t>::New(info.Env(), headerBytes + length + paddingOf(framing, length));
    std::memset(packet.Data(), 0, packet.Length());
    std::memcpy(packet.Data(), header + mostHeaderBytes - headerBytes, headerBytes);
    if (length > 0) std::memcpy(packet.Data() + headerBytes, payload.Data(), length);
    return packet;
  }

  static Napi::Value verdictOf(Napi::Env env, const Verdict& verdict) {
    auto value = Napi::Object::New(env);
    value["fate"] = Napi::Number::New(env, static_cast<double>(verdict.fate));
    value["drop"] = Napi::Number::New(env, static_cast<double>(verdict.drop));
    value["port"] = Napi::Number::New(env, verdict.port);
    value["offset"] = Napi::Number::New(env, verdict.offset);
    value["length"] = Napi::Number::New(env, verdict.length);
    if (verdict.way) {
      value["from"] = legOf(env, verdict.way->from);
      value["to"] = legOf(env, verdict.way->to);
      value["isToPeer"] = Napi::Boolean::New(env, verdict.way->toPeer);
    }
    return value;
  }

  static Napi::Value legOf(Napi::Env env, const Leg& leg) {
    char address[INET6_ADDRSTRLEN];
    inet_ntop(leg.peer.family == 4 ? AF_INET : AF_INET6, leg.peer.address.bytes(), address, sizeof address);
    auto value = Napi::Object::New(env);
    value["socket"] = Napi::Number::New(env, leg.socket);
    value["framing"] = Napi::Number::New(env, leg.framing);
    value["address"] = Napi::String::New(env, address);
    value["port"] = Napi::Number::New(env, leg.peer.port);
    value["mayLeave"] = Napi::Boolean::New(env, leg.mayLeave);
    return value;
  }
  static Leg legOf(const Napi::CallbackInfo& info, size_t at) { return sluice::legOf(info, at); }

  Table table_;
};

}  // namespace

Napi::Function defineJudge(Napi::Env env) { return JudgeBinding::define(env); }

}  // namespace sluice
