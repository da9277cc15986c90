#include "common/wire/frame.h"

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

using wire::Frame;
using wire::FrameVerdict;

Bytes framed(const Frame& frame) {
  Bytes bytes;
  wire::append_frame(bytes, frame);
  return bytes;
}

const Frame vote{.from = {2}, .to = {1}, .msg = 77, .body = "a vote"};

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_frame)

BOOST_AUTO_TEST_CASE(what_was_framed_is_taken_again_and_the_rest_stays) {
  const Bytes bytes = framed(vote) + framed({.from = {3}, .to = {4}, .msg = 78, .body = ""});
  ByteView stream = bytes;
  Frame frame;
  BOOST_TEST((wire::take_frame(stream, frame) == FrameVerdict::whole));
  BOOST_TEST((frame == vote));
  BOOST_TEST((wire::take_frame(stream, frame) == FrameVerdict::whole));
  BOOST_TEST((frame == Frame{.from = {3}, .to = {4}, .msg = 78, .body = ""}));
  BOOST_TEST(stream.empty());
}

BOOST_AUTO_TEST_CASE(a_frame_cut_at_any_byte_waits_for_the_rest_and_takes_nothing) {
  const Bytes bytes = framed(vote);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    ByteView stream = ByteView{bytes}.substr(0, cut);
    Frame frame;
    BOOST_TEST((wire::take_frame(stream, frame) == FrameVerdict::partial));
    BOOST_TEST(stream.size() == cut);
  }
}

BOOST_AUTO_TEST_CASE(no_flipped_bit_gets_through) {
  const Bytes bytes = framed(vote);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ByteView stream = flipped;
    Frame frame;
    // A longer length waits for bytes that never come: partial, until more arrive.
    BOOST_TEST((wire::take_frame(stream, frame) != FrameVerdict::whole));
  }
}

BOOST_AUTO_TEST_CASE(a_length_beyond_the_limit_is_damage_at_once) {
  Bytes bytes = framed(vote);
  bytes[7] = '\x7f';
  ByteView stream = bytes;
  Frame frame;
  BOOST_TEST((wire::take_frame(stream, frame) == FrameVerdict::damaged));
}

BOOST_AUTO_TEST_CASE(what_does_not_begin_like_a_frame_is_damage_at_the_first_byte) {
  ByteView stream = "G";
  Frame frame;
  BOOST_TEST((wire::take_frame(stream, frame) == FrameVerdict::damaged));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
