// TLS for RPC, mutual: both sides show a certificate of the same authority.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/host/address.h"
#include "common/host/flags.h"

namespace boost::asio::ssl {
class context;
}
struct ssl_st;  // OpenSSL's

namespace kv::rpc {

/// Files in PEM, all three or none; and what the certificate of whom we call must say.
struct TlsFiles {
  std::string certificate;  // this side's, with its chain
  std::string key;          // its private key
  std::string authority;    // who must have signed the other side's certificate
  std::string name = {};    // the host name or address it must be made out to; empty: any

  bool wanted() const { return !certificate.empty() || !key.empty() || !authority.empty(); }
};

/// What --tls-cert, --tls-key, --tls-ca, --tls-name and --insecure say.
struct Security {
  TlsFiles tls;
  bool insecure = false;
};

/// Declares the five. Parsing refuses a part of the TLS files without the rest.
void add_security_flags(host::Flags& flags, Security& target);

/// Without TLS nothing leaves this machine unless somebody said --insecure: the empty string, or
/// one line that says so.
std::string why_not_in_plain(const host::SocketAddress& address, const TlsFiles& files,
                             bool insecure);

enum class TlsSide : std::uint8_t { server, client };

/// Nothing, and one line in `why` that names the file, if one cannot be used. TLS 1.2 at least; a
/// side without a certificate of the authority is refused, and by a client (a replica is one to its
/// peers) a server whose certificate is not made out to `files.name`.
std::shared_ptr<boost::asio::ssl::context> open_tls(const TlsFiles& files, TlsSide side,
                                                    std::string& why);

/// One line for a connection that failed so; it says which check the other side's certificate did
/// not pass, if that was it.
std::string tls_failure(const ssl_st* connection, const std::string& reason);

}  // namespace kv::rpc
