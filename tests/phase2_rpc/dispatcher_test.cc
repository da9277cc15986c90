#include "phase2_rpc/dispatcher.h"

#include <deque>
#include <map>
#include <stdexcept>

#include <boost/test/unit_test.hpp>

namespace kv::rpc {
namespace {

struct Ask {
  std::string what;

  static void fields(auto& self, auto& visit) { visit("what", self.what); }
};
struct Told {
  std::string answer;

  static void fields(auto& self, auto& visit) { visit("answer", self.answer); }
};

constexpr Method<Ask, Told> echo{.id = 20, .name = "test.echo", .safety = Safety::idempotent};
constexpr Method<Ask, Told> count{.id = 21, .name = "test.count", .safety = Safety::once};
constexpr Method<Ask, Told> late{.id = 22, .name = "test.late", .safety = Safety::idempotent};
constexpr Method<Ask, Told> pooled{.id = 23, .name = "test.pooled", .safety = Safety::idempotent};
constexpr Method<Ask, Told> peers{.id = 24, .name = "test.peers", .safety = Safety::idempotent};

class Collect : public Dispatcher::RespondTo {
 public:
  explicit Collect(std::vector<CallResult>& results) : path_(std::make_shared<Path>(results)) {}
  void at_once(const CallResult& result) const override { path_->answer(1, result); }
  std::shared_ptr<ReturnPath> later() const override { return path_; }
  const Caller& caller() const override { return path_->caller; }

 private:
  struct Path : ReturnPath {
    explicit Path(std::vector<CallResult>& its_results) : results(its_results) {}
    void answer(CallId, const CallResult& result) override { results.push_back(result); }

    std::vector<CallResult>& results;
    const Caller caller{.address = "127.0.0.1:4711", .connection = 3};
  };

  std::shared_ptr<Path> path_;
};

struct World {
  World()
      : dispatcher([this] { return now; },
                   [this](std::function<void()> work) {
                     if (pool.size() >= pool_max) {
                       return false;
                     }
                     pool.push_back(std::move(work));
                     return true;
                   }) {
    dispatcher.serve(echo, {}, [](const CallContext&, const Ask& ask) { return Told{ask.what}; });
    dispatcher.serve(count, {}, [this](const CallContext&, const Ask&) {
      return Told{std::to_string(++counted)};
    });
    dispatcher.serve_late(late, {}, [this](const CallContext&, const Ask&, auto respond) {
      kept = std::move(respond);
    });
    dispatcher.serve(pooled, {.where = Where::pool}, [this](const CallContext&, const Ask& ask) {
      ++ran_in_pool;
      return Told{ask.what};
    });
    dispatcher.serve(peers, {.callers = Callers::trusted},
                     [](const CallContext&, const Ask& ask) { return Told{ask.what}; });
  }

  void call(std::uint16_t method, const Metadata& metadata = {}, Instant deadline = never) {
    const Bytes body = wire::encode(Ask{"hello"});
    const Bytes encoded = metadata == Metadata{} ? Bytes{} : wire::encode(metadata);
    dispatcher.dispatch({.id = 1,
                         .method = method,
                         .metadata = encoded,
                         .body = body,
                         .arrived = now,
                         .looked_at = now,
                         .deadline = deadline},
                        Collect{results});
  }

  std::string last_answer() const { return wire::decode<Told>(results.back().body)->answer; }

  Instant now{std::chrono::hours{1}};
  std::deque<std::function<void()>> pool;
  std::size_t pool_max = 10;
  int counted = 0;
  int ran_in_pool = 0;
  std::function<void(const Told&)> kept;
  Dispatcher dispatcher;
  std::vector<CallResult> results;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_dispatcher)

BOOST_AUTO_TEST_CASE(a_typed_method_is_called_and_answered) {
  World world;
  world.call(echo.id);
  BOOST_TEST(world.last_answer() == "hello");
}

namespace {

/// A direct handler that does as it is told, on the thread that reads and in the pool.
struct DirectWorld : World {
  DirectWorld() {
    const Dispatcher::DirectHandler handler = [this](const CallContext&, ByteView,
                                                     Dispatcher::Asked& asked) { act(asked); };
    dispatcher.add(30, "test.here", Safety::idempotent, {}, handler);
    dispatcher.add(31, "test.there", Safety::idempotent, {.where = Where::pool}, handler);
  }

  void run(std::uint16_t method) {
    call(method);
    for (; !pool.empty(); pool.pop_front()) {
      pool.front()();
    }
  }

  std::function<void(Dispatcher::Asked&)> act;
};

constexpr std::uint16_t here_and_there[] = {30, 31};

}  // namespace

BOOST_AUTO_TEST_CASE(a_direct_handler_may_answer_at_once) {
  for (const std::uint16_t method : here_and_there) {
    DirectWorld world;
    world.act = [](Dispatcher::Asked& asked) { asked.answer({.body = "now"}); };
    world.run(method);
    BOOST_TEST(world.results.size() == 1U);
    BOOST_TEST(world.results.at(0).body == "now");
    BOOST_TEST(world.dispatcher.in_flight() == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_direct_handler_may_keep_its_call_and_answer_later) {
  for (const std::uint16_t method : here_and_there) {
    DirectWorld world;
    std::optional<Dispatcher::Respond> respond;
    world.act = [&](Dispatcher::Asked& asked) { respond.emplace(asked.later()); };
    world.run(method);
    BOOST_TEST(world.results.empty());
    BOOST_TEST(world.dispatcher.in_flight() == 1);
    (*respond)({.body = "later"});
    respond.reset();
    BOOST_TEST(world.results.size() == 1U);
    BOOST_TEST(world.results.at(0).body == "later");
    BOOST_TEST(world.dispatcher.in_flight() == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_direct_handler_that_does_nothing_has_failed) {
  for (const std::uint16_t method : here_and_there) {
    DirectWorld world;
    world.act = [](Dispatcher::Asked&) {};
    world.run(method);
    BOOST_TEST(world.results.size() == 1U);
    BOOST_TEST((world.results.at(0).code == Code::internal));
    BOOST_TEST((world.results.at(0).executed == Executed::maybe));
  }
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_ends_its_call_and_nothing_else) {
  const auto throws = [] { throw std::runtime_error{"no luck"}; };
  const Dispatcher::AnyHandler handlers[] = {
      Dispatcher::Handler{[&](const CallContext&, ByteView) {
        throws();
        return CallResult{};
      }},
      Dispatcher::LateHandler{
          [&](const CallContext&, ByteView, const Dispatcher::Respond&) { throws(); }},
      Dispatcher::DirectHandler{
          [&](const CallContext&, ByteView, Dispatcher::Asked&) { throws(); }}};
  World world;
  std::uint16_t id = 40;
  for (const auto& handler : handlers) {
    for (const Where where : {Where::reading_thread, Where::pool}) {
      world.dispatcher.add(++id, "test.throws", Safety::never, {.where = where}, handler);
      world.call(id);
      for (; !world.pool.empty(); world.pool.pop_front()) {
        world.pool.front()();
      }
      BOOST_TEST((world.results.back().code == Code::internal));
      BOOST_TEST((world.results.back().executed == Executed::maybe));
      BOOST_TEST(world.results.back().why == "its handler failed: no luck");
    }
  }
  BOOST_TEST(world.results.size() == 6U);
  BOOST_TEST(world.dispatcher.in_flight() == 0);
}

BOOST_AUTO_TEST_CASE(an_unknown_method_is_unimplemented_and_not_executed) {
  World world;
  world.call(999);
  BOOST_TEST((world.results.at(0).code == Code::unimplemented));
  BOOST_TEST((world.results.at(0).executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(malformed_bytes_never_reach_a_handler) {
  World world;
  world.dispatcher.dispatch({.id = 1, .method = count.id, .metadata = {}, .body = "\x7f"},
                            Collect{world.results});
  world.dispatcher.dispatch({.id = 2, .method = count.id, .metadata = "\x7f", .body = {}},
                            Collect{world.results});
  BOOST_TEST(world.counted == 0);
  BOOST_TEST((world.results.at(0).code == Code::invalid_argument));
  BOOST_TEST((world.results.at(1).executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(metadata_that_would_grow_in_memory_never_reaches_a_handler) {
  World world;
  Metadata many;
  many.entries.resize(Metadata::entries_max + 1);
  world.call(count.id, many);
  const std::string name(Metadata::client_bytes_max + 1, 'c');
  world.call(count.id, {.origin = {.client = name, .sequence = 1}});
  BOOST_TEST(world.counted == 0);
  for (const CallResult& result : world.results) {
    BOOST_TEST((result.code == Code::invalid_argument));
    BOOST_TEST((result.executed == Executed::no));
  }
}

BOOST_AUTO_TEST_CASE(an_operation_that_changes_something_is_run_once) {
  World world;
  const Metadata metadata{.origin = {.client = "c", .sequence = 1}};
  world.call(count.id, metadata);
  world.call(count.id, metadata);
  BOOST_TEST(world.counted == 1);
  BOOST_TEST(world.results.size() == 2U);
  BOOST_TEST(world.last_answer() == "1");
}

BOOST_AUTO_TEST_CASE(a_call_without_an_origin_is_run_as_often_as_it_comes) {
  World world;
  world.call(count.id);
  world.call(count.id);
  BOOST_TEST(world.counted == 2);
}

BOOST_AUTO_TEST_CASE(a_late_answer_arrives_when_it_is_given) {
  World world;
  world.call(late.id);
  BOOST_TEST(world.results.empty());
  world.kept(Told{"at last"});
  BOOST_TEST(world.last_answer() == "at last");
}

BOOST_AUTO_TEST_CASE(a_handler_that_forgets_its_call_ends_it_all_the_same) {
  World world;
  world.call(late.id);
  BOOST_TEST(world.dispatcher.in_flight() == 1);
  world.kept = nullptr;
  BOOST_REQUIRE(world.results.size() == 1);
  BOOST_TEST((world.results[0].code == Code::internal));
  BOOST_TEST(world.dispatcher.in_flight() == 0);
}

BOOST_AUTO_TEST_CASE(of_two_answers_to_one_call_the_first_counts) {
  World world;
  world.call(late.id);
  world.kept(Told{"first"});
  world.kept(Told{"second"});
  BOOST_REQUIRE(world.results.size() == 1);
  BOOST_TEST(world.last_answer() == "first");
}

BOOST_AUTO_TEST_CASE(work_for_the_pool_runs_there) {
  World world;
  world.call(pooled.id);
  BOOST_TEST(world.ran_in_pool == 0);
  world.pool.front()();
  BOOST_TEST(world.last_answer() == "hello");
}

BOOST_AUTO_TEST_CASE(a_full_pool_refuses_what_it_does_not_run) {
  World world;
  world.pool_max = 0;
  world.call(pooled.id);
  BOOST_TEST((world.results.at(0).code == Code::resource_exhausted));
  BOOST_TEST((world.results.at(0).executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(what_is_overdue_when_its_turn_comes_is_not_run) {
  World world;
  world.call(pooled.id, {}, world.now + std::chrono::milliseconds{5});
  world.now += std::chrono::milliseconds{5};
  world.pool.front()();
  BOOST_TEST(world.ran_in_pool == 0);
  BOOST_TEST((world.results.at(0).code == Code::deadline_exceeded));
  BOOST_TEST((world.results.at(0).executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(what_is_overdue_when_it_is_read_is_run_nowhere) {
  World world;
  for (const std::uint16_t method : {echo.id, count.id, pooled.id}) {
    world.call(method, {}, world.now);
    BOOST_TEST((world.results.back().code == Code::deadline_exceeded));
    BOOST_TEST((world.results.back().executed == Executed::no));
  }
  BOOST_TEST(world.counted == 0);
  BOOST_TEST(world.pool.empty());
  BOOST_TEST(world.dispatcher.expired() == 3U);
}

BOOST_AUTO_TEST_CASE(a_method_for_peers_refuses_strangers) {
  World world;
  world.call(peers.id);
  BOOST_TEST((world.results.at(0).code == Code::unauthenticated));
}

BOOST_AUTO_TEST_CASE(an_interceptor_sees_each_call_and_may_refuse_it) {
  World world;
  int seen = 0;
  world.dispatcher.intercept(
      [](const CallContext& context) -> std::optional<CallResult> {
        if (context.method == echo.name) {
          return failure(Code::permission_denied, Executed::maybe, "not today");
        }
        return std::nullopt;
      },
      [&](const CallContext&, const CallResult&, Duration) { ++seen; });
  world.call(echo.id);
  world.call(count.id);
  BOOST_TEST((world.results.at(0).code == Code::permission_denied));
  BOOST_TEST((world.results.at(0).executed == Executed::no));
  BOOST_TEST(seen == 2);
}

BOOST_AUTO_TEST_CASE(calls_are_counted_by_method_code_and_latency) {
  World world;
  world.call(late.id);
  world.now += std::chrono::microseconds{300};
  world.kept(Told{});
  const auto methods = world.dispatcher.methods();
  const auto found = std::ranges::find(methods, "test.late", &Dispatcher::Listed::name);
  BOOST_REQUIRE((found != methods.end()));
  BOOST_TEST(found->counts->calls() == 1U);
  BOOST_TEST(found->counts->by_code[0] == 1U);
  BOOST_TEST(found->counts->latency[9] == 1U);  // below 512 us
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
