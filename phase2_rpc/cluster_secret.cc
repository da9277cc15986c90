#include "phase2_rpc/cluster_secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <fstream>
#include <iterator>

#include "common/core/check.h"

namespace kv::rpc {
namespace {

const unsigned char* raw(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

bool read_secret(const std::string& path, std::string& secret, std::string& why) {
  if (path.empty()) {
    return true;
  }
  std::ifstream file{path};
  secret.assign(std::istreambuf_iterator<char>{file}, {});
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) {
    secret.pop_back();
  }
  if (!file || secret.empty()) {
    why = "--cluster-secret: " + path + (file ? " is empty" : " cannot be read");
    return false;
  }
  return true;
}

Bytes draw_nonce() {
  std::array<unsigned char, nonce_bytes> drawn{};
  check(RAND_bytes(drawn.data(), static_cast<int>(drawn.size())) == 1);
  return {drawn.begin(), drawn.end()};
}

Bytes prove_secret(std::string_view secret, ByteView nonce) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> proof{};
  unsigned int length = 0;
  check(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), raw(nonce), nonce.size(),
             proof.data(), &length) != nullptr);
  return {proof.begin(), proof.begin() + length};
}

bool secret_is_proved(std::string_view secret, ByteView nonce, ByteView proof) {
  const Bytes expected = prove_secret(secret, nonce);
  return proof.size() == expected.size() &&
         CRYPTO_memcmp(proof.data(), expected.data(), expected.size()) == 0;
}

}  // namespace kv::rpc
