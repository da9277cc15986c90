#include "tools/replica_page.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include <memory>
#include <utility>

#include "common/core/check.h"
#include "common/host/address.h"

namespace kv::cluster {
namespace {

std::string body_of(evhttp_request* request) {
  evbuffer* const input = evhttp_request_get_input_buffer(request);
  std::string body(evbuffer_get_length(input), '\0');
  evbuffer_copyout(input, body.data(), body.size());
  return body;
}

void on_page(evhttp_request* request, void* argument) {
  const std::unique_ptr<OnPage> answered{static_cast<OnPage*>(argument)};
  if (request == nullptr) {
    return (*answered)(no_page, {});
  }
  (*answered)(evhttp_request_get_response_code(request), body_of(request));
}

}  // namespace

void ask_page(sockets::EventLoop& loop, const ReplicaProcess& replica, const char* path,
              Duration patience, OnPage answered) {
  const auto http = replica.addresses().find("http");
  host::Endpoint door;
  if (replica.state() != ReplicaProcess::State::ready || http == replica.addresses().end() ||
      !host::read_endpoint(http->second, door).empty() || door.off) {
    return answered(no_page, {});
  }
  evhttp_connection* const connection =
      evhttp_connection_base_new(loop.base(), nullptr, door.host.c_str(), door.port);
  if (connection == nullptr) {
    return answered(no_page, {});
  }
  const timeval limit{.tv_sec = patience.count() / 1'000'000,
                      .tv_usec = patience.count() % 1'000'000};
  evhttp_connection_set_timeout_tv(connection, &limit);
  evhttp_connection_free_on_completion(connection);
  evhttp_request* const request =
      evhttp_request_new(on_page, std::make_unique<OnPage>(std::move(answered)).release());
  check(request != nullptr);
  evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
  evhttp_add_header(evhttp_request_get_output_headers(request), "Host", door.host.c_str());
  static_cast<void>(evhttp_make_request(connection, request, EVHTTP_REQ_GET, path));
}

}  // namespace kv::cluster
