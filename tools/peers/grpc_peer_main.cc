// The Get/Put service over gRPC's callback API, both sides: what `make bench` compares with.
#include <grpcpp/grpcpp.h>
#include <kv.grpc.pb.h>  // generated

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "tools/peers/closed_loop.h"

namespace kv::peers {
namespace {

class StoreService final : public Store::CallbackService {
 public:
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const GetRequest* request,
                                Reply* reply) override {
    {
      const std::lock_guard lock{mutex_};
      const auto found = values_.find(request->key());
      reply->set_found(found != values_.end());
      if (found != values_.end()) {
        reply->set_value(found->second);
      }
    }
    auto* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const PutRequest* request,
                                Reply* reply) override {
    {
      const std::lock_guard lock{mutex_};
      values_[request->key()] = request->value();
    }
    reply->set_found(true);
    auto* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  std::mutex mutex_;  // guards values_: callbacks come on gRPC's threads
  std::unordered_map<std::string, std::string> values_;
};

int serve() {
  StoreService service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  std::printf("ready tcp=127.0.0.1:%d\n", port);
  std::fflush(stdout);
  server->Wait();
  return 0;
}

/// One of the calls that are always on their way.
struct Slot {
  Store::Stub* stub = nullptr;
  std::unique_ptr<grpc::ClientContext> context;
  GetRequest get;
  PutRequest put;
  Reply reply;
  Clock::time_point began;
};

class Load {
 public:
  explicit Load(const Plan& plan) : run_(plan), value_(plan.value_bytes, 'v') {
    for (std::uint32_t i = 0; i < plan.clients; ++i) {
      grpc::ChannelArguments arguments;  // else the channels share one connection
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      const auto channel = grpc::CreateCustomChannel(plan.host + ":" + std::to_string(plan.port),
                                                     grpc::InsecureChannelCredentials(), arguments);
      stubs_.push_back(Store::NewStub(channel));
    }
    slots_.resize(std::size_t{plan.clients} * plan.depth);
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i].stub = stubs_[i % stubs_.size()].get();
    }
  }

  void play() {
    under_way_ = slots_.size();
    for (Slot& slot : slots_) {
      start(slot);
    }
    std::unique_lock lock{mutex_};
    all_ended_.wait(lock, [this] { return under_way_ == 0; });
    run_.print();
  }

 private:
  void start(Slot& slot) {
    bool is_get = false;
    std::string key;
    {
      const std::lock_guard lock{mutex_};
      is_get = run_.next_is_get();
      key = run_.next_key();
    }
    slot.context = std::make_unique<grpc::ClientContext>();
    slot.began = Clock::now();
    const auto done = [this, &slot](const grpc::Status& status) { on_done(slot, status.ok()); };
    if (is_get) {
      slot.get.set_key(key);
      slot.stub->async()->Get(slot.context.get(), &slot.get, &slot.reply, done);
    } else {
      slot.put.set_key(key);
      slot.put.set_value(value_);
      slot.stub->async()->Put(slot.context.get(), &slot.put, &slot.reply, done);
    }
  }

  void on_done(Slot& slot, bool ok) {
    const auto now = Clock::now();
    {
      const std::lock_guard lock{mutex_};
      ok ? run_.ended(slot.began, now) : run_.failed();
      if (run_.over(now)) {
        if (--under_way_ == 0) {
          all_ended_.notify_one();
        }
        return;
      }
    }
    start(slot);
  }

  std::mutex mutex_;  // guards run_ and under_way_: callbacks come on gRPC's threads
  std::condition_variable all_ended_;
  ClosedLoop run_;
  std::string value_;
  std::vector<std::unique_ptr<Store::Stub>> stubs_;
  std::vector<Slot> slots_;
  std::size_t under_way_ = 0;
};

}  // namespace
}  // namespace kv::peers

int main(int argc, char** argv) {
  const kv::peers::Command command{argc, argv};
  if (command.serve) {
    return kv::peers::serve();
  }
  kv::peers::Load{command.plan}.play();
  return 0;
}
