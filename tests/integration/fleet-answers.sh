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
says "an order without what it is about" 3 "'argument' is missing" "$fleet" host order edge-1 forgive
says "... and one with too much" 3 'check takes none' "$fleet" host order edge-1 check now
echo 'colours: []' >"$tmp/import.yaml"
says "an import of something else" 3 "no section 'colours'" "$fleet" import --dry-run "$tmp/import.yaml"
: >"$tmp/import.yaml"
says "... of nothing" 2 'is empty' "$fleet" import --dry-run "$tmp/import.yaml"
fleet_stop

# ---- files ----

chmod 644 "$tmp/fleet/ca.key"
says "a key that everybody may read" 7 'chmod 600' "$fleetd" serve "$tmp/fleet"
chmod 600 "$tmp/fleet/ca.key"
done_testing
