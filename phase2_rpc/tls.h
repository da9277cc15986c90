// TLS for RPC, mutual: both sides show a certificate of the same authority.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace boost::asio::ssl {
class context;
}

namespace kv::rpc {

/// Files in PEM. All three or none.
struct TlsFiles {
  std::string certificate;  // this side's, with its chain
  std::string key;          // its private key
  std::string authority;    // who must have signed the other side's certificate

  bool wanted() const { return !certificate.empty() || !key.empty() || !authority.empty(); }
};

enum class TlsSide : std::uint8_t { server, client };

/// Nothing, and one line in `why` that names the file, if one cannot be used. TLS 1.2 at least; a
/// side without a certificate of the authority is refused.
std::shared_ptr<boost::asio::ssl::context> open_tls(const TlsFiles& files, TlsSide side,
                                                    std::string& why);

}  // namespace kv::rpc
