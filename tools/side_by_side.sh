#!/bin/sh
# One client's and the server's log lines of some operations, in two columns, by time:
# side_by_side.sh CLIENT.log SERVER.log SEQUENCE…, the numbers in the client's own counting. If the
# client ran several times, its last run.
set -eu
if [ $# -lt 3 ]; then
  echo "Usage: side_by_side.sh CLIENT.log SERVER.log SEQUENCE..." >&2
  exit 2
fi
client=$1
server=$2
shift 2
run=$(sed -n 's/.* event=start name=\([^ ]*\) run=\([^ ]*\) .*/\1-\2/p' "$client" | tail -n 1)
if [ -z "$run" ]; then
  echo "side_by_side: no run in $client" >&2
  exit 1
fi

# lines FILE SIDE: "TIME SIDE FIELDS" of the operation $op, without what every line says.
lines() {
  grep -F " op=$op " "$1" | awk -v side="$2" '{
    time = substr($1, 12, 15); fields = ""
    for (i = 3; i <= NF; ++i)
      if ($i !~ /^(phase|node|client|op|transport|connection)=/)
        fields = fields (fields == "" ? "" : " ") $i
    sub(/^event=/, "", fields)
    print time, side, fields
  }'
}

printf '%-15s  %-64s  %s\n' time "$(basename "$client")" "$(basename "$server")"
for number in "$@"; do
  op=$run.$number
  both=$(lines "$client" 1; lines "$server" 2)
  for side in 1 2; do
    if ! echo "$both" | grep -q "^[^ ]* $side "; then
      echo "side_by_side: one of the logs says nothing of $op" >&2
      exit 1
    fi
  done
  echo "op=$op"
  echo "$both" | sort -s -k1,1 | awk '{
    side = $2; time = $1; sub(/^[^ ]+ [^ ]+ /, "")
    printf "%-15s  %-64s  %s\n", time, side == 1 ? $0 : "", side == 2 ? $0 : ""
  }' | sed 's/ *$//'
done
