// A conversation: however its bytes are cut, whenever its owner pauses and in whatever order late
// answers come, the output is that of the same bytes read at once and answered at once; and the
// same whether gets and puts are submitted or go straight to a near store.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "common/core/check.h"
#include "common/core/random.h"
#include "phase1_sockets/session.h"

namespace kv::sockets {
namespace {

/// Answers with what was asked, so that every answer shows whose it is.
Reply reply_to(const Command& command) {
  const auto status = static_cast<Status>(command.key.size() % 3);
  return {.status = status, .value = status == Status::ok ? command.key : "", .why = {}};
}

struct Prompt {
  Session session;
  Session::Scratch scratch;
  Bytes out;

  Store* near_store() { return nullptr; }
  Session::Shortcut shortcut() { return {}; }
  void served(const Session::Served&) {}
  bool may_go_on() { return true; }
  void submit(std::uint64_t number, const Command& command) {
    session.answer(number, reply_to(command), out);
  }
  void malformed(std::size_t) {}
};

struct Late {
  explicit Late(std::uint64_t seed) : random(seed) {}

  Random random;
  Session session;
  Session::Scratch scratch;
  Bytes out;
  struct Owed {
    Reply reply;
    bool may_be_put_off;
  };
  std::map<std::uint64_t, Owed> owed;

  Store* near_store() { return nullptr; }
  Session::Shortcut shortcut() { return {}; }
  void served(const Session::Served&) {}
  bool may_go_on() { return !random.chance(0.1); }
  void submit(std::uint64_t number, const Command& command) {
    if (random.chance(0.3)) {
      session.answer(number, reply_to(command), out);
    } else {
      owed.emplace(number, Owed{reply_to(command), command.verb == Verb::get});
    }
  }
  void submit_again(std::uint64_t number, const Command& command, Session::Place place) {
    owed.emplace(number, Owed{reply_to(command), place != Session::Place::front});
  }
  void malformed(std::size_t) {}

  /// Or puts it off, as if there were no room.
  void answer_one() {
    session.ask_again(random.below(100), *this);
    if (owed.empty()) {
      return;
    }
    auto next = owed.begin();
    std::advance(next, static_cast<std::ptrdiff_t>(random.below(owed.size())));
    const auto [number, one] = *next;
    owed.erase(next);
    if (session.overtakes(number) || (one.may_be_put_off && random.chance(0.3))) {
      session.put_off(number);
    } else {
      session.answer(number, one.reply, out);
    }
  }

  /// Until the session is hungry, or done.
  void feed(ByteView bytes) {
    Session::State state = session.feed(bytes, Instant{}, scratch, out, *this);
    while (state == Session::State::paused || state == Session::State::full) {
      answer_one();
      state = session.feed({}, Instant{}, scratch, out, *this);
    }
  }
};

/// A store behind it, near or not.
struct Shop {
  explicit Shop(std::uint64_t seed) : random(seed) {}

  Random random;
  Store store;
  bool near = false;
  std::size_t let_through = 0;
  Session session;
  Session::Scratch scratch;
  Bytes out;

  Store* near_store() { return near ? &store : nullptr; }
  Session::Shortcut shortcut() {
    let_through = 1 + random.below(5);
    return {.open = near && !random.chance(0.2),
            .requests_more = let_through - 1,
            .answer_bytes = out.size() + random.below(100)};
  }
  void served(const Session::Served& served) { check(served.gets + served.puts <= let_through); }
  bool may_go_on() { return true; }
  void submit(std::uint64_t number, const Command& command) {
    session.answer(number, store.apply(command), out);
  }
  void malformed(std::size_t) {}

  void feed_in_pieces(ByteView stream) {
    while (!stream.empty()) {
      const ByteView piece = stream.substr(0, 1 + random.below(200));
      stream.remove_prefix(piece.size());
      session.feed(piece, Instant{}, scratch, out, *this);
    }
    session.end_input();
    check(session.feed({}, Instant{}, scratch, out, *this) == Session::State::finished);
  }
};

/// The shortcut shows in nothing.
void run_near(ByteView stream, std::uint64_t seed) {
  Shop far{seed};
  far.feed_in_pieces(stream);
  Shop near{seed};
  near.near = true;
  near.feed_in_pieces(stream);
  check(near.out == far.out && near.store.size() == far.store.size());
}

void run(ByteView stream, std::uint64_t seed) {
  Prompt prompt;
  prompt.session.feed(stream, Instant{}, prompt.scratch, prompt.out, prompt);
  prompt.session.end_input();
  check(prompt.session.feed({}, Instant{}, prompt.scratch, prompt.out, prompt) ==
        Session::State::finished);
  check(prompt.session.quiet() && !prompt.session.holds_input());

  Late late{seed};
  while (!stream.empty()) {
    const ByteView piece = stream.substr(0, 1 + late.random.below(40));
    stream.remove_prefix(piece.size());
    late.feed(piece);
  }
  late.session.end_input();
  late.feed({});
  check(late.session.unanswered() == late.owed.size());
  while (!late.session.quiet()) {
    late.answer_one();
  }
  check(late.session.quiet() && late.session.ending() == prompt.session.ending());
  check(late.out == prompt.out);
}

}  // namespace
}  // namespace kv::sockets

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size > 0) {
    const kv::ByteView stream{reinterpret_cast<const char*>(bytes) + 1, size - 1};
    kv::sockets::run(stream, bytes[0]);
    kv::sockets::run_near(stream, bytes[0]);
  }
  return 0;
}
