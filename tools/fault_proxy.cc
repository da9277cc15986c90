#include "tools/fault_proxy.h"

#include <sys/socket.h>

#include <algorithm>

#include "common/core/check.h"
#include "phase1_sockets/listen.h"
#include "tools/proxy_pipe.h"

namespace kv::cluster {

std::unique_ptr<FaultProxy> FaultProxy::open(sockets::EventLoop& loop, std::uint32_t nodes,
                                             std::uint64_t seed, std::string& why) {
  std::unique_ptr<FaultProxy> proxy{new FaultProxy{loop, seed}};
  for (std::uint32_t from = 1; from <= nodes; ++from) {
    for (std::uint32_t to = 1; to <= nodes; ++to) {
      if (from == to) {
        continue;
      }
      auto listener = std::make_unique<Listener>();
      listener->proxy = proxy.get();
      listener->link = {{from}, {to}};
      listener->socket = sockets::listen_tcp({.host = "127.0.0.1", .port = 0}, why);
      if (!listener->socket.open()) {
        return nullptr;
      }
      const auto on_connection = [](evutil_socket_t, short, void* self) {
        const auto* const here = static_cast<const Listener*>(self);
        here->proxy->accept(*here);
      };
      listener->event.reset(event_new(loop.base(), listener->socket.number(), EV_READ | EV_PERSIST,
                                      on_connection, listener.get()));
      check(listener->event != nullptr && event_add(listener->event.get(), nullptr) == 0);
      proxy->lines_[listener->link];
      proxy->listeners_.push_back(std::move(listener));
    }
  }
  return proxy;
}

FaultProxy::FaultProxy(sockets::EventLoop& loop, std::uint64_t seed) : loop_(loop), random_(seed) {}

FaultProxy::~FaultProxy() = default;

std::uint16_t FaultProxy::port(Link link) const {
  const auto found =
      std::ranges::find(listeners_, link, [](const auto& each) { return each->link; });
  check(found != listeners_.end());
  return host::address_of((*found)->socket.number()).port();
}

void FaultProxy::set_target(NodeId node, const host::SocketAddress& address) {
  targets_[node] = address;
}

void FaultProxy::accept(const Listener& listener) {
  host::Descriptor near{
      ::accept4(listener.socket.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (!near.open() || pipes_.size() >= connections_max) {
    return;
  }
  pipes_.push_back(std::make_unique<ProxyPipe>(*this, listener.link, std::move(near)));
  pipes_.back()->advance();
  sweep();
}

void FaultProxy::cut(Link link, Cut how) {
  Line& line = lines_.at(link);
  ++(how == Cut::silent ? line.silent : line.reset);
  refresh(link);
}

void FaultProxy::heal(Link link, Cut how) {
  Line& line = lines_.at(link);
  std::uint32_t& cuts = how == Cut::silent ? line.silent : line.reset;
  cuts -= cuts > 0 ? 1 : 0;
  refresh(link);
}

void FaultProxy::slow(Link link, Duration delay) {
  lines_.at(link).delay += delay;
}

void FaultProxy::hasten(Link link, Duration delay) {
  Line& line = lines_.at(link);
  line.delay -= std::min(delay, line.delay);
}

void FaultProxy::set_weather(const sim::Weather& weather) {
  weather_ = weather;
}

void FaultProxy::heal_all() {
  weather_ = {.delay = {}, .late_by = {}};
  for (auto& [link, line] : lines_) {
    line = Line{};
  }
  for (const auto& pipe : pipes_) {
    pipe->advance();
  }
  sweep();
}

bool FaultProxy::whole(Link link) const {
  const Line& line = lines_.at(link);
  return line.silent == 0 && line.reset == 0;
}

bool FaultProxy::open_to(Link link) const {
  return whole(link);
}

std::size_t FaultProxy::cut_links() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(lines_, [this](const auto& each) { return !whole(each.first); }));
}

void FaultProxy::refresh(Link link) {
  for (const auto& pipe : pipes_) {
    if (pipe->uses(link)) {
      pipe->advance();
    }
  }
  sweep();
}

void FaultProxy::sweep() {
  std::erase_if(pipes_, [](const auto& pipe) { return pipe->over(); });
}

Duration FaultProxy::draw_delay(Link link) {
  Duration delay = lines_.at(link).delay + random_.between(weather_.delay.low, weather_.delay.high);
  if (weather_.loss.ppm > 0 && random_.below(1'000'000) < weather_.loss.ppm) {
    delay += resend_time;
  }
  return delay;
}

}  // namespace kv::cluster
