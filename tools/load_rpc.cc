#include "tools/load_rpc.h"

#include <algorithm>
#include <random>
#include <utility>

#include "phase2_rpc/server_methods.h"
#include "tools/load_usage.h"

namespace kv::load {
namespace {

constexpr std::uint32_t fill_depth = 64;
constexpr std::size_t value_starts = 4096;  // the noise is so much longer than a value
constexpr Nanoseconds rpc_tick = std::chrono::milliseconds{10};

/// As Workload::key(), into memory that is there already.
void set_key(std::string& key, std::uint64_t number) {
  key.assign("key:000000000000");
  for (std::size_t at = key.size(); number > 0; number /= 10) {
    key[--at] = static_cast<char>('0' + number % 10);
  }
}

}  // namespace

RpcLoad::RpcLoad(const Plan& plan)
    : plan_(plan),
      call_patience_(std::chrono::duration_cast<Duration>(
                         std::chrono::duration<double>(std::min(plan.seconds, 1e6))) +
                     plan.patience),
      run_("bench-" + std::to_string(std::random_device{}())),
      noise_(plan.mix.value_bytes + value_starts, ' '),
      random_(plan.mix.seed),
      loop_(std::make_shared<rpc::RpcLoop>(rpc::RpcLoop::Drive::caller, plan.spin)) {
  for (char& byte : noise_) {
    byte = static_cast<char>('a' + random_.below(26));
  }
}

/// The clients' last words reach the slots: they go first.
RpcLoad::~RpcLoad() {
  clients_.clear();
}

bool RpcLoad::connect_all(std::string& why) {
  std::uint32_t answered = 0;
  for (std::uint32_t i = 0; i < plan_.clients; ++i) {
    rpc::RpcClient::Options options{
        .servers = plan_.target.endpoints, .loop = loop_, .seed = i + 1};
    const std::size_t first = i % options.servers.size();
    std::rotate(options.servers.begin(),
                options.servers.begin() + static_cast<std::ptrdiff_t>(first),
                options.servers.end());
    clients_.push_back(std::make_unique<rpc::RpcClient>(options, [](Level, std::string_view) {}));
    clients_.back()->call(rpc::server_health, rpc::Nothing{}, {}, plan_.patience,
                          [&](rpc::Answered<rpc::Health>&& health) {
                            ++answered;
                            if (!health.answer) {
                              why = "cannot reach " + to_text(plan_.target) + ": " +
                                    health.result.why;
                            }
                          });
  }
  loop_->run_until([&] { return answered == plan_.clients; });
  metadata_.resize(plan_.clients);
  for (std::uint32_t i = 0; plan_.mix.with_ids && i < plan_.clients; ++i) {
    metadata_[i].origin.client = run_ + "-" + std::to_string(i);
  }
  return why.empty();
}

Outcome RpcLoad::fill() {
  filling_ = true;
  Outcome outcome = play({.begin = Clock::now(), .requests_max = plan_.mix.keys},
                         std::max(fill_depth, plan_.depth));
  filling_ = false;
  return outcome;
}

Outcome RpcLoad::run() {
  const Moment now = Clock::now();
  const auto length = std::chrono::duration_cast<Nanoseconds>(
      std::chrono::duration<double>(std::min(plan_.seconds, 1e9)));
  return play(
      {.begin = now, .end = now + length, .requests_max = plan_.requests_max, .rate = plan_.rate},
      plan_.depth);
}

Outcome RpcLoad::play(const Pacer::Plan& pace, std::uint32_t depth) {
  outcome_ = Outcome{};
  pacer_.emplace(pace);
  progress_at_ = pace.begin;
  slots_.clear();
  idle_.clear();
  for (std::uint32_t i = 0; i < depth; ++i) {
    for (std::uint32_t client = 0; client < plan_.clients; ++client) {
      slots_.push_back({.load = this, .client = client});
    }
  }
  for (Slot& slot : slots_) {
    idle_.push_back(&slot);
  }
  const double processor_begin = processor_seconds();
  now_ = pace.begin;
  while (true) {
    start_idle(now_);
    if (is_done(now_)) {
      break;
    }
    if (pacer_->is_open_loop()) {
      loop_->run_some(std::chrono::duration_cast<Duration>(wait_max(now_)));
    } else {
      loop_->run_until(
          [this] { return under_way_ == 0; });  // what has ended has begun anew by itself
    }
    now_ = Clock::now();
  }
  outcome_.seconds = seconds_between(pace.begin, std::max(progress_at_, pace.begin));
  outcome_.busy = (processor_seconds() - processor_begin) / seconds_between(pace.begin, now_);
  outcome_.not_started = pacer_->is_open_loop() ? pacer_->due(pace.end) : 0;
  return std::exchange(outcome_, Outcome{});
}

void RpcLoad::start_idle(Moment now) {
  while (!idle_.empty() && start_one(*idle_.front(), now)) {
    idle_.pop_front();
  }
}

bool RpcLoad::start_one(Slot& slot, Moment now) {
  const Pacer::Leave leave = pacer_->take(now, 1);
  if (leave.count == 0) {
    return false;
  }
  slot.due = leave.due;
  slot.key = filling_ ? leave.first : random_.below(plan_.mix.keys);
  slot.get = !filling_ && random_.below(100) < plan_.mix.gets_percent;
  ++under_way_;
  rpc::RpcClient& client = *clients_[slot.client];
  const auto done = [&slot](const rpc::Answered<Reply>& answered) {
    slot.load->on_done(slot, answered.result, answered.answer);
  };
  if (slot.get) {
    set_key(slot.ask_get.key, slot.key);
    client.call(rpc::kv_get, slot.ask_get, metadata_of(slot.client), call_patience_, done);
  } else {
    set_key(slot.ask_put.key, slot.key);
    slot.ask_put.value = value_of(slot.key);
    client.call(rpc::kv_put, slot.ask_put, metadata_of(slot.client), call_patience_, done);
  }
  return true;
}

void RpcLoad::on_done(Slot& slot, const rpc::CallResult& result,
                      const std::optional<Reply>& reply) {
  const Moment now = Clock::now();
  --under_way_;
  progress_at_ = now;
  judge(slot, result, reply);
  outcome_.latency.record(now - slot.due);
  if (!idle_.empty() || !start_one(slot, now)) {
    idle_.push_back(&slot);  // others wait longer
  }
}

void RpcLoad::judge(const Slot& slot, const rpc::CallResult& result,
                    const std::optional<Reply>& reply) {
  if (!reply) {
    ++outcome_.unanswered;
    outcome_.count_error(1, std::string{name_of(result.code)} + ": " + result.why);
  } else if (reply->status != Status::ok) {
    outcome_.count_error(1, std::string{name_of(reply->status)} + " " + reply->why);
    outcome_.count_status(reply->status);
  } else if (slot.get && reply->value != value_of(slot.key)) {
    outcome_.count_wrong_answer(reply->value, value_of(slot.key));
  } else {
    ++outcome_.ops;
  }
}

bool RpcLoad::is_done(Moment now) const {
  return under_way_ == 0 && pacer_->is_over(now);
}

/// How long nothing of our own is due.
Nanoseconds RpcLoad::wait_max(Moment now) const {
  if (pacer_->is_open_loop() && !idle_.empty() && !pacer_->is_over(now)) {
    return std::clamp<Nanoseconds>(pacer_->due_next() - now, Nanoseconds{0}, rpc_tick);
  }
  return rpc_tick;
}

const rpc::Metadata& RpcLoad::metadata_of(std::uint32_t client) {
  rpc::Metadata& metadata = metadata_[client];
  if (plan_.mix.with_ids) {
    ++metadata.origin.sequence;
  }
  return metadata;
}

ByteView RpcLoad::value_of(std::uint64_t key) const {
  return ByteView{noise_}.substr(key % value_starts, plan_.mix.value_bytes);
}

}  // namespace kv::load
