#!/bin/bash
# deploy.sh and run_client.sh with plain processes. What they ask of a Docker engine is seen with a
# docker that only writes it down: whether an engine does it, this cannot tell.
. "$(dirname "$0")/lib.sh"
export QUINTET_MODE=process QUINTET_TCP=0 QUINTET_UDP=0
export QUINTET_STATE="$scratch/state" QUINTET_LOGS="$scratch/logs"
trap 'deploy/deploy.sh cleanup-only >/dev/null 2>&1; cleanup' EXIT

capture deploy/run_client.sh alice 1111
sentence 'a wrong number of arguments is exit 1' is "$status" 1
sentence 'and prints how it is used' is "$(cat "$scratch/out")" \
  'Usage: ./run_client.sh <container-name> <port-number> <protocol>'
capture deploy/run_client.sh alice 1111 SCTP
sentence 'an unknown protocol is exit 1' is "$status" 1
capture deploy/run_client.sh ../alice 1111 TCP
sentence 'a name that is a path is refused' is "$status" 1
capture deploy/run_client.sh server-1 1111 TCP
sentence "a client cannot have the name of the server's log" is "$status" 1
QUINTET_LOGS=/proc/nowhere capture deploy/run_client.sh alice 1111 TCP
sentence 'a folder that cannot be written is one clear line' \
  grep -q 'the folder /proc/nowhere cannot be written' "$scratch/err"
QUINTET_MODE=docker PATH="$scratch/none:/usr/bin:/bin" capture deploy/deploy.sh cleanup-only
sentence 'asking for containers without an engine is one clear line' \
  grep -q 'no Docker engine answers' "$scratch/err"
capture deploy/deploy.sh twice
sentence 'an unknown argument of deploy.sh is exit 1' is "$status" 1
capture deploy/deploy.sh cleanup-only
sentence 'cleaning up where nothing runs is no error' is "$status" 0

patience_s=280 capture deploy/deploy.sh
sentence 'deploy.sh starts a server' is "$status" 0
sentence 'and says that it is a plain process' grep -q 'running plain processes' "$scratch/out"
port() { sed -n "s/^ready .*$1=[^ ]*:\([0-9]*\).*/\1/p" "$scratch/state/server.out"; }
server=$(cut -d' ' -f1 "$scratch/state/quintet-server.pid")

deploy/run_client.sh alice "$(port tcp)" TCP </dev/null >"$scratch/alice" 2>&1 &
alice=$!
deploy/run_client.sh bob "$(port udp)" udp </dev/null >"$scratch/bob" 2>&1 &
bob=$!
wait $alice
sentence 'a TCP client gets all its answers' is "$?" 0
wait $bob
sentence 'and a UDP client at the same time' is "$?" 0
sentence 'each has a log of its own' test -s "$scratch/logs/alice.log" -a -s "$scratch/logs/bob.log"

mkfifo "$scratch/typing"
: >"$scratch/carol"
deploy/run_client.sh carol "$(port tcp)" TCP <"$scratch/typing" >"$scratch/carol" 2>&1 &
carol=$!
exec 8>"$scratch/typing"
until grep -q no-such-fruit "$scratch/carol"; do :; done
capture deploy/run_client.sh carol "$(port tcp)" TCP
sentence 'a second client of the same name is refused' grep -q 'runs already' "$scratch/err"

tail -f /dev/null &
stranger=$!
echo "$stranger 1" >"$scratch/state/stranger.pid"  # a process number that came again
capture deploy/deploy.sh cleanup-only
gone() { ! grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null; }
sentence 'cleanup-only ends the server' gone "$server"
wait $carol
sentence 'and a client that still waits for input, politely' is "$?" 0
sentence "a client's name stands in the server's log" \
  grep -q 'op=alice-' "$scratch/logs/server-1.log"
sentence 'but no stranger whose number a pid file holds' kill -0 $stranger
kill $stranger
sentence 'and leaves no pid file' is "$(find "$scratch/state" -name '*.pid')" ''
exec 8>&-

sentence 'the scripts name no address and no port but in settings.sh' \
  is "$(grep -nE '127\.0\.0\.1|[^0-9](1111|5555)' deploy/deploy.sh deploy/run_client.sh)" ''

mkdir "$scratch/bin"
cat >"$scratch/bin/docker" <<END
#!/bin/sh
echo "\$*" >>"$scratch/docker"
case \$1 in
  ps) echo left-over ;;
  logs) echo 'ready tcp=0.0.0.0:7 udp=0.0.0.0:8' ;;
esac
END
chmod +x "$scratch/bin/docker"
export QUINTET_MODE=auto PATH="$scratch/bin:$PATH" QUINTET_TCP=7 QUINTET_UDP=8
asked() { grep -q -- "$1" "$scratch/docker"; }
capture deploy/deploy.sh
sentence 'where an engine runs, deploy.sh says that it uses containers' \
  grep -q 'using containers' "$scratch/out"
sentence 'it removes what an earlier call left' asked '^rm -f left-over$'
sentence 'it starts the server with both ports' asked '^run -d .* -p [^ ]*:7:7/tcp -p [^ ]*:8:8/udp '
sentence 'never as root' [ "$(grep -c -- '--user 0' "$scratch/docker")" = 0 ]
sentence 'and says what is ready' grep -q 'ready tcp=' "$scratch/out"
capture deploy/run_client.sh dave 8 UDP
sentence 'a client is a container of its own name' asked '^run --rm -i --name dave '
sentence 'that runs the client against the server' asked ' udp_client quintet-server 8 --name dave '
