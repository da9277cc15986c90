// The state sent to a follower whose next entry is gone: Raft 7.
//
// An image of the state goes out in pieces, a few in flight, while entries go on to everyone else.
// Each piece is durable before it is acknowledged, so a follower that restarts goes on where it
// was. One image is open at a time; it is given up if it makes no progress.
#include <algorithm>

#include "common/core/check.h"
#include "phase5_raft/raft.h"

namespace kv::raft {

// --- out -----------------------------------------------------------------------------------------

void Raft::go_on_with_images(Instant now, Effects& out) {
  if (!outgoing_) {
    return begin_image(now, out);
  }
  const Peer* to = peer(outgoing_->to);
  const bool needed = to != nullptr && to->pace == Pace::image;
  if (!needed || now - outgoing_->progress >= options_.image_patience) {
    note(out, Level::warn,
         wire::LogFields{}.add("event", "image_given_up").add("to", outgoing_->to.value));
    return end_outgoing();
  }
  if (now - outgoing_->sent >= options_.image_resend_after) {
    send_pieces(now, outgoing_->first, out);
  }
}

/// For whoever needs one and has been heard of lately: an open image costs copies.
void Raft::begin_image(Instant now, Effects& out) {
  const auto needs = std::ranges::find_if(peers_, [&](const Peer& each) {
    return each.pace == Pace::image && now - each.heard < options_.election_timeout;
  });
  if (needs == peers_.end() || images_ == nullptr || !images_->begin_image()) {
    return;
  }
  Outgoing& image = outgoing_.emplace(Outgoing{});
  image.to = needs->id;
  image.head = {.term = term_,
                .image = random_.next(),
                .last_index = applied_,
                .last_term = *log_.term_at(applied_),
                .membership = membership_at(applied_),
                .number = 0,
                .piece = {}};
  image.progress = now;
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "image_begins")
           .add("term", term_.value)
           .add("to", image.to.value)
           .add("index", applied_.value));
  send_pieces(now, 0, out);
}

/// What is in the window from piece number `from` on, filled up first.
void Raft::send_pieces(Instant now, std::uint64_t from, Effects& out) {
  Outgoing& image = *outgoing_;
  while (!image.complete && image.window.size() < options_.image_pieces_in_flight_max) {
    Bytes piece = images_->next_image_piece();
    if (piece.empty()) {
      image.complete = true;
    } else {
      image.window.push_back(std::move(piece));
    }
  }
  InstallSnapshot install = image.head;
  for (std::uint64_t number = from; number < image.first + image.window.size(); ++number) {
    install.number = number;
    install.piece = image.window[number - image.first];
    out.sends.push_back({image.to, encode_message(install), false});
  }
  image.sent = now;
}

void Raft::on(Instant now, NodeId from, const Installed& installed, Effects& out) {
  now_ = now;
  if (installed.term > term_) {
    return follow(now, installed.term, {}, out);
  }
  Peer* each = peer(from);
  if (!leads() || installed.term < term_ || each == nullptr) {
    return;
  }
  each->heard = now;
  if (!outgoing_ || outgoing_->to != from || outgoing_->head.image != installed.image) {
    return;
  }
  Outgoing& image = *outgoing_;
  if (installed.done) {
    const Index last = image.head.last_index;
    end_outgoing();
    note(out, Level::info,
         wire::LogFields{}
             .add("event", "image_taken")
             .add("to", from.value)
             .add("index", last.value));
    on_matched(now, *each, std::max(last, each->match), out);
    return;
  }
  const std::uint64_t end = image.first + image.window.size();
  if (installed.next < image.first || installed.next > end) {
    // It wants what is gone: it lost its disk, or began anew. So do we.
    return installed.next == 0 ? end_outgoing() : void();
  }
  if (installed.next > image.first) {
    image.progress = now;
    while (image.first < installed.next) {
      image.window.pop_front();
      ++image.first;
    }
    send_pieces(now, end, out);
  }
}

void Raft::end_outgoing() {
  if (outgoing_) {
    images_->end_image();
    outgoing_.reset();
  }
}

// --- in ------------------------------------------------------------------------------------------

void Raft::on(Instant now, NodeId from, const InstallSnapshot& install, Effects& out) {
  if (images_ == nullptr) {
    return;  // a leader of ours sends none
  }
  now_ = now;
  Installed answer{.term = term_, .image = install.image, .next = 0, .done = false};
  if (install.term < term_) {  // Figure 13, 1: reply immediately if term < currentTerm
    out.sends.push_back({from, encode_message(answer)});
    return;
  }
  follow(now, install.term, from, out);
  answer.term = term_;
  if (install.last_index <= commit_) {
    incoming_.reset();
    answer.done = true;
  } else if (install.number == 0 && (!incoming_ || incoming_->image != install.image)) {
    incoming_ = Incoming{.image = install.image, .next = 0, .progress = now};
  }
  const bool fits = incoming_ && incoming_->image == install.image;
  if (!answer.done && fits && incoming_->next == install.number) {
    const StateImages::Taken taken = take_image_piece(install);
    if (taken == StateImages::Taken::damaged) {
      note(out, Level::error,
           wire::LogFields{}.add("event", "image_damaged").add("from", from.value));
    } else {
      out.records.push_back(encode_record(install));
      answer.done = taken == StateImages::Taken::complete;
    }
  }
  if (incoming_ && incoming_->image == install.image) {
    incoming_->progress = now;
    answer.next = incoming_->next;
  }
  out.sends.push_back({from, encode_message(answer)});
}

/// Figure 13, 2 to 8. Also while recovering: then the pieces are records.
StateImages::Taken Raft::take_image_piece(const InstallSnapshot& install) {
  check(images_ != nullptr);
  if (install.number == 0) {
    incoming_ = Incoming{.image = install.image, .next = 0, .progress = now_};
  }
  check(incoming_ && incoming_->image == install.image && incoming_->next == install.number);
  const StateImages::Taken taken = images_->take_piece(install.piece, install.number == 0);
  ++incoming_->next;
  if (taken == StateImages::Taken::more) {
    return taken;
  }
  incoming_.reset();
  if (taken == StateImages::Taken::damaged) {
    return taken;
  }
  // Figure 13, 6: if the existing log has an entry with the same index and term as the snapshot's
  // last included entry, retain what follows it; 7: else discard the entire log.
  if (log_.term_at(install.last_index) == install.last_term) {
    log_.drop_through(install.last_index);
  } else {
    log_.reset(install.last_index, install.last_term);
    configurations_.clear();
    configurations_.emplace_back(install.last_index, install.membership);
  }
  commit_ = std::max(commit_, install.last_index);
  applied_ = install.last_index;
  matched_ = std::max(matched_, std::min(install.last_index, log_.last()));
  images_->take_over(install.last_index);
  return taken;
}

bool Raft::receiving_image(Instant now) const {
  return incoming_ && now - incoming_->progress < options_.image_patience;
}

}  // namespace kv::raft
