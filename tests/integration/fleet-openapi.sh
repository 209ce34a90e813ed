#!/bin/bash
# needs: curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2119
# The OpenAPI document beside the running server: what it names answers, what it does not name is refused, and answers
# have the members and types that it says.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

python3 -c 'import jsonschema' 2>/dev/null || skip_all "needs python3-jsonschema"

# ---- one of everything -------------------------------------------------------------------------------

ok "a server starts" fleet_start "$tmp/fleet" 'rate: {operators: 0}' 'ddi: {enabled: true}'
for version in 1.0 2.0; do
	ok "release $version is added" release_add "$version"
done
ok "hosts join" hosts_join 6 '{"channel":"stable","site":"bern"}'
ok "... and check in" hosts_round
host=$(cat "$hosts/1.id")
# A definition comes out of a publication, a report out of a check-in; here both lie in the database.
python3 - "$tmp/fleet/fleet.db" "$host" <<'EOF'
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
digest = "0123456789abcdef" * 4
for version in "1.0", "1.1":
    document = {"workload": "web", "version": version, "image": "oci:registry.example/web@sha256:" + digest}
    db.execute("INSERT INTO workload (name, version, sha256, document, added_at, isolation, score, words) VALUES "
        "('web', ?, ?, ?, 1, 'container', 3, 'little')", (version, digest, json.dumps(document)))
report = {"items": [{"name": "web", "version": "1.0", "ready": True}],
    "missing": [{"name": "db", "version": "1.0", "word": "untrusted", "text": "t"}]}
db.execute("INSERT INTO host_workload (host, report, at) VALUES (?, ?, 1)", (sys.argv[2], json.dumps(report)))
db.commit()
EOF
while read -r method path json; do
	api "$method" "$path" "$json"; like "$method $path" "$status $body" "^20"
done <<EOF
PUT /v1/channels/stable {"release":"1.0","note":"n"}
PUT /v1/policies/nights {"selector":"site = bern","windows":["02:00-05:00"]}
POST /v1/operators {"name":"ada","role":"operator","password":"correct horse battery"}
POST /v1/api-tokens {"role":"viewer","note":"n"}
POST /v1/webhooks {"url":"http://127.0.0.1:9/hook"}
PUT /v1/locks/rack-1 {"slots":2}
POST /v1/ddi/targets {"id":"meter-1"}
POST /v1/ddi/modules {"name":"os","version":"1","type":"os"}
POST /v1/hosts/$host/orders {"verb":"check"}
PUT /v1/assignments/edge-web {"workload":"web","version":"1.0","selector":"site = bern"}
POST /v1/workloads/web/1.1 {"notes":"n"}
POST /v1/hosts/$host/workloads/web {"act":"restart"}
POST /v1/rollouts {"release":"2.0","selector":"site = bern","name":"n","soak":3600}
EOF
rollout=$(jq -r .id <<<"$body")
for _ in 1 2 3; do
	hosts_round
done
token=$(api GET /v1/tokens && jq -r '.items[0].id' <<<"$body")
webhook=$(api GET /v1/webhooks && jq -r '.items[0].id' <<<"$body")

# ---- beside the document -----------------------------------------------------------------------------

cat >"$tmp/beside.py" <<'EOF'
import json, re, ssl, sys, http.client, urllib.parse
import jsonschema

url, ca, token, out = sys.argv[1:5]
values = json.loads(sys.argv[5])
where = urllib.parse.urlsplit(url)
context = ssl.create_default_context(cafile=ca)

def ask(method, path, body=None, more={}):
    call = http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=60)
    headers = {"Authorization": "Bearer " + token, **more}
    if body is not None:
        headers["Content-Type"] = "application/json"
    call.request(method, path, body=body, headers=headers)
    answer = call.getresponse()
    kind = answer.getheader("Content-Type") or ""
    text = b"" if kind.startswith("text/event-stream") else answer.read()
    call.close()
    return answer.status, kind, text

def strict(schema):
    "Nothing may come that the document does not name; an object in another may be null."
    made = {k: v for k, v in schema.items() if k in ("type",)}
    if "properties" in schema:
        made["properties"] = {k: strict(v) for k, v in schema["properties"].items()}
        made["additionalProperties"] = False
    if "additionalProperties" in schema:
        made["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = strict(schema["items"])
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made

def fill(path):
    for pattern, value in values.items():
        if re.fullmatch(pattern, path):
            return re.sub(r"\{[^}]*\}", lambda m: next(parts), path) if (parts := iter(value)) else path
    return re.sub(r"\{[^}]*\}", "1", path)

results = open(out, "w")
def say(ok, name, why=""):
    results.write(("ok" if ok else "bad") + " " + name + (": " + why if why and not ok else "") + "\n")

document = json.loads(ask("GET", "/v1/openapi.json")[2])
checked = 0
for path, operations in document["paths"].items():
    real = fill(path)
    for method, operation in operations.items():
        # A body that no change takes: what is there says 400 (or asks who it is), what is not, 404 "nothing at this address".
        status, kind, text = ask(method.upper(), real, None if method == "get" else '{"no such member":1}')
        absent = status == 404 and b"there is nothing at this address" in text
        say(not absent and status not in (405, 500, 501), f"{method} {path} answers", f"{status} {text[:200]!r}")
        if method != "get" or status != 200 or not kind.startswith("application/json"):
            continue
        schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            say(path == "/v1/openapi.json", f"{method} {path} has a schema")
            continue
        checked += 1
        try:
            jsonschema.validate(json.loads(text), strict(schema), cls=jsonschema.Draft4Validator)
            say(True, f"{method} {path} is as documented")
        except jsonschema.ValidationError as error:
            say(False, f"{method} {path} is as documented", "/".join(map(str, error.absolute_path)) + " " + error.message[:300])
    for method in ("get", "post", "put", "delete", "patch"):
        # A word may stand where another pattern has a part of any name.
        if any(method in others and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", pattern), real)
               for pattern, others in document["paths"].items()):
            continue
        status, _, text = ask(method.upper(), real, None if method == "get" else "{}")
        say(status == 405, f"{method} {path}, which is not there, is refused", f"{status} {text[:200]!r}")
say(checked >= 30, "many answers were looked at", str(checked))
EOF

ok "the server is asked for all of it" python3 "$tmp/beside.py" "$fleet_url" "$fleet_ca" "$fleet_token" "$tmp/results" \
	"$(jq -nc --arg host "$host" --arg rollout "$rollout" --arg token "$token" --arg webhook "$webhook" '{
		"/v1/hosts/\\{id\\}/workloads/.*": [$host, "web"], "/v1/hosts/\\{id\\}.*": [$host],
		"/v1/workloads/.*/diff/.*": ["web", "1.0", "1.1"], "/v1/workloads/\\{name\\}/.*": ["web", "1.0"],
		"/v1/workloads/.*": ["web"], "/v1/assignments/.*": ["edge-web"], "/v1/rollouts/.*": [$rollout], "/v1/tokens/.*": [$token],
		"/v1/webhooks/.*": [$webhook], "/v1/releases/\\{id\\}/diff/.*": ["1", "2"], "/v1/releases/.*": ["1"],
		"/v1/channels/.*": ["stable"], "/v1/policies/.*": ["nights"], "/v1/operators/.*": ["ada"],
		"/v1/locks/.*": ["rack-1"], "/v1/ddi/targets/.*": ["meter-1", "1"], "/v1/ddi/modules/.*": ["1", "x"]}')"
diag "$(grep -c '^ok' "$tmp/results") of $(wc -l <"$tmp/results") are right"
empty "all of it is as the document says" "$(grep '^bad' "$tmp/results")"
done_testing
