#include "phase2_rpc/member_methods.h"

#include <utility>

namespace kv::rpc {

void serve_members(Dispatcher& dispatcher, host::ReplicaHost& host, Callers callers) {
  dispatcher.serve_late(members_change, {.callers = callers},
                        [&host](const CallContext&, const MemberChange& change,
                                std::function<void(const Reply&)> answer) {
                          host.change_members(change, std::move(answer));
                        });
  dispatcher.serve(members_list, {.callers = callers},
                   [&host](const CallContext&, const Nothing&) { return host.members(); });
}

}  // namespace kv::rpc
