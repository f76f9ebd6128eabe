// A DTLS client without sockets, for tests: datagrams go in, datagrams and payloads come out. It knows nothing of Sluice.

#include <napi.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

class DtlsClient : public Napi::ObjectWrap<DtlsClient> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "DtlsClient",
                       {
                           InstanceMethod<&DtlsClient::step>("step"),
                           InstanceMethod<&DtlsClient::write>("write"),
                           InstanceMethod<&DtlsClient::retransmit>("retransmit"),
                           InstanceMethod<&DtlsClient::renegotiate>("renegotiate"),
                           InstanceMethod<&DtlsClient::close>("close"),
                       });
  }

  /** { servername?, applications? (as on the wire), ciphers?, isOld? }: 1.0 only where it is old. */
  explicit DtlsClient(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const auto options = info[0].As<Napi::Object>();
    context_ = SSL_CTX_new(DTLS_client_method());
    const int version = options.Get("isOld").ToBoolean() ? DTLS1_VERSION : DTLS1_2_VERSION;
    SSL_CTX_set_min_proto_version(context_, version);
    SSL_CTX_set_max_proto_version(context_, version);
    const Napi::Value ciphers = options.Get("ciphers");
    if (ciphers.IsString()) SSL_CTX_set_cipher_list(context_, ciphers.As<Napi::String>().Utf8Value().c_str());
    ssl_ = SSL_new(context_);
    method_ = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "test");
    BIO_meth_set_read(method_, read);
    BIO_meth_set_write(method_, record);
    BIO_meth_set_ctrl(method_, [](BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1L : 0L; });
    BIO* const bio = BIO_new(method_);
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_options(ssl_, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl_, 1200);
    const Napi::Value servername = options.Get("servername");
    if (servername.IsString()) SSL_set_tlsext_host_name(ssl_, servername.As<Napi::String>().Utf8Value().c_str());
    const Napi::Value applications = options.Get("applications");
    if (applications.IsBuffer()) {
      const auto list = applications.As<Napi::Buffer<uint8_t>>();
      SSL_set_alpn_protos(ssl_, list.Data(), static_cast<unsigned>(list.Length()));
    }
    SSL_set_connect_state(ssl_);
  }

  ~DtlsClient() override {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    BIO_meth_free(method_);
  }

 private:
  /** Takes in a datagram, if one is given. */
  Napi::Value step(const Napi::CallbackInfo& info) {
    if (info[0].IsBuffer()) {
      const auto bytes = info[0].As<Napi::Buffer<uint8_t>>();
      packet_ = {bytes.Data(), bytes.Data() + bytes.Length()};
      hasPacket_ = true;
    }
    return advance(info.Env());
  }

  Napi::Value write(const Napi::CallbackInfo& info) {
    const auto bytes = info[0].As<Napi::Buffer<uint8_t>>();
    ERR_clear_error();
    if (SSL_write(ssl_, bytes.Data(), static_cast<int>(bytes.Length())) <= 0) state_ = "failed";
    return result(info.Env());
  }

  /** As if the time for it had come. */
  Napi::Value retransmit(const Napi::CallbackInfo& info) {
    DTLSv1_handle_timeout(ssl_);
    return result(info.Env());
  }

  Napi::Value renegotiate(const Napi::CallbackInfo& info) {
    SSL_renegotiate(ssl_);
    SSL_do_handshake(ssl_);
    return result(info.Env());
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    SSL_shutdown(ssl_);
    return result(info.Env());
  }

  Napi::Value advance(Napi::Env env) {
    uint8_t payload[16'384];
    for (;;) {
      ERR_clear_error();
      const bool wasOpen = SSL_is_init_finished(ssl_);
      const int length = wasOpen ? SSL_read(ssl_, payload, sizeof payload) : SSL_do_handshake(ssl_);
      if (length > 0) {
        if (wasOpen) payloads_.emplace_back(payload, payload + length);
        else state_ = "open";
        continue;
      }
      const int error = SSL_get_error(ssl_, length);
      if (error == SSL_ERROR_ZERO_RETURN) state_ = "closed";
      else if (error != SSL_ERROR_WANT_READ) {
        state_ = "failed";
        char text[256];
        ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
        why_ = text;
      }
      hasPacket_ = false;
      return result(env);
    }
  }

  Napi::Value result(Napi::Env env) {
    auto value = Napi::Object::New(env);
    value["state"] = Napi::String::New(env, state_);
    value["why"] = Napi::String::New(env, why_);
    value["out"] = listOf(env, out_);
    value["payloads"] = listOf(env, payloads_);
    value["version"] = Napi::String::New(env, SSL_get_version(ssl_));
    const uint8_t* application = nullptr;
    unsigned applicationBytes = 0;
    SSL_get0_alpn_selected(ssl_, &application, &applicationBytes);
    value["application"] = Napi::String::New(env, reinterpret_cast<const char*>(application), applicationBytes);
    char name[256] = "";
    if (X509* const peer = SSL_get1_peer_certificate(ssl_)) {
      X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
      X509_free(peer);
    }
    value["certificateName"] = Napi::String::New(env, name);
    return value;
  }

  static Napi::Value listOf(Napi::Env env, std::deque<Bytes>& all) {
    auto list = Napi::Array::New(env, all.size());
    for (uint32_t i = 0; !all.empty(); i++, all.pop_front())
      list.Set(i, Napi::Buffer<uint8_t>::Copy(env, all.front().data(), all.front().size()));
    return list;
  }

  static int read(BIO* bio, char* to, int room) {
    auto& self = *static_cast<DtlsClient*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!self.hasPacket_) {
      BIO_set_retry_read(bio);
      return -1;
    }
    self.hasPacket_ = false;
    const size_t length = std::min(self.packet_.size(), static_cast<size_t>(room));
    if (length > 0) std::memcpy(to, self.packet_.data(), length);
    return static_cast<int>(length);
  }

  static int record(BIO* bio, const char* bytes, int length) {
    auto& self = *static_cast<DtlsClient*>(BIO_get_data(bio));
    const auto* const from = reinterpret_cast<const uint8_t*>(bytes);
    self.out_.emplace_back(from, from + length);
    return length;
  }

  SSL_CTX* context_;
  SSL* ssl_;
  BIO_METHOD* method_;
  Bytes packet_;
  bool hasPacket_ = false;
  std::deque<Bytes> out_;
  std::deque<Bytes> payloads_;
  std::string state_ = "handshake";
  std::string why_;
};

}  // namespace

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("DtlsClient", DtlsClient::define(env));
  return exports;
}
NODE_API_MODULE(dtls_client, Init)
