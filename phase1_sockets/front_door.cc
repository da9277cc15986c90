#include "phase1_sockets/front_door.h"

#include <utility>

#include "common/core/check.h"
#include "common/host/thread_name.h"
#include "common/wire/logfmt.h"
#include "phase1_sockets/http_server.h"
#include "phase1_sockets/listen.h"
#include "phase1_sockets/status_pages.h"

namespace kv::sockets {
namespace {

constexpr std::size_t udp_answer_bytes_max_elsewhere = 1400;  // fits every network's packets

std::string text_of(const host::SocketAddress& address) {
  return address.length == 0 ? "off" : host::to_text(address);
}

Deadlines::Patience patience_of(const FrontDoorOptions& options) {
  return {options.request_patience, options.progress_patience, options.idle_patience,
          options.farewell_patience};
}

}  // namespace

/// Everything in it is used from its lane's thread, from start() to the thread's end.
struct FrontDoor::Station {
  Station(std::unique_ptr<EventLoop> loop, Service& service, host::Log& log,
          const FrontDoorOptions& options, Occupancy& occupancy)
      : lane(std::move(loop), service, log, patience_of(options)),
        connections(lane, options.tcp_limits, occupancy),
        give_up(*lane.loop, [this] {
          lane.log.write(Level::warn, "event=drain_deadline");
          connections.end_all();
          lane.loop->stop();
        }) {}

  /// Ends the loop when all are served, or at the deadline.
  void drain(Duration patience) {
    give_up.arm(patience);
    draining = 1;
    if (udp) {
      ++draining;
      udp->drain([this] { one_is_drained(); });
    }
    connections.drain([this] { one_is_drained(); });
  }

  void one_is_drained() {
    if (--draining == 0) {
      lane.loop->stop();
    }
  }

  Lane lane;
  TcpShare connections;
  std::unique_ptr<UdpServer> udp;
  Alarm give_up;
  int draining = 0;
};

std::unique_ptr<FrontDoor> FrontDoor::open(Service& service, host::Log& log,
                                           FrontDoorOptions options, std::string& why) {
  std::unique_ptr<FrontDoor> door{new FrontDoor{service, log, std::move(options)}};
  const bool open =
      door->open_lanes(why) && door->open_tcp(why) && door->open_udp(why) && door->open_http(why);
  return open ? std::move(door) : nullptr;
}

FrontDoor::FrontDoor(Service& service, host::Log& log, FrontDoorOptions options)
    : service_(service),
      log_(log),
      options_(std::move(options)),
      occupancy_(options_.connections_max) {
  check(options_.threads > 0);
}

FrontDoor::~FrontDoor() {
  stop();
}

bool FrontDoor::open_lanes(std::string& why) {
  for (std::size_t i = 0; i < options_.threads; ++i) {
    std::unique_ptr<EventLoop> loop = EventLoop::open(why);
    if (!loop) {
      return false;
    }
    stations_.push_back(
        std::make_unique<Station>(std::move(loop), service_, log_, options_, occupancy_));
    Lane& lane = stations_.back()->lane;
    lane.next_name = options_.names_from == 0 ? 0 : options_.names_from + i;
    lane.name_step = options_.threads;
  }
  return true;
}

bool FrontDoor::open_tcp(std::string& why) {
  if (options_.tcp.off) {
    return true;
  }
  Descriptor listening = listen_tcp(options_.tcp, why);
  if (!listening.open()) {
    return false;
  }
  tcp_ = host::address_of(listening.number());
  std::vector<TcpShare*> shares;
  for (const auto& station : stations_) {
    shares.push_back(&station->connections);
  }
  listener_ = std::make_unique<TcpServer>(stations_.front()->lane, std::move(listening),
                                          std::move(shares), occupancy_);
  return true;
}

bool FrontDoor::open_udp(std::string& why) {
  if (options_.udp.off) {
    return true;
  }
  std::vector<Descriptor> sockets = bind_udp(options_.udp, stations_.size(), why);
  if (sockets.empty()) {
    return false;
  }
  udp_ = host::address_of(sockets.front().number());
  UdpLimits limits{.legacy = options_.udp_legacy,
                   .answer_bytes_max = options_.udp_answer_bytes_max};
  if (limits.answer_bytes_max == 0) {
    limits.answer_bytes_max =
        is_loopback(udp_) ? datagram_bytes_max : udp_answer_bytes_max_elsewhere;
  }
  for (std::size_t i = 0; i < stations_.size(); ++i) {
    stations_[i]->udp =
        std::make_unique<UdpServer>(stations_[i]->lane, std::move(sockets[i]), i, limits);
  }
  return true;
}

bool FrontDoor::open_http(std::string& why) {
  if (options_.http.off) {
    return true;
  }
  HttpPages pages{.metrics = [this] { return to_prometheus(figures()); },
                  .status = [this] { return to_json(figures()); },
                  .healthy = [this] { return service_.healthy(); }};
  http_ = HttpServer::listen(stations_.front()->lane.loop->base(), options_.http, std::move(pages),
                             why);
  if (!http_) {
    return false;
  }
  http_address_ = http_->address();
  return true;
}

std::vector<Figure> FrontDoor::figures() const {
  std::vector<const LoopCounters*> lanes;
  for (const auto& station : stations_) {
    lanes.push_back(&station->lane.counters);
  }
  std::vector<Figure> figures = sum_up(lanes);
  figures.push_back({.kind = Figure::Kind::counter,
                     .name = "log_lines_dropped_total",
                     .help = "Log lines the disk was too slow for",
                     .label = {},
                     .value = static_cast<double>(log_.lines_dropped())});
  for (const Gauge& gauge : options_.gauges) {
    figures.push_back({.kind = Figure::Kind::gauge,
                       .name = gauge.name,
                       .help = gauge.help,
                       .label = {},
                       .value = gauge.read()});
  }
  if (options_.more_figures) {
    options_.more_figures(figures);
  }
  return figures;
}

std::string FrontDoor::ready_line() const {
  return "ready tcp=" + text_of(tcp_) + " udp=" + text_of(udp_) + " http=" + text_of(http_address_);
}

void FrontDoor::start() {
  check(threads_.empty());
  wire::LogFields line;
  line.add("event", "listening").add("tcp", text_of(tcp_)).add("udp", text_of(udp_));
  line.add("http", text_of(http_address_)).add("threads", stations_.size());
  stations_.front()->lane.log.write(Level::info, line.text());
  for (const auto& station : stations_) {
    threads_.emplace_back([&lane = station->lane] {
      host::name_this_thread("door");
      lane.loop->run();
    });
  }
}

void FrontDoor::stop() {
  if (threads_.empty()) {
    return;
  }
  stations_.front()->lane.loop->post([this] { listener_.reset(); });
  for (const auto& station : stations_) {
    station->lane.loop->post([this, &station] { station->drain(options_.drain_patience); });
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  for (const auto& station : stations_) {
    station->lane.log.flush();  // so that the line below is the last
  }
  stations_.front()->lane.log.write(Level::info, "event=stopped");
}

}  // namespace kv::sockets
