// A message of two-phase commit as a line that people read: `prepare 1.1.7 k=v`, `vote 1.1.7 yes`.
#pragma once

#include <string>

#include "phase3_2pc/messages.h"

namespace kv::two_phase {

inline std::string described_item(const Transaction& transaction) {
  std::string text = text_of(transaction.id);
  for (const Part& part : transaction.parts) {
    text += " " + part.key + (part.change == Change::put ? "=" + part.value : "");
  }
  return text;
}
inline std::string described_item(const Vote& vote) {
  constexpr std::string_view ballots[] = {"yes",      "busy",      "refused",
                                          "diverged", "withdrawn", "no_room"};
  return text_of(vote.txn) + " " + std::string{ballots[static_cast<std::size_t>(vote.ballot)]};
}
inline std::string described_item(const Decision& decision) {
  return text_of(decision.txn) + (decision.commit ? " commit" : " abort");
}
inline std::string described_item(const TxnId& txn) {
  return text_of(txn);
}
inline std::string described_item(const Forward& forward) {
  return std::string{name_of(forward.command.verb)} + " " + forward.command.key;
}
inline std::string described_item(const ForwardReply& reply) {
  return std::string{reply.taken ? name_of(reply.reply.status) : "not_taken"};
}

template <typename Item>
std::string described_list(const std::string& name, ByteView body) {
  const auto message = wire::decode<ListMessage<Item>>(body);
  std::string text = name;
  for (const Item& item : message ? message->items : std::vector<Item>{}) {
    text += (text == name ? " " : ", ") + described_item(item);
  }
  return text;
}

/// Empty for a pulse.
inline std::string described(ByteView message) {
  const auto kind = static_cast<MessageKind>(message.front());
  message.remove_prefix(1);
  switch (kind) {
    case MessageKind::prepare:
      return described_list<Transaction>("prepare", message);
    case MessageKind::vote:
      return described_list<Vote>("vote", message);
    case MessageKind::decide:
      return described_list<Decision>("decide", message);
    case MessageKind::ack:
      return described_list<TxnId>("ack", message);
    case MessageKind::inquire:
      return described_list<TxnId>("inquire", message);
    case MessageKind::forward:
      return described_list<Forward>("forward", message);
    case MessageKind::forward_reply:
      return described_list<ForwardReply>("reply", message);
    case MessageKind::pulse:
    case MessageKind::durable:
      return {};
  }
  return "?";
}

}  // namespace kv::two_phase
