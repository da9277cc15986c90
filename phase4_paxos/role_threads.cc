#include "phase4_paxos/role_threads.h"

#include <deque>
#include <iterator>
#include <utility>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/host/thread_name.h"

namespace kv::paxos {
namespace {

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  if (to.empty()) {
    to.swap(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
    from.clear();
  }
}

void append(Effects& to, Effects& from) {
  append(to.records, from.records);
  append(to.sends, from.sends);
  append(to.answers, from.answers);
  append(to.notes, from.notes);
}

std::size_t bytes_of(const Effects& effects) {
  std::size_t bytes = 0;
  for (const Bytes& record : effects.records) {
    bytes += record.size();
  }
  for (const Send& send : effects.sends) {
    bytes += send.message.size();
  }
  return bytes;
}

}  // namespace

// --- the quarters of a role ----------------------------------------------------------------------

class RoleThreads::Quarters {
 public:
  Quarters(RoleThreads& house, Part part) : house_(house), part_(part) {}
  Quarters(const Quarters&) = delete;
  Quarters& operator=(const Quarters&) = delete;
  ~Quarters() { end(); }

  void begin(std::unique_ptr<PaxosReplica> role);
  void end();
  bool alive() const;
  void post(Letter letter, bool own, Haste haste);
  void collect(Effects& out);

  /// Held during a step: whoever has it may look at the role.
  std::mutex& steps() { return steps_; }
  PaxosReplica* role() { return role_.get(); }

 private:
  void live();
  bool wait_for_letters(std::vector<Letter>& letters, Instant until);
  bool step(const std::vector<Letter>& letters, Instant& until);
  bool say();

  RoleThreads& house_;
  const Part part_;

  std::mutex steps_;  // guards what role_ points to; taken before mutex_
  std::unique_ptr<PaxosReplica> role_;
  Effects saying_;  // in this step

  mutable std::mutex mutex_;  // guards all that follows but the thread
  std::condition_variable wakes_;
  std::vector<Letter> mailbox_;
  std::size_t mailbox_bytes_ = 0;
  bool hasty_ = false;  // something in it is to be read now
  Effects said_;        // and not collected
  std::size_t said_bytes_ = 0;
  bool alive_ = false;
  std::thread thread_;  // of whoever calls begin() and end()
};

void RoleThreads::Quarters::begin(std::unique_ptr<PaxosReplica> role) {
  check(!thread_.joinable());
  role_ = std::move(role);
  {
    const std::lock_guard lock{mutex_};
    alive_ = true;
  }
  thread_ = std::thread{[this] {
    host::name_this_thread(name_of(part_).data());
    live();
  }};
}

/// On the role's own thread, which may be collecting for everybody, it ends when that is done.
void RoleThreads::Quarters::end() {
  {
    const std::lock_guard lock{mutex_};
    alive_ = false;
    mailbox_.clear();
    mailbox_bytes_ = said_bytes_ = 0;
    said_.clear();
    wakes_.notify_all();
  }
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) {
    thread_.join();
    role_.reset();
    saying_.clear();
  }
}

bool RoleThreads::Quarters::alive() const {
  const std::lock_guard lock{mutex_};
  return alive_;
}

void RoleThreads::Quarters::post(Letter letter, bool own, Haste haste) {
  const std::lock_guard lock{mutex_};
  const std::size_t bytes = letter.message->size();
  if (!alive_ || (!own && mailbox_bytes_ > 0 && mailbox_bytes_ + bytes > mailbox_bytes_max)) {
    return;
  }
  mailbox_bytes_ += bytes;
  mailbox_.push_back(std::move(letter));
  if (haste == Haste::some && !std::exchange(hasty_, true)) {
    wakes_.notify_one();
  }
}

void RoleThreads::Quarters::collect(Effects& out) {
  const std::lock_guard lock{mutex_};
  append(out, said_);
  if (std::exchange(said_bytes_, 0) >= said_bytes_max) {
    wakes_.notify_one();
  }
}

// --- a life --------------------------------------------------------------------------------------

void RoleThreads::Quarters::live() {
  std::vector<Letter> letters;
  Instant until{};  // it may have something to do at once
  while (wait_for_letters(letters, until)) {
    if (!step(letters, until)) {
      return;
    }
    if (say()) {
      house_.on_news_();
    }
  }
}

/// All that came, at once; perhaps none, if `until` came first. False when it is time to die.
bool RoleThreads::Quarters::wait_for_letters(std::vector<Letter>& letters, Instant until) {
  letters.clear();
  std::unique_lock lock{mutex_};
  const auto something = [this] { return !alive_ || (hasty_ && said_bytes_ < said_bytes_max); };
  if (until == never) {
    wakes_.wait(lock, something);
  } else {
    wakes_.wait_until(lock, std::chrono::steady_clock::time_point{until.time_since_epoch()},
                      something);
  }
  letters.swap(mailbox_);
  mailbox_bytes_ = 0;
  hasty_ = false;
  return alive_;
}

/// False if it was killed meanwhile: between two letters.
bool RoleThreads::Quarters::step(const std::vector<Letter>& letters, Instant& until) {
  const std::lock_guard lock{steps_};
  for (const Letter& letter : letters) {
    if (!alive()) {
      return false;
    }
    role_->receive(host::run_now(), letter.from, *letter.message, saying_);
  }
  if (const Instant now = host::run_now(); now >= role_->wake_at()) {
    role_->tick(now, saying_);
  }
  role_->check_invariants();
  until = role_->wake_at();
  if (part_ == Part::proposer) {
    house_.leads_.store(role_->plays("leader"), std::memory_order_relaxed);
  }
  return true;
}

/// Whether there is something to collect now.
bool RoleThreads::Quarters::say() {
  const std::lock_guard lock{mutex_};
  if (alive_ && !saying_.empty()) {
    said_bytes_ += bytes_of(saying_);
    append(said_, saying_);
    house_.news_.store(true);
  }
  return house_.news_.load();
}

// --- the house -----------------------------------------------------------------------------------

RoleThreads::RoleThreads(NodeId self, std::vector<NodeId> members, PaxosOptions options)
    : RolesApart(self, std::move(members), options) {
  for (const Part part : parts) {
    quarters_[static_cast<std::size_t>(part)] = std::make_unique<Quarters>(*this, part);
  }
}

RoleThreads::~RoleThreads() {
  stop_threads();
}

void RoleThreads::stop_threads() {
  for (const Part part : parts) {
    of(part).end();
  }
}

void RoleThreads::begin(Part part, std::unique_ptr<PaxosReplica> role) {
  of(part).begin(std::move(role));
}

void RoleThreads::end(Part part) {
  of(part).end();
  if (part == Part::proposer) {
    leads_ = false;
  }
}

bool RoleThreads::lives(Part part) const {
  return of(part).alive();
}

void RoleThreads::post(Part part, Letter letter, Haste haste) {
  const bool own = letter.from == self();
  of(part).post(std::move(letter), own, haste);
}

void RoleThreads::post_home(Bytes message) {
  const std::lock_guard lock{home_mutex_};
  home_letters_.push_back(std::move(message));
  news_.store(true);
}

std::vector<Bytes> RoleThreads::take_home_letters() {
  const std::lock_guard lock{home_mutex_};
  return std::exchange(home_letters_, {});
}

void RoleThreads::collect(Instant, Effects& out) {
  if (!news_.exchange(false)) {
    return;
  }
  for (const Part part : parts) {
    of(part).collect(out);
  }
}

Instant RoleThreads::collect_at() const {
  return news_.load() ? Instant{} : never;
}

void RoleThreads::between_steps(const Look& look) {
  const std::scoped_lock lock{of(Part::acceptor).steps(), of(Part::learner).steps()};
  look(of(Part::acceptor).role(), *of(Part::learner).role());
}

/// The learner's thread may be at the state that the image shows.
Bytes RoleThreads::pull_piece(const std::function<Bytes()>& next_piece) {
  const std::lock_guard lock{of(Part::learner).steps()};
  return next_piece();
}

}  // namespace kv::paxos
