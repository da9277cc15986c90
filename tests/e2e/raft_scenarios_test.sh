#!/bin/bash
# Raft in the simulator: the families of the CS3700 world (simple, crash, partition, unreliable,
# advanced) on replicas with disks, that return, and with what is lost between clients and replicas too.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

patience_s=120
if [ -x "$bin/phase5_sim" ]; then
  for family in simple crash partition unreliable advanced; do
    sentence "Raft holds in tests/scenarios/raft_$family.scn" \
      timeout "$patience_s" "$bin/phase5_sim" --scenario "tests/scenarios/raft_$family.scn" --seed 1 --seeds 3
  done
fi
