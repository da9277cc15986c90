#!/bin/bash
# An operation without an ID of its client's is followed through every replica: the front door gave
# it a name.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
quintet=$bin/quintet

# start_cluster PHASE: leaves node 2's TCP port in $port.
start_cluster() {
  local fifo="$scratch/cluster.$1" line
  mkfifo "$fifo"
  "$quintet" cluster --phase "$1" --replicas 3 --dir "$dir" --base-port 0 --log-level debug \
    >"$fifo" 2>"$scratch/cluster.err" </dev/null &
  cluster_pid=$!
  exec 8<"$fifo"
  while IFS= read -r -t "$patience_s" line <&8; do
    [ "$line" != ready ] || return 0
    case $line in 'node 2 '*) port=${line##* tcp=127.0.0.1:} port=${port%% *} ;; esac
  done
  sed 's/^/# /' "$scratch/cluster.err"
  return 1
}

for phase in 3 4 5; do
  [ -x "$bin/phase${phase}_server" ] || continue
  dir=$scratch/phase$phase
  port=
  sentence "phase $phase: a cluster starts" start_cluster "$phase"
  sentence "phase $phase: a PUT without an ID is done" is "$(ask 127.0.0.1 "$port" 'PUT k v')" OK
  appears 'event=answer .*verb=put' "$dir/logs/server-2.log"
  op=$(sed -n 's/.*event=request op=\([^ ]*\) .*verb=put.*/\1/p' "$dir/logs/server-2.log")
  for node in 1 3; do
    sentence "phase $phase: a line of node $node carries its name" \
      appears "op=$op " "$dir/logs/server-$node.log"
  done
  "$quintet" ctl --dir "$dir" stop >/dev/null
  wait "$cluster_pid"
  cluster_pid=
  exec 8<&-
  capture "$quintet" trace "$dir" --op "$op"
  sed 's/^/# /' "$scratch/out"
  sentence "phase $phase: trace shows its request and its answer" \
    is "$(grep -cE ' (request from|answer to)' "$scratch/out")" 2
  sentence "phase $phase: and what each node did for it" \
    is "$(awk '/ [a-z_]+ [a-z]+=/ && !/----/ { at[index($0, " o ")] = 1 } END { print length(at) }' \
      "$scratch/out")" 3
done
