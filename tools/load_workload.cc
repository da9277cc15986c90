#include "tools/load_workload.h"

#include <algorithm>
#include <cstdio>
#include <random>

#include "common/core/check.h"

namespace kv::load {
namespace {

constexpr std::size_t script_requests_min = 256;
constexpr std::size_t script_requests_few = 16 * 1024;
constexpr std::size_t script_requests_max = 128 * 1024;
constexpr std::size_t script_bytes_max = 64 * 1024 * 1024;

/// Enough requests that every key is likely to come up, few enough to stay near the caches.
std::size_t script_requests(const Mix& mix) {
  const std::size_t wanted =
      std::clamp<std::size_t>(2 * mix.keys, script_requests_few, script_requests_max);
  const std::size_t fitting = script_bytes_max / (mix.value_bytes + Workload::key_bytes);
  return std::max(script_requests_min, std::min(wanted, fitting));
}

std::string hexadecimal(std::uint64_t number) {
  char text[20];
  const int length =
      std::snprintf(text, sizeof text, "%08llx", static_cast<unsigned long long>(number));
  return {text, static_cast<std::size_t>(length)};
}

}  // namespace

void Exchange::clear() {
  requests.clear();
  answers.clear();
  request_ends.clear();
  answer_ends.clear();
}

void Exchange::end_one() {
  request_ends.push_back(requests.size());
  answer_ends.push_back(answers.size());
}

namespace {

ByteView pieces(const Bytes& bytes, const std::vector<std::size_t>& ends, std::size_t first,
                std::size_t count) {
  const std::size_t begin = first == 0 ? 0 : ends[first - 1];
  const std::size_t end = first + count == 0 ? 0 : ends[first + count - 1];
  return ByteView{bytes}.substr(begin, end - begin);
}

}  // namespace

ByteView Batch::request(std::size_t i) const {
  return pieces(exchange->requests, exchange->request_ends, first + i, 1);
}

ByteView Batch::answer(std::size_t i) const {
  return pieces(exchange->answers, exchange->answer_ends, first + i, 1);
}

ByteView Batch::requests() const {
  return pieces(exchange->requests, exchange->request_ends, first, count);
}

ByteView Batch::answers() const {
  return pieces(exchange->answers, exchange->answer_ends, first, count);
}

Workload::Workload(const Mix& mix)
    : mix_(mix), run_(hexadecimal(std::random_device{}())), noise_(mix.value_bytes + 4096, ' ') {
  check(mix.keys > 0 && mix.gets_percent <= 100);
  Random random{mix.seed};
  constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (char& byte : noise_) {
    byte = alphabet[random.below(alphabet.size())];
  }
  const std::size_t wanted = script_requests(mix);
  const KeyDraw keys{mix.keys, mix.skew};
  while (script_.count() < wanted) {
    append(script_, keys.draw(random), random.below(100) < mix.gets_percent);
  }
}

ClientState Workload::client(std::uint64_t index) {
  ClientState client;
  client.id = run_ + "-" + std::to_string(index);
  client.next = (index * 7919) % script_.count();  // clients do not march in step
  return client;
}

Batch Workload::draw(ClientState& client, std::size_t count) const {
  check(count > 0 && count <= drawable(client));
  const Batch batch{&script_, client.next, count};
  client.next = (client.next + count) % script_.count();
  return is_made_for_each() ? mark(client, batch) : batch;
}

Batch Workload::fill(ClientState& client, std::uint64_t first, std::size_t count) const {
  client.scratch.clear();
  for (std::size_t i = 0; i < count; ++i) {
    if (is_made_for_each()) {
      begin_marked(client);
    }
    append(client.scratch, first + i, /*get=*/false);
  }
  return {&client.scratch, 0, count};
}

std::string Workload::key(std::uint64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, key_bytes - 4 - std::min(key_bytes - 4, digits.size()), '0');
  return "key:" + digits;
}

ByteView Workload::value(std::uint64_t number) const {
  return ByteView{noise_}.substr((number * 0x9e3779b97f4a7c15 >> 32) % 4096, mix_.value_bytes);
}

void Workload::append(Exchange& out, std::uint64_t number, bool get) const {
  const std::string name = key(number);
  const Item item{name, value(number)};
  get ? append_get(mix_.dialect, item, out.requests, out.answers)
      : append_put(mix_.dialect, item, out.requests, out.answers);
  out.end_one();
}

/// Begins a request and its answer with what tells them from all others.
void Workload::begin_marked(ClientState& client) const {
  const std::uint64_t sequence = ++client.sequence;
  if (mix_.dialect == Dialect::memcache) {
    append_memcache_header(client.scratch.requests, static_cast<std::uint16_t>(sequence));
    append_memcache_header(client.scratch.answers, static_cast<std::uint16_t>(sequence));
    return;
  }
  const std::string id = "@" + client.id + "." + std::to_string(sequence) + " ";
  client.scratch.requests += id;
  client.scratch.answers += id;
}

Batch Workload::mark(ClientState& client, const Batch& plain) const {
  client.scratch.clear();
  for (std::size_t i = 0; i < plain.count; ++i) {
    begin_marked(client);
    client.scratch.requests += plain.request(i);
    client.scratch.answers += plain.answer(i);
    client.scratch.end_one();
  }
  return {&client.scratch, 0, plain.count};
}

}  // namespace kv::load
