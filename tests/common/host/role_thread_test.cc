#include "common/host/role_thread.h"

#include <atomic>
#include <future>
#include <map>

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

using host::Role;
using host::RoleFailure;
using host::RoleFailures;
using host::RoleThread;

/// What outlives a role: its records. And what it told the world.
struct World {
  std::mutex mutex;
  std::condition_variable told_more;
  std::vector<Bytes> durable;
  std::vector<Bytes> told;
  int births = 0;

  void tell(Bytes what) {
    const std::lock_guard lock{mutex};
    told.push_back(std::move(what));
    told_more.notify_all();
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock{mutex};
    told_more.wait(lock, [&] { return told.size() >= count; });
  }
};

/// Remembers what it hears; makes durable what begins with '!'.
class Rememberer final : public Role {
 public:
  explicit Rememberer(World& world) : world_(world) {
    const std::lock_guard lock{world.mutex};
    ++world.births;
    memory_ = world.durable;
  }

  void receive(Instant, NodeId, ByteView message) override {
    memory_.emplace_back(message);
    if (message.front() == '!') {
      const std::lock_guard lock{world_.mutex};
      world_.durable.emplace_back(message);
    }
    world_.tell(std::to_string(memory_.size()));
  }
  void tick(Instant) override { ticked_ = true; }
  Instant wake_at() const override { return ticked_ ? never : Instant{}; }

 private:
  World& world_;
  std::vector<Bytes> memory_;
  bool ticked_ = false;
};

RoleThread::Birth born_in(World& world) {
  return [&world] { return std::make_unique<Rememberer>(world); };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_role_thread)

BOOST_AUTO_TEST_CASE(a_role_hears_its_letters_in_order) {
  World world;
  RoleThread thread{1000, born_in(world)};
  thread.start();
  for (const char* letter : {"a", "b", "c"}) {
    BOOST_TEST(thread.post({2}, letter));
  }
  world.wait_for(3);
  BOOST_TEST((world.told == std::vector<Bytes>{"1", "2", "3"}));
}

BOOST_AUTO_TEST_CASE(a_killed_role_keeps_what_is_durable_and_nothing_else) {
  World world;
  RoleThread thread{1000, born_in(world)};
  thread.start();
  thread.post({2}, "!kept");
  thread.post({2}, "forgotten");
  world.wait_for(2);
  thread.kill();
  BOOST_TEST(!thread.alive());
  thread.start();
  thread.post({2}, "next");
  world.wait_for(3);
  BOOST_TEST(world.told.back() == "2");
  BOOST_TEST(world.births == 2);
}

BOOST_AUTO_TEST_CASE(a_dead_role_hears_nothing_even_later) {
  World world;
  RoleThread thread{1000, born_in(world)};
  BOOST_TEST(!thread.post({2}, "before birth"));
  thread.start();
  thread.kill();
  BOOST_TEST(!thread.post({2}, "after death"));
  thread.start();
  thread.post({2}, "alive");
  world.wait_for(1);
  BOOST_TEST((world.told == std::vector<Bytes>{"1"}));
}

BOOST_AUTO_TEST_CASE(a_full_mailbox_refuses) {
  World world;
  std::promise<void> gate;
  RoleThread thread{100, [&]() -> std::unique_ptr<Role> {
                      gate.get_future().wait();
                      return std::make_unique<Rememberer>(world);
                    }};
  thread.start();
  BOOST_TEST(thread.post({2}, Bytes(80, 'x')));
  BOOST_TEST(!thread.post({2}, Bytes(30, 'x')));
  BOOST_TEST(thread.post({2}, Bytes(20, 'x')));
  gate.set_value();
}

BOOST_AUTO_TEST_CASE(roles_die_and_return_at_the_same_times_for_the_same_seed) {
  const std::vector<RoleFailure> both = {
      {.role = "acceptor", .up = std::chrono::seconds{5}, .down = std::chrono::seconds{1}},
      {.role = "learner", .up = std::chrono::seconds{2}, .down = std::chrono::seconds{2}}};
  RoleFailures first{both, 7, Instant{}};
  RoleFailures second{both, 7, Instant{}};
  RoleFailures alone{{both[0]}, 7, Instant{}};
  Instant last{};
  std::map<std::string, bool> dead;
  for (int i = 0; i < 1000; ++i) {
    const auto event = first.next();
    BOOST_REQUIRE(event.has_value());
    BOOST_TEST((second.next() == event));
    BOOST_TEST((event->at >= last));
    BOOST_TEST(event->dies != dead[event->role]);
    dead[event->role] = event->dies;
    last = event->at;
    if (event->role == "acceptor") {
      BOOST_TEST((alone.next() == event));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_means_are_those_that_were_asked_for) {
  RoleFailures failures{
      {{.role = "all", .up = std::chrono::seconds{5}, .down = std::chrono::seconds{1}}},
      1,
      Instant{}};
  Instant last{};
  Duration up{};
  Duration down{};
  for (int i = 0; i < 10'000; ++i) {
    const auto event = failures.next();
    (event->dies ? up : down) += event->at - last;
    last = event->at;
  }
  BOOST_TEST(
      (up / 5000 > std::chrono::milliseconds{4800} && up / 5000 < std::chrono::milliseconds{5200}));
  BOOST_TEST((down / 5000 > std::chrono::milliseconds{960} &&
              down / 5000 < std::chrono::milliseconds{1040}));
}

BOOST_AUTO_TEST_CASE(no_failures_no_events) {
  BOOST_TEST(!RoleFailures({}, 1, Instant{}).next().has_value());
}

BOOST_AUTO_TEST_CASE(the_clock_carries_events_out_and_ends_when_told) {
  std::promise<RoleFailures::Event> first;
  std::atomic<int> events = 0;
  {
    const host::RoleFailureClock clock{
        RoleFailures{
            {{.role = "all", .up = Duration{1}, .down = std::chrono::hours{1000}}}, 1, Instant{}},
        [&](const RoleFailures::Event& event) {
          if (events++ == 0) {
            first.set_value(event);
          }
        }};
    const auto event = first.get_future().get();
    BOOST_TEST(event.dies);
    BOOST_TEST(event.role == "all");
  }
  BOOST_TEST(events >= 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
