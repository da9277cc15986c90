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
  class Respond final : public Dispatcher::RespondTo {
   public:
    Respond(ServerEnd& end, CallId id) : end_(end), id_(id) {}
    void at_once(const CallResult& result) const override { end_.answer(id_, result); }
    Dispatcher::Respond later() const override {
      return [weak = end_.weak_from_this(), id = id_](const CallResult& result) {
        if (const auto end = weak.lock()) {
          end->answer(id, result);
        }
      };
    }

   private:
    ServerEnd& end_;
    CallId id_;
  };
  dispatcher.dispatch(call, Respond{*this, call.id});
}

void MemoryLink::ServerEnd::answer(CallId id, const CallResult& result) {
  core.answer(id, result.code, result.executed, result.code == Code::ok ? result.body : result.why);
}

}  // namespace kv::rpc
