#include "tools/house_check.h"

#include <boost/test/unit_test.hpp>

namespace kv::tools {
namespace {

const std::string clean_header =
    "// What this is for, in a sentence.\n#pragma once\n\n#include <string>\n";

/// The rules that a tree of this one file breaks, with their lines: "purity:3 include_arrow:5".
std::string broken(const std::string& path, const std::string& content) {
  std::string rules;
  for (const Finding& finding : check_house({{path, content}})) {
    rules += (rules.empty() ? "" : " ") + finding.rule + ":" + std::to_string(finding.line);
  }
  return rules;
}

std::string including(const std::string& header) {
  return "#include \"" + header + "\"\n";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_house_check)

BOOST_AUTO_TEST_CASE(a_clean_tree_has_no_findings) {
  const std::vector<SourceFile> tree = {
      {"common/core/time.h", clean_header},
      {"common/kv/store.cc", including("common/core/time.h") + including("common/kv/store.h")},
      {"common/host/log.cc", "#include <thread>\n" + including("common/wire/line.h")},
      {"phase3_2pc/participant.h", clean_header + including("common/kv/replica.h")},
      {"phase3_2pc/server_main.cc",
       "#include <thread>\n" + including("common/host/log.h") + including("phase1_sockets/x.h")},
      {"phase4_paxos/role_threads.h",
       clean_header + "#include <mutex>\n" + including("common/host/log.h")},
      {"phase2_rpc/server_main.cc", including("phase1_sockets/tcp_server.h")},
      {"phase2_rpc/replica_server.cc", including("phase1_sockets/tcp_server.h")},
      {"tests/common/core/time_test.cc", including("phase5_raft/raft.h")},
      {"tests/run", "#!/bin/bash\n# no sleep here\n"},
  };
  for (const Finding& finding : check_house(tree)) {
    BOOST_ERROR(to_text(finding));
  }
}

BOOST_AUTO_TEST_CASE(a_finding_is_one_line_that_says_where_what_which_rule_and_what_to_do) {
  const auto findings = check_house({{"common/core/a.cc", "\n#include <thread>\n"}});
  BOOST_TEST_REQUIRE(findings.size() == 1U);
  BOOST_TEST(to_text(findings[0]) ==
             "common/core/a.cc:2: <thread> is a thread [purity]: let the host or the simulator "
             "hand it in");
}

BOOST_AUTO_TEST_CASE(each_arrow_that_is_not_drawn_is_found) {
  const std::pair<const char*, const char*> forbidden[] = {
      {"common/core/a.cc", "common/kv/store.h"},
      {"common/kv/a.cc", "common/wire/line.h"},
      {"common/wire/a.cc", "common/host/log.h"},
      {"common/host/a.cc", "common/sim/simulator.h"},
      {"common/sim/a.cc", "common/host/log.h"},
      {"common/client/a.cc", "common/host/log.h"},
      {"common/host/a.cc", "phase1_sockets/tcp_server.h"},
      {"common/core/a.cc", "tools/house_check.h"},
      {"phase1_sockets/a.cc", "phase2_rpc/rpc_server.h"},
      {"phase1_sockets/server_main.cc", "phase2_rpc/rpc_server.h"},
      {"phase2_rpc/a.cc", "phase1_sockets/tcp_server.h"},
      {"phase2_rpc/replica_figures.cc", "phase1_sockets/tcp_server.h"},
      {"phase2_rpc/server_main.cc", "phase3_2pc/messages.h"},
      {"phase3_2pc/a.cc", "common/host/log.h"},
      {"phase3_2pc/a.cc", "common/sim/simulator.h"},
      {"phase4_paxos/a.cc", "phase2_rpc/rpc_client.h"},
      {"phase4_paxos/a.cc", "phase5_raft/raft.h"},
      {"phase3_2pc/server_main.cc", "phase4_paxos/acceptor.h"},
      {"phase5_raft/role_threads.cc", "phase3_2pc/messages.h"},
      {"common/newcomer/a.cc", "common/core/time.h"},
      {"phase5_raft/a.cc", "raft.h"},
      {"tools/a.cc", "house_check.h"},
  };
  for (const auto& [from, to] : forbidden) {
    BOOST_TEST(broken(from, "\n" + including(to)) == "include_arrow:2", from << " to " << to);
  }
}

BOOST_AUTO_TEST_CASE(each_impure_header_is_found_in_every_pure_place) {
  for (const char* header : {"thread",
                             "mutex",
                             "shared_mutex",
                             "condition_variable",
                             "atomic",
                             "future",
                             "random",
                             "ctime",
                             "time.h",
                             "fstream",
                             "iostream",
                             "filesystem",
                             "fcntl.h",
                             "unistd.h",
                             "csignal",
                             "poll.h",
                             "netdb.h",
                             "sys/socket.h",
                             "netinet/in.h",
                             "arpa/inet.h",
                             "event2/event.h",
                             "boost/asio.hpp",
                             "boost/asio/ip/tcp.hpp",
                             "spdlog/spdlog.h",
                             "pthread.h"}) {
    BOOST_TEST(
        broken("phase5_raft/raft.cc", "#include <" + std::string{header} + ">\n") == "purity:1",
        header);
  }
  for (const char* path : {"common/core/a.cc", "common/kv/a.cc", "common/wire/a.cc",
                           "common/sim/a.cc", "phase3_2pc/a.cc", "phase4_paxos/a.cc"}) {
    BOOST_TEST(broken(path, "#include <thread>\n") == "purity:1", path);
  }
}

BOOST_AUTO_TEST_CASE(each_impure_word_is_found) {
  for (const char* code : {"auto t = std::chrono::steady_clock::now();",
                           "auto t = system_clock::now();",
                           "std::random_device seed;",
                           "int n = rand() % 3;",
                           "srand(7);",
                           "std::thread t;",
                           "std::jthread t;",
                           "std::mutex m;",
                           "std::atomic<int> n;",
                           "thread_local int n;",
                           "std::this_thread::sleep_for(1s);",
                           "auto* f = fopen(name, mode);",
                           "std::cout << 1;",
                           "std::cerr << 1;",
                           "getenv(name);",
                           "std::printf(text);",
                           "time(nullptr);",
                           "clock_gettime(CLOCK_REALTIME, &t);",
                           "getrandom(p, 8, 0);",
                           "std::async(f);"}) {
    BOOST_TEST(broken("phase4_paxos/acceptor.cc", code) == "purity:1", code);
  }
}

BOOST_AUTO_TEST_CASE(impurity_is_no_fault_where_it_belongs) {
  const std::string code = "#include <thread>\nstd::mutex m;\nauto t = steady_clock::now();\n";
  for (const char* path : {"common/host/a.cc", "common/client/a.cc", "common/kv/sharded_store.cc",
                           "common/sim/runner.cc", "phase1_sockets/a.cc", "phase2_rpc/a.cc",
                           "phase5_raft/cs3700_main.cc", "phase4_paxos/role_threads.cc",
                           "tools/a.cc", "tests/common/kv/a_test.cc"}) {
    BOOST_TEST(broken(path, code).empty(), path);
  }
  BOOST_TEST(
      broken("common/core/check.h", "// A.\n#pragma once\nstd::fprintf(stderr, x);").empty());
}

BOOST_AUTO_TEST_CASE(names_in_prose_and_parts_of_other_names_are_no_fault) {
  for (const char* code :
       {"// std::thread, rand( and #include <thread>", "/* std::mutex\n std::thread */",
        "auto s = \"std::thread\";", "auto s = R\"x(std::thread \" )\" rand()x\";",
        "int operand(int);", "my_rand(3);", "auto s = \"\\\"std::thread\";", "snprintf(b, 3, f);",
        "auto c = '\"'; auto s = \"rand()\";", "int n = 1'000; auto s = \"rand() 'x'\";"}) {
    BOOST_TEST(broken("phase4_paxos/acceptor.cc", code).empty(), code);
  }
  BOOST_TEST(broken("phase4_paxos/a.cc", "auto c = '\"'; rand(); auto d = '\"';") == "purity:1");
  BOOST_TEST(broken("phase4_paxos/a.cc", "int n = 1'000; rand(); int m = 2'000;") == "purity:1");
}

BOOST_AUTO_TEST_CASE(code_keeps_its_lines_and_columns_when_prose_is_taken_out) {
  BOOST_TEST(code_of("a /* b\nc */ d // e\n\"f\" 'g' h") == "a     \n     d     \n        h");
  BOOST_TEST(code_of("\"unclosed\nx") == "         \nx");
  BOOST_TEST(code_of("R\"(unclosed") == "R          ");
}

BOOST_AUTO_TEST_CASE(a_junk_drawer_is_found_by_its_name_in_common_alone) {
  for (const char* path :
       {"common/util/a.cc", "common/core/string_utils.cc", "common/host/helper.cc",
        "common/kv/lock_manager.cc", "common/wire/misc.cc", "common/sim/base.cc"}) {
    BOOST_TEST(broken(path, "").find("no_junk_drawer:1") != std::string::npos, path);
  }
  BOOST_TEST(broken("common/core/database.cc", "").empty());
  BOOST_TEST(broken("phase1_sockets/base.cc", "").empty());
}

BOOST_AUTO_TEST_CASE(a_header_needs_a_sentence_and_pragma_once) {
  BOOST_TEST(broken("tools/a.h", clean_header).empty());
  BOOST_TEST(broken("tools/a.h", "#pragma once\n") == "header_opens_with_a_sentence:1");
  BOOST_TEST(broken("tools/a.h", "// no sentence\n#pragma once\n") ==
             "header_opens_with_a_sentence:1");
  BOOST_TEST(broken("tools/a.h", "// A sentence.\n#include <string>\n") == "pragma_once:2");
  BOOST_TEST(broken("tools/a.h", "// A sentence.\n//\n// More.\n\n#pragma once\n").empty());
  BOOST_TEST(broken("tools/a.h", "").find("pragma_once") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(files_and_lines_beyond_their_size_are_found) {
  std::string lines;
  for (std::size_t i = 0; i < file_lines_max; ++i) {
    lines += "x;\n";
  }
  BOOST_TEST(broken("tools/a.cc", lines).empty());
  BOOST_TEST(broken("tools/a.cc", lines + "x;\n") == "file_size:601");
  BOOST_TEST(broken("tools/a.cc", std::string(100, 'x')).empty());
  BOOST_TEST(broken("tools/a.cc", "\n" + std::string(101, 'x')) == "line_size:2");
  std::string wide;
  for (int i = 0; i < 100; ++i) {
    wide += "é";  // two bytes, one column
  }
  BOOST_TEST(broken("tools/a.cc", wide).empty());
}

BOOST_AUTO_TEST_CASE(what_is_postponed_is_found_also_in_comments_and_scripts) {
  BOOST_TEST(broken("tools/a.cc",
                    "// TO"
                    "DO: later\n") == "nothing_postponed:1");
  BOOST_TEST(broken("tools/a.sh",
                    "# FIX"
                    "ME\n") == "nothing_postponed:1");
  BOOST_TEST(broken("tools/a.cc",
                    "// methodology TO"
                    "DOS\n")
                 .empty());
}

BOOST_AUTO_TEST_CASE(a_test_that_sleeps_is_found) {
  BOOST_TEST(broken("tests/a_test.cc", "std::this_thread::sleep_for(1s);") == "no_sleep:1");
  BOOST_TEST(broken("tests/a_test.cc", "usleep(3);") == "no_sleep:1");
  BOOST_TEST(broken("tests/a_test.cc", "::sleep(3);") == "no_sleep:1");
  BOOST_TEST(broken("tests/e2e/a_test.sh", "start\nsleep 1\n") == "no_sleep:2");
  BOOST_TEST(
      broken("tests/a_test.cc", "// no sleep\n BOOST_AUTO_TEST_CASE(no_sleep_here)").empty());
  BOOST_TEST(broken("tools/a.sh", "sleep 1\n").empty());
}

BOOST_AUTO_TEST_CASE(findings_come_file_by_file_in_the_order_of_their_lines) {
  const auto findings = check_house(
      {{"common/core/b.cc", "rand();\n#include <thread>\n"}, {"common/core/a.cc", "rand();\n"}});
  BOOST_TEST_REQUIRE(findings.size() == 3U);
  BOOST_TEST(findings[0].path == "common/core/b.cc");
  BOOST_TEST(findings[1].line == 2U);
  BOOST_TEST(findings[2].path == "common/core/a.cc");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::tools
