// Reads without a log entry: Raft 8 and thesis 6.4.
//
// The leader notes how far the log is committed, makes sure that it still leads, and tells whoever
// asked; the read is answered where it was asked, once that much is applied there. All reads of a
// turn share one question and one round of heartbeats.
#include <algorithm>

#include "common/core/check.h"
#include "phase5_raft/raft_life.h"

namespace kv::raft {
namespace {

constexpr std::size_t queries_max = 4096;

}  // namespace

/// While a question is under way the next one gathers, for a while.
Instant RaftLife::reads_due() const {
  if (reads_.empty() && queries_.empty()) {
    return never;
  }
  const std::deque<ReadBatch>& under_way = raft_.leads() ? confirming_ : asked_;
  return under_way.empty() ? now_ : std::max(now_, under_way.back().asked + options_.gather);
}

void RaftLife::flush_reads(Instant now, Effects& out) {
  if (reads_.empty() && queries_.empty()) {
    return;
  }
  if (!raft_.leads()) {
    queries_.clear();  // who asked asks again, and then whoever leads
    if (raft_.leader().value == 0 || reads_.empty()) {
      return;
    }
    ReadBatch batch{.number = next_query_++,
                    .index = {},
                    .asked = now,
                    .reads = std::exchange(reads_, {}),
                    .remote = {}};
    out.sends.push_back(
        {raft_.leader(), encode_message(ReadQuery{.life = life_, .number = batch.number}), false});
    asked_.push_back(std::move(batch));
    return;
  }
  // Raft 8: a leader has the latest information on which entries are committed only once it has
  // committed one of its own term.
  if (!raft_.knows_commit()) {
    return;
  }
  ReadBatch batch{.number = 0,
                  .index = raft_.commit(),
                  .asked = now,
                  .reads = std::exchange(reads_, {}),
                  .remote = std::exchange(queries_, {})};
  if (now < raft_.lease_until()) {
    return grant(std::move(batch), out);
  }
  // Raft 8: before it answers, it must check whether it has been deposed.
  batch.number = raft_.confirm(now);
  confirming_.push_back(std::move(batch));
}

void RaftLife::on(Instant now, NodeId from, const ReadQuery& query, Effects&) {
  if (raft_.leads() && queries_.size() < queries_max) {
    queries_.push_back({from, query});
    want_flush(now);
  }
}

void RaftLife::grant(ReadBatch&& batch, Effects& out) {
  for (const RemoteQuery& each : batch.remote) {
    out.sends.push_back({each.from,
                         encode_message(ReadGrant{.term = raft_.term(),
                                                  .life = each.query.life,
                                                  .number = each.query.number,
                                                  .index = batch.index}),
                         false});
  }
  if (!batch.reads.empty()) {
    batch.remote.clear();
    granted_.push_back(std::move(batch));
  }
}

void RaftLife::on(Instant, NodeId, const ReadGrant& granted, Effects&) {
  if (granted.life != life_) {
    return;  // an answer to a former life's question says nothing about this one's
  }
  const auto asked = std::ranges::find(asked_, granted.number, &ReadBatch::number);
  if (asked == asked_.end()) {
    return;
  }
  asked->index = granted.index;
  granted_.push_back(std::move(*asked));
  asked_.erase(asked);
  raft_.learn_commit(granted.term, granted.index);
}

void RaftLife::serve_granted(Effects& out) {
  if (granted_.empty()) {
    return;
  }
  for (ReadBatch& batch : granted_) {
    if (batch.index <= applied_) {
      serve(batch.reads, out);
    }
  }
  std::erase_if(granted_, [](const ReadBatch& batch) { return batch.reads.empty(); });
}

void RaftLife::serve(std::vector<Read>& reads, Effects& out) {
  for (const Read& each : reads) {
    machine_->read(each.command, out.answers.emplace_back(Answer{each.request, {}}).reply);
  }
  reads_waiting_ -= reads.size();
  reads.clear();
}

/// Whoever leads now is asked anew. What was granted stays so.
void RaftLife::take_reads_back() {
  for (std::deque<ReadBatch>* batches : {&confirming_, &asked_}) {
    for (ReadBatch& batch : *batches) {
      std::ranges::move(batch.reads, std::back_inserter(reads_));
    }
    batches->clear();
  }
  queries_.clear();
}

/// A question may be repeated: an answer to its first copy is good too, for it was asked then.
void RaftLife::ask_again(Instant now, Effects& out) {
  for (ReadBatch& batch : asked_) {
    if (now - batch.asked >= options_.ask_again_after && raft_.leader().value != 0 &&
        !raft_.leads()) {
      batch.asked = now;
      out.sends.push_back({raft_.leader(),
                           encode_message(ReadQuery{.life = life_, .number = batch.number}),
                           false});
    }
  }
  if (!reads_.empty()) {
    want_flush(now);
  }
}

void RaftLife::drop_expired(std::vector<Read>& reads, Instant now, Effects& out) {
  const std::size_t before = reads.size();
  std::erase_if(reads, [&](const Read& each) {
    if (each.until > now) {
      return false;
    }
    answer(each.request, Status::unavailable, "no leader confirmed the read in time", out);
    return true;
  });
  reads_waiting_ -= before - reads.size();
}

void RaftLife::end_patience_of_reads(Instant now, Effects& out) {
  drop_expired(reads_, now, out);
  for (std::deque<ReadBatch>* batches : {&confirming_, &asked_}) {
    for (ReadBatch& batch : *batches) {
      drop_expired(batch.reads, now, out);
    }
    std::erase_if(*batches, [](const ReadBatch& batch) {
      return batch.reads.empty() && batch.remote.empty();
    });
  }
  for (ReadBatch& batch : granted_) {
    drop_expired(batch.reads, now, out);
  }
  std::erase_if(granted_, [](const ReadBatch& batch) { return batch.reads.empty(); });
}

}  // namespace kv::raft
