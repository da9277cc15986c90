// Changes who belongs to a running cluster, and who leads it: add, remove and transfer of
// `quintet ctl`.
//
// The change itself is the replicas': whoever leads is asked by RPC, and asked again, or another
// after it, until it is done or refused for good. Beside it a process starts before it is added,
// and ends after it was removed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/kv/command.h"
#include "common/kv/members.h"
#include "tools/cluster.h"

namespace kv::cluster {

/// Used from its loop's thread; its RPC client has a thread of its own.
class MemberDesk {
 public:
  using FindRole = std::function<void(const std::string& role, std::function<void(NodeId)>)>;
  /// A line for whoever asked.
  using Tell = std::function<void(const std::string& line)>;

  /// `find_role` says who plays it now; `await_role` waits a while for somebody to do so.
  MemberDesk(sockets::EventLoop& loop, Cluster& cluster, FindRole find_role, FindRole await_role);
  MemberDesk(const MemberDesk&) = delete;
  MemberDesk& operator=(const MemberDesk&) = delete;
  ~MemberDesk();

  // `done` runs once: empty, or why not. One change at a time; others are refused meanwhile.
  // `who` is a node's number; to remove also a role such as `leader`.

  /// Starts the node's process on an empty disk. If it is not let in, what the replicas know of it
  /// is taken back, and it ends.
  void add(const std::string& who, const Cluster::Done& done);
  /// Stops its process once the others do without it; its data folder is put aside. Whom only the
  /// replicas know as a member is removed likewise. A role's node is told before.
  void remove(const std::string& who, const Tell& tell, Cluster::Done done);
  void transfer(const std::string& who, Cluster::Done done);

 private:
  struct Change;
  struct Asking;

  std::string refusal(const std::string& verb, const std::string& who, NodeId& node) const;
  bool begin(MemberVerb verb, NodeId node, Cluster::Done done);
  void remove_node(NodeId node, Cluster::Done done);
  void remove_forgotten(NodeId node, Cluster::Done done);
  void take_back(NodeId node, const std::string& failure, const Cluster::Done& done);
  void ask();
  void ask(NodeId leader);
  void look_for_member(NodeId leader);
  void on_reply(const Reply& reply);
  void on_list(NodeId leader, const std::optional<MemberList>& list, const std::string& why);
  void again(const std::string& why);
  void end(const std::string& why);

  sockets::EventLoop& loop_;
  Cluster& cluster_;
  FindRole find_role_;
  FindRole await_role_;
  sockets::Alarm next_;
  std::shared_ptr<Change> change_;  // under way
  bool asked_ = false;              // of the change that ended last: see Change
  std::unique_ptr<Asking> asking_;
};

}  // namespace kv::cluster
