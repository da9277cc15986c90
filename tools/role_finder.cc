#include "tools/role_finder.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include <utility>

#include <boost/json.hpp>

#include "common/core/check.h"
#include "common/host/address.h"

namespace kv::cluster {
namespace {

namespace json = boost::json;

/// One search: it lives until the last page has come, or has not.
struct Search {
  std::string role;
  std::function<void(NodeId)> found;
  std::size_t open = 0;
  NodeId best;
  double term = -1;  // of the best

  void claimed(NodeId node, double in_term) {
    if (in_term > term) {
      best = node;
      term = in_term;
    }
  }
  void one_over() {
    if (--open == 0) {
      found(best);
    }
  }
};

struct Question {
  std::shared_ptr<Search> search;
  NodeId node;
};

std::string body_of(evhttp_request* request) {
  evbuffer* const input = evhttp_request_get_input_buffer(request);
  std::string body(evbuffer_get_length(input), '\0');
  evbuffer_copyout(input, body.data(), body.size());
  return body;
}

void on_page(evhttp_request* request, void* argument) {
  const std::unique_ptr<Question> question{static_cast<Question*>(argument)};
  const bool good = request != nullptr && evhttp_request_get_response_code(request) == HTTP_OK;
  const auto claim = good ? claim_of(body_of(request), question->search->role) : std::nullopt;
  if (claim) {
    question->search->claimed(question->node, *claim);
  }
  question->search->one_over();
}

bool ask(sockets::EventLoop& loop, const host::Endpoint& door, Duration patience,
         std::unique_ptr<Question> question) {
  evhttp_connection* const connection =
      evhttp_connection_base_new(loop.base(), nullptr, door.host.c_str(), door.port);
  if (connection == nullptr) {
    return false;
  }
  const timeval limit{.tv_sec = patience.count() / 1'000'000,
                      .tv_usec = patience.count() % 1'000'000};
  evhttp_connection_set_timeout_tv(connection, &limit);
  evhttp_connection_free_on_completion(connection);
  evhttp_request* const request = evhttp_request_new(on_page, question.release());
  check(request != nullptr);
  evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
  evhttp_add_header(evhttp_request_get_output_headers(request), "Host", door.host.c_str());
  static_cast<void>(evhttp_make_request(connection, request, EVHTTP_REQ_GET, "/status"));
  return true;
}

/// Nothing, or no number: 0.
double figure_in(const json::object& page, std::string_view member) {
  const json::value* const value = page.if_contains(member);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

bool names(const json::object& page, std::string_view member, std::string_view role) {
  const json::value* const value = page.if_contains(member);
  if (value == nullptr || !value->is_string()) {
    return false;
  }
  std::string_view text = value->get_string();
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (word == role) {
      return true;
    }
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return false;
}

}  // namespace

std::optional<double> claim_of(std::string_view text, std::string_view role) {
  json::error_code error;
  const json::value page = json::parse({text.data(), text.size()}, error);
  if (error || !page.is_object()) {
    return std::nullopt;
  }
  const json::object& members = page.get_object();
  const bool plays = figure_in(members, "plays_" + std::string{role}) != 0;
  return plays || names(members, "role", role) ? std::optional{figure_in(members, "raft_term")}
                                               : std::nullopt;
}

void find_role(sockets::EventLoop& loop, const Cluster& cluster, const std::string& role,
               Duration patience, std::function<void(NodeId)> found) {
  const auto search =
      std::make_shared<Search>(Search{.role = role, .found = std::move(found), .open = 1});
  for (std::uint32_t i = 1; i <= cluster.size(); ++i) {
    const ReplicaProcess& replica = cluster.replica({i});
    const auto http = replica.addresses().find("http");
    host::Endpoint door;
    if (replica.state() != ReplicaProcess::State::ready || http == replica.addresses().end() ||
        !host::read_endpoint(http->second, door).empty() || door.off) {
      continue;
    }
    ++search->open;
    if (!ask(loop, door, patience, std::make_unique<Question>(Question{search, NodeId{i}}))) {
      search->one_over();
    }
  }
  search->one_over();
}

}  // namespace kv::cluster
