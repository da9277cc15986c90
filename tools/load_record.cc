#include "tools/load_record.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <random>
#include <utility>

#include "tools/load_usage.h"

namespace kv::load {
namespace {

constexpr Nanoseconds record_tick = std::chrono::milliseconds{5};
constexpr Nanoseconds pause_step = std::chrono::milliseconds{10};
constexpr std::uint32_t pause_steps_max = 10;
constexpr std::size_t record_receive_bytes = 64 * 1024;
constexpr std::size_t history_piece_bytes = 256 * 1024;
constexpr std::uint32_t no_client = UINT32_MAX;

sim::HistoryTime history_time(Moment moment) {
  return sim::HistoryTime{moment.time_since_epoch()};
}

std::string draw_run() {
  char text[12];
  std::snprintf(text, sizeof text, "%08x", std::random_device{}());
  return text;
}

TrialMix mix_of(const Plan& plan) {
  return {.run = draw_run(),
          .keys = plan.mix.keys,
          .skew = plan.mix.skew,
          .value_bytes = plan.mix.value_bytes,
          .gets_percent = plan.mix.gets_percent,
          .deletes_percent = plan.mix.deletes_percent,
          .swaps_percent = plan.mix.swaps_percent,
          // Only an ID tells a datagram that comes late from the answer to what was asked since.
          .with_ids = plan.mix.with_ids || plan.target.transport == Transport::udp,
          .seed = plan.mix.seed};
}

Descriptor take_over_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  return Descriptor{signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK)};
}

void give_back_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
}

}  // namespace

// --- the history ---------------------------------------------------------------------------------

bool HistoryFile::open(const std::string& path, std::string& why) {
  file_.reset(std::fopen(path.c_str(), "we"));
  if (!file_) {
    why = errno_text(path);
  }
  return file_ != nullptr;
}

void HistoryFile::add(const sim::Operation& operation, const std::string& id) {
  sim::append_json(pending_, operation);
  std::string more;
  if (!id.empty()) {
    more += ",\"id\":\"" + id + "\"";
  }
  if (first_) {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const Nanoseconds offset = wall - Clock::now().time_since_epoch();
    more += ",\"wall_ns\":" + std::to_string(offset.count());
    first_ = false;
  }
  pending_.insert(pending_.size() - std::string_view{"}\n"}.size(), more);
  if (pending_.size() >= history_piece_bytes) {
    flush();
  }
}

void HistoryFile::flush() {
  if (file_ && std::fwrite(pending_.data(), 1, pending_.size(), file_.get()) != pending_.size()) {
    failed_ = true;
  }
  pending_.clear();
}

bool HistoryFile::close() {
  flush();
  if (file_ && std::fclose(file_.release()) != 0) {
    failed_ = true;
  }
  return !failed_;
}

// --- the run -------------------------------------------------------------------------------------

RecordLoad::RecordLoad(const Plan& plan, Descriptor epoll,
                       std::vector<host::SocketAddress> addresses)
    : plan_(plan), epoll_(std::move(epoll)), addresses_(std::move(addresses)), mix_(mix_of(plan)) {
  clients_.reserve(plan.clients);
  TrialMix reading = mix_;
  reading.gets_percent = 100;
  reading.deletes_percent = reading.swaps_percent = 0;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    clients_.emplace_back(i < plan.readers ? reading : mix_, i).target = i % addresses_.size();
  }
}

bool RecordLoad::prepare(std::string& why) {
  return history_.open(plan_.history, why);
}

RecordLoad::Index RecordLoad::index_of(const Client& client) const {
  return static_cast<Index>(&client - clients_.data());
}

Outcome RecordLoad::run() {
  outcome_ = Outcome{};
  signals_ = take_over_signals();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = no_client;
  epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, signals_.number(), &event);
  const double used_before = processor_seconds();
  begun_ = last_end_ = progress_at_ = Clock::now();
  const auto length = std::chrono::duration_cast<Nanoseconds>(
      std::chrono::duration<double>(std::min(plan_.seconds, 1e9)));
  play({.begin = begun_,
        .end = begun_ + length,
        .requests_max = plan_.requests_max,
        .rate = plan_.rate});
  outcome_.seconds = std::chrono::duration<double>(last_end_ - begun_).count();
  outcome_.busy = (processor_seconds() - used_before) /
                  std::chrono::duration<double>(Clock::now() - begun_).count();
  if (plan_.read_back && !interrupted_) {
    read_back();
  }
  outcome_.history_lost = !history_.close();
  signals_.close();
  give_back_signals();
  return std::exchange(outcome_, Outcome{});
}

void RecordLoad::play(const Pacer::Plan& pace) {
  Pacer pacer{pace};
  loop(
      [&](Client& client, Moment now) {
        const Pacer::Leave leave = pacer.take(now, 1);
        if (leave.count == 0) {
          return false;
        }
        client.trial.begin(history_time(now));
        begin_common(client, leave.due, now);
        return true;
      },
      [&] { return !pacer.is_over(Clock::now()); });
  outcome_.not_started = pacer.is_open_loop() && !interrupted_ ? pacer.due(pace.end) : 0;
}

/// Reads every key once from every target: what was acknowledged must be there.
void RecordLoad::read_back() {
  const std::uint64_t all = mix_.keys * addresses_.size();
  std::uint64_t next = 0;
  loop(
      [&](Client& client, Moment now) {
        if (next == all) {
          return false;
        }
        const std::size_t target = next % addresses_.size();
        if (client.target != target) {
          client.socket = Descriptor{};
        }
        client.target = target;
        client.stays = true;
        client.trial.begin_read(history_time(now), next / addresses_.size());
        begin_common(client, now, now);
        ++next;
        return true;
      },
      [&] { return next < all; });
}

/// Gives work to whoever is idle while there is more, and waits until all of it is over.
void RecordLoad::loop(const std::function<bool(Client&, Moment)>& begin,
                      const std::function<bool()>& more) {
  std::vector<epoll_event> events(256);
  Moment tick_at = Clock::now() + record_tick;
  while (true) {
    Moment now = Clock::now();
    const bool wanted = !interrupted_ && more();
    for (Client& client : clients_) {
      if (!wanted || (client.step == Step::idle && !begin(client, now))) {
        break;
      }
    }
    if (busy_ == 0 && (!wanted || interrupted_)) {
      return;
    }
    const timespec patience{0, plan_.rate > 0 ? 200'000 : static_cast<long>(record_tick.count())};
    const int count = epoll_pwait2(epoll_.number(), events.data(), static_cast<int>(events.size()),
                                   &patience, nullptr);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.u32 == no_client) {
        interrupted_ = true;
        continue;
      }
      on_ready(clients_[event.data.u32], event.events);
    }
    now = Clock::now();
    if (now >= tick_at) {
      on_tick(now);
      tick_at = now + record_tick;
    }
  }
}

void RecordLoad::begin_common(Client& client, Moment due, Moment now) {
  ++busy_;
  client.due = due;
  client.attempts = 0;
  client.give_up_at = now + plan_.patience;
  attempt(client, now);
}

void RecordLoad::attempt(Client& client, Moment now) {
  ++client.attempts;
  outcome_.retransmissions += client.attempts > 1 ? 1 : 0;
  client.sent = 0;
  client.input.clear();
  client.deadline = std::min(now + plan_.attempt_patience, client.give_up_at);
  if (client.socket.open()) {
    client.step = Step::asked;
    return send_rest(client, now);
  }
  if (!open_socket(client)) {
    return fail_attempt(client, errno_text("cannot connect"), now);
  }
  client.step = tcp() ? Step::connecting : Step::asked;
  if (!tcp()) {
    send_rest(client, now);
  }
}

bool RecordLoad::open_socket(Client& client) {
  std::string why;
  client.socket =
      connect_socket(addresses_[client.target], plan_.target.transport, Waiting::no, why);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = index_of(client);
  return client.socket.open() &&
         epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, client.socket.number(), &event) == 0;
}

void RecordLoad::send_rest(Client& client, Moment now) {
  const ByteView line = client.trial.line();
  while (client.sent < line.size()) {
    const ByteView rest = line.substr(client.sent);
    const ssize_t sent = ::send(client.socket.number(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) {
        fail_attempt(client, errno_text("cannot send"), now);
      }
      return;
    }
    client.sent += static_cast<std::size_t>(sent);
  }
}

void RecordLoad::on_ready(Client& client, std::uint32_t events) {
  const Moment now = Clock::now();
  if (client.step == Step::connecting) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0 || error_of(client.socket.number()) != 0) {
      return fail_attempt(client, "cannot connect", now);
    }
    if ((events & EPOLLOUT) == 0) {
      return;
    }
    outcome_.reconnects += std::exchange(client.was_connected, true) ? 1 : 0;
    client.step = Step::asked;
  }
  if (client.step == Step::asked && (events & EPOLLOUT) != 0) {
    send_rest(client, now);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && client.socket.open()) {
    receive(client);
  }
}

void RecordLoad::receive(Client& client) {
  char buffer[record_receive_bytes];
  while (client.socket.open()) {
    const ssize_t got = ::recv(client.socket.number(), buffer, sizeof buffer, 0);
    const Moment now = Clock::now();  // not before it came: a history's intervals must not shrink
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (got < 0 || (got == 0 && tcp())) {
      const std::string why = got == 0 ? "the server closed a connection" : errno_text("lost");
      if (client.step == Step::asked) {
        return fail_attempt(client, why, now);
      }
      client.socket = Descriptor{};
      return;
    }
    client.input.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = client.input.find('\n')) != Bytes::npos;) {
      const Bytes line = client.input.substr(0, end);
      client.input.erase(0, end + 1);
      if (!take_line(client, line, now)) {
        return;
      }
    }
  }
}

/// False if no more can come of this connection.
bool RecordLoad::take_line(Client& client, ByteView line, Moment now) {
  wire::LineAnswer answer;
  const bool read = wire::parse_line_answer(line, answer);
  if (client.step != Step::asked || !read || !client.trial.is_mine(answer)) {
    ++outcome_.unsolicited;
    if (tcp() && client.step == Step::asked) {
      fail_attempt(client, "the server answered what nobody asked", now);
    }
    return !tcp();
  }
  const bool refused = answer.reply.status > Status::conflict;
  if (refused && outcome_.first_error.empty()) {
    outcome_.first_error = std::string{name_of(answer.reply.status)} + " " + answer.reply.why;
  }
  if (client.trial.answered(answer) == Trial::Next::over) {
    finish(client, now);
  } else {
    pause(client, now);
  }
  return true;
}

void RecordLoad::fail_attempt(Client& client, const std::string& why, Moment now) {
  if (outcome_.first_error.empty()) {
    outcome_.first_error = why;
  }
  const bool sent = client.step == Step::asked && client.sent > 0;
  client.socket = Descriptor{};
  if (client.trial.attempt_failed(sent) == Trial::Next::over) {
    return finish(client, now);
  }
  pause(client, now);
}

/// Before the next attempt, at the next target.
void RecordLoad::pause(Client& client, Moment now) {
  if (!client.stays) {
    client.target = (client.target + 1) % addresses_.size();
    client.socket = Descriptor{};
  }
  client.step = Step::pausing;
  client.deadline = now + std::min(client.attempts, pause_steps_max) * pause_step;
}

void RecordLoad::finish(Client& client, Moment now) {
  history_.add(client.trial.end(history_time(now)), client.trial.id());
  count(client, now);
  last_end_ = now;
  --busy_;
  client.step = Step::idle;
  if (client.trial.result() > Status::conflict && !client.stays) {
    // Others may do better; and whoever refuses at once is not to be asked without a pause.
    client.target = (client.target + 1) % addresses_.size();
    client.socket = Descriptor{};
  }
}

void RecordLoad::count(const Client& client, Moment now) {
  if (client.stays) {
    ++outcome_.read_back;
    outcome_.read_back_failed += client.trial.result() > Status::conflict ? 1 : 0;
    return;
  }
  if (client.trial.result() <= Status::conflict) {
    ++outcome_.ops;
    outcome_.latency.record(now - client.due);
  } else {
    ++outcome_.errors;
    outcome_.count_status(client.trial.result());
  }
}

void RecordLoad::on_tick(Moment now) {
  for (Client& client : clients_) {
    if (client.step == Step::idle || now < client.deadline) {
      continue;
    }
    if (interrupted_ || now >= client.give_up_at) {
      static_cast<void>(client.trial.attempt_failed(client.step == Step::asked && client.sent > 0));
      client.trial.give_up();
      client.socket = Descriptor{};  // its answer may still come
      finish(client, now);
    } else if (client.step == Step::pausing) {
      attempt(client, now);
    } else {
      fail_attempt(client, "no answer in time", now);
    }
  }
  tell_progress(now);
}

void RecordLoad::tell_progress(Moment now) {
  if (plan_.progress && now >= progress_at_) {
    outcome_.seconds = std::chrono::duration<double>(now - begun_).count();
    plan_.progress(outcome_);
    progress_at_ = now + progress_interval;
  }
}

}  // namespace kv::load
