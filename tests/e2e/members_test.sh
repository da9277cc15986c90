#!/bin/bash
# Members of a running cluster change under load: three replicas become five, the leader is removed,
# a node whose disk is lost comes back as a new one; quintet check judges what the clients saw.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
quintet=$bin/quintet
seconds=12

# start_cluster PHASE DIR [REPLICAS]: leaves the founders' TCP addresses in $targets.
start_cluster() {
  local fifo="$scratch/cluster.$1"
  rm -f "$fifo"
  mkfifo "$fifo"
  "$quintet" cluster --phase "$1" --replicas "${3:-3}" --dir "$2" --base-port 0 >"$fifo" \
    2>"$2.err" </dev/null &
  cluster_pid=$!
  cluster_ready "$fifo"
}

ctl() {
  capture "$quintet" ctl --dir "$dir" "$@"
  cat "$scratch/out" "$scratch/err"
  return "$status"
}
# column NODE NAME: of ctl status
column() {
  "$quintet" ctl --dir "$dir" status | awk -v node="$1" -v n="$2" '$1 == node { print $n }'
}
nodes() { "$quintet" ctl --dir "$dir" status | awk '$1 ~ /^[0-9]+$/ { printf "%s ", $1 }'; }
# page NODE: its /status
page() {
  local http
  http=$(column "$1" 7)
  # shellcheck disable=SC2016 # the inner shell expands it
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"; printf "GET /status HTTP/1.0\r\n\r\n" >&3; cat <&3' \
    "${http%:*}" "${http##*:}" 2>/dev/null
}
leader() {
  local node end=$((SECONDS + patience_s))
  while [ $SECONDS -lt $end ]; do
    for node in $(nodes); do
      if page "$node" | grep -q '"plays_leader": *1'; then
        echo "$node"
        return
      fi
    done
  done
}
# leads NODE: it does, or comes to: on a slow machine somebody else may have been elected since.
leads() {
  local end=$((SECONDS + patience_s))
  while [ $SECONDS -lt $end ]; do
    [ "$(leader)" != "$1" ] || return 0
    ctl transfer "$1"
  done
  false
}
# another_leads NODE: somebody else than that one, which is gone.
another_leads() {
  local now
  now=$(leader)
  [ -n "$now" ] && [ "$now" != "$1" ]
}
# answers NODE LINE WANTED: the node says so within the patience.
answers() {
  local tcp end=$((SECONDS + patience_s)) got
  tcp=$(column "$1" 4)
  while [ $SECONDS -lt $end ]; do
    got=$(ask "${tcp%:*}" "${tcp##*:}" "$2")
    [ "$got" != "$3" ] || return 0
  done
  echo "node $1 says to $2: $got"
  false
}
number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$dir.json"; }

members_change() {
  local phase=$1 what="phase $1" old new left
  dir=$scratch/phase$phase
  mkdir -p "$dir"
  sentence "$what: three replicas start" start_cluster "$phase" "$dir"
  "$quintet" bench --target "line://$targets" --clients 6 --ids --seconds "$seconds" --keys 40 \
    --swaps 10 --attempt-timeout 500ms --timeout 20s --seed 1 --history "$dir/history.jsonl" \
    >"$dir.json" 2>"$dir.bench" </dev/null &
  local load=$!
  sentence "$what: a fourth is added" ctl add 4
  sentence "$what: and a fifth" ctl add 5
  sentence "$what: who is a member cannot be added" \
    is "$(ctl add 5)" 'quintet ctl: node 5 is a member already'
  answers 1 'PUT marker five' OK >/dev/null
  sentence "$what: the newcomers serve what was written before and since" \
    answers 5 'GET marker' 'VALUE five'
  if [ "$phase" = 5 ]; then
    old=$(leader)
    new=$((old == 4 ? 5 : 4))
    sentence "$what: leadership goes to a newcomer" ctl transfer "$new"
    sentence "$what: which leads then" leads "$new"
  else
    sentence "$what: leadership is not handed over" \
      is "$(ctl transfer 4)" 'quintet ctl: Paxos hands no leadership over: whoever is heard leads'
  fi
  old=" $(nodes)"
  sentence "$what: the leader is removed" ctl remove leader
  for new in $old; do
    [[ " $(nodes)" = *" $new "* ]] || break  # this one is gone
  done
  sentence "$what: it was named" grep -q "^leader is node $new$" "$scratch/out"
  sentence "$what: its process is gone" is "$(nodes | wc -w)" 4
  sentence "$what: and its folder stands aside" [ -d "$dir/data/node$new.left" ]
  sentence "$what: another one leads" another_leads "$new"

  # A disk is lost: the node is refused, and comes back as a new member only.
  left=$((new == 3 ? 2 : 3))
  ctl kill "$left" >/dev/null
  if [ "$phase" = 5 ]; then
    ctl transfer "$left" >/dev/null
    sentence "$what: leadership is not handed to the dead, and that is said at once" \
      grep -qE "^quintet ctl: node $left(: it has not been heard| did not take over)" "$scratch/err"
  fi
  rm -rf "$dir/data/node$left"
  mkdir "$dir/data/node$left"
  ctl restart "$left" >/dev/null
  sentence "$what: a node that lost its disk is refused" \
    appears 'event=refused .*quintet ctl remove, then add' "$dir/logs/server-$left.log"
  sentence "$what: it is removed" ctl remove "$left"
  sentence "$what: and added, on a new disk" ctl add "$left"
  sentence "$what: and serves again" answers "$left" 'GET marker' 'VALUE five'
  sentence "$what: who was never there cannot be removed" \
    is "$(ctl remove 9)" 'quintet ctl: node 9 is no member'

  wait "$load"
  sentence "$what: the load ends" is $? 0
  sentence "$what: operations were answered all the while" [ "$(number ops)" -gt 100 ]
  capture "$quintet" check "$dir/history.jsonl"
  head -n 20 "$scratch/out" | sed 's/^/# /'
  sentence "$what: the history is linearizable" is "$status" 0
  ctl stop >/dev/null
  wait "$cluster_pid"
  exec 8<&-
  old=$(sed 1d "$dir/members" | wc -l)
  sentence "$what: started again, the cluster has the members that it had" \
    start_cluster "$phase" "$dir"
  sentence "$what: as many" [ "$old" = 4 -a "$(nodes | wc -w)" = 4 ]
  sentence "$what: which serve" answers "$left" 'GET marker' 'VALUE five'
  ctl stop >/dev/null
  wait "$cluster_pid"
  cluster_pid=
  exec 8<&-
  sentence "$what: no replica ended by itself" [ ! -s "$dir.err" ]
  cat "$dir.json" "$dir.bench" "$dir.err" | sed 's/^/# /'
}

# The dead, and those that only the replicas remember.
troubled_members() {
  local what="phase 5" dead old
  dir=$scratch/troubled
  mkdir -p "$dir"
  sentence "$what: five replicas start" start_cluster 5 "$dir" 5
  sentence "$what: and a sixth is added" ctl add 6
  old=$(leader)
  sentence "$what: the leader is killed" ctl kill leader
  sentence "$what: it was the one that is named" is "$(cat "$scratch/out")" "leader is node $old"
  sentence "$what: as soon as another leads, that is killed" ctl kill leader
  dead=$(sed -n 's/^leader is node //p' "$scratch/out")
  sentence "$what: it was another" [ -n "$dead" -a "$dead" != "$old" ]
  ctl restart "$old" >/dev/null
  sentence "$what: with one dead, the leader is removed" ctl remove leader
  ctl restart "$dead" >/dev/null
  sentence "$what: a newcomer is added" ctl add 7
  ctl stop >/dev/null
  wait "$cluster_pid"
  exec 8<&-
  sed -i '/^7 /d' "$dir/members"
  sentence "$what: the cluster starts again without it" start_cluster 5 "$dir" 5
  sentence "$what: whom only the replicas remember is removed all the same" ctl remove 7
  sentence "$what: and is no member then" is "$(ctl remove 7)" 'quintet ctl: node 7 is no member'
  ctl stop >/dev/null
  wait "$cluster_pid"
  cluster_pid=
  exec 8<&-
  sed 's/^/# /' "$dir.err"
}

[ ! -x "$bin/phase5_server" ] || troubled_members
for phase in 4 5; do
  [ ! -x "$bin/phase${phase}_server" ] || members_change "$phase"
done
