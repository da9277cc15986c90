#include "phase1_sockets/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "common/core/check.h"
#include "phase1_sockets/tcp_server.h"

namespace kv::sockets {

// With what libevent keeps for its descriptor and the peer's text, under 1 KiB at rest.
static_assert(sizeof(Connection) <= 640);

Connection::Connection(TcpShare& home, Descriptor socket, std::string peer, std::uint64_t id)
    : home_(home),
      lane_(home.lane_),
      socket_(std::move(socket)),
      session_(home.limits_.output_bytes_max),
      peer_(std::move(peer)),
      id_(id) {
  constexpr short all = EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST;
  check(event_assign(&event_, lane_.loop->base(), socket_.number(), all, on_event, this) == 0);
}

Connection::~Connection() {
  lane_.counters.answer_bytes_held.subtract(held_);
  if (socket_.open()) {
    event_del(&event_);
  }
}

void Connection::open() {
  lane_.log.opened(speaker());
  if (event_add(&event_, nullptr) != 0) {
    return end("no_event");
  }
  set_deadline();
}

void Connection::refuse(std::string_view line) {
  refused_ = true;
  state_ = Session::State::finished;
  unsent_.assign(line);
  if (event_add(&event_, nullptr) != 0) {
    return end("no_event");
  }
  serve();
}

void Connection::drain() {
  if (socket_.open()) {
    draining_ = true;
    readable_ = true;  // an edge may be on its way
    serve();
  }
}

void Connection::abandon() {
  if (socket_.open()) {
    end("abandoned");
  }
}

/// The socket goes at once; the rest when the last outstanding request is answered.
void Connection::end(std::string_view why) {
  lane_.log.closed(speaker(), why);
  event_del(&event_);
  socket_.close();
  lane_.deadlines.stop(*this);
  lane_.loop->forget(*this);
  free_bytes(unsent_);
  if (session_.unanswered() == 0) {
    home_.remove(*this);
  }
}

// --- one turn ------------------------------------------------------------------------------------

void Connection::on_event(evutil_socket_t, short what, void* self) {
  auto* const connection = static_cast<Connection*>(self);
  if ((what & (EV_READ | EV_CLOSED)) != 0) {
    connection->readable_ = true;
  }
  if ((what & EV_CLOSED) != 0) {
    connection->fin_announced_ = true;
  }
  if ((what & EV_WRITE) != 0) {
    connection->blocked_ = false;
  }
  connection->serve();
}

void Connection::again() {
  if (socket_.open()) {
    serve();
  } else {
    home_.remove(*this);
  }
}

void Connection::serve() {
  requests_left_ = home_.limits_.requests_per_turn;
  requests_done_ = 0;
  progressed_ = false;
  if (leaving_) {
    return discard_input();
  }
  Bytes& out = unsent_.empty() ? lane_.output : unsent_;
  if (!backlogged() && !refused_) {
    const ByteView bytes = state_ == Session::State::hungry ? receive() : ByteView{};
    output_ = &out;
    state_ = session_.feed(bytes, lane_.now_if_logged(), lane_.lines, out, *this);
    output_ = nullptr;
  }
  if (broken_ != nullptr || !send_output(out)) {
    lane_.output.clear();
    return end(broken_ != nullptr ? broken_ : "reset");
  }
  go_on();
}

/// Empty if there is nothing to read now, or never again.
ByteView Connection::receive() {
  if (!readable_) {
    return {};
  }
  const ssize_t got = ::recv(socket_.number(), lane_.input.get(), read_bytes_max, 0);
  if (got > 0) [[likely]] {
    const auto bytes = static_cast<std::size_t>(got);
    lane_.counters.bytes_in.add(bytes);
    readable_ = bytes == read_bytes_max || fin_announced_;
    return {lane_.input.get(), bytes};
  }
  if (got == 0) {
    readable_ = false;
    input_over_ = true;
    session_.end_input();
  } else if (errno == EAGAIN) {
    readable_ = false;
  } else if (errno != EINTR) {
    broken_ = "reset";
  }
  return {};
}

/// False if the socket is broken. What the kernel does not take is kept for later.
bool Connection::send_output(Bytes& out) {
  if (out.empty() || blocked_) {
    keep_unsent(out, 0);
    return true;
  }
  const ssize_t taken = ::send(socket_.number(), out.data(), out.size(), MSG_NOSIGNAL);
  if (taken < 0 && errno != EAGAIN) {
    return false;
  }
  const std::size_t sent = taken < 0 ? 0 : static_cast<std::size_t>(taken);
  lane_.counters.bytes_out.add(sent);
  blocked_ = sent < out.size();
  progressed_ = sent > 0;
  keep_unsent(out, sent);
  return true;
}

void Connection::keep_unsent(Bytes& out, std::size_t sent) {
  if (&out != &unsent_) {
    if (sent < out.size()) [[unlikely]] {
      unsent_.assign(out, sent);
    }
    out.clear();
  } else if (sent < out.size()) {
    out.erase(0, sent);
  } else if (!out.empty()) {
    free_bytes(out);
  }
}

/// What comes after this turn: more of the same, waiting, or leave.
void Connection::go_on() {
  const bool hungry = state_ == Session::State::hungry;
  if (hungry && draining_ && !readable_) {
    session_.close_input();
    state_ = Session::State::finished;
  }
  if (state_ == Session::State::finished && unsent_.empty() && session_.quiet()) {
    return take_leave();
  }
  const bool full_no_more = state_ == Session::State::full && session_.quiet();
  const bool has_more = state_ == Session::State::paused || full_no_more || (hungry && readable_);
  if (has_more && !backlogged()) {
    lane_.loop->again(*this);
  }
  if (const std::size_t most = home_.limits_.output_bytes_max; unsent_.size() < most) {
    session_.ask_again(most - unsent_.size(), *this);
  }
  publish_held();
  set_deadline();
}

/// Closing with input unread would reset the connection, and the client might lose our last
/// answers: so it is told the end first, and closes first.
void Connection::take_leave() {
  if (input_over_ || draining_) {
    return end(ending());
  }
  ::shutdown(socket_.number(), SHUT_WR);
  leaving_ = true;
  wait_for(Wait::farewell, true);
  discard_input();
}

void Connection::discard_input() {
  if (!readable_) {
    return;
  }
  const ByteView unwanted = receive();
  if (input_over_ || broken_ != nullptr || draining_) {
    return end(ending());
  }
  if (readable_ && !unwanted.empty()) {
    lane_.loop->again(*this);
  }
}

// --- requests and answers ------------------------------------------------------------------------

bool Connection::may_go_on() {
  const std::size_t held = output_->size() + session_.parked_bytes();
  if (requests_left_ == 0 || held >= home_.limits_.output_bytes_max) {
    return false;
  }
  --requests_left_;
  return true;
}

/// Closed to who writes a line of each request.
Session::Shortcut Connection::shortcut() const {
  return {.open = lane_.near_store != nullptr && !lane_.logs_requests,
          .requests_more = requests_left_,
          .answer_bytes = home_.limits_.output_bytes_max};
}

void Connection::served(const Session::Served& served) {
  requests_left_ -= served.gets + served.puts - 1;
  requests_done_ += served.gets + served.puts;
  lane_.counters.count(Verb::get, served.gets);
  lane_.counters.count(Verb::put, served.puts);
}

void Connection::submit(std::uint64_t number, Command& command) {
  ++requests_done_;
  lane_.name(command);
  lane_.counters.count(command.verb);
  if (lane_.logs_requests) {
    lane_.log.request(speaker(), number, command);
  }
  if (ReplyView reply; lane_.service.try_now(command, reply)) {
    return answer(number, reply, *output_);
  }
  lane_.service.gather(command, [this, number](const Reply& reply) { on_reply(number, reply); });
}

/// The answer of what is at the front has room whatever else is there: so all go on.
void Connection::submit_again(std::uint64_t number, Command& command, Session::Place place) {
  lane_.counters.reads_put_off.add();
  if (place == Session::Place::front) {
    lane_.service.gather(command, [this, number](const Reply& reply) {
      on_late_reply(number, reply, Room::reserved);
    });
  } else {
    lane_.service.gather(command, [this, number](const Reply& reply) {
      on_late_reply(number, reply, room_for(reply));
    });
  }
}

void Connection::malformed(std::size_t bytes) {
  ++requests_done_;
  lane_.counters.malformed.add();
  lane_.log.malformed(speaker(), bytes);
}

/// On whatever thread the service answers.
void Connection::on_reply(std::uint64_t number, const Reply& reply) {
  if (lane_.loop->is_here() && output_ != nullptr) {
    return answer(number, reply, *output_);
  }
  on_late_reply(number, reply, room_for(reply));
}

void Connection::on_late_reply(std::uint64_t number, const Reply& reply, Room room) {
  if (lane_.loop->is_here()) {
    return answer_late(number, room == Room::none ? Reply{} : reply, room);
  }
  if (room == Room::none) {
    return home_.late_.put({.connection = this, .number = number, .reply = {}, .room = room});
  }
  coming_.fetch_add(reply.value.size());
  home_.late_.put({.connection = this, .number = number, .reply = reply, .room = room});
}

/// On whatever thread. May see bytes on their way twice, never too few.
Connection::Room Connection::room_for(const Reply& reply) const {
  return reply.value.size() <= TcpLimits::short_value_bytes ||
                 coming_ + held_ < home_.limits_.output_bytes_max
             ? Room::some
             : Room::none;
}

void Connection::deliver(std::uint64_t number, const Reply& reply, Room room) {
  const std::size_t bytes = reply.value.size();
  answer_late(number, reply, room);
  coming_.fetch_sub(bytes);  // they are held now
}

void Connection::answer_late(std::uint64_t number, const Reply& reply, Room room) {
  if (room == Room::none || session_.overtakes(number)) {
    session_.put_off(number);
  } else {
    answer(number, reply, unsent_);
  }
  if (!socket_.open()) {
    unsent_.clear();  // nobody is left to read it
  }
  publish_held();
  if (socket_.open() || session_.unanswered() == 0) {
    lane_.loop->again(*this);
  }
}

void Connection::answer(std::uint64_t number, const ReplyView& reply, Bytes& out) {
  if (lane_.logs_requests) {
    const Session::Asked asked = session_.asked(number);
    lane_.log.answer(speaker(), number, asked.command, reply, asked.at);
  }
  session_.answer(number, reply, out);
}

// --- deadlines -----------------------------------------------------------------------------------

/// One at a time: a client that does not take its output is not asked for the rest of a request.
void Connection::set_deadline() {
  if (!unsent_.empty()) {
    wait_for(Wait::progress, progressed_);
  } else if (state_ == Session::State::hungry && session_.holds_input()) {
    wait_for(Wait::request, requests_done_ > 0);
  } else {
    wait_for(Wait::idle, true);
  }
}

void Connection::wait_for(Wait wait, bool anew) {
  if (anew || !waits_ || wait_ != wait) {
    waits_ = true;
    wait_ = wait;
    lane_.deadlines.start(*this, wait);
  }
}

void Connection::on_deadline(Wait wait) {
  if (wait == Wait::idle && !session_.quiet()) {
    return wait_for(Wait::idle, true);  // it waits for us
  }
  lane_.counters.timeouts[static_cast<std::size_t>(wait)].add();
  if (wait == Wait::farewell) {
    return end(ending());
  }
  end(std::string{"deadline_"}.append(name_of(wait)));
}

// --- questions -----------------------------------------------------------------------------------

bool Connection::backlogged() const {
  return unsent_.size() + session_.parked_bytes() >= home_.limits_.output_bytes_max;
}

void Connection::publish_held() {
  const std::size_t before = held_.load(std::memory_order_relaxed);
  const std::size_t now = unsent_.size() + session_.parked_bytes();
  if (now != before) [[unlikely]] {
    held_ = now;
    lane_.counters.answer_bytes_held.add(now);
    lane_.counters.answer_bytes_held.subtract(before);
  }
}

std::string_view Connection::ending() const {
  if (refused_) {
    return "refused";
  }
  switch (session_.ending()) {
    case Session::Ending::exit:
      return "exit";
    case Session::Ending::oversized:
      return "oversized";
    default:
      return draining_ ? "drained" : "client_closed";
  }
}

Speaker Connection::speaker() const {
  return {.address = peer_, .transport = "tcp", .connection = id_};
}

}  // namespace kv::sockets
