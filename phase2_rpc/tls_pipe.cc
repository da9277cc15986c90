#include "phase2_rpc/tls_pipe.h"

#include <openssl/err.h>

#include <boost/asio/ssl/context.hpp>

#include "common/core/check.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

TlsPipe::TlsPipe(boost::asio::ssl::context& context, TlsSide side)
    : ssl_(SSL_new(context.native_handle())),
      from_network_(BIO_new(BIO_s_mem())),
      to_network_(BIO_new(BIO_s_mem())) {
  check(ssl_ != nullptr && from_network_ != nullptr && to_network_ != nullptr);
  SSL_set_bio(ssl_.get(), from_network_, to_network_);
  if (side == TlsSide::server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
  check(shake_hands());  // nothing was heard yet that could be wrong
}

bool TlsPipe::feed(ByteView arrived, Bytes& plain) {
  check(BIO_write(from_network_, arrived.data(), static_cast<int>(arrived.size())) ==
        static_cast<int>(arrived.size()));
  if (!established() && !shake_hands()) {
    return false;
  }
  constexpr std::size_t record_bytes_max = 16 * 1024;
  char record[record_bytes_max];
  while (established()) {
    ERR_clear_error();
    const int count = SSL_read(ssl_.get(), record, sizeof record);
    if (count <= 0) {
      return fail(count);
    }
    plain.append(record, static_cast<std::size_t>(count));
  }
  return true;
}

bool TlsPipe::established() const {
  return SSL_is_init_finished(ssl_.get()) == 1;
}

bool TlsPipe::seal(ByteView plain) {
  check(established());
  if (plain.empty()) {
    return true;
  }
  ERR_clear_error();
  std::size_t taken = 0;
  const int result = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &taken);
  if (result != 1) {
    return fail(result);
  }
  check(taken == plain.size());  // memory takes all of it
  return true;
}

void TlsPipe::take_output(Bytes& out) {
  char* bytes = nullptr;
  const long count = BIO_get_mem_data(to_network_, &bytes);
  if (count > 0) {
    out.append(bytes, static_cast<std::size_t>(count));
    check(BIO_reset(to_network_) == 1);
  }
}

bool TlsPipe::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 || fail(result);
}

/// True if all that is missing is more from the network.
bool TlsPipe::fail(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return true;
    case SSL_ERROR_ZERO_RETURN:
      why_ = "the peer closed the connection";
      return false;
    default:
      break;
  }
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  why_ = tls_failure(ssl_.get(), reason != nullptr ? reason : "broken off");
  return false;
}

}  // namespace kv::rpc
