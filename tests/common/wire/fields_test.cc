#include "common/wire/fields.h"

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/kv/command.h"

namespace kv {
namespace {

struct Older {
  std::uint32_t number = 7;
  std::string text;

  bool operator==(const Older&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("text", self.text);
  }
};

struct Newer {
  std::uint32_t number = 7;
  std::string text;
  std::optional<std::int32_t> more = -5;

  bool operator==(const Newer&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("text", self.text);
    visit("more", self.more);
  }
};

struct OlderInside {
  Older inner;
  std::uint8_t after = 0;

  static void fields(auto& self, auto& visit) {
    visit("inner", self.inner);
    visit("after", self.after);
  }
};

struct NewerInside {
  Newer inner;
  std::uint8_t after = 0;

  static void fields(auto& self, auto& visit) {
    visit("inner", self.inner);
    visit("after", self.after);
  }
};

Command full_command() {
  return {.verb = Verb::batch,
          .origin = {.client = "c7", .sequence = 12, .first_outstanding = 3},
          .key = "k",
          .value = std::string(300, 'v'),
          .expected = std::string("\0\xff", 2),
          .guards = {{.key = "a", .value = "1", .absent = false},
                     {.key = "b", .value = "", .absent = true}},
          .writes = {{.key = "c", .value = "", .erase = true}}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_fields)

BOOST_AUTO_TEST_CASE(what_was_written_is_read_again) {
  const Command command = full_command();
  BOOST_TEST((wire::decode<Command>(wire::encode(command)) == command));
}

BOOST_AUTO_TEST_CASE(a_number_takes_as_few_bytes_as_it_needs) {
  BOOST_TEST(wire::encode(Older{.number = 127, .text = ""}) == std::string("\x7f\0", 2));
  BOOST_TEST(wire::encode(Older{.number = 128, .text = "a"}) == std::string("\x80\x01\x01"
                                                                            "a",
                                                                            4));
}

BOOST_AUTO_TEST_CASE(an_older_reader_skips_what_a_newer_writer_added) {
  const Newer sent{.number = 1, .text = "t", .more = 9};
  BOOST_TEST((wire::decode<Older>(wire::encode(sent)) == Older{.number = 1, .text = "t"}));
}

BOOST_AUTO_TEST_CASE(a_newer_reader_keeps_the_default_of_what_an_older_writer_did_not_send) {
  const Older sent{.number = 1, .text = "t"};
  const auto read = wire::decode<Newer>(wire::encode(sent));
  BOOST_TEST((read == Newer{.number = 1, .text = "t", .more = -5}));
}

BOOST_AUTO_TEST_CASE(a_struct_inside_a_struct_may_grow_too) {
  const NewerInside sent{.inner = {.number = 2, .text = "x", .more = 4}, .after = 42};
  const auto read = wire::decode<OlderInside>(wire::encode(sent));
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(read->inner.text == "x");
  BOOST_TEST(read->after == 42);
}

BOOST_AUTO_TEST_CASE(a_struct_inside_a_struct_says_its_length_first_however_long_it_is) {
  for (const std::size_t text : {0, 125, 126, 127, 16'379, 16'380, 100'000}) {
    const Older inner{.number = 1, .text = std::string(text, 't')};
    Bytes expected;
    wire::FieldWriter{expected}.write_varint(wire::encode(inner).size());
    expected += wire::encode(inner) + std::string(1, '\x05');
    BOOST_TEST((wire::encode(OlderInside{.inner = inner, .after = 5}) == expected));
  }
}

BOOST_AUTO_TEST_CASE(a_view_of_a_reply_is_encoded_as_the_reply) {
  for (const Reply& reply : {Reply{}, Reply{.status = Status::ok, .value = "v", .why = ""},
                             Reply{.status = Status::unknown, .value = "", .why = "timed out"}}) {
    const ReplyView view = reply;
    BOOST_TEST(wire::encode(view) == wire::encode(reply));
  }
}

BOOST_AUTO_TEST_CASE(bytes_cut_inside_a_field_are_refused) {
  const Bytes whole = wire::encode(Older{.number = 300, .text = "abcdef"});
  for (const std::size_t cut : {std::size_t{1}, std::size_t{3}, whole.size() - 1}) {
    BOOST_TEST(!wire::decode<Older>(whole.substr(0, cut)).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_number_too_large_for_its_field_is_refused) {
  BOOST_TEST(!wire::decode<Older>(ByteView{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}));
  BOOST_TEST(!wire::decode<Older>(ByteView{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10}));
}

BOOST_AUTO_TEST_CASE(an_unknown_enumerator_is_refused) {
  Bytes bytes = wire::encode(Reply{});
  bytes[0] = static_cast<char>(last_of(Status{})) + 1;
  BOOST_TEST(!wire::decode<Reply>(bytes).has_value());
}

BOOST_AUTO_TEST_CASE(any_damage_is_refused_or_read_as_something_but_never_crashes) {
  Random random{1};
  const Bytes whole = wire::encode(full_command());
  std::size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes damaged = whole;
    for (std::uint64_t hits = random.between(1, 4); hits > 0; --hits) {
      damaged[random.below(damaged.size())] = static_cast<char>(random.next());
    }
    damaged.resize(random.below(damaged.size()) + 1);
    refused += wire::decode<Command>(damaged).has_value() ? 0 : 1;
  }
  BOOST_TEST(refused > 1'000);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
