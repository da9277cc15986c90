#include "common/host/disk.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include <boost/test/unit_test.hpp>

namespace kv::host {
namespace {

struct TemporaryDirectory {
  TemporaryDirectory() { BOOST_REQUIRE(::mkdtemp(path.data()) != nullptr); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string path = (std::filesystem::temp_directory_path() / "quintet_disk_XXXXXX").string();
};

/// Bytes that may be written directly.
struct Page {
  alignas(direct_memory_alignment) std::array<char, 2 * direct_file_alignment> bytes{};

  explicit Page(char filling) { bytes.fill(filling); }
  ByteView view() const { return {bytes.data(), bytes.size()}; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(host_disk)

BOOST_AUTO_TEST_CASE(what_is_written_directly_and_what_is_not_are_one_file) {
  const TemporaryDirectory directory;
  SystemDisk disk;
  std::unique_ptr<File> file;
  BOOST_REQUIRE(!disk.open(directory.path + "/file", Disk::Open::create, file));
  BOOST_REQUIRE(!file->reserve(8 * direct_file_alignment));
  BOOST_REQUIRE(!file->write_at(0, "cached"));
  BOOST_REQUIRE(!file->write_directly(direct_file_alignment, Page{'d'}.view()));
  BOOST_REQUIRE(!file->write_at(2 * direct_file_alignment, "cached again"));
  BOOST_REQUIRE(!file->write_directly(4 * direct_file_alignment, Page{'e'}.view()));
  BOOST_REQUIRE(!file->sync());

  std::unique_ptr<File> again;
  BOOST_REQUIRE(!disk.open(directory.path + "/file", Disk::Open::read, again));
  for (File* each : {file.get(), again.get()}) {
    Bytes all;
    BOOST_REQUIRE(!each->read_at(0, 8 * direct_file_alignment, all));
    BOOST_TEST(all.size() == 8 * direct_file_alignment);
    BOOST_TEST(all.starts_with("cached"));
    BOOST_TEST(all.substr(direct_file_alignment, direct_file_alignment) ==
               Bytes(direct_file_alignment, 'd'));
    BOOST_TEST(all.substr(2 * direct_file_alignment).starts_with("cached againd"));
    BOOST_TEST(all.substr(4 * direct_file_alignment, 2 * direct_file_alignment) ==
               Bytes(2 * direct_file_alignment, 'e'));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::host
