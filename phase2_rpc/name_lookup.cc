#include "phase2_rpc/name_lookup.h"

#include <utility>

#include <boost/asio/ip/address.hpp>

namespace kv::rpc {

using boost::asio::ip::tcp;
using boost::system::error_code;

void NameLookup::start(const host::Endpoint& endpoint, Found found) {
  error_code no_address;
  const auto address = boost::asio::ip::make_address(endpoint.host, no_address);
  if (!no_address) {
    found({{address, endpoint.port}}, {});
    return;
  }
  resolver_.async_resolve(
      endpoint.host, std::to_string(endpoint.port), tcp::resolver::numeric_service,
      [host = endpoint.host, found = std::move(found)](error_code error,
                                                       const tcp::resolver::results_type& results) {
        std::vector<tcp::endpoint> addresses;
        for (const auto& entry : results) {
          addresses.push_back(entry.endpoint());
        }
        found(addresses,
              error ? "cannot resolve host '" + host + "': " + error.message() : std::string{});
      });
}

}  // namespace kv::rpc
