#!/bin/bash
# The client programs against a real server: arguments, exit status, prompt, logs.
. "$(dirname "$0")/lib.sh"

# client PROGRAM PORT FLAGS…: what is on standard input is typed; leaves $status and $scratch/out.
client() {
  local program=$1 port=$2
  shift 2
  timeout "$patience_s" "$bin/$program" 127.0.0.1 "$port" --log "$scratch/$program.log" "$@" \
    >"$scratch/out" 2>"$scratch/err"
  status=$?
}
count() { grep -c -- "$1" "$2"; }
prompt='Enter command (PUT key value / GET key / DELETE key / EXIT): '

for program in tcp_client udp_client; do
  start_server "$bin/phase1_server" --tcp 127.0.0.1:0 --udp 127.0.0.1:0 || exit 1
  # shellcheck disable=SC2154 # set by start_server
  if [ $program = tcp_client ]; then port=$tcp_port; else port=$udp_port; fi
  log=$scratch/$program.log

  client $program "$port" </dev/null
  sentence "$program: all operations answered is exit 0" is "$status" 0
  sentence "$program: fills the store and puts, ten PUT in all" \
    is "$(count 'event=request .* verb=put' "$log")" 10
  sentence "$program: five GET" is "$(count 'event=request .* verb=get' "$log")" 5
  sentence "$program: five DELETE" is "$(count 'event=request .* verb=delete' "$log")" 5
  sentence "$program: every log line has a time stamp with microseconds" \
    is "$(grep -cvE '^[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z ' "$log")" 0
  op=$(grep -o 'op=[^ ]*' "$log" | head -n 1)
  sentence "$program: an operation has the same ID in the server's log" \
    appears "event=request $op " "$scratch/server.log"

  printf 'PUT a one two\nPUTT a\nCAS k\nGET a\nPING\nCAS a one two\nEXIT\nGET never\n' |
    { client $program "$port" --no-demo; echo "$status" >"$scratch/status"; }
  sentence "$program: piped commands are done, wrong ones explained" is "$(cat "$scratch/status")" 0
  sentence "$program: a pipe sees no prompt" is "$(count 'Enter command' "$scratch/out")" 0
  sentence "$program: a value of several words comes back" \
    grep -q 'GET a -> VALUE one two  (' "$scratch/out"
  sentence "$program: each wrong line is explained" is "$(count 'not sent: ' "$scratch/out")" 2
  sentence "$program: nothing is done after EXIT" is "$(count never "$scratch/out")" 0

  printf 'PUT full disk\n' | timeout "$patience_s" "$bin/$program" 127.0.0.1 "$port" --no-demo \
    --log "$log" >/dev/full 2>"$scratch/err"
  sentence "$program: an output that takes nothing is exit 1" is "${PIPESTATUS[1]}" 1
  sentence "$program: and one line that says why" \
    is "$(cat "$scratch/err")" "$program: cannot write to standard output: No space left on device"
  timeout "$patience_s" "$bin/$program" 127.0.0.1 "$port" --log "$scratch/closed.log" <&- >&- 2>&-
  sentence "$program: without any standard descriptor it does its work and ends" is "$?" 0
  sentence "$program: and nothing but log lines is in its log" \
    is "$(grep -cv '^20' "$scratch/closed.log")" 0
  rm "$scratch/closed.log"

  script -qec "$bin/$program 127.0.0.1 $port --no-demo --log $log" /dev/null \
    >"$scratch/typed" <<<$'GET nothing\nEXIT'
  sentence "$program: a terminal sees the promised prompt" grep -qF "$prompt" "$scratch/typed"
  sentence "$program: what is typed there is done" \
    grep -q 'GET nothing -> NOT_FOUND' "$scratch/typed"

  for name in same same; do client $program "$port" --name $name </dev/null; done
  sentence "$program: two runs under one name have no ID in common" \
    is "$(grep 'client=same ' "$log" | grep -o 'event=request op=[^ ]*' | sort | uniq -d | wc -l)" 0
  sentence "$program: and the second is answered as the first" is "$status" 0

  client $program "$port" --ping </dev/null
  sentence "$program: --ping of a server that runs is exit 0" is "$status" 0
  stop_server
  client $program "$port" --ping --timeout 50ms </dev/null
  sentence "$program: --ping of a server that does not is exit 1" is "$status" 1
  client $program "$port" --timeout 20ms </dev/null
  sentence "$program: without answers the rest go on" is "$(count ' -> ' "$scratch/out")" 20
  sentence "$program: and it is exit 1" is "$status" 1

  capture "$bin/$program" 127.0.0.1 "$port" --name 'no name'
  sentence "$program: a wrong flag is exit 2" is "$status" 2
  sentence "$program: and one line on standard error" is "$(wc -l <"$scratch/err")" 1
  capture "$bin/$program" 127.0.0.1
  sentence "$program: a missing argument is exit 2" is "$status" 2
  capture "$bin/$program" 127.0.0.1 "$port" --log "$scratch/server.log/x"
  sentence "$program: a log that cannot be opened is exit 1" is "$status" 1
done

# A server that dies in the middle of a client's run, and another that takes its place.
start_server "$bin/phase1_server" --tcp 127.0.0.1:0 --udp off || exit 1
mkfifo "$scratch/typing"
"$bin/tcp_client" 127.0.0.1 "$tcp_port" --no-demo --log "$scratch/dying.log" \
  <"$scratch/typing" >"$scratch/dying" 2>&1 &
client_pid=$!
exec 8>"$scratch/typing"
# shown TEXT: waits for the client to print it.
shown() {
  local deadline=$((SECONDS + patience_s))
  until grep -qF -- "$1" "$scratch/dying"; do [ $SECONDS -lt $deadline ] || return 1; done
}
echo 'PUT a 1' >&8
sentence 'a client is answered before its server dies' shown 'PUT a 1 -> OK'
stop_server KILL 2>/dev/null
echo 'PUT b 2' >&8
sentence 'a client outlives its server' shown 'PUT b 2 -> not done: no connection'
start_server "$bin/phase1_server" --tcp "127.0.0.1:$tcp_port" --udp off 8>&- || exit 1
echo 'PUT c 3' >&8
sentence 'and finds the next one by itself' shown 'PUT c 3 -> OK'
exec 8>&-
wait $client_pid
sentence 'its exit status tells that one operation was not answered' is "$?" 1

# Ctrl-C and kill.
mkfifo "$scratch/waiting"
"$bin/tcp_client" 127.0.0.1 "$tcp_port" --log "$scratch/dying.log" \
  <"$scratch/waiting" >"$scratch/dying" &
client_pid=$!
exec 8>"$scratch/waiting"
sentence 'a client runs its demo and waits for input' shown 'still a little green'
until grep -q 'DELETE .*no-such-fruit -> NOT_FOUND' "$scratch/dying"; do :; done
kill -TERM $client_pid
wait $client_pid
sentence 'SIGTERM ends a client that waits for input with exit 0' is "$?" 0
sentence 'and the log says so' grep -q 'event=stop reason=signal' "$scratch/dying.log"
exec 8>&-

# Two at once.
for program in one two; do
  timeout "$patience_s" "$bin/tcp_client" 127.0.0.1 "$tcp_port" --name $program \
    --log "$scratch/$program.log" </dev/null >/dev/null &
  eval "$program=\$!"
done
# shellcheck disable=SC2154 # set by eval
{ wait "$one"; first=$?; wait "$two"; second=$?; }
sentence 'two clients at once both get all their answers' is "$first$second" 00
stop_server
