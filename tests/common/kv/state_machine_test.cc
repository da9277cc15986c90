#include "common/kv/state_machine.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/kv/replica.h"

namespace kv {
namespace {

using namespace std::chrono_literals;

constexpr LogTime at(Duration since) {
  return LogTime{since};
}

Entry put(Origin origin, std::string key, std::string value, LogTime time = at(1s)) {
  return {.command = {.verb = Verb::put,
                      .origin = std::move(origin),
                      .key = std::move(key),
                      .value = std::move(value)},
          .time = time};
}

Entry erase(Origin origin, std::string key, LogTime time = at(1s)) {
  return {.command = {.verb = Verb::erase, .origin = std::move(origin), .key = std::move(key)},
          .time = time};
}

Reply applied(StateMachine& machine, const Entry& entry) {
  Reply reply{.status = Status::aborted, .value = "old", .why = "old"};
  machine.apply(entry, reply);
  return reply;
}

Status outcome(StateMachine& machine, const Entry& entry) {
  return applied(machine, entry).status;
}

Reply read(StateMachine& machine, const std::string& key) {
  Reply reply;
  machine.read({.verb = Verb::get, .key = key}, reply);
  return reply;
}

std::vector<Bytes> rest_of_snapshot(StateMachine& machine) {
  std::vector<Bytes> pieces;
  for (Bytes piece = machine.next_snapshot_piece(); !piece.empty();
       piece = machine.next_snapshot_piece()) {
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

std::vector<Bytes> snapshot_of(StateMachine& machine) {
  machine.begin_snapshot();
  return rest_of_snapshot(machine);
}

StateMachine::Restored restore(StateMachine& machine, const std::vector<Bytes>& pieces) {
  auto result = StateMachine::Restored::more;
  for (const Bytes& piece : pieces) {
    result = machine.restore(piece);
    if (result == StateMachine::Restored::damaged) {
      break;
    }
  }
  return result;
}

/// So narrow that a short history meets every bound.
constexpr SessionBounds narrow{.idle_max = 60s,
                               .sessions_max = 12,
                               .session_replies_max = 16,
                               .replies_max = 60,
                               .forgotten_max = 40};

/// Clients that repeat, reorder, fall idle and come back.
class History {
 public:
  explicit History(std::uint64_t seed) : random_{seed} {}

  Entry next() {
    time_ += Duration{
        static_cast<Duration::rep>(random_.below(random_.chance(0.01) ? 90'000'000 : 200'000))};
    if (!sent_.empty() && random_.chance(0.3)) {
      Entry again =
          sent_[sent_.size() - 1 - random_.below(std::min<std::size_t>(sent_.size(), 50))];
      again.time = at(time_);
      return again;
    }
    sent_.push_back({.command = command(), .time = at(time_ - Duration{random_.below(5)})});
    return sent_.back();
  }

 private:
  Command command() {
    Command command;
    command.verb = static_cast<Verb>(random_.below(6));
    command.key = std::to_string(random_.below(50));
    command.value = std::to_string(random_.below(4));
    command.expected = std::to_string(random_.below(4));
    command.guards = {{.key = command.key, .value = command.value}};
    command.writes = {{.key = std::to_string(random_.below(50)), .value = command.value}};
    if (random_.chance(0.02)) {
      command.key.clear();  // refused by the store, and that is remembered too
    }
    const std::uint64_t client = random_.below(15);
    if (random_.chance(0.1)) {
      command.origin.client = "single." + std::to_string(random_.below(100));
    } else if (!random_.chance(0.1)) {
      std::uint64_t& next = next_[client];
      command.origin = {.client = "c" + std::to_string(client),
                        .sequence = ++next + random_.below(3),
                        .first_outstanding = random_.chance(0.5) ? next / 2 : 0};
      next = command.origin.sequence;
    }
    return command;
  }

  Random random_;
  Duration time_{0};
  std::vector<Entry> sent_;
  std::map<std::uint64_t, std::uint64_t> next_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(kv_state_machine)

BOOST_AUTO_TEST_CASE(a_repeat_gets_the_first_reply_and_is_not_executed) {
  StateMachine machine;
  const Entry erase_once = erase({.client = "c", .sequence = 2}, "k");
  applied(machine, put({.client = "c", .sequence = 1}, "k", "1"));
  BOOST_TEST((outcome(machine, erase_once) == Status::ok));
  BOOST_TEST((outcome(machine, put({.client = "d", .sequence = 1}, "k", "2")) == Status::ok));
  BOOST_TEST((applied(machine, erase_once) == Reply{}));
  BOOST_TEST(read(machine, "k").value == "2");
}

BOOST_AUTO_TEST_CASE(every_kind_of_outcome_is_repeated) {
  StateMachine machine;
  const Entry missing = erase({.client = "c", .sequence = 1}, "k");
  const Entry conflict{.command = {.verb = Verb::compare_and_set,
                                   .origin = {.client = "c", .sequence = 2},
                                   .key = "held",
                                   .value = "x",
                                   .expected = "y"}};
  const Entry refused = put({.client = "c", .sequence = 3}, "", "v");
  const std::vector<std::pair<Entry, Status>> all = {
      {missing, Status::not_found}, {conflict, Status::conflict}, {refused, Status::bad_request}};
  for (const auto& [entry, status] : all) {
    applied(machine, erase({}, "k"));
    applied(machine, put({}, "held", "1"));
    const Reply first = applied(machine, entry);
    BOOST_TEST((first.status == status));
    applied(machine, put({}, "k", "1"));
    applied(machine, put({}, "held", "y"));
    BOOST_TEST((applied(machine, entry) == first));
  }
}

BOOST_AUTO_TEST_CASE(an_entry_without_a_client_is_executed_as_often_as_it_comes) {
  StateMachine machine;
  applied(machine, put({}, "k", "1"));
  BOOST_TEST((outcome(machine, erase({}, "k")) == Status::ok));
  BOOST_TEST((outcome(machine, erase({}, "k")) == Status::not_found));
  BOOST_TEST(machine.sessions().size() == 0U);
}

BOOST_AUTO_TEST_CASE(an_operation_without_siblings_is_executed_once) {
  StateMachine machine;
  const Entry once = erase({.client = "one.x"}, "k");
  BOOST_TEST((outcome(machine, once) == Status::not_found));
  applied(machine, put({}, "k", "1"));
  BOOST_TEST((outcome(machine, once) == Status::not_found));
  BOOST_TEST((outcome(machine, erase({.client = "one.y"}, "k")) == Status::ok));
}

BOOST_AUTO_TEST_CASE(sequences_may_come_in_any_order) {
  StateMachine machine;
  for (const std::uint64_t sequence : {12U, 10U, 11U, 14U, 13U}) {
    applied(machine, put({}, "k", "1"));
    BOOST_TEST((outcome(machine, erase({.client = "c", .sequence = sequence}, "k")) == Status::ok));
    BOOST_TEST((outcome(machine, erase({.client = "c", .sequence = sequence}, "k")) == Status::ok));
    BOOST_TEST((read(machine, "k").status == Status::not_found));
  }
}

BOOST_AUTO_TEST_CASE(what_the_client_has_received_is_forgotten_and_refused_after) {
  StateMachine machine;
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence) {
    applied(machine, put({.client = "c", .sequence = sequence}, "k", "1"));
  }
  BOOST_TEST(machine.sessions().replies() == 5U);
  applied(machine, put({.client = "c", .sequence = 6, .first_outstanding = 5}, "k", "2"));
  BOOST_TEST(machine.sessions().replies() == 2U);
  const Reply late = applied(machine, put({.client = "c", .sequence = 4}, "k", "1"));
  BOOST_TEST((late.status == Status::unknown));
  BOOST_TEST(!late.why.empty());
  BOOST_TEST(read(machine, "k").value == "2");
}

BOOST_AUTO_TEST_CASE(an_id_used_for_another_operation_is_refused) {
  StateMachine machine;
  applied(machine, put({.client = "c", .sequence = 1}, "k", "1"));
  BOOST_TEST(
      (outcome(machine, put({.client = "c", .sequence = 1}, "k", "2")) == Status::bad_request));
  BOOST_TEST(read(machine, "k").value == "1");
}

BOOST_AUTO_TEST_CASE(an_id_that_is_too_long_is_refused_and_opens_no_session) {
  StateMachine machine;
  const Entry entry = put({.client = std::string(130, 'c'), .sequence = 1}, "k", "1");
  BOOST_TEST((outcome(machine, entry) == Status::bad_request));
  BOOST_TEST(machine.size() + machine.sessions().size() == 0U);
}

BOOST_AUTO_TEST_CASE(reads_open_no_session_and_see_the_present) {
  StateMachine machine;
  const Entry get{
      .command = {.verb = Verb::get, .origin = {.client = "c", .sequence = 1}, .key = "k"}};
  BOOST_TEST((outcome(machine, get) == Status::not_found));
  applied(machine, put({}, "k", "1"));
  BOOST_TEST((outcome(machine, get) == Status::ok));
  BOOST_TEST(machine.sessions().size() == 0U);
}

BOOST_AUTO_TEST_CASE(an_idle_session_expires_and_its_client_is_refused_for_good) {
  StateMachine machine{narrow};
  const Entry first = put({.client = "c", .sequence = 1}, "k", "1", at(0s));
  applied(machine, first);
  applied(machine, erase({}, "k", at(61s)));
  for (const Entry& entry :
       {first, put({.client = "c", .sequence = 2}, "k", "2"), put({.client = "c"}, "k", "3")}) {
    const bool single = entry.command.origin.sequence == 0;  // another table, another client
    const Reply reply = applied(machine, entry);
    BOOST_TEST((reply.status == (single ? Status::ok : Status::unknown)));
    BOOST_TEST(reply.why == (single ? "" : "session expired"));
  }
  BOOST_TEST((outcome(machine, put({.client = "d", .sequence = 1}, "k", "4")) == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_session_in_use_does_not_expire_and_time_never_goes_back) {
  StateMachine machine{narrow};
  for (int i = 1; i < 10; ++i) {
    const Origin origin{.client = "c", .sequence = static_cast<std::uint64_t>(i)};
    BOOST_TEST((outcome(machine, put(origin, "k", "1", at(i * 59s))) == Status::ok));
    applied(machine, put({}, "x", "1", at(0s)));
    BOOST_TEST((machine.time() == at(i * 59s)));
  }
}

BOOST_AUTO_TEST_CASE(at_its_bound_the_session_idle_longest_makes_room) {
  StateMachine machine{narrow};
  for (std::size_t i = 0; i < narrow.sessions_max; ++i) {
    applied(machine, put({.client = std::to_string(i), .sequence = 1}, "k", "1"));
  }
  applied(machine, put({.client = "0", .sequence = 2}, "k", "1"));
  applied(machine, put({.client = "new", .sequence = 1}, "k", "1"));
  BOOST_TEST(machine.sessions().size() == narrow.sessions_max);
  BOOST_TEST((outcome(machine, put({.client = "0", .sequence = 3}, "k", "1")) == Status::ok));
  BOOST_TEST((outcome(machine, put({.client = "1", .sequence = 2}, "k", "1")) == Status::unknown));
}

BOOST_AUTO_TEST_CASE(a_flood_of_operations_without_siblings_pushes_no_client_out) {
  StateMachine machine{narrow};
  applied(machine, put({.client = "c", .sequence = 1}, "k", "1"));
  for (int i = 0; i < 1'000; ++i) {
    applied(machine, put({.client = "single." + std::to_string(i)}, "k", "1"));
  }
  BOOST_TEST((outcome(machine, put({.client = "c", .sequence = 2}, "k", "1")) == Status::ok));
  BOOST_TEST(machine.sessions().size() == 1 + narrow.sessions_max);
}

BOOST_AUTO_TEST_CASE(a_session_keeps_its_newest_outcomes_and_refuses_what_it_forgot) {
  StateMachine machine{narrow};
  const auto numbered = [](std::uint64_t sequence) {
    return put({.client = "c", .sequence = sequence}, "k", std::to_string(sequence));
  };
  for (std::uint64_t sequence = 2; sequence <= 18; ++sequence) {
    BOOST_TEST((outcome(machine, numbered(sequence)) == Status::ok));
  }
  BOOST_TEST(machine.sessions().replies() <= narrow.session_replies_max);
  BOOST_TEST((outcome(machine, numbered(11)) == Status::ok));
  BOOST_TEST((outcome(machine, numbered(2)) == Status::unknown));
  BOOST_TEST((outcome(machine, numbered(1)) == Status::unknown));  // never came, and too late now
  BOOST_TEST(read(machine, "k").value == "18");
}

BOOST_AUTO_TEST_CASE(an_operation_far_behind_a_full_window_is_executed_once_at_most) {
  StateMachine machine{narrow};
  for (std::uint64_t sequence = 2; sequence <= 1 + narrow.session_replies_max; ++sequence) {
    applied(machine, put({.client = "c", .sequence = sequence}, "k", "1"));
  }
  const Entry late = erase({.client = "c", .sequence = 1}, "k");
  BOOST_TEST((outcome(machine, late) == Status::ok));
  applied(machine, put({}, "k", "1"));
  BOOST_TEST((outcome(machine, late) == Status::unknown));
  BOOST_TEST((read(machine, "k").status == Status::ok));
  StateMachine restored{narrow};
  BOOST_TEST((restore(restored, snapshot_of(machine)) == StateMachine::Restored::done));
}

BOOST_AUTO_TEST_CASE(all_outcomes_together_stay_within_their_bound) {
  StateMachine machine{narrow};
  for (std::uint64_t sequence = 1; sequence <= 15; ++sequence) {
    for (char client = 'a'; client < 'f'; ++client) {
      applied(machine, put({.client = std::string(1, client), .sequence = sequence}, "k", "1"));
      BOOST_TEST(machine.sessions().replies() <= narrow.replies_max);
    }
  }
}

// The rule's limit, as sessions.h states it.
BOOST_AUTO_TEST_CASE(a_client_forgotten_longer_than_the_list_of_the_forgotten_is_taken_for_new) {
  StateMachine machine{narrow};
  const auto opens = [&](const std::string& client) {
    return outcome(machine, put({.client = client, .sequence = 1}, "k", client));
  };
  BOOST_TEST((opens("c") == Status::ok));
  for (std::size_t i = 0; i < narrow.sessions_max + narrow.forgotten_max - 1; ++i) {
    opens(std::to_string(i));
  }
  BOOST_TEST((opens("c") == Status::unknown));
  opens("one");
  BOOST_TEST((opens("c") == Status::ok));
}

BOOST_AUTO_TEST_CASE(random_repeats_out_of_order_change_nothing_but_once) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random{seed};
    StateMachine machine;
    std::map<std::string, std::string> model;
    std::map<std::pair<std::string, std::uint64_t>, std::pair<Entry, Status>> done;
    for (int i = 0; i < 3'000; ++i) {
      // Sequences of a window of 20 that moves on: new ones, repeats and late ones, mixed.
      const std::string client = "c" + std::to_string(random.below(4));
      const std::uint64_t sequence = 1 + static_cast<std::uint64_t>(i) / 10 + random.below(20);
      auto known = done.find({client, sequence});
      if (known == done.end()) {
        const std::string key = std::to_string(random.below(10));
        const Origin origin{.client = client, .sequence = sequence};
        const bool erases = random.chance(0.5);
        const Entry entry = erases ? erase(origin, key) : put(origin, key, std::to_string(i));
        Status expected = Status::ok;
        if (erases) {
          expected = model.erase(key) == 1 ? Status::ok : Status::not_found;
        } else {
          model[key] = std::to_string(i);
        }
        known = done.insert({{client, sequence}, {entry, expected}}).first;
      }
      BOOST_REQUIRE((outcome(machine, known->second.first) == known->second.second));
    }
    BOOST_TEST(machine.size() == model.size());
    for (const auto& [key, value] : model) {
      BOOST_TEST(read(machine, key).value == value);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_entries_give_the_same_bytes) {
  StateMachine one{narrow};
  StateMachine two{narrow};
  History history{1};
  for (int i = 0; i < 5'000; ++i) {
    const Entry entry = history.next();
    BOOST_REQUIRE((applied(one, entry) == applied(two, entry)));
  }
  BOOST_TEST(one.checksum() == two.checksum());
  BOOST_TEST((snapshot_of(one) == snapshot_of(two)));
}

BOOST_AUTO_TEST_CASE(the_checksum_tells_any_other_entry_and_any_other_order) {
  const Entry first = put({.client = "c", .sequence = 1, .first_outstanding = 1}, "k", "v");
  const Entry then = put({}, "a", "b");
  const auto checksum = [](const Entry& a, const Entry& b) {
    StateMachine machine;
    applied(machine, a);
    applied(machine, b);
    return machine.checksum();
  };
  std::vector<Entry> others(8, first);
  others[0].command.verb = Verb::erase;
  others[1].command.origin.client = "d";
  others[2].command.origin.sequence = 2;
  others[3].command.origin.first_outstanding = 0;
  others[4].command.key = "kv", others[4].command.value = "";
  others[5].command.guards = {{.key = "g"}};
  others[6].command.writes = {{.key = "g"}};
  others[7].time += 1us;
  const std::uint64_t right = checksum(first, then);
  BOOST_TEST(checksum(first, then) == right);
  BOOST_TEST(checksum(then, first) != right);
  for (const Entry& other : others) {
    BOOST_TEST(checksum(other, then) != right);
  }
}

BOOST_AUTO_TEST_CASE(a_machine_restored_in_the_middle_behaves_the_same_ever_after) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    StateMachine machine{narrow};
    StateMachine restored{narrow};
    History history{seed};
    for (std::uint64_t i = 0; i < 100 * seed; ++i) {
      applied(machine, history.next());
    }
    applied(restored, put({.client = "left over", .sequence = 1}, "of", "before"));
    BOOST_REQUIRE((restore(restored, snapshot_of(machine)) == StateMachine::Restored::done));
    for (int i = 0; i < 2'000; ++i) {
      const Entry entry = history.next();
      BOOST_REQUIRE((applied(machine, entry) == applied(restored, entry)));
      BOOST_REQUIRE(machine.checksum() == restored.checksum());
      BOOST_REQUIRE(machine.sessions().size() == restored.sessions().size());
      BOOST_REQUIRE(machine.sessions().replies() == restored.sessions().replies());
    }
    BOOST_TEST(machine.applied() == restored.applied());
    BOOST_TEST((machine.time() == restored.time()));
    BOOST_TEST(machine.size() == restored.size());
  }
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_the_image_at_its_beginning_whatever_is_applied_meanwhile) {
  StateMachine machine{narrow};
  StateMachine then{narrow};
  StateMachine restored{narrow};
  History history{3};
  for (int i = 0; i < 3'000; ++i) {
    const Entry entry = history.next();
    applied(machine, entry);
    applied(then, entry);
  }
  machine.begin_snapshot();
  auto result = StateMachine::Restored::more;
  for (Bytes piece = machine.next_snapshot_piece(); !piece.empty();
       piece = machine.next_snapshot_piece()) {
    result = restored.restore(piece);
    for (int i = 0; i < 500; ++i) {
      applied(machine, history.next());
    }
  }
  BOOST_TEST((result == StateMachine::Restored::done));
  BOOST_TEST(restored.checksum() == then.checksum());
  BOOST_TEST(restored.applied() == 3'000U);
  for (int i = 0; i < 1'000; ++i) {
    const Entry entry = history.next();
    BOOST_REQUIRE((applied(restored, entry) == applied(then, entry)));
  }
  BOOST_TEST((restored.size() == then.size()));
}

BOOST_AUTO_TEST_CASE(a_snapshot_of_many_pieces_keeps_their_bound_and_is_restored) {
  StateMachine machine;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    Entry entry = put({.client = "client-with-a-long-name-" + std::to_string(i), .sequence = i + 1},
                      std::to_string(i), std::string(i % 300, 'v'));
    applied(machine, entry);
  }
  applied(machine, put({}, "long", std::string(value_bytes_max, 'v')));
  const std::vector<Bytes> pieces = snapshot_of(machine);
  BOOST_TEST(pieces.size() > 10U);
  for (const Bytes& piece : pieces) {
    BOOST_TEST(piece.size() <= (piece.find(std::string(1'000, 'v')) == Bytes::npos
                                    ? snapshot_piece_bytes_max
                                    : value_bytes_max + 1'000));
  }
  StateMachine restored;
  BOOST_TEST((restore(restored, pieces) == StateMachine::Restored::done));
  BOOST_TEST(restored.size() == machine.size());
  BOOST_TEST(restored.sessions().size() == 10'000U);
  BOOST_TEST(read(restored, "9999").value == std::string(9'999 % 300, 'v'));
}

BOOST_AUTO_TEST_CASE(an_empty_machine_has_a_snapshot_too) {
  StateMachine machine;
  StateMachine restored;
  BOOST_TEST((restore(restored, snapshot_of(machine)) == StateMachine::Restored::done));
  BOOST_TEST(restored.size() + restored.applied() == 0U);
}

BOOST_AUTO_TEST_CASE(a_piece_with_any_bit_flipped_is_refused_and_leaves_nothing) {
  StateMachine machine;
  for (std::uint64_t i = 1; i < 5; ++i) {
    applied(machine, put({.client = "c", .sequence = i}, std::to_string(i), "value"));
  }
  const std::vector<Bytes> pieces = snapshot_of(machine);
  for (std::size_t number = 0; number < pieces.size(); ++number) {
    for (std::size_t bit = 0; bit < pieces[number].size() * 8; ++bit) {
      std::vector<Bytes> damaged = pieces;
      damaged[number][bit / 8] = static_cast<char>(damaged[number][bit / 8] ^ (1 << bit % 8));
      StateMachine restored;
      BOOST_REQUIRE((restore(restored, damaged) == StateMachine::Restored::damaged));
      BOOST_REQUIRE(restored.size() + restored.applied() + restored.sessions().size() == 0U);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_piece_cut_short_or_lengthened_is_refused) {
  StateMachine machine;
  applied(machine, put({.client = "c", .sequence = 1}, "k", "value"));
  const std::vector<Bytes> pieces = snapshot_of(machine);
  for (std::size_t number = 0; number < pieces.size(); ++number) {
    for (std::size_t length = 0; length < pieces[number].size() + 2; ++length) {
      std::vector<Bytes> damaged = pieces;
      damaged[number].resize(length);
      StateMachine restored;
      const bool whole = length == pieces[number].size();
      BOOST_REQUIRE((restore(restored, damaged) == StateMachine::Restored::damaged) != whole);
    }
  }
}

BOOST_AUTO_TEST_CASE(pieces_missing_repeated_swapped_or_of_another_snapshot_are_refused) {
  StateMachine machine;
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    applied(machine, put({}, std::to_string(i), std::string(200, 'v')));
  }
  const std::vector<Bytes> pieces = snapshot_of(machine);
  applied(machine, put({}, "0", "w"));
  const std::vector<Bytes> later = snapshot_of(machine);
  BOOST_REQUIRE(pieces.size() > 5U);
  for (std::size_t number = 0; number + 1 < pieces.size(); ++number) {
    std::vector<Bytes> missing = pieces;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(number));
    std::vector<Bytes> swapped = pieces;
    std::swap(swapped[number], swapped[number + 1]);
    std::vector<Bytes> foreign = pieces;
    foreign[number + 1] = later[number + 1];
    std::vector<Bytes> repeated = pieces;
    repeated.insert(repeated.begin() + static_cast<std::ptrdiff_t>(number), pieces[number]);
    for (const std::vector<Bytes>& wrong : {missing, swapped, foreign}) {
      StateMachine restored;
      BOOST_TEST((restore(restored, wrong) == StateMachine::Restored::damaged));
    }
    StateMachine restored;  // the head begins anew, so that one may come twice
    BOOST_TEST((restore(restored, repeated) == StateMachine::Restored::damaged) == (number > 0));
  }
}

BOOST_AUTO_TEST_CASE(a_proposer_goes_on_where_the_log_stands_and_never_goes_back) {
  Stamper stamper;
  BOOST_TEST((stamper.stamp(Instant{100s}, at(5s)) == at(5s)));
  BOOST_TEST((stamper.stamp(Instant{101s}, at(5s)) == at(6s)));
  BOOST_TEST((stamper.stamp(Instant{102s}, at(50s)) == at(50s)));  // another proposed meanwhile
  BOOST_TEST((stamper.stamp(Instant{103s}, at(50s)) == at(51s)));
  Stamper restarted;
  BOOST_TEST((restarted.stamp(Instant{1s}, at(51s)) == at(51s)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
