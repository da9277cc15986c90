#include "phase2_rpc/answer_table.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/core/check.h"

namespace kv::rpc {
namespace {

/// What an entry costs beyond its strings: map node, client share. An estimate, rounded up.
constexpr std::size_t entry_overhead_bytes = 256;

/// A client is in a hash table and, by its name again, in a list.
std::size_t bytes_of_client(const std::string& name) {
  return 256 + 2 * name.size();
}

std::size_t bytes_of(const CallResult& result) {
  return entry_overhead_bytes + result.body.size() + result.why.size();
}

}  // namespace

AnswerTable::Part& AnswerTable::part_of(const std::string& client) {
  return parts_[std::hash<std::string>{}(client) % part_count];
}

AnswerTable::Client& AnswerTable::client_of(Part& part, const std::string& name) {
  auto [found, fresh] = part.clients.try_emplace(name);
  Client& client = found->second;
  if (fresh) {
    client.age = part.by_age.insert(part.by_age.end(), name);
    part.client_bytes += bytes_of_client(name);
  } else {
    part.by_age.splice(part.by_age.end(), part.by_age, client.age);
  }
  return client;
}

void AnswerTable::raise_low_mark(Part& part, Client& client, std::uint64_t mark) {
  client.low_mark = std::max(client.low_mark, mark);
  auto entry = client.entries.begin();
  while (entry != client.entries.end() && entry->first < client.low_mark) {
    if (!entry->second.finished) {
      ++entry;  // still running: its finished() will look for it
      continue;
    }
    part.bytes -= bytes_of(entry->second.result);
    entry = client.entries.erase(entry);
  }
}

bool AnswerTable::enter(const Origin& origin, std::uint64_t request_hash, Respond respond) {
  check(!origin.client.empty());
  Part& part = part_of(origin.client);
  std::optional<CallResult> now;
  {
    const std::lock_guard lock{part.mutex};
    Client& client = client_of(part, origin.client);
    raise_low_mark(part, client, origin.first_outstanding);
    const auto found = client.entries.find(origin.sequence);
    if (found == client.entries.end()) {
      if (origin.sequence < client.low_mark) {
        now = failure(Code::failed_precondition, Executed::maybe,
                      "this operation's answer was forgotten; it is not run again");
      } else {
        client.entries.emplace(origin.sequence, Entry{.request_hash = request_hash});
        return true;
      }
    } else if (Entry& entry = found->second; entry.request_hash != request_hash) {
      now = failure(Code::invalid_argument, Executed::no,
                    "this operation's number was used for another request");
    } else if (entry.finished) {
      now = entry.result;
    } else if (entry.waiters.size() < waiters_max) {
      entry.waiters.push_back(std::move(respond));
      return false;
    } else {
      now = failure(Code::resource_exhausted, Executed::maybe,
                    "this operation is running, and too many wait for it");
    }
  }
  if (now) {
    respond(*now);
  }
  return false;
}

void AnswerTable::finished(const Origin& origin, const CallResult& result) {
  Part& part = part_of(origin.client);
  std::vector<Respond> waiters;
  {
    const std::lock_guard lock{part.mutex};
    const auto client = part.clients.find(origin.client);
    check(client != part.clients.end());
    const auto found = client->second.entries.find(origin.sequence);
    check(found != client->second.entries.end() && !found->second.finished);
    waiters = std::exchange(found->second.waiters, {});
    if (result.executed == Executed::no && result.code != Code::ok) {
      client->second.entries.erase(found);
    } else {
      found->second.finished = true;
      found->second.result = result;
      part.bytes += bytes_of(result);
      if (client->second.entries.size() > answers_per_client_max) {
        forget_first_answer(part, client->second);
      }
      keep_within_bounds(part);
    }
  }
  for (const Respond& waiter : waiters) {
    waiter(result);
  }
}

/// What still runs is passed over: there is nothing of it to forget.
void AnswerTable::forget_first_answer(Part& part, Client& client) {
  for (const auto& [sequence, entry] : client.entries) {
    if (entry.finished) {
      raise_low_mark(part, client, sequence + 1);
      return;
    }
  }
}

void AnswerTable::keep_within_bounds(Part& part) {
  while (part.bytes > bytes_max / part_count && forget_oldest_answers(part)) {
  }
  while ((part.clients.size() > clients_max / part_count ||
          part.client_bytes > client_bytes_max / part_count) &&
         forget_oldest_client(part)) {
  }
}

/// The client itself stays, with a low mark that refuses what was forgotten.
bool AnswerTable::forget_oldest_answers(Part& part) {
  const std::size_t before = part.bytes;
  for (const std::string& name : part.by_age) {
    Client& client = part.clients.at(name);
    if (!client.entries.empty()) {
      raise_low_mark(part, client, client.entries.rbegin()->first + 1);
    }
    if (part.bytes < before) {
      return true;
    }
  }
  return false;
}

bool AnswerTable::forget_oldest_client(Part& part) {
  for (auto name = part.by_age.begin(); name != part.by_age.end(); ++name) {
    const auto found = part.clients.find(*name);
    check(found != part.clients.end());
    auto& entries = found->second.entries;
    if (std::ranges::any_of(entries, [](const auto& entry) { return !entry.second.finished; })) {
      continue;  // running: its finished() will look for it
    }
    for (const auto& [sequence, entry] : entries) {
      part.bytes -= bytes_of(entry.result);
    }
    part.client_bytes -= bytes_of_client(*name);
    part.clients.erase(found);
    part.by_age.erase(name);
    return true;
  }
  return false;
}

std::size_t AnswerTable::clients() const {
  std::size_t count = 0;
  for (const Part& part : parts_) {
    const std::lock_guard lock{part.mutex};
    count += part.clients.size();
  }
  return count;
}

std::size_t AnswerTable::bytes() const {
  std::size_t bytes = 0;
  for (const Part& part : parts_) {
    const std::lock_guard lock{part.mutex};
    bytes += part.bytes + part.client_bytes;
  }
  return bytes;
}

}  // namespace kv::rpc
