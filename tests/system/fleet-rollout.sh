#!/bin/bash
# needs: curl jq openssl
# SPDX-License-Identifier: Apache-2.0
# Rollouts by the real server: rings, a bad release, pause, revert; killed at every stage; two servers on one database.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

# start SPEC-MEMBERS: $rollout; of what is in $last_version.
start()
{
	api POST /v1/rollouts "{$1}"
	rollout=$(jq -r '.id // empty' <<<"$body")
	if [ "$status" != 200 ] || [ -z "$rollout" ]; then
		diag "$status $body"
		return 1
	fi
}
# state: of $rollout
state()
{
	api GET "/v1/rollouts/$rollout"
	jq -r .state <<<"$body"
}
# go STATE ROUNDS: the hosts check in until the rollout is in that state.
go()
{
	local round now
	for ((round = 0; round < $2; round++)); do
		hosts_round
		now=$(state)
		[ "$now" != "$1" ] || return 0
		# News become decisions in a moment; a soak takes a second.
		sleep 0.3
	done
	diag "it is $now, not $1: $(jq -c '{reason,next,counts}' <<<"$body")"
	return 1
}
replays()
{
	api POST "/v1/rollouts/$rollout/replay" '{}'
	[ "$(jq -r .agrees <<<"$body")" = true ] || {
		diag "$body"
		return 1
	}
}
count()
{
	api GET "/v1/rollouts/$rollout"
	jq -r ".counts.$1 // 0" <<<"$body"
}
events()
{
	api GET "/v1/events?kind=$1&rollout=$rollout&limit=1000"
	jq '.items | length' <<<"$body"
}
why()
{
	api GET "/v1/hosts/$1/why"
	jq -r '.answer + ": " + .blocker' <<<"$body"
}

# ---- through rings to the end ----

ok "a server starts" fleet_start "$tmp/fleet"
for version in 1.0 2.0 3.0 4.0; do
	ok "release $version is added" release_add "$version"
done
ok "20 hosts join" hosts_join 20 '{"channel":"stable","site":"bern"}'
ok "…and check in" hosts_round
api_is "what a rollout would do" 200 POST '/v1/rollouts?dry_run=1' '{"release":"2.0","selector":"site = bern"}'
is "…in rings" "$(jq -c '[.hosts, .rings]' <<<"$body")" '[20,[4,16,20]]'
api_is "…to nobody" 200 POST '/v1/rollouts?dry_run=1' '{"release":"2.0","selector":"site = basel"}'
is "…is a warning" "$(jq -r '.warnings[0]' <<<"$body")" "the selector matches no active host"
api_is "…and no rollout" 409 POST /v1/rollouts '{"release":"2.0","selector":"site = basel"}'
api_is "a selector that is none" 400 POST /v1/rollouts '{"release":"2.0","selector":"site = ="}'
like "…says where" "$body" 'column 8'
api_is "a release that is none" 404 POST /v1/rollouts '{"release":"9.9"}'
is "nothing is wanted of a host" "$(why edge-1)" "waiting: there is no channel 'stable', which its label names"

ok "2.0 is rolled out, slowly" start '"release":"2.0","name":"autumn","selector":"site = bern","soak":3600'
for _ in 1 2 3; do
	hosts_round
done
is "the first ring holds four" "$(hosts_on 2.0)" 4
# list ARGUMENTS: outcome and count of all pages, and how many hosts they name
list()
{
	local next='' all=''
	while :; do
		api GET "/v1/rollouts/$rollout/hosts?limit=3${1-}${next:+&after=${next//+/%2B}}" || return
		all+=$(jq -r '.items[] | "\(.outcome) \(.host)"' <<<"$body")$'\n'
		next=$(jq -r '.next // ""' <<<"$body")
		[ -n "$next" ] || break
	done
	grep . <<<"$all" | cut -d' ' -f1 | sort | uniq -c | awk '{ printf "%s %s, ", $2, $1 }'
	grep . <<<"$all" | cut -d' ' -f2 | sort -u | wc -l
}
is "its hosts are shown, those that wait too" "$(list)" "offered 4, waiting 16, 20"
is "…and alone" "$(list '&outcome=waiting')" "waiting 16, 16"
for i in $(seq 20); do
	[ "${host_version[$i]}" != 2.0 ] || continue
	like "a host of the second knows why it waits" "$(why "edge-$i")" '^waiting: ring 1 holds 4 hosts'
	break
done
api_is "it is cancelled" 200 POST "/v1/rollouts/$rollout/cancel" '{"reason":"too slow"}'
ok "…and begun anew" start '"release":"2.0","selector":"site = bern","channel":"stable","soak":1'
ok "it finishes" go finished 60
is "all hosts run it" "$(hosts_on 2.0)" 20
is "…confirmed, but those that had it" "$(count confirmed) $(count already)" "16 4"
is "…and it is shown which, when it is over too" "$(list) $(list '&outcome=already')" "already 4, confirmed 16, 20 already 4, 4"
is "…each by one boot" "$(printf '%s\n' "${host_moves[@]}" | sort -u)" 1
is "two rings" "$(events rollout.ring)" 1
ok "its ledger replays" replays
api GET /v1/channels/stable
is "the channel points to it" "$(jq -r .release.version <<<"$body")" 2.0
is "why: it is up to date" "$(why edge-1)" "up to date: "
ok "another joins" hosts_join 1 '{"channel":"stable","site":"bern"}'
ok "…checks in" hosts_round 21
for _ in 1 2 3 4 5; do
	hosts_round 21
	sleep 0.2
done
is "…and gets the channel's release at once" "${host_version[21]}" 2.0

# ---- a bad release ----

# shellcheck disable=SC2034
bad_versions=3.0
ok "3.0, which is bad, is rolled out" start '"release":"3.0","selector":"site = bern","channel":"stable","soak":1'
ok "it halts" go halted 30
is "four hosts had it" "$(printf '%s\n' "${host_offers[@]}" | grep -c '3\.0')" 4
hosts_round
hosts_round
is "…and nobody after them" "$(printf '%s\n' "${host_offers[@]}" | grep -c '3\.0')" 4
is "all run what they ran" "$(hosts_on 2.0)" 21
api GET "/v1/rollouts/$rollout"
is "its limit was 2 of 4" "$(jq -r '"\(.failures >= 2) \(.halts_at) \(.limit)"' <<<"$body")" "true 2 4"
api GET "/v1/rollouts/$rollout/hosts?outcome=failed"
is "each failed for a reason" "$(jq -r '.items[].reason' <<<"$body" | sort -u)" "the web server did not start"
api GET /v1/channels/stable
is "the channel stays" "$(jq -r .release.version <<<"$body")" 2.0
ok "its ledger replays" replays
api_is "a halt is not resumed without a reason" 400 POST "/v1/rollouts/$rollout/resume" '{}'
api_is "…it is cancelled" 200 POST "/v1/rollouts/$rollout/cancel" '{"reason":"it is bad"}'
is "…at once" "$(jq -r .state <<<"$body")" cancelled
api_is "…once" 409 POST "/v1/rollouts/$rollout/cancel" '{}'

# ---- pause, resume, revert ----

ok "4.0 is rolled out" start '"release":"4.0","selector":"site = bern","soak":1'
hosts_round
hosts_round
api_is "it is paused" 200 POST "/v1/rollouts/$rollout/pause" '{"reason":"lunch"}'
is "…at once" "$(jq -r .state <<<"$body")" paused
before=$(hosts_on 4.0)
for _ in 1 2 3 4; do
	hosts_round
	sleep 0.5
done
is "nobody else gets it" "$(hosts_on 4.0)" "$before"
api_is "it is resumed" 200 POST "/v1/rollouts/$rollout/resume" '{"reason":"back"}'
for _ in $(seq 20); do
	hosts_round
	[ "$(hosts_on 4.0)" -le 4 ] || break
	sleep 0.3
done
more=$(hosts_on 4.0)
ok "…and goes on" test "$more" -gt 4
api_is "it is reverted" 200 POST "/v1/rollouts/$rollout/revert" '{"reason":"it is slow"}'
is "…at once" "$(jq -r .state <<<"$body")" reverting
ok "it comes to its end" go reverted 40
is "all are back" "$(hosts_on 2.0)" 21
is "nobody got it afterwards" "$(printf '%s\n' "${host_offers[@]}" | grep -c '4\.0')" "$more"
ok "its ledger replays" replays

# ---- two beside each other ----

ok "5.0 is added" release_add 5.0
ok "4.0 is rolled out again" start '"release":"4.0","selector":"site = bern","soak":1,"first":21'
first=$rollout
api_is "5.0 for the same hosts is refused" 409 POST /v1/rollouts '{"release":"5.0","selector":"site = bern"}'
ok "... but beside it" start '"release":"5.0","selector":"site = bern","soak":1,"first":21,"beside":true'
ok "both come to their end" go finished 60
is "... all run the newer" "$(hosts_on 5.0)" 21
ok "... the ledger of the one replays" replays
rollout=$first
is "... the older one too" "$(state)" finished
ok "... its ledger replays" replays
is "... nobody failed in it" "$(jq -r '.failures' <<<"$(api GET "/v1/rollouts/$first"; echo "$body")")" 0
ok "the server ends when it is asked to" fleet_stop

# ---- killed at every stage ----

# Each time somewhere else within a round: after N answers, while decisions are written.
killed()
{
	local round spin
	for ((round = 0; round < 60; round++)); do
		if ((round % 2 == 0)); then
			hosts_round &
			spin=$!
			sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
			fleet_kill
			kill "$spin" 2>/dev/null
			wait "$spin" 2>/dev/null
			fleet_start "$tmp/killed" || return
		fi
		hosts_round || return
		[ "$(state)" != "$1" ] || return 0
		sleep 0.2
	done
	diag "it is $(state): $(jq -c '{reason,next,counts}' <<<"$body")"
	return 1
}
# A round in a subshell is one whose answers nobody took: the same numbers again.
hosts_forget
fleet_token='' fleet_listen=''
bad_versions=''
ok "another server" fleet_start "$tmp/killed"
for version in 1.0 2.0 3.0; do
	release_add "$version"
done
ok "…with 20 hosts" hosts_join 20 '{"channel":"stable"}'
hosts_round
ok "2.0 is rolled out" start '"release":"2.0","channel":"stable","soak":1'
ok "killed again and again, it finishes" killed finished
is "all hosts run it" "$(hosts_on 2.0)" 20
is "…each by one boot" "$(printf '%s\n' "${host_moves[@]}" | sort -u)" 1
is "…confirmed" "$(count confirmed)" 20
is "each ring was opened once" "$(events rollout.ring)" 2
is "it started once" "$(events rollout.started)" 1
is "it finished once" "$(events rollout.finished)" 1
ok "its ledger replays" replays
bad_versions=3.0
ok "3.0, which is bad" start '"release":"3.0","channel":"stable","soak":1'
ok "killed again and again, it halts" killed halted
is "four hosts had it" "$(printf '%s\n' "${host_offers[@]}" | grep -c '3\.0')" 4
ok "its ledger replays" replays
fleet_kill

# ---- two servers on one database: the one that leads is killed ----

. tests/lib/postgres.bash
if [ "$(id -u)" -ne 0 ] || [ -z "$postgres_bin" ] || ! getent passwd postgres >/dev/null; then
	skip "two servers" "needs root and postgresql"
	done_testing
	exit
fi
ok "PostgreSQL starts" eval 'postgres_init fsync=off && postgres_start'
hosts_forget
fleet_token='' fleet_listen=''
bad_versions=''
ok "a server starts" fleet_start "$tmp/one" "database: \"$postgres\""
one_pid=$fleet_pid one_url=$fleet_url one_listen=$fleet_listen
for version in 1.0 2.0 3.0; do
	release_add "$version"
done
mkdir -p "$tmp/two"
cp "$tmp"/one/ca.* "$tmp/two/"
touch "$tmp/two/.had-token"
fleet_pid='' fleet_listen=''
ok "…and another" fleet_start "$tmp/two" "database: \"$postgres\""
two_pid=$fleet_pid two_url=$fleet_url
at_exit+=('kill -9 $one_pid')
ok "20 hosts join" hosts_join 20 '{"channel":"stable"}'
# The one and the other in turns.
both()
{
	fleet_url=$one_url
	hosts_round
	fleet_url=$two_url
	hosts_round
}
both
fleet_url=$two_url
ok "2.0 is rolled out by the one that does not lead" start '"release":"2.0","channel":"stable","soak":1'
both
kill -9 "$one_pid"
wait "$one_pid" 2>/dev/null
ok "the one that leads is killed, and the other goes on" go finished 60
is "all hosts run it" "$(hosts_on 2.0)" 20
is "…each by one boot" "$(printf '%s\n' "${host_moves[@]}" | sort -u)" 1
is "it started once, and finished once" "$(events rollout.started) $(events rollout.finished)" "1 1"
ok "its ledger replays" replays
fleet_pid='' fleet_listen=$one_listen
ok "the first is back" fleet_start "$tmp/one" "database: \"$postgres\""
one_pid=$fleet_pid fleet_pid=$two_pid
bad_versions=3.0
ok "3.0, which is bad" start '"release":"3.0","channel":"stable","soak":1'
both
kill -9 "$two_pid"
wait "$two_pid" 2>/dev/null
fleet_url=$one_url fleet_pid=$one_pid
ok "killed the other way round, it halts" go halted 30
is "four hosts had it" "$(printf '%s\n' "${host_offers[@]}" | grep -c '3\.0')" 4
ok "its ledger replays" replays
fleet_kill

done_testing
