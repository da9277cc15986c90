// Plays tests/transcripts/raft/*.txt: what is done, and what the replicas note of it.
//
// A transcript is blocks of commands, each followed by `----` and what came of them. With
// TRANSCRIPTS=write the files are written anew; read the difference before you commit it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

const char* const folder = "tests/transcripts/raft";

class Player {
 public:
  /// What the transcript says when it is played: its commands, with what comes of them now.
  std::string play(const std::string& transcript) {
    std::istringstream lines{transcript};
    std::string line;
    std::string played;
    bool expected = false;  // what stands there was the outcome when it was written
    while (std::getline(lines, line)) {
      if (line == "----") {
        played += "----\n" + outcome();
        expected = true;
      } else if (expected && line.empty()) {
        expected = false;
        played += "\n";
      } else if (!expected) {
        played += line + "\n";
        if (!line.empty() && line.front() != '#') {
          run(line);
        }
      }
    }
    return played;
  }

 private:
  void run(const std::string& line) {
    std::istringstream words{line};
    std::string verb;
    std::uint32_t node = 0;
    words >> verb;
    if (verb == "nodes") {
      words >> node;
      group_ = std::make_unique<RaftGroup>(node);
      count_ = node;
      group_->notes().clear();
      return;
    }
    BOOST_REQUIRE(group_ != nullptr);
    if (verb == "run") {
      std::int64_t ms = 0;
      words >> ms;
      return group_->run(std::chrono::milliseconds{ms});
    }
    if (verb == "deliver") {
      return group_->settle();
    }
    if (verb == "heal") {
      return group_->heal();
    }
    if (verb == "drop") {
      return group_->drop_mail();
    }
    if (verb == "logs") {
      return show_logs();
    }
    words >> node;
    run_on(verb, node, words);
  }

  void run_on(const std::string& verb, std::uint32_t node, std::istringstream& words) {
    std::string key;
    std::string value;
    if (verb == "timeout") {
      group_->timeout(node);
    } else if (verb == "leader") {
      BOOST_TEST(group_->make_leader(node));
    } else if (verb == "win") {
      BOOST_TEST(group_->win(node));
      group_->drop_mail();
    } else if (verb == "cut") {
      group_->cut(node);
    } else if (verb == "unlink") {
      std::uint32_t other = 0;
      words >> other;
      group_->cut(node, other);
      group_->cut(other, node);
    } else if (verb == "crash") {
      group_->crash(node);
      std::erase_if(open_, [node](const Open& each) { return each.node == node; });
    } else if (verb == "start") {
      group_->start(node);
    } else if (verb == "hang") {
      group_->hang_disk(node);
    } else if (verb == "mend") {
      group_->mend_disk(node);
    } else if (verb == "put") {
      words >> key >> value;
      open_.push_back({group_->put(node, key, value), node, "put " + key + " " + value});
    } else if (verb == "get") {
      words >> key;
      open_.push_back({group_->get(node, key), node, "get " + key});
    } else if (verb == "change") {
      change(node, words);
    } else if (verb == "transfer") {
      std::uint32_t to = 0;
      words >> to;
      group_->step(node, [to](RaftReplica& replica, Instant now, Effects& out) {
        BOOST_TEST(replica.life()->transfer_leadership(now, {to}, out) == nullptr);
      });
    } else {
      BOOST_ERROR("no such command: " << verb);
    }
  }

  /// change NODE VOTER… [learners NODE…]
  void change(std::uint32_t node, std::istringstream& words) {
    Membership next;
    std::vector<NodeId>* list = &next.voters;
    for (std::string word; words >> word;) {
      if (word == "learners") {
        list = &next.learners;
      } else {
        list->push_back({static_cast<std::uint32_t>(std::stoul(word))});
      }
    }
    group_->step(node, [&](RaftReplica& replica, Instant now, Effects& out) {
      const char* why = replica.life()->change_membership(now, next, out);
      shown_ += why == nullptr ? "" : "refused: " + std::string{why} + "\n";
    });
  }

  void show_logs() {
    for (std::uint32_t node = 1; node <= count_; ++node) {
      shown_ += "node=" + std::to_string(node) +
                (group_->up(node) ? " commit=" + std::to_string(group_->raft(node).commit().value) +
                                        " terms: " + group_->terms(node)
                                  : " is down") +
                "\n";
    }
  }

  std::string outcome() {
    std::string text;
    for (const NotedLine& line : group_->notes()) {
      text += "node=" + std::to_string(line.node.value) + " " + line.fields + "\n";
    }
    group_->notes().clear();
    std::erase_if(open_, [&](const Open& each) {
      const Reply* reply = group_->answer(each.request);
      if (reply == nullptr) {
        return false;
      }
      text += each.what + " -> " + std::string{name_of(reply->status)} +
              (reply->value.empty() ? "" : " " + reply->value) +
              (reply->why.empty() ? "" : ": " + reply->why) + "\n";
      return true;
    });
    for (const Open& each : open_) {
      text += each.what + " -> waits\n";
    }
    return text + std::exchange(shown_, {});
  }

  std::unique_ptr<RaftGroup> group_;
  std::uint32_t count_ = 0;
  struct Open {
    RequestId request;
    std::uint32_t node;
    std::string what;
  };
  std::vector<Open> open_;
  std::string shown_;
};

std::string read(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_transcripts)

BOOST_AUTO_TEST_CASE(every_transcript_is_what_happens) {
  const char* mode = std::getenv("TRANSCRIPTS");
  std::size_t played = 0;
  for (const auto& each : std::filesystem::directory_iterator{folder}) {
    if (each.path().extension() != ".txt") {
      continue;
    }
    ++played;
    const std::string written = read(each.path());
    const std::string now = Player{}.play(written);
    if (mode != nullptr && std::string{mode} == "write") {
      std::ofstream{each.path()} << now;
    } else {
      BOOST_TEST_CONTEXT(each.path().string()) {
        BOOST_TEST(now == written);
      }
    }
  }
  BOOST_TEST(played >= 6U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
