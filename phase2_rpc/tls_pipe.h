// One TLS conversation without its socket: bytes of the network in and out, bytes of the
// application in and out.
//
// For a stream that two threads write to under one lock, which Asio's TLS stream does not allow.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "common/core/bytes.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

/// Used from one thread at a time.
class TlsPipe {
 public:
  /// The client's side has its first words in the output at once.
  TlsPipe(boost::asio::ssl::context& context, TlsSide side);
  TlsPipe(const TlsPipe&) = delete;
  TlsPipe& operator=(const TlsPipe&) = delete;
  ~TlsPipe() = default;

  /// Takes what came from the network, and appends to `plain` what the other side says in it.
  /// False, with why(): the other side is refused, refuses us, or is leaving; of no more use then.
  bool feed(ByteView arrived, Bytes& plain);

  /// The handshake is done on this side: seal() may be called. With TLS 1.3 the other side may
  /// still refuse us; feed() will say so.
  bool established() const;
  /// Encrypts `plain` into the output. False, with why(), if that is no longer possible.
  bool seal(ByteView plain);

  /// Appends to `out` all that is to be sent.
  void take_output(Bytes& out);

  const std::string& why() const { return why_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  bool shake_hands();
  bool fail(int result);

  std::unique_ptr<SSL, Free> ssl_;  // owns the two below
  BIO* from_network_;
  BIO* to_network_;
  std::string why_;
};

}  // namespace kv::rpc
