// A conversation: however its bytes are cut, whenever its owner pauses and in whatever order late
// answers come, the output is that of the same bytes read at once and answered at once.
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
  wire::LineScratch scratch;
  Bytes out;

  void expect(std::span<const ByteView>) {}
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
  wire::LineScratch scratch;
  Bytes out;
  struct Owed {
    Reply reply;
    bool may_be_put_off;
  };
  std::map<std::uint64_t, Owed> owed;

  void expect(std::span<const ByteView>) {}
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
    kv::sockets::run({reinterpret_cast<const char*>(bytes) + 1, size - 1}, bytes[0]);
  }
  return 0;
}
