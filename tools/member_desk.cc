#include "tools/member_desk.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/wire/logfmt.h"
#include "phase2_rpc/cluster_secret.h"
#include "phase2_rpc/member_methods.h"
#include "phase2_rpc/rpc_client.h"

namespace kv::cluster {
namespace {

/// Of a whole change: to bring a newcomer up to date may take its time.
constexpr Duration change_patience = std::chrono::seconds{120};
constexpr Duration other_patience = std::chrono::seconds{30};
constexpr Duration call_patience = std::chrono::seconds{8};
constexpr Duration ask_again_after = std::chrono::milliseconds{200};

std::string_view name_of(MemberVerb verb) {
  constexpr std::string_view names[] = {"add", "remove", "transfer"};
  return names[static_cast<std::size_t>(verb)];
}

/// What the servers were given for `flag`; empty: nothing.
std::string flag_of(const Plan& plan, const std::string& flag) {
  std::string found;
  for (std::size_t i = 0; i < plan.server_flags.size(); ++i) {
    const std::string& word = plan.server_flags[i];
    if (word == flag && i + 1 < plan.server_flags.size()) {
      found = plan.server_flags[i + 1];
    } else if (word.starts_with(flag + "=")) {
      found = word.substr(flag.size() + 1);
    }
  }
  return found;
}

}  // namespace

struct MemberDesk::Change {
  MemberChange what;
  Cluster::Done done;
  Instant until;
  std::string last_why;
  bool asked = false;      // somebody who leads: from then on the replicas may know of it
  bool if_listed = false;  // it is looked for among the replicas' members first
};

struct MemberDesk::Asking {
  std::unique_ptr<rpc::RpcClient> client;
};

MemberDesk::MemberDesk(sockets::EventLoop& loop, Cluster& cluster, FindRole find_role,
                       FindRole await_role)
    : loop_(loop),
      cluster_(cluster),
      find_role_(std::move(find_role)),
      await_role_(std::move(await_role)),
      next_(loop, [this] { ask(); }) {}

MemberDesk::~MemberDesk() = default;

std::string MemberDesk::refusal(const std::string& verb, const std::string& who,
                                NodeId& node) const {
  const auto [end, failure] = std::from_chars(who.data(), who.data() + who.size(), node.value);
  if (failure != std::errc{} || end != who.data() + who.size() || node.value == 0 ||
      node.value > replicas_max) {
    return verb + ": '" + who + "' is no node: say 1 to " + std::to_string(replicas_max);
  }
  if (!may_change_members(cluster_.plan().phase)) {
    return verb +
           ": the replicas of this phase are those that it began with; those of phases 4 and 5 can "
           "change";
  }
  if (change_) {
    return "another change is under way: " + std::string{name_of(change_->what.verb)} + " " +
           std::to_string(change_->what.node.value);
  }
  return {};
}

void MemberDesk::add(const std::string& who, const Cluster::Done& done) {
  NodeId node;
  std::string why = refusal("add", who, node);
  if (why.empty() && cluster_.is_member(node)) {
    why = text_of(node) + " is a member already";
  }
  if (!why.empty()) {
    return done(why);
  }
  const auto added = [this, node, done](const std::string& failure) {
    if (failure.empty()) {
      return done({});
    }
    take_back(node, failure, done);
  };
  check(begin(MemberVerb::add, node, added));
  cluster_.seat(node, [this](const std::string& failure) {
    if (failure.empty()) {
      ask();
    } else {
      end(failure);
    }
  });
}

/// A learner that stays in the configuration is in the way of the next one under its number, and
/// its process cannot come back: its disk is put aside.
void MemberDesk::take_back(NodeId node, const std::string& failure, const Cluster::Done& done) {
  const auto unseat = [this, node, done](const std::string& why) {
    cluster_.unseat(node, [done, why](const std::string&) { done(why); });
  };
  if (!asked_) {
    return unseat(failure);
  }
  check(begin(MemberVerb::remove, node, [unseat, node, failure](const std::string& why) {
    unseat(why.empty() ? failure
                       : failure + "; and it is not taken out again (" + why + "): remove " +
                             std::to_string(node.value));
  }));
  ask();
}

void MemberDesk::remove(const std::string& who, const Tell& tell, Cluster::Done done) {
  if (!who.empty() && who.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos) {
    return await_role_(who, [this, who, tell, done = std::move(done)](NodeId node) {
      if (node.value == 0) {
        done("nobody plays " + who);
      } else {
        tell(who + " is " + text_of(node));
        remove(std::to_string(node.value), tell, done);
      }
    });
  }
  NodeId node;
  if (const std::string why = refusal("remove", who, node); !why.empty()) {
    return done(why);
  }
  if (cluster_.is_member(node)) {
    remove_node(node, std::move(done));
  } else {
    remove_forgotten(node, std::move(done));
  }
}

/// It has no process here, and may be a member all the same: who belongs to the cluster is in the
/// replicas' log.
void MemberDesk::remove_forgotten(NodeId node, Cluster::Done done) {
  check(begin(MemberVerb::remove, node, std::move(done)));
  change_->if_listed = true;
  ask();
}

void MemberDesk::remove_node(NodeId node, Cluster::Done done) {
  const auto put_aside = [this, node, done = std::move(done)](const std::string& failure) {
    if (failure.empty()) {
      cluster_.unseat(node, done);
    } else {
      done(failure);
    }
  };
  check(begin(MemberVerb::remove, node, put_aside));
  ask();
}

void MemberDesk::transfer(const std::string& who, Cluster::Done done) {
  NodeId node;
  std::string why = refusal("transfer", who, node);
  if (why.empty() && !cluster_.is_member(node)) {
    why = text_of(node) + " is no member";
  }
  if (!why.empty()) {
    return done(why);
  }
  check(begin(MemberVerb::transfer, node, std::move(done)));
  ask();
}

bool MemberDesk::begin(MemberVerb verb, NodeId node, Cluster::Done done) {
  const std::string address =
      "127.0.0.1:" + std::to_string(port_of(cluster_.plan(), Door::rpc, node));
  change_ = std::make_shared<Change>(Change{
      .what = {.verb = verb,
               .node = node,
               .address = verb == MemberVerb::add ? address : std::string{}},
      .done = std::move(done),
      .until = host::run_now() + (verb == MemberVerb::add ? change_patience : other_patience),
      .last_why = {},
      .asked = false,
      .if_listed = false});
  return true;
}

void MemberDesk::ask() {
  if (!change_) {
    return;
  }
  find_role_("leader", [this, asked = std::weak_ptr<Change>{change_}](NodeId leader) {
    if (asked.lock() == nullptr || asked.lock() != change_) {
      return;
    }
    if (leader.value == 0) {
      again("nobody leads");
    } else {
      ask(leader);
    }
  });
}

void MemberDesk::ask(NodeId leader) {
  const auto& addresses = cluster_.replica(leader).addresses();
  const auto rpc = addresses.find("rpc");
  host::Endpoint door;
  if (rpc == addresses.end() || !host::read_endpoint(rpc->second, door).empty() || door.off) {
    return again(text_of(leader) + " has no RPC");
  }
  const Plan& plan = cluster_.plan();
  rpc::RpcClient::Options options;
  options.servers = {door};
  options.tls = {.certificate = flag_of(plan, "--tls-cert"),
                 .key = flag_of(plan, "--tls-key"),
                 .authority = flag_of(plan, "--tls-ca"),
                 .name = flag_of(plan, "--tls-name")};
  std::string why;
  if (!rpc::read_secret(flag_of(plan, "--cluster-secret"), options.secret, why)) {
    return end(why);
  }
  asking_ = std::make_unique<Asking>();
  asking_->client = std::make_unique<rpc::RpcClient>(options, [](Level, std::string_view) {});
  if (change_->if_listed) {
    return look_for_member(leader);
  }
  change_->asked = true;
  asking_->client->call(
      rpc::members_change, change_->what, {}, call_patience,
      [this, asked = std::weak_ptr<Change>{change_}](rpc::Answered<Reply>&& answered) {
        const Reply reply = answered.answer.value_or(
            Reply{.status = Status::unknown, .value = {}, .why = answered.result.why});
        loop_.post([this, asked, reply] {  // this was the client's thread
          if (asked.lock() != nullptr && asked.lock() == change_) {
            on_reply(reply);
          }
        });
      });
}

void MemberDesk::look_for_member(NodeId leader) {
  asking_->client->call(
      rpc::members_list, rpc::Nothing{}, {}, call_patience,
      [this, leader, asked = std::weak_ptr<Change>{change_}](rpc::Answered<MemberList>&& answered) {
        loop_.post([this, leader, asked, list = std::move(answered.answer),
                    why = std::move(answered.result.why)] {  // this was the client's thread
          if (asked.lock() != nullptr && asked.lock() == change_) {
            on_list(leader, list, why);
          }
        });
      });
}

void MemberDesk::on_list(NodeId leader, const std::optional<MemberList>& list,
                         const std::string& why) {
  asking_.reset();
  if (!list) {
    return again(why);
  }
  if (std::ranges::find(list->members, change_->what.node, &Member::node) == list->members.end()) {
    return end(text_of(change_->what.node) + " is no member");
  }
  change_->if_listed = false;
  ask(leader);
}

void MemberDesk::on_reply(const Reply& reply) {
  asking_.reset();
  if (reply.status == Status::ok) {
    end({});
  } else if (reply.status == Status::bad_request) {
    change_->asked = false;  // a member of that number is another one: nothing of ours to take back
    end(reply.why);
  } else if (reply.status == Status::aborted) {
    end(reply.why);  // not asked again by itself: see kv::Members
  } else {
    again(reply.why);
  }
}

void MemberDesk::again(const std::string& why) {
  change_->last_why = why;
  const NodeId node = change_->what.node;
  if (change_->what.verb == MemberVerb::add &&
      cluster_.replica(node).state() == ReplicaProcess::State::down) {
    return end(text_of(node) + " ended before it was a member");
  }
  if (host::run_now() >= change_->until) {
    return end("not done in time: " + why);
  }
  next_.arm(ask_again_after);
}

void MemberDesk::end(const std::string& why) {
  asking_.reset();
  const auto ended = std::exchange(change_, nullptr);
  asked_ = ended->asked;
  wire::LogFields fields;
  fields.add("event", why.empty() ? "member_change" : "member_change_failed")
      .add("verb", name_of(ended->what.verb))
      .add("on", ended->what.node.value);
  if (!why.empty()) {
    fields.add("why", why);
  }
  cluster_.note(why.empty() ? Level::info : Level::error, fields.text());
  ended->done(why);
}

}  // namespace kv::cluster
