// What the generator itself costs.
#pragma once

namespace kv::load {

/// Processor time that this process has used so far, in seconds.
double processor_seconds();

}  // namespace kv::load
