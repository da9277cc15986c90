#include "phase2_rpc/rpc_loop.h"

#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "common/core/check.h"
#include "phase2_rpc/loop_turns.h"

namespace kv::rpc {

struct RpcLoop::Impl {
  Impl(Drive its_drive, Duration its_spin)
      : drive(its_drive), io(1), turns(io, its_spin), work(boost::asio::make_work_guard(io)) {
    if (drive == Drive::own_thread) {
      thread = std::thread{[this] { turns.run(); }};
    }
  }

  const Drive drive;
  boost::asio::io_context io;
  LoopTurns turns;
  // It goes on when there is nothing to do.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  std::thread thread;
};

RpcLoop::RpcLoop(Drive drive, Duration spin) : impl_(std::make_unique<Impl>(drive, spin)) {}

RpcLoop::~RpcLoop() {
  impl_->io.stop();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

RpcLoop::Drive RpcLoop::drive() const {
  return impl_->drive;
}

void RpcLoop::run_until(const std::function<bool()>& until) {
  check(impl_->drive == Drive::caller);
  while (!until()) {
    impl_->turns.run_one();
  }
}

void RpcLoop::run_some(Duration longest) {
  check(impl_->drive == Drive::caller);
  impl_->io.run_one_for(longest);
  impl_->io.poll();
}

boost::asio::io_context& RpcLoop::io() {
  return impl_->io;
}

LoopTurns& RpcLoop::turns() {
  return impl_->turns;
}

}  // namespace kv::rpc
