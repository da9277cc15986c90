// Roles of the Replica die and are born again, at times that chance draws (--fail).
//
// A role is born between two turns, while nothing is on its way to the disk: what it reads, the
// newest snapshot and every record after it, is then all that was ever given out.
#include <algorithm>
#include <utility>

#include "common/host/replica_host_core.h"

namespace kv::host {
namespace {

using wire::LogFields;

constexpr std::string_view all_roles = "all";

}  // namespace

bool ReplicaHost::Core::prepare_failures(std::string& why) {
  if (options_.failures.empty()) {
    return true;
  }
  roles_ = dynamic_cast<Roles*>(replica_.get());
  std::vector<std::string> wanted = options_.roles;
  for (const RoleFailure& failure : options_.failures) {
    if (failure.role != all_roles) {
      wanted.push_back(failure.role);
    }
  }
  for (const std::string& role : wanted) {
    if (roles_ == nullptr || !roles_->has_role(role)) {
      why = "this replica has no role " + role + " that could fail";
      return false;
    }
  }
  failures_.emplace(options_.failures, options_.failure_seed, run_now());
  next_failure_ = failures_->next();
  return true;
}

void ReplicaHost::Core::go_on_with_roles() {
  // Not on a lent thread: it may be the very one that dies.
  while (!lent_ && next_failure_ && next_failure_->at <= now_ && stop_by_ == never) {
    carry_out(*next_failure_);
    next_failure_ = failures_->next();
  }
  if (may_bear_role() && !lent_) {
    const std::string role = std::move(roles_to_be_born_.front());
    roles_to_be_born_.erase(roles_to_be_born_.begin());
    bear_role(role);
    settle();  // the next one must find what this one gave out
  }
  awaiting_birth_ = !roles_to_be_born_.empty() && snapshot_ == Snapshot::none;
}

void ReplicaHost::Core::carry_out(const RoleFailures::Event& event) {
  const std::vector<std::string> roles =
      event.role == all_roles ? options_.roles : std::vector<std::string>{event.role};
  for (const std::string& role : roles) {
    if (event.dies) {
      kill_role(role);
    } else if (--dead_roles_.at(role) == 0) {
      dead_roles_.erase(role);
      roles_to_be_born_.push_back(role);
    }
  }
}

void ReplicaHost::Core::kill_role(const std::string& role) {
  if (dead_roles_[role]++ > 0) {
    return;
  }
  if (std::erase(roles_to_be_born_, role) > 0) {
    return;  // it had not been born yet
  }
  roles_->kill_role(role);
  note(Level::warn, LogFields{}.add("event", "role_died").add("role", role));
}

bool ReplicaHost::Core::may_bear_role() const {
  return !roles_to_be_born_.empty() && snapshot_ == Snapshot::none &&
         journal_->durable_records() == journal_->next_record();
}

void ReplicaHost::Core::bear_role(const std::string& role) {
  const Instant begun = run_now();
  std::string why;
  std::uint64_t from = 0;
  const auto restore = [&](ByteView piece) { roles_->restore_role(role, piece); };
  const auto recover = [&](ByteView record) { roles_->recover_role(role, record); };
  if (!open_snapshot(restore, from, why) || !journal_->read(from, recover, why)) {
    options_.fatal(why);  // what it promised cannot be read: it must not live on without it
    return;
  }
  now_ = run_now();
  roles_->start_role(role, now_, effects_);
  note(Level::warn, LogFields{}
                        .add("event", "role_born")
                        .add("role", role)
                        .add("snapshot_record", from)
                        .add("records", journal_->next_record() - from)
                        .add("us", (now_ - begun).count()));
}

}  // namespace kv::host
