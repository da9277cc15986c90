#!/bin/bash
# A server's life as seen from a shell: ready line, answers, signals, exit codes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
server=$bin/phase1_server
[ -x "$server" ] || { echo "not ok phase1_server is built"; exit; }

fails_in_one_line() {
  capture "$@"
  cat "$scratch/out" "$scratch/err"
  [ "$status" -eq 1 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ]
}

sentence 'a server says ready once it serves' \
  start_server "$server" --tcp 0 --udp 0 --threads 1
sentence 'port 0 takes free ports and names them' [ $((tcp_port * udp_port)) -gt 0 ]
sentence 'put, get and delete are answered in order' \
  equals "$(ask "$tcp_host" "$tcp_port" 'PUT k a value' 'GET k' 'DELETE k' 'GET k' 'DELETE k')" \
  $'OK\nVALUE a value\nOK\nNOT_FOUND\nNOT_FOUND'
sentence 'a malformed request is answered with ERROR and the next one is served' \
  grep -qz $'^ERROR.*\nOK\n$' <<<"$(ask "$tcp_host" "$tcp_port" 'BOGUS' 'PING')"
sentence 'a taken port is one line on standard error and exit 1' \
  fails_in_one_line "$server" --tcp "$tcp_port" --udp off --log "$scratch/other.log"
stop_server TERM
sentence 'SIGTERM drains and exits 0' [ "$status" -eq 0 ]
sentence 'the log holds every request, each line with its time' \
  [ "$(grep -Ec '^[0-9T:.-]{26}Z (info|warn) .*event=' "$scratch/server.log")" -ge 7 ]
sentence 'no line of the log lacks its time' \
  [ "$(grep -Ecv '^[0-9T:.-]{26}Z (debug|info|warn|error) ' "$scratch/server.log")" -eq 0 ]

sentence 'a server listens on IPv6' start_server "$server" --tcp '[::1]:0' --udp off --threads 2
sentence 'and answers there' equals "$(ask "$tcp_host" "$tcp_port" 'PING')" OK
stop_server INT
sentence 'SIGINT drains and exits 0' [ "$status" -eq 0 ]
start_server "$server" --tcp 0 --udp off
stop_server HUP
sentence 'SIGHUP drains and exits 0 too' [ "$status" -eq 0 ]
sentence 'a ready line that nobody can read ends the server with one line and exit 1' \
  fails_in_one_line bash -c "exec $server --tcp 0 --udp off --log $scratch/full.log >/dev/full"
everything_off() {
  capture "$server" --tcp off --udp off
  cat "$scratch/err"
  [ "$status" -eq 2 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ]
}
sentence 'a server that could serve nobody says so and exits 2' everything_off
few_descriptors() { (ulimit -n 12 && exec "$server" --tcp 0 --udp off --log "$scratch/few.log"); }
sentence 'too few descriptors at the start are one line on standard error and exit 1' \
  fails_in_one_line bash -c "$(declare -f few_descriptors); server=$server scratch=$scratch; few_descriptors"
sentence 'a host that does not exist is told with its flag' \
  fails_in_one_line "$server" --tcp no-such-host.invalid:0 --udp off --log "$scratch/other.log"
sentence 'so that one knows where to look' grep -q -- '--tcp: ' "$scratch/err"
sentence 'a log that cannot be opened is one line on standard error and exit 1' \
  fails_in_one_line "$server" --tcp 0 --udp off --log "$scratch"

if start_server "$server" --tcp 0 --udp off --http 0 --threads 1; then
  page() {
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout "$patience_s" bash -c \
      'exec 3<>"/dev/tcp/$0/$1"; printf "GET %s HTTP/1.1\r\nHost: x\r\n\r\n" "$2" >&3; cat <&3' \
      "$http_host" "$http_port" "$1"
  }
  page /healthz >"$scratch/healthz"
  page /metrics >"$scratch/metrics"
  page /status >"$scratch/status"
  sentence '/healthz is 200 while writes can succeed' grep -q '^HTTP/1.1 200' "$scratch/healthz"
  sentence '/metrics is Prometheus text' grep -q '^# TYPE ' "$scratch/metrics"
  sentence '/status is JSON' grep -q '^{.*}$' "$scratch/status"
  stop_server
else
  echo 'not ok a server opens its pages with --http'
fi
