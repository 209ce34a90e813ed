#!/bin/bash
# needs: root ostree curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2119
# Workloads of a fleet, by the real server and hosts of curl, over SQLite and over PostgreSQL: definitions out of the
# publication, assignments, what hosts are told and say, rollouts that stop and go back, orders, logs.
. tests/lib/tap.sh
. tests/lib/commit.sh
. tests/lib/publication.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash
. tests/lib/postgres.bash

# ---- a publication -----------------------------------------------------------------------------------
mkdir -p "$pub"
"$ashlar" key make "$keys" --no-passphrase -q >/dev/null
hex=$(printf '0123456789abcdef%.0s' 1 2 3 4)

# definition NAME VERSION [LINE]…: is published with the next 'publish'
definition()
{
	printf '%s\n' "workload: $1" "version: $2" "image: oci:registry.example/$1@sha256:$hex" "${@:3}" \
		>"$tmp/$1-$2.yaml"
	"$ashlar" workload release --keys "$keys" --publication "$pub" "$tmp/$1-$2.yaml" -q >/dev/null
}
greeting='parameters: [{name: greeting, type: string, default: hello, max: 64}, {name: level, type: int, default: "1", min: 0, max: 9}]'
definition web 1.0 "$greeting"
definition web 1.1 "$greeting" 'summary: Better'
definition web 1.2 "$greeting" 'summary: Better still'
definition web 2.0 "$greeting" 'network: {mode: nat, publish: ["8080:80"]}'
definition db 1.0
publish -q >/dev/null

# ---- hosts -------------------------------------------------------------------------------------------

# What they have and say: w_version[I] of web ("": none), w_ready[I], w_failed[I] a version, w_missing[I] "VERSION WORD".
declare -A w_version w_ready w_failed w_missing w_wanted w_said
# Versions that fail where they are started.
w_bad=

w_report()
{
	local i=$1 items='' missing='' failed=''
	[ -z "${w_failed[$i]:-}" ] || failed="{\"version\":\"${w_failed[$i]}\",\"reason\":\"it did not answer\",\"at\":1}"
	[ -z "${w_version[$i]:-}" ] || items="{\"name\":\"web\",\"version\":\"${w_version[$i]}\",\"origin\":\"signed\",\"state\":\"$([ "${w_ready[$i]}" = true ] && echo ready || echo starting)\",\"ready\":${w_ready[$i]},\"text\":\"\",\"isolation\":\"container\",\"effective\":\"container\",\"score\":12,\"restarts\":0,\"failed\":[$failed],\"instances\":[{\"name\":\"web\",\"state\":\"ready\",\"ready\":${w_ready[$i]},\"text\":\"\",\"address\":\"10.0.0.2\"}]}"
	[ -z "${w_missing[$i]:-}" ] || missing="{\"name\":\"web\",\"version\":\"${w_missing[$i]% *}\",\"word\":\"${w_missing[$i]#* }\",\"text\":\"its signature is not of this fleet\"}"
	printf '"workloads":{"items":[%s],"missing":[%s]}' "$items" "$missing"
}

# call HOST [MEMBERS]: one check-in; the answer in $answer, its status in $status.
call()
{
	local i=$1 report
	host_seq[$i]=$((host_seq[$i] + 1))
	report=$(w_report "$i")
	[ "$report" != "${w_said[$i]:-}" ] || report=
	[ -z "${w_raw:-}" ] || report=$w_raw
	printf '{"seq":%d,"instance":"%032x","boot":"boot-%d","wait":0,"have":%d,"state":{"state":"idle","since":1,"booted":{"commit":"%s","version":"1.0","name":"host","variant":"","arch":"amd64"},"verdict":"good","failed":[]},"health":{}%s%s}' \
		"${host_seq[$i]}" "$i" "$i" "${host_have[$i]}" "$(release_commit 1.0)" "${report:+,$report}" \
		"${2:+,$2}" >"$hosts/$i.body"
	status=$(curl -sS --cacert "$fleet_ca" --max-time 30 --cert "$hosts/$i.pem" --key "$hosts/$i.key" \
		-H 'Content-Type: application/json' --data-binary "@$hosts/$i.body" -o "$tmp/answer" -w '%{http_code}' \
		"$fleet_url/v1/checkin")
	answer=$(cat "$tmp/answer")
	[ "$status" = 200 ] || return
	w_said[$i]=${report:-${w_said[$i]:-}}
	host_have[$i]=$(jq -r '.desired // 0' <<<"$answer")
	! jq -e 'has("workloads")' <<<"$answer" >/dev/null || w_wanted[$i]=$(jq -c .workloads <<<"$answer")
}

# take HOST: it does what it was told: the version of web that is wanted comes up, or fails and the old one stays.
take()
{
	local i=$1 version
	version=$(jq -r 'if . == null then "" else (map(select(.name == "web"))[0].version // "") end' <<<"${w_wanted[$i]:-null}")
	[ "${w_failed[$i]:-}" != "$version" ] || return 0
	case " $w_bad " in
	*" $version "*) w_failed[$i]=$version ;;
	*)
		w_version[$i]=$version
		w_ready[$i]=true
		;;
	esac
}

# rounds COUNT [HOST…]: so often each checks in, takes, and says so.
rounds()
{
	local round i asked=("${@:2}")
	[ ${#asked[@]} -gt 0 ] || mapfile -t asked < <(seq 1 "$host_count")
	for ((round = 0; round < $1; round++)); do
		for i in "${asked[@]}"; do
			call "$i" || return
			take "$i"
			call "$i" || return
		done
	done
}

# on VERSION: how many run it.
on()
{
	local i count=0
	for i in $(seq 1 "$host_count"); do
		[ "${w_version[$i]:-}" != "$1" ] || count=$((count + 1))
	done
	echo "$count"
}

# eventually COMMAND…: within some seconds; hosts go on checking in.
eventually()
{
	local until=$((SECONDS + 30))
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		rounds 1
		sleep 0.1
	done
}

all_on()
{
	[ "$(on "$1")" = "$host_count" ]
}

field()
{
	jq -r "$1" <<<"$body"
}

rollout_is()
{
	api GET "/v1/rollouts/$1" && [ "$(field .state)" = "$2" ]
}

# ---- the courses -------------------------------------------------------------------------------------

definitions()
{
	api_is "the publication is read" 200 POST /v1/releases/scan '{}'
	is "its definitions are new" "$(field .workloads)" 5
	api POST /v1/releases/scan '{}'
	is "once" "$(field .workloads)" 0
	api_is "a list" 200 GET '/v1/workloads?name=web&limit=2'
	is "of two, and more" "$(field '[.items[].version, .next] | length')" 3
	api_is "a workload" 200 GET /v1/workloads/web
	is "newest first" "$(field '[.versions[].version] | join(" ")')" "2.0 1.2 1.1 1.0"
	api_is "a version" 200 GET /v1/workloads/web/2.0
	is "its definition and what it may touch" \
		"$(field '[.document.workload, .isolation, (.report.grants | map(.kind) | contains(["publish"])), .report.score == .score] | map(tostring) | join(" ")')" \
		"web container true true"
	api_is "a difference" 200 GET /v1/workloads/web/1.0/diff/2.0
	is "to what may touch more" "$(field '[.is_wider, (.changes | map(.kind) | contains(["publish"]))] | map(tostring) | join(" ")')" "true true"
	api GET /v1/workloads/web/2.0/diff/1.0
	is "and back" "$(field .is_wider)" false
	api_is "what is not there" 404 GET /v1/workloads/web/9.9
	api_is "what nobody published" 404 GET /v1/workloads/nothing
}

assignments()
{
	local json
	while read -r json; do
		api PUT /v1/assignments/edge-web "$json"
		is "refused: $json" "$status" 400
	done <<'END'
{"workload":"web","version":"9.9"}
{"workload":"nothing","version":"1.0"}
{"version":"1.0"}
{"workload":"web","version":"1.0","parameters":{"colour":"red"}}
{"workload":"web","version":"1.0","parameters":{"level":10}}
{"workload":"web","version":"1.0","parameters":{"level":[]}}
{"workload":"web","version":"1.0","selector":"site = = 3"}
{"workload":"web","version":"1.0","rank":-1}
END
	api_is "a name that is none" 400 PUT '/v1/assignments/a%20b' '{"workload":"web","version":"1.0"}'
	api PUT /v1/assignments/edge-web '{"workload":"web","version":"1.0","selector":"site = bern","expect":3}'
	is "another number of hosts than was seen" "$status $(field .kind)" "409 count"
	api PUT '/v1/assignments/edge-web?dry_run=1' '{"workload":"web","version":"1.0","selector":"site = bern"}'
	is "what it would be" "$status $(field .hosts)" "200 $host_count"
	api_is "which did nothing" 404 GET /v1/assignments/edge-web
	call 1
	is "the fleet manages no workloads there" "$(jq -c .workloads <<<"$answer")" null
	api PUT /v1/assignments/edge-web '{"workload":"web","version":"1.0","selector":"site=bern","parameters":{"greeting":"hi","level":3},"note":"n","expect":'$host_count',"reason":"r"}'
	is "an assignment is made" "$status $(field '[.id, .workload, .version, .selector, .rank, .parameters.greeting, .parameters.level, .hosts] | map(tostring) | join(" ")')" \
		"200 edge-web web 1.0 site = bern 100 hi 3 $host_count"
	ok "hosts take it" eventually all_on 1.0
	is "with its parameters" "$(jq -c '.[0] | [.name, .version, .parameters]' <<<"${w_wanted[1]}")" '["web","1.0",{"greeting":"hi","level":"3"}]'
	call 1
	is "then nothing more is said about it" "$(jq -c '[has("workloads"), .need]' <<<"$answer")" '[false,[]]'
	api GET "/v1/hosts/$(cat "$hosts/1.id")/workloads"
	is "the host's own list" "$(field '.items[0] | [.name, .version, .ready, .wanted, .assignment, .rollout, .why] | map(tostring) | join(",")')" \
		"web,1.0,true,1.0,edge-web,,"
	api GET /v1/workloads/web
	is "and the workload's" "$(field '[.counts.ready, .assignments[0].hosts, (.versions[] | select(.version == "1.0").hosts)] | map(tostring) | join(" ")')" \
		"$host_count $host_count $host_count"
	api GET '/v1/hosts?limit=100&selector=workload.web%20%3D%201.0%20and%20workload.web.ready%20%3D%20true%20and%20not%20has%20workload.db'
	is "selectors know it" "$(field '.items | length')" "$host_count"

	# One host alone has another, first by rank.
	api PUT /v1/assignments/first '{"workload":"web","version":"1.1","selector":"name = edge-2","rank":10}'
	is "the first by rank counts" "$(field .hosts)" 1
	ok "for its host" eventually test_on 2 1.1
	api GET /v1/assignments/edge-web
	is "and the other one for the rest" "$(field .hosts)" $((host_count - 1))
	api_is "it goes again" 204 DELETE /v1/assignments/first '{}'
	ok "and the host has what the other one says" eventually all_on 1.0

	# A version that may touch more.
	api PUT /v1/assignments/edge-web '{"version":"2.0"}'
	is "wider is refused" "$status $(field '[.kind, (.changes | map(select(.is_wider)) | length > 0)] | map(tostring) | join(" ")')" "409 wider true"
	api PUT /v1/assignments/edge-web '{"version":"2.0","widen":true}'
	is "without a reason too" "$status" 409
	api_is "with one it is the operator's word" 200 PUT /v1/assignments/edge-web '{"version":"2.0","widen":true,"reason":"it is to be reached"}'
	ok "all have it" eventually all_on 2.0
	is "with the values that were set" "$(jq -r '.[0].parameters.greeting' <<<"${w_wanted[1]}")" hi
	api_is "back to less needs none" 200 PUT /v1/assignments/edge-web '{"version":"1.0"}'
	ok "and all go back" eventually all_on 1.0

	# A host that is held is told to wait, and takes in what is said.
	api POST "/v1/hosts/$(cat "$hosts/3.id")/hold" '{"reason":"repair"}'
	call 3
	is "who is held keeps what it has" "$(jq -r '.workloads[0].version + " " + .hold' <<<"$answer")" "1.0 repair"
	api POST "/v1/hosts/$(cat "$hosts/3.id")/release-hold" '{}'
	rounds 1 3
}

test_on()
{
	[ "${w_version[$1]:-}" = "$2" ]
}

wrong_reports()
{
	while IFS='|' read -r w_raw text; do
		call 4
		host_seq[4]=$((host_seq[4] - 1))
		like "refused: ${w_raw:0:60}" "$status $answer" "^400 .*$text"
	done <<'END'
"workloads":[]|workloads
"workloads":{"items":{}}|items
"workloads":{"items":[1]}|items
"workloads":{"items":[{"version":"1.0"}]}|name
"workloads":{"items":[{"name":"Web"}]}|name
"workloads":{"items":[{"name":"web","version":"1/0"}]}|version
"workloads":{"items":[{"name":"web","ready":"yes"}]}|ready
"workloads":{"missing":[{"name":"web","word":5}]}|word
"logs":[{"order":1,"lines":[5]}]|lines
"logs":{}|logs
END
	w_raw="\"workloads\":{\"items\":[{\"name\":\"web\",\"text\":\"$(head -c 70000 /dev/zero | tr '\0' x)\"}]}"
	call 4
	is "more than may be" "$status" 400
	host_seq[4]=$((host_seq[4] - 1))
	w_raw="\"workloads\":{\"items\":[$(for i in $(seq 129); do printf '%s{"name":"w%d"}' "$([ "$i" -eq 1 ] || echo ,)" "$i"; done)]}"
	call 4
	is "more of them than may be" "$status" 400
	host_seq[4]=$((host_seq[4] - 1))
	w_raw=
	rounds 1 4
	is "the host goes on" "$status" 200
}

# why HOST: what blocks web there; the whole answer in $body
why()
{
	api GET "/v1/hosts/$(cat "$hosts/$1.id")/why?workload=web"
	field '[.answer, (.conditions[-1] | .condition, .met)] | map(tostring) | join(",")'
}

wanted_is()
{
	local i
	for i in $(seq 1 "$host_count"); do
		call "$i"
		[ "$(jq -r '.[0].version // ""' <<<"${w_wanted[$i]}")" = "$1" ] || return 1
	done
}

rollouts()
{
	local id token
	is "up to date" "$(why 1)" up\ to\ date,ready,true
	while read -r json; do
		api POST /v1/rollouts "$json"
		like "refused: $json" "$status" '^40[04]'
	done <<'END'
{"assignment":"edge-web"}
{"assignment":"nothing","version":"1.1"}
{"assignment":"edge-web","version":"9.9"}
{"assignment":"edge-web","version":"1.1","selector":"site = bern"}
{"assignment":"edge-web","version":"1.1","release":"1.0"}
{"version":"1.1"}
END
	api POST /v1/rollouts '{"assignment":"edge-web","version":"1.0"}'
	is "to where it is already" "$status" 409
	api POST /v1/rollouts '{"assignment":"edge-web","version":"2.0"}'
	is "wider is refused here too" "$status $(field .kind)" "409 wider"
	api POST '/v1/rollouts?dry_run=1' '{"assignment":"edge-web","version":"2.0"}'
	is "and before" "$status $(field .kind)" "409 wider"
	api POST '/v1/rollouts?dry_run=1' '{"assignment":"edge-web","version":"1.1","first":2,"growth":2}'
	is "what it would do" "$(field '[.hosts, .already, (.rings | join("+"))] | map(tostring) | join(" ")')" "$host_count 0 2+4+6"

	# One that is fine.
	api POST /v1/rollouts '{"assignment":"edge-web","version":"1.1","first":2,"growth":2,"soak":0,"name":"fine"}'
	id=$(field .id)
	is "it is made" "$(field '[.kind, .assignment, .workload, .version, .release] | map(tostring) | join(" ")')" "workload edge-web web 1.1 null"
	api POST /v1/rollouts '{"assignment":"edge-web","version":"1.2"}'
	is "not two at a time" "$status" 409
	api PUT /v1/assignments/edge-web '{"version":"1.2"}'
	is "nor past it" "$status" 409
	api_is "the assignment is not deleted under it" 409 DELETE /v1/assignments/edge-web '{}'
	ok "it finishes" eventually rollout_is "$id" finished
	is "all have it" "$(on 1.1)" "$host_count"
	is "each was confirmed" "$(field '.counts.confirmed')" "$host_count"
	api GET /v1/assignments/edge-web
	is "the assignment brings it" "$(field .version)" 1.1
	api POST "/v1/rollouts/$id/replay" '{}'
	is "and its ledger says the same" "$(field .agrees)" true
	api GET "/v1/rollouts/$id/hosts?outcome=confirmed&limit=100"
	is "host by host" "$(field '.items | length')" "$host_count"

	# Who has some of its hosts.
	api POST /v1/api-tokens '{"role":"operator","scope":"name = edge-2"}'
	token=$(field .secret)
	as "$token" api POST "/v1/rollouts/$id/revert" '{"reason":"it eats memory"}'
	is "who has one of its hosts does not send it back" "$status $(field .text)" \
		"403 this rollout goes to hosts outside of your scope"
	as "$token" api POST /v1/rollouts '{"assignment":"edge-web","version":"1.2"}'
	is "nor makes another" "$status $(field .text)" "403 this assignment is of hosts outside of your scope"
	as "$token" api PUT '/v1/assignments/mine?dry_run=1' '{"workload":"web","version":"1.0","selector":"site = bern","rank":10}'
	is "but may say what that one has" "$status $(field .hosts)" "200 1"
	api POST /v1/api-tokens '{"role":"operator","scope":"site = bern"}'
	token=$(field .secret)
	as "$token" api POST '/v1/rollouts?dry_run=1' '{"assignment":"edge-web","version":"1.2"}'
	is "who has all of them does" "$status $(field .hosts)" "200 $host_count"

	# It is sent back after it has finished.
	api POST "/v1/rollouts/$id/revert" '{"reason":"it eats memory"}'
	ok "reverted" eventually rollout_is "$id" reverted
	ok "all are back" eventually all_on 1.0
	api GET /v1/assignments/edge-web
	is "and so is the assignment" "$(field .version)" 1.0
	ok "nothing else is wanted" wanted_is 1.0

	# One that fails.
	w_bad=1.2
	api POST /v1/rollouts '{"assignment":"edge-web","version":"1.2","first":2,"growth":2,"soak":0}'
	id=$(field .id)
	ok "a failure among the first stops it" eventually rollout_is "$id" paused
	api GET "/v1/rollouts/$id/hosts?outcome=failed&limit=100"
	is "by the host's own words" "$(field '.items[0].reason')" "it did not answer"
	is "nobody runs it" "$(on 1.0)" "$host_count"
	local i failed=0 waiting=0
	for i in $(seq 1 "$host_count"); do
		case $(why "$i") in
		stuck,not\ failed\ here,false) failed=$((failed + 1)) ;;
		waiting,running,false) waiting=$((waiting + 1)) ;;
		*) diag "host $i: $body" ;;
		esac
	done
	is "why not: it failed there, or the rollout does not run" "$((failed > 0)) $((failed + waiting))" "1 $host_count"
	api POST "/v1/rollouts/$id/cancel" '{"reason":"bad"}'
	ok "it is cancelled" eventually rollout_is "$id" cancelled
	ok "the old version is wanted of all" eventually wanted_is 1.0
	api GET "/v1/events?limit=1000&order=new"
	is "what happened is told" "$(field '[.items[] | select(.kind == "host.workload").data.change] | unique | join(" ")')" \
		"ready rolled-back"
	w_bad=
	w_failed=()

	# A host that does not believe it.
	rounds 1
	api POST /v1/rollouts '{"assignment":"edge-web","version":"1.2","first":6,"soak":0}'
	id=$(field .id)
	w_missing[1]="1.2 untrusted"
	w_bad=1.2
	doubted()
	{
		call 1
		api GET "/v1/rollouts/$id/hosts?outcome=failed&limit=100"
		[ "$(field '.items | map(select(.name == "edge-1"))[0].reason')" = "its signature is not of this fleet" ]
	}
	ok "who does not believe it has failed" eventually doubted
	is "which is why" "$(why 1 | cut -d, -f2-)" believed,false
	api POST "/v1/rollouts/$id/cancel" '{"reason":"enough"}'
	w_bad='' w_failed=() w_missing=()
	ok "all as before" eventually all_on 1.0
}

orders()
{
	local host order stream
	host=$(cat "$hosts/2.id")
	for json in '{}' '{"act":"explode"}' '{"act":"start","version":"1.0"}' '{"act":"forgive","instance":"web@1"}' \
		'{"act":"start","instance":"../x"}'; do
		api POST "/v1/hosts/$host/workloads/web" "$json"
		is "refused: $json" "$status" 400
	done
	api POST "/v1/hosts/$host/workloads/W" '{"act":"start"}'
	is "and what is no name" "$status" 400
	api POST "/v1/hosts/$host/orders" '{"verb":"workload-stop","argument":"web"}'
	is "and where other orders are given" "$status" 400
	api POST "/v1/hosts/$host/workloads/web" '{"act":"restart","instance":"web@2","reason":"it hangs"}'
	is "an order is made" "$status" 200
	order=$(field .order)
	call 2
	is "the host is told" "$(jq -c '.orders[0] | [.id, .verb, .argument]' <<<"$answer")" "[$order,\"workload-restart\",\"web/web@2\"]"
	call 2 "\"orders\":[{\"id\":$order,\"ok\":true,\"text\":\"\"}]"
	call 2
	is "until it has done it" "$(jq -c 'has("orders")' <<<"$answer")" false
	api POST "/v1/hosts/$host/workloads/web" '{"act":"forgive"}'
	call 2
	is "all is forgiven when nothing is named" "$(jq -r '.orders[0].argument' <<<"$answer")" "web all"
	call 2 "\"orders\":[{\"id\":$(field .order),\"ok\":true,\"text\":\"\"}]"

	# Live logs.
	api_is "too many lines" 400 GET "/v1/hosts/$host/workloads/web/logs?lines=1001"
	api_is "for too long" 400 GET "/v1/hosts/$host/workloads/web/logs?follow=86401"
	stream=$tmp/stream
	curl -sSN --cacert "$fleet_ca" -H "Authorization: Bearer $fleet_token" -o "$stream" \
		"${fleet_log_url:-$fleet_url}/v1/hosts/$host/workloads/web/logs?lines=5&follow=60" &
	reader=$!
	has_order()
	{
		call 2
		order=$(jq -r '.orders // [] | map(select(.verb == "workload-logs"))[0] | .id // ""' <<<"$answer")
		[ -n "$order" ]
	}
	ok "who reads logs makes an order" eventually has_order
	is "for so many" "$(jq -r '.orders[0].argument' <<<"$answer")" "web 5 60"
	call 2 "\"logs\":[{\"order\":$order,\"lines\":[\"one\",\"two \\u001b[31m \\\\\"],\"more\":true}]"
	has_line()
	{
		grep -q "$1" "$stream"
	}
	ok "a line comes" eventually has_line '^data: {"text":"one"}$'
	ok "whatever is in it" has_line 'u001b'
	call 3 "\"logs\":[{\"order\":$order,\"lines\":[\"forged\"],\"more\":true}]"
	call 2 "\"logs\":[{\"order\":$order,\"lines\":[\"three\"],\"more\":false}],\"orders\":[{\"id\":$order,\"ok\":true,\"text\":\"\"}]"
	ok "and its end" wait "$reader"
	is "in this order, and of this host alone" "$(sed -n 's/^event: //p' "$stream" | tr '\n' ' ')$(tail -n 2 "$stream" | head -n 1)" \
		'line line line end data: {"text":"that is all"}'
	curl -sSN --cacert "$fleet_ca" -H "Authorization: Bearer $fleet_token" -o "$stream" \
		"$fleet_url/v1/hosts/$host/workloads/web/logs" 2>/dev/null &
	reader=$!
	ok "another one" eventually has_order
	kill "$reader"
	wait "$reader" 2>/dev/null
	is_dropped()
	{
		! has_order
	}
	ok "whose reader goes: the host is not told any more" eventually is_dropped
}

# What is followed for longer than an order lasts; of two servers, the one that the host does not speak to is asked.
followed()
{
	local host log_url order='' seconds='' until=0 n=0 made=0 ended='' words first='' reader stop
	host=$(cat "$hosts/2.id")
	fleet_stop
	ok "a server whose orders are short" env_start ASHLAR_FLEET_LOG_S=4 "$tmp/$database"
	log_url=$fleet_url
	if [ "$database" = postgres ]; then
		mkdir "$tmp/other"
		cp "$tmp/$database"/ca.{key,pem} "$tmp/$database/fleetd.yaml" "$tmp/other"
		first=$fleet_pid fleet_pid='' fleet_listen=''
		touch "$tmp/other/.had-token"
		ok "another one, for the host" fleet_start "$tmp/other"
	fi
	curl -sSN --cacert "$fleet_ca" -H "Authorization: Bearer $fleet_token" --max-time 60 -o "$tmp/followed" \
		"$log_url/v1/hosts/$host/workloads/web/logs?lines=0&follow=9" &
	reader=$!
	stop=$((SECONDS + 45))
	while kill -0 "$reader" 2>/dev/null && [ "$SECONDS" -lt "$stop" ]; do
		if [ -z "$order" ]; then
			call 2 "${ended:+\"orders\":[$ended]}"
		elif [ "${EPOCHREALTIME/./}" -ge "$until" ]; then
			call 2 "\"logs\":[{\"order\":$order,\"lines\":[\"line $((++n))\"],\"more\":false}],\"orders\":[${ended:+$ended,}{\"id\":$order,\"ok\":true,\"text\":\"that is all\"}]"
			order=
		else
			call 2 "\"logs\":[{\"order\":$order,\"lines\":[\"line $((++n))\",\"line $((++n))\"],\"more\":true}]${ended:+,\"orders\":[$ended]}"
		fi
		ended=
		# As ashlard does: the order that names the one before goes on for it.
		while read -r -a words; do
			if [ "${words[4]:-}" != "$order" ] || [ "${words[0]}" = "$order" ] || [ "$made" = "${words[0]}" ]; then
				continue
			fi
			[ -z "$order" ] || ended="{\"id\":$order,\"ok\":true,\"text\":\"that is all\"}"
			order=${words[0]} made=$order seconds+="${words[3]} "
			until=$((${EPOCHREALTIME/./} + words[3] * 1000000))
		done < <(jq -r '.orders // [] | .[] | select(.verb == "workload-logs") | "\(.id) \(.argument)"' <<<"$answer")
		sleep 0.1
	done
	ok "it ends" wait "$reader"
	ok "several orders were made" test "$(wc -w <<<"$seconds")" -ge 3 || diag "$seconds"
	is "every line came, once, in order" "$(sed -n 's/^data: {"text":"line \([0-9]*\)"}$/\1/p' "$tmp/followed" | tr '\n' ' ')" \
		"$(seq -s ' ' "$n") "
	is "and then the end" "$(tail -n 2 "$tmp/followed" | head -n 1)" 'data: {"text":"that is all"}'
	[ -z "$first" ] || {
		kill "$first"
		wait "$first"
	}
}

# env_start VARIABLE DIR
env_start()
{
	local "${1%%=*}"
	export "${1?}"
	fleet_start "$2"
}

# A workload that comes up and goes down without end.
flapping()
{
	local host n left
	host=$(cat "$hosts/6.id")
	for n in $(seq 45); do
		w_ready[6]=$([ $((n % 2)) -eq 1 ] && echo false || echo true)
		call 6 || break
	done
	is "it says so each time" "$status $n" "200 45"
	api GET "/v1/events?limit=1000&host=$host&kind=host.workload"
	is "so many are told" "$(field '.items | length')" 20
	like "the last of them says why" "$(field '.items[0].text')" '; it changes often: '
	api GET "/v1/events?limit=1000&host=$host&kind=host.workload-more"
	left=$(field '.items[0].data.left_out')
	is "the others are one" "$(field '.items | length') $((left >= 25)) $(field '.items[0].data.change')" "1 1 not-ready"
	is "that says how many" "$(field '.items[0].text')" "web 1.0 is not ready; $left changes of this hour are not told"
	api GET '/v1/hosts?limit=100&selector=workload.web.ready%20%3D%20false'
	is "what it is like is known all the same" "$(field '.items | map(.name) | join(" ")')" edge-6
	w_ready[6]=true
	call 6
	api GET '/v1/hosts?limit=100&selector=workload.web.ready%20%3D%20false'
	is "at once" "$(field '.items | length')" 0
}

figures()
{
	w_missing[2]="1.0 refused"
	call 2
	api GET /v1/overview
	is "what needs attention" "$(field '.attention[] | select(.kind == "workload") | [.text, .link] | join(" ")')" \
		"Workload web 1.0 is missing on 1 host: refused. /workloads/web"
	w_missing=()
	call 2
	api GET /metrics
	is "figures" "$(grep '^ashlar_workload_hosts' <<<"$body" | sort | tail -n 1)" "ashlar_workload_hosts{workload=\"web\",ready=\"true\"} $host_count"
	api GET /v1/export
	cp "$tmp/body" "$tmp/export.yaml"
	ok "an export has the assignments" grep -q 'id: "\?edge-web' "$tmp/export.yaml"
	api_is "which go" 204 DELETE /v1/assignments/edge-web '{}'
	removed()
	{
		call 1
		[ "${w_wanted[1]}" = '[]' ]
	}
	ok "a host is told that none is wanted" eventually removed
	api POST /v1/import "$(jq -Rs '{yaml: .}' <"$tmp/export.yaml")"
	is "and come again by an import" "$status $(api GET /v1/assignments/edge-web && field '[.version, .parameters.greeting] | join(" ")')" "200 1.0 hi"
	ok "to all" eventually all_on 1.0
	api POST /v1/workloads/web/1.1 '{"withdrawn":"it eats memory"}'
	is "a version is withdrawn" "$status $(field .withdrawn)" "200 it eats memory"
	api PUT /v1/assignments/edge-web '{"version":"1.1"}'
	is "then nobody is given it" "$status" 400
	api GET '/v1/audit?limit=1000'
	like "all of it is in the audit log" "$(field '[.items[].action] | unique | join(" ")')" \
		'assignment.delete assignment.set .*host.workload-forgive host.workload-logs host.workload-restart import.assignment .*workload.added workload.withdrawn'
}

whole()
{
	database=$1
	fleet_token='' fleet_listen=''
	rm -f "$tmp"/*/.had-token
	w_version=() w_ready=() w_failed=() w_missing=() w_wanted=() w_said=() w_bad=''
	hosts_forget
	ok "$1: a server starts" fleet_start "$tmp/$1" "content: $pub" 'rate: {operators: 0}' "${@:2}"
	ok "$1: hosts join" hosts_join 6 '{"site":"bern"}'
	ok "$1: and check in" rounds 1
	definitions
	assignments
	wrong_reports
	for course in "${courses[@]}"; do
		"$course"
	done
	ok "$1: the server ends" fleet_stop
}

courses=(rollouts orders flapping figures followed)
whole sqlite
postgres_need
postgres_init 'fsync=off' && postgres_start
whole postgres "database: \"$postgres\""
done_testing
