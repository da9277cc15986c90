#include "tests/transcripts/test_player.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include "common/core/check.h"
#include "common/host/flags.h"
#include "common/kv/roles.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::test {
namespace {

constexpr Duration link_delay = std::chrono::milliseconds{1};
constexpr int steps_max = 100'000;  // of one block: then it runs in circles

struct Mail {
  NodeId from;
  NodeId to;
  Bytes message;
};

class Cluster {
 public:
  Cluster(const Cast& cast, std::uint32_t count, Cast::Settings settings)
      : cast_(cast), settings_(std::move(settings)) {
    for (std::uint32_t i = 1; i <= count; ++i) {
      ids_.push_back({i});
    }
    for (const NodeId id : ids_) {
      start(id);
    }
  }

  void start(NodeId id) {
    Node& node = nodes_[id];
    node.replica = cast_.make(id, ids_, settings_);
    for (const Bytes& record : node.records) {
      node.replica->recover(record);
    }
    step(id, [&](Effects& out) { node.replica->start(now_, out); });
  }

  void crash(NodeId id) { nodes_.at(id).replica.reset(); }

  void kill(NodeId id, const std::string& role) { roles(id).kill_role(role); }

  void revive(NodeId id, const std::string& role) {
    for (const Bytes& record : nodes_.at(id).records) {
      roles(id).recover_role(role, record);
    }
    step(id, [&](Effects& out) { roles(id).start_role(role, now_, out); });
  }

  void ask(NodeId id, const Command& command) {
    const RequestId request{++last_request_};
    ops_[request] = command.origin;
    step(id, [&](Effects& out) { nodes_.at(id).replica->request(now_, request, command, out); });
  }

  void cut(NodeId one, NodeId other) {
    cut_.insert({one, other});
    cut_.insert({other, one});
  }
  void heal(NodeId one, NodeId other) {
    cut_.erase({one, other});
    cut_.erase({other, one});
  }
  void heal_all() { cut_.clear(); }
  void hold(NodeId from, NodeId to) { held_[{from, to}]; }
  void release(NodeId from, NodeId to) {
    const auto held = held_.extract(std::pair{from, to});
    for (Mail& mail : held ? held.mapped() : none_) {
      post(std::move(mail));
    }
  }
  bool repeat(NodeId from, NodeId to, const std::string& text) {
    for (auto mail = sent_.rbegin(); mail != sent_.rend(); ++mail) {
      if (mail->from == from && mail->to == to && describe(mail->message) == text) {
        post(*mail);
        return true;
      }
    }
    return false;
  }

  void pass(Duration time) {
    const Instant end = now_ + time;
    for (int steps = 0; steps < steps_max; ++steps) {
      if (!step_until(end)) {
        now_ = end;
        return;
      }
    }
    say("", "the block runs in circles");
  }

  std::vector<std::string> take_lines() { return std::exchange(lines_, {}); }

 private:
  struct Node {
    std::unique_ptr<Replica> replica;  // null: down
    std::vector<Bytes> records;
  };

  Roles& roles(NodeId id) {
    auto* roles = dynamic_cast<Roles*>(nodes_.at(id).replica.get());
    check(roles != nullptr);
    return *roles;
  }

  /// The next thing that happens up to `end`; false if there is none.
  bool step_until(Instant end) {
    const auto mail = mail_.begin();
    NodeId sleeper;
    Instant wake = never;
    for (const auto& [id, node] : nodes_) {
      if (node.replica != nullptr && node.replica->wake_at() < wake) {
        wake = node.replica->wake_at();
        sleeper = id;
      }
    }
    if (mail != mail_.end() && mail->first <= std::min(wake, end)) {
      now_ = std::max(now_, mail->first);
      const Mail arrived = std::move(mail->second);
      mail_.erase(mail);
      arrive(arrived);
      return true;
    }
    if (wake > end) {
      return false;
    }
    now_ = std::max(now_, wake);
    step(sleeper, [&](Effects& out) { nodes_.at(sleeper).replica->tick(now_, out); });
    return true;
  }

  void arrive(const Mail& mail) {
    Node& node = nodes_.at(mail.to);
    if (node.replica == nullptr) {
      return;
    }
    const std::string text = mail.from == mail.to ? "" : describe(mail.message);
    if (!text.empty()) {
      say(std::to_string(mail.from.value) + ">" + std::to_string(mail.to.value), text);
    }
    step(mail.to, [&](Effects& out) { node.replica->receive(now_, mail.from, mail.message, out); });
  }

  /// One turn: the step, and the tick that gathers what comes of it.
  template <typename Step>
  void step(NodeId id, Step one) {
    Node& node = nodes_.at(id);
    if (node.replica == nullptr) {
      return say("", "node " + std::to_string(id.value) + " is down");
    }
    Effects out;
    one(out);
    if (node.replica->wake_at() <= now_) {
      node.replica->tick(now_, out);
    }
    node.replica->check_invariants();
    take(id, node, out);
  }

  void take(NodeId id, Node& node, Effects& out) {
    std::ranges::move(out.records, std::back_inserter(node.records));
    const std::string who = "node=" + std::to_string(id.value);
    for (const Note& note : out.notes) {
      say(who, note.fields);
    }
    for (const Answer& answer : out.answers) {
      wire::LogFields fields;
      Bytes op;
      wire::append_origin(op, ops_[answer.request]);
      fields.add("event", "answer").add("op", op).add("result", name_of(answer.reply.status));
      for (const auto& [key, value] :
           {std::pair{"value", answer.reply.value}, std::pair{"why", answer.reply.why}}) {
        if (!value.empty()) {
          fields.add(key, value);
        }
      }
      say(who, fields.text());
    }
    for (Send& send : out.sends) {
      deliver({id, send.to, std::move(send.message)});
    }
  }

  void deliver(Mail mail) {
    sent_.push_back(mail);
    if (cut_.contains({mail.from, mail.to})) {
      return;
    }
    if (const auto held = held_.find({mail.from, mail.to}); held != held_.end()) {
      held->second.push_back(std::move(mail));
      return;
    }
    post(std::move(mail));
  }

  void post(Mail mail) {
    const Duration delay = mail.from == mail.to ? Duration{} : link_delay;
    mail_.emplace(now_ + delay, std::move(mail));
  }

  std::string describe(ByteView message) const {
    return cast_.describe ? cast_.describe(message) : std::string{};
  }

  void say(const std::string& who, const std::string& what) {
    char time[32];
    std::snprintf(time, sizeof time, "%.3f ",
                  static_cast<double>(now_.time_since_epoch().count()) / 1e6);
    lines_.push_back(time + who + (who.empty() ? "" : " ") + what);
  }

  const Cast& cast_;
  const Cast::Settings settings_;
  std::vector<NodeId> ids_;
  std::map<NodeId, Node> nodes_;
  Instant now_{};
  std::multimap<Instant, Mail> mail_;  // on its way, by arrival
  std::vector<Mail> sent_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::map<std::pair<NodeId, NodeId>, std::vector<Mail>> held_;
  std::vector<Mail> none_;
  std::map<RequestId, Origin> ops_;
  std::uint64_t last_request_ = 0;
  std::vector<std::string> lines_;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream{line};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

std::optional<NodeId> node_of(const std::string& word) {
  NodeId id;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id.value);
  return error == std::errc{} && end == word.data() + word.size() ? std::optional{id}
                                                                  : std::nullopt;
}

/// A client's command out of `put 1 k v as c.1`; nothing if it is none.
std::optional<Command> command_of(std::vector<std::string> words) {
  Command command;
  if (words.size() > 3 && words[words.size() - 2] == "as") {
    if (!wire::parse_origin(words.back(), command.origin)) {
      return std::nullopt;
    }
    words.resize(words.size() - 2);
  }
  const std::map<std::string, std::pair<Verb, std::size_t>> verbs{
      {"get", {Verb::get, 3}},
      {"delete", {Verb::erase, 3}},
      {"put", {Verb::put, 4}},
      {"cas", {Verb::compare_and_set, 5}}};
  const auto verb = words.empty() ? verbs.end() : verbs.find(words[0]);
  if (verb == verbs.end() || words.size() != verb->second.second) {
    return std::nullopt;
  }
  command.verb = verb->second.first;
  command.key = words[2];
  command.value = words.size() > 3 ? words.back() : "";
  command.expected = words.size() > 4 ? words[3] : "";
  return command;
}

class Player {
 public:
  explicit Player(const Cast& cast) : cast_(cast) {}

  /// What the file says with the lines that really came.
  std::string play(const std::string& file) {
    std::ifstream stream{file};
    std::string played;
    bool expects = false;
    for (std::string line; std::getline(stream, line);) {
      const bool is_result = expects && !line.empty() && std::isdigit(line.front()) != 0;
      if (is_result) {
        continue;
      }
      expects = line == "----";
      played += line + "\n";
      if (expects) {
        for (const std::string& result : take_lines()) {
          played += result + "\n";
        }
      } else if (!line.empty() && line.front() != '#' && !obey(words_of(line))) {
        played += "0.000 this is no command that can be carried out\n";
      }
    }
    return played;
  }

 private:
  std::vector<std::string> take_lines() {
    return cluster_ ? cluster_->take_lines() : std::vector<std::string>{};
  }

  bool obey(const std::vector<std::string>& words) {
    if (words.size() > 1 && words[0] == "nodes") {
      return begin(words);
    }
    if (cluster_ == nullptr) {
      return false;
    }
    if (words.size() == 2 && words[0] == "tick") {
      Duration time{};
      const bool good = host::read_duration(words[1], time).empty();
      cluster_->pass(good ? time : Duration{});
      return good;
    }
    if (words.size() == 1 && words[0] == "heal") {
      cluster_->heal_all();
      return true;
    }
    if (const auto command = command_of(words)) {
      const auto node = node_of(words[1]);
      return node && (cluster_->ask(*node, *command), true);
    }
    return obey_fault(words);
  }

  bool obey_fault(const std::vector<std::string>& words) {
    const std::string& verb = words[0];
    const auto first = words.size() > 1 ? node_of(words[1]) : std::nullopt;
    if (words.size() == 4 && words[2] == "of" && node_of(words[3])) {
      verb == "kill" ? cluster_->kill(*node_of(words[3]), words[1])
                     : cluster_->revive(*node_of(words[3]), words[1]);
      return verb == "kill" || verb == "revive";
    }
    if (words.size() == 2 && first) {
      verb == "crash" ? cluster_->crash(*first) : cluster_->start(*first);
      return verb == "crash" || verb == "start";
    }
    const auto second = words.size() > 2 ? node_of(words.back()) : std::nullopt;
    if (words.size() == 3 && first && second) {
      verb == "cut" ? cluster_->cut(*first, *second) : cluster_->heal(*first, *second);
      return verb == "cut" || verb == "heal";
    }
    return words.size() > 3 && first && words[2] == "to" && obey_link(words, *first);
  }

  bool obey_link(const std::vector<std::string>& words, NodeId from) {
    const auto to = node_of(words[3]);
    if (!to) {
      return false;
    }
    if (words[0] == "repeat") {
      std::string text;
      for (std::size_t i = 4; i < words.size(); ++i) {
        text += (i > 4 ? " " : "") + words[i];
      }
      return cluster_->repeat(from, *to, text);
    }
    words[0] == "hold" ? cluster_->hold(from, *to) : cluster_->release(from, *to);
    return words[0] == "hold" || words[0] == "release";
  }

  bool begin(const std::vector<std::string>& words) {
    Cast::Settings settings;
    for (std::size_t i = 2; i < words.size(); ++i) {
      const std::size_t equals = words[i].find('=');
      if (equals == std::string::npos) {
        return false;
      }
      settings[words[i].substr(0, equals)] = words[i].substr(equals + 1);
    }
    const auto count = node_of(words[1]);
    cluster_ = count ? std::make_unique<Cluster>(cast_, count->value, settings) : nullptr;
    return cluster_ != nullptr;
  }

  const Cast& cast_;
  std::unique_ptr<Cluster> cluster_;
};

std::string text_of_file(const std::string& file) {
  std::ifstream stream{file};
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// The first line in which they differ, and its neighbours.
std::string difference(const std::string& expected, const std::string& played) {
  std::istringstream one{expected};
  std::istringstream other{played};
  std::string left;
  std::string right;
  for (int line = 1;; ++line) {
    const bool more = static_cast<bool>(std::getline(one, left));
    const bool others = static_cast<bool>(std::getline(other, right));
    if (!more || !others || left != right) {
      return "line " + std::to_string(line) + "\n  expected: " + (more ? left : "(the end)") +
             "\n  it was:   " + (others ? right : "(the end)");
    }
  }
}

}  // namespace

void play_transcripts(const std::string& folder, const Cast& cast) {
  const bool write = std::getenv("QUINTET_WRITE_TRANSCRIPTS") != nullptr;
  int played = 0;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    const std::string file = entry.path().string();
    if (!file.ends_with(".txt")) {
      continue;
    }
    ++played;
    const std::string expected = text_of_file(file);
    const std::string came = Player{cast}.play(file);
    if (write) {
      std::ofstream{file} << came;
    } else if (came != expected) {
      BOOST_ERROR(file << ", " << difference(expected, came));
    }
  }
  BOOST_TEST(played > 0);
}

}  // namespace kv::test
