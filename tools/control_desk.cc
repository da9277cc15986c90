#include "tools/control_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <variant>

#include "common/sim/scenario_text.h"

namespace kv::cluster {
namespace {

std::string joined(const std::vector<std::string>& words, std::size_t from, char separator) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) {
    text += (i > from ? std::string{separator} : "") + words[i];
  }
  return text;
}

/// The nodes that `who` means: its number, or all of them. Empty, and a reason in `why`, if none.
std::vector<NodeId> nodes_of(const Cluster& cluster, const std::string& who, std::string& why) {
  std::vector<NodeId> nodes;
  NodeId node;
  const auto [end, failure] = std::from_chars(who.data(), who.data() + who.size(), node.value);
  if (who == "all") {
    nodes = cluster.members();
  } else if (failure == std::errc{} && end == who.data() + who.size() && node.value >= 1 &&
             node.value <= cluster.size()) {
    nodes.push_back(node);
  } else {
    why = "'" + who + "' is no node: say 1 to " + std::to_string(cluster.size()) + ", or all";
  }
  return nodes;
}

}  // namespace

std::string fault_line(const std::vector<std::string>& words) {
  std::size_t next = 0;
  std::string line = "at 0s ";
  if (words.size() > 2 && words[0] == "for") {
    line += "for " + words[1] + " ";
    next = 2;
  }
  const std::string& kind = words[next];
  if (kind == "kill") {
    return line + "crash " + joined(words, next + 1, ' ');
  }
  if (kind == "partition" && next + 1 < words.size() && !words[next + 1].empty() &&
      words[next + 1].find_first_not_of("0123456789,|") == std::string::npos) {
    return line + "partition " + joined(words, next + 1, '|');
  }
  return line + joined(words, next, ' ');
}

std::string address_line(const Cluster& cluster, NodeId node) {
  const ReplicaProcess& replica = cluster.replica(node);
  std::string line = "node " + std::to_string(node.value);
  for (const auto& [name, address] : replica.addresses()) {
    line.append(" ").append(name).append("=").append(address);
  }
  return line + " pid=" + std::to_string(replica.pid());
}

void ControlDesk::handle(const std::shared_ptr<ControlCall>& call, const ControlRequest& request) {
  const std::string word = request.words.empty() ? "" : request.words.front();
  const std::string who = request.words.size() > 1 ? request.words[1] : "";
  if (word == "status") {
    status(call);
  } else if (word == "restart") {
    restart(call, who);
  } else if (word == "resume") {
    resume(call, who);
  } else if (word == "heal") {
    player_.heal();
    call->end({});
  } else if (word == "play") {
    play(call, request.text);
  } else if (word == "add") {
    members_.add(who, [call](const std::string& why) { call->end(why); });
  } else if (word == "remove") {
    members_.remove(
        who, [call](const std::string& line) { call->say(line); },
        [call](const std::string& why) { call->end(why); });
  } else if (word == "transfer") {
    members_.transfer(who, [call](const std::string& why) { call->end(why); });
  } else if (word == "stop") {
    stop_([call] { call->end({}); });
  } else if (word.empty()) {
    call->end("say what to do");
  } else {
    fault(call, request);
  }
}

void ControlDesk::fault(const Call& call, const ControlRequest& request) {
  std::vector<std::string> words = request.words;
  const bool reset = words.front() == "reset";
  if (reset) {
    words.erase(words.begin());
  }
  const std::string text = "nodes " + std::to_string(cluster_.size()) + "\n" +
                           (words.empty() ? "" : fault_line(words)) + "\n";
  const auto parsed = sim::parse_scenario(text);
  if (const auto* const error = std::get_if<sim::ScenarioError>(&parsed)) {
    return call->end(error->why);
  }
  const auto& faults = std::get<sim::Scenario>(parsed).faults;
  if (faults.size() != 1) {
    return call->end("say what to do");
  }
  player_.begin(
      faults.front(), reset ? Cut::reset : Cut::silent,
      [call](const std::string& line) { call->say(line); },
      [call](const std::string& why) { call->end(why); });
}

void ControlDesk::restart(const Call& call, const std::string& who) {
  std::string why;
  const std::vector<NodeId> nodes = nodes_of(cluster_, who, why);
  if (nodes.empty()) {
    return call->end(why);
  }
  struct Rest {
    std::size_t left;
    std::string why;
  };
  const auto rest = std::make_shared<Rest>(Rest{.left = nodes.size(), .why = {}});
  for (const NodeId node : nodes) {
    player_.restarted(node);
    cluster_.restart(node, [call, rest](const std::string& failure) {
      rest->why = failure.empty() ? rest->why : failure;
      if (--rest->left == 0) {
        call->end(rest->why);
      }
    });
  }
}

void ControlDesk::resume(const Call& call, const std::string& who) {
  std::string why;
  for (const NodeId node : nodes_of(cluster_, who, why)) {
    const std::string failure = player_.resume(node);
    why = who == "all" ? "" : failure;
  }
  call->end(why);
}

void ControlDesk::play(const Call& call, const std::string& text) {
  const auto parsed = sim::parse_scenario(text);
  if (const auto* const error = std::get_if<sim::ScenarioError>(&parsed)) {
    return call->end("line " + std::to_string(error->line) + ": " + error->why);
  }
  player_.play(
      std::get<sim::Scenario>(parsed), [call](const std::string& line) { call->say(line); },
      [call] { call->end({}); });
}

void ControlDesk::status(const Call& call) {
  call->say(fmt::format("{:<5} {:<9} {:>8}  {:<22} {:<22} {:<22} {}", "node", "state", "pid", "tcp",
                        "udp", "rpc", "http"));
  for (const NodeId node : cluster_.members()) {
    const ReplicaProcess& replica = cluster_.replica(node);
    const auto address = [&replica](std::string_view door) -> std::string {
      const auto found = replica.addresses().find(door);
      return found == replica.addresses().end() ? "-" : found->second;
    };
    call->say(fmt::format("{:<5} {:<9} {:>8}  {:<22} {:<22} {:<22} {}", node.value,
                          name_of(replica.state()),
                          replica.pid() == 0 ? "-" : std::to_string(replica.pid()), address("tcp"),
                          address("udp"), address("rpc"), address("http")));
  }
  if (const FaultProxy* const links = cluster_.links()) {
    call->say(fmt::format("links: {} of {} cut, {} connections, {} bytes passed",
                          links->cut_links(),
                          cluster_.members().size() * (cluster_.members().size() - 1),
                          links->connections(), links->bytes_passed()));
  }
  call->end({});
}

}  // namespace kv::cluster
