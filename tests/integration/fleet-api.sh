#!/bin/bash
# needs: root ostree curl jq python3
# SPDX-License-Identifier: Apache-2.0
# What operators ask of ashlar-fleetd over HTTP, by the real program, over SQLite and over PostgreSQL: operators, tokens,
# sessions, releases, overview, events, audit, webhooks, export and import; who may what; that no secret is told twice.
. tests/lib/tap.sh
. tests/lib/commit.sh
. tests/lib/publication.sh
. tests/lib/fleet.bash
. tests/lib/postgres.bash

# ---- a publication -----------------------------------------------------------------------------------
mkdir -p "$pub"
"$ashlar" key make "$keys" --no-passphrase -q >/dev/null
v1=$(tree_commit 1.0)
v2=$(tree_commit 1.1)
v3=$(tree_commit 1.2)
release "$v1" -q >/dev/null
release "$v2" -q >/dev/null
publish --no-deltas -q >/dev/null
# Not published, so that it can be added by hand.
release "$v3" -q >/dev/null
third=$(jq -c . "$pub"/pending/*1.2.json)

# ---- a receiver of webhooks --------------------------------------------------------------------------
cat >"$tmp/receiver.py" <<'EOF'
import collections, http.server, json, os, sys
seen = collections.Counter()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(os.path.join(sys.argv[1], self.path.strip("/")), "a") as log:
            log.write(json.dumps({"kind": self.headers["Ashlar-Event"], "delivery": self.headers["Ashlar-Delivery"],
                "signature": self.headers["Ashlar-Signature"], "body": body}) + "\n")
        seen[self.path] += 1
        status = 410 if self.path.startswith("/gone") else 204
        if self.path.startswith("/slow") and seen[self.path] <= 1:
            status = 503
        self.send_response(status)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
EOF
mkdir "$tmp/hooks"
coproc RECEIVER { exec python3 "$tmp/receiver.py" "$tmp/hooks"; }
read -r -u "${RECEIVER[0]}" receiver_port
receiver=http://127.0.0.1:$receiver_port
at_exit+=("kill $RECEIVER_PID")

# ---- helpers -----------------------------------------------------------------------------------------

# field JQ: of the last answer
field()
{
	jq -r "$1" <<<"$body"
}

# secret TEXT: must not be found anywhere later
secret()
{
	echo "$1" >>"$tmp/secrets"
}

# eventually SECONDS COMMAND…
eventually()
{
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.1
	done
}

# sql TEXT
sql()
{
	if [ "$database" = postgres ]; then
		postgres_sql "$1"
	else
		python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1]); c.execute("PRAGMA busy_timeout = 10000")
for row in c.execute(sys.argv[2]): print("|".join(map(str, row)))
c.commit()' "$dir/fleet.db" "$1"
	fi
}

# session METHOD PATH [JSON [CSRF]]: with the cookie jar, without a token
session()
{
	local options=(-sS -X "$1" --cacert "$fleet_ca" --max-time 60 -b "$tmp/jar" -c "$tmp/jar" -o "$tmp/body"
		-w '%{http_code}')
	[ -z "${3:-}" ] || options+=(-H 'Content-Type: application/json' --data-binary "$3")
	[ -z "${4:-}" ] || options+=(-H "X-CSRF-Token: $4")
	status=$(curl "${options[@]}" "$fleet_url$2" 2>"$tmp/curl.err")
	body=$(cat "$tmp/body")
}

# ---- the courses -------------------------------------------------------------------------------------

# All routes and roles: tests/integration/fleet-roles.sh.
who_may()
{
	api POST /v1/api-tokens '{"role":"viewer","note":"reads"}'
	viewer=$(field .secret)
	api POST /v1/api-tokens '{"role":"operator"}'
	operator=$(field .secret)
	head -c 100000 /dev/zero | tr '\0' ' ' >"$tmp/large"
	as "$viewer" api_is "who may not import sends nothing large either" 413 POST /v1/import "" \
		-H 'Content-Type: application/json' --data-binary "@$tmp/large"
	api_is "who may does" 400 POST /v1/import "" -H 'Content-Type: application/json' --data-binary "@$tmp/large"
	secret "$viewer"
	secret "$operator"
}

wrong_bodies()
{
	local method path json wrong=
	while IFS='|' read -r method path json; do
		api "$method" "$path" "$json"
		[ "$status" = 400 ] || wrong+="$method $path $json: $status $body; "
	done <<'EOF'
POST|/v1/operators|{}
POST|/v1/operators|{"name":5}
POST|/v1/operators|{"name":"a b"}
POST|/v1/operators|{"name":"ok","role":"root"}
POST|/v1/operators|{"name":"ok","scope":"site = = 3"}
POST|/v1/operators|{"name":"ok","role":"admin","scope":"site = bern"}
POST|/v1/operators|{"name":"ok","password":"short"}
POST|/v1/operators|{"name":"ok","colour":"red"}
POST|/v1/operators|{"name":"ok"
POST|/v1/operators|[]
POST|/v1/operators/x|{"disabled":"yes"}
POST|/v1/api-tokens|{"role":"host"}
POST|/v1/api-tokens|{"role":"none"}
POST|/v1/api-tokens|{"expires_in":-1}
POST|/v1/api-tokens|{"expires_in":"1d"}
POST|/v1/session|{"name":"ada"}
POST|/v1/session|{"name":"ada","password":"x","token":"y"}
POST|/v1/session|{"name":["ada"],"password":"x"}
POST|/v1/releases|{}
POST|/v1/releases|{"document":{}}
POST|/v1/releases|{"document":"{}"}
POST|/v1/releases|{"document":"nothing"}
POST|/v1/releases/1|{"is_barrier":1}
POST|/v1/releases/1|{"withdrawn":false}
GET|/v1/releases?after=x|
GET|/v1/releases?limit=0|
GET|/v1/releases?limit=1001|
GET|/v1/releases?colour=red|
GET|/v1/releases/1/sbom?format=pdf|
GET|/v1/packages/tool/hosts?below=|
GET|/v1/overview/timeline?hours=0|
GET|/v1/overview/timeline?hours=99999|
GET|/v1/events?order=up|
GET|/v1/audit?after=-1|
POST|/v1/webhooks|{}
POST|/v1/webhooks|{"url":"ftp://127.0.0.1/x"}
POST|/v1/webhooks|{"url":"http://user:word@127.0.0.1/x"}
POST|/v1/webhooks|{"url":"http://two words/x"}
POST|/v1/webhooks|{"url":"http://127.0.0.1:0/x"}
POST|/v1/webhooks|{"url":"http://127.0.0.1/x","kinds":"all"}
POST|/v1/webhooks|{"url":"http://127.0.0.1/x","kinds":[3]}
POST|/v1/webhooks|{"url":"http://127.0.0.1/x","kinds":["Rollout"]}
POST|/v1/import|{}
POST|/v1/import|{"yaml":"format: 2\n"}
POST|/v1/import|{"yaml":"format: 1\ncolours: []\n"}
POST|/v1/import|{"yaml":"format: 1\npolicies:\n  - name: p\n    selector: \"= 3\"\n"}
POST|/v1/import|{"yaml":"format: 1\npolicies:\n  - name: p\n  - name: p\n"}
POST|/v1/import|{"yaml":"format: 1\noperators:\n  - {name: x, password: y}\n"}
EOF
	empty "wrong bodies and arguments are 400, and say so" "$wrong"
	like "with a sentence" "$body" '"kind":"request","text":"import:'
}

operators()
{
	api_is "an operator is made" 200 POST /v1/operators '{"name":"ada","password":"a very long word","role":"admin"}'
	is "with a password that is not told" "$(field .has_password)" true
	api_is "not twice" 409 POST /v1/operators '{"name":"ada"}'
	api_is "a second one" 200 POST /v1/operators '{"name":"bob","password":"another long word","scope":"site = bern"}'
	api_is "they are listed" 200 GET "/v1/operators?limit=1"
	is "by pages" "$(field '[.items[].name, .next] | join(" ")')" "ada ada"
	api_is "the next one" 200 GET "/v1/operators?limit=1&after=$(field .next)"
	is "is the other" "$(field '.items[0] | [.name, .scope] | join(" ")')" "bob site = bern"
	api_is "the last admin cannot be disabled" 409 POST /v1/operators/ada '{"disabled":true}'
	api_is "nor made less" 409 POST /v1/operators/ada '{"role":"viewer"}'
	api_is "nor removed" 409 DELETE /v1/operators/ada
	api_is "whom there is not" 404 GET /v1/operators/eve
	api_is "  ..." 404 POST /v1/operators/eve '{"disabled":true}'
	secret "a very long word"
	secret "another long word"
	secret "yet another word"
}

sessions()
{
	local cookie csrf
	rm -f "$tmp/jar"
	session POST /v1/session '{"name":"bob","password":"another long word"}'
	is "log-in" "$status" 200
	csrf=$(field .csrf)
	cookie=$(awk '$6 == "ashlar_session" {print $7}' "$tmp/jar")
	secret "$cookie"
	like "the cookie is for this server and no script" "$(curl -sS --cacert "$fleet_ca" -D - -o /dev/null \
		-H 'Content-Type: application/json' -d '{"name":"bob","password":"another long word"}' \
		"$fleet_url/v1/session" | grep -i '^set-cookie')" 'Secure; HttpOnly; SameSite=Strict'
	session GET /v1/session
	is "it says who" "$(field '[.name, .role, .scope, .csrf] | join(" ")')" "bob viewer site = bern $csrf"
	session POST /v1/session/password '{"old":"another long word","new":"yet another word"}'
	is "a change without the second value" "$status" 403
	session POST /v1/session/password '{"old":"another long word","new":"yet another word"}' "$(tr 0-9 1-9a <<<"$csrf")"
	is "or a wrong one is refused" "$status" 403
	session POST /v1/session/password '{"old":"a wrong long word","new":"yet another word"}' "$csrf"
	is "so is a wrong old password" "$status" 403
	session POST /v1/session/password '{"old":"another long word","new":"yet another word"}' "$csrf"
	is "the right ones change it" "$status" 204
	session GET /v1/session
	is "and end all sessions" "$status" 401
	rm -f "$tmp/jar"
	session POST /v1/session '{"name":"bob","password":"another long word"}'
	is "the old password is no more" "$status" 401
	local refused=$body
	session POST /v1/session '{"name":"nobody","password":"another long word"}'
	is "whoever there is not is told the same" "$status $body" "401 $refused"
	session POST /v1/session '{"name":"bob","password":"yet another word"}'
	is "the new one is" "$status" 200
	csrf=$(field .csrf)
	api POST /v1/operators/bob '{"disabled":true}'
	session GET /v1/session
	is "disabled: out at once" "$status" 401
	session POST /v1/session '{"name":"bob","password":"yet another word"}'
	is "and not in again" "$status" 401
	api POST /v1/operators/bob '{"disabled":false}'
	rm -f "$tmp/jar"
	session POST /v1/session "{\"token\":\"$fleet_token\"}"
	is "a token logs in too" "$status $(field .role)" "200 admin"
	csrf=$(field .csrf)
	session DELETE /v1/session "" "$csrf"
	is "log-out" "$status" 204
	session GET /v1/session
	is "  ..." "$status" 401
	# The waits double, so that a slow machine comes to one as well.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		session POST /v1/session '{"name":"ada","password":"a guess of a word"}'
		[ "$status" = 401 ] || break
	done
	is "who guesses has to wait" "$status $(field .kind)" "429 login"
}

tokens()
{
	local id
	api POST /v1/api-tokens '{"role":"viewer","note":"grafana","expires_in":3600}'
	id=$(field .id)
	local token
	token=$(field .secret)
	secret "$token"
	as "$token" api_is "a token works" 200 GET /v1/releases
	api GET /v1/api-tokens
	is "lists have no secrets" "$(grep -c "${token#*.}" <<<"$body")" 0
	is "but what they are for" "$(field ".items[] | select(.id == \"$id\").note")" grafana
	api_is "revoked" 204 POST "/v1/api-tokens/$id/revoke"
	as "$token" api_is "it works no more" 401 GET /v1/releases
	api_is "again is no failure" 204 POST "/v1/api-tokens/$id/revoke"
	api_is "what there is not" 404 POST /v1/api-tokens/0000/revoke
}

releases()
{
	api_is "the publication is read" 200 POST /v1/releases/scan
	is "two releases" "$(field '.added | join(", ")')" "example 1.0 for amd64, example 1.1 for amd64"
	api_is "and again" 200 POST /v1/releases/scan
	is "nothing is new" "$(field '.added | length')" 0
	api_is "they are listed" 200 GET /v1/releases
	is "by what they are" "$(field '.items[0] | [.name, .arch, .version, .commit] | join(" ")')" "example amd64 1.0 $v1"
	api_is "one by its version" 200 GET /v1/releases/1.1
	is "with document and packages" "$(field '[.document.commit, .package_count, (.sboms | join(","))] | join(" ")')" \
		"$v2 1 cyclonedx,spdx"
	local id
	id=$(field .id)
	api_is "by name and version" 200 GET "/v1/releases/example%2F1.1"
	api_is "by its number" 200 GET "/v1/releases/$id"
	api_is "none" 404 GET /v1/releases/9.9
	api_is "its packages" 200 GET /v1/releases/1.1/packages
	is "are those of the commit" "$(field '.items | map(.name + " " + .version) | join(",")')" "tool 1.1"
	api_is "what changed" 200 GET /v1/releases/1.0/diff/1.1
	is "is told" "$(jq -c . <<<"$body")" \
		'{"added":[],"removed":[],"changed":[{"name":"tool","from":"1.0","to":"1.1"}]}'
	api_is "a bill of materials" 200 GET /v1/releases/1.1/sbom
	is "is the one that was published" "$(jq -S . "$tmp/body" | sha256sum)" "$(jq -S . "$pub/sbom/$v2.spdx.json" | sha256sum)"
	api_is "the other kind" 200 GET "/v1/releases/1.1/sbom?format=cyclonedx"
	is "is another document" "$(field .bomFormat)" CycloneDX

	local by_hand
	by_hand=$(jq -nc --arg d "$third" '{document: $d, is_barrier: true, packages: [{name: "tool", version: "1:0.9",
		arch: "amd64"}, {name: "extra", version: "3"}]}')
	api_is "a release by hand" 200 POST /v1/releases "$by_hand"
	is "is a barrier" "$(field '[.version, .is_barrier] | join(" ")')" "1.2 true"
	api_is "again is no failure" 200 POST /v1/releases "$by_hand"
	api_is "with another commit it is" 409 POST /v1/releases "$(jq -nc --arg d "${third//$v3/$v1}" '{document: $d}')"
	api_is "what it brings" 200 GET /v1/releases/1.1/diff/1.2
	is "  ..." "$(field '[(.added | map(.name)), (.removed | map(.version))] | tostring')" '[["extra","tool"],["1.1"]]'
	api_is "without its bill of materials" 404 GET /v1/releases/1.2/sbom
	api_is "withdrawn" 200 POST /v1/releases/1.2 '{"withdrawn":"eats disks","dead_end":"no way on","notes":"x"}'
	is "with why" "$(field '[.withdrawn, .dead_end, .is_barrier] | join(" ")')" "eats disks no way on true"
	api_is "and offered again" 200 POST /v1/releases/1.2 '{"withdrawn":""}'
	is "  ..." "$(field '[.withdrawn, .dead_end] | join("")')" "no way on"
	api_is "the stream has it" 200 GET "/v1/events?kind=release.*&order=old"
	is "in order" "$(field '.items | map(.kind) | join(" ")')" \
		"release.added release.added release.added release.changed release.withdrawn release.changed"
	"$ashlar" recall "$pub" 1.1 --to 1.0 --keys "$keys" --reason "loses mail" -q >/dev/null
	api_is "a recall that is published" 200 POST /v1/releases/scan
	api GET /v1/releases/1.1
	is "withdraws the release" "$(field .withdrawn)" "recalled: loses mail"
}

# Hosts as the server finds them at its start.
add_hosts()
{
	local n version commit
	for n in 1 2 3; do
		version=1.$((n / 3)) commit=$v1
		[ "$version" = 1.0 ] || commit=$v2
		sql "INSERT INTO host (id, name, state, labels, health_word, agent_state, verdict, \"commit\", version, image,
			arch, said, enrolled_at, last_seen) VALUES ('$(printf "$n%.0s" {1..64})', 'web$n',
			'$([ "$n" = 2 ] && echo held || echo active)', '{\"site\":\"$([ "$n" = 3 ] && echo bern || echo basel)\"}',
			'good', 'idle', 'good', '$commit', '$version', 'example', 'amd64', 7, 1, $(date +%s))"
	done
}

overview()
{
	api_is "overview" 200 GET /v1/overview
	is "counts" "$(field '[.hosts, .by_state.active, .by_state.held, .server.trouble] | map(tostring) | join(" ")')" "3 2 1 "
	is "versions" "$(field '.versions | map("\(.version) \(.count)") | sort | join(", ")')" "1.0 1, 1.1 1"
	is "the held one needs attention" "$(field '.attention[] | select(.kind == "held") | [.text, .link] | join(" ")')" \
		"Host web2 is held. /hosts/$(printf '2%.0s' {1..64})"
	is "the server says what it is" "$(field .server.database)" "$database"
	api POST /v1/api-tokens '{"role":"viewer","scope":"site = bern"}'
	local token
	token=$(field .secret)
	secret "$token"
	as "$token" api GET /v1/overview
	is "whoever may see Bern sees Bern" "$(field '[.hosts, (.versions | map(.version) | join(",")), (.attention | map(select(.host)) | length)] | map(tostring) | join(" ")')" \
		"1 1.1 0"
	api_is "the time line" 200 GET /v1/overview/timeline
	is "has the versions" "$(field '.versions | join(" ")')" "1.0 1.1"
	is "and how many ran them" "$(field '.points[-1].counts | map(tostring) | join(" ")')" "1 1"
	eventually 20 timeline_is_sampled
	is "samples are kept" "$(field '.points | length > 1')" true
	as "$token" api GET /v1/overview/timeline
	is "but not of Bern alone" "$(field '[(.points | length), (.versions | join(","))] | map(tostring) | join(" ")')" "1 1.1"

	api_is "who runs the tool" 200 GET /v1/packages/tool/hosts
	is "all hosts" "$(field '[.count, (.items | map(.name + " " + .package) | join(", "))] | map(tostring) | join(": ")')" \
		"3: web1 1.0, web2 1.0, web3 1.1"
	api_is "an old one" 200 GET "/v1/packages/tool/hosts?below=1.1"
	is "two" "$(field '.items | map(.name) | join(" ")')" "web1 web2"
	api_is "by pages" 200 GET "/v1/packages/tool/hosts?limit=1&after=$(printf '1%.0s' {1..64})"
	is "  ..." "$(field '.items | map(.name) | join(" ")')" web2
	as "$token" api GET "/v1/packages/tool/hosts"
	is "within the scope" "$(field '.items | map(.name) | join(" ")')" web3
	api GET "/v1/packages/tool/hosts?below=1.0~rc1"
	is "Debian's order of versions" "$(field .count)" 0
	api GET "/v1/packages/tool/hosts?below=1:0"
	is "with epochs" "$(field .count)" 3
	api GET /v1/packages/nothing/hosts
	is "a package that nobody has" "$(field .count)" 0
	is "and of nobody it is unknown" "$(field .unlisted)" 0
	for version in x:1 1: '2.0%201' '%20' -1; do
		api_is "'$version' is no version to be below of" 400 GET "/v1/packages/tool/hosts?below=$version"
	done
	api GET /v1/releases/1.0
	is "a release knows how many run it" "$(field .hosts)" 2
}

timeline_is_sampled()
{
	api GET /v1/overview/timeline
	[ "$(field '.points | length')" -gt 1 ]
}

events()
{
	local last
	api_is "events, the newest first" 200 GET "/v1/events?limit=2"
	is "two of them" "$(field '.items | length')" 2
	last=$(field '.items[0].seq')
	api GET "/v1/events?limit=2&after=$(field .next)"
	ok "the next page is older" test "$(field '.items[0].seq')" -lt $((last - 1))
	api GET "/v1/events?order=old&after=$((last - 1))"
	is "the oldest first, behind one" "$(field '.items | map(.seq) | join(" ")')" "$last"
	as "$viewer" api GET "/v1/events?kind=operator.*"
	is "of operators admins alone are told" "$(field '.items | length')" 0
	curl -sS --cacert "$fleet_ca" -H "Authorization: Bearer $fleet_token" --max-time 3 -N \
		"$fleet_url/v1/stream?after=$((last - 1))" >"$tmp/stream" 2>"$tmp/curl.err"
	is "the stream tells it too" "$(sed -n 's/^id: //p' "$tmp/stream" | head -n 1)" "$last"
	is "as JSON" "$(sed -n 's/^data: //p' "$tmp/stream" | head -n 1 | jq -r .seq)" "$last"
	curl -sS --cacert "$fleet_ca" -H "Authorization: Bearer $viewer" --max-time 20 -N -H "Last-Event-ID: $last" \
		"$fleet_url/v1/stream?after=0" >"$tmp/stream" 2>/dev/null &
	local stream=$!
	api POST /v1/releases/1.0 '{"notes":"as it happens"}'
	ok "and goes on with what happens" eventually 20 grep -q '^event: release.changed' "$tmp/stream"
	is "behind what the browser saw" "$(sed -n 's/^id: //p' "$tmp/stream" | head -n 1)" $((last + 1))
	# Rights changed: the viewer has to show again who it is.
	api POST /v1/operators '{"name":"carl"}'
	ok "until somebody's rights change" eventually 20 gone $stream
	kill $stream 2>/dev/null
	wait $stream
	api DELETE /v1/operators/carl
	api POST /v1/api-tokens '{"role":"viewer","note":"short","expires_in":5}'
	curl -sS --cacert "$fleet_ca" -H "Authorization: Bearer $(field .secret)" --max-time 40 -N \
		"$fleet_url/v1/stream" >"$tmp/stream" 2>/dev/null &
	stream=$!
	ok "a stream of a token that will end" eventually 20 told_and_heard
	ok "ends with it" eventually 20 told_and_gone $stream
	kill $stream 2>/dev/null
	wait $stream
}

told_and_heard()
{
	api POST /v1/releases/1.0 '{"notes":"heard"}'
	grep -q '^event: release.changed' "$tmp/stream"
}

told_and_gone()
{
	api POST /v1/releases/1.0 '{"notes":"heard by nobody"}'
	gone "$1"
}

gone()
{
	! kill -0 "$1" 2>/dev/null
}

has_lines()
{
	[ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}

# Every line of the file is signed with this secret.
check_signatures()
{
	python3 - "$1" "$2" <<'EOF'
import hashlib, hmac, json, sys, time
for line in open(sys.argv[1]):
    hook = json.loads(line)
    said = dict(part.split("=") for part in hook["signature"].split(","))
    text = (said["t"] + "." + hook["body"]).encode()
    assert hmac.compare_digest(said["v1"], hmac.new(sys.argv[2].encode(), text, hashlib.sha256).hexdigest())
    assert abs(time.time() - int(said["t"])) < 300
    assert json.loads(hook["body"])["kind"] == hook["kind"]
EOF
}

webhooks()
{
	local id key log=$tmp/hooks/ok-$database
	rm -f "$tmp"/hooks/*
	api_is "a webhook" 200 POST /v1/webhooks "{\"url\":\"$receiver/ok-$database\",\"kinds\":[\"release.*\"]}"
	id=$(field .id)
	key=$(field .secret)
	hook_secrets+=("$key")
	api_is "not two to one address" 409 POST /v1/webhooks "{\"url\":\"$receiver/ok-$database\"}"
	api GET "/v1/webhooks/$id"
	is "its secret is not told again" "$(field 'has("secret")')" false
	for n in 1 2 3; do
		api POST /v1/releases/1.0 "{\"notes\":\"change $n\"}"
	done
	api POST /v1/operators/bob '{"role":"viewer"}'
	ok "events arrive" eventually 30 has_lines "$log" 3
	is "those that were asked for" "$(jq -r .kind "$log" | sort -u)" release.changed
	is "in order" "$(jq -r '.body | fromjson | .seq' "$log")" "$(jq -r '.body | fromjson | .seq' "$log" | sort -n)"
	ok "signed" check_signatures "$log" "$key"
	ok "and counted" eventually 20 delivered "$id" 3
	api_is "from the first one again" 200 POST "/v1/webhooks/$id/replay" "{\"from\":$(head -n 1 "$log" | jq -r '.body | fromjson | .seq')}"
	ok "the same come again" eventually 30 has_lines "$log" 6
	is "and say that they are the same" "$(jq -r .delivery "$log" | sort | uniq -c | awk '{print $1}' | sort -u)" 2
	api_is "not from what has not happened, which would be silence until then" 400 POST "/v1/webhooks/$id/replay" '{"from":999999}'
	api_is "paused" 200 POST "/v1/webhooks/$id/pause" '{"reason":"moving house"}'
	api GET /v1/overview
	is "needs attention" "$(field '.attention[] | select(.kind == "webhook").text')" "Webhook $id is paused: moving house"
	api POST /v1/releases/1.0 '{"notes":"unheard"}'

	api POST /v1/webhooks "{\"url\":\"$receiver/slow-$database\",\"kinds\":[\"release.changed\"]}"
	hook_secrets+=("$(field .secret)")
	api POST /v1/webhooks "{\"url\":\"$receiver/gone-$database\",\"kinds\":[\"release.changed\"]}"
	local gone_id
	gone_id=$(field .id)
	hook_secrets+=("$(field .secret)")
	api POST /v1/releases/1.0 '{"notes":"heard late"}'
	ok "what failed is tried again" eventually 30 has_lines "$tmp/hooks/slow-$database" 2
	is "the same thing" "$(jq -r .delivery "$tmp/hooks/slow-$database" | sort -u | wc -l)" 1
	ok "410 pauses" eventually 20 paused "$gone_id"
	has_lines "$log" 7 && fail "nothing comes to who is paused" "$(tail -n 1 "$log")"
	api_is "resumed" 200 POST "/v1/webhooks/$id/resume"
	ok "nothing was lost" eventually 30 has_lines "$log" 8
	api_is "removed" 204 DELETE "/v1/webhooks/$gone_id"
	api_is "is gone" 404 GET "/v1/webhooks/$gone_id"
}

delivered()
{
	api GET "/v1/webhooks/$1"
	[ "$(field .delivered)" -ge "$2" ]
}

paused()
{
	api GET "/v1/webhooks/$1"
	[ -n "$(field .paused)" ]
}

import()
{
	api POST "/v1/import$1" "$(jq -nc --rawfile yaml "$2" '{yaml: $yaml}')"
}

export_and_import()
{
	cat >"$tmp/import.yaml" <<EOF
format: 1
channels:
  - {name: stable, release: example/1.0, arch: amd64, note: what most run}
policies:
  - {name: night, rank: 10, selector: 'site = bern', windows: ["02:00-05:00 Europe/Zurich"], note: "quiet: please"}
locks:
  - {name: storage, slots: 2, lease: 600}
hosts:
  - id: $(printf '1%.0s' {1..64})
    labels: {site: basel, role: web, channel: stable}
  - id: $(printf '9%.0s' {1..64})
    labels: {site: nowhere}
EOF
	import "?dry_run=1" "$tmp/import.yaml"
	is "a dry run says what would change" "$(field '.changes | map("\(.act) \(.kind) \(.name)"[:24]) | join(", ")')" \
		"add channel stable, add policy night, add lock storage, change host 111111111111, remove lock default"
	is "and whom it does not know" "$(field .unknown_hosts)" 1
	api GET /v1/export
	unlike "and changes nothing" "$body" 'stable'
	import "" "$tmp/import.yaml"
	is "an import does it" "$status $(field '.changes | length')" "200 5"
	import "?dry_run=1" "$tmp/import.yaml"
	is "then nothing is left to do" "$(field '.changes | length')" 0
	api_is "an export" 200 GET /v1/export
	cp "$tmp/body" "$tmp/exported-$database.yaml"
	import "?dry_run=1" "$tmp/exported-$database.yaml"
	is "is what there is" "$status $(field '.changes | length')" "200 0"
	sed 's/slots: 2/slots: 3/; /name: night/,/note:/d' "$tmp/exported-$database.yaml" >"$tmp/changed.yaml"
	import "?dry_run=1" "$tmp/changed.yaml"
	is "a difference is told" "$(field '.changes | map("\(.act) \(.kind) \(.name) \(.before.slots) \(.after.slots)") | join(", ")')" \
		"change lock storage 2 3, remove policy night null null"
	printf 'format: 1\noperators: []\n' >"$tmp/nobody.yaml"
	import "" "$tmp/nobody.yaml"
	is "the last admin stays" "$status" 409
	printf 'format: 1\nchannels:\n  - {name: beta, release: example/7.7, arch: amd64}\n' >"$tmp/none.yaml"
	import "?dry_run=1" "$tmp/none.yaml"
	is "what cannot be done is told by the dry run" "$status" 409
	like "  with its name" "$body" "channel 'beta': there is no release example/7.7"
	api GET "/v1/hosts/$(printf '1%.0s' {1..64})"
	[ "$status" = 200 ] && is "labels reach the hosts" "$(field .labels.role)" web
}

audit()
{
	api_is "the audit log" 200 GET "/v1/audit?limit=3"
	is "from the first" "$(field '.items | map(.seq) | join(" ")')" "1 2 3"
	api GET "/v1/audit?limit=3&after=$(field .next)"
	is "by pages" "$(field '.items[0].seq')" 4
	api GET "/v1/audit?limit=1000"
	local log=$body action
	for action in operator.create operator.change operator.remove operator.password session.begin session.end \
		session.refused api-token.create api-token.revoke release.added release.withdrawn webhook.create \
		webhook.replay webhook.pause import.channel import.host; do
		jq -e --arg a "$action" '.items | any(.action == $a)' <<<"$log" >/dev/null || missing+="$action "
	done
	empty "every change is in it" "${missing:-}"
	api_is "it holds" 200 GET /v1/audit/verify
	is "from the first to the last" "$(field '[.ok, .count, .first_bad] | map(tostring) | join(" ")')" \
		"true $(jq '.items | length' <<<"$log") 0"
	sql "UPDATE audit SET actor = 'somebody else' WHERE seq = 5" 2>/dev/null
	api GET /v1/audit/verify
	is "who changes a row is found out" "$(field '[.ok, .first_bad] | map(tostring) | join(" ")')" "false 5"
}

# Tokens, passwords and cookies: nowhere. What signs webhooks: in the database alone, which has to sign.
no_secrets()
{
	local part found=
	secret "$fleet_token"
	: >"$tmp/everything"
	for part in operators api-tokens webhooks audit?limit=1000 events?limit=1000 export overview; do
		api GET "/v1/$part"
		cat "$tmp/body" >>"$tmp/everything"
	done
	cat "$fleet_log" "$tmp"/hooks/* >>"$tmp/everything"
	sed 's/^[0-9a-f]*\.//' "$tmp/secrets" >"$tmp/patterns"
	printf '%s\n' "${hook_secrets[@]}" >"$tmp/hook-patterns"
	ok "there is something to look for" test "$(sort -u "$tmp/patterns" | wc -l)" -ge 8 -a -s "$tmp/everything"
	found=$(grep -aoFf "$tmp/patterns" "$tmp/everything"; grep -aoFf "$tmp/hook-patterns" "$tmp/everything")
	empty "no secret in lists, log, audit, events, exports" "$found"
	if [ "$database" = postgres ]; then
		as_postgres "$postgres_bin/pg_dump" -h "$postgres_dir" -U postgres postgres >"$tmp/dump"
	else
		cat "$dir"/fleet.db* >"$tmp/dump"
	fi
	ok "the database is looked at" grep -qaF "operator.create" "$tmp/dump"
	empty "nor in the database" "$(grep -aoFf "$tmp/patterns" "$tmp/dump")"
}

course()
{
	database=$1
	dir=$tmp/$database
	shift
	hook_secrets=()
	missing=
	: >"$tmp/secrets"
	fleet_token=
	fleet_listen=
	echo "# $database"
	fleet_start "$dir" "content: $pub" "rate: {hosts: 0, operators: 0}" "$@" || {
		fail "the server starts over $database"
		return
	}
	who_may
	operators
	sessions
	tokens
	releases
	wrong_bodies
	fleet_stop
	add_hosts
	fleet_start "$dir"
	overview
	events
	webhooks
	export_and_import
	audit
	no_secrets
	ok "it ends in peace" fleet_stop
}

course sqlite
if [ -n "$postgres_bin" ] && getent passwd postgres >/dev/null; then
	postgres_init fsync=off && postgres_start
	# A publication as it was.
	rm -rf "$pub"
	mkdir -p "$pub"
	release "$v1" -q >/dev/null
	release "$v2" -q >/dev/null
	publish --no-deltas -q >/dev/null
	course postgres "database: \"$postgres\""
else
	skip "the same over PostgreSQL" "postgresql is not there"
fi

done_testing
