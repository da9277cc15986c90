// TLS as bytes in memory, without sockets.
#include "phase2_rpc/tls_pipe.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase2_rpc/certificates.h"

namespace kv::rpc {
namespace {

std::shared_ptr<boost::asio::ssl::context> context_of(const TlsFiles& files, TlsSide side) {
  std::string why;
  auto context = open_tls(files, side, why);
  BOOST_REQUIRE_EQUAL(why, "");
  return context;
}

/// A client's and a server's end, and what each has heard.
struct Pair {
  Pair(const TlsFiles& client_files, const TlsFiles& server_files)
      : client_context(context_of(client_files, TlsSide::client)),
        server_context(context_of(server_files, TlsSide::server)),
        client(*client_context, TlsSide::client),
        server(*server_context, TlsSide::server) {}

  /// Carries bytes to and fro, `step` at a time, until there are none or one end refuses.
  bool carry(std::size_t step) {
    for (;;) {
      Bytes up;
      client.take_output(up);
      Bytes down;
      server.take_output(down);
      if (up.empty() && down.empty()) {
        return true;
      }
      carried += up + down;
      if (!feed(server, up, step, server_heard) || !feed(client, down, step, client_heard)) {
        return false;
      }
    }
  }
  static bool feed(TlsPipe& to, ByteView bytes, std::size_t step, Bytes& heard) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
      if (!to.feed(bytes.substr(0, step), heard)) {
        return false;
      }
    }
    return true;
  }

  std::shared_ptr<boost::asio::ssl::context> client_context;
  std::shared_ptr<boost::asio::ssl::context> server_context;
  TlsPipe client;
  TlsPipe server;
  Bytes client_heard;
  Bytes server_heard;
  Bytes carried;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_tls_pipe)

BOOST_AUTO_TEST_CASE(what_one_side_says_the_other_hears_however_the_network_cuts_it) {
  Certificates certificates;
  certificates.authority("ours");
  const TlsFiles one = certificates.signed_by("ours", "one");
  const TlsFiles two = certificates.signed_by("ours", "two");
  const Bytes large(100'000, 'x');
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1'000'000}}) {
    Pair pair{one, two};
    BOOST_TEST(!pair.client.established());
    BOOST_REQUIRE(pair.carry(step));
    BOOST_TEST(pair.client.established());
    BOOST_TEST(pair.client.seal("a word in confidence"));
    BOOST_TEST(pair.server.seal(large));
    BOOST_REQUIRE(pair.carry(step));
    BOOST_TEST(pair.server_heard == "a word in confidence");
    BOOST_TEST((pair.client_heard == large));
    BOOST_TEST(pair.carried.find("confidence") == Bytes::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_byte_that_was_changed_on_the_way_ends_the_conversation) {
  Certificates certificates;
  certificates.authority("ours");
  const TlsFiles files = certificates.signed_by("ours", "both");
  Pair pair{files, files};
  BOOST_REQUIRE(pair.carry(1000));
  BOOST_TEST(pair.client.seal("pay 100 to Alice"));
  Bytes sealed;
  pair.client.take_output(sealed);
  sealed[sealed.size() / 2] = static_cast<char>(sealed[sealed.size() / 2] ^ 1);
  BOOST_TEST(!pair.server.feed(sealed, pair.server_heard));
  BOOST_TEST(pair.server_heard.empty());
  BOOST_TEST(pair.server.why().starts_with("TLS: "), pair.server.why());
}

BOOST_AUTO_TEST_CASE(either_side_refuses_a_certificate_of_another_authority) {
  Certificates certificates;
  const std::string ours = certificates.authority("ours");
  certificates.authority("theirs");
  const TlsFiles good = certificates.signed_by("ours", "good");
  TlsFiles stranger = certificates.signed_by("theirs", "stranger");
  stranger.authority = ours;  // it would believe us
  Pair asked{stranger, good};
  BOOST_TEST(!asked.carry(1000));
  BOOST_TEST(asked.server.why().find("verify failed") != std::string::npos, asked.server.why());
  Pair asking{good, stranger};
  BOOST_TEST(!asking.carry(1000));
  BOOST_TEST(asking.client.why().find("verify failed") != std::string::npos, asking.client.why());
}

BOOST_AUTO_TEST_CASE(a_peer_is_spoken_to_only_under_the_name_that_was_asked_for) {
  Certificates certificates;
  certificates.authority("ours");
  const TlsFiles server = certificates.signed_by("ours", "replica.example");
  TlsFiles client = certificates.signed_by("ours", "client");
  client.name = "replica.example";
  Pair good{client, server};
  BOOST_TEST(good.carry(1000));
  client.name = "other.example";
  Pair wrong{client, server};
  BOOST_TEST(!wrong.carry(1000));
  BOOST_TEST(wrong.client.why().find("verify failed: hostname mismatch") != std::string::npos,
             wrong.client.why());
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_tls_are_refused) {
  Certificates certificates;
  certificates.authority("ours");
  Pair pair{certificates.signed_by("ours", "one"), certificates.signed_by("ours", "two")};
  BOOST_TEST(!pair.server.feed(Bytes(1000, 'x'), pair.server_heard));
  BOOST_TEST(pair.server_heard.empty());
  BOOST_TEST(!pair.client.feed(Bytes(1000, 'x'), pair.client_heard));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
