#include "tools/check_command.h"

#include <unistd.h>

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

BOOST_AUTO_TEST_CASE(a_search_that_may_not_go_on_cannot_tell) {
  const Files files;
  const Told told = check({files.add("good", write_a + read_a)}, {.steps_max = 1});
  BOOST_TEST(told.exit_code == 2);
  BOOST_TEST(told.output.starts_with("cannot tell: 2 operations on 1 key; key k: "), told.output);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::tools
