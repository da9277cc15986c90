// Where a server is, found out without holding up the loop that asks. Included only where Asio is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "common/host/address.h"

namespace kv::rpc {

/// A name server may be waited for, for seconds, by a thread that Asio keeps for it, one for each
/// loop; the loop's end waits for a look-up that has begun. Used from the loop's thread.
class NameLookup {
 public:
  /// The addresses in the order in which to try them; none, and why.
  using Found = std::function<void(const std::vector<boost::asio::ip::tcp::endpoint>& addresses,
                                   const std::string& why)>;

  explicit NameLookup(boost::asio::io_context& loop) : resolver_(loop) {}
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  /// `found` runs once: in here if the host is an address already, else later, on the loop; also
  /// after cancel(), with none.
  void start(const host::Endpoint& endpoint, Found found);
  void cancel() { resolver_.cancel(); }

 private:
  boost::asio::ip::tcp::resolver resolver_;
};

}  // namespace kv::rpc
