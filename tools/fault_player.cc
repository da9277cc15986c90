#include "tools/fault_player.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/host/clock.h"
#include "common/sim/network.h"
#include "common/sim/scenario_text.h"
#include "common/wire/logfmt.h"

namespace kv::cluster {
namespace {

using sim::Fault;
using sim::FaultKind;

/// An election takes less than a second, some of them in a row, on a slow machine, a few.
constexpr Duration leader_patience = std::chrono::seconds{10};
constexpr Duration look_again_after = std::chrono::milliseconds{100};

bool is_of_links(FaultKind kind) {
  return kind == FaultKind::cut || kind == FaultKind::partition || kind == FaultKind::slow ||
         kind == FaultKind::storm;
}

std::optional<NodeId> number_of(const std::string& who) {
  NodeId node;
  const auto [end, failure] = std::from_chars(who.data(), who.data() + who.size(), node.value);
  return failure == std::errc{} && end == who.data() + who.size() ? std::optional{node}
                                                                  : std::nullopt;
}

/// Why a real process cannot do this at all; empty if it can.
std::string impossible(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::clock:
      return "the clock of a real process is the machine's";
    case FaultKind::disk:
      return "the disk of a real process is the machine's";
    case FaultKind::kill:
      return "a role inside a process cannot be killed from outside; start it with --fail";
    case FaultKind::crash:
      return fault.damage == sim::DiskDamage::rot ? "bits of a real disk are not turned over" : "";
    default:
      return {};
  }
}

}  // namespace

std::string describe(const Fault& fault) {
  sim::Scenario scenario;
  scenario.faults.push_back(fault);
  const std::string text = sim::format_scenario(scenario);
  const std::size_t begin = text.find("\nat ") + 1;
  std::string line = text.substr(begin, text.find('\n', begin) - begin);
  line.erase(0, line.find(' ', 3) + 1);  // without "at T "
  if (line.starts_with("for ")) {
    line.erase(0, line.find(' ', 4) + 1);
  }
  for (const std::string_view usual : {" point=now", " disk=none", " healing=0s"}) {
    if (const std::size_t at = line.find(usual); at != std::string::npos) {
      line.erase(at, usual.size());
    }
  }
  return line;
}

struct FaultPlayer::Active {
  Fault fault;
  Cut how = Cut::silent;
  NodeId node;
  std::vector<Link> links;
  Instant until{};  // somebody must lead by then
  Tell tell;        // whom a role means
  Cluster::Done begun;
  std::function<void()> over;  // ended, or never will
};

/// A scenario under way: how many of its faults are not over yet.
struct FaultPlayer::Play {
  std::size_t left = 0;
  Tell tell;
  std::function<void()> done;

  void one_over() {
    if (--left == 0) {
      done();
    }
  }
};

FaultPlayer::FaultPlayer(sockets::EventLoop& loop, Cluster& cluster, FindRole find_role,
                         std::uint64_t seed)
    : loop_(loop),
      cluster_(cluster),
      find_role_(std::move(find_role)),
      random_(seed),
      crashes_(replicas_max + 1) {}

FaultPlayer::~FaultPlayer() = default;

void FaultPlayer::begin(const Fault& fault, Cut how, Tell tell, Cluster::Done done) {
  const auto active = std::make_shared<Active>();
  active->fault = fault;
  active->how = how;
  active->until = host::run_now() + leader_patience;
  active->tell = std::move(tell);
  active->begun = std::move(done);
  find_and_strike(active);
}

void FaultPlayer::find_and_strike(const std::shared_ptr<Active>& active) {
  const auto named = [active](const std::string& role, NodeId node) {
    if (active->tell && node.value != 0 && !number_of(role)) {
      active->tell(role + " is " + text_of(node));
    }
  };
  resolve(active->fault.who, active->until, [this, active, named](NodeId who) {
    named(active->fault.who, who);
    resolve(active->fault.to, active->until, [this, active, named, who](NodeId to) {
      named(active->fault.to, to);
      strike(active, who, to);
    });
  });
}

void FaultPlayer::resolve(const std::string& who, Instant until,
                          std::function<void(NodeId)> found) {
  if (who.empty()) {
    return found({});
  }
  if (const auto node = number_of(who)) {
    return found(*node);
  }
  if (who == "any") {
    const std::vector<NodeId> members = cluster_.members();
    return found(members[random_.below(members.size())]);
  }
  if (cluster_.size() == 1) {
    return found({1});  // whatever there is to play, it plays
  }
  find_until(who, until, std::move(found));
}

void FaultPlayer::await_role(const std::string& role, std::function<void(NodeId)> found) {
  find_until(role, host::run_now() + leader_patience, std::move(found));
}

/// Only a leader is worth waiting for: the others either are always there, or are not of this
/// phase.
void FaultPlayer::find_until(const std::string& role, Instant until,
                             std::function<void(NodeId)> found) {
  find_role_(role, [this, role, until, found = std::move(found)](NodeId node) {
    if (node.value != 0 || role != "leader" || host::run_now() >= until) {
      return found(node);
    }
    after(look_again_after, [this, role, until, found] { find_until(role, until, found); });
  });
}

void FaultPlayer::strike(const std::shared_ptr<Active>& active, NodeId who, NodeId to) {
  const Fault& fault = active->fault;
  active->node = who;
  std::string why = impossible(fault);
  const bool nobody =
      (!fault.who.empty() && who.value == 0) || (!fault.to.empty() && to.value == 0);
  if (why.empty() && nobody) {
    why = "nobody plays " + (who.value == 0 ? fault.who : fault.to);
  }
  if (why.empty() && std::max(who.value, to.value) > cluster_.size()) {
    why = "there is no node " + std::to_string(std::max(who.value, to.value));
  }
  if (why.empty()) {
    why = is_of_links(fault.kind) ? strike_links(*active, to) : strike_node(*active);
  }
  note(why.empty() ? "fault_begins" : "fault_skipped", *active, why);
  if (why.empty() && fault.lasts) {
    after(*fault.lasts, [this, active] { end(active); });
  }
  if (active->begun) {
    active->begun(why);
  }
  if (active->over && (!why.empty() || !fault.lasts)) {
    active->over();
  }
}

std::string FaultPlayer::strike_node(Active& active) {
  if (active.fault.kind == FaultKind::pause) {
    return cluster_.pause(active.node);
  }
  std::string why = cluster_.kill(active.node);
  std::uint32_t& crashes = crashes_[active.node.value];
  if (why.empty() || (crashes > 0 && active.fault.lasts)) {
    ++crashes;
    return {};
  }
  return why;
}

std::string FaultPlayer::strike_links(Active& active, NodeId to) {
  const Fault& fault = active.fault;
  FaultProxy* const links = cluster_.links();
  if (links == nullptr) {
    return has_peers(cluster_.plan().phase) ? "there is no proxy between the replicas"
                                            : "this phase has no links between replicas";
  }
  if (fault.kind == FaultKind::storm) {
    links->set_weather(fault.weather);
    return {};
  }
  if (fault.kind == FaultKind::partition) {
    active.links = fault.shape == sim::Shape::groups
                       ? sim::links_between(fault.groups, cluster_.size())
                       : sim::links_cut_by(fault.shape, cluster_.size(), active.node, random_);
  } else if (active.node != to) {
    active.links.push_back({active.node, to});
    if (!fault.one_way) {
      active.links.push_back({to, active.node});
    }
  }
  for (const Link& link : active.links) {
    if (fault.kind == FaultKind::slow) {
      links->slow(link, fault.delay);
    } else {
      links->cut(link, active.how);
    }
  }
  return active.links.empty() ? "no link is meant" : "";
}

void FaultPlayer::end(const std::shared_ptr<Active>& active) {
  note("fault_ends", *active, {});
  switch (active->fault.kind) {
    case FaultKind::crash:
      return end_crash(*active);
    case FaultKind::pause:
      static_cast<void>(cluster_.resume(active->node));  // somebody may have done so before
      break;
    default:
      end_links(*active);
      break;
  }
  if (active->over) {
    active->over();
  }
}

void FaultPlayer::end_crash(Active& active) {
  std::uint32_t& crashes = crashes_[active.node.value];
  crashes -= crashes > 0 ? 1 : 0;
  const bool down = cluster_.replica(active.node).state() == ReplicaProcess::State::down ||
                    cluster_.replica(active.node).state() == ReplicaProcess::State::stopping;
  if (crashes > 0 || !down) {
    if (active.over) {
      active.over();
    }
    return;
  }
  if (active.fault.damage == sim::DiskDamage::wiped) {
    const std::string why = cluster_.wipe(active.node);
    if (!why.empty()) {
      note("fault_skipped", active, why);
    }
  }
  cluster_.restart(active.node, [over = active.over](const std::string&) {
    if (over) {
      over();
    }
  });
}

void FaultPlayer::end_links(Active& active) {
  FaultProxy& links = *cluster_.links();
  if (active.fault.kind == FaultKind::storm) {
    return links.set_weather({.delay = {}, .late_by = {}});
  }
  if (active.fault.healing > Duration{}) {
    return heal_one_by_one(active);
  }
  for (const Link& link : active.links) {
    if (active.fault.kind == FaultKind::slow) {
      links.hasten(link, active.fault.delay);
    } else {
      links.heal(link, active.how);
    }
  }
}

void FaultPlayer::heal_one_by_one(Active& active) {
  for (const Link& link : active.links) {
    after(random_.between(Duration{}, active.fault.healing),
          [this, link, how = active.how] { cluster_.links()->heal(link, how); });
  }
}

void FaultPlayer::play(const sim::Scenario& scenario, Tell tell, std::function<void()> done) {
  const auto play = std::make_shared<Play>(
      Play{.left = scenario.faults.size(), .tell = std::move(tell), .done = std::move(done)});
  if (scenario.faults.empty()) {
    return play->done();
  }
  for (const Fault& fault : scenario.faults) {
    const auto active = std::make_shared<Active>();
    active->fault = fault;
    active->begun = [play, active = active.get()](const std::string& why) {
      const Fault& begun = active->fault;
      const bool named = !begun.who.empty() && !number_of(begun.who) && active->node.value != 0;
      play->tell(sim::format_duration(begun.at) + " " + describe(begun) +
                 (named ? " (node " + std::to_string(active->node.value) + ")" : "") +
                 (why.empty() ? "" : ": skipped, " + why));
    };
    active->over = [play] { play->one_over(); };
    after(fault.at, [this, active] { find_and_strike(active); });
  }
}

std::string FaultPlayer::resume(NodeId node) {
  std::string why = cluster_.resume(node);
  if (why.empty()) {
    Active active;
    active.fault.kind = FaultKind::pause;
    active.fault.who = std::to_string(node.value);
    active.node = node;
    note("fault_ends", active, {});
  }
  return why;
}

void FaultPlayer::heal() {
  if (cluster_.links() != nullptr) {
    cluster_.links()->heal_all();
    cluster_.note(Level::warn, "event=healed");
  }
}

void FaultPlayer::note(const char* event, const Active& active, const std::string& why) {
  wire::LogFields fields;
  fields.add("event", event).add("fault", name_of(active.fault.kind));
  if (active.node.value != 0) {
    fields.add("on", active.node.value);
  }
  fields.add("what", describe(active.fault));
  if (active.fault.kind == FaultKind::crash && active.fault.point != sim::CrashPoint::now) {
    fields.add("point_ignored", name_of(active.fault.point));
  }
  if (!why.empty()) {
    fields.add("why", why);
  }
  cluster_.note(Level::warn, fields.text());
}

void FaultPlayer::after(Duration delay, std::function<void()> task) {
  const auto place = alarms_.emplace(alarms_.end());
  *place = std::make_shared<sockets::Alarm>(loop_, [this, place, task = std::move(task)] {
    loop_.post([alarm = std::move(*place)] {});  // it outlives its own call, and not by much
    alarms_.erase(place);
    task();
  });
  (*place)->arm(std::max(delay, Duration{1}));
}

}  // namespace kv::cluster
