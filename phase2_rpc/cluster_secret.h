// The shared secret that tells a cluster's replicas from strangers: a server draws a nonce for
// each connection, and a client proves with it that it knows the secret, without saying it.
//
// It keeps strangers out of a network that nobody rewrites; only TLS keeps out who can do that.
#pragma once

#include <string>
#include <string_view>

#include "common/core/bytes.h"

namespace kv::rpc {

inline constexpr std::size_t nonce_bytes = 16;

/// Unguessable bytes from the system; check() that it has some.
Bytes draw_nonce();

/// The secret is what `path` holds, up to its last line end; an empty path is no secret. False, and
/// one line in `why`, if there is none.
bool read_secret(const std::string& path, std::string& secret, std::string& why);

/// HMAC-SHA-256 of the nonce under the secret.
Bytes prove_secret(std::string_view secret, ByteView nonce);

/// In a time that does not depend on where the first difference is.
bool secret_is_proved(std::string_view secret, ByteView nonce, ByteView proof);

}  // namespace kv::rpc
