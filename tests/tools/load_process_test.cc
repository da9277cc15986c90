#include "tools/load_process.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

const auto self = static_cast<std::uint64_t>(getpid());
constexpr std::uint64_t nobody = 1ULL << 40;  // beyond every process number

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_process)

BOOST_AUTO_TEST_CASE(memory_that_is_written_to_is_resident) {
  constexpr std::size_t bytes = std::size_t{64} * 1024 * 1024;
  const auto before = resident_bytes(self);
  // Of the system itself: the allocator may have that much left over from other tests.
  void* const fresh =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  BOOST_TEST_REQUIRE((fresh != MAP_FAILED));
  std::memset(fresh, 'x', bytes);
  const auto after = resident_bytes(self);
  munmap(fresh, bytes);
  BOOST_TEST_REQUIRE((before.has_value() && after.has_value()));
  BOOST_TEST(*after > *before);
}

BOOST_AUTO_TEST_CASE(processor_time_grows_with_work) {
  const auto before = processor_time(self);
  BOOST_TEST_REQUIRE(before.has_value());
  auto after = before;
  while (after && *after == *before) {  // ends: this loop is work
    after = processor_time(self);
  }
  BOOST_TEST(after.has_value());
}

BOOST_AUTO_TEST_CASE(of_a_process_that_is_not_there_nothing_is_known) {
  BOOST_TEST(!resident_bytes(nobody).has_value());
  BOOST_TEST(!processor_time(nobody).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
