#include "common/sim/runner.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include "common/core/check.h"
#include "common/sim/history.h"
#include "common/sim/journaling_protocol.h"
#include "common/sim/scenario_text.h"

namespace kv {
BOOST_AUTO_TEST_SUITE(sim_runner)

namespace {

namespace fs = std::filesystem;

enum class Flaw { none, forgets_records, fails_a_check };

/// Does as the simplest protocol does, but for its flaw.
class Flawed final : public Replica {
 public:
  explicit Flawed(Flaw flaw) : flaw_(flaw) {}

  void restore(ByteView piece) override { inner_.restore(piece); }
  void recover(ByteView record) override {
    recovered_ = true;
    inner_.recover(record);
  }
  void start(Instant now, Effects& out) override { inner_.start(now, out); }
  void receive(Instant, NodeId, ByteView, Effects&) override {}
  void request(Instant now, RequestId id, const Command& command, Effects& out) override {
    inner_.request(now, id, command, out);
    if (flaw_ == Flaw::forgets_records && inner_.applied() % 10 == 9) {
      out.records.clear();
    }
  }
  void tick(Instant, Effects&) override {}
  Instant wake_at() const override { return never; }
  bool begin_snapshot() override { return inner_.begin_snapshot(); }
  Bytes next_snapshot_piece() override { return inner_.next_snapshot_piece(); }
  void check_invariants() const override {
    check(flaw_ != Flaw::fails_a_check || !recovered_ || inner_.applied() < 30);
  }
  const sim::JournalingReplica& inner() const { return inner_; }

 private:
  Flaw flaw_;
  sim::JournalingReplica inner_;
  bool recovered_ = false;
};

class FlawedProtocol final : public sim::Protocol {
 public:
  explicit FlawedProtocol(Flaw flaw) : flaw_(flaw) {}
  std::unique_ptr<Replica> make(NodeId, std::uint32_t, std::uint64_t) override {
    return std::make_unique<Flawed>(flaw_);
  }
  std::optional<sim::Violation> check(std::span<const Replica* const> replicas,
                                      NodeId stepped) override {
    const auto* flawed = static_cast<const Flawed*>(replicas[0]);
    const Replica* inner = flawed == nullptr ? nullptr : &flawed->inner();
    return sound_.check({&inner, 1}, stepped);
  }
  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override { return up == nodes; }

 private:
  Flaw flaw_;
  sim::JournalingProtocol sound_;
};

const sim::ProtocolTraits traits{.name = "flawed",
                                 .context = "phase=0",
                                 .cluster_sizes = {1},
                                 .roles = {},
                                 .survives_wiped_disk = false};

std::string text_of(const fs::path& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Folder {
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path = fs::temp_directory_path() / ("sim_runner_test_" + std::to_string(::getpid()));
};

struct Ran {
  int exit_code;
  std::string said;
};

Ran run(Flaw flaw, sim::RunnerOptions options) {
  options.out = std::tmpfile();
  BOOST_REQUIRE(options.out != nullptr);
  const int exit_code = sim::run_simulations(
      traits, [flaw] { return std::make_unique<FlawedProtocol>(flaw); }, options);
  std::rewind(options.out);
  std::string said;
  for (int byte = std::fgetc(options.out); byte != EOF; byte = std::fgetc(options.out)) {
    said += static_cast<char>(byte);
  }
  std::fclose(options.out);
  return {exit_code, said};
}

/// Runs seeds until one breaks; what it shrank to must break again, and be small.
void a_flaw_is_found_and_shrunk(Flaw flaw, std::string_view invariant) {
  const Folder folder;
  sim::RunnerOptions options{.program = "flawed_sim", .seed = 1, .seeds = 50};
  options.failures = folder.path;
  options.shrink_runs_max = 120;
  const Ran found = run(flaw, options);
  BOOST_REQUIRE(found.exit_code == sim::exit_broken);
  for (const std::string_view words : {invariant, std::string_view{" s, after "},
                                       std::string_view{"repeat: flawed_sim --seed "}}) {
    BOOST_TEST(found.said.find(words) != std::string::npos, found.said);
  }
  BOOST_REQUIRE(!fs::is_empty(folder.path));
  const fs::path file = fs::directory_iterator {
    folder.path
    } -> path();
  const auto parsed = sim::parse_scenario(text_of(file));
  const auto* scenario = std::get_if<sim::Scenario>(&parsed);
  BOOST_REQUIRE(scenario != nullptr);
  BOOST_TEST(scenario->faults.size() <= 2);
  BOOST_TEST(scenario->load.operations < 200);

  const std::string name = file.stem();
  options = {.program = "flawed_sim", .seed = std::stoull(name.substr(name.rfind('-') + 1))};
  options.scenario = file;
  options.shrink_runs_max = 0;
  BOOST_TEST(run(flaw, options).exit_code == sim::exit_broken);
  BOOST_TEST(run(Flaw::none, options).exit_code == sim::exit_all_hold);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_lost_record_is_found_and_shrinks_to_a_crash_and_a_few_operations) {
  a_flaw_is_found_and_shrunk(Flaw::forgets_records, "a_new_life_is_where_the_last_one_was");
}

BOOST_AUTO_TEST_CASE(a_failed_check_ends_a_child_only_and_shrinks_too) {
  a_flaw_is_found_and_shrunk(Flaw::fails_a_check, "check failed: tests/common/sim/runner_test.cc");
}

BOOST_AUTO_TEST_CASE(a_scenario_that_is_none_is_wrong_use) {
  const Folder folder;
  sim::RunnerOptions options{.program = "flawed_sim"};
  options.scenario = folder.path / "missing.scn";
  BOOST_TEST(run(Flaw::none, options).exit_code == sim::exit_wrong_use);
  options.scenario = folder.path / "bad.scn";
  std::ofstream{options.scenario} << "nodes many\n";
  BOOST_TEST(run(Flaw::none, options).exit_code == sim::exit_wrong_use);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_written_is_wrong_use_and_no_broken_protocol) {
  const Folder folder;
  sim::RunnerOptions options{.program = "flawed_sim", .seed = 5};
  std::ofstream{folder.path / "file"} << "not a folder\n";
  options.log = folder.path / "file";
  const Ran nowhere = run(Flaw::none, options);
  BOOST_TEST(nowhere.exit_code == sim::exit_wrong_use);
  BOOST_TEST(nowhere.said.find("broken") == std::string::npos);

  options.log = folder.path / "full";
  fs::create_directories(folder.path / "full");
  fs::create_symlink("/dev/full", folder.path / "full/node-1.log");
  BOOST_TEST(run(Flaw::none, options).exit_code == sim::exit_wrong_use);
}

BOOST_AUTO_TEST_CASE(a_run_writes_the_log_of_a_real_one_with_virtual_time) {
  const Folder folder;
  sim::RunnerOptions options{.program = "flawed_sim", .seed = 5};
  options.log = folder.path / "logs";
  BOOST_REQUIRE(run(Flaw::none, options).exit_code == sim::exit_all_hold);
  const std::string node = text_of(folder.path / "logs/node-1.log");
  BOOST_TEST(node.find("2000-01-01T00:00:00.000000Z info phase=0 node=1 event=start") == 0);
  BOOST_TEST(node.find("info phase=0 node=1 event=request op=c0.1 ") != std::string::npos);
  BOOST_TEST(text_of(folder.path / "logs/clients.log").find("event=answered op=c0.1") !=
             std::string::npos);
  std::vector<sim::Operation> history;
  std::string why;
  BOOST_TEST(sim::read_history(text_of(folder.path / "logs/history.jsonl"), history, why), why);
  BOOST_TEST(history.size() > 10);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
