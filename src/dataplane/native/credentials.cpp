#include "credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cctype>

#include "cookies.h"

namespace sluice {

namespace {

/** RFC 7443. */
constexpr uint8_t applications[] = "\x09stun.turn\x12stun.nat-discovery";

/** We ask for no certificate, so no message of a handshake has to be longer than a record, whatever OpenSSL would take. */
constexpr long mostMessageBytes = 16 * 1024;

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

std::unique_ptr<BIO, BioDeleter> textOf(const std::string& pem) {
  return std::unique_ptr<BIO, BioDeleter>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

bool useChain(SSL_CTX* context, const std::string& pem) {
  const auto text = textOf(pem);
  const std::unique_ptr<X509, BioDeleter> leaf(PEM_read_bio_X509_AUX(text.get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return false;
  for (;;) {
    X509* const next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr);
    // The end of the text, which OpenSSL calls an error.
    if (!next) break;
    if (SSL_CTX_add0_chain_cert(context, next) != 1) {
      X509_free(next);
      return false;
    }
  }
  ERR_clear_error();
  return true;
}

/**
 * Of these, those that authenticate what they encrypt. Of the others, OpenSSL takes some forged records for a reason to end
 * the session, and over datagrams anybody can forge one.
 */
bool useAuthenticatingCiphers(SSL_CTX* context, const std::string& ciphers) {
  if (SSL_CTX_set_cipher_list(context, ciphers.c_str()) != 1) return false;
  STACK_OF(SSL_CIPHER)* const all = SSL_CTX_get_ciphers(context);
  std::string names;
  for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
    const SSL_CIPHER* const cipher = sk_SSL_CIPHER_value(all, i);
    if (SSL_CIPHER_is_aead(cipher)) names.append(SSL_CIPHER_get_name(cipher)).append(":");
  }
  return SSL_CTX_set_cipher_list(context, names.c_str()) == 1;
}

bool useKey(SSL_CTX* context, const std::string& pem) {
  const auto text = textOf(pem);
  const std::unique_ptr<EVP_PKEY, BioDeleter> key(PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr));
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

/** Who asks for applications and for none of ours is not for us. */
int selectApplication(SSL*, const uint8_t** chosen, uint8_t* chosenBytes, const uint8_t* offered, unsigned offeredBytes,
                      void*) {
  const int found = SSL_select_next_proto(const_cast<uint8_t**>(chosen), chosenBytes, applications,
                                          sizeof applications - 1, offered, offeredBytes);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

std::shared_ptr<const Credentials> Credentials::make(const std::vector<Certificate>& certificates,
                                                     const std::string& ciphers, std::string& why) {
  const auto credentials = std::make_shared<Credentials>();
  ERR_clear_error();
  for (const Certificate& certificate : certificates) {
    if (credentials->add(certificate, ciphers)) continue;
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    why = text;
    return nullptr;
  }
  return credentials;
}

bool Credentials::add(const Certificate& certificate, const std::string& ciphers) {
  shown_.push_back({certificate.names, Context(SSL_CTX_new(DTLS_server_method())), Context(SSL_CTX_new(TLS_server_method()))});
  SSL_CTX* const datagrams = shown_.back().datagrams.get();
  SSL_CTX* const stream = shown_.back().stream.get();
  if (!datagrams || !stream) return false;
  SSL_CTX_set_options(datagrams, SSL_OP_COOKIE_EXCHANGE | SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
  SSL_CTX_set_max_cert_list(datagrams, mostMessageBytes);
  SSL_CTX_set_cookie_generate_cb(datagrams, generateCookie);
  SSL_CTX_set_cookie_verify_cb(datagrams, verifyCookie);
  return SSL_CTX_set_min_proto_version(datagrams, DTLS1_2_VERSION) == 1 && useAuthenticatingCiphers(datagrams, ciphers) &&
         SSL_CTX_set_min_proto_version(stream, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(stream, ciphers.c_str()) == 1 && prepare(datagrams, certificate) &&
         prepare(stream, certificate);
}

bool Credentials::prepare(SSL_CTX* context, const Certificate& certificate) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context, selectApplication, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, choose);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  return useChain(context, certificate.chain) && useKey(context, certificate.key);
}

const Credentials::Shown* Credentials::find(const std::string& name) const {
  for (const Shown& shown : shown_)
    if (std::find(shown.names.begin(), shown.names.end(), name) != shown.names.end()) return &shown;
  return nullptr;
}

/** As Certificates.contextFor: the name as it is, then with a wildcard in place of its first label, then the first. */
int Credentials::choose(SSL* ssl, int*, void* credentials) {
  const char* const asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (!asked) return SSL_TLSEXT_ERR_NOACK;
  std::string name = asked;
  for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  const auto& self = *static_cast<const Credentials*>(credentials);
  const Shown* found = self.find(name);
  if (!found) found = self.find("*" + name.substr(std::min(name.find('.'), name.size())));
  if (!found) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_SSL_CTX(ssl, found->contextOf(SSL_is_dtls(ssl) ? Transport::datagrams : Transport::stream));
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace sluice
