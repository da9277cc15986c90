#include "common/sim/journaling_replica.h"

#include "common/core/check.h"
#include "common/wire/checksum.h"
#include "common/wire/fields.h"

namespace kv::sim {

struct JournalingReplica::Image {
  struct Item {
    std::string key;
    std::string value;
    static void fields(auto& self, auto& visit) {
      visit("key", self.key);
      visit("value", self.value);
    }
  };
  struct Client {
    std::string name;
    Session session;
    static void fields(auto& self, auto& visit) {
      visit("name", self.name);
      visit("session", self.session);
    }
  };
  std::vector<Item> items;
  std::vector<Client> clients;
  std::uint64_t applied = 0;
  std::uint64_t checksum = 0;
  static void fields(auto& self, auto& visit) {
    visit("items", self.items);
    visit("clients", self.clients);
    visit("applied", self.applied);
    visit("checksum", self.checksum);
  }
};

void JournalingReplica::restore(ByteView snapshot_piece) {
  restoring_.append(snapshot_piece);
  const auto image = wire::decode<Image>(restoring_);
  if (!image) {
    return;
  }
  for (const auto& [key, value] : image->items) {
    store_[key] = value;
  }
  for (const auto& [name, session] : image->clients) {
    sessions_[name] = session;
  }
  applied_ = image->applied;
  checksum_ = image->checksum;
}

void JournalingReplica::recover(ByteView record) {
  const auto command = wire::decode<Command>(record);
  check(command.has_value());
  apply_once(*command);
}

void JournalingReplica::start(Instant, Effects&) {}

void JournalingReplica::receive(Instant, NodeId, ByteView, Effects&) {}

void JournalingReplica::request(Instant, RequestId id, const Command& command, Effects& out) {
  if (changes_something(command.verb)) {
    out.records.push_back(wire::encode(command));
  }
  out.answers.push_back({.request = id, .reply = apply_once(command)});
}

void JournalingReplica::tick(Instant, Effects&) {}

void JournalingReplica::begin_snapshot() {
  Image image;
  for (const auto& [key, value] : store_) {
    image.items.push_back({key, value});
  }
  for (const auto& [name, session] : sessions_) {
    image.clients.push_back({name, session});
  }
  image.applied = applied_;
  image.checksum = checksum_;
  image_ = wire::encode(image);
  image_at_ = 0;
}

Bytes JournalingReplica::next_snapshot_piece() {
  Bytes piece = image_.substr(image_at_, snapshot_piece_bytes_max);
  image_at_ += piece.size();
  return piece;
}

void JournalingReplica::check_invariants() const {}

Reply JournalingReplica::apply_once(const Command& command) {
  if (!changes_something(command.verb)) {
    return apply(command);
  }
  ++applied_;
  checksum_ = wire::checksum(wire::encode(command), checksum_);
  if (command.origin.client.empty()) {
    return apply(command);
  }
  Session& session = sessions_[command.origin.client];
  if (command.origin.sequence > session.sequence) {
    session.sequence = command.origin.sequence;
    session.reply = apply(command);
  } else if (command.origin.sequence < session.sequence) {
    return {.status = Status::aborted, .value = {}, .why = "an older request of this client"};
  }
  return session.reply;
}

Reply JournalingReplica::apply(const Command& command) {
  const auto found = store_.find(command.key);
  const bool there = found != store_.end();
  switch (command.verb) {
    case Verb::get:
      return there ? Reply{Status::ok, found->second, {}} : Reply{Status::not_found, {}, {}};
    case Verb::put:
      store_[command.key] = command.value;
      return {};
    case Verb::erase:
      if (there) {
        store_.erase(found);
      }
      return {there ? Status::ok : Status::not_found, {}, {}};
    case Verb::compare_and_set:
      if (there && found->second == command.expected) {
        found->second = command.value;
        return {};
      }
      return {there ? Status::conflict : Status::not_found, {}, {}};
    case Verb::batch:
    case Verb::ping:
      return {};
  }
  return {};
}

}  // namespace kv::sim
