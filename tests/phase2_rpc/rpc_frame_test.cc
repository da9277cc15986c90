#include "phase2_rpc/rpc_frame.h"

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/wire/fields.h"

namespace kv::rpc {
namespace {

Bytes two_frames() {
  Bytes stream;
  append_frame(stream,
               {.type = FrameType::request,
                .flags = frame_idempotent,
                .method = 17,
                .patience_us = 1'000,
                .id = 42},
               "meta", "the body");
  append_frame(stream, {.type = FrameType::answer, .code = Code::not_found, .id = 7}, {}, {});
  return stream;
}

struct Seen {
  FrameHeader header;
  std::string metadata;
  std::string body;
};

void keep(std::vector<Seen>& seen, const Frame& frame) {
  seen.push_back({frame.header, std::string{frame.metadata}, std::string{frame.body}});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_rpc_frame)

BOOST_AUTO_TEST_CASE(a_header_is_24_bytes_in_the_documented_order) {
  Bytes bytes;
  append_header(bytes, {.payload_bytes = 0x04030201,
                        .type = FrameType::answer,
                        .flags = frame_not_executed,
                        .code = Code::unavailable,
                        .method = 0x0605,
                        .metadata_bytes = 0x0807,
                        .patience_us = 0x0c0b0a09,
                        .id = 0x1413121110'0f0e0d});
  BOOST_TEST(bytes == ByteView("\x01\x02\x03\x04\x01\x03\x04\x0e\x05\x06\x07\x08"
                               "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14",
                               header_bytes));
}

BOOST_AUTO_TEST_CASE(a_stream_cut_at_every_byte_gives_the_same_frames) {
  const Bytes stream = two_frames();
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameStream frames;
    std::vector<Seen> seen;
    const auto on_frame = [&](const Frame& frame) { keep(seen, frame); };
    BOOST_REQUIRE(frames.feed(ByteView{stream}.substr(0, cut), on_frame));
    BOOST_REQUIRE(frames.feed(ByteView{stream}.substr(cut), on_frame));
    BOOST_REQUIRE(seen.size() == 2);
    BOOST_TEST(seen[0].metadata == "meta");
    BOOST_TEST(seen[0].body == "the body");
    BOOST_TEST(seen[0].header.id == 42);
    BOOST_TEST((seen[1].header.code == Code::not_found));
    BOOST_TEST(!frames.in_the_middle());
  }
}

BOOST_AUTO_TEST_CASE(a_stream_fed_byte_by_byte_gives_the_same_frames) {
  FrameStream frames;
  std::vector<Seen> seen;
  for (const char byte : two_frames()) {
    BOOST_REQUIRE(frames.feed({&byte, 1}, [&](const Frame& frame) { keep(seen, frame); }));
  }
  BOOST_TEST(seen.size() == 2);
}

BOOST_AUTO_TEST_CASE(a_frame_longer_than_the_limit_is_refused_before_its_body_comes) {
  Bytes bytes;
  append_header(bytes, {.payload_bytes = payload_bytes_max + 1, .type = FrameType::request});
  FrameStream frames;
  BOOST_TEST(!frames.feed(bytes, [](const Frame&) {}));
  BOOST_TEST(frames.why().find("the most is") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_unknown_version_type_or_code_is_refused) {
  for (const std::size_t at : {4U, 5U, 7U}) {
    Bytes bytes = two_frames();
    bytes[at] = '\x7f';
    FrameStream frames;
    BOOST_TEST(!frames.feed(bytes, [](const Frame&) {}));
    BOOST_TEST(!frames.why().empty());
  }
}

BOOST_AUTO_TEST_CASE(garbage_is_refused_or_waits_for_more_but_never_crashes) {
  Random random{3};
  for (int round = 0; round < 2'000; ++round) {
    Bytes garbage = two_frames();
    for (std::uint64_t hits = random.between(1, 6); hits > 0; --hits) {
      garbage[random.below(garbage.size())] = static_cast<char>(random.next());
    }
    FrameStream frames;
    std::size_t bytes_seen = 0;
    std::ignore = frames.feed(garbage, [&](const Frame& frame) {
      bytes_seen += header_bytes + frame.metadata.size() + frame.body.size();
    });
    BOOST_TEST(bytes_seen <= garbage.size());
  }
}

BOOST_AUTO_TEST_CASE(patience_crosses_without_clocks_that_agree) {
  const Instant here{std::chrono::hours{5}};
  const Instant there{std::chrono::seconds{3}};
  const std::uint32_t patience = patience_us(here, here + std::chrono::milliseconds{20});
  BOOST_TEST((deadline_of(there, patience) == there + std::chrono::milliseconds{20}));
  BOOST_TEST((deadline_of(there, patience_us(here, never)) == never));
  BOOST_TEST(patience_us(here, here - std::chrono::seconds{1}) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
