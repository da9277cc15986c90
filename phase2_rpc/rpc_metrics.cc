#include "phase2_rpc/rpc_metrics.h"

#include <charconv>
#include <string>
#include <utility>

namespace kv::rpc {
namespace {

using host::Figure;

std::string label(std::string_view key, std::string_view value) {
  return std::string{key} + "=\"" + std::string{value} + "\"";
}

/// 2^i microseconds in seconds, as Prometheus wants them.
std::string seconds(std::size_t power) {
  char digits[32];
  const double value = static_cast<double>(std::uint64_t{1} << power) / 1e6;
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

class Figures {
 public:
  Figures(const Dispatcher& dispatcher, std::vector<Figure>& out)
      : methods_(dispatcher.methods()), out_(out) {}

  void add(Figure::Kind kind, const char* name, const char* help, double value,
           std::string with = {}) {
    out_.push_back({kind, name, help, std::move(with), value});
  }

  void add_calls() {
    for (const Dispatcher::Listed& method : methods_) {
      for (std::size_t code = 0; code < method.counts->by_code.size(); ++code) {
        const std::uint64_t count = method.counts->by_code[code].load(std::memory_order_relaxed);
        if (count > 0 || code == 0) {
          add(Figure::Kind::counter, "rpc_calls_total", "RPC calls that ended",
              static_cast<double>(count),
              label("method", method.name) + "," + label("code", name_of(static_cast<Code>(code))));
        }
      }
    }
  }

  void add_latencies() {
    constexpr const char* help = "From a call's arrival to its answer";
    for (const Dispatcher::Listed& method : methods_) {
      const MethodCounts& counts = *method.counts;
      const std::string name = label("method", method.name);
      double below = 0;
      for (std::size_t i = 0; i + 1 < MethodCounts::buckets; ++i) {
        below += static_cast<double>(counts.latency[i].load(std::memory_order_relaxed));
        add(Figure::Kind::histogram, "rpc_latency_seconds_bucket", help, below,
            name + "," + label("le", seconds(i)));
      }
      below += static_cast<double>(counts.latency.back().load(std::memory_order_relaxed));
      add(Figure::Kind::histogram, "rpc_latency_seconds_bucket", help, below,
          name + "," + label("le", "+Inf"));
      add(Figure::Kind::histogram, "rpc_latency_seconds_sum", help,
          static_cast<double>(counts.latency_us_sum.load(std::memory_order_relaxed)) / 1e6, name);
      add(Figure::Kind::histogram, "rpc_latency_seconds_count", help, below, name);
    }
  }

 private:
  const std::vector<Dispatcher::Listed> methods_;
  std::vector<Figure>& out_;
};

}  // namespace

void append_figures(const Dispatcher& dispatcher, const RpcServer& server,
                    std::vector<Figure>& figures) {
  using Kind = Figure::Kind;
  const ServerCounts counts = server.counts();
  const auto number = [](std::uint64_t count) { return static_cast<double>(count); };
  Figures all{dispatcher, figures};
  all.add(Kind::gauge, "rpc_connections", "RPC connections now", number(counts.connections));
  all.add(Kind::counter, "rpc_connections_total", "RPC connections taken up",
          number(counts.accepted));
  all.add(Kind::counter, "rpc_connections_refused_total", "RPC connections beyond the limit",
          number(counts.refused));
  all.add(Kind::counter, "rpc_connections_dropped_total",
          "RPC connections ended for what the client did", number(counts.dropped));
  all.add(Kind::counter, "rpc_received_bytes_total", "Bytes from RPC clients",
          number(counts.bytes_in));
  all.add(Kind::counter, "rpc_sent_bytes_total", "Bytes to RPC clients", number(counts.bytes_out));
  all.add(Kind::gauge, "rpc_in_flight", "RPC calls taken and not answered yet",
          static_cast<double>(dispatcher.in_flight()));
  all.add(Kind::counter, "rpc_refused_total",
          "RPC calls that were not executed: limits, no such method, malformed, too late",
          number(dispatcher.refused() + counts.calls_refused));
  all.add(Kind::counter, "rpc_expired_total", "RPC calls whose deadline passed before their turn",
          number(dispatcher.expired()));
  all.add_calls();
  all.add_latencies();
}

}  // namespace kv::rpc
