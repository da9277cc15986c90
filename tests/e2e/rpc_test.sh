#!/bin/bash
# Phase 2's programs as seen from a shell: one store over RPC, TCP and UDP, the client's arguments,
# its logs and the server's, signals, pages.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
server=$bin/phase2_server
rpc_host='' rpc_port=''

# client SERVERS FLAGS…: what is on standard input is typed; leaves $status and $scratch/out.
client() {
  timeout "$patience_s" "$bin/rpc_client" "$@" --log "$scratch/rpc_client.log" \
    >"$scratch/out" 2>"$scratch/err"
  status=$?
}
count() { grep -c -- "$1" "$2"; }
page() {
  # shellcheck disable=SC2016,SC2154 # the inner shell expands it; start_server sets it
  timeout "$patience_s" bash -c \
    'exec 3<>"/dev/tcp/$0/$1"; printf "GET %s HTTP/1.1\r\nHost: x\r\n\r\n" "$2" >&3; cat <&3' \
    "$http_host" "$http_port" "$1"
}
fails_in_one_line() {
  capture "$@"
  cat "$scratch/out" "$scratch/err"
  [ "$status" -eq 1 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ]
}
# typed_by NAME: what one of several clients does to three keys; no value is put twice.
typed_by() {
  local i
  for ((i = 0; i < 40; i++)); do
    case $((RANDOM % 6)) in
      0 | 1) echo "PUT k$((RANDOM % 3)) $1.$i" ;;
      2 | 3) echo "GET k$((RANDOM % 3))" ;;
      4) echo "CAS k$((RANDOM % 3)) $1.$((i - 1)) $1.$i" ;;
      5) echo "DELETE k$((RANDOM % 3))" ;;
    esac
  done
  echo EXIT
}
prompt='Enter command (PUT key value / GET key / DELETE key / EXIT): '

for flags in '--threads 1' '--threads 2' '--threads 2 --handlers pool'; do
  # shellcheck disable=SC2086 # several flags
  start_server "$server" --tcp 0 --udp 0 --rpc 0 --http 0 $flags || exit 1
  rpc=$rpc_host:$rpc_port
  log=$scratch/rpc_client.log
  : >"$log"

  client "$rpc" </dev/null
  sentence "$flags: all operations answered is exit 0" is "$status" 0
  sentence "$flags: fills the store and puts, ten PUT in all" \
    is "$(count 'event=request .* verb=put' "$log")" 10
  sentence "$flags: five GET" is "$(count 'event=request .* verb=get' "$log")" 5
  sentence "$flags: five DELETE" is "$(count 'event=request .* verb=delete' "$log")" 5
  op=$(grep -o 'op=[^ ]*' "$log" | head -n 1)
  sentence "$flags: an operation has the same ID in the server's log" \
    appears "event=request $op .* transport=rpc method=kv.put verb=put" "$scratch/server.log"
  sentence "$flags: and its answer there says how it ended, and how long it took" \
    appears "event=answer $op .* result=ok us=[0-9]" "$scratch/server.log"

  # shellcheck disable=SC2154 # set by start_server
  sentence "$flags: what TCP puts, RPC gets" is \
    "$(ask "$tcp_host" "$tcp_port" '@here.1 PUT shared by tcp')" '@here.1 OK'
  printf 'GET shared\nPUT shared by rpc\nCAS shared x y\nEXIT\n' |
    { client "$rpc" --no-demo; echo "$status" >"$scratch/status"; }
  sentence "$flags: piped commands are done" is "$(cat "$scratch/status")" 0
  sentence "$flags: RPC sees what TCP wrote" grep -q 'GET shared -> VALUE by tcp ' "$scratch/out"
  sentence "$flags: TCP sees what RPC wrote" is \
    "$(ask "$tcp_host" "$tcp_port" 'GET shared')" 'VALUE by rpc'
  # shellcheck disable=SC2154 # set by start_server
  timeout "$patience_s" "$bin/udp_client" "$udp_host" "$udp_port" --no-demo \
    --log "$scratch/udp.log" <<<'GET shared' >"$scratch/udp"
  sentence "$flags: UDP sees it too" grep -q 'GET shared -> VALUE by rpc' "$scratch/udp"

  "$bin/rpc_client" "$rpc" --list >"$scratch/list" 2>&1
  sentence "$flags: the server lists its methods" \
    is "$(awk 'NR > 1 { printf "%s ", $2 }' "$scratch/list")" \
    'server.health server.methods kv.get kv.put kv.delete kv.cas kv.batch '
  page /metrics >"$scratch/metrics"
  sentence "$flags: /metrics counts the calls by method and code" \
    grep -q '^quintet_rpc_calls_total{method="kv.put",code="ok"} 11$' "$scratch/metrics"
  sentence "$flags: and has their latencies as a histogram" \
    grep -q '^quintet_rpc_latency_seconds_count{method="kv.put"} 11$' "$scratch/metrics"
  page /status >"$scratch/page"
  sentence "$flags: /status is JSON with them" \
    grep -q '"rpc_calls_total": {.*"kv.put.ok": 11' "$scratch/page"

  clients=()
  rm -f "$scratch"/sixteen.*
  for name in c{1..16}; do
    typed_by "$name" | timeout "$patience_s" "$bin/rpc_client" "$rpc" --name "$name" --no-demo \
      --log "$scratch/sixteen.$name" >/dev/null 2>&1 &
    clients+=($!)
  done
  wait "${clients[@]}"
  capture "$bin/quintet" check "$scratch"/sixteen.*
  sentence "$flags: what sixteen clients logged is linearizable" is "$status" 0
  sed -i 's/\(event=answer .* value=\).*/\1never-put/' "$scratch/sixteen.c1"
  capture "$bin/quintet" check "$scratch"/sixteen.*
  sentence "$flags: and with answers that nobody gave it is not" is "$status" 1

  client "$rpc" --ping </dev/null
  sentence "$flags: --ping of a server that runs is exit 0" is "$status" 0
  stop_server
  sentence "$flags: SIGTERM drains and exits 0" is "$status" 0
  client "$rpc" --ping --timeout 50ms </dev/null
  sentence "$flags: --ping of a server that does not is exit 1" is "$status" 1
  client "$rpc" --timeout 20ms </dev/null
  sentence "$flags: without answers the rest go on" is "$(count ' -> ' "$scratch/out")" 20
  sentence "$flags: and it is exit 1" is "$status" 1
done

start_server "$server" --tcp off --udp off --rpc 0 --http 0 || exit 1
rpc=$rpc_host:$rpc_port
script -qec "$bin/rpc_client $rpc --no-demo --log $log" /dev/null \
  >"$scratch/typed" <<<$'GET nothing\nEXIT'
sentence 'a terminal sees the promised prompt' grep -qF "$prompt" "$scratch/typed"
sentence 'what is typed there is done' grep -q 'GET nothing -> NOT_FOUND' "$scratch/typed"
client "127.0.0.1:1,$rpc" --ping </dev/null
sentence 'of several servers the next is asked if the first is not there' is "$status" 0
client "no.such.host.invalid:1,$rpc" --ping </dev/null
sentence 'and if the first has no address' is "$status" 0
sentence 'a list without any address is one line on standard error and exit 1' \
  fails_in_one_line "$bin/rpc_client" no.such.host.invalid:1,no.other.invalid:1 --list
# shellcheck disable=SC2154 # set by start_server
sentence 'so is a port of another protocol' fails_in_one_line "$bin/rpc_client" "$http_host:$http_port" --list
sentence 'whose line says why' grep -q 'hello\|last failure' "$scratch/err"
capture "$bin/rpc_client" "$rpc" --name 'no name'
sentence 'a wrong flag is exit 2' is "$status" 2
sentence 'and one line on standard error' is "$(wc -l <"$scratch/err")" 1
sentence 'a taken port is one line on standard error and exit 1' \
  fails_in_one_line "$server" --tcp off --udp off --rpc "$rpc_port" --log "$scratch/other.log"
sentence 'a server for other machines without TLS wants --insecure, and says so' \
  fails_in_one_line "$server" --tcp off --udp off --rpc 0.0.0.0:0 --log "$scratch/other.log"
sentence 'in words' grep -q -- '--tls-cert.*--insecure' "$scratch/err"
sentence 'a client of another machine without TLS wants it as well' \
  fails_in_one_line "$bin/rpc_client" 192.0.2.1:7111 --log "$scratch/other.log"
capture "$server" --rpc 0 --tls-cert "$scratch/none"
sentence 'a certificate without its key is exit 2' is "$status" 2
stop_server
