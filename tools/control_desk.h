// What `quintet ctl` can ask of a running cluster, word by word.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tools/cluster.h"
#include "tools/control_server.h"
#include "tools/fault_player.h"
#include "tools/member_desk.h"

namespace kv::cluster {

class ControlDesk {
 public:
  /// `stop` ends the cluster, and calls when no replica is left.
  ControlDesk(Cluster& cluster, FaultPlayer& player, MemberDesk& members,
              std::function<void(std::function<void()>)> stop)
      : cluster_(cluster), player_(player), members_(members), stop_(std::move(stop)) {}

  void handle(const std::shared_ptr<ControlCall>& call, const ControlRequest& request);

 private:
  using Call = std::shared_ptr<ControlCall>;

  void fault(const Call& call, const ControlRequest& request);
  void restart(const Call& call, const std::string& who);
  void resume(const Call& call, const std::string& who);
  void play(const Call& call, const std::string& text);
  void status(const Call& call);

  Cluster& cluster_;
  FaultPlayer& player_;
  MemberDesk& members_;
  std::function<void(std::function<void()>)> stop_;
};

/// The scenario's line for the words of a fault: `kill 3` is `crash 3`, `partition 1,2 3,4,5` is
/// `partition 1,2|3,4,5`; a fault that has no end unless the words begin with `for TIME`.
std::string fault_line(const std::vector<std::string>& words);

/// One line: "node 1 tcp=127.0.0.1:17001 udp=… pid=…".
std::string address_line(const Cluster& cluster, NodeId node);

}  // namespace kv::cluster
