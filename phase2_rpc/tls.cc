#include "phase2_rpc/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <boost/asio/ssl/context.hpp>

namespace kv::rpc {

namespace ssl = boost::asio::ssl;

namespace {

/// False if it can be neither.
bool expect_name(ssl::context& context, const std::string& name) {
  X509_VERIFY_PARAM* const rules = SSL_CTX_get0_param(context.native_handle());
  return X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1 ||
         X509_VERIFY_PARAM_set1_host(rules, name.data(), name.size()) == 1;
}

}  // namespace

void add_security_flags(host::Flags& flags, Security& target) {
  TlsFiles& tls = target.tls;
  flags.add("--tls-cert", tls.certificate, "this side's certificate and its chain, in PEM", "FILE");
  flags.add("--tls-key", tls.key, "its private key", "FILE");
  flags.add("--tls-ca", tls.authority, "who must have signed the other side's certificate", "FILE");
  flags.add("--tls-name", tls.name,
            "the host name or address that the certificate of whom this side calls must have",
            "NAME");
  flags.add_switch("--insecure", target.insecure,
                   "RPC with other machines without TLS: whoever is on the way reads and writes");
  flags.finally([&tls] {
    const bool all = !tls.certificate.empty() && !tls.key.empty() && !tls.authority.empty();
    if ((tls.wanted() || !tls.name.empty()) && !all) {
      return std::string{"TLS needs all of --tls-cert, --tls-key and --tls-ca"};
    }
    return std::string{};
  });
}

std::string why_not_in_plain(const host::SocketAddress& address, const TlsFiles& files,
                             bool insecure) {
  if (files.wanted() || insecure || host::is_loopback(address)) {
    return {};
  }
  return "RPC at " + host::to_text(address) +
         " is for other machines too: give --tls-cert, --tls-key and --tls-ca, or --insecure to "
         "speak in plain";
}

std::shared_ptr<ssl::context> open_tls(const TlsFiles& files, TlsSide side, std::string& why) {
  if (files.certificate.empty() || files.key.empty() || files.authority.empty()) {
    why = "TLS needs a certificate, its key and an authority: --tls-cert, --tls-key and --tls-ca";
    return nullptr;
  }
  auto context = std::make_shared<ssl::context>(side == TlsSide::server ? ssl::context::tls_server
                                                                        : ssl::context::tls_client);
  boost::system::error_code error;
  const auto failed = [&](const std::string& file) {
    if (error) {
      why = "TLS: " + file + ": " + error.message();
    }
    return static_cast<bool>(error);
  };
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                           ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                           ssl::context::no_tlsv1_1,
                       error);
  context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  context->use_certificate_chain_file(files.certificate, error);
  if (failed(files.certificate)) {
    return nullptr;
  }
  context->use_private_key_file(files.key, ssl::context::pem, error);
  if (failed(files.key)) {
    return nullptr;
  }
  context->load_verify_file(files.authority, error);
  if (failed(files.authority)) {
    return nullptr;
  }
  if (side == TlsSide::client && !files.name.empty() && !expect_name(*context, files.name)) {
    why = "TLS: '" + files.name + "' is no host name or address: --tls-name";
    return nullptr;
  }
  return context;
}

std::string tls_failure(const ssl_st* connection, const std::string& reason) {
  const long verdict = SSL_get_verify_result(connection);
  const bool passed = verdict == X509_V_OK;
  return "TLS: " + reason +
         (passed ? "" : std::string{": "} + X509_verify_cert_error_string(verdict));
}

}  // namespace kv::rpc
