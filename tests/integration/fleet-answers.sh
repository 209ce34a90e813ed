#!/bin/bash
# needs: curl jq openssl
# SPDX-License-Identifier: Apache-2.0
# The fleet server answers no more than it knows, and takes nothing for something else: what an operator mistyped, what
# reaches further than who asks, what is not there.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

fleet=$(realpath "$ashlar_bin/ashlar-fleet")
export HOME=$tmp/home XDG_CONFIG_HOME=$tmp/home/.config
unset ASHLAR_FLEET_URL ASHLAR_FLEET_TOKEN ASHLAR_FLEET_CA
mkdir -p "$HOME"

# says NAME EXIT WORDS COMMAND…: how it ends, and what it says.
says()
{
	local name=$1 code=$2 words=$3
	shift 3
	exits "$code" "$name" "$@"
	like "... $words" "$(cat "$tmp/out" "$tmp/err")" "$words"
}

# ---- what the server is told at its start ----

mkdir "$tmp/other"
says "a port that is none" 7 '99999.*a port from 0 to 65535' "$fleetd" serve "$tmp/other" --listen 127.0.0.1:99999
echo 'retention: {events: 5d, audit: 5}' >"$tmp/other/fleetd.yaml"
says "a time that is none: the bounds are times that may be written" 3 'from 1d to 36500d' "$fleetd" serve "$tmp/other"
mkdir "$tmp/empty"
says "a directory without a name" 2 'DIR is empty' "$fleetd" serve ''
for verb in token check "backup @ $tmp/copy"; do
	# shellcheck disable=SC2086 # words
	set -- $verb
	says "$1 of a directory without a fleet" 7 'there is no fleet' "$fleetd" "$1" "$tmp/empty" ${3:+"$3"}
done
empty "... makes none" "$(ls "$tmp/empty")"

# ---- who runs a package ----

ok "a server starts" fleet_start "$tmp/fleet"
ok "hosts join" hosts_join 2 '{"site":"bern","channel":"stable"}'
ok "a release without a list of packages" release_add 1.0
ok "one with" release_add 1.1 "openssl=3.0.9-1"
ok "and another" release_add 1.2
ok "they run the first" hosts_round
api GET "/v1/packages/openssl/hosts?below=3.0.15"
is "nobody is known to run it, and of two it is not known" "$(jq -c '[.count, .unlisted]' <<<"$body")" '[0,2]'
"$fleet" login "$fleet_url" --ca "$fleet_ca" --quiet <<<"$fleet_token"
says "on the command line" 0 'of 2 hosts it is not known' "$fleet" packages openssl --below 3.0.15
says "a version that is none is not below everything" 3 "'below' is a version" "$fleet" packages openssl --below x:1

# ---- rollouts ----

says "to tolerate nothing is not the default" 3 "'tolerated' is not a number from" \
	"$fleet" rollouts start 1.1 all --dry-run --tolerated 0
says "what is no number" 2 '--alpha takes a share' "$fleet" rollouts start 1.1 all --dry-run --alpha nan
says "a channel that cannot be" 3 "'channel': a name is" "$fleet" rollouts start 1.1 all --dry-run --channel 'a b'
api POST /v1/api-tokens '{"role":"operator","scope":"site = bern"}'
bern=$(jq -r .secret <<<"$body")
as "$bern" api_is "a scope does not move a channel that others follow" 403 POST /v1/rollouts \
	'{"release":"1.1","selector":"all","channel":"stable"}'
as "$bern" api_is "... and rolls out to its own" 200 POST /v1/rollouts '{"release":"1.1","selector":"all"}'
id=$(jq -r .id <<<"$body")
api_is "an outcome that is none" 400 GET "/v1/rollouts/$id/hosts?outcome=broken"
api_is "one that is" 200 GET "/v1/rollouts/$id/hosts?outcome=silent"
api_is "hosts of a rollout that is not there" 404 GET /v1/rollouts/nothing/hosts
api_is "... its ledger" 404 GET /v1/rollouts/nothing/ledger
says "another for the same hosts is refused, with which it is and how many" 8 "2 of these hosts are in rollout $id .*--beside" \
	"$fleet" rollouts start 1.2 all --yes
says "... and shown before" 0 "2 of the 2 hosts are in rollout $id \(to 1.1, running\) too" "$fleet" rollouts start 1.2 all --dry-run
api_is "... by the API" 409 POST /v1/rollouts '{"release":"1.2","selector":"all"}'
is "... as what it is" "$(jq -c '[.kind, .overlaps[0].rollout, .overlaps[0].hosts]' <<<"$body")" "[\"beside\",\"$id\",2]"
api_is "... 'beside' is yes or no" 400 POST /v1/rollouts '{"release":"1.2","selector":"all","beside":"yes"}'
exits 0 "... and begun when that is meant" "$fleet" rollouts start 1.2 all --beside --name spring --yes
like "a host knows of both" "$("$fleet" why edge-1)" "rollout '$id' brings 1.1; then the turn is that of rollout 'spring' to 1.2 \((starting|running)\)"
api_is "the first ends" 200 POST "/v1/rollouts/$id/cancel" '{}'
like "... then it is the other alone" "$("$fleet" why edge-1)" "rollout 'spring' brings 1.2$"
exits 0 "other hosts than those of the other" "$fleet" rollouts start 1.2 'name = edge-9' --dry-run
unlike "... are not warned of" "$(cat "$tmp/err")" 'too$'
says "a channel that hosts follow is not moved unasked" 2 "2 hosts follow 'stable' and get 1.1 at once.*--yes" \
	"$fleet" channels set stable 1.1
api_is "... nothing was changed" 404 GET /v1/channels/stable
api_is "... nor when there are others than was thought" 409 PUT /v1/channels/stable '{"release":"1.1","expect":3}'
is "... which is told" "$(jq -c '[.kind, .count]' <<<"$body")" '["count",2]'
exits 0 "... but with --yes" "$fleet" channels set stable 1.0 --yes
exits 0 "one that nobody follows needs none" "$fleet" channels set beta 1.1
says "an order without what it is about" 3 "'argument' is missing" "$fleet" host order edge-1 forgive
says "... and one with too much" 3 'check takes none' "$fleet" host order edge-1 check now
echo 'colours: []' >"$tmp/import.yaml"
says "an import of something else" 3 "no section 'colours'" "$fleet" import --dry-run "$tmp/import.yaml"
: >"$tmp/import.yaml"
says "... of nothing" 2 'is empty' "$fleet" import --dry-run "$tmp/import.yaml"
# ---- numbers ----

# Each is told what it may be, and does nothing.
while read -r option from to value command; do
	# shellcheck disable=SC2086 # words
	says "$command $option $value" 2 "$option is a number from $from to $to, not $value" "$fleet" $command "$option" "$value"
done <<EOF
--slots 0 100000 -1 locks set default
--slots 0 100000 100001 locks set default
--uses 1 10000000 -1 tokens add
--uses 1 10000000 0 tokens add
--rank 0 1000000 -1 policies set nights --selector all
--rank 0 1000000 -5 assign edge-web --workload web
--weight 0 1000 1001 ddi-actions start panel-1 panel 1.1 1
--first 1 100000 0 rollouts start 1.1 all --yes
--max-in-flight 0 67108864 -2 rollouts start 1.1 all --yes
--hours 1 2160 0 overview timeline
--limit 1 1000 0 events
--limit 1 1000 -3 events
--limit 1 1000000 -3 audit
--limit 1 1000000 0 hosts
--limit 1 1000000 -1 host events edge-1
--limit 1 1000000 -1 host history edge-1
--limit 1 1000000 -1 rollouts hosts $id
EOF
says "a number that no number has" 2 'out of range' "$fleet" locks set default --slots 99999999999
says "an event before the first" 2 '--from is needed' "$fleet" webhooks replay w --from -1
api GET /v1/locks/default
is "nothing was set" "$(jq -c .slots <<<"$body")" 1

for poll in 1s 2d; do
	says "a policy with check-ins each $poll" 3 "'poll' is from 5 s, .* to 86400 s" \
		"$fleet" policies set nights --selector all --poll "$poll"
done
api_is "... nor by the API" 400 PUT /v1/policies/nights '{"selector":"all","poll":4}'
api_is "... nor by an import" 400 POST /v1/import '{"yaml":"format: 1\npolicies:\n  - {name: nights, selector: all, poll: 4}\n"}'
api_is "... made none" 404 GET /v1/policies/nights
exits 0 "the shortest" "$fleet" policies set nights --selector 'name = nobody' --poll 5s

# ---- the audit log ----

"$fleet" audit --limit 1000 --json | jq -c '.items[].seq' >"$tmp/all"
is "the newest three are the last of all, in their order" "$("$fleet" audit --limit 3 --json | jq -c '.items[].seq')" "$(tail -n 3 "$tmp/all")"
is "... and the API's pages begin with the oldest" "$(api GET '/v1/audit?limit=2'; jq -c '.items[].seq' <<<"$body")" "$(head -n 2 "$tmp/all")"

# ---- releases ----

echo '{"type":"other"}' >"$tmp/document.json"
exits 3 "a document that is none" "$fleet" releases add "$tmp/document.json"
unlike "... is said once" "$(cat "$tmp/err")" 'release document.*release document'
exits 1 "lists that are not there" "$fleet" releases add "$tmp/document.json" --packages "$tmp/nothing"
unlike "... are said once" "$(cat "$tmp/err")" 'nothing.*nothing'

# ---- webhooks ----

says "a webhook of events that there are none of" 3 "no events 'rollout.halt'; there are: host.joined, .*, rollout.halted, .*operator.changed" \
	"$fleet" webhooks add http://127.0.0.1:9/hook --kind rollout.halt
sed -n 's/.*there are: \(.*\); or.*/\1/p' "$tmp/err" | tr -d ' ' | tr , '\n' | sort >"$tmp/kinds"
api GET "/v1/events?limit=1000"
empty "... every event that happened here is of these" "$(jq -r '.items[].kind' <<<"$body" | sort -u | comm -23 - "$tmp/kinds")"
says "... nor all of a beginning" 3 "no events 'rollouts" "$fleet" webhooks add http://127.0.0.1:9/hook --kind 'rollouts.*'
empty "... was made" "$("$fleet" webhooks --json | jq -r '.items[]')"
fleet_stop

# ---- files ----

chmod 644 "$tmp/fleet/ca.key"
says "a key that everybody may read" 7 'chmod 600' "$fleetd" serve "$tmp/fleet"
chmod 600 "$tmp/fleet/ca.key"
done_testing
