#!/bin/bash
# Two-phase commit's weak spot with real processes: a coordinator that dies between the promises and
# its word leaves its key in doubt. Everybody can see that, nothing hangs or lies, and its return
# ends it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

in_doubt() { becomes 2 in_doubt "$1" "${2:-}" && becomes 3 in_doubt "$1" "${2:-}"; }

sentence 'three replicas start' start_cluster --phase 3 --replicas 3 --conflict wait-die --log-level debug
sentence 'a write is taken' is "$(tell 1 'PUT k old')" OK
# The votes for the next one are lost, and its coordinator dies before it gives up on them.
for ((tries = 1; tries <= 5; tries++)); do
  ctl cut 2 to 1
  ctl cut 3 to 1
  tell 1 "@try.$tries PUT k new" >/dev/null 2>&1 &
  appears "event=prepare op=try.$tries " "$(log_of 2)" && appears "event=prepare op=try.$tries " "$(log_of 3)"
  ctl kill 1
  ctl heal
  wait $!
  ! in_doubt 1 5 >/dev/null || break
  ctl restart 1  # a slow machine: it had given up before
done
sentence 'its promises are in doubt at every other replica' in_doubt 1
sentence '/status says so' grep -q '"in_doubt": *1' <<<"$(page 2 /status)"
sentence 'with their age' [ "$(figure 2 in_doubt_oldest_seconds)" != 0 ]
sentence 'and so does the log' \
  appears "event=in_doubt op=try.$tries .*key=k age_us=[0-9]" "$(log_of 2)"
sentence 'a GET of the key is refused' is "$(tell 2 'GET k' | cut -d ' ' -f 1)" UNAVAILABLE
sentence 'a PUT of it is certainly not done' \
  grep -qE '^(ABORTED|UNAVAILABLE)' <<<"$(tell 3 'PUT k newer')"
sentence 'a PUT of another key neither' \
  grep -qE '^(ABORTED|UNAVAILABLE)' <<<"$(tell 3 'PUT other v')"
sentence 'a GET of another key is answered' is "$(tell 2 'GET other')" NOT_FOUND
sentence '/healthz says that no write could succeed' grep -q ' 503 ' <<<"$(page 2 /healthz)"
ctl restart 1
sentence 'the coordinator comes back, and the doubt ends' in_doubt 0
sentence 'it had no commit record: that means abort' is "$(tell 2 'GET k')" 'VALUE old'
sentence 'and writes go on' is "$(tell 3 'PUT k newest')" OK
