#include "tools/check_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::tools {
namespace {

/// Files that go when the test does.
class Files {
 public:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "quintet-check-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files() {
    std::error_code ignored;  // a test's leftover in a temporary folder harms nobody
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string add(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream{path} << text;
    return path;
  }

 private:
  std::filesystem::path folder_;
};

struct Told {
  int exit_code;
  std::string output;
  std::string error;
};

Told check(const std::vector<std::string>& files, const sim::CheckLimits& limits = {}) {
  Told told{};
  told.exit_code = check_files(files, limits, told.output, told.error);
  return told;
}

const std::string write_a =
    R"({"client":1,"op":"put","key":"k","value":"a","call":0,"return":1000,"result":"ok"})"
    "\n";
const std::string read_a =
    R"({"client":2,"op":"get","key":"k","value":"a","call":2000,"return":3000,"result":"ok"})"
    "\n";
const std::string read_nothing =
    R"({"client":2,"op":"get","key":"k","call":2000,"return":3000,"result":"not_found"})"
    "\n";

/// A client's line, `ms` after noon.
std::string log(int ms, const std::string& fields) {
  char time[64];
  std::snprintf(time, sizeof time, "2026-11-20T12:00:00.%03d000Z info phase=1 client=", ms);
  return time + fields + "\n";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_check_command)

BOOST_AUTO_TEST_CASE(a_history_in_several_files_is_one_history) {
  const Files files;
  const Told told = check({files.add("writer", write_a), files.add("reader", read_a)});
  BOOST_TEST(told.exit_code == 0);
  BOOST_TEST(told.output == "linearizable: 2 operations on 1 key\n");
  BOOST_TEST(check({files.add("reader", read_a)}).exit_code == 1);
}

BOOST_AUTO_TEST_CASE(what_is_not_linearizable_is_shown) {
  const Files files;
  const Told told = check({files.add("bad", write_a + read_nothing)});
  BOOST_TEST(told.exit_code == 1);
  BOOST_TEST(told.output ==
             "not linearizable: of 2 operations on 1 key, nothing explains these 2:\n"
             "       0.000 ..        1.000 us  client 1    put k a  -> ok\n"
             "       2.000 ..        3.000 us  client 2    get k    -> not_found\n");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_said_with_file_and_line) {
  const Files files;
  const std::string path = files.add("odd", write_a + "what?\n");
  const Told odd = check({path});
  BOOST_TEST(odd.exit_code == 2);
  BOOST_TEST(odd.output.empty());
  BOOST_TEST(odd.error.starts_with("quintet check: " + path + ": line 2: no JSON"), odd.error);
  const Told missing = check({path + "-missing"});
  BOOST_TEST(missing.exit_code == 2);
  BOOST_TEST(missing.error.ends_with("-missing: No such file or directory\n"), missing.error);
}

BOOST_AUTO_TEST_CASE(clients_logs_are_judged_as_a_history_is) {
  const Files files;
  const std::string written = log(0, "writer event=request op=w.1 verb=put key=k value=\"a b\"") +
                              log(10, "writer event=answer op=w.1 result=ok us=9000");
  const std::string asked = log(20, "reader event=request op=r.1 verb=get key=k");
  const std::string read = log(30, "reader event=answer op=r.1 result=ok us=9000 value=\"a b\"");
  const std::string missed = log(30, "reader event=answer op=r.1 result=not_found us=9000");
  const std::string ping = log(1, "writer event=request op=w.2 verb=ping") +
                           log(2, "writer event=answer op=w.2 result=ok us=9");
  const std::string good = files.add("good", written + ping + asked + read);
  BOOST_TEST(check({good}).output == "linearizable: 2 operations on 1 key\n");
  const Told bad = check({files.add("writer", written), files.add("reader", asked + missed)});
  BOOST_TEST(bad.exit_code == 1);
  BOOST_TEST(bad.output.find("client 2    get k") != std::string::npos, bad.output);
  // A put without an answer may be done later: it explains the read of what it wrote.
  const std::string open = log(0, "writer event=request op=w.1 verb=put key=k value=\"a b\"");
  BOOST_TEST(check({files.add("open", open + asked + read)}).exit_code == 0);
}

BOOST_AUTO_TEST_CASE(a_log_that_does_not_tell_enough_is_not_judged) {
  const Files files;
  const std::string asked = log(0, "c event=request op=w.1 verb=put key=k value_bytes=300");
  const std::string end = log(10, "c event=answer op=w.1 result=ok us=9000");
  for (const std::string& path :
       {files.add("short", asked + end), files.add("cut", end),
        files.add("server", "2026-11-20T12:00:00.000000Z info phase=1 event=stopped\n")}) {
    const Told told = check({path});
    BOOST_TEST(told.exit_code == 2);
    BOOST_TEST(told.error.starts_with("quintet check: " + path + ": "), told.error);
    BOOST_TEST(std::count(told.error.begin(), told.error.end(), '\n') == 1);
  }
  const std::string good = log(0, "c event=request op=w.1 verb=put key=k value=a") + end;
  const Told mixed = check({files.add("log", good), files.add("history", write_a)});
  BOOST_TEST(mixed.exit_code == 2);
  BOOST_TEST(mixed.error.find("different clocks") != std::string::npos, mixed.error);
}

BOOST_AUTO_TEST_CASE(a_search_that_may_not_go_on_cannot_tell) {
  const Files files;
  const Told told = check({files.add("good", write_a + read_a)}, {.steps_max = 1});
  BOOST_TEST(told.exit_code == 2);
  BOOST_TEST(told.output.starts_with("cannot tell: 2 operations on 1 key; key k: "), told.output);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::tools
