#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "common/core/check.h"
#include "tests/phase2_rpc/certificates.h"

namespace kv::rpc {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(std::FILE* file) const { std::fclose(file); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using File = std::unique_ptr<std::FILE, Free>;

constexpr long day_seconds = 24 * 60 * 60;

File open(const std::string& path, const char* mode) {
  File file{std::fopen(path.c_str(), mode)};
  check(file != nullptr);
  return file;
}

void write(const std::string& path, X509& certificate) {
  check(PEM_write_X509(open(path, "w").get(), &certificate) == 1);
}

void write(const std::string& path, EVP_PKEY& key) {
  check(PEM_write_PrivateKey(open(path, "w").get(), &key, nullptr, nullptr, 0, nullptr, nullptr) ==
        1);
}

/// A certificate of `key` under `name`, valid from yesterday to tomorrow, not signed yet.
Certificate make(EVP_PKEY& key, const std::string& name, const X509* issuer) {
  Certificate certificate{X509_new()};
  X509* const made = certificate.get();
  X509_set_version(made, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
  X509_gmtime_adj(X509_getm_notBefore(made), -day_seconds);
  X509_gmtime_adj(X509_getm_notAfter(made), day_seconds);
  X509_set_pubkey(made, &key);
  X509_NAME* const subject = X509_get_subject_name(made);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(made, issuer == nullptr ? subject : X509_get_subject_name(issuer));
  return certificate;
}

void sign(X509& certificate, EVP_PKEY& key) {
  check(X509_sign(&certificate, &key, EVP_sha256()) > 0);
}

}  // namespace

Certificates::Certificates() {
  std::string pattern = (std::filesystem::temp_directory_path() / "quintet-tls.XXXXXX").string();
  check(::mkdtemp(pattern.data()) != nullptr);
  folder_ = pattern;
}

Certificates::~Certificates() {
  std::error_code ignored;  // a folder that stays behind hurts nobody
  std::filesystem::remove_all(folder_, ignored);
}

std::string Certificates::authority(const std::string& name) {
  const Key key{EVP_EC_gen("P-256")};
  const Certificate certificate = make(*key, name, nullptr);
  const std::unique_ptr<X509_EXTENSION, Free> may_sign{
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE")};
  check(X509_add_ext(certificate.get(), may_sign.get(), -1) == 1);
  sign(*certificate, *key);
  write(file(name + ".pem"), *certificate);
  write(file(name + ".key"), *key);
  return file(name + ".pem");
}

TlsFiles Certificates::signed_by(const std::string& signer, const std::string& name) {
  const Key signer_key{
      PEM_read_PrivateKey(open(file(signer + ".key"), "r").get(), nullptr, nullptr, nullptr)};
  const Certificate issuer{
      PEM_read_X509(open(file(signer + ".pem"), "r").get(), nullptr, nullptr, nullptr)};
  const Key key{EVP_EC_gen("P-256")};
  const Certificate certificate = make(*key, name, issuer.get());
  sign(*certificate, *signer_key);
  write(file(name + ".pem"), *certificate);
  write(file(name + ".key"), *key);
  return {.certificate = file(name + ".pem"),
          .key = file(name + ".key"),
          .authority = file(signer + ".pem")};
}

}  // namespace kv::rpc
