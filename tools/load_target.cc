#include "tools/load_target.h"

#include <algorithm>
#include <array>

#include "common/host/flags.h"

namespace kv::load {
namespace {

struct Scheme {
  std::string_view name;
  Dialect dialect;
  Transport transport;
};

constexpr std::array schemes = {
    Scheme{"line", Dialect::line, Transport::tcp},
    Scheme{"udp", Dialect::line, Transport::udp},
    Scheme{"rpc", Dialect::line, Transport::rpc},
    Scheme{"resp", Dialect::resp, Transport::tcp},
    Scheme{"memcache", Dialect::memcache, Transport::tcp},
    Scheme{"memcache-udp", Dialect::memcache, Transport::udp},
    Scheme{"echo", Dialect::echo, Transport::tcp},
    Scheme{"echo-udp", Dialect::echo, Transport::udp},
};

std::string scheme_names() {
  std::string names;
  for (const Scheme& scheme : schemes) {
    names += names.empty() ? "" : ", ";
    names += scheme.name;
  }
  return names;
}

}  // namespace

std::string read_target(std::string_view text, Target& target) {
  const std::size_t slashes = text.find("://");
  const std::string_view name = text.substr(0, std::min(slashes, text.size()));
  const auto* const scheme = std::ranges::find(schemes, name, &Scheme::name);
  if (slashes == std::string_view::npos || scheme == schemes.end()) {
    return "want SCHEME://HOST:PORT[,HOST:PORT...], SCHEME one of " + scheme_names();
  }
  std::vector<host::Endpoint> endpoints;
  if (std::string wrong = host::read_endpoints(text.substr(slashes + 3), endpoints);
      !wrong.empty()) {
    return wrong;
  }
  for (const host::Endpoint& endpoint : endpoints) {
    if (endpoint.off || endpoint.port == 0) {
      return "'" + host::to_text(endpoint) + "' is no address that could be reached";
    }
  }
  target = {scheme->dialect, scheme->transport, std::move(endpoints)};
  return {};
}

std::string to_text(const Target& target) {
  const auto* const scheme = std::ranges::find_if(schemes, [&](const Scheme& candidate) {
    return candidate.dialect == target.dialect && candidate.transport == target.transport;
  });
  std::string text{scheme == schemes.end() ? "?" : scheme->name};
  std::string_view separator = "://";
  for (const host::Endpoint& endpoint : target.endpoints) {
    text.append(separator).append(host::to_text(endpoint));
    separator = ",";
  }
  return text;
}

}  // namespace kv::load
