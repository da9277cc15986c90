#!/bin/bash
# Real replicas under load while random ones are killed, paused and parted: chaos_test.sh [SECONDS
# [SEED]]. Every phase with replicas that is built: 8 clients, a history, and a scenario drawn from
# the seed; then everything heals, every key is read at every replica, and quintet check judges.
# What a failure left is kept under build/test-logs/.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
seconds=${1:-6}
seed=${2:-$((RANDOM % 10000 + 1))}
quintet=$bin/quintet
names=("" "" "" phase3_2pc phase4_paxos phase5_raft)

# between LEAST MOST: a number drawn from the seed
between() { echo $(($1 + RANDOM % ($2 - $1 + 1))); }

# draw_scenario FILE: faults, one after the other or two at once, the last over a second before the
# load's end.
draw_scenario() {
  local at=300 lasts fault node end=$((seconds * 1000 - 1000)) milliseconds
  {
    echo "scenario chaos, seed $seed"
    echo 'nodes 5'
    while :; do
      milliseconds=$(between 200 900)
      at=$((at + $(between 100 700)))
      lasts=$milliseconds
      [ $((at + lasts)) -lt $end ] || break
      node=$(between 1 5)
      case $(between 1 9) in
        1 | 2 | 3) fault="crash $node" ;;
        4) fault='crash leader' ;;
        5) fault="pause $node" ;;
        6) fault='partition halves healing=50ms' ;;
        7) fault='partition ring' ;;
        8) fault="partition alone of $node" ;;
        9) fault='partition one_way of leader' ;;
      esac
      echo "at ${at}ms for ${lasts}ms $fault"
    done
  } >"$1"
}

# start_cluster PHASE DIR: leaves the replicas' TCP addresses in $targets.
start_cluster() {
  local fifo="$scratch/cluster.$1"
  mkfifo "$fifo"
  "$quintet" cluster --phase "$1" --dir "$2" --base-port 0 --seed "$seed" >"$fifo" \
    2>"$2.err" </dev/null &
  cluster_pid=$!
  cluster_ready "$fifo"
}

number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$dir.json"; }

chaos() {
  local phase=$1 what
  dir=$scratch/${names[phase]}
  what="phase $phase, seed $seed"
  RANDOM=$seed
  mkdir -p "$dir"
  draw_scenario "$dir/chaos.scn"
  sentence "$what: the cluster starts" start_cluster "$phase" "$dir"
  "$quintet" bench --target "line://$targets" --clients 8 --ids --seconds "$seconds" --keys 40 \
    --deletes 10 --swaps 10 --read-back --attempt-timeout 500ms --timeout 10s --seed "$seed" \
    --history "$dir/history.jsonl" >"$dir.json" 2>"$dir.bench" </dev/null &
  local load=$!
  "$quintet" ctl --dir "$dir" play "$dir/chaos.scn" >"$dir/played" 2>&1
  sentence "$what: the faults are played" is $? 0
  wait "$load"
  sentence "$what: the load ends" is $? 0
  sentence "$what: faults struck, and operations were answered all the same" \
    [ "$(grep -vc skipped "$dir/played")" -ge 3 -a "$(number ops)" -gt 100 ]
  capture "$quintet" check "$dir/history.jsonl"
  head -n 20 "$scratch/out" | sed 's/^/# /'
  sentence "$what: the history is linearizable" is "$status" 0
  sentence "$what: every key could be read at every replica" \
    is "$(number read_back) $(number read_back_failed)" '200 0'
  capture "$quintet" ctl --dir "$dir" stop
  wait "$cluster_pid"
  sentence "$what: no replica ended by itself" [ ! -s "$dir.err" ]
  cluster_pid=
  exec 8<&-
  cat "$dir.json" "$dir.bench" "$dir.err" | sed 's/^/# /'
}

keep() {
  mkdir -p build/test-logs
  rm -rf "build/test-logs/chaos-$1"
  cp -r "$scratch/$1" "build/test-logs/chaos-$1"
  echo "# kept: build/test-logs/chaos-$1; again: tests/e2e/chaos_test.sh $seconds $seed"
}

echo '# between the replicas: the fault proxy alone, no packet filters'
any=
for phase in 3 4 5; do
  if [ -x "$bin/phase${phase}_server" ]; then
    any=yes
    chaos "$phase" >"$scratch/said.$phase"
    cat "$scratch/said.$phase"
    ! grep -q '^not ok' "$scratch/said.$phase" || keep "${names[phase]}"
  fi
done
sentence 'there is a phase with replicas to disturb' [ -n "$any" ]
