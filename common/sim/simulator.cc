#include "common/sim/simulator.h"

#include <algorithm>
#include <charconv>

#include "common/core/check.h"
#include "common/sim/linearizability.h"
#include "common/sim/scenario_text.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

constexpr std::uint64_t judging_steps_max = 20'000'000;  // about two seconds

bool is_number(const std::string& who) {
  return !who.empty() && who.front() >= '0' && who.front() <= '9';
}

}  // namespace

Simulator::Simulator(Protocol& protocol, const Scenario& scenario, std::uint64_t seed,
                     NoteSink* notes, Progress* progress)
    : world_(scenario, seed, notes),
      protocol_(protocol),
      scenario_(scenario),
      progress_(progress),
      random_(world_.random_for("faults", 0)),
      clients_(world_, scenario),
      replicas_(scenario.nodes),
      active_(scenario.faults.size()) {
  for (std::uint32_t i = 1; i <= scenario.nodes; ++i) {
    nodes_.push_back(std::make_unique<Node>(world_, protocol, scenario, NodeId{i}));
    world_.after(Duration{}, {.kind = EventKind::start, .target = i});
  }
  for (std::uint32_t i = 0; i < scenario.faults.size(); ++i) {
    const Fault& fault = scenario.faults[i];
    world_.after(fault.at, {.kind = EventKind::fault_begins, .item = i});
    if (fault.lasts) {
      world_.after(fault.at + *fault.lasts, {.kind = EventKind::fault_ends, .item = i});
    }
  }
  world_.after(calm_after(scenario), {.kind = EventKind::calm});
  clients_.start();
}

Outcome Simulator::run() {
  run_until(never);
  if (!violation() && scenario_.expect.linearizable) {
    judge_history();
  }
  return {.violation = violation(),
          .ended = now(),
          .counts = counts(),
          .fingerprint = world_.fingerprint()};
}

bool Simulator::run_until(Instant end) {
  while (!ended_) {
    const std::optional<Event> event = world_.next(end);
    if (!event) {
      return true;
    }
    step(*event);
    if (progress_ != nullptr) {
      *progress_ = {.now = now(), .steps = world_.counts.steps};
    }
    ended_ = clients_.done() || world_.violation().has_value();
  }
  return false;
}

void Simulator::step(const Event& event) {
  switch (event.kind) {
    case EventKind::message:
    case EventKind::request:
    case EventKind::run:
    case EventKind::sync_done:
    case EventKind::wake:
    case EventKind::snapshot:
    case EventKind::start:
      return step_node(event);
    case EventKind::answer:
    case EventKind::issue:
    case EventKind::patience:
      return clients_.handle(event);
    case EventKind::fault_begins:
      return begin_fault(event.item);
    case EventKind::fault_ends:
      return end_fault(event.item);
    case EventKind::link_heals:
      return heal_link(event.item);
    case EventKind::calm:
      return become_calm();
  }
}

void Simulator::step_node(const Event& event) {
  Node& stepped = node({event.target});
  if (event.kind == EventKind::start) {
    stepped.start();
  } else {
    stepped.handle(event);
  }
  check_cluster(stepped.id());
}

void Simulator::check_cluster(NodeId stepped) {
  replicas_[stepped.value - 1] = node(stepped).replica();
  if (world_.violation()) {
    return;
  }
  if (auto violation = protocol_.check(replicas_, stepped)) {
    world_.fail(violation->invariant, std::move(violation->detail));
  }
}

// --- faults --------------------------------------------------------------------------------------

void Simulator::begin_fault(std::uint32_t index) {
  const Fault& fault = scenario_.faults[index];
  Active& active = active_[index];
  if (!fault.who.empty()) {
    active.node = resolve(fault.who);
    if (active.node.value == 0) {
      active.skipped = true;  // nobody plays that role now
      return note_fault("fault_skipped", fault, active.node);
    }
  }
  note_fault("fault_begins", fault, active.node);
  switch (fault.kind) {
    case FaultKind::crash:
    case FaultKind::pause:
    case FaultKind::clock:
    case FaultKind::disk:
    case FaultKind::kill:
      begin_node_fault(index, active);
      return check_cluster(active.node);
    case FaultKind::cut:
    case FaultKind::partition:
    case FaultKind::slow:
      return begin_link_fault(fault, active);
    case FaultKind::storm:
      return world_.network.set_weather(fault.weather);
  }
}

void Simulator::begin_node_fault(std::uint32_t index, Active& active) {
  const Fault& fault = scenario_.faults[index];
  Node& victim = node(active.node);
  switch (fault.kind) {
    case FaultKind::crash:
      return victim.arm(index, fault.point, fault.damage);
    case FaultKind::pause:
      return victim.pause();
    case FaultKind::clock:
      victim.jump_clock(fault.jump);
      return victim.set_clock_rate(fault.rate);
    case FaultKind::disk:
      return victim.set_disk(fault.state, fault.factor);
    case FaultKind::kill:
      if (!victim.kill_role(fault.role)) {
        active.skipped = true;  // there is no such role here
        note_fault("fault_skipped", fault, active.node);
      }
      return;
    default:
      check(false);
  }
}

void Simulator::begin_link_fault(const Fault& fault, Active& active) {
  if (fault.kind == FaultKind::partition) {
    active.links = fault.shape == Shape::groups
                       ? links_between(fault.groups, scenario_.nodes)
                       : links_cut_by(fault.shape, scenario_.nodes, active.node, random_);
  } else if (const NodeId to = resolve(fault.to); to.value != 0 && to != active.node) {
    active.links.push_back({active.node, to});
    if (!fault.one_way) {
      active.links.push_back({to, active.node});
    }
  }
  for (const Link& link : active.links) {
    if (fault.kind == FaultKind::slow) {
      world_.network.slow(link, fault.delay);
    } else {
      world_.network.cut(link);
    }
  }
}

void Simulator::end_fault(std::uint32_t index) {
  const Fault& fault = scenario_.faults[index];
  const Active& active = active_[index];
  if (active.skipped) {
    return;
  }
  note_fault("fault_ends", fault, active.node);
  switch (fault.kind) {
    case FaultKind::crash:
    case FaultKind::pause:
    case FaultKind::clock:
    case FaultKind::disk:
    case FaultKind::kill:
      end_node_fault(index, active);
      return check_cluster(active.node);
    case FaultKind::cut:
    case FaultKind::partition:
      return heal(index);
    case FaultKind::slow:
      for (const Link& link : active.links) {
        world_.network.hasten(link, fault.delay);
      }
      return;
    case FaultKind::storm:
      return world_.network.set_weather(scenario_.weather);
  }
}

void Simulator::end_node_fault(std::uint32_t index, const Active& active) {
  const Fault& fault = scenario_.faults[index];
  Node& victim = node(active.node);
  switch (fault.kind) {
    case FaultKind::crash:
      return victim.lift(index);
    case FaultKind::pause:
      return victim.resume();
    case FaultKind::clock:
      return victim.set_clock_rate(percent(100));
    case FaultKind::disk:
      return victim.set_disk(DiskState::healthy, 1);
    case FaultKind::kill:
      return victim.start_role(fault.role);
    default:
      check(false);
  }
}

/// Links come back at once, or one by one in an order of their own.
void Simulator::heal(std::uint32_t index) {
  const Duration over = scenario_.faults[index].healing;
  for (const Link& link : active_[index].links) {
    if (over == Duration{}) {
      world_.network.heal(link);
      continue;
    }
    const auto item = static_cast<std::uint32_t>(healing_.size());
    healing_.push_back(link);
    world_.after(random_.between(Duration{}, over - Duration{1}),
                 {.kind = EventKind::link_heals, .item = item});
  }
}

void Simulator::heal_link(std::uint32_t item) {
  world_.network.heal(healing_[item]);
}

/// From here on the clients may demand answers, if enough nodes are left that can give them.
void Simulator::become_calm() {
  std::uint32_t up = 0;
  for (const auto& each : nodes_) {
    up += each->up() && !each->held_down() ? 1 : 0;
  }
  const bool serves = protocol_.serves_with(up, scenario_.nodes);
  world_.note({0}, Level::info,
              wire::LogFields{}
                  .add("event", "calm")
                  .add("up", up)
                  .add("serves", serves ? "yes" : "no")
                  .text());
  clients_.calm(serves ? scenario_.expect.answers_within : std::nullopt);
}

NodeId Simulator::resolve(const std::string& who) {
  if (is_number(who)) {
    NodeId id;
    std::from_chars(who.data(), who.data() + who.size(), id.value);
    return id;
  }
  if (who == "any") {
    return {static_cast<std::uint32_t>(random_.between(1, scenario_.nodes))};
  }
  for (const auto& each : nodes_) {
    if (each->plays(who)) {
      return each->id();
    }
  }
  return {};
}

void Simulator::note_fault(const char* event, const Fault& fault, NodeId on) {
  wire::LogFields fields;
  fields.add("event", event).add("fault", name_of(fault.kind));
  if (on.value != 0) {
    fields.add("on", on.value);
  }
  world_.note({0}, Level::warn, fields.text());
}

void Simulator::judge_history() {
  const CheckResult result = check_history(clients_.history(), {.steps_max = judging_steps_max});
  if (result.verdict == Verdict::not_linearizable) {
    world_.fail("the_history_is_linearizable", "\n" + describe(result.piece));
  } else if (result.verdict == Verdict::cannot_tell) {
    ++world_.counts.histories_not_judged;  // too many unknown outcomes: no proof of anything
    world_.note({0}, Level::warn,
                wire::LogFields{}.add("event", "not_judged").add("why", result.why).text());
  }
}

}  // namespace kv::sim
