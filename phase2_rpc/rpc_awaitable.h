// The RPC client for coroutines: co_await a call.
//
//   asio::awaitable<void> copy(RpcClient& client) {
//     Request request = RpcClient::request_of(get, Get{.key = "a"}, {});
//     CallResult result = co_await call_async(client, std::move(request));
//     …
//   }
//
// Includes Asio: for the .cc files that await, not for headers. g++ 12 destroys some temporaries
// of a co_await expression twice: name aggregates and lambdas before it, as above.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "phase2_rpc/rpc_client.h"

namespace kv::rpc {

/// Cancelling the coroutine cancels the call, which is then its result.
/// The coroutine goes on where it ran before, on its own executor, whose loop does not end before.
inline boost::asio::awaitable<CallResult> call_async(
    RpcClient& client, Request request, Duration patience = RpcClient::patience_default) {
  auto initiate = [&client, patience](auto handler, Request asked) {
    using Handler = decltype(handler);
    auto kept = std::make_shared<Handler>(std::move(handler));
    // post() still touches the loop after the coroutine can run there, to its end and to the end of
    // the loop itself: let go of the loop only after it.
    auto work = boost::asio::make_work_guard(boost::asio::get_associated_executor(*kept));
    auto resume = [kept, work](CallResult&& result) mutable {
      boost::asio::post(work.get_executor(), [kept, told = std::move(result)]() mutable {
        if (auto slot = boost::asio::get_associated_cancellation_slot(*kept); slot.is_connected()) {
          slot.clear();
        }
        (*kept)(std::move(told));
      });
      work.reset();
    };
    work.reset();
    std::shared_ptr<std::atomic<CallNumber>> number;
    if (auto slot = boost::asio::get_associated_cancellation_slot(*kept); slot.is_connected()) {
      number = std::make_shared<std::atomic<CallNumber>>(0);
      slot.assign([&client, number](boost::asio::cancellation_type) { client.cancel(*number); });
    }
    const CallNumber called = client.call(std::move(asked), patience, std::move(resume));
    if (number) {
      *number = called;
    }
  };
  return boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void(CallResult)>(
      std::move(initiate), boost::asio::use_awaitable, std::move(request));
}

}  // namespace kv::rpc
