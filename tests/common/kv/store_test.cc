#include "common/kv/store.h"

#include <map>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv {
BOOST_AUTO_TEST_SUITE(kv_store)

namespace {

using Model = std::map<std::string, std::string>;

Command put(std::string key, std::string value) {
  Command command;
  command.verb = Verb::put;
  command.key = std::move(key);
  command.value = std::move(value);
  return command;
}

Reply applied(Store& store, const Command& command) {
  Reply reply{.status = Status::unknown, .value = "old", .why = "old"};
  store.apply(command, reply);
  return reply;
}

/// What a random history looks like: how many keys, and how long its values are.
struct Mix {
  std::uint64_t keys;
  std::size_t key_bytes_min;
  std::size_t value_bytes_largest;
  unsigned erase_percent;
};

class History {
 public:
  History(std::uint64_t seed, Mix mix) : random_{seed}, mix_{mix} {}

  Command next() {
    Command command;
    command.key = key();
    const std::uint64_t dice = random_.below(100);
    if (dice < mix_.erase_percent) {
      command.verb = Verb::erase;
    } else if (dice < mix_.erase_percent + 10) {
      command.verb = Verb::compare_and_set;
      command.expected = random_.chance(0.5) ? last_value_ : value();
      command.value = value();
    } else if (dice < mix_.erase_percent + 25) {
      command.verb = Verb::get;
    } else {
      command.verb = Verb::put;
      command.value = value();
    }
    return command;
  }

  std::string key() {
    std::string key = "k" + std::to_string(random_.below(mix_.keys));
    key.resize(std::max(key.size(), mix_.key_bytes_min), '.');
    return key;
  }

  std::string value() {
    const auto bits = static_cast<unsigned>(random_.below(64));
    const std::size_t bytes = random_.below(mix_.value_bytes_largest + 1) >> bits % 12;
    last_value_.assign(bytes, static_cast<char>('a' + random_.below(26)));
    return last_value_;
  }

 private:
  Random random_;
  Mix mix_;
  std::string last_value_;
};

/// What a store should do, in the plainest way.
Reply applied(Model& model, const Command& command) {
  const auto found = model.find(command.key);
  if (command.verb == Verb::put) {
    model[command.key] = command.value;
    return {};
  }
  if (found == model.end()) {
    return {.status = Status::not_found};
  }
  if (command.verb == Verb::get) {
    return {.status = Status::ok, .value = found->second};
  }
  if (command.verb == Verb::erase) {
    model.erase(found);
    return {};
  }
  if (found->second != command.expected) {
    return {.status = Status::conflict};
  }
  found->second = command.value;
  return {};
}

std::vector<Bytes> rest_of_snapshot(Store& store, std::size_t bytes_max = 64 * 1024) {
  std::vector<Bytes> pieces;
  Bytes piece;
  while (store.next_snapshot_piece(piece, bytes_max)) {
    pieces.push_back(piece);
  }
  return pieces;
}

std::vector<Bytes> snapshot_of(Store& store) {
  store.begin_snapshot();
  return rest_of_snapshot(store);
}

bool holds_just(const Store& store, const Model& model) {
  for (const auto& [key, value] : model) {
    if (store.get(key) != value) {
      return false;
    }
  }
  return store.size() == model.size();
}

void runs_like_the_model(std::uint64_t seed, Mix mix, std::uint64_t operations) {
  Store store;
  Model model;
  History history{seed, mix};
  for (std::uint64_t i = 0; i < operations; ++i) {
    const Command command = history.next();
    BOOST_REQUIRE((applied(store, command) == applied(model, command)));
  }
  BOOST_TEST(holds_just(store, model));
  for (const auto& [key, value] : Model{model}) {
    BOOST_REQUIRE((store.erase(key) == Status::ok));
  }
  BOOST_TEST(store.size() == 0U);
  BOOST_TEST(store.memory_bytes() < 2'000U);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_put_is_found_until_it_is_erased) {
  Store store;
  BOOST_TEST((applied(store, put("a", "1")) == Reply{}));
  BOOST_TEST((applied(store, {.verb = Verb::get, .key = "a"}) == Reply{.value = "1"}));
  BOOST_TEST((applied(store, {.verb = Verb::erase, .key = "a"}) == Reply{}));
  BOOST_TEST(
      (applied(store, {.verb = Verb::get, .key = "a"}) == Reply{.status = Status::not_found}));
  BOOST_TEST(
      (applied(store, {.verb = Verb::erase, .key = "a"}) == Reply{.status = Status::not_found}));
  BOOST_TEST((applied(store, {.verb = Verb::ping}) == Reply{}));
}

BOOST_AUTO_TEST_CASE(compare_and_set_tells_a_missing_key_from_another_value) {
  Store store;
  const Command set{.verb = Verb::compare_and_set, .key = "a", .value = "2", .expected = "1"};
  BOOST_TEST((applied(store, set).status == Status::not_found));
  store.put("a", "1");
  BOOST_TEST((applied(store, set).status == Status::ok));
  BOOST_TEST((applied(store, set).status == Status::conflict));
  BOOST_TEST((store.get("a") == "2"));
}

BOOST_AUTO_TEST_CASE(an_empty_value_is_not_a_missing_one) {
  Store store;
  store.put("a", "");
  BOOST_TEST((applied(store, {.verb = Verb::get, .key = "a"}) == Reply{}));
  BOOST_TEST((store.compare_and_set("a", "", "x") == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_batch_happens_when_all_its_guards_hold) {
  Store store;
  store.put("a", "1");
  const Command batch{
      .verb = Verb::batch,
      .guards = {{.key = "a", .value = "1"}, {.key = "b", .absent = true}},
      .writes = {
          {.key = "b", .value = "2"}, {.key = "a", .erase = true}, {.key = "b", .value = "3"}}};
  BOOST_TEST((applied(store, batch) == Reply{}));
  BOOST_TEST((store.get("b") == "3"));  // writes happen in order
  BOOST_TEST(!store.get("a").has_value());
  BOOST_TEST((applied(store, batch) == Reply{.status = Status::conflict}));
}

BOOST_AUTO_TEST_CASE(a_batch_with_one_guard_that_fails_changes_nothing) {
  Store store;
  store.put("a", "1");
  const Command batch{.verb = Verb::batch,
                      .guards = {{.key = "a", .value = "1"}, {.key = "a", .absent = true}},
                      .writes = {{.key = "a", .erase = true}, {.key = "b", .value = "2"}}};
  BOOST_TEST((applied(store, batch).status == Status::conflict));
  BOOST_TEST(holds_just(store, {{"a", "1"}}));
}

BOOST_AUTO_TEST_CASE(what_is_too_long_is_refused_and_changes_nothing) {
  Store store;
  const std::string long_key(key_bytes_max + 1, 'k');
  const std::string long_value(value_bytes_max + 1, 'v');
  const std::vector<Command> refused = {
      put(long_key, "v"),
      put("", "v"),
      put("k", long_value),
      {.verb = Verb::get, .key = ""},
      {.verb = Verb::erase, .key = long_key},
      {.verb = Verb::compare_and_set, .key = "k", .value = long_value},
      {.verb = Verb::batch, .guards = {{.key = long_key, .absent = true}}},
      {.verb = Verb::batch, .writes = {{.key = "k", .value = "v"}, {.key = ""}}},
      {.verb = Verb::batch, .writes = std::vector<Write>(batch_parts_max + 1, {.key = "k"})},
      {.verb = Verb::batch,
       .writes = std::vector<Write>(4, {.key = "k", .value = long_value.substr(1)})}};
  for (const Command& command : refused) {
    const Reply reply = applied(store, command);
    BOOST_TEST((reply.status == Status::bad_request));
    BOOST_TEST(!reply.why.empty());
  }
  BOOST_TEST(store.size() == 0U);
}

BOOST_AUTO_TEST_CASE(the_longest_key_and_value_are_kept) {
  Store store;
  const std::string key(key_bytes_max, '\xff');
  const std::string value(value_bytes_max, '\0');
  BOOST_TEST((applied(store, put(key, value)) == Reply{}));
  BOOST_TEST((store.get(key) == value));
}

BOOST_AUTO_TEST_CASE(a_million_random_operations_end_like_those_on_a_map) {
  runs_like_the_model(
      1, {.keys = 5'000, .key_bytes_min = 1, .value_bytes_largest = 64, .erase_percent = 20},
      500'000);
  runs_like_the_model(
      2, {.keys = 20'000, .key_bytes_min = 12, .value_bytes_largest = 64, .erase_percent = 5},
      300'000);
  runs_like_the_model(
      3, {.keys = 300, .key_bytes_min = 1, .value_bytes_largest = 2'000, .erase_percent = 45},
      200'000);
}

BOOST_AUTO_TEST_CASE(long_keys_and_values_of_every_length_end_like_those_on_a_map) {
  runs_like_the_model(
      4, {.keys = 3'000, .key_bytes_min = 250, .value_bytes_largest = 800, .erase_percent = 10},
      100'000);
  runs_like_the_model(
      5,
      {.keys = 10, .key_bytes_min = 1, .value_bytes_largest = value_bytes_max, .erase_percent = 20},
      2'000);
}

BOOST_AUTO_TEST_CASE(a_value_may_take_every_length_after_every_other) {
  Store store;
  const std::vector<std::size_t> lengths = {0, 1, 9, 10, 250, 251, 252, 512, 513, 514, 100'000};
  for (const std::size_t first : lengths) {
    for (const std::size_t then : lengths) {
      store.put("k", std::string(first, 'a'));
      store.put("k", std::string(then, 'b'));
      BOOST_TEST((store.get("k") == std::string(then, 'b')));
    }
  }
  BOOST_TEST((store.erase("k") == Status::ok));
  BOOST_TEST(store.memory_bytes() < 2'000U);
}

BOOST_AUTO_TEST_CASE(a_64_byte_value_costs_less_than_100_bytes) {
  for (const std::size_t items : {20'000U, 30'000U, 40'000U, 50'000U}) {
    Store store;
    for (std::size_t i = 0; i < items; ++i) {
      store.put("key:" + std::to_string(1'000'000 + i), std::string(64, 'v'));
    }
    BOOST_TEST(store.memory_bytes() / items < 100U);
  }
}

BOOST_AUTO_TEST_CASE(overwriting_with_other_lengths_for_ever_does_not_grow_the_store) {
  Store store;
  Random random{7};
  std::size_t bytes = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string key = std::to_string(random.below(1'000));
    store.put(key, std::string(random.below(200), 'v'));
    bytes = std::max(bytes, store.memory_bytes());
  }
  BOOST_TEST(bytes < 1'000U * (100 + 3 + 2 + 20) * 3 / 2);
}

BOOST_AUTO_TEST_CASE(what_was_erased_gives_its_memory_back) {
  Store store;
  for (int i = 0; i < 50'000; ++i) {
    store.put("key:" + std::to_string(i), std::string(64, 'v'));
  }
  const std::size_t full = store.memory_bytes();
  for (int i = 0; i < 50'000; ++i) {
    if (i % 10 != 0) {
      store.erase("key:" + std::to_string(i));
    }
  }
  BOOST_TEST(store.memory_bytes() < full * 2 / 10);
}

BOOST_AUTO_TEST_CASE(
    the_same_history_gives_the_same_snapshot_bytes_and_another_seed_the_same_items) {
  Store one{1};
  Store two{1};
  Store other{2};
  History history{
      9, {.keys = 4'000, .key_bytes_min = 1, .value_bytes_largest = 700, .erase_percent = 20}};
  for (int i = 0; i < 30'000; ++i) {
    const Command command = history.next();
    const Reply reply = applied(one, command);
    BOOST_REQUIRE((applied(two, command) == reply));
    BOOST_REQUIRE((applied(other, command) == reply));
  }
  const std::vector<Bytes> pieces = snapshot_of(one);
  BOOST_TEST((snapshot_of(two) == pieces));
  BOOST_TEST((snapshot_of(other) != pieces));
  BOOST_TEST(one.memory_bytes() == two.memory_bytes());
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_the_image_at_its_beginning_whatever_changes_meanwhile) {
  Random random{11};
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Store store;
    Model model;
    // Few keys or many, growing (splits) or shrinking (joins) while the snapshot is open.
    const Mix before{.keys = 1 + random.below(6'000),
                     .key_bytes_min = 1,
                     .value_bytes_largest = 700,
                     .erase_percent = 10};
    const Mix during{.keys = 1 + random.below(12'000),
                     .key_bytes_min = 1,
                     .value_bytes_largest = 700,
                     .erase_percent = static_cast<unsigned>(random.below(75))};
    History history{seed, before};
    for (std::uint64_t i = random.below(15'000); i > 0; --i) {
      const Command command = history.next();
      BOOST_REQUIRE((applied(store, command) == applied(model, command)));
    }
    const Model image = model;
    const std::uint64_t changes_a_piece = random.below(2'000);
    store.begin_snapshot();
    History later{seed + 1'000, during};
    Store restored;
    Bytes piece;
    while (store.next_snapshot_piece(piece, 16 * 1024)) {
      BOOST_REQUIRE(restored.restore_piece(piece));
      for (std::uint64_t i = 0; i < changes_a_piece; ++i) {
        const Command command = later.next();
        BOOST_REQUIRE((applied(store, command) == applied(model, command)));
      }
    }
    BOOST_TEST(holds_just(restored, image));
    BOOST_TEST(holds_just(store, model));
  }
}

BOOST_AUTO_TEST_CASE(every_item_of_a_snapshot_comes_once_and_pieces_keep_their_bound) {
  Store store;
  for (int i = 0; i < 30'000; ++i) {
    store.put(std::to_string(i), std::string(static_cast<std::size_t>(i % 600), 'v'));
  }
  std::size_t bytes = 0;
  for (const Bytes& piece : snapshot_of(store)) {
    BOOST_TEST(piece.size() <= 64U * 1024);
    bytes += piece.size();
  }
  Store restored;
  std::size_t restored_bytes = 0;
  for (const Bytes& piece : snapshot_of(store)) {
    restored.restore_piece(piece);
  }
  for (const Bytes& piece : snapshot_of(restored)) {
    restored_bytes += piece.size();
  }
  BOOST_TEST(restored.size() == store.size());
  BOOST_TEST(bytes == restored_bytes);
}

BOOST_AUTO_TEST_CASE(an_item_larger_than_a_piece_is_a_piece_of_its_own) {
  Store store;
  for (char name = 'a'; name < 'f'; ++name) {
    store.put(std::string(1, name), std::string(100'000, name));
  }
  BOOST_TEST(snapshot_of(store).size() == 5U);
}

BOOST_AUTO_TEST_CASE(a_snapshot_shares_long_values_and_frees_its_copies_when_it_is_out) {
  Store store;
  for (int i = 0; i < 50; ++i) {
    store.put(std::to_string(i), std::string(100'000, 'a'));
  }
  const std::size_t before = store.memory_bytes();
  store.begin_snapshot();
  BOOST_TEST(store.memory_bytes() == before);
  store.put("0", "small");
  BOOST_TEST(store.memory_bytes() < before + 20'000);
  store.end_snapshot();
  BOOST_TEST(store.memory_bytes() < before - 90'000);
}

BOOST_AUTO_TEST_CASE(beginning_again_drops_the_older_image) {
  Store store;
  store.put("a", "1");
  store.begin_snapshot();
  store.put("a", "2");
  const std::vector<Bytes> pieces = snapshot_of(store);
  Store restored;
  BOOST_REQUIRE(pieces.size() == 1U);
  BOOST_TEST(restored.restore_piece(pieces[0]));
  BOOST_TEST((restored.get("a") == "2"));
}

BOOST_AUTO_TEST_CASE(an_empty_store_has_a_snapshot_without_pieces) {
  Store store;
  BOOST_TEST(snapshot_of(store).empty());
  BOOST_TEST(!store.snapshot_open());
}

BOOST_AUTO_TEST_CASE(a_snapshot_piece_cut_anywhere_inside_an_item_is_refused) {
  Store store;
  store.put("key", "value");
  const Bytes piece = snapshot_of(store).at(0);
  for (std::size_t length = 1; length < piece.size(); ++length) {
    Store restored;
    BOOST_TEST(!restored.restore_piece(ByteView{piece}.substr(0, length)));
  }
}

BOOST_AUTO_TEST_CASE(a_cleared_store_is_as_a_new_one) {
  Store store;
  for (int i = 0; i < 5'000; ++i) {
    store.put(std::to_string(i), std::string(100, 'v'));
  }
  store.begin_snapshot();
  store.clear();
  BOOST_TEST(store.size() == 0U);
  BOOST_TEST(!store.get("1").has_value());
  BOOST_TEST(store.memory_bytes() == Store{}.memory_bytes());
  store.put("1", "2");
  BOOST_TEST((store.get("1") == "2"));
}

BOOST_AUTO_TEST_CASE(to_expect_keys_changes_nothing_whatever_they_are) {
  Store store;
  const std::string longest(key_bytes_max, 'k');
  std::vector<HashedKey> strange{{""}, {"absent"}, {longest}, {"absent"}};
  store.expect(strange);
  std::vector<std::string> names;
  for (int i = 0; i < 5'000; ++i) {
    names.push_back("key" + std::to_string(i));
    store.put(names.back(), std::string(static_cast<std::size_t>(i % 600), 'v'));
  }
  std::vector<HashedKey> keys;
  for (const std::string& name : names) {
    keys.push_back({name});
  }
  const std::size_t memory = store.memory_bytes();
  store.expect(keys);
  store.expect(strange);
  store.expect({});
  BOOST_TEST(store.memory_bytes() == memory);
  BOOST_TEST(store.size() == names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    BOOST_TEST((store.get(names[i]) == std::string(i % 600, 'v')));
    BOOST_TEST((store.get(keys[i]) == store.get(names[i])));
  }
  store.put(keys[7], "by its hash");
  BOOST_TEST((store.get(names[7]) == "by its hash"));
  BOOST_TEST(store.size() == names.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
