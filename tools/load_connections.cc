#include "tools/load_connections.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "tools/load_dialect.h"
#include "tools/load_pacer.h"
#include "tools/load_socket.h"

namespace kv::load {
namespace {

constexpr int tick_milliseconds = 10;
constexpr std::size_t ready_max = 256;

/// Opens connections, a bounded number at a time, and has each served once.
class Opener {
 public:
  enum class After : std::uint8_t { close, keep };

  Opener(const ConnectionPlan& plan, After after, std::uint64_t rate)
      : plan_(plan),
        after_(after),
        begin_(Clock::now()),
        pacer_({.begin = begin_, .requests_max = plan.connections, .rate = rate}),
        slots_(std::min<std::uint64_t>(plan.at_once, plan.connections)) {
    append_put(plan.target.dialect, {"key:connections", "v"}, request_, answer_);
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      free_.push_back(slot);
    }
  }

  bool prepare(std::string& why) {
    epoll_ = make_epoll();
    if (!epoll_.open()) {
      why = errno_text("cannot make an epoll instance");
      return false;
    }
    return resolve_all(plan_.target, addresses_, why);
  }

  ConnectionOutcome run() {
    epoll_event events[ready_max];
    while (outcome_.served + outcome_.errors < plan_.connections) {
      open_due(Clock::now());
      const int count = epoll_wait(epoll_.number(), events, ready_max, wait_milliseconds());
      for (int i = 0; i < count; ++i) {
        on_ready(events[i].data.u64);
      }
      give_up_late(Clock::now());
    }
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    return outcome_;
  }

  std::vector<Descriptor>& kept() { return kept_; }

 private:
  struct Slot {
    Descriptor socket;
    bool asked = false;
    Bytes received;
    Moment deadline;
  };

  int wait_milliseconds() const {
    return pacer_.is_open_loop() && !free_.empty() && !pacer_.is_over(Clock::now())
               ? 1
               : tick_milliseconds;
  }

  void open_due(Moment now) {
    while (!free_.empty() && pacer_.take(now, 1).count > 0) {
      const std::size_t index = free_.back();
      Slot& slot = slots_[index];
      std::string why;
      slot.socket = connect_socket(addresses_[opened_++ % addresses_.size()], Transport::tcp,
                                   Waiting::no, why);
      slot.asked = false;
      slot.received.clear();
      slot.deadline = now + plan_.patience;
      epoll_event event{};
      event.events = EPOLLIN | EPOLLOUT | EPOLLET;
      event.data.u64 = index;
      if (!slot.socket.open()) {
        count_error(why);
      } else if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, slot.socket.number(), &event) != 0) {
        count_error(errno_text("cannot watch a socket"));
        slot.socket = Descriptor{};
      } else {
        free_.pop_back();
      }
    }
  }

  void on_ready(std::size_t index) {
    Slot& slot = slots_[index];
    if (!slot.asked) {
      errno = error_of(slot.socket.number());
      if (errno != 0) {
        fail(index, errno_text("cannot connect"));
        return;
      }
      // A new connection takes a request this short whole.
      slot.asked = true;
      if (send(slot.socket.number(), request_.data(), request_.size(), MSG_NOSIGNAL) < 0) {
        fail(index, errno_text("cannot send"));
      }
      return;
    }
    char buffer[512];
    const ssize_t got = recv(slot.socket.number(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    if (got <= 0) {
      fail(index, got == 0 ? "the server closed the connection" : errno_text("cannot receive"));
      return;
    }
    slot.received.append(buffer, static_cast<std::size_t>(got));
    if (slot.received == answer_) {
      served(index);
    } else if (!answer_.starts_with(slot.received)) {
      fail(index, "the answer is wrong: " + slot.received);
    }
  }

  void served(std::size_t index) {
    ++outcome_.served;
    if (after_ == After::keep) {
      epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, slots_[index].socket.number(), nullptr);
      kept_.push_back(std::move(slots_[index].socket));
    }
    release(index);
  }

  void fail(std::size_t index, const std::string& why) {
    count_error(why);
    release(index);
  }

  void count_error(const std::string& why) {
    ++outcome_.errors;
    if (outcome_.first_error.empty()) {
      outcome_.first_error = why;
    }
  }

  void release(std::size_t index) {
    slots_[index].socket = Descriptor{};
    free_.push_back(index);
  }

  void give_up_late(Moment now) {
    for (std::size_t index = 0; index < slots_.size(); ++index) {
      if (slots_[index].socket.open() && now >= slots_[index].deadline) {
        fail(index, "no answer came");
      }
    }
  }

  const ConnectionPlan& plan_;
  After after_;
  Moment begin_;
  Pacer pacer_;
  Descriptor epoll_;
  std::vector<host::SocketAddress> addresses_;
  Bytes request_;
  Bytes answer_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;
  std::vector<Descriptor> kept_;
  std::uint64_t opened_ = 0;
  ConnectionOutcome outcome_;
};

bool is_alive(const Descriptor& socket) {
  char byte = 0;
  const ssize_t got = recv(socket.number(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && errno == EAGAIN);
}

}  // namespace

std::optional<ConnectionOutcome> hold_connections(const ConnectionPlan& plan,
                                                  const std::function<void()>& held,
                                                  std::string& why) {
  Opener opener{plan, Opener::After::keep, /*rate=*/0};
  if (!opener.prepare(why)) {
    return std::nullopt;
  }
  ConnectionOutcome outcome = opener.run();
  held();
  std::this_thread::sleep_for(std::chrono::duration<double>(plan.seconds));
  outcome.lost = static_cast<std::uint64_t>(std::ranges::count_if(
      opener.kept(), [](const Descriptor& socket) { return !is_alive(socket); }));
  return outcome;
}

std::optional<ConnectionOutcome> churn_connections(const ConnectionPlan& plan, std::string& why) {
  std::uint64_t rate = 0;
  if (plan.seconds > 0) {
    const double wanted = static_cast<double>(plan.connections) / plan.seconds;
    rate = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  }
  Opener opener{plan, Opener::After::close, rate};
  if (!opener.prepare(why)) {
    return std::nullopt;
  }
  return opener.run();
}

}  // namespace kv::load
