#include "phase2_rpc/memory_link.h"

namespace kv::rpc {

MemoryLink::MemoryLink(Dispatcher& dispatcher, Instant now, const ClientCore::Options& client,
                       const ServerCore::Options& server)
    : client_(client, now), end_(std::make_shared<ServerEnd>(dispatcher, now, server)) {}

bool MemoryLink::exchange(Instant now) {
  while (client_.has_output() || end_->core.has_output()) {
    Bytes to_server;
    client_.swap_output(to_server);
    if (!to_server.empty() && !end_->core.feed(now, to_server)) {
      return false;
    }
    Bytes to_client;
    end_->core.swap_output(to_client);
    if (!to_client.empty() && !client_.feed(now, to_client)) {
      return false;
    }
  }
  return true;
}

void MemoryLink::ServerEnd::on_call(const IncomingCall& call) {
  class RespondTo final : public Dispatcher::RespondTo {
   public:
    RespondTo(ServerEnd& end, CallId id) : end_(end), id_(id) {}
    void at_once(const CallResult& result) const override { end_.answer(id_, result); }
    std::shared_ptr<ReturnPath> later() const override { return end_.shared_from_this(); }
    const Caller& caller() const override { return end_.caller; }

   private:
    ServerEnd& end_;
    CallId id_;
  };
  dispatcher.dispatch(call, RespondTo{*this, call.id});
}

void MemoryLink::ServerEnd::answer(CallId id, const CallResult& result) {
  core.answer(id, result.code, result.executed, result.code == Code::ok ? result.body : result.why);
}

}  // namespace kv::rpc
