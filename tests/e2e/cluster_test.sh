#!/bin/bash
# `quintet cluster` and `quintet ctl` with real processes: phase 1's server, a stand-in for
# replicas that have peers, and servers that will not start.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
quintet=$bin/quintet
said() { grep -qe "$1" "$scratch/out" "$scratch/err"; }
# A process that was killed may for a moment be left to a parent that has not yet asked for it.
gone() {
  local tries
  for ((tries = 0; tries < 100000; tries++)); do
    [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null || continue
    return 0
  done
  echo "process $1 lives"
  false
}

# start_cluster DIR FLAGS…: waits for `ready`; leaves $cluster_pid and what it printed in $printed.
start_cluster() {
  local fifo="$scratch/cluster.$RANDOM" line
  dir=$1
  printed=
  mkfifo "$fifo"
  "$quintet" cluster --dir "$@" --base-port 0 >"$fifo" 2>"$scratch/cluster.err" </dev/null &
  cluster_pid=$!
  exec 8<"$fifo"
  while IFS= read -r -t "$patience_s" line <&8; do
    printed+="$line"$'\n'
    [ "$line" != ready ] || return 0
  done
  sed 's/^/# /' "$scratch/cluster.err"
  return 1
}

# stop_cluster SIGNAL
stop_cluster() {
  kill -"$1" "$cluster_pid"
  wait "$cluster_pid"
  status=$?
  cluster_pid=
  exec 8<&-
}

ctl() { capture "$quintet" ctl --dir "$dir" "$@"; }
pid_of() { awk -v n="$1" '$1 == n { print $3 }' "$scratch/out"; }
state_of() { awk -v n="$1" '$1 == n { print $2 }' "$scratch/out"; }

start_cluster "$scratch/one" --phase 1
port=$(sed -n 's/^node 1 .*tcp=127.0.0.1:\([0-9]*\).*/\1/p' <<<"$printed")
sentence 'a cluster prints its addresses, then ready' is "$(ask 127.0.0.1 "$port" PING)" OK
ctl status
first=$(pid_of 1)
sentence 'status tells what runs' is "$(state_of 1)" running
ctl kill 1
sentence 'a replica can be killed' is "$status" 0
ctl kill 1
sentence 'killing it twice is refused with a reason' \
  [ "$status" = 1 -a "$(wc -l <"$scratch/err")" = 1 ]
ctl restart 1
sentence 'and started again, at the same address' is "$(ask 127.0.0.1 "$port" PING)" OK
ctl pause 1
ctl status
sentence 'a replica can be paused' is "$(state_of 1)" paused
ctl resume 1
sentence 'and goes on' is "$(ask 127.0.0.1 "$port" PING)" OK
ctl status
second=$(pid_of 1)
sentence 'a restarted replica is another process' [ "$first" != "$second" ]
ctl dance
sentence 'an unknown word is refused in one line' \
  [ "$status" = 2 -a "$(wc -l <"$scratch/err")" = 1 ]
capture "$quintet" cluster --phase 1 --dir "$dir" --base-port 0
sentence 'a second cluster in the same folder is refused' [ "$status" = 1 ]

# What a tool printed and nobody has, it did not do.
load=(--target "line://127.0.0.1:$port" --keys 10 --ops 20 --clients 2)
sentence 'ctl whose output is lost exits 1' loses_output 1 "$quintet" ctl --dir "$dir" status
sentence 'bench too' loses_output 1 "$quintet" bench "${load[@]}"
capture "$quintet" bench "${load[@]}" --history /dev/full
sentence 'bench whose history is lost exits 1' is "$status" 1
sentence 'and says so' said '/dev/full: not all of the history could be written'
capture "$quintet" bench "${load[@]}" --history "$scratch/history"
sentence 'check whose verdict is lost exits as one that cannot tell' \
  loses_output 2 "$quintet" check "$scratch/history"
appears 'event=answer' "$dir/logs/server-1.log"
op=$(grep -m1 'event=answer' "$dir/logs/server-1.log" | sed 's/.* op=\([^ ]*\).*/\1/')
sentence 'trace whose output is lost exits 1' \
  loses_output 1 "$quintet" trace "$dir/logs" --op "$op"
sentence 'compare too' loses_output 1 "$quintet" compare "$dir/logs"
sentence 'a cluster whose ready line is lost ends with exit 1' \
  loses_output 1 "$quintet" cluster --phase 1 --dir "$scratch/unheard" --base-port 0
sentence 'and its replica with it' \
  appears 'event=cluster_stopped' "$scratch/unheard/logs/cluster.log"

ctl pause 1
stop_cluster INT
sentence 'Ctrl-C stops the cluster, even with a paused replica' is "$status" 0
sentence 'and its replicas' gone "$second"
sentence 'and removes its socket' [ ! -e "$dir/control.sock" ]
ctl status
sentence 'ctl says that no cluster runs' said 'no cluster runs in'
sentence 'by exit 1' is "$status" 1

start_cluster "$scratch/one" --phase 1
ctl status
replica=$(pid_of 1)
ctl pause 1
stop_cluster KILL
sentence 'a cluster that is killed takes its replicas along, paused ones too' gone "$replica"
until [ ! -e "$dir/control.sock" ]; do :; done
sentence 'and its socket' [ ! -e "$dir/control.sock" ]

# A stand-in for a replica with peers: phase 1 does not know the flags of one.
stand_in=$scratch/stand_in
cat >"$stand_in" <<END
#!/bin/bash
while [ \$# -gt 0 ]; do
  case "\$1" in
    --tcp | --udp | --http | --log) kept+=("\$1" "\$2") ;;
    --peers) echo "peers \$2" >&2 ;;
    --mute-node)
      if [ "\$node" = "\$2" ]; then
        echo ready tcp=127.0.0.1:1 rpc=127.0.0.1:1 http=127.0.0.1:1
        exec tail -f /dev/null
      fi
      ;;
    --fail-node) [ "\$node" != "\$2" ] || { echo "stand_in: no \$2 today" >&2; exit 3; } ;;
    --node) node=\$2 ;;
  esac
  shift 2
done
exec $bin/phase1_server "\${kept[@]}"
END
chmod +x "$stand_in"
start_cluster "$scratch/five" --phase 5 --server "$stand_in"
sentence 'five replicas print five addresses' is "$(grep -c '^node [1-5] ' <<<"$printed")" 5
sentence 'each is told five peers' \
  is "$(cat "$dir"/logs/server-?.err | grep -c 'peers 1=.*,2=.*,3=.*,4=.*,5=')" 5
sentence 'each pair has a link of its own' \
  is "$(sed 's/^peers //; s/,/\n/g' "$dir"/logs/server-?.err | sed 's/.*=//' | sort -u | wc -l)" 25
sentence 'each has a data folder' is "$(find "$dir/data" -name 'node[1-5]' | wc -l)" 5
ctl partition 1,2 2,3
sentence 'a node in two groups of a partition is refused' \
  grep -q 'node 2 stands in two groups of the partition' "$scratch/err"
ctl storm loss=200%
sentence 'a storm that loses more than all there is is refused' \
  grep -q 'no more than 100% of the messages' "$scratch/err"
ctl partition 1,2 3,4,5
ctl status
sentence 'a partition cuts the links between its sides' said 'links: 12 of 20 cut'
ctl cut 1 to 2
ctl status
sentence 'one direction of one link can be cut' said 'links: 13 of 20 cut'
ctl heal
ctl status
sentence 'heal makes all links whole' said 'links: 0 of 20 cut'
cat >"$scratch/faults.scn" <<'END'
scenario what real processes can do, and what they cannot
nodes 5
at 10ms for 100ms crash 1
at 20ms for 50ms pause 2
at 30ms for 50ms partition alone of 3 healing=20ms
at 40ms for 50ms disk 4 slow
at 50ms for 50ms storm loss=10%
END
ctl play "$scratch/faults.scn"
sentence 'a scenario file is played against processes' is "$status" 0
sentence 'what they cannot do is skipped with a word' said 'disk 4 slow.*: skipped, '
sentence 'and logged so' grep -q 'event=fault_skipped fault=disk' "$dir/logs/cluster.log"
sentence 'what is begun is ended' is "$(grep -c event=fault_begins "$dir/logs/cluster.log")" \
  "$(($(grep -c 'event=fault_ends' "$dir/logs/cluster.log") + 2))"
ctl status
sentence 'and all replicas run again' is "$(grep -c running "$scratch/out")" 5
ctl play "$scratch/nothing.scn"
sentence 'a scenario that is not there is refused' is "$status" 1
ctl status
victim=$(pid_of 4)
kill -KILL "$victim"
sentence 'a replica that dies by itself is noticed' appears 'node 4 ended by itself' \
  "$scratch/cluster.err"
ctl restart all
sentence 'and can be started again' is "$status" 0
ctl stop
wait "$cluster_pid"
sentence 'ctl stop ends the cluster' is "$?" 0
cluster_pid=

start_cluster "$scratch/mute" --phase 5 --server "$stand_in" --ready-within 100ms --mute-node 3
sentence 'a replica that cannot serve does not keep the cluster from being ready' \
  grep -q '^ready$' <<<"$printed"
sentence 'but is named' grep -q '^quintet cluster: node 3 cannot serve yet; see .*/server-3.log$' \
  "$scratch/cluster.err"
stop_cluster TERM

start_cluster "$scratch/heard" --phase 3 --replicas 3
ctl kill 3
port=$(sed -n 's/^node 2 .*tcp=127.0.0.1:\([0-9]*\).*/\1/p' <<<"$printed")
sentence 'ready is said when every replica can serve: who is killed then was heard of' \
  is "$(ask 127.0.0.1 "$port" 'GET nothing')" NOT_FOUND
stop_cluster TERM

capture "$quintet" cluster --phase 5 --server "$stand_in" --dir "$scratch/bad" --base-port 0 \
  --fail-node 3
sentence 'a replica that will not start is one clear line' \
  is "$(cat "$scratch/err")" 'quintet cluster: node 3 did not start: stand_in: no 3 today'
sentence 'and exit 1' is "$status" 1
capture "$quintet" cluster --phase 1 --dir "$scratch/bad" --base-port 0 --no-such-flag
sentence "a wrong flag of the server's is exit 2" is "$status" 2
capture "$quintet" cluster --phase 9
sentence 'a phase that is none is refused' is "$status" 2
capture "$quintet" cluster --phase 1 --tcp 4
sentence 'a flag that the cluster must give itself is refused' is "$status" 2
