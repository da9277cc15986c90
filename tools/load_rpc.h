// Clients over RPC: the real client and its typed calls, each with one connection and up to
// `depth` calls in flight, a new one as soon as one has ended.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "common/kv/command.h"
#include "phase2_rpc/kv_methods.h"
#include "phase2_rpc/rpc_client.h"
#include "tools/load_pacer.h"
#include "tools/load_run.h"

namespace kv::load {

class RpcLoad final : public Load {
 public:
  explicit RpcLoad(const Plan& plan);
  ~RpcLoad() override;

  bool connect_all(std::string& why);
  Outcome fill() override;
  Outcome run() override;

 private:
  /// Room for one call in flight.
  struct Slot {
    RpcLoad* load;
    std::uint32_t client;
    std::uint64_t key = 0;
    bool get = false;
    Moment due;
    rpc::Get ask_get;  // both keep their strings' memory
    rpc::Put ask_put;
  };

  Outcome play(const Pacer::Plan& pace, std::uint32_t depth);
  void start_idle(Moment now);
  bool start_one(Slot& slot, Moment now);
  void on_done(Slot& slot, const rpc::CallResult& result, const std::optional<Reply>& reply);
  void judge(const Slot& slot, const rpc::CallResult& result, const std::optional<Reply>& reply);
  bool is_done(Moment now) const;
  Nanoseconds wait_max(Moment now) const;
  const rpc::Metadata& metadata_of(std::uint32_t client);
  ByteView value_of(std::uint64_t key) const;

  Plan plan_;
  Duration call_patience_;
  std::string run_;  // in every ID: no other run's requests are taken for repetitions of ours
  Bytes noise_;      // each value is a piece of it
  Random random_;
  std::shared_ptr<rpc::RpcLoop> loop_;
  std::vector<std::unique_ptr<rpc::RpcClient>> clients_;
  std::vector<rpc::Metadata> metadata_;  // of each client
  std::vector<Slot> slots_;
  std::deque<Slot*> idle_;
  Outcome outcome_;
  std::optional<Pacer> pacer_;
  Moment now_;
  Moment progress_at_;
  bool filling_ = false;
  std::uint64_t under_way_ = 0;
};

}  // namespace kv::load
