#!/bin/bash
# Replicas that were recorded (--record) under load, through kill -9 and deaths of roles, answer a
# replay as they did then.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
quintet=$bin/quintet
roles=('' '' '' participant acceptor raft)

# start_cluster PHASE DIR: leaves the replicas' TCP addresses in $targets.
start_cluster() {
  local fifo="$scratch/cluster.$1"
  mkfifo "$fifo"
  "$quintet" cluster --phase "$1" --replicas 3 --dir "$2" --base-port 0 --record "$2/recorded" \
    --fail "${roles[$1]}=400ms:100ms" --log-level debug >"$fifo" 2>"$2.err" </dev/null &
  cluster_pid=$!
  cluster_ready "$fifo" && return
  sed 's/^/# /' "$2.err"
  return 1
}

replays_all() {
  local file
  for file in "$dir"/recorded/*.recording; do
    if ! "$quintet" replay "$file" >"$scratch/notes" 2>"$scratch/verdict"; then
      cat "$file" "$scratch/verdict"
      return 1
    fi
    cat "$scratch/notes" >>"$scratch/all_notes.$phase"
  done
}

# What a server logged of its replica, and what the replay gave: without the times, which are of
# another clock, and without what is not the replica's.
notes_of_replay() { cut -d' ' -f3- "$scratch/all_notes.$phase" | sort; }
notes_of_log() {
  cat "$dir"/logs/server-*.log | grep -E 'node=[0-9] (role=[a-z]+ )?event=' |
    sed 's/.* node=[0-9] //' | sort
}
lost_of_notes() { comm -13 <(notes_of_replay) <(notes_of_log | grep -E 'event=(apply|commit) '); }

for phase in 3 4 5; do
  [ -x "$bin/phase${phase}_server" ] || continue
  dir=$scratch/phase$phase
  mkdir -p "$dir"
  sentence "phase $phase: a cluster starts that records" start_cluster "$phase" "$dir"
  "$quintet" bench --target "line://$targets" --clients 4 --seconds 1.5 --ids --keys 20 \
    --history "$dir/history.jsonl" >/dev/null 2>&1 </dev/null &
  load=$!
  # Over when the replica is ready again.
  printf 'nodes 3\nat 400ms for 300ms crash 2\n' >"$dir/crash.scn"
  "$quintet" ctl --dir "$dir" play "$dir/crash.scn" >/dev/null
  wait "$load"
  "$quintet" ctl --dir "$dir" stop >/dev/null
  wait "$cluster_pid"
  cluster_pid=
  exec 8<&-
  sentence "phase $phase: every life has a recording" \
    [ "$(find "$dir/recorded" -name '*.recording' | wc -l)" -ge 4 ]
  sentence "phase $phase: every recording replays, each call answered as it was" replays_all
  sentence "phase $phase: what was logged of each operation is in the replay" is "$(lost_of_notes)" ''
done

# The client's own request is in the recording of the replica that it asked.
op=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "$dir/history.jsonl" | sed -n 20p)
reached=0
for file in "$dir"/recorded/*.recording; do
  capture "$quintet" replay "$file" --until "$op"
  [ "$status" -ne 0 ] || reached=$((reached + 1))
done
sentence 'a replay stops at the request of an operation, where that came in' [ "$reached" -ge 1 ]
capture "$quintet" replay "$file" --until nobody.1
sentence 'an operation that nobody asked for is not reached' is "$status" 1
head -c 1000 "$file" >"$scratch/cut.recording"
capture "$quintet" replay "$scratch/cut.recording"
sentence 'a recording that was cut short replays as far as it goes' is "$status" 0
echo 'no recording' >"$scratch/none"
capture "$quintet" replay "$scratch/none"
sentence 'what is no recording is refused in one line' \
  [ "$status" = 1 -a "$(wc -l <"$scratch/err")" = 1 ]
