#!/bin/bash
# needs: curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# A rollout as an operator drives it on the command line: shown first, started, watched, halted, resumed, reverted.
# shellcheck disable=SC2119 # hosts_round takes all hosts without an argument
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

fleet=$(realpath "$ashlar_bin/ashlar-fleet")
export HOME=$tmp/home XDG_CONFIG_HOME=$tmp/home/.config TZ=UTC
mkdir -p "$HOME"

ok "a server starts" fleet_start "$tmp/fleet"
for version in 1.0 2.0 3.0; do
	ok "release $version is added" release_add "$version"
done
ok "12 hosts join" hosts_join 12 '{"site":"bern"}'
ok "…and check in" hosts_round
# shellcheck disable=SC2154 # of fleet.bash
ok "log in" bash -c "echo '$fleet_token' | '$fleet' login '$fleet_url' --ca '$fleet_ca'"
ok "the hosts" "$fleet" hosts 'site = bern' --columns name,version,labels
like "…with their labels" "$(cat "$tmp/out")" 'edge-1 .*1\.0.*site=bern'
is "…counted" "$("$fleet" groups version --json | jq -c '.groups')" '[{"value":"1.0","count":12}]'
ok "one host" "$fleet" host edge-1
like "…with its facts" "$(cat "$tmp/out")" 'enrolled'

# terminal COLUMNSxROWS NAME ARGUMENT…: the program on a terminal; tests/lib/terminal.py
terminal()
{
	local size=$1 name=$2
	shift 2
	python3 tests/lib/terminal.py "$size" "$tmp/$name" "$fleet" "$@" &
	at_exit+=("kill $! 2>/dev/null")
}

# terminal_shows NAME TEXT: it does, before long.
terminal_shows()
{
	local i
	for ((i = 0; i < 300; i++)); do
		! grep -qF -- "$2" "$tmp/$1/screen" 2>/dev/null || return 0
		sleep 0.1
	done
	diag "$(cat "$tmp/$1/screen")"
	return 1
}

# terminal_end NAME: the exit code, before long.
terminal_end()
{
	local i
	for ((i = 0; i < 300; i++)); do
		[ ! -s "$tmp/$1/exit" ] || break
		sleep 0.1
	done
	cat "$tmp/$1/exit"
}

# ---- shown first ----

ok "a dry run" "$fleet" rollouts start 2.0 'site = bern' --dry-run
like "…tells of rings and limits" "$(cat "$tmp/err")" 'ring 1  up to 4 +hosts, 2 failures stop it'
is "…and starts nothing" "$("$fleet" rollouts --json | jq '.items | length')" 0
exits 2 "nobody is there to confirm" "$fleet" rollouts start 2.0 'site = bern' </dev/null
is "…so nothing was started" "$("$fleet" rollouts --json | jq '.items | length')" 0

# ---- a good release, watched to its end ----

ok "it is started" "$fleet" rollouts start 2.0 'site = bern' --yes --soak 1 --name spring
rollout=$(cat "$tmp/out")
"$fleet" rollouts watch "$rollout" >"$tmp/watch" 2>"$tmp/watch.err" &
watcher=$!
at_exit+=("kill $watcher 2>/dev/null")
# Two more on terminals, as people have them: a narrow one, and one of six rows.
terminal 40x24 narrow rollouts watch "$rollout"
terminal 80x6 low rollouts watch "$rollout"
for ((round = 0; round < 120; round++)); do
	hosts_round
	[ "$("$fleet" rollouts show "$rollout" --json | jq -r .state)" = running ] || break
	sleep 0.3
done
wait $watcher
is "watch ends well when it has finished" $? 0
like "…and saw it" "$(tail -1 "$tmp/watch")" '^finished .*confirmed=12'
for name in narrow low; do
	is "on a $name terminal too" "$(terminal_end $name)" 0
done
is "a narrow one is drawn over and over in place" "$(cat "$tmp/narrow/screen")" "$(
	cat <<'EOF'
finished: 12 confirmed, 0 failed, 0 sil
 1       4 [##########################]
 2      12 [##########################]
failed or silent 0, halts at 3
next: it is over
#good !bad ?silent <back +told -next
EOF
)"
is "a low one shows the ring that is being filled" "$(grep -c 'ring [0-9]' "$tmp/low/screen")" 1
like "...which is the last now" "$(cat "$tmp/low/screen")" 'ring 2 +up to 12 +\[#{40}\]'
ok "show" "$fleet" rollouts show "$rollout"
like "…has its rings" "$(cat "$tmp/out")" ' 2 +12 +3 '
is "every host took it" "$("$fleet" rollouts hosts "$rollout" --outcome confirmed --json | jq '.items | length')" 12
ok "the ledger" "$fleet" rollouts ledger "$rollout"
like "…says how it went" "$(cat "$tmp/out")" '> finished t='
ok "replay" "$fleet" rollouts replay "$rollout"
like "…agrees" "$(cat "$tmp/out")" 'comes out the same'

# ---- a bad one: halted, and reverted ----

# shellcheck disable=SC2034 # of fleet-hosts.bash
bad_versions=3.0
ok "a bad one is started" "$fleet" rollouts start 3.0 'site = bern' --yes --soak 1
rollout=$(cat "$tmp/out")
terminal 80x24 wide rollouts watch "$rollout"
for ((round = 0; round < 120; round++)); do
	hosts_round
	state=$("$fleet" rollouts show "$rollout" --json | jq -r .state)
	[ "$state" = running ] || break
	sleep 0.3
done
like "it stops by itself" "$state" '^(paused|halted)$'
if [ "$state" = paused ]; then
	ok "a watcher sees it" terminal_shows wide "$state: "
	like "...and which failed" "$(cat "$tmp/wide/screen")" 'ring 1 +up to 4 +\[!+'
	echo 30x24 >"$tmp/wide/size"
	ok "it is resumed" "$fleet" rollouts resume "$rollout" --reason "to see it drawn anew"
	ok "a terminal that becomes narrow" terminal_shows wide '#good !bad'
	is "...is drawn anew" "$(grep -c 'failed or silent' "$tmp/wide/screen")" 1
	printf '\003' >"$tmp/wide/keys"
	is "Ctrl-C ends watching" "$(terminal_end wide)" 130
	like "...and not the rollout" "$("$fleet" rollouts show "$rollout" --json | jq -r .state)" 'running|paused|halted'
fi
exits 2 "resuming needs a reason" "$fleet" rollouts resume "$rollout"
exits 8 "pausing what does not run" "$fleet" rollouts pause "$rollout"
ok "reverted" "$fleet" rollouts revert "$rollout" --reason "it is bad"
for ((round = 0; round < 60; round++)); do
	hosts_round
	[ "$("$fleet" rollouts show "$rollout" --json | jq -r .state)" = reverting ] || break
	sleep 0.3
done
exits 8 "watching what was reverted" "$fleet" rollouts watch "$rollout"
is "nobody runs it" "$("$fleet" groups version --json | jq -c '[.groups[] | select(.value == "3.0")]')" '[]'
like "the audit log has the reason" "$("$fleet" audit)" 'it is bad'
ok "a channel is set" "$fleet" channels set stable 2.0 --note "for all" --yes
like "…and shown with its release" "$("$fleet" channels)" '^stable +host +2\.0 +for all$'
like "…and its history" "$("$fleet" channels history stable)" ' host +2\.0 '
ok "a webhook is made" "$fleet" webhooks add http://127.0.0.1:9/ --kind 'ddi.*'
like "…that has delivered nothing" "$("$fleet" webhooks)" ' ddi\.\* +0 '
ok "why" "$fleet" why edge-3 --json
ok "…is an answer" jq -e '.answer and .conditions' "$tmp/out"

done_testing
