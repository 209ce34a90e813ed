#!/bin/bash
# needs: curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# Everything that the API lets an operator do, ashlar-fleet can do: each command is run against a server that writes down
# what it is asked, and that is held against the OpenAPI document of the real one, route by route and member by member.
# A new route, argument or member fails here until a command has it, or the list below says whose it is.
. tests/lib/tap.sh
. tests/lib/fleet.bash

fleet=$(realpath "$ashlar_bin/ashlar-fleet")
export HOME=$tmp/home XDG_CONFIG_HOME=$tmp/home/.config TZ=UTC
unset ASHLAR_FLEET_URL ASHLAR_FLEET_TOKEN ASHLAR_FLEET_CA
mkdir -p "$HOME"

ok "a server starts" fleet_start "$tmp/fleet" 'ddi: {enabled: true}' 'fleetlock: {open: true}'
api GET /v1/openapi.json
cp "$tmp/body" "$tmp/openapi.json"

# ---- not operators' acts: hosts', devices' (DDI, FleetLock), browsers' and monitoring's ----------------

cat >"$tmp/others" <<'EOF'
POST /v1/join
POST /v1/renew
POST /v1/checkin
GET /v1/crl
GET /v1/openapi.json
[A-Z]+ /(?!v1/).*
EOF
# Members and arguments that another way leads to, or that no person has a use for: lists are read whole ("after").
cat >"$tmp/other-members" <<'EOF'
GET .* (after|limit)
GET /v1/(events|audit) order
POST /v1/session token
(POST|DELETE) /v1/session(/password)? reason
POST /v1/rollouts/\{id\}/replay reason
EOF

# ---- what is asked -----------------------------------------------------------------------------------

cat >"$tmp/recorder.py" <<'EOF'
import http.server, json, sys, urllib.parse

ca = open(sys.argv[1]).read()
log = open(sys.argv[2], "w", buffering=1)
# One answer for every question.
answer = {"items": [], "next": "", "count": 0, "hosts": 0, "already": 0, "changed": 0, "id": "a1", "secret": "a.b", "token": "t",
          "name": "ann", "role": "admin", "scope": "", "csrf": "c0ffee", "groups": [], "changes": [], "agrees": True, "ok": True,
          "head": "0", "lines": 1, "limits": [], "warnings": [], "versions": [], "points": [], "state": "finished",
          "answer": "waiting", "selector": "all", "rank": 5, "poll": 60, "windows": [], "note": "n", "added": [], "removed": [],
          "filename": "f", "size": 1, "order": 7, "is_wider": False}

class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        where = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        members = json.loads(body) if body else {}
        log.write(json.dumps({"method": self.command, "path": where.path, "members": sorted(members),
                              "arguments": sorted(dict(urllib.parse.parse_qsl(where.query)))}) + "\n")
        kind, text = "application/json", json.dumps(answer)
        if where.path == "/v1/ca":
            kind, text = "application/x-pem-file", ca
        if where.path == "/v1/stream":
            kind, text = "text/event-stream", 'id: 1\nevent: x\ndata: {"seq":1}\n\n'
        if where.path.endswith("/logs"):
            kind, text = "text/event-stream", 'event: line\ndata: {"text":"hello"}\n\nevent: end\ndata: {"text":"that is all"}\n\n'
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        if where.path == "/v1/session":
            self.send_header("Set-Cookie", "ashlar_session=abc; Path=/; Secure")
        self.end_headers()
        self.wfile.write(text.encode())
    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer
    def log_message(self, *words):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
print(server.server_address[1], flush=True)
server.serve_forever()
EOF
python3 "$tmp/recorder.py" "$fleet_ca" "$tmp/asked" >"$tmp/port" 2>"$tmp/recorder.err" &
at_exit+=("kill $! 2>/dev/null")
for ((i = 0; i < 200; i++)); do
	[ -s "$tmp/port" ] && break
	sleep 0.05
done
url=http://127.0.0.1:$(cat "$tmp/port")
ca_sha256=$(openssl x509 -in "$fleet_ca" -outform der | sha256sum | cut -d' ' -f1)

# ---- the commands ------------------------------------------------------------------------------------

echo '{}' >"$tmp/document.json"
echo '[]' >"$tmp/packages.json"
echo 'channels: []' >"$tmp/settings.yaml"
# Each ends with 0. Words are the shell's; R is a reason.
cat >"$tmp/commands" <<EOF
login $url --fingerprint $ca_sha256 <<<a.b
whoami
overview
overview timeline --hours 5
hosts 'site = bern' --sort name
groups version all
host h1
host events h1
host history h1
host journal h1
why h1
host labels h1 a=b c- R
host order h1 forgive all R
host update h1 1.0 R
host return h1 1.0 R
host follow h1 R
host approve h1 R
host hold h1 R
host release-hold h1 R
host retire h1 R
host forget h1 R
hosts bulk labels all a=b c- --yes R
hosts bulk order all forgive all --yes R
tokens
tokens show t1
tokens add --note n --label a=b --uses 3 --expires 1d --approval R
tokens revoke t1 R
releases --name n
releases show 1.0
releases add $tmp/document.json --packages $tmp/packages.json --spdx $tmp/document.json --cyclonedx $tmp/document.json --barrier R
releases scan R
releases set 1.0 --barrier --dead-end no --withdrawn no --notes n R
releases packages 1.0
releases diff 1.0 2.0
releases sbom 1.0 --format spdx
packages openssl --below 3
channels
channels show c
channels set c 1.0 --note n --yes R
channels history c
policies
policies show p
policies set p --selector all --rank 3 --window 02:00-05:00 --poll 5m --note n R
policies remove p R
rollouts --state active
rollouts start 1.0 all --name n --channel c --canaries none --tolerated 0.02 --alpha 0.02 --first 2 --growth careful --soak 1m --deadline 1h --begin 1d --lapse 5m --patience 2d --max-in-flight 5 --budget site=10% --window 02:00-05:00 --on-halt revert --ring-pause 5m --beside --yes R
rollouts start 1.0 all --dry-run
rollouts show r1
rollouts watch r1
rollouts hosts r1 --outcome failed
rollouts ledger r1
rollouts pause r1 R
rollouts resume r1 R
rollouts revert r1 R
rollouts cancel r1 R
rollouts replay r1
events --kind host.* --host h1 --rollout r1
events --follow
audit
audit verify
locks
locks show g
locks set g --slots 2 --lease 1h --frees-late --paused no R
locks release g h1 R
locks remove g R
users
users show ann
users add ann --role viewer --scope all --password --disable R <<<'a long password'
users set ann --role viewer --scope all --password --enable R <<<'a long password'
users remove ann R
api-tokens
api-tokens add --role viewer --scope all --note n --expires 1d R
api-tokens revoke t1 R
webhooks
webhooks show w1
webhooks add https://localhost/hook --kind rollout.* --note n R
webhooks pause w1 R
webhooks resume w1 R
webhooks replay w1 --from 5 R
webhooks remove w1 R
ddi-targets
ddi-targets show d1
ddi-targets add d1 R
ddi-targets remove d1 R
ddi-modules
ddi-modules show 1
ddi-modules add os 1 --type os R
ddi-modules file 1 panel.swu R
ddi-actions d1
ddi-actions show d1 1
ddi-actions start d1 panel 1 1 --kind soft --window 02:00-05:00 --weight 5 --confirm --beside R
ddi-actions cancel d1 1 R
ddi-actions quit d1 1 R
ddi-actions force d1 1 R
workloads --name web
workload web
workload web 1.0
workload diff web 1.0 2.0
workload set web 1.0 --withdrawn no --notes n R
workload withdraw web 1.0 R
workload start h1 web@1 R
workload stop h1 web R
workload restart h1 web/web@1 R
workload forgive h1 web all R
workload logs h1 web@1 --follow --lines 5
host workloads h1
why h1 --workload web
assignments --workload web
assignment a1
assign a1 --workload web --version 1.0 --selector all --rank 3 --parameter a=b --note n --widen --yes R
unassign a1 --yes R
rollouts start --assignment a1 --version 2.0 --widen --yes R
export
import $tmp/settings.yaml R
import $tmp/settings.yaml --dry-run
simulate --hosts 10 --runs 1
login $url --name ann <<<'a long password'
password <<<\$'a long password\na longer password'
logout
EOF
failed=
while read -r line; do
	seconds=20
	[[ $line != *' --follow'* ]] || seconds=1
	eval "timeout -s INT $seconds '$fleet' ${line/ R/ --reason why}" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
	[ $code = 0 ] || [ $seconds = 1 ] || failed+="$line: $code $(head -1 "$tmp/err")"$'\n'
done <"$tmp/commands"
empty "each command is content with its answer" "$failed"

# ---- beside the document -----------------------------------------------------------------------------

cat >"$tmp/compare.py" <<'EOF'
import json, re, sys

document, asked, others, other_members = (sys.argv[i] for i in range(1, 5))
paths = json.load(open(document))["paths"]
others = [line.strip() for line in open(others)]
other_members = [line.strip() for line in open(other_members)]
# Literal words before {…}: /v1/hosts/bulk is not /v1/hosts/{id}.
order = sorted(paths, key=lambda path: path.count("{"))
seen, problems = {}, []

def find(method, path):
    for pattern in order:
        if method.lower() in paths[pattern] and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", pattern), path):
            return f"{method} {pattern}"

def members_of(operation):
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    arguments = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
    return set(schema.get("properties", {})), set(arguments)

for line in open(asked):
    call = json.loads(line)
    name = find(call["method"], call["path"])
    if name is None:
        problems.append(f"{call['method']} {call['path']} is asked for, and is not in the API")
    else:
        old = seen.setdefault(name, (set(), set()))
        old[0].update(call["members"])
        old[1].update(call["arguments"])

for path, operations in paths.items():
    for method, operation in operations.items():
        name = f"{method.upper()} {path}"
        if any(re.fullmatch(other, name) for other in others):
            if name in seen:
                problems.append(f"{name} has a command, and is in the list of those without")
            continue
        if name not in seen:
            problems.append(f"{name}: no command leads there")
            continue
        members, arguments = members_of(operation)
        for kind, there, used in (("member", members, seen[name][0]), ("argument", arguments, seen[name][1])):
            for missing in sorted(there - used):
                if not any(re.fullmatch(other, f"{name} {missing}") for other in other_members):
                    problems.append(f"{name}: no option gives the {kind} '{missing}'")
            for unknown in sorted(used - there):
                if not (method == "get" and unknown in ("limit", "after")):
                    problems.append(f"{name}: the {kind} '{unknown}' is sent, and is not in the API")
print(len(seen), "routes")
print("\n".join(problems), file=sys.stderr)
EOF
ok "the two are compared" python3 "$tmp/compare.py" "$tmp/openapi.json" "$tmp/asked" "$tmp/others" "$tmp/other-members"
like "many routes were reached" "$(cat "$tmp/out")" '^([89][0-9]|1[0-9][0-9]) routes'
empty "an operator can do on the command line what the API can" "$(cat "$tmp/err")"

"$fleet" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]* \{0,1\}[a-z-]*\)  *[A-Z].*/\1/p' | sed 's/ *$//' | sort >"$tmp/verbs"
untried=
while read -r verb; do
	grep -qE "^$verb( |$)" "$tmp/commands" || untried+=" '$verb'"
done <"$tmp/verbs"
empty "each command was tried" "$untried"

done_testing
