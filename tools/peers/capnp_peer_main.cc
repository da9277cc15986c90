// The Get/Put service over Cap'n Proto's RPC, both sides: what `make bench` compares with.
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kv.capnp.h>  // generated

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tools/peers/closed_loop.h"

namespace kv::peers {
namespace {

using capnproto::Store;

std::string text_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}
capnp::Data::Reader data_of(const std::string& text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}

class StoreServer final : public Store::Server {
 public:
  kj::Promise<void> get(GetContext context) override {
    const auto found = values_.find(text_of(context.getParams().getKey()));
    auto results = context.getResults();
    results.setFound(found != values_.end());
    if (found != values_.end()) {
      results.setValue(data_of(found->second));
    }
    return kj::READY_NOW;
  }
  kj::Promise<void> put(PutContext context) override {
    const auto parameters = context.getParams();
    values_[text_of(parameters.getKey())] = text_of(parameters.getValue());
    context.getResults().setFound(true);
    return kj::READY_NOW;
  }

 private:
  std::unordered_map<std::string, std::string> values_;
};

int serve() {
  auto io = kj::setupAsyncIo();
  auto address = io.provider->getNetwork().parseAddress("127.0.0.1", 0).wait(io.waitScope);
  auto listener = address->listen();
  capnp::TwoPartyServer server{kj::heap<StoreServer>()};
  std::printf("ready tcp=127.0.0.1:%u\n", listener->getPort());
  std::fflush(stdout);
  server.listen(*listener).wait(io.waitScope);
  return 0;
}

struct Link {
  explicit Link(kj::Own<kj::AsyncIoStream> its_stream)
      : stream(kj::mv(its_stream)), client(*stream), store(client.bootstrap().castAs<Store>()) {}

  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyClient client;
  Store::Client store;
};

/// One call after the other, until the time is over.
kj::Promise<void> play(Store::Client& store, ClosedLoop& run, const std::string& value) {
  const auto began = Clock::now();
  if (run.over(began)) {
    return kj::READY_NOW;
  }
  const auto next = [&store, &run, &value, began] {
    run.ended(began, Clock::now());
    return play(store, run, value);
  };
  const std::string key = run.next_key();
  if (run.next_is_get()) {
    auto request = store.getRequest();
    request.setKey(data_of(key));
    return request.send().then([next](auto&&) { return next(); });
  }
  auto request = store.putRequest();
  request.setKey(data_of(key));
  request.setValue(data_of(value));
  return request.send().then([next](auto&&) { return next(); });
}

int load(const Plan& plan) {
  auto io = kj::setupAsyncIo();
  const std::string value(plan.value_bytes, 'v');
  auto address =
      io.provider->getNetwork().parseAddress(plan.host.c_str(), plan.port).wait(io.waitScope);
  std::vector<std::unique_ptr<Link>> links;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    links.push_back(std::make_unique<Link>(address->connect().wait(io.waitScope)));
  }
  ClosedLoop run{plan};
  auto calls = kj::heapArrayBuilder<kj::Promise<void>>(std::size_t{plan.clients} * plan.depth);
  for (auto& link : links) {
    for (std::uint32_t i = 0; i < plan.depth; ++i) {
      calls.add(play(link->store, run, value));
    }
  }
  kj::joinPromises(calls.finish()).wait(io.waitScope);
  run.print();
  return 0;
}

}  // namespace
}  // namespace kv::peers

int main(int argc, char** argv) {
  const kv::peers::Command command{argc, argv};
  return command.serve ? kv::peers::serve() : kv::peers::load(command.plan);
}
