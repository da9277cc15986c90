#!/bin/bash
# Chaos without our proxy: real replicas, each under a user of its own, in a private network
# namespace, while packet filters cut single directions of links and lose packets, processes are
# killed and stopped, and the power is cut: network_chaos.sh [SECONDS [SEED]].
#
# A replica's data lies on a file system of its own in an image file. A power cut is a copy of that
# file while the file system is mounted: what was never synced is not in it. The copy is mounted in
# its place. It takes root and Linux; elsewhere it says what is missing, and that is all. Packets are
# not delayed: that would take netem, or a program behind NFQUEUE.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
seconds=${1:-10}
seed=${2:-$((RANDOM % 10000 + 1))}
names=("" "" "" phase3_2pc phase4_paxos phase5_raft)
nodes=5
image_megabytes=256

# missing: what stands in the way of all this; nothing if nothing does.
missing() {
  local program
  [ "$(id -u)" -eq 0 ] || { echo 'root'; return; }
  for program in unshare setpriv ip iptables mkfs.ext4 mount; do
    command -v "$program" >/dev/null || { echo "the program $program"; return; }
  done
  unshare --net --mount bash -c 'ip link set lo up &&
    iptables -A OUTPUT -m owner --uid-owner 1 -d 127.0.0.2 -j DROP &&
    iptables -A OUTPUT -m statistic --mode random --probability 0.1 -j DROP' 2>/dev/null ||
    { echo 'a private network with packet filters'; return; }
}

if [ -z "${QUINTET_PRIVATE_NETWORK:-}" ]; then
  lacking=$(missing)
  if [ -n "$lacking" ]; then
    echo "# skipped: real cuts and power cuts need $lacking; the fault proxy alone has to do"
    exit 0
  fi
  rm -r "$scratch"
  QUINTET_PRIVATE_NETWORK=yes exec unshare --net --mount --pid --fork --kill-child --mount-proc \
    bash "$PWD/tests/e2e/network_chaos.sh" "$seconds" "$seed"
fi
echo '# between the replicas: a private network and packet filters, no proxy'
chmod 711 "$scratch"
mkfifo "$scratch/never"
exec 7<>"$scratch/never"
ip link set lo up

between() { echo $(($1 + RANDOM % ($2 - $1 + 1))); }
hold() { read -r -t "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" -u 7; }  # nobody writes there
user_of() { echo $((20000 + $1)); }
peers=$(for node in $(seq $nodes); do printf '%s' "${comma:-}$node=127.0.0.$node:7111"; comma=,; done)
targets=$(seq -f '127.0.0.%g:1111' -s , $nodes)
pids=()

start_node() {
  local node=$1
  : >"$dir/ready.$node"
  setpriv --reuid "$(user_of "$node")" --regid "$(user_of "$node")" --clear-groups \
    "$scratch/server" --node "$node" --peers "$peers" --rpc "127.0.0.$node:7111" \
    --tcp "127.0.0.$node:1111" --udp off --data "$dir/disk$node/data" \
    --log "$dir/logs/server-$node.log" >"$dir/ready.$node" 2>>"$dir/err" </dev/null &
  pids[node]=$!
}
kill_node() {
  kill -KILL "${pids[$1]}"
  wait "${pids[$1]}" 2>/dev/null
}
mount_disk() { mount -o loop "$dir/image$1" "$dir/disk$1"; }

make_node() {
  mkdir -p "$dir/disk$1" "$dir/logs"
  truncate -s ${image_megabytes}M "$dir/image$1"
  mkfs.ext4 -q -F "$dir/image$1" && mount_disk "$1" && chown "$(user_of "$1")" "$dir/disk$1" &&
    chmod 777 "$dir/logs"
}

# The disk as it is at this moment stays; all that only the machine's memory had is gone.
cut_power_of() {
  local node
  for node in "$@"; do kill -STOP "${pids[node]}"; done
  for node in "$@"; do cp --sparse=always "$dir/image$node" "$dir/copy$node"; done
  for node in "$@"; do
    kill_node "$node"
    umount "$dir/disk$node" && mv "$dir/copy$node" "$dir/image$node" && mount_disk "$node"
  done
}

# from_to FROM TO VERB: what FROM sends TO, on the connection that it opened, is dropped.
from_to() {
  iptables "$3" OUTPUT -p tcp -m owner --uid-owner "$(user_of "$1")" -d "127.0.0.$2" \
    --dport 7111 -j DROP
}
parted() {  # FROM VERB: FROM and its next neighbour from all the others, both ways
  local one two=$(($1 % nodes + 1)) other
  for one in "$1" "$two"; do
    for other in $(seq $nodes); do
      [ "$other" -eq "$1" ] || [ "$other" -eq "$two" ] ||
        { from_to "$one" "$other" "$2"; from_to "$other" "$one" "$2"; }
    done
  done
}
lossy() { iptables "$1" OUTPUT -p tcp --dport 7111 -m statistic --mode random --probability 0.2 -j DROP; }

strike() {
  local node other lasts
  node=$(between 1 $nodes)
  other=$((node % nodes + 1))
  lasts=$(between 200 900)
  case $(between 1 8) in
    1 | 2) echo "kill -9 of node $node"; kill_node "$node"; hold "$lasts"; start_node "$node" ;;
    3) echo "node $node stopped"; kill -STOP "${pids[node]}"; hold "$lasts"; kill -CONT "${pids[node]}" ;;
    4) echo "node $node is not heard by $other"; from_to "$node" "$other" -A; hold "$lasts"; from_to "$node" "$other" -D ;;
    5) echo "nodes $node, $other apart from the others"; parted "$node" -A; hold "$lasts"; parted "$node" -D ;;
    6) echo 'a fifth of all packets lost'; lossy -A; hold "$lasts"; lossy -D ;;
    7) echo "power cut of node $node"; cut_power_of "$node"; hold "$lasts"; start_node "$node" ;;
    8)
      echo 'power cut of all'
      cut_power_of $(seq $nodes)
      for node in $(seq $nodes); do start_node "$node"; done
      ;;
  esac
}

number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$dir.json"; }
all_ready() {
  local node
  for node in $(seq $nodes); do appears '^ready' "$dir/ready.$node" || return 1; done
}

chaos() {
  local phase=$1 what node load end status_of_all=0
  what="phase $phase, seed $seed"
  dir=$scratch/${names[phase]}
  RANDOM=$seed
  mkdir -p "$dir"
  cp "$bin/phase${phase}_server" "$scratch/server"  # where every user may run it
  for node in $(seq $nodes); do make_node "$node" && start_node "$node"; done
  sentence "$what: five replicas start, each on a disk of its own" all_ready
  "$bin/quintet" bench --target "line://$targets" --clients 8 --ids --seconds "$seconds" --keys 40 \
    --deletes 10 --swaps 10 --read-back --attempt-timeout 500ms --timeout 10s --seed "$seed" \
    --history "$dir/history.jsonl" >"$dir.json" 2>"$dir.bench" </dev/null &
  load=$!
  end=$((SECONDS + seconds - 1))
  hold 300
  while [ "$SECONDS" -lt "$end" ]; do
    strike >>"$dir/struck"
    hold "$(between 100 600)"
  done
  sed 's/^/# /' "$dir/struck"
  wait "$load"
  sentence "$what: the load ends" is $? 0
  sentence "$what: faults struck, and operations were answered all the same" \
    [ "$(wc -l <"$dir/struck")" -ge 1 -a "$(number ops)" -gt 20 ]
  capture "$bin/quintet" check "$dir/history.jsonl"
  head -n 20 "$scratch/out" | sed 's/^/# /'
  sentence "$what: the history is linearizable" is "$status" 0
  sentence "$what: every key could be read at every replica" \
    is "$(number read_back) $(number read_back_failed)" '200 0'
  for node in $(seq $nodes); do kill -TERM "${pids[node]}"; done
  for node in $(seq $nodes); do wait "${pids[node]}" || status_of_all=$?; done
  sentence "$what: every replica ends in order, and none said that anything was wrong" \
    is "$status_of_all $(cat "$dir/err")" '0 '
  for node in $(seq $nodes); do umount "$dir/disk$node"; rm -f "$dir/image$node"; done
  cat "$dir.json" "$dir.bench" "$dir/err" | sed 's/^/# /'
}

keep() {
  mkdir -p build/test-logs
  rm -rf "build/test-logs/network-chaos-$1"
  cp -r "$scratch/$1" "build/test-logs/network-chaos-$1"
  echo "# kept: build/test-logs/network-chaos-$1; again: tests/e2e/network_chaos.sh $seconds $seed"
}

for phase in 3 4 5; do
  [ -x "$bin/phase${phase}_server" ] || continue
  chaos "$phase" >"$scratch/said"
  cat "$scratch/said"
  ! grep -q '^not ok' "$scratch/said" || keep "${names[phase]}"
done
