#include "common/core/varint.h"

#include <string>

#include <boost/test/unit_test.hpp>

namespace kv {

BOOST_AUTO_TEST_SUITE(core_varint)

BOOST_AUTO_TEST_CASE(every_number_is_read_again_and_takes_as_few_bytes_as_it_needs) {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const std::uint64_t most = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
    Bytes bytes;
    write_varint(bytes, most);
    BOOST_TEST(bytes.size() == (bits == 0 ? 1 : (bits + 6) / 7));
    ByteView rest = bytes;
    BOOST_TEST((read_varint(rest) == most));
    BOOST_TEST(rest.empty());
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      ByteView part = ByteView{bytes}.substr(0, cut);
      BOOST_TEST(!read_varint(part).has_value());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_number_beyond_64_bits_is_refused) {
  for (const std::string& bytes : {std::string(9, '\xff') + '\x02', std::string(11, '\x80')}) {
    ByteView view = bytes;
    BOOST_TEST(!read_varint(view).has_value());
  }
}

BOOST_AUTO_TEST_CASE(strings_are_read_one_after_another_and_none_past_the_end) {
  Bytes bytes;
  write_string(bytes, "");
  write_string(bytes, std::string(300, 'x'));
  ByteView rest = bytes;
  BOOST_TEST((read_string(rest) == ""));
  BOOST_TEST((read_string(rest) == std::string(300, 'x')));
  BOOST_TEST(!read_string(rest).has_value());
  ByteView lie{
      "\x05"
      "abcd"};
  BOOST_TEST(!read_string(lie).has_value());
}

BOOST_AUTO_TEST_CASE(eight_bytes_are_the_number_low_byte_first) {
  Bytes bytes;
  write_fixed(bytes, 0x0102030405060708);
  BOOST_TEST(bytes == "\x08\x07\x06\x05\x04\x03\x02\x01");
  ByteView rest = bytes;
  BOOST_TEST((read_fixed(rest) == 0x0102030405060708U));
  BOOST_TEST(!read_fixed(rest).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
