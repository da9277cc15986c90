#include "tools/role_finder.h"

#include <event2/http.h>

#include <algorithm>
#include <utility>

#include <boost/json.hpp>

#include "tools/replica_page.h"

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
  const double term = std::max(figure_in(members, "raft_term"), figure_in(members, "paxos_round"));
  return plays || names(members, "role", role) ? std::optional{term} : std::nullopt;
}

void find_role(sockets::EventLoop& loop, const Cluster& cluster, const std::string& role,
               Duration patience, std::function<void(NodeId)> found) {
  const auto search =
      std::make_shared<Search>(Search{.role = role, .found = std::move(found), .open = 1});
  for (std::uint32_t i = 1; i <= cluster.size(); ++i) {
    ++search->open;
    ask_page(loop, cluster.replica({i}), "/status", patience,
             [search, i](int status, const std::string& body) {
               const auto claim = status == HTTP_OK ? claim_of(body, search->role) : std::nullopt;
               if (claim) {
                 search->claimed({i}, *claim);
               }
               search->one_over();
             });
  }
  search->one_over();
}

}  // namespace kv::cluster
