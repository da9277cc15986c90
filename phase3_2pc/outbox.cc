#include "phase3_2pc/outbox.h"

#include <algorithm>

#include "common/core/check.h"

namespace kv::two_phase {
namespace {

/// A ListMessage's or ListRecord's bytes, of items that are encoded already.
Bytes assemble(char kind, ByteView header, std::uint64_t items, ByteView list) {
  Bytes bytes;
  bytes.reserve(header.size() + list.size() + 16);
  bytes.push_back(kind);
  bytes.append(header);
  wire::FieldWriter{bytes}.write_varint(items);
  bytes.append(list);
  return bytes;
}

}  // namespace

Outbox::Outbox(std::vector<NodeId> peers) : peers_(std::move(peers)), boxes_(peers_.size()) {}

void Outbox::record_booted(std::uint64_t boot) {
  records_.push_back({RecordKind::booted, {.items = 1, .bytes = wire::encode(Booted{boot})}});
  gathered_ = records_urge_ = true;
}

Outbox::List& Outbox::record_list(RecordKind kind) {
  if (records_.empty() || records_.back().kind != kind ||
      records_.back().list.bytes.size() >= list_bytes_aim) {
    records_.push_back({kind, {}});
  }
  return records_.back().list;
}

Outbox::List& Outbox::list(Lists& lists) {
  if (lists.empty() || lists.back().bytes.size() >= list_bytes_aim) {
    lists.emplace_back();
  }
  return lists.back();
}

Outbox::Box& Outbox::box(NodeId to) {
  const auto found = std::ranges::find(peers_, to);
  check(found != peers_.end());
  return boxes_[static_cast<std::size_t>(found - peers_.begin())];
}

void Outbox::pulse(const Pulse& pulse) {
  pulses_.push_back(encode_as(MessageKind::pulse, pulse));
  gathered_ = true;
}

void Outbox::pulse_to(NodeId to, const Pulse& pulse) {
  box(to).pulses.push_back(encode_as(MessageKind::pulse, pulse));
  gathered_ = true;
}

void Outbox::tell_self_when_durable(const Durable& durable) {
  to_self_.push_back(encode_as(MessageKind::durable, durable));
  gathered_ = true;
}

void Outbox::flush(NodeId self, const Header& header, Later later, Effects& out) {
  const bool with_records = records_urge_ || later == Later::leaves_too;
  if (with_records) {
    flush_records(out);
  }
  Bytes head;
  append_item(head, header);
  // What frees keys goes before what wants them.
  send_all(MessageKind::decide, aborts_, head, false, out);
  send_all(MessageKind::prepare, prepares_, head, prepares_wait_, out);
  send_all(MessageKind::decide, commits_, head, true, out);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Box& box = boxes_[i];
    send_one(peers_[i], MessageKind::inquire, box.inquiries, head, false, out);
    send_one(peers_[i], MessageKind::forward, box.forwards, head, true, out);
    send_one(peers_[i], MessageKind::forward_reply, box.replies, head, true, out);
    send_one(peers_[i], MessageKind::decide, box.decisions, head, true, out);
    send_one(peers_[i], MessageKind::prepare, box.prepares, head, true, out);
    send_one(peers_[i], MessageKind::vote, box.votes, head, true, out);
    if (with_records) {
      send_one(peers_[i], MessageKind::ack, box.acks, head, true, out);
    }
    for (const Bytes& pulse : box.pulses) {
      out.sends.push_back({peers_[i], pulse, true});
    }
    box.pulses.clear();
    for (const Bytes& pulse : pulses_) {
      out.sends.push_back({peers_[i], pulse, true});
    }
  }
  for (Bytes& message : to_self_) {
    out.sends.push_back({self, std::move(message), true});
  }
  prepares_.clear();
  aborts_.clear();
  commits_.clear();
  pulses_.clear();
  to_self_.clear();
  has_acks_ = has_acks_ && !with_records;
  prepares_wait_ = gathered_ = records_urge_ = false;
}

void Outbox::flush_records(Effects& out) {
  for (const Record& record : records_) {
    const char kind = static_cast<char>(record.kind);
    out.records.push_back(record.kind == RecordKind::booted
                              ? kind + record.list.bytes
                              : assemble(kind, {}, record.list.items, record.list.bytes));
  }
  records_.clear();
}

void Outbox::send_all(MessageKind kind, Lists& lists, const Bytes& header, bool after_records,
                      Effects& out) const {
  for (const List& list : lists) {
    const Bytes message = assemble(static_cast<char>(kind), header, list.items, list.bytes);
    for (const NodeId peer : peers_) {
      out.sends.push_back({peer, message, after_records});
    }
  }
}

void Outbox::send_one(NodeId to, MessageKind kind, Lists& lists, const Bytes& header,
                      bool after_records, Effects& out) {
  for (const List& list : lists) {
    out.sends.push_back(
        {to, assemble(static_cast<char>(kind), header, list.items, list.bytes), after_records});
  }
  lists.clear();
}

void Outbox::drop_participants_share() {
  std::erase_if(records_, [](const Record& record) {
    return record.kind == RecordKind::prepared || record.kind == RecordKind::committed ||
           record.kind == RecordKind::aborted || record.kind == RecordKind::refused;
  });
  for (Box& box : boxes_) {
    box.votes.clear();
    box.acks.clear();
    box.decisions.clear();
    box.inquiries.clear();
  }
  has_acks_ = false;
}

}  // namespace kv::two_phase
