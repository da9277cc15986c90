#include "phase1_sockets/session.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/core/check.h"
#include "common/wire/line_answers.h"

namespace kv::sockets {

void Session::take(ByteView bytes) {
  if (!holds_input()) {
    unread_ = bytes;
    return;
  }
  if (!bytes.empty()) {
    held_.erase(0, held_begin_);
    held_begin_ = 0;
    held_.append(bytes);
  }
  unread_ = ByteView{held_}.substr(held_begin_);
}

/// The rest outlives the caller's bytes; without a rest nothing is held, not even capacity.
void Session::keep_rest() {
  if (unread_.empty()) {
    if (!held_.empty()) {
      free_bytes(held_);
    }
    held_begin_ = 0;
    scanned_ = 0;
  } else if (holds_input()) {
    held_begin_ = held_.size() - unread_.size();
  } else {
    held_.assign(unread_);
    held_begin_ = 0;
  }
  unread_ = {};
}

void Session::close_input() {
  free_bytes(held_);
  held_begin_ = 0;
  if (ending_ == Ending::none) {
    finish(Ending::input_ended);
  }
}

/// What comes next is known to the store before it is its turn, so that the memory it needs is on
/// its way meanwhile.
void Session::look_ahead(Scratch& scratch, Store* near) {
  if (dialect_ == Dialect::undecided) [[unlikely]] {
    const auto first = static_cast<unsigned char>(unread_.front());
    dialect_ = first < wire::legacy_first_byte_end ? Dialect::legacy : Dialect::line;
  }
  if (dialect_ != Dialect::line) [[unlikely]] {
    return;
  }
  wire::LinesAhead& ahead = scratch.ahead;
  wire::look_ahead(unread_, scanned_, ahead);
  if (near != nullptr) {
    for (std::size_t i = 0; i < ahead.count; ++i) {
      scratch.keys[i].key = ahead.lines[i].key;
    }
    near->expect({scratch.keys.data(), ahead.count});
  }
}

/// The plain lines at the front, or as many as may be served now; at least one.
Session::Served Session::serve_plain(Store& store, const Shortcut& shortcut, Scratch& scratch,
                                     Bytes& out) {
  using Kind = wire::LineAhead::Kind;
  wire::LinesAhead& ahead = scratch.ahead;
  std::size_t next = ahead.next;
  const std::size_t last = next + std::min(ahead.count - next - 1, shortcut.requests_more);
  wire::LineAnswers answers{out};
  Served served;
  std::size_t bytes = 0;
  do {
    const wire::LineAhead& line = ahead.lines[next];
    if (line.kind == Kind::put) {
      store.put(scratch.keys[next], line.value);
      answers.add_ok();
      ++served.puts;
    } else if (const std::optional<ByteView> value = store.get(scratch.keys[next])) {
      answers.add_value(*value);
      ++served.gets;
    } else {
      answers.add_not_found();
      ++served.gets;
    }
    bytes += line.bytes;
    ++next;
  } while (next <= last && ahead.lines[next].kind != Kind::other &&
           answers.bytes() < shortcut.answer_bytes);
  ahead.next = next;
  next_number_ += served.gets + served.puts;
  unread_.remove_prefix(bytes);
  scanned_ = 0;
  return served;
}

/// A line that was seen ahead, without its LF or CRLF. When it is too long, the session finishes.
Session::Cut Session::read_line_ahead(wire::LinesAhead& ahead, ByteView& text,
                                      wire::LineRequest& scratch) {
  const wire::LineAhead& line = ahead.front();
  text = unread_.substr(0, line.bytes - 1);
  if (text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  if (text.size() > wire::line_bytes_max) [[unlikely]] {
    finish(Ending::oversized);
    refuse_cut(scratch);
    return Cut::broken;
  }
  unread_.remove_prefix(line.bytes);
  scanned_ = 0;
  ++ahead.next;
  wire::parse_line_ahead(text, line, scratch);
  return Cut::whole;
}

/// What is no whole line: a frame of the legacy dialect, or a piece.
Session::Cut Session::read_other(ByteView& text, wire::LineRequest& scratch) {
  Cut cut = Cut::partial;
  if (dialect_ == Dialect::line) {
    cut = cut_short_line(text);
  } else if (wire::take_legacy_frame(unread_, text)) {
    wire::parse_legacy(text, scratch);
    return Cut::whole;
  } else if (input_ended_) {
    text = unread_;
    finish(Ending::input_ended);
    cut = Cut::broken;
  }
  if (cut == Cut::broken) {
    refuse_cut(scratch);
  }
  return cut;
}

/// Waits for the rest. At the end of the input, and when a line grows too long, takes all there is
/// and finishes.
Session::Cut Session::cut_short_line(ByteView& text) {
  text = unread_;
  if (text.size() - (text.ends_with('\r') ? 1 : 0) > wire::line_bytes_max) {
    finish(Ending::oversized);
    return Cut::broken;
  }
  if (input_ended_) {
    finish(Ending::input_ended);
    return Cut::broken;
  }
  scanned_ = text.size();
  return Cut::partial;
}

void Session::refuse_cut(wire::LineRequest& scratch) const {
  scratch.kind = wire::LineRequest::Kind::malformed;
  scratch.command.origin = {};
  scratch.why = ending_ == Ending::oversized ? "the line is too long" : "the line has no end";
}

void Session::refuse(const wire::LineRequest& request, Bytes& out) {
  Bytes answer;
  if (dialect_ == Dialect::legacy) {
    wire::append_legacy_frame(answer, wire::legacy_malformed_answer);
  } else {
    wire::append_line_answer(answer, request.command.origin, Verb::get,
                             {.status = Status::bad_request, .why = request.why});
  }
  answer_at_once(std::move(answer), out);
}

/// What needs no service, in its turn.
void Session::answer_at_once(Bytes&& answer, Bytes& out) {
  if (quiet()) {
    out += answer;
  } else {
    parked_bytes_ += answer.size();
    waiting_.push_back(
        {.command = {}, .at = {}, .answer = std::move(answer), .state = Waiting::State::answered});
  }
  ++next_number_;
}

Session::Turn Session::take_part(wire::LineRequest& request, Bytes& out) {
  using Kind = wire::LineRequest::Kind;
  const Kind kind = request.kind;
  if (kind == Kind::multi || kind == Kind::exec || kind == Kind::discard) {
    return begin_or_end_batch(request, out);
  }
  if (kind == Kind::command && request.command.verb == Verb::ping) {
    return Turn::submit;
  }
  if (batch_ == nullptr) {
    if (kind != Kind::malformed) {
      request.why = "IF and IFNOT stand between MULTI and EXEC";
    }
    return Turn::refused;
  }
  const std::string_view why = kind == Kind::malformed ? request.why : batch_->add(request);
  if (!why.empty()) {
    request.why = why;
    batch_->spoil();
    return Turn::refused;
  }
  Bytes answer;
  wire::append_line_queued(answer, request.command.origin);
  answer_at_once(std::move(answer), out);
  return Turn::answered;
}

Session::Turn Session::begin_or_end_batch(wire::LineRequest& request, Bytes& out) {
  using Kind = wire::LineRequest::Kind;
  if ((request.kind == Kind::multi) == (batch_ != nullptr)) {
    request.why = batch_ != nullptr ? "a batch is open: EXEC or DISCARD ends it"
                                    : "no batch is open: MULTI begins one";
    if (batch_ != nullptr) {
      batch_->spoil();
    }
    return Turn::refused;
  }
  if (request.kind == Kind::exec) {
    request.why = batch_->take(request.command);
    batch_.reset();
    return request.why.empty() ? Turn::submit : Turn::refused;
  }
  batch_ = request.kind == Kind::multi ? std::make_unique<OpenBatch>() : nullptr;
  Bytes answer;
  wire::append_line_answer(answer, request.command.origin, Verb::ping, {});
  answer_at_once(std::move(answer), out);
  return Turn::answered;
}

void Session::park(const Command& command, Instant now) {
  Waiting& waiting = waiting_.emplace_back();
  waiting.command.verb = command.verb;
  waiting.command.origin = command.origin;
  waiting.may_be_put_off = command.verb == Verb::get;
  if (dialect_ == Dialect::legacy || waiting.may_be_put_off) {
    waiting.command.key = command.key;
    waiting.command.value = command.value;
  }
  waiting.at = now;
  submitting_ = nullptr;
  changing_ = command.verb == Verb::ping ? changing_ : changes_something(command.verb);
  ++unanswered_;
  ++next_number_;
}

/// Something else waits, or this request did.
void Session::answer_in_turn(std::uint64_t number, const ReplyView& reply, Bytes& out) {
  if (submitting_ != nullptr && number == next_number_) {
    Waiting& waiting = waiting_.emplace_back();
    waiting.state = Waiting::State::answered;
    append_answer(waiting.answer, *submitting_, reply);
    parked_bytes_ += waiting.answer.size();
    submitting_ = nullptr;
    ++next_number_;
    return;
  }
  const std::size_t place = place_of(number);
  Waiting& waiting = waiting_[place];
  waiting.state = Waiting::State::answered;
  --unanswered_;
  if (waiting.may_be_put_off) {
    note_length(reply.value.size());
  }
  if (place != waiting_begin_) {
    append_answer(waiting.answer, waiting.command, reply);
    parked_bytes_ += waiting.answer.size();
    return;
  }
  append_answer(out, waiting.command, reply);
  ++waiting_begin_;
  release_answered(out);
}

void Session::release_answered(Bytes& out) {
  while (!quiet() && waiting_[waiting_begin_].state == Waiting::State::answered) {
    Bytes& answer = waiting_[waiting_begin_].answer;
    out += answer;
    parked_bytes_ -= answer.size();
    free_bytes(answer);
    ++waiting_begin_;
  }
  if (quiet()) {
    waiting_ = std::vector<Waiting>{};
    waiting_begin_ = 0;
  } else if (waiting_begin_ >= in_flight_max) {
    waiting_.erase(waiting_.begin(),
                   waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_begin_));
    waiting_begin_ = 0;
  }
}

/// One long answer counts for a while, since where one is there are others.
void Session::note_length(std::size_t answer_bytes) {
  constexpr std::size_t fade = 32;
  longest_ = std::max(answer_bytes, longest_ - longest_ / fade);
  const std::size_t room = answer_bytes_wanted_ / std::max<std::size_t>(longest_, 1);
  reads_most_ = std::min(reads_most_ + 1, std::clamp(room, in_flight_least, in_flight_max));
}

void Session::put_off(std::uint64_t number) {
  const std::size_t place = place_of(number);
  check(waiting_[place].may_be_put_off);
  waiting_[place].state = Waiting::State::put_off;
  --unanswered_;
  ++put_off_;
  drop_answers_from(place);
}

void Session::drop_answers_from(std::size_t place) {
  for (; place < waiting_.size(); ++place) {
    Waiting& waiting = waiting_[place];
    if (waiting.may_be_put_off && waiting.state == Waiting::State::answered) {
      parked_bytes_ -= waiting.answer.size();
      free_bytes(waiting.answer);
      waiting.state = Waiting::State::put_off;
      ++put_off_;
    }
  }
}

bool Session::overtakes(std::uint64_t number) const {
  const std::size_t place = place_of(number);
  return put_off_ > 0 && waiting_[place].may_be_put_off &&
         std::any_of(waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_begin_),
                     waiting_.begin() + static_cast<std::ptrdiff_t>(place),
                     [](const Waiting& before) { return before.state == Waiting::State::put_off; });
}

Session::Asked Session::asked(std::uint64_t number) const {
  if (submitting_ != nullptr && number == next_number_) [[likely]] {
    return {.command = *submitting_, .at = submitted_at_};
  }
  const Waiting& waiting = waiting_[place_of(number)];
  return {.command = waiting.command, .at = waiting.at};
}

std::size_t Session::place_of(std::uint64_t number) const {
  check(number < next_number_ && number + waiting() >= next_number_);
  const std::size_t place = waiting_.size() - static_cast<std::size_t>(next_number_ - number);
  check(waiting_[place].state == Waiting::State::asked);
  return place;
}

void Session::append_legacy_answer(Bytes& out, const Command& command, const ReplyView& reply) {
  Bytes text;
  wire::append_legacy_answer(text, command, reply);
  wire::append_legacy_frame(out, text);
}

}  // namespace kv::sockets
