#include "tools/load_run.h"

#include "tools/load_record.h"
#include "tools/load_rpc.h"
#include "tools/load_tcp.h"
#include "tools/load_udp.h"

namespace kv::load {
namespace {

template <typename Kind>
std::unique_ptr<Load> connected(const Plan& plan, std::vector<host::SocketAddress> addresses,
                                std::string& why) {
  Descriptor epoll = make_epoll();
  if (!epoll.open()) {
    why = errno_text("cannot make an epoll instance");
    return nullptr;
  }
  auto load = std::make_unique<Kind>(plan, std::move(epoll), std::move(addresses));
  return load->connect_all(why) ? std::move(load) : nullptr;
}

}  // namespace

std::unique_ptr<Load> Load::connect(const Plan& plan, std::string& why) {
  if (plan.target.transport == Transport::rpc) {
    auto load = std::make_unique<RpcLoad>(plan);
    return load->connect_all(why) ? std::move(load) : nullptr;
  }
  std::vector<host::SocketAddress> addresses;
  if (!resolve_all(plan.target, addresses, why)) {
    return nullptr;
  }
  if (!plan.history.empty()) {
    Descriptor epoll = make_epoll();
    if (!epoll.open()) {
      why = errno_text("cannot make an epoll instance");
      return nullptr;
    }
    auto load = std::make_unique<RecordLoad>(plan, std::move(epoll), std::move(addresses));
    return load->prepare(why) ? std::move(load) : nullptr;
  }
  return plan.target.transport == Transport::tcp
             ? connected<TcpLoad>(plan, std::move(addresses), why)
             : connected<UdpLoad>(plan, std::move(addresses), why);
}

}  // namespace kv::load
