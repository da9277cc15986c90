#!/bin/bash
# tools/demo.sh, as make demo runs it, and the comparison of logs.
. "$(dirname "$0")/lib.sh"
is() { [ "$1" = "$2" ] || { echo "$1 is not $2"; false; }; }
export QUINTET_LOGS=$scratch/logs
folder=$scratch/logs/phase1_sockets

capture tools/demo.sh
sentence 'the demo succeeds' is "$status" 0
sentence 'both clients get all their answers' \
  is "$(grep -c '^23 operations, 23 answered$' "$scratch/out")" 2
sentence 'three PUT, GET and DELETE each are shown from both sides' \
  is "$(grep -c '^op=' "$scratch/out")" 6
sentence 'the table has a row for each client' \
  is "$(tail -n 2 "$scratch/out" | awk '{ print $1, $2, $3, $4 }')" \
  $'phase1_sockets tcp_client 23 23\nphase1_sockets udp_client 23 23'
sentence 'all three logs are there' \
  test -s "$folder/server-1.log" -a -s "$folder/tcp_client.log" -a -s "$folder/udp_client.log"
sentence 'the server has ended' is "$(grep -c event=stopped "$folder/server-1.log")" 1
first=$(cat "$folder/tcp_client.log")
capture tools/demo.sh
sentence 'a second demo keeps the logs of the first' \
  is "$(cat "$folder/tcp_client.log.old")" "$first"

capture tools/compare.sh "$scratch/nothing"
sentence 'comparing no logs is exit 1, with a reason' [ "$status" = 1 -a -s "$scratch/err" ]
mkdir -p "$scratch/made/phase9_made"
{
  head='2026-01-01T00:00:00.000000Z info phase=9 client=c'
  for us in 30 10 50 20 40; do
    echo "$head event=request op=c.$us verb=get key=\"a client=x event=answer us=7\""
    echo "$head event=answer op=c.$us result=ok us=$us value=\"us=1 event=request\""
  done
  echo "$head event=request op=c.6 verb=get key=a"
} >"$scratch/made/phase9_made/made.log"
capture tools/compare.sh "$scratch/made"
sentence 'the comparison counts operations and answers and takes the median' \
  is "$(tail -n 1 "$scratch/out" | tr -s ' ')" 'phase9_made made 6 5 30'

# Ended in the middle: a demo whose client waits, for its server is stopped.
mkdir "$scratch/bin"
sed "s|^bin=.*|bin=$scratch/bin|" tools/demo.sh >"$scratch/demo.sh"
cp "$bin/phase1_server" "$scratch/bin/"
for program in tcp_client udp_client; do
  printf '#!/bin/sh\ntouch %s/started\nexec tail -f /dev/null\n' "$scratch" >"$scratch/bin/$program"
  chmod +x "$scratch/bin/$program"
done
sed -i "s|^cd .*|cd $PWD|" "$scratch/demo.sh"
bash "$scratch/demo.sh" >"$scratch/interrupted" 2>&1 &
demo=$!
until [ -e "$scratch/started" ]; do :; done
server=$(sed -n 's/.*(process \([0-9]*\)): ready.*/\1/p' "$scratch/interrupted")
kill -TERM $demo
wait $demo
sentence 'an interrupted demo says so by its exit status' is "$?" 143
sentence 'and leaves no server behind' [ ! -e "/proc/$server" ]
