#!/bin/bash
# tools/demo.sh, as make demo runs it but shorter: every phase that is one process, one fault.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export QUINTET_LOGS=$scratch/logs QUINTET_DEMO_PHASES='1 2' QUINTET_DEMO_SECONDS=1
export QUINTET_DEMO_SCENARIO=$scratch/short.scn
cat >"$QUINTET_DEMO_SCENARIO" <<'END'
scenario the only one is paused
nodes 5
at 300ms for 400ms pause leader
at 400ms for 100ms partition 1,2|3,4,5
END
folder=$scratch/logs/phase1_sockets

capture tools/demo.sh
sed 's/^/# /' "$scratch/err"
sentence 'the demo succeeds' is "$status" 0
sentence 'every client gets all its answers' \
  is "$(grep -c '^[a-z]*_client *23 operations, 23 answered$' "$scratch/out")" 5
sentence 'three operations of both clients of phase 1 stand side by side in both logs' \
  is "$(grep -cE '^[0-9:.]{15} +(request|answer) ' "$scratch/out")" 24
sentence 'a fault is played' grep -q 'fault at 300ms pause leader (node 1)$' "$scratch/out"
sentence 'one that the phase has no part for is skipped in words' \
  grep -q 'fault at 400ms partition .*: skipped, ' "$scratch/out"
sentence 'the table has a row for each phase, and both are linearizable' \
  is "$(awk '/^phase[0-9]_/ && NF > 15 { print $1, $NF }' "$scratch/out")" \
  $'phase1_sockets yes\nphase2_rpc yes'
# shellcheck disable=SC2016 # awk's own
sentence 'the pause is seen in it' \
  awk '/^phase[0-9]_/ && NF > 15 && $13 < 0.3 { exit 1 }' "$scratch/out"
sentence 'the report is there' grep -q '"name":"phase2_rpc"' "$scratch/logs/report.html"
sentence 'the logs are there' test -s "$folder/logs/server-1.log" -a -s "$folder/tcp_client.log" \
  -a -s "$folder/history.jsonl"
sentence 'the server has ended' is "$(grep -c event=stopped "$folder/logs/server-1.log")" 1
capture "$bin/quintet" check "$folder/history.jsonl"
sentence 'the history is what quintet check reads' is "$status" 0

# Ended in the middle: what an earlier demo left is kept once, and nothing runs on.
first=$(cat "$folder/tcp_client.log")
QUINTET_DEMO_SECONDS=60 bash tools/demo.sh >"$scratch/interrupted" 2>&1 &
demo=$!
sentence 'a demo begins' appears 'fault at' "$scratch/interrupted"
server=$(sed -n 's/^node 1 .*pid=\([0-9]*\)$/\1/p' "$scratch/interrupted")
kill -TERM $demo
wait $demo
sentence 'an interrupted demo says so by its exit status' is "$?" 143
sentence 'and leaves no server behind' [ ! -e "/proc/$server" ]
sentence 'the logs of the one before are kept' \
  is "$(cat "$scratch/logs/before/phase1_sockets/tcp_client.log")" "$first"
