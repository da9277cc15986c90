// The connection of an RpcClient: to one server after another, and what goes over its stream.
#include <algorithm>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "common/host/clock.h"
#include "common/wire/logfmt.h"
#include "phase2_rpc/rpc_client_impl.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {
namespace {

// A server, or the way to it, may be too slow for the patience that a list needs: each round in
// vain has twice as much, to eight times.
constexpr std::size_t doublings_max = 3;

}  // namespace

// --- connecting ----------------------------------------------------------------------------------

void RpcClient::Impl::connect() {
  const Instant now = host::run_now();
  if (closing || state != State::idle || now < connect_at) {
    return;
  }
  state = State::connecting;
  connect_at = now + options.connect_patience *
                         (1 << std::min(tries_in_vain / options.servers.size(), doublings_max));
  names.start(options.servers[server],
              [this, self = shared_from_this(), its_life = life](
                  const std::vector<tcp::endpoint>& found, const std::string& why) {
                if (its_life != life || state != State::connecting) {
                  return;
                }
                if (found.empty()) {
                  disconnect(why);
                  return;
                }
                addresses.assign(found.rbegin(), found.rend());
                const tcp::endpoint first = addresses.back();
                addresses.pop_back();
                connect_to(first);
              });
}

void RpcClient::Impl::connect_to(const tcp::endpoint& endpoint) {
  ++life;
  if (tls) {
    stream.emplace(std::in_place_type<TlsStream>, loop, *tls);
  } else {
    stream.emplace(std::in_place_type<PlainStream>, loop);
  }
  socket().async_connect(
      endpoint, [this, self = shared_from_this(), its_life = life](error_code error) {
        if (its_life != life || state != State::connecting) {
          return;
        }
        if (error && !addresses.empty()) {
          const tcp::endpoint next = addresses.back();
          addresses.pop_back();
          connect_to(next);
          return;
        }
        if (error) {
          disconnect(error.message());
          return;
        }
        if (auto* secure = std::get_if<TlsStream>(&*stream)) {
          secure->async_handshake(
              asio::ssl::stream_base::client, [this, self, its_life, secure](error_code refused) {
                if (its_life != life || state != State::connecting) {
                  return;
                }
                if (refused) {
                  disconnect(tls_failure(secure->native_handle(), refused.message()));
                } else {
                  on_connected();
                }
              });
          return;
        }
        on_connected();
      });
}

void RpcClient::Impl::on_connected() {
  error_code ignored;  // a socket without these works, only slower
  socket().set_option(tcp::no_delay{true}, ignored);
  socket().non_blocking(true, ignored);
  state = State::greeting;
  core.emplace(options.core, host::run_now());
  writing = false;
  early_failure = {};
  send_waiting(host::run_now());
  write();
  read();
  arm();
}

/// In the core's feed(). Only now is it known that the server serves us: that it accepted a
/// connection was its kernel's word.
void RpcClient::Impl::on_greeted() {
  state = State::up;
  connected = true;
  ++connects;
  tries_in_vain = 0;
  reconnect.reset();
  last_failure.clear();
}

/// The stream is of no more use. Its calls end (and some of them wait to be tried again); the
/// next server of the list is tried after a pause.
void RpcClient::Impl::disconnect(const std::string& why) {
  if (!closing && (state == State::connecting || state == State::greeting)) {
    notice(Level::warn, wire::LogFields{}
                            .add("event", "rpc_unreachable")
                            .add("server", host::to_text(options.servers[server]))
                            .add("why", why)
                            .text());
    ++tries_in_vain;
  }
  last_failure = why;
  ++life;
  names.cancel();
  if (stream) {
    error_code ignored;  // closed is closed
    socket().close(ignored);
  }
  state = State::idle;
  connected = false;
  server = (server + 1) % options.servers.size();
  connect_at = host::run_now() + reconnect.next(random);
  if (core) {
    unasked += core->counts().answers_unasked;
    core->lost(why);
    core.reset();
  }
  arm();
}

// --- the stream ----------------------------------------------------------------------------------

void RpcClient::Impl::read() {
  const auto on_some = [this, self = shared_from_this(), its_life = life](error_code error,
                                                                          std::size_t count) {
    if (its_life == life) {
      on_read(error, count);
    }
  };
  std::visit([&](auto& open) { open.async_read_some(asio::buffer(input), on_some); }, *stream);
}

std::string RpcClient::Impl::why_of(error_code error) {
  if (error == asio::error::eof) {
    return "the server closed the connection";
  }
  auto* secure = std::get_if<TlsStream>(&*stream);
  return secure != nullptr ? tls_failure(secure->native_handle(), error.message())
                           : error.message();
}

void RpcClient::Impl::on_read(error_code error, std::size_t count) {
  if (error) {
    disconnect(why_of(error));
    return;
  }
  const std::uint64_t its_life = life;
  const bool was_up = state == State::up;
  promise_to_look();  // callbacks may well call again: their calls leave with this turn's write
  turn_of_this_thread = this;
  calls_unsent = 0;
  heard_at = host::run_now();
  const bool good = core->feed(heard_at, {input.data(), count});
  turn_of_this_thread = nullptr;
  if (!good || early_failure) {
    disconnect(good ? early_failure.message() : core->why());
    take_mail();
    return;
  }
  if (!was_up && state == State::up) {
    send_waiting(host::run_now());
  }
  take_mail();
  if (its_life != life) {
    return;
  }
  write();
  if (its_life == life) {
    read();
  }
  if (core && core->server_is_leaving() && core->calls_in_flight() == 0) {
    disconnect("the server is going away");
  }
  arm();
}

void RpcClient::Impl::write() {
  if (!is_open() || writing || !core->has_output()) {
    return;
  }
  if (const error_code error = write_output()) {
    disconnect(error.message());
  }
}

/// Amid callbacks, before one more call of theirs is taken: the server may begin with those before.
void RpcClient::Impl::write_early() {
  if (calls_unsent < early_write_calls || !turns.waited_awake() || writing || early_failure) {
    return;
  }
  calls_unsent = 0;
  early_failure = write_output();  // not the end yet: the core is telling its answers
}

/// An error means that the stream is of no more use.
error_code RpcClient::Impl::write_output() {
  turns.expect_more();
  output.clear();
  core->swap_output(output);
  auto* plain = std::get_if<PlainStream>(&*stream);
  if (plain == nullptr) {
    write_rest(0);
    return {};
  }
  error_code error;
  const std::size_t done = plain->write_some(asio::buffer(output), error);
  if (error && error != asio::error::would_block) {
    core->output_not_taken();
    return error;
  }
  if (done < output.size()) {
    write_rest(done);
  }
  return {};
}

void RpcClient::Impl::write_rest(std::size_t done) {
  writing = true;
  const auto on_written = [this, self = shared_from_this(), its_life = life](error_code error,
                                                                             std::size_t) {
    if (its_life != life) {
      return;
    }
    writing = false;
    if (error) {
      disconnect(error.message());
    } else {
      write();
    }
  };
  std::visit([&](auto& open) { asio::async_write(open, asio::buffer(output) + done, on_written); },
             *stream);
}

}  // namespace kv::rpc
