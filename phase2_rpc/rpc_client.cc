#include "phase2_rpc/rpc_client.h"

#include <algorithm>
#include <functional>
#include <future>
#include <iterator>
#include <utility>

#include <boost/asio/post.hpp>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "phase2_rpc/rpc_client_impl.h"

namespace kv::rpc {
namespace {

CallResult without_patience() {
  return failure(Code::deadline_exceeded, Executed::no, "the caller has no patience");
}

CallResult too_much_waits() {
  return failure(Code::resource_exhausted, Executed::no, "too many calls or bytes wait");
}

Instant deadline_after(Instant now, Duration patience) {
  return patience >= RpcClient::patience_most ? never : now + patience;
}

}  // namespace

thread_local const RpcClient::Impl* RpcClient::Impl::turn_of_this_thread = nullptr;

// --- calls ---------------------------------------------------------------------------------------

/// From any thread. 0, and `pending` is still the caller's, if too much mail waits.
CallNumber RpcClient::Impl::post(std::unique_ptr<Pending>& pending) {
  bool wake = false;
  CallNumber number = 0;
  {
    const std::lock_guard lock{mutex};
    const std::size_t bytes = pending->bytes();
    if (mail.size() >= options.core.calls_in_flight_max ||
        !has_room_for(bytes, mail_bytes + waiting_bytes.load(std::memory_order_relaxed))) {
      return 0;
    }
    mail_bytes += bytes;
    if (pending->number == 0) {
      pending->number = std::exchange(next_number, next_number + number_step);
    }
    number = pending->number;
    mail.push_back(std::move(pending));
    wake = !std::exchange(mail_posted, true);
  }
  if (wake) {  // once for all mail that comes before the loop looks
    asio::post(loop, [self = shared_from_this()] { self->take_mail(); });
  }
  return number;
}

/// 0 if it has ended in here.
CallNumber RpcClient::Impl::post_or_refuse(std::unique_ptr<Pending> pending) {
  const CallNumber number = post(pending);
  if (number == 0) {
    pending->done(too_much_waits());
  }
  return number;
}

/// From any thread, by the way that the call itself has taken: so it is there before.
void RpcClient::Impl::cancel(CallNumber number) {
  bool wake = false;
  {
    const std::lock_guard lock{mutex};
    given_up.push_back(number);
    wake = !std::exchange(mail_posted, true);
  }
  if (wake) {
    asio::post(loop, [self = shared_from_this()] { self->take_mail(); });
  }
}

/// Who posts from now on need not wake the loop: take_mail() follows.
void RpcClient::Impl::promise_to_look() {
  const std::lock_guard lock{mutex};
  mail_posted = true;
}

/// False if there was none.
bool RpcClient::Impl::take_mail() {
  std::vector<std::unique_ptr<Pending>> taken;
  std::vector<CallNumber> numbers;
  {
    const std::lock_guard lock{mutex};
    taken.swap(mail);
    mail_bytes = 0;
    numbers.swap(given_up);
    mail_posted = false;
  }
  if (taken.empty() && numbers.empty()) {
    return false;
  }
  if (!numbers.empty()) {
    cancel_all(numbers, taken);
  }
  const Instant now = host::run_now();
  for (auto& pending : taken) {
    admit(now, std::move(pending));
  }
  write();
  arm();
  return true;
}

/// Those of `taken`, of the waiting and of those in flight that have one of `numbers`.
void RpcClient::Impl::cancel_all(std::vector<CallNumber>& numbers,
                                 std::vector<std::unique_ptr<Pending>>& taken) {
  std::ranges::sort(numbers);
  const auto is_cancelled = [&](const auto& pending) {
    return std::ranges::binary_search(numbers, pending->number);
  };
  std::list<std::unique_ptr<Pending>> unsent;  // first out of the lists: callbacks may call
  const auto from = std::stable_partition(taken.begin(), taken.end(), std::not_fn(is_cancelled));
  std::move(from, taken.end(), std::back_inserter(unsent));
  taken.erase(from, taken.end());
  for (auto next = waiting.begin(); next != waiting.end();) {
    const auto call = next++;
    if (is_cancelled(*call)) {
      waiting_bytes -= (*call)->bytes();
      unsent.splice(unsent.end(), waiting, call);
    }
  }
  for (const auto& call : unsent) {
    call->done(failure(Code::cancelled, call->sent ? Executed::maybe : Executed::no,
                       "the caller gave up"));
  }
  if (core) {
    for (const CallId id : core->find(numbers)) {
      core->cancel(id);
    }
  }
}

void RpcClient::Impl::admit(Instant now, std::unique_ptr<Pending> pending) {
  if (closing) {
    if (!pending->one_way) {
      end_as_closing(*pending, Executed::no);
    }
    return;
  }
  ++started;
  budget.called();
  if (takes_calls()) {
    send(now, std::move(pending));
    return;
  }
  if (pending->one_way) {
    return;
  }
  if (waiting.size() >= options.core.calls_in_flight_max ||
      !has_room_for(pending->bytes(), waiting_bytes)) {
    pending->done(too_much_waits());
    return;
  }
  wait(std::move(pending));
  connect();
}

/// One call larger than the limit may wait alone, or it could never go at all.
bool RpcClient::Impl::has_room_for(std::size_t bytes, std::size_t held) const {
  return held == 0 || held + bytes <= options.core.bytes_in_flight_max;
}

void RpcClient::Impl::wait(std::unique_ptr<Pending> pending) {
  waiting_bytes += pending->bytes();
  waiting.push_back(std::move(pending));
}

/// A call from one of this client's own callbacks, on the loop's thread: it goes straight out.
/// False, and `pending` is still the caller's, if it cannot: then it goes the way of all others.
bool RpcClient::Impl::send_in_turn(Instant now, std::unique_ptr<Pending>& pending) {
  write_early();
  CallResult refusal;
  if (!takes_calls() || !start(now, pending, refusal)) {
    return false;
  }
  ++started;
  ++calls_unsent;
  budget.called();
  return true;
}

void RpcClient::Impl::send(Instant now, std::unique_ptr<Pending> pending) {
  CallResult refusal;
  if (!start(now, pending, refusal)) {
    ended(std::move(pending), std::move(refusal));
  }
}

/// False, with `refusal` filled, if the core does not take it; else it is the core's.
bool RpcClient::Impl::start(Instant now, std::unique_ptr<Pending>& pending, CallResult& refusal) {
  const Pending& call = *pending;
  const OutgoingCall outgoing{.method = call.request.method,
                              .metadata = call.request.metadata,
                              .body = call.request.body,
                              .deadline = call.deadline,
                              .idempotent = call.request.safety == Safety::idempotent,
                              .number = call.number};
  if (call.one_way) {
    std::ignore = core->notify(now, outgoing, refusal);  // best effort is what was asked for
    return true;
  }
  // The core runs a callback exactly once, so the callback can own the call; as a bare pointer,
  // for a std::function allocates for all that is not trivial to copy.
  const auto id = core->start(
      now, outgoing,
      [raw = pending.get()](CallResult&& result) {
        std::unique_ptr<Pending> ended{raw};
        raw->client.ended(std::move(ended), std::move(result));
      },
      refusal);
  if (id) {
    std::ignore = pending.release();
  }
  return id.has_value();
}

void RpcClient::Impl::ended(std::unique_ptr<Pending> pending, CallResult&& result) {
  if (closing) {
    end_as_closing(*pending, result.executed);
    return;
  }
  const bool is_remembered = pending->request.has_origin && !core->server_memory().empty();
  if (may_retry(result, pending->request.safety, is_remembered)) {
    const Instant now = host::run_now();
    if (now < pending->deadline && budget.take()) {
      ++retried;
      if (result.executed != Executed::no && !std::exchange(pending->sent, true)) {
        pending->sent_to = core->server_memory();
      }
      pending->not_before = now + pending->back_off.next(random);
      wait(std::move(pending));  // whatever waits: it was in flight, within its bounds
      return;
    }
  }
  if (pending->sent) {
    result.executed = Executed::maybe;  // this try was refused, perhaps, but not the one before
  }
  pending->done(std::move(result));
  spare.keep(std::move(pending));
}

void RpcClient::Impl::send_waiting(Instant now) {
  std::list<std::unique_ptr<Pending>> due;
  for (auto next = waiting.begin(); next != waiting.end();) {
    const auto call = next++;
    if ((*call)->deadline <= now || (takes(**call) && (*call)->not_before <= now)) {
      waiting_bytes -= (*call)->bytes();
      due.splice(due.end(), waiting, call);
    }
  }
  for (auto& call : due) {
    if (call->deadline <= now) {
      const std::string after = last_failure.empty() ? "" : ", last failure: " + last_failure;
      call->done(failure(Code::deadline_exceeded, call->sent ? Executed::maybe : Executed::no,
                         "no server answered in time" + after));
    } else if (call->wants_who_remembers() && call->sent_to != core->server_memory()) {
      call->done(failure(Code::unavailable, Executed::maybe,
                         "the server that may have executed it is gone, this one would not know"));
    } else {
      send(now, std::move(call));
    }
  }
}

/// Wakes the loop when the next thing is due.
void RpcClient::Impl::arm() {
  Instant due = core ? core->wake_at() : never;
  for (const auto& call : waiting) {
    due = std::min(due, call->deadline);
    if (takes(*call)) {
      due = std::min(due, call->not_before);
    }
  }
  if (must_be_up_in_time() || (state == State::idle && !waiting.empty())) {
    due = std::min(due, connect_at);
  }
  if (due >= armed_for || closing) {
    return;
  }
  armed_for = due;
  timer.expires_at(std::chrono::steady_clock::time_point{due.time_since_epoch()});
  timer.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) {
      self->on_timer();
    }
  });
}

void RpcClient::Impl::on_timer() {
  armed_for = never;
  const Instant now = host::run_now();
  if (core && !core->tick(now)) {
    disconnect(core->why());
  }
  if (must_be_up_in_time() && now >= connect_at) {
    disconnect(state == State::greeting ? "it accepts connections, but says no hello"
                                        : "no connection in time");
  }
  send_waiting(now);
  if (!waiting.empty()) {
    connect();
  }
  write();
  arm();
}

void RpcClient::Impl::give_up_all() {
  closing = true;
  disconnect("the client is closing");
  waiting_bytes = 0;
  for (const auto& call : std::exchange(waiting, {})) {
    end_as_closing(*call, Executed::no);
  }
  while (take_mail()) {  // what their callbacks call in turn is mail: nobody looks after this
  }
  timer.cancel();
}

/// `executed`: of the call's last try.
void RpcClient::Impl::end_as_closing(const Pending& pending, Executed executed) {
  pending.done(
      failure(Code::cancelled, pending.sent ? Executed::maybe : executed, "the client is closing"));
}

// --- the public side -----------------------------------------------------------------------------

RpcClient::RpcClient(const Options& options, Notice notice)
    : loop_(options.loop ? options.loop : std::make_shared<RpcLoop>(options.drive, options.spin)),
      impl_(std::make_shared<Impl>(options, *loop_, std::move(notice))) {
  impl_->options.loop.reset();  // or the loop's own operations would keep it
}

RpcClient::~RpcClient() {
  if (impl_->drive == Drive::caller) {
    impl_->give_up_all();
    return;
  }
  std::promise<void> done;
  asio::post(impl_->loop, [&] {
    impl_->give_up_all();
    done.set_value();
  });
  done.get_future().wait();
}

const std::string& RpcClient::why_unusable() const {
  return impl_->why_unusable;
}

CallNumber RpcClient::call(Request request, Duration patience, Done done) {
  return call_at(host::run_now(), std::move(request), patience, std::move(done));
}

CallNumber RpcClient::call_at(Instant now, Request request, Duration patience, Done done) {
  if (patience <= Duration::zero()) {
    done(without_patience());
    return 0;
  }
  if (Request* const room = room_in_turn()) {
    *room = std::move(request);
    return call_in_turn(patience, std::move(done));
  }
  auto pending =
      std::make_unique<Pending>(*impl_, std::move(request), deadline_after(now, patience),
                                std::move(done), BackOff{impl_->options.back_off});
  return impl_->post_or_refuse(std::move(pending));
}

void RpcClient::cancel(CallNumber number) {
  impl_->cancel(number);
}

Request* RpcClient::room_in_turn() {
  return impl_->in_turn() ? &impl_->spare.room(*impl_) : nullptr;
}

CallNumber RpcClient::call_in_turn(Duration patience, Done done) {
  if (patience <= Duration::zero()) {
    done(without_patience());
    return 0;
  }
  const Instant now = host::run_now();
  std::unique_ptr<Pending> pending = impl_->spare.take();
  pending->deadline = deadline_after(now, patience);
  pending->done = std::move(done);
  pending->back_off = BackOff{impl_->options.back_off};
  pending->not_before = {};
  pending->sent = false;
  const CallNumber number = impl_->next_number_in_turn;
  impl_->next_number_in_turn += Impl::number_step;
  pending->number = number;
  return impl_->send_in_turn(now, pending) ? number : impl_->post_or_refuse(std::move(pending));
}

bool RpcClient::notify(Request request) {
  auto pending = std::make_unique<Pending>(*impl_, std::move(request), never, nullptr,
                                           BackOff{impl_->options.back_off});
  pending->one_way = true;
  return impl_->post(pending) != 0;
}

std::future<CallResult> RpcClient::call_soon(Request request, Duration patience) {
  CallNumber number = 0;
  return call_soon(std::move(request), patience, number);
}

std::future<CallResult> RpcClient::call_soon(Request request, Duration patience,
                                             CallNumber& number) {
  check(impl_->drive == Drive::own_thread);
  auto promise = std::make_shared<std::promise<CallResult>>();
  auto future = promise->get_future();
  number = call(std::move(request), patience,
                [promise](CallResult&& result) { promise->set_value(std::move(result)); });
  return future;
}

CallResult RpcClient::call_and_wait(Request request, Duration patience) {
  if (impl_->loop.get_executor().running_in_this_thread()) {
    return failure(Code::failed_precondition, Executed::no, "a callback must not wait for a call");
  }
  if (impl_->drive == Drive::own_thread) {
    return call_soon(std::move(request), patience).get();
  }
  Instant now = host::run_now();
  if (now - impl_->heard_at >= impl_->options.silence_trusted) {
    impl_->loop.poll();  // the end of the connection, or a ping that must be answered
    now = host::run_now();
  }
  std::optional<CallResult> ended;
  impl_->promise_to_look();  // this thread is the loop's
  call_at(now, std::move(request), patience,
          [&](CallResult&& result) { ended = std::move(result); });
  impl_->take_mail();
  drive([&] { return ended.has_value(); });
  return std::move(*ended);
}

void RpcClient::drive(const std::function<bool()>& until) {
  loop_->run_until(until);
}

bool RpcClient::connected() const {
  return impl_->connected;
}

ClientCountsAll RpcClient::counts() const {
  return {.started = impl_->started,
          .retried = impl_->retried,
          .connected = impl_->connects,
          .answers_unasked = impl_->unasked};
}

}  // namespace kv::rpc
