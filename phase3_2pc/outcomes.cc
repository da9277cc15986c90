#include "phase3_2pc/outcomes.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/kv/sessions.h"
#include "common/kv/store.h"
#include "common/wire/fields.h"

namespace kv::two_phase {
namespace {

constexpr std::size_t client_bytes_max = 2 * origin_part_bytes_max + 1;
constexpr std::size_t forgotten_share = 8;  // one in so many goes when there is no room

std::uint64_t print_of(std::string_view name) {
  return hash_of(name, 0x666f72676f747465);
}

bool refuse(Reply& reply, Status status, const char* why) {
  reply = {.status = status, .value = {}, .why = why};
  return true;
}

}  // namespace

bool Outcomes::refuses(const Command& command, Reply& reply) const {
  const Origin& origin = command.origin;
  check(!origin.client.empty() && changes_something(command.verb));
  if (origin.client.size() > client_bytes_max) {
    return refuse(reply, Status::bad_request, "the ID is too long");
  }
  const Table& table = table_of(origin);
  const auto found = table.clients.find(origin.client);
  if (found == table.clients.end()) {
    return !table.forgotten.empty() && table.forgotten.contains(print_of(origin.client)) &&
           refuse(reply, Status::unknown, "session expired");
  }
  const Client& client = found->second;
  if (origin.sequence < client.floor) {
    return refuse(reply, Status::unknown, "its outcome is no longer kept");
  }
  const auto saved =
      std::ranges::lower_bound(client.replies, origin.sequence, {}, &Saved::sequence);
  if (saved == client.replies.end() || saved->sequence != origin.sequence) {
    return false;
  }
  if (saved->fingerprint != fingerprint_of(command)) {
    return refuse(reply, Status::bad_request, "the ID was another operation's before");
  }
  return refuse(reply, saved->outcome, "");
}

void Outcomes::save(const Origin& origin, std::uint32_t fingerprint, Status outcome,
                    std::uint64_t clock) {
  Table& table = origin.sequence == 0 ? single_ : numbered_;
  Client& client = client_of(table, origin);
  client.last_used = std::max(client.last_used, clock);
  raise_floor(client, std::min(origin.first_outstanding, origin.sequence));
  if (origin.sequence < client.floor) {
    return;  // it came so late that its place is gone: a repeat is refused
  }
  const auto at = std::ranges::lower_bound(client.replies, origin.sequence, {}, &Saved::sequence);
  if (at != client.replies.end() && at->sequence == origin.sequence) {
    return;  // an ID used twice, for different keys: the client's doing, and either will do
  }
  client.replies.insert(at, {origin.sequence, fingerprint, outcome});
  if (client.replies.size() > bounds_.replies_max) {
    raise_floor(client, client.replies.front().sequence + 1);
  }
}

Outcomes::Client& Outcomes::client_of(Table& table, const Origin& origin) {
  const auto found = table.clients.find(origin.client);
  if (found != table.clients.end()) {
    return found->second;
  }
  if (table.clients.size() >= bounds_.clients_max) {
    forget_idle(table);
  }
  Client& client = table.clients[origin.client];
  client.name = origin.client;
  if (!table.forgotten.empty() && table.forgotten.erase(print_of(origin.client)) > 0) {
    client.floor = origin.sequence;  // what it did before is not known any more
  }
  return client;
}

/// By last use, and by name where that is equal: not by place in a table, which differs.
void Outcomes::forget_idle(Table& table) {
  std::vector<const Client*> all;
  all.reserve(table.clients.size());
  for (const auto& [name, client] : table.clients) {
    all.push_back(&client);
  }
  const std::size_t count = std::max<std::size_t>(1, all.size() / forgotten_share);
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(count);
  const auto longer_idle = [](const Client* one, const Client* other) {
    return std::tie(one->last_used, one->name) < std::tie(other->last_used, other->name);
  };
  std::partial_sort(all.begin(), end, all.end(), longer_idle);
  for (auto each = all.begin(); each != end; ++each) {
    const std::string name = (*each)->name;
    forget(table, print_of(name));
    table.clients.erase(name);
  }
}

void Outcomes::forget(Table& table, std::uint64_t print) {
  if (table.forgotten_in_order.size() == bounds_.forgotten_max) {
    table.forgotten.erase(table.forgotten_in_order.front());
    table.forgotten_in_order.pop_front();
  }
  table.forgotten_in_order.push_back(print);
  table.forgotten.insert(print);
}

void Outcomes::raise_floor(Client& client, std::uint64_t floor) {
  if (floor > client.floor) {
    client.floor = floor;
    const auto kept = std::ranges::lower_bound(client.replies, floor, {}, &Saved::sequence);
    client.replies.erase(client.replies.begin(), kept);
  }
}

std::uint64_t Outcomes::checksum() const {
  std::uint64_t sum = 0;
  for (const Table* table : {&numbered_, &single_}) {
    for (const auto& [name, client] : table->clients) {
      Client bare = client;
      bare.last_used = 0;
      sum += hash_of(wire::encode(bare));
    }
  }
  return sum;
}

struct Outcomes::Image {
  std::vector<Client> numbered;
  std::vector<Client> single;
  std::vector<std::uint64_t> numbered_forgotten;
  std::vector<std::uint64_t> single_forgotten;

  static void fields(auto& self, auto& visit) {
    visit("numbered", self.numbered);
    visit("single", self.single);
    visit("numbered_forgotten", self.numbered_forgotten);
    visit("single_forgotten", self.single_forgotten);
  }
};

void Outcomes::encode_to(Bytes& out) const {
  Image image;
  const auto list = [](const Table& table, std::vector<Client>& clients,
                       std::vector<std::uint64_t>& forgotten) {
    for (const auto& [name, client] : table.clients) {
      clients.push_back(client);
    }
    std::ranges::sort(clients, {}, &Client::name);
    forgotten.assign(table.forgotten_in_order.begin(), table.forgotten_in_order.end());
  };
  list(numbered_, image.numbered, image.numbered_forgotten);
  list(single_, image.single, image.single_forgotten);
  wire::encode_to(image, out);
}

bool Outcomes::decode(ByteView bytes) {
  clear();
  auto image = wire::decode<Image>(bytes);
  if (!image) {
    return false;
  }
  const auto take = [this](Table& table, std::vector<Client>& clients,
                           const std::vector<std::uint64_t>& forgotten) {
    for (Client& client : clients) {
      std::string name = client.name;
      table.clients.emplace(std::move(name), std::move(client));
    }
    for (const std::uint64_t print : forgotten) {
      forget(table, print);
    }
  };
  take(numbered_, image->numbered, image->numbered_forgotten);
  take(single_, image->single, image->single_forgotten);
  return true;
}

void Outcomes::clear() {
  numbered_ = {};
  single_ = {};
}

}  // namespace kv::two_phase
