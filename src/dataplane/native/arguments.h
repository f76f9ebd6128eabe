// What JavaScript passes, as what the engine takes.
#pragma once

#include <arpa/inet.h>
#include <napi.h>

#include <memory>

#include "challenge.h"
#include "hmac.h"
#include "table.h"

namespace sluice {

inline constexpr size_t longestAddress = 64;

inline uint32_t uint32Of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

/** Sockets that are no listener and no relay port of this plane, and addresses that are none, make a leg of no use. */
inline Endpoint endpointOf(const Napi::Value& address, const Napi::Value& port) {
  char text[longestAddress] = {};
  napi_get_value_string_utf8(address.Env(), address, text, sizeof text, nullptr);
  Endpoint endpoint;
  endpoint.family = std::strchr(text, ':') ? 6 : 4;
  uint8_t bytes[16] = {};
  inet_pton(endpoint.family == 4 ? AF_INET : AF_INET6, text, bytes);
  endpoint.address = Address::of(bytes, endpoint.family);
  endpoint.port = static_cast<uint16_t>(uint32Of(port));
  return endpoint;
}

/** Six arguments: socket, framing, address, port, whether policy lets packets leave, own address. */
inline Leg legOf(const Napi::CallbackInfo& info, size_t at) {
  return {uint32Of(info[at]),
          static_cast<uint16_t>(uint32Of(info[at + 1])),
          endpointOf(info[at + 2], info[at + 3]),
          info[at + 4].As<Napi::Boolean>().Value(),
          static_cast<uint8_t>(uint32Of(info[at + 5]))};
}
inline constexpr size_t legArguments = 6;

/** Of a Uint8Array, for as long as the call from JavaScript lasts. One question for both: each costs as much as a short hash. */
inline Bytes viewOf(const Napi::Value& value) {
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(value.Env(), value, nullptr, &length, &data, nullptr, nullptr);
  return {static_cast<const uint8_t*>(data), length};
}

inline std::vector<uint8_t> bytesOf(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.Data() + bytes.ByteLength()};
}

/** { secret, answers: { bytes, stampAt, context } each }, or undefined. */
inline std::shared_ptr<const Challenge> challengeOf(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  const auto given = value.As<Napi::Object>();
  auto challenge = std::make_shared<Challenge>();
  challenge->secret = bytesOf(given.Get("secret"));
  const auto answers = given.Get("answers").As<Napi::Array>();
  for (uint32_t i = 0; i < answers.Length(); i++) {
    const auto each = answers.Get(i).As<Napi::Object>();
    challenge->answers.push_back({bytesOf(each.Get("bytes")), uint32Of(each.Get("stampAt")), bytesOf(each.Get("context"))});
  }
  return challenge;
}

inline Micros microsOf(const Napi::Value& millis) {
  const double micros = millis.As<Napi::Number>().DoubleValue() * 1000;
  return micros < 9e18 ? static_cast<Micros>(micros) : INT64_MAX;
}

}  // namespace sluice
