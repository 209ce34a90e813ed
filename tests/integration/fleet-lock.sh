#!/bin/bash
# needs: curl jq
# SPDX-License-Identifier: Apache-2.0
# FleetLock as Zincati speaks it, and what operators do with the locks.
. tests/lib/tap.sh
. tests/lib/fleet.bash

ok "a server starts" fleet_start "$tmp/fleet" "fleetlock: {open: true}"

# ask VERB ID [GROUP]: status and kind
ask()
{
	curl -sS --cacert "$fleet_ca" -X POST -H 'fleet-lock-protocol: true' -w ' %{http_code}' --max-time 20 \
		--data-binary "{\"client_params\":{\"id\":\"$2\",\"group\":\"${3:-default}\"}}" \
		"$fleet_url/fleetlock/v1/$1" | tr -d '\n' | sed 's/^{} /ok /; s/^.*"kind":"\([^"]*\)".* /\1 /'
}
raw()
{
	curl -sS --cacert "$fleet_ca" --max-time 20 -o "$tmp/body" -w '%{http_code}' "$@"
}

is "one takes the slot" "$(ask pre-reboot one)" "ok 200"
is "…again: it has it" "$(ask pre-reboot one)" "ok 200"
is "another does not" "$(ask pre-reboot two)" "failed_lock_semaphore_full 409"
is "…nor does what it never had harm" "$(ask steady-state two)" "ok 200"
is "one gives it back" "$(ask steady-state one)" "ok 200"
is "…and again" "$(ask steady-state one)" "ok 200"
is "now the other gets it" "$(ask pre-reboot two)" "ok 200"
is "ids are case-sensitive" "$(ask pre-reboot TWO)" "failed_lock_semaphore_full 409"
is "an unknown group" "$(ask pre-reboot one nobody)" "unknown_group 404"
is "an empty id" "$(ask pre-reboot "")" "invalid_client_identity 400"
is "a group that is none" "$(ask pre-reboot one 'a b')" "invalid_client_identity 400"
is "no header" "$(raw -X POST --data '{"client_params":{"id":"a","group":"default"}}' \
	"$fleet_url/fleetlock/v1/pre-reboot")" 400
is "…no JSON" "$(raw -H 'fleet-lock-protocol: true' --data 'x' "$fleet_url/fleetlock/v1/pre-reboot")" 400
is "a body that is too big" "$(head -c 5000 /dev/zero | raw -H 'fleet-lock-protocol: true' -H 'Expect: 100-continue' --data-binary @- \
	"$fleet_url/fleetlock/v1/pre-reboot")" 413
is "GET" "$(raw "$fleet_url/fleetlock/v1/pre-reboot")" 405
like "a refusal says when to come again" "$(curl -sS -i --cacert "$fleet_ca" -H 'fleet-lock-protocol: true' \
	--data '{"client_params":{"id":"three","group":"default"}}' "$fleet_url/fleetlock/v1/pre-reboot")" \
	'[Rr]etry-[Aa]fter: [1-9]'

# ---- operators ----

api_is "who holds it is shown" 200 GET /v1/locks
is "…with since when" "$(jq -r '.items[] | select(.group == "default") | .holders[] | "\(.id) \(.since > 0) \(.late)"' <<<"$body")" \
	"two true false"
api_is "a lock is not released without a reason" 400 POST /v1/locks/default/release '{"id":"two"}'
api_is "…with one it is" 204 POST /v1/locks/default/release '{"id":"two","reason":"it burned"}'
api_is "…once" 404 POST /v1/locks/default/release '{"id":"two","reason":"it burned"}'
is "the slot is free" "$(ask pre-reboot three)" "ok 200"
api_is "more slots take effect at once" 200 PUT /v1/locks/default '{"slots":2}'
is "…another gets in" "$(ask pre-reboot four)" "ok 200"
is "…a third does not" "$(ask pre-reboot five)" "failed_lock_semaphore_full 409"
api_is "fewer slots than holds" 200 PUT /v1/locks/default '{"slots":1}'
is "…who holds one keeps it" "$(ask pre-reboot four)" "ok 200"
ask steady-state three >/dev/null
is "…nobody gets in above the number" "$(ask pre-reboot five)" "failed_lock_semaphore_full 409"
api_is "a pause" 200 PUT /v1/locks/default '{"slots":5,"paused":"somebody is in the server room"}'
is "…lets nobody in" "$(ask pre-reboot five)" "group_paused 423"
is "…but out" "$(ask steady-state four)" "ok 200"
api_is "…and ends" 200 PUT /v1/locks/default '{"paused":""}'
is "…" "$(ask pre-reboot five)" "ok 200"
api_is "a new group" 200 PUT /v1/locks/rack-1 '{"slots":3,"lease":1,"frees_late":true}'
is "…has its slots" "$(ask pre-reboot a rack-1; ask pre-reboot b rack-1; ask pre-reboot c rack-1; ask pre-reboot d rack-1)" \
	"ok 200ok 200ok 200failed_lock_semaphore_full 409"
sleep 2.1
is "…frees what is late, as it was told to" "$(ask pre-reboot d rack-1)" "ok 200"
api_is "a group that is held is not removed" 409 DELETE /v1/locks/rack-1
ask steady-state d rack-1 >/dev/null
api_is "…but then" 204 DELETE /v1/locks/rack-1
api_is "a wrong number" 400 PUT /v1/locks/default '{"slots":-1}'
api_is "a wrong name" 400 PUT '/v1/locks/a%20b' '{"slots":1}'
api_is "late holds stay where nobody said otherwise" 200 PUT /v1/locks/slow '{"slots":1,"lease":1}'
ask pre-reboot a slow >/dev/null
sleep 2.1
is "…" "$(ask pre-reboot b slow)" "failed_lock_semaphore_full 409"
api GET /v1/locks/slow
is "…and are marked" "$(jq -r '.holders[0].late' <<<"$body")" true
api GET '/v1/audit?limit=100'
like "the audit log has the release and its reason" "$body" 'lock\.release.*it burned'

# ---- all at once ----

api PUT /v1/locks/many '{"slots":5}' >/dev/null
for i in $(seq 24); do
	ask pre-reboot "host-$i" many >"$tmp/answer-$i" &
	racers[i]=$!
done
wait "${racers[@]}"
is "of 24 at once 5 get in" "$(cat "$tmp"/answer-* | grep -o 'ok 200' | wc -l)" 5
is "…and none is refused for another reason" "$(cat "$tmp"/answer-* | grep -o 'semaphore_full 409' | wc -l)" 19
api GET /v1/locks/many
is "…five hold one" "$(jq '.holders | length' <<<"$body")" 5

held=$(jq -c '[.holders[].id] | sort' <<<"$body")
fleet_kill
ok "killed, it starts again" fleet_start "$tmp/fleet"
api GET /v1/locks/many
is "…and knows who holds them" "$(jq -c '[.holders[].id] | sort' <<<"$body")" "$held"

# ---- not open ----

fleet_stop
ok "closed, as it is by default" fleet_start "$tmp/fleet" "{}"
is "…nobody without a certificate is heard" "$(ask pre-reboot x)" "identity_mismatch 403"
done_testing
