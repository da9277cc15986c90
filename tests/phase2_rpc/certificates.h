// Certificates made for one test: an authority, and what it signs.
#pragma once

#include <filesystem>
#include <string>

#include "phase2_rpc/tls.h"

namespace kv::rpc {

/// A folder of PEM files, gone with it. Each authority() is a stranger to the others.
class Certificates {
 public:
  Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates();

  /// The file of a new authority of this name.
  std::string authority(const std::string& name);
  /// What `signer` (a name given to authority()) vouches for: certificate, key, and that
  /// authority's own file as the one to believe.
  TlsFiles signed_by(const std::string& signer, const std::string& name);

  std::string file(const std::string& name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace kv::rpc
