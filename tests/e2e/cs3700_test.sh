#!/bin/bash
# Five cs3700_replica processes with a router in the place of the course's simulator.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

patience_s=120
if [ -x "$bin/cs3700_replica" ]; then
  sentence 'five cs3700 replicas serve, also when their leader is told to end' \
    timeout "$patience_s" "$bin/tests" -t cs3700_processes
  sentence 'an ID that is none is refused' \
    bash -c "! '$bin/cs3700_replica' 5000 12 2>'$scratch/why' && grep -q \"'12' is no replica\" '$scratch/why'"
fi
