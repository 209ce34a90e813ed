#!/bin/bash
# needs: curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2119 # hosts_round takes all hosts without an argument
# Workloads of a fleet as an operator has them on the command line: what there is and what it may touch, assignments, a
# rollout, acts and logs on a host, withdrawal.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

fleet=$(realpath "$ashlar_bin/ashlar-fleet")
export HOME=$tmp/home XDG_CONFIG_HOME=$tmp/home/.config TZ=UTC
unset ASHLAR_FLEET_URL ASHLAR_FLEET_TOKEN ASHLAR_FLEET_CA
mkdir -p "$HOME"

# ---- a publication, a server, three hosts --------------------------------------------------------------

keys=$tmp/keys pub=$tmp/pub
hex=$(printf '0123456789abcdef%.0s' 1 2 3 4)
# definition NAME VERSION [LINE]…
definition()
{
	printf '%s\n' "workload: $1" "version: $2" "image: oci:registry.example/$1@sha256:$hex" "${@:3}" >"$tmp/$1-$2.yaml"
	"$ashlar" workload release --keys "$keys" --publication "$pub" "$tmp/$1-$2.yaml" -q >/dev/null
}
mkdir -p "$pub"
ok "keys" "$ashlar" key make "$keys" --no-passphrase -q
greeting='parameters: [{name: greeting, type: string, default: hello, max: 64}, {name: level, type: int, default: "1", min: 0, max: 9}]'
definition web 1.0 "$greeting"
definition web 1.1 "$greeting" 'summary: Better'
definition web 2.0 "$greeting" 'network: {mode: nat, publish: ["8080:80"]}'
definition db 1.0
ok "a publication" "$ashlar" publish --keys "$keys" "$pub" -q
ok "a server starts" fleet_start "$tmp/fleet" "content: $pub" 'rate: {operators: 0}'
ok "3 hosts join" hosts_join 3 '{"site":"bern"}'

# Each host runs what it was told last, and says so; $w_asked[I]: what else it was told.
declare -A w_version w_parameters w_asked w_orders w_logs
w_round()
{
	local i answer items order
	for i in 1 2 3; do
		items=
		[ -z "${w_version[$i]:-}" ] || items=$(jq -nc --arg version "${w_version[$i]}" '{name: "web", $version, origin: "signed",
			state: "ready", ready: true, text: "", isolation: "container", effective: "container", score: 12, restarts: 0,
			failed: [], instances: [{name: "web", state: "ready", ready: true, text: "", address: "10.0.0.2"}]}')
		host_more[$i]="\"workloads\":{\"items\":[$items],\"missing\":[]}${w_orders[$i]:-}${w_logs[$i]:-}"
		w_orders[$i]='' w_logs[$i]=''
	done
	hosts_round || return
	for i in 1 2 3; do
		answer=$(cat "$hosts/$i.answer")
		if jq -e '.workloads' <<<"$answer" >/dev/null; then
			w_version[$i]=$(jq -r '.workloads[] | select(.name == "web").version' <<<"$answer")
			w_parameters[$i]=$(jq -Sc '.workloads[] | select(.name == "web").parameters' <<<"$answer")
		fi
		while read -r order; do
			w_asked[$i]+=$(jq -r '.verb + " " + .argument' <<<"$order")$'\n'
			[ "$(jq -r .verb <<<"$order")" != workload-logs ] ||
				w_logs[$i]+="${w_logs[$i]:+,}{\"order\":$(jq .id <<<"$order"),\"lines\":[\"hello\",\"a \\u001b[31mred world\"],\"more\":false}"
			w_orders[$i]+="${w_orders[$i]:+,}{\"id\":$(jq .id <<<"$order"),\"ok\":true,\"text\":\"\"}"
		done < <(jq -c '.orders[]?' <<<"$answer")
		[ -z "${w_logs[$i]:-}" ] || w_logs[$i]=",\"logs\":[${w_logs[$i]}]"
		[ -z "${w_orders[$i]}" ] || w_orders[$i]=",\"orders\":[${w_orders[$i]}]"
	done
}
# eventually COMMAND…: within half a minute; hosts go on checking in.
eventually()
{
	local until=$((SECONDS + 30))
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		w_round || return
		sleep 0.1
	done
}
all_on()
{
	[ "${w_version[1]:-} ${w_version[2]:-} ${w_version[3]:-}" = "$1 $1 $1" ]
}
parameters_are()
{
	[ "${w_parameters[1]:-}" = "$1" ]
}
was_asked()
{
	[[ ${w_asked[1]:-} == *"$1"* ]]
}

ok "…and check in" w_round
# shellcheck disable=SC2154 # of fleet.bash
ok "log in" bash -c "echo '$fleet_token' | '$fleet' login '$fleet_url' --ca '$fleet_ca'"

# ---- what there is -------------------------------------------------------------------------------------

ok "the publication is read" "$fleet" releases scan
like "…and has definitions" "$(cat "$tmp/out")" 'new workloads +4'
ok "workloads" "$fleet" workloads --name web
is "…of that name" "$(tail -n +2 "$tmp/out" | awk '{print $1, $2}' | xargs)" "web 1.0 web 1.1 web 2.0"
ok "one" "$fleet" workload web
is "…newest first" "$(awk '/^[0-9]/ {print $1}' "$tmp/out" | xargs)" "2.0 1.1 1.0"
ok "one version" "$fleet" workload web 2.0
like "…has its score in a word" "$(cat "$tmp/out")" '^rights +[a-z]'
like "…and what it may touch" "$(cat "$tmp/out")" '^ +[0-9]+ +port 8080/tcp'
exits 3 "one that is not there" "$fleet" workload web 9.9
exits 8 "a version that may touch more" "$fleet" workload diff web 1.0 2.0
like "…where it is" "$(cat "$tmp/out")" 'yes +publish'
ok "one that may not" "$fleet" workload diff web 2.0 1.0
ok "notes" "$fleet" workload set web 1.1 --notes "a good one" --reason tested
like "…are shown" "$("$fleet" workload web 1.1)" 'notes +a good one'

# ---- assignments ---------------------------------------------------------------------------------------

ok "a dry run" "$fleet" assign edge-web --workload web --version 1.0 --selector 'site = bern' --dry-run
like "…tells of how many hosts" "$(cat "$tmp/out")" 'hosts +3'
exits 3 "…and makes nothing" "$fleet" assignment edge-web
exits 2 "nobody is there to confirm" "$fleet" assign edge-web --workload web --version 1.0 --selector 'site = bern' </dev/null
exits 3 "a parameter that is not declared" "$fleet" assign edge-web --workload web --version 1.0 -p colour=red --yes
exits 2 "a parameter that is none" "$fleet" assign edge-web --workload web --version 1.0 -p colour --yes
ok "an assignment" "$fleet" assign edge-web --workload web --version 1.0 --selector 'site = bern' -p greeting=hi --note first --yes
ok "hosts take it" eventually all_on 1.0
w_round
like "it is listed" "$("$fleet" assignments --workload web)" 'edge-web +web +1\.0 +3 +100 +site = bern .*greeting=hi'
ok "one parameter more" "$fleet" assign edge-web -p level=3 --yes
ok "…keeps the other" eventually parameters_are '{"greeting":"hi","level":"3"}'
ok "one less" "$fleet" assign edge-web -p greeting- --yes
ok "…keeps the other too" eventually parameters_are '{"level":"3"}'
exits 8 "a version that may touch more is refused" "$fleet" assign edge-web --version 2.0 --yes
like "…and it says what" "$(cat "$tmp/err")" 'publish.*8080'
exits 2 "…and wants a reason" "$fleet" assign edge-web --version 2.0 --widen --yes
ok "…with which it is done" "$fleet" assign edge-web --version 2.0 --widen --reason "to be reached" --yes
ok "hosts have it" eventually all_on 2.0
ok "and back" "$fleet" assign edge-web --version 1.0 --yes
ok "hosts go back" eventually all_on 1.0
w_round

# ---- on a host -----------------------------------------------------------------------------------------

ok "a host" "$fleet" host edge-1
like "…has its workloads" "$(cat "$tmp/out")" 'web +1\.0 +1\.0 +ready +yes +container +0 +edge-web'
ok "its workloads" "$fleet" host workloads edge-1
like "…with their instances" "$(cat "$tmp/out")" '^web +ready +yes +10\.0\.0\.2'
ok "why" "$fleet" why edge-1 --workload web
like "…is told in conditions" "$(cat "$tmp/out")" 'ok +assigned: '
like "selectors know it" "$("$fleet" hosts 'workload.web = 1.0 and workload.web.ready = true' --json | jq '.items | length')" 3
ok "restart" "$fleet" workload restart edge-1 web@1 --reason "it hangs"
ok "…reaches the host" eventually was_asked 'workload-restart web/web@1'
ok "stop" "$fleet" workload stop edge-1 web
ok "…reaches the host" eventually was_asked 'workload-stop web'
ok "start" "$fleet" workload start edge-1 web
ok "…reaches the host" eventually was_asked 'workload-start web'
ok "forgive" "$fleet" workload forgive edge-1 web 1.1
ok "…reaches the host" eventually was_asked 'workload-forgive web 1.1'
"$fleet" workload logs edge-1 web@1 --lines 7 >"$tmp/logs" 2>"$tmp/logs.err" &
reader=$!
at_exit+=("kill $reader 2>/dev/null")
has_ended()
{
	! kill -0 "$reader" 2>/dev/null
}
ok "logs come to their end" eventually has_ended
wait $reader
is "…and well" $? 0
is "…without what a terminal would obey" "$(cat "$tmp/logs")" $'hello\na  [31mred world'
ok "the host was asked for them" was_asked 'workload-logs web/web@1 7 0'
"$fleet" workload logs edge-1 web --follow >"$tmp/logs" 2>&1 &
reader=$!
at_exit+=("kill $reader 2>/dev/null")
ok "follow" eventually was_asked 'workload-logs web 100 300'
kill -INT $reader
wait $reader
is "…ends by Ctrl-C" $? 130
w_round
like "they are in the host's list of orders" "$("$fleet" host edge-1)" 'workload-restart +web/web@1 +done'
exits 3 "a host that is not there" "$fleet" workload start nowhere web

# ---- a rollout -----------------------------------------------------------------------------------------

exits 2 "of a release and of a workload" "$fleet" rollouts start 1.0 all --assignment edge-web --version 1.1 --yes
exits 2 "without a version" "$fleet" rollouts start --assignment edge-web --yes
ok "shown first" "$fleet" rollouts start --assignment edge-web --version 1.1 --dry-run
like "…with its rings" "$(cat "$tmp/err")" 'ring 1 +up to'
ok "started" "$fleet" rollouts start --assignment edge-web --version 1.1 --soak 1 --name spring --yes
rollout=$(cat "$tmp/out")
like "the list names the workload" "$("$fleet" rollouts)" "$rollout +spring +web +1\\.1 "
"$fleet" rollouts watch "$rollout" >"$tmp/watch" 2>&1 &
watcher=$!
at_exit+=("kill $watcher 2>/dev/null")
is_over()
{
	[ "$("$fleet" rollouts show "$rollout" --json | jq -r .state)" != running ]
}
ok "it comes to its end" eventually is_over
wait $watcher
is "watched" "$? $(tail -1 "$tmp/watch" | cut -d' ' -f1)" "0 finished"
ok "hosts have it" all_on 1.1
like "and the assignment moved" "$("$fleet" assignment edge-web)" 'version +1\.1'

# ---- withdrawn -----------------------------------------------------------------------------------------

exits 2 "withdrawing wants a reason" "$fleet" workload withdraw db 1.0
ok "withdrawn" "$fleet" workload withdraw db 1.0 --reason "it leaks"
exits 3 "nobody gets it" "$fleet" assign db --workload db --version 1.0 --yes
like "…and why" "$(cat "$tmp/err")" 'it leaks'
ok "it may be given again" "$fleet" workload set db 1.0 --withdrawn ''
exits 2 "nobody is there to confirm" "$fleet" unassign edge-web </dev/null
ok "the assignment goes" "$fleet" unassign edge-web --reason "no need" --yes
ok "hosts remove it" eventually all_on ''
like "the audit log has the reason" "$("$fleet" audit -n 1000)" 'assignment:edge-web +no need'

done_testing
