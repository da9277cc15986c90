#include "tools/load_dialect.h"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

constexpr Item item{"key:1", "some\tvalue"};

struct Said {
  Bytes request;
  Bytes answer;
};

Said put(Dialect dialect) {
  Said said;
  append_put(dialect, item, said.request, said.answer);
  return said;
}

Said get(Dialect dialect) {
  Said said;
  append_get(dialect, item, said.request, said.answer);
  return said;
}

/// The answers that a stream is cut into when it comes byte by byte.
std::vector<Bytes> cut(Dialect dialect, const std::vector<Bytes>& answers) {
  Bytes stream;
  std::vector<Bytes> found;
  for (const Bytes& answer : answers) {
    for (const char byte : answer) {
      stream += byte;
      const std::size_t length = answer_bytes(dialect, stream, answer);
      if (length == answer_malformed) {
        return found;
      }
      if (length != answer_unfinished) {
        found.push_back(stream.substr(0, length));
        stream.erase(0, length);
      }
    }
  }
  return found;
}

void check_cut(Dialect dialect, const std::vector<Bytes>& answers) {
  BOOST_TEST(cut(dialect, answers) == answers, boost::test_tools::per_element());
  Bytes stream;
  for (const Bytes& answer : answers) {
    stream += answer;
  }
  BOOST_TEST(answer_bytes(dialect, stream, answers[0]) == answers[0].size());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_dialect)

BOOST_AUTO_TEST_CASE(line_requests_and_answers_are_those_of_the_protocol) {
  BOOST_TEST(put(Dialect::line).request == "PUT key:1 some\tvalue\n");
  BOOST_TEST(put(Dialect::line).answer == "OK\n");
  BOOST_TEST(get(Dialect::line).request == "GET key:1\n");
  BOOST_TEST(get(Dialect::line).answer == "VALUE some\tvalue\n");
}

BOOST_AUTO_TEST_CASE(an_echo_answers_a_line_request_with_itself) {
  for (const Said& said : {put(Dialect::echo), get(Dialect::echo)}) {
    BOOST_TEST(said.request == said.answer);
  }
  BOOST_TEST(put(Dialect::echo).request == put(Dialect::line).request);
  BOOST_TEST(get(Dialect::echo).request == get(Dialect::line).request);
}

BOOST_AUTO_TEST_CASE(resp_requests_and_answers_are_as_redis_has_them) {
  BOOST_TEST(put(Dialect::resp).request ==
             "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$10\r\nsome\tvalue\r\n");
  BOOST_TEST(put(Dialect::resp).answer == "+OK\r\n");
  BOOST_TEST(get(Dialect::resp).request == "*2\r\n$3\r\nGET\r\n$5\r\nkey:1\r\n");
  BOOST_TEST(get(Dialect::resp).answer == "$10\r\nsome\tvalue\r\n");
}

BOOST_AUTO_TEST_CASE(memcache_requests_and_answers_are_as_memcached_has_them) {
  BOOST_TEST(put(Dialect::memcache).request == "set key:1 0 0 10\r\nsome\tvalue\r\n");
  BOOST_TEST(put(Dialect::memcache).answer == "STORED\r\n");
  BOOST_TEST(get(Dialect::memcache).request == "get key:1\r\n");
  BOOST_TEST(get(Dialect::memcache).answer == "VALUE key:1 0 10\r\nsome\tvalue\r\nEND\r\n");
}

BOOST_AUTO_TEST_CASE(several_append_one_after_the_other) {
  for (const Dialect dialect : {Dialect::line, Dialect::resp, Dialect::memcache, Dialect::echo}) {
    Said both = put(dialect);
    append_get(dialect, item, both.request, both.answer);
    BOOST_TEST(both.request == put(dialect).request + get(dialect).request);
    BOOST_TEST(both.answer == put(dialect).answer + get(dialect).answer);
  }
}

BOOST_AUTO_TEST_CASE(answers_are_found_wherever_the_stream_is_split) {
  check_cut(Dialect::line, {"OK\n", "VALUE some\tvalue\n", "NOT_FOUND\n", "ERROR why\n", "\n"});
  check_cut(Dialect::resp, {"+OK\r\n", "$4\r\na\r\nb\r\n", "$-1\r\n", "-ERR no\r\n", ":12\r\n",
                            "$0\r\n\r\n", "$2\r\n\r\n\r\n"});
  check_cut(Dialect::memcache,
            {"STORED\r\n", "VALUE k 0 6\r\na\r\nEND\r\nEND\r\n", "END\r\n", "ERROR\r\n",
             "SERVER_ERROR out of memory\r\n", "VALUE k 0 0\r\n\r\nEND\r\n"});
  check_cut(Dialect::echo, {"PUT a b\n", "GET a\n", "no line end"});
}

BOOST_AUTO_TEST_CASE(what_has_no_end_that_could_be_found_is_malformed) {
  for (const std::string_view stream :
       {"what\r\n", "$x\r\n", "$\r\n", "$-2\r\n", "$2\r\nabc\r\n", "$99999999999\r\n"}) {
    BOOST_TEST(answer_bytes(Dialect::resp, stream, "") == answer_malformed, stream);
  }
  for (const std::string_view stream :
       {"VALUE k 0 x\r\n", "VALUE k 0 1\r\nab\r\nEND\r\n", "VALUE k 0 1\r\na\r\nXXX\r\n"}) {
    BOOST_TEST(answer_bytes(Dialect::memcache, stream, "") == answer_malformed, stream);
  }
  const Bytes endless(answer_bytes_max + 1, 'a');
  BOOST_TEST(answer_bytes(Dialect::line, endless, "") == answer_malformed);
  BOOST_TEST(answer_bytes(Dialect::memcache, endless, "") == answer_malformed);
}

BOOST_AUTO_TEST_CASE(a_memcached_datagram_begins_with_its_requests_number) {
  Bytes header;
  append_memcache_header(header, 0xabcd);
  const Bytes wanted{'\xab', '\xcd', 0, 0, 0, 1, 0, 0};
  BOOST_TEST(header == wanted);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
