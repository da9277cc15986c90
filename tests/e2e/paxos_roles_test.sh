#!/bin/bash
# Five replicas under Paxos whose roles die and return all the time, each a thread, while whole
# processes are killed one at a time: paxos_roles_test.sh [SECONDS [SEED]]. 8 clients, a history;
# then every key is read at every replica, and quintet check judges.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
seconds=${1:-8}
seed=${2:-$((RANDOM % 10000 + 1))}
quintet=$bin/quintet
dir=$scratch/phase4_paxos
wait_max_us=2000000  # of a client's operation, while a majority of acceptors is up

# start_cluster: leaves the replicas' TCP addresses in $targets.
start_cluster() {
  local fifo="$scratch/cluster"
  mkfifo "$fifo"
  "$quintet" cluster --phase 4 --dir "$dir" --base-port 0 --seed "$seed" --fail all=2s:500ms \
    >"$fifo" 2>"$dir.err" </dev/null &
  cluster_pid=$!
  cluster_ready "$fifo"
}

# One process after the other is killed, and comes back before the next one.
draw_scenario() {
  local at
  echo "scenario roles die everywhere, and processes one at a time, seed $seed"
  echo 'nodes 5'
  for ((at = 800; at + 2000 < seconds * 1000; at += 1500)); do
    echo "at ${at}ms for 700ms crash $((RANDOM % 5 + 1))"
  done
}

number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$dir.json"; }

# When three of the five acceptors or more were dead: lines `BEGIN END`, in seconds of the day, by the
# replicas' logs: a killed process fell silent, and says so when it starts again.
without_majority() {
  local log
  for log in "$dir"/*/*.log; do
    awk '{ split($1, at, "[TZ:]"); now = at[2] * 3600 + at[3] * 60 + at[4] }
      / event=role_died role=acceptor/ && up { print now, 1; up = 0 }
      / event=role_born role=acceptor/ && !up { print now, -1; up = 1 }
      / event=started / && started { if (up) print last, 1; print now, -1 }
      / event=started / { started = up = 1 }
      { last = now }' "$log"
  done | LC_ALL=C sort -n | awk '
    { if (dead >= 3) printf "%.6f %.6f\n", last, $1; dead += $2; last = $1 }'
}

# longest_wait_us SPANS: of all operations of the history, without what of an operation's time lies in
# the spans. The history counts from the machine's start, the logs from midnight, UTC.
longest_wait_us() {
  local start
  start=$(awk -v now="$(date +%s.%N)" '{ printf "%.3f", now - $1 }' /proc/uptime)
  sed -n 's/.*"call": *\([0-9]*\),.*"return": *\([0-9a-z]*\).*/\1 \2/p' "$dir/history.jsonl" |
    awk -v start="$start" '
      file == "spans" { from[++spans] = $1; to[spans] = $2; next }
      $2 == "null" { print "an operation without an answer"; exit }
      { call = (start + $1 / 1e9) % 86400; end = call + ($2 - $1) / 1e9; wait = end - call
        for (i = 1; i <= spans; i++) {
          a = from[i] > call ? from[i] : call
          b = to[i] < end ? to[i] : end
          if (b > a) wait -= b - a
        }
        if (wait > longest) longest = wait
        operations++ }
      END { if (operations) printf "%d\n", longest * 1e6 }' file=spans "$1" file=operations -
}

RANDOM=$seed
mkdir -p "$dir"
draw_scenario >"$dir/roles.scn"
sentence "seed $seed: the cluster starts" start_cluster
"$quintet" bench --target "line://$targets" --clients 8 --ids --seconds "$seconds" --keys 40 \
  --deletes 10 --swaps 10 --read-back --attempt-timeout 500ms --timeout 10s --seed "$seed" \
  --history "$dir/history.jsonl" >"$dir.json" 2>"$dir.bench" </dev/null &
load=$!
"$quintet" ctl --dir "$dir" play "$dir/roles.scn" >"$dir/played" 2>&1
sentence "seed $seed: processes are killed one at a time" is $? 0
wait "$load"
sentence "seed $seed: the load ends" is $? 0
sentence "seed $seed: roles died, and operations were answered all the same" \
  [ "$(cat "$dir"/*/*.log | grep -c event=role_died)" -ge 15 -a "$(number ops)" -gt 100 ]
capture "$quintet" check "$dir/history.jsonl"
head -n 20 "$scratch/out" | sed 's/^/# /'
sentence "seed $seed: the history is linearizable" is "$status" 0
sentence "seed $seed: every key could be read at every replica" \
  is "$(number read_back) $(number read_back_failed)" '200 0'
without_majority >"$dir/spans"
longest=$(longest_wait_us "$dir/spans")
sentence "seed $seed: no client waited over 2 s while a majority of acceptors was up" \
  [ "$longest" -le "$wait_max_us" ]
capture "$quintet" ctl --dir "$dir" stop
wait "$cluster_pid"
sentence "seed $seed: no replica ended by itself" [ ! -s "$dir.err" ]
cluster_pid=
exec 8<&-
cat "$dir.json" "$dir.bench" "$dir.err" | sed 's/^/# /'
echo "# longest wait with a majority: $longest us; without: $(wc -l <"$dir/spans") times"
