#!/bin/bash
# needs: curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2119
# No role can do what it may not: every route that the running server's openapi.json names, beside everybody who may ask
# for it. The table is in tests/lib/fleet-roles.py; a route that it does not name fails here. And no secret that is sent to any
# of them is found again: in lists, log, audit, events, exports, figures.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

field()
{
	jq -r "$1" <<<"$body"
}

# ---- one of everything -------------------------------------------------------------------------------

ok "a server starts" fleet_start "$tmp/fleet" 'rate: {operators: 0, hosts: 0}' 'ddi: {enabled: true, gateway_token: gateway-of-the-test}'
for version in 1.0 2.0; do
	ok "release $version is added" release_add "$version" "tool=$version"
done
ok "hosts join: one that is seen" hosts_join 1 '{"site":"bern"}'
ok "one that a scope hides" hosts_join 1 '{"site":"basel"}'
ok "one that is retired" hosts_join 1 '{"site":"geneva"}'
ok "all check in" hosts_round
seen=$(cat "$hosts/1.id") hidden=$(cat "$hosts/2.id") retired=$(cat "$hosts/3.id")
api POST /v1/tokens '{"note":"asks","needs_approval":true,"labels":{"site":"zurich"}}'
join=$(field .id)
asking=$(field .secret)
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/asks.key" -subj /CN=asks \
	-out "$tmp/asks.csr" 2>/dev/null
as "" api POST /v1/join "$(jq -nc --arg token "$asking" --rawfile csr "$tmp/asks.csr" \
	'{token: $token, csr: $csr, name: "asks", instance: "00000000000000000000000000000009", facts: {}}')"
pending=$(field .id)
api POST "/v1/hosts/$retired/retire" '{"reason":"sold"}'

python3 - "$tmp/fleet/fleet.db" "$seen" "$hidden" <<'END'
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
digest = "0123456789abcdef" * 4
for version in "1.0", "1.1":
    document = {"workload": "web", "version": version, "image": "oci:registry.example/web@sha256:" + digest}
    db.execute("INSERT INTO workload (name, version, sha256, document, added_at, isolation, score, words) VALUES "
        "('web', ?, ?, ?, 1, 'container', 3, 'little')", (version, digest, json.dumps(document)))
report = {"items": [{"name": "web", "version": "1.0", "ready": True}], "missing": []}
for host in sys.argv[2:]:
    db.execute("INSERT INTO host_workload (host, report, at) VALUES (?, ?, 1)", (host, json.dumps(report)))
    db.execute("INSERT INTO lock_hold (\"group\", id, since, lease_until) VALUES ('default', ?, 1, 2)", (host,))
db.commit()
END
mkdir -p "$tmp/fleet/content/ddi/upload"
echo a >"$tmp/fleet/content/ddi/upload/a.bin"
echo b >"$tmp/fleet/content/ddi/upload/b.bin"
declare -A made
while read -r name method path json; do
	api "$method" "$path" "$json"
	like "$method $path" "$status $body" "^20"
	made[$name]=$body
done <<END
channel PUT /v1/channels/stable {"release":"1.0"}
policy PUT /v1/policies/nights {"selector":"site = bern","windows":["02:00-05:00"]}
ada POST /v1/operators {"name":"ada","role":"admin","password":"correct horse battery"}
viewer POST /v1/api-tokens {"role":"viewer"}
operator POST /v1/api-tokens {"role":"operator"}
scoped POST /v1/api-tokens {"role":"operator","scope":"site = bern"}
scoped_viewer POST /v1/api-tokens {"role":"viewer","scope":"site = bern"}
revoked POST /v1/api-tokens {"role":"admin"}
webhook POST /v1/webhooks {"url":"http://127.0.0.1:9/hook","kinds":["workload.added"]}
rack PUT /v1/locks/rack-1 {"slots":2}
target POST /v1/ddi/targets {"id":"meter-1"}
other POST /v1/ddi/targets {"id":"meter-2"}
module POST /v1/ddi/modules {"name":"os","version":"1","type":"os"}
artifact POST /v1/ddi/modules/1/artifacts {"filename":"a.bin"}
canceled POST /v1/ddi/targets/meter-1/actions {"name":"set","version":"1","modules":[1],"beside":true}
waiting POST /v1/ddi/targets/meter-1/actions {"name":"set","version":"1","modules":[1],"needs_confirmation":true,"beside":true}
soft POST /v1/ddi/targets/meter-1/actions {"name":"set","version":"1","modules":[1],"kind":"soft","beside":true}
assignment PUT /v1/assignments/edge-web {"workload":"web","version":"1.0","selector":"site = bern or site = basel"}
order POST /v1/hosts/$hidden/orders {"verb":"check"}
rollout POST /v1/rollouts {"release":"2.0","selector":"site = bern or site = basel","name":"n","soak":3600}
END
api POST "/v1/ddi/targets/meter-1/actions/$(jq .id <<<"${made[canceled]}")/cancel"
api POST "/v1/api-tokens/$(jq -r .id <<<"${made[revoked]}")/revoke"
curl -sS --cacert "$fleet_ca" -c "$tmp/jar" -o "$tmp/body" -H 'Content-Type: application/json' \
	-d '{"name":"ada","password":"correct horse battery"}' "$fleet_url/v1/session"
csrf=$(jq -r .csrf "$tmp/body")
hosts_round 1 2
# Nothing else is to happen while it is looked at: what waits for a host, or is delivered, has had its time.
quiet()
{
	local events
	api GET '/v1/events?limit=1'
	events=$(field '.items[0].seq')
	sleep 0.5
	api GET '/v1/events?limit=1'
	[ "$events" = "$(field '.items[0].seq')" ]
}
until quiet; do :; done

# ---- all routes, all roles ---------------------------------------------------------------------------

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/thief.key" -subj /CN=thief \
	-out "$tmp/thief.csr" 2>/dev/null
made()
{
	jq -r ".$2" <<<"${made[$1]}"
}
host_seq[1]=$((host_seq[1] + 1))
jq -n --arg url "$fleet_url" --arg ca "$fleet_ca" --arg database "$tmp/fleet/fleet.db" --arg admin "$fleet_token" \
	--arg viewer "$(made viewer secret)" --arg operator "$(made operator secret)" --arg scoped "$(made scoped secret)" \
	--arg scoped_viewer "$(made scoped_viewer secret)" --arg revoked "$(made revoked secret)" \
	--arg session "$(awk '$6 == "ashlar_session" {print $7}' "$tmp/jar")" --arg csrf "$csrf" --arg hosts "$hosts" \
	--arg seen "$seen" --arg hidden "$hidden" --arg retired "$retired" --arg pending "$pending" \
	--arg rollout "$(made rollout id)" --arg join "$join" --arg webhook "$(made webhook id)" --arg token "$(made viewer id)" \
	--arg firmware "$(made module id)" --arg waiting "$(made waiting id)" --arg canceled "$(made canceled id)" \
	--arg soft "$(made soft id)" --arg target "$(made target token)" --arg other "$(made other token)" \
	--arg log "$fleet_log" --arg asking "$asking" --arg words "correct horse battery" --arg hook "$(made webhook secret)" \
	--arg checkin "$(host_body 1)" --rawfile csr "$hosts/1.csr" --rawfile other_csr "$tmp/thief.csr" \
	--arg release "$(jq -nc --arg commit "$(release_commit 3.0)" '{document: ({type: "ashlar-release", format: 1, name: "host",
		variant: "", architecture: "amd64", version: "3.0", commit: $commit, "replaces-min": "",
		created: "2026-11-22T10:00:00Z", size: {bytes: 1, inodes: 1, "boot-bytes": 1, "archive-bytes": 1,
		"largest-object-bytes": 1}, deltas: [], notes: ""} | tojson)}')" '
	{url: $url, ca: $ca, database: $database, admin: $admin, viewer: $viewer, operator: $operator, scoped: $scoped,
	scoped_viewer: $scoped_viewer, revoked: $revoked, session: $session, csrf: $csrf, hidden: [$hidden, "edge-2"], log: $log,
	secrets: [$admin, $viewer, $operator, $scoped, $scoped_viewer, $revoked, $session, $csrf, $asking, $words, "gateway-of-the-test"],
	kept: [$target, $other, $hook],
	certificates: ({host: "1", other: "2", retired: "3"} | map_values([$hosts + "/" + . + ".pem", $hosts + "/" + . + ".key"])),
	values: {HOST: $seen, HIDDEN: $hidden, RETIRED: $retired, PENDING: $pending, ROLLOUT: $rollout, JOIN: $join,
	WEBHOOK: $webhook, TOKEN: $token, MODULE: $firmware, WAITING: $waiting, CANCELED: $canceled, SOFT: $soft,
	TARGETTOKEN: $target, OTHERTOKEN: $other, CHECKIN: $checkin, CSR: ($csr | tojson), OTHERCSR: ($other_csr | tojson), RELEASE: $release}}' >"$tmp/settings.json"
python3 tests/lib/fleet-roles.py "$tmp/settings.json" >"$tmp/results"
is "the server was asked for all of it" $? 0
diag "$(grep -c '^ok' "$tmp/results") of $(wc -l <"$tmp/results") are right"
empty "each does what it may, and nothing else" "$(grep '^bad' "$tmp/results")"
ok "it ends in peace" fleet_stop
done_testing
