// What a learner tells the other parts of its replica.
#include "phase4_paxos/learner.h"

namespace kv::paxos {

void Learner::report(Post& post) {
  for (const Replied& replied : replies_) {
    post.send(self_, pack(replied), Leaves::at_once);
  }
  replies_.clear();
  if (leapt_) {
    Bytes windows;
    parcels_.encode_to(windows);
    post.send(self_, pack(Leapt{}, windows), Leaves::at_once);
  }
  if (leapt_ || asked_where_ || !configurations_.same_as(told_who_)) {
    post.send(self_, pack(Deciders{applied_, configurations_}), Leaves::at_once);
    told_who_ = configurations_;
  }
  if (leapt_ || asked_where_ || took_piece_ || diverged_ || applied_ != told_) {
    post.send(self_,
              pack(Progress{
                  .applied = applied_,
                  .kept_from = base_,
                  .time = static_cast<std::uint64_t>(machine_->time().time_since_epoch().count()),
                  .checksum = machine_->checksum(),
                  .taking_image = took_piece_,
                  .diverged = diverged_,
                  .members = configurations_.known() ? configurations_.latest().number : 0}),
              Leaves::at_once);
  }
  leapt_ = asked_where_ = took_piece_ = false;
  told_ = applied_;
}

void Learner::on_read_now(const ReadNow& reads, Post& post) {
  if (applied_ < reads.slot || diverged_) {
    return;  // asked of an earlier life; the desk hears of this one, and asks again
  }
  ReadDone done{.number = reads.number, .replies = {}};
  for (const Command& command : reads.commands) {
    machine_->read(command, done.replies.emplace_back());
  }
  post.send(self_, pack(done), Leaves::at_once);
}

}  // namespace kv::paxos
