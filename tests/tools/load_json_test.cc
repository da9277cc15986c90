#include "tools/load_json.h"

#include <limits>

#include <boost/test/unit_test.hpp>

namespace kv::load {

BOOST_AUTO_TEST_SUITE(tools_load_json)

BOOST_AUTO_TEST_CASE(members_stand_in_the_order_in_which_they_were_added) {
  Json json;
  json.add("target", "line://a:1").add("ops", std::uint64_t{7}).add("p50_us", 1.25);
  json.add("ids", true);
  BOOST_TEST(json.text() == R"({"target": "line://a:1", "ops": 7, "p50_us": 1.250, "ids": true})");
}

BOOST_AUTO_TEST_CASE(an_empty_object_is_one) {
  BOOST_TEST(Json{}.text() == "{}");
}

BOOST_AUTO_TEST_CASE(text_is_escaped_where_json_wants_it) {
  BOOST_TEST(Json{}.add("a\"b", "c\\d\ne\x01").text() == R"({"a\"b": "c\\d\u000ae\u0001"})");
}

BOOST_AUTO_TEST_CASE(what_is_no_number_is_null) {
  BOOST_TEST(Json{}.add("a", std::numeric_limits<double>::infinity()).text() == R"({"a": null})");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
