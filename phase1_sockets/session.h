// One client's conversation without its socket: bytes in, numbered Commands out; replies in, in
// any order, bytes out in the order of the requests.
//
// The first byte of a conversation decides its dialect. A reply that comes while its request is
// being submitted, with none before it outstanding, is formatted straight into the output: no
// queue, no copy of the command. Only requests that wait are kept. A session that holds no partial
// request and waits for nothing owns no memory but itself.
//
// Most requests are plain gets and puts (common/wire/line_ahead.h). Where the store is near and
// nobody wants to see them one by one, a run of them takes a shortcut: from the bytes that were
// read to the store, and from there to the output.
//
// How long the answer to a read will be is not known when it is submitted. So the owner may put it
// off when it comes and there is no room for it: its bytes are dropped, and it is asked again once
// there is. Only reads are ever under way beside a read, so asking twice changes nothing; and they
// are asked again in their order, all from the first one on, so that none goes back in time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "common/kv/store.h"
#include "common/wire/legacy.h"
#include "common/wire/line.h"
#include "common/wire/line_ahead.h"
#include "phase1_sockets/open_batch.h"

namespace kv::sockets {

/// Gives back the memory too: assigning an empty string would keep it.
inline void free_bytes(Bytes& bytes) {
  Bytes{}.swap(bytes);
}

class Session {
 public:
  /// Requests that may wait for their answers at once; no more are read until some are answered.
  static constexpr std::size_t in_flight_max = 256;
  /// Fewer reads wait at once, though never fewer than this, if the answers, were all as long as
  /// the longest of late, would be more bytes than are wanted.
  static constexpr std::size_t in_flight_least = 2;
  /// So many reads wait at once while nothing is known of their answers; each that turns out to be
  /// short makes it one more, so with every round they are twice as many.
  static constexpr std::size_t in_flight_first = 16;

  enum class State : std::uint8_t {
    hungry,    // every whole request is submitted; more bytes are welcome
    paused,    // the owner did not want to go on; feed() again, with or without bytes
    full,      // as many requests wait as may, or the next must not overtake them; feed() again
               // after an answer
    finished,  // no more will be read: close once quiet() and the output is sent
  };
  enum class Ending : std::uint8_t { none, exit, oversized, input_ended };

  /// Room to read requests in; may be shared by all sessions of a thread.
  struct Scratch {
    wire::LineRequest request;
    wire::LinesAhead ahead;
    std::array<HashedKey, wire::LinesAhead::lines_max> keys;  // of `ahead`, in the near store
  };

  /// How far gets and puts may go to the near store and be answered from there, past submit().
  struct Shortcut {
    bool open = false;
    std::size_t requests_more = 0;  // beside the one that may_go_on() let through
    std::size_t answer_bytes = 0;   // in `out`: the next waits until some of them have left
  };
  struct Served {
    std::size_t gets = 0;
    std::size_t puts = 0;
  };

  explicit Session(std::size_t answer_bytes_wanted = 1024 * 1024)
      : answer_bytes_wanted_(answer_bytes_wanted) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Reads what `bytes` adds to the conversation. Calls, for each request in its order,
  ///   owner.may_go_on() -> bool              before it is read; false pauses
  ///   owner.submit(number, Command&)         then answer(number, …) follows, at once or later
  ///   owner.malformed(bytes)                 it is answered already, with ERROR
  /// and before that, of requests that came together,
  ///   owner.near_store() -> Store*           what they need is fetched from there; may be null
  ///   owner.shortcut() -> Shortcut           open only if there is a near store
  ///   owner.served(Served)                   so many took it, and are answered
  /// Answers go to the end of `out`.
  template <typename Owner>
  State feed(ByteView bytes, Instant now, Scratch& scratch, Bytes& out, Owner& owner);

  /// No more bytes will come: what is whole is still read by the next feed(), what is cut off is
  /// malformed, and then the session is finished.
  void end_input() { input_ended_ = true; }
  /// As if no more bytes came, but what is cut off goes without an answer.
  void close_input();

  /// Answers the request of this number, once; appends to `out` every answer whose turn it is.
  void answer(std::uint64_t number, const ReplyView& reply, Bytes& out) {
    if (submitting_ != nullptr && number == next_number_ && quiet()) [[likely]] {
      const Command& command = *submitting_;
      submitting_ = nullptr;
      ++next_number_;
      return append_answer(out, command, reply);
    }
    answer_in_turn(number, reply, out);
  }

  /// Instead of answer(), for a get that did not answer during its submit: it stays as if it had
  /// not been submitted yet, and with it all gets after it, whatever was answered.
  void put_off(std::uint64_t number);
  /// Whether a get before it was put off: then so must this one be.
  bool overtakes(std::uint64_t number) const;
  enum class Place : bool { front, behind };
  /// Submits what was put off once all other answers are there: the first, and behind it as many
  /// as are likely to have answers of no more than `room` bytes together. Calls for each
  ///   owner.submit_again(number, Command&, Place)  then answer(number, …) or put_off(number)
  /// Whoever takes the answer of what is at the front comes to an end, however long each is.
  template <typename Owner>
  void ask_again(std::size_t room, Owner& owner);

  struct Asked {
    const Command& command;  // complete inside submit(); later only what its answer needs
    Instant at;              // the `now` of its feed()
  };
  /// A request that is submitted and not yet answered.
  Asked asked(std::uint64_t number) const;

  /// Nothing waits for an answer, and no answer waits for its turn.
  bool quiet() const { return waiting_begin_ == waiting_.size(); }
  /// Submitted requests whose answer() is still to come.
  std::size_t unanswered() const { return unanswered_; }
  /// Answers that wait for their turn.
  std::size_t parked_bytes() const { return parked_bytes_; }
  /// Bytes are held that do not make a whole request yet, or were not read yet.
  bool holds_input() const { return held_begin_ < held_.size(); }
  Ending ending() const { return ending_; }

 private:
  enum class Dialect : std::uint8_t { undecided, line, legacy };
  enum class Cut : std::uint8_t { whole, partial, broken };

  struct Waiting {
    enum class State : std::uint8_t { asked, answered, put_off };

    Command command;  // origin and verb; a get's key; in the legacy dialect key and value too
    Instant at{};
    Bytes answer;  // formatted, but it is not its turn yet
    State state = State::asked;
    bool may_be_put_off = false;  // a get that was not answered at once
  };

  template <typename Owner>
  bool read_some(Instant now, Scratch& scratch, Bytes& out, Owner& owner, State& state);
  template <typename Owner>
  bool read_one(Instant now, Scratch& scratch, Bytes& out, Owner& owner, State& state);
  void look_ahead(Scratch& scratch, Store* near);
  bool plain_is_next(const wire::LinesAhead& ahead) const {
    return !ahead.empty() && ahead.front().kind != wire::LineAhead::Kind::other && quiet() &&
           batch_ == nullptr;
  }
  Served serve_plain(Store& store, const Shortcut& shortcut, Scratch& scratch, Bytes& out);
  void take(ByteView bytes);
  void keep_rest();
  Cut read_line_ahead(wire::LinesAhead& ahead, ByteView& text, wire::LineRequest& scratch);
  Cut read_other(ByteView& text, wire::LineRequest& scratch);
  Cut cut_short_line(ByteView& text);
  void refuse_cut(wire::LineRequest& scratch) const;
  void refuse(const wire::LineRequest& request, Bytes& out);
  void answer_at_once(Bytes&& answer, Bytes& out);
  /// A client that pipelines reads what it has written: a read waits until this conversation's
  /// changes before it are answered, and a change until its reads are. Reads do not wait for reads,
  /// nor changes for changes.
  bool must_wait(const wire::LineRequest& request) const {
    using Kind = wire::LineRequest::Kind;
    if (unanswered_ + put_off_ == 0 ||
        (request.kind != Kind::command && request.kind != Kind::exec)) {
      return false;
    }
    const Verb verb = request.kind == Kind::exec ? Verb::batch : request.command.verb;
    return verb != Verb::ping && changes_something(verb) != changing_;
  }
  void put_back(ByteView unread) {
    unread_ = unread;
    scanned_ = 0;
  }
  enum class Turn : std::uint8_t { submit, answered, refused };
  /// What becomes of a request of a batch, or while one is open: it is answered here, or `request`
  /// is to be submitted.
  Turn take_part(wire::LineRequest& request, Bytes& out);
  Turn begin_or_end_batch(wire::LineRequest& request, Bytes& out);
  void finish(Ending ending) {
    ending_ = ending;
    unread_ = {};
  }
  void park(const Command& command, Instant now);
  void answer_in_turn(std::uint64_t number, const ReplyView& reply, Bytes& out);
  void release_answered(Bytes& out);
  void note_length(std::size_t answer_bytes);
  void drop_answers_from(std::size_t place);
  void append_answer(Bytes& out, const Command& command, const ReplyView& reply) const {
    if (dialect_ == Dialect::line) [[likely]] {
      return wire::append_line_answer(out, command.origin, command.verb, reply);
    }
    append_legacy_answer(out, command, reply);
  }
  static void append_legacy_answer(Bytes& out, const Command& command, const ReplyView& reply);
  std::size_t waiting() const { return waiting_.size() - waiting_begin_; }
  std::size_t place_of(std::uint64_t number) const;

  Bytes held_;  // input kept from earlier feeds, from held_begin_ on
  std::size_t held_begin_ = 0;
  ByteView unread_;          // during a feed(): of held_ or of the bytes given
  std::size_t scanned_ = 0;  // bytes of the unread that are known to hold no line end

  std::unique_ptr<OpenBatch> batch_;  // between MULTI and EXEC

  std::vector<Waiting> waiting_;  // consecutive numbers, the last is next_number_ - 1
  std::size_t waiting_begin_ = 0;
  std::size_t unanswered_ = 0;
  std::size_t put_off_ = 0;       // of waiting_, so many are to be asked again
  std::size_t parked_bytes_ = 0;  // of waiting_[…].answer
  std::size_t longest_ = 0;       // answer to a get of late
  std::size_t reads_most_ = in_flight_first;
  const std::size_t answer_bytes_wanted_;
  bool changing_ = false;  // what is unanswered are changes, and not reads
  std::uint64_t next_number_ = 1;
  const Command* submitting_ = nullptr;  // the command of next_number_, while submit() runs
  Instant submitted_at_{};

  Dialect dialect_ = Dialect::undecided;
  Ending ending_ = Ending::none;
  bool input_ended_ = false;
};

template <typename Owner>
Session::State Session::feed(ByteView bytes, Instant now, Scratch& scratch, Bytes& out,
                             Owner& owner) {
  take(bytes);
  State state = State::hungry;
  scratch.ahead.next = 0;
  scratch.ahead.count = 0;
  while (read_some(now, scratch, out, owner, state)) {
  }
  keep_rest();
  return state;
}

/// False, with the state to end in, when there is nothing to read now.
template <typename Owner>
bool Session::read_some(Instant now, Scratch& scratch, Bytes& out, Owner& owner, State& state) {
  if (ending_ == Ending::none && unread_.empty() && input_ended_) {
    finish(Ending::input_ended);
  }
  if (ending_ != Ending::none) {
    state = State::finished;
    return false;
  }
  if (unread_.empty()) {
    state = State::hungry;
    return false;
  }
  // What a change is answered is short, and reads and changes never wait together.
  if (waiting() >= (changing_ ? in_flight_max : reads_most_) || put_off_ > 0) {
    state = State::full;
    return false;
  }
  if (!owner.may_go_on()) {
    state = State::paused;
    return false;
  }
  if (scratch.ahead.empty()) {
    look_ahead(scratch, owner.near_store());
  }
  if (plain_is_next(scratch.ahead)) {
    if (const Shortcut shortcut = owner.shortcut(); shortcut.open) {
      owner.served(serve_plain(*owner.near_store(), shortcut, scratch, out));
      return true;
    }
  }
  return read_one(now, scratch, out, owner, state);
}

template <typename Owner>
bool Session::read_one(Instant now, Scratch& room, Bytes& out, Owner& owner, State& state) {
  wire::LineRequest& scratch = room.request;
  const ByteView unread_before = unread_;
  ByteView text;
  const Cut cut =
      room.ahead.empty() ? read_other(text, scratch) : read_line_ahead(room.ahead, text, scratch);
  if (cut == Cut::partial) {
    state = State::hungry;
    return false;
  }
  if (scratch.kind == wire::LineRequest::Kind::exit) {
    finish(Ending::exit);
    return true;
  }
  if (must_wait(scratch)) {
    put_back(unread_before);
    state = State::full;
    return false;
  }
  const bool plain = scratch.kind == wire::LineRequest::Kind::command && batch_ == nullptr;
  switch (plain ? Turn::submit : take_part(scratch, out)) {
    [[likely]] case Turn::submit : submitting_ = &scratch.command;
    submitted_at_ = now;
    owner.submit(next_number_, scratch.command);
    if (submitting_ != nullptr) {
      park(scratch.command, now);
    }
    if (!plain) {
      scratch.command = {};  // a batch may be large, and this is kept
    }
    break;
    case Turn::answered:
      break;
    case Turn::refused:
      refuse(scratch, out);
      owner.malformed(text.size());
      break;
  }
  return true;
}

template <typename Owner>
void Session::ask_again(std::size_t room, Owner& owner) {
  if (put_off_ == 0 || unanswered_ > 0) [[likely]] {
    return;
  }
  // Whatever was answered before the first of them has left: it is at the front.
  const std::uint64_t front = next_number_ - waiting();
  const std::size_t likely = room / std::max<std::size_t>(longest_, 1);
  const std::uint64_t end = front + std::clamp<std::size_t>(likely, 1, waiting());
  for (std::uint64_t number = front; number < end; ++number) {
    Waiting& waiting = waiting_[waiting_.size() - static_cast<std::size_t>(next_number_ - number)];
    if (waiting.state == Waiting::State::put_off) {
      waiting.state = Waiting::State::asked;
      --put_off_;
      ++unanswered_;
      Command command = waiting.command;  // for the answer may come at once, and end the other
      owner.submit_again(number, command, number == front ? Place::front : Place::behind);
    }
  }
}

}  // namespace kv::sockets
