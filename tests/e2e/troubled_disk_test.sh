#!/bin/bash
# Raft on real processes whose disks are in trouble: all of them slow, then the leader's hangs.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
quintet=$bin/quintet
dir=$scratch/raft
election_ms=400   # a time-out is drawn from this to twice as much
slack_ms=500      # of a busy machine
seconds=10

cc -O1 -shared -fPIC -o "$scratch/troubled_disk.so" tests/e2e/troubled_disk.c -ldl || exit

# The server of the cluster: node N obeys $dir/trouble.N.
server=$scratch/server
cat >"$server" <<END
#!/bin/bash
for ((i = 1; i < \$#; i++)); do
  [ "\${!i}" != --node ] || { next=\$((i + 1)); node=\${!next}; }
done
export TROUBLE=$dir/trouble.\$node LD_PRELOAD=$scratch/troubled_disk.so
exec $bin/phase5_server "\$@"
END
chmod +x "$server"
mkdir -p "$dir"

start_cluster() {
  mkfifo "$scratch/cluster"
  "$quintet" cluster --phase 5 --server "$server" --dir "$dir" --base-port 0 \
    --election-timeout "${election_ms}ms" >"$scratch/cluster" 2>"$dir.err" </dev/null &
  cluster_pid=$!
  cluster_ready "$scratch/cluster"
}
elections() { cat "$dir"/logs/server-*.log | grep -cE ' event=(pre_candidate|candidate|leader) '; }
leader() { cat "$dir"/logs/server-*.log | sort | sed -n 's/.* node=\([0-9]*\) .*event=leader .*/\1/p' | tail -n 1; }
trouble() { echo "$1" >"$dir/trouble.$2"; }
now_ms() { date +%s%3N; }
# logged_ms PATTERN NODE: when that node last logged it.
logged_ms() {
  date -d "$(grep -e "$1" "$dir/logs/server-$2.log" | tail -n 1 | cut -d ' ' -f 1)" +%s%3N
}
number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$dir.json"; }

sentence 'the cluster starts' start_cluster
"$quintet" bench --target "line://$targets" --clients 8 --ids --seconds "$seconds" --keys 40 \
  --read-back --attempt-timeout 500ms --timeout 10s --history "$dir/history.jsonl" \
  >"$dir.json" 2>"$dir.bench" </dev/null &
load=$!

becomes() {  # COMMAND…: waits until it succeeds
  local deadline=$((SECONDS + patience_s))
  until "$@"; do [ "$SECONDS" -lt "$deadline" ] || return 1; done
}
led() { [ -n "$(leader)" ]; }
puts() { cat "$dir"/logs/server-*.log | grep -c ' event=answer .*verb=put result=ok'; }
written() { [ "$(puts)" -ge "$1" ]; }
led_by_another() { local now; now=$(leader); [ "$now" != "$1" ]; }

sentence 'a leader is elected' becomes led
for node in 1 2 3 4 5; do trouble slow "$node"; done
before=$(elections)
sentence 'on disks that take 50 ms longer for each sync, writes go on' becomes written $(($(puts) + 60))
sentence 'and no election starts' is "$(elections)" "$before"
for node in 1 2 3 4 5; do trouble no "$node"; done

old=$(leader)
hung_at=$(now_ms)
trouble hung "$old"
sentence 'a leader whose disk hangs gives up' appears 'event=step_down' "$dir/logs/server-$old.log"
took=$(($(logged_ms 'event=step_down' "$old") - hung_at))
echo "# after $took ms"
sentence 'within two election time-outs' [ "$took" -ge 0 -a "$took" -le $((4 * election_ms + slack_ms)) ]
sentence 'and another one leads' becomes led_by_another "$old"
new=$(leader)
echo "# node $new instead of $old, after $(($(logged_ms 'event=leader' "$new") - hung_at)) ms"
trouble no "$old"

wait "$load"
sentence 'the load ends' is $? 0
sentence 'operations were answered all the same' [ "$(number ops)" -gt 100 ]
capture "$quintet" check "$dir/history.jsonl"
head -n 20 "$scratch/out" | sed 's/^/# /'
sentence 'the history is linearizable' is "$status" 0
sentence 'every key can be read at every replica' \
  is "$(number read_back) $(number read_back_failed)" '200 0'
capture "$quintet" ctl --dir "$dir" stop
wait "$cluster_pid"
sentence 'no replica ended by itself' [ ! -s "$dir.err" ]
cluster_pid=
cat "$dir.json" "$dir.bench" "$dir.err" | sed 's/^/# /'
