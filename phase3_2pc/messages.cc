#include "phase3_2pc/messages.h"

namespace kv::two_phase {

std::string text_of(const TxnId& txn) {
  return std::to_string(txn.coordinator.value) + "." + std::to_string(txn.boot) + "." +
         std::to_string(txn.sequence);
}

std::vector<std::string> keys_of(const Transaction& transaction) {
  std::vector<std::string> keys;
  for (const Part& part : transaction.parts) {
    keys.push_back(part.key);
  }
  return keys;
}

}  // namespace kv::two_phase
