// The links between replicas that are processes: each directed pair has a listening port of its
// own, and what passes there can be cut, slowed and lost, in one direction or both.
//
// `from` is told the port of (from, to) as the address of `to`. What `from` sends on such a
// connection travels the link (from, to), what comes back on it the link (to, from).
//
// TCP repairs what a network does, and so do these links. A silent cut passes nothing: no byte, no
// end, no reset, and no new connection; what was sent waits, as it would in a kernel that sends
// again and again, and passes when the link is healed. A cut with reset breaks the connections and
// refuses new ones. A lost piece comes late, by the time that TCP takes to send it again, and
// holds up what was sent after it.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "common/host/address.h"
#include "common/sim/network.h"
#include "phase1_sockets/event_loop.h"

namespace kv::cluster {

using sim::Link;

enum class Cut : std::uint8_t { silent, reset };

class ProxyPipe;

/// Used from its loop's thread.
class FaultProxy {
 public:
  static constexpr std::size_t connections_max = 4096;
  static constexpr Duration resend_time = std::chrono::milliseconds{200};  // TCP's least

  /// Takes a free port for every link among nodes 1 to `nodes`. Nothing, and a reason in `why`,
  /// if there is none.
  static std::unique_ptr<FaultProxy> open(sockets::EventLoop& loop, std::uint32_t nodes,
                                          std::uint64_t seed, std::string& why);
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;
  ~FaultProxy();

  std::uint16_t port(Link link) const;

  /// Where `node` itself listens; nobody reaches it before.
  void set_target(NodeId node, const host::SocketAddress& address);

  // Faults may overlap: a link that was cut twice must be healed twice. Healing one that is whole
  // does nothing.
  void cut(Link link, Cut how);
  void heal(Link link, Cut how);
  void slow(Link link, Duration delay);
  void hasten(Link link, Duration delay);
  /// Of every link: its delay and loss; a TCP proxy has no use for the rest.
  void set_weather(const sim::Weather& weather);
  /// Every link is whole, fast and safe again.
  void heal_all();

  bool open_to(Link link) const;
  std::size_t cut_links() const;
  std::uint64_t bytes_passed() const { return bytes_passed_; }
  std::size_t connections() const { return pipes_.size(); }

 private:
  friend class ProxyPipe;

  struct Line {
    std::uint32_t silent = 0;
    std::uint32_t reset = 0;
    Duration delay{};
  };
  struct Listener {
    FaultProxy* proxy;
    Link link;
    host::Descriptor socket;
    sockets::EventPointer event;
  };

  FaultProxy(sockets::EventLoop& loop, std::uint64_t seed);
  void accept(const Listener& listener);
  void refresh(Link link);
  void sweep();
  bool whole(Link link) const;  // no cut of either kind
  bool refused(Link link) const { return lines_.at(link).reset > 0; }
  Duration draw_delay(Link link);

  sockets::EventLoop& loop_;
  Random random_;
  sim::Weather weather_{.delay = {}, .late_by = {}};
  std::map<Link, Line> lines_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<NodeId, host::SocketAddress> targets_;
  std::list<std::unique_ptr<ProxyPipe>> pipes_;
  std::uint64_t bytes_passed_ = 0;
};

}  // namespace kv::cluster
