# SPDX-License-Identifier: Apache-2.0
"""Every route of a running server, as its openapi.json names them, beside who may what (tests/integration/fleet-roles.sh).

fleet-roles.py SETTINGS: {"url","ca","database","admin","viewer","operator","scoped","scoped_viewer","revoked","session",
"csrf","log","secrets":[TEXT…],"kept":[TEXT…],"certificates":{NAME:[PEM,KEY]},"values":{…},"hidden":[TEXT…]}. Prints "ok NAME" and "bad NAME: WHY".

First all that is to be refused, while nothing else happens: the database is the same afterwards. Then, in the table's order,
the same requests of the least that may: they are taken, so that it was the role that refused them. At last secrets are sent
wherever somebody may put one, and all that can be read is looked through; "kept" are those that the database has to know.
"""
import hashlib, http.client, json, re, sqlite3, ssl, sys, urllib.parse

settings = json.load(open(sys.argv[1]))
values = settings["values"]
where = urllib.parse.urlsplit(settings["url"])

# METHOD PATTERN LEAST PARTS [= STATUS] [scope STATUS] [| BODY]
#   LEAST   anyone, viewer, operator, admin, host, own (it looks itself: see own_proofs)
#   PARTS   of the pattern, separated by commas; NAMES in capitals are of settings.values
#   =       what the least is answered when it is neither 200 nor 204
#   scope   what who may see some hosts only is answered; of a path with a hidden host it is 404 anyway
TABLE = """
GET /healthz anyone -
GET /v1/ca anyone -
GET /v1/crl anyone -
GET /v1/openapi.json anyone -
GET /content/{path} anyone nothing = 404
GET / anyone -
GET /web/{build}/{file} anyone none,none = 404
GET /hosts anyone -
GET /hosts/{id} anyone x
GET /rollouts anyone -
GET /rollouts/new anyone -
GET /rollouts/{id} anyone x
GET /releases anyone -
GET /releases/{id} anyone x
GET /channels anyone -
GET /workloads anyone -
GET /workloads/{name} anyone x
GET /assignments/{id} anyone x
GET /devices anyone -
GET /devices/{id} anyone x
GET /joining anyone -
GET /locks anyone -
GET /access anyone -
GET /activity anyone -
GET /audit anyone -

GET /metrics own - scope 403
POST /v1/join own - | {"token":"0123456789abcdef.0123456789abcdef","csr":OTHERCSR,"name":"thief","instance":"00000000000000000000000000000009","facts":{}}
POST /v1/session own - | {"name":"nobody","password":"a guess of a word"}
POST /fleetlock/v1/pre-reboot own - | {"client_params":{"id":"HOST","group":"default"}}
POST /fleetlock/v1/steady-state own - | {"client_params":{"id":"HOST","group":"default"}}
GET /DEFAULT/controller/v1/{id} own meter-1
PUT /DEFAULT/controller/v1/{id}/configData own meter-1 | {"data":{"colour":"red"}}
GET /DEFAULT/controller/v1/{id}/confirmationBase/{action} own meter-1,WAITING
POST /DEFAULT/controller/v1/{id}/confirmationBase/{action}/feedback own meter-1,WAITING | {"confirmation":"confirmed"}
GET /DEFAULT/controller/v1/{id}/deploymentBase/{action} own meter-1,WAITING
GET /DEFAULT/controller/v1/{id}/softwaremodules/{module}/artifacts own meter-1,MODULE
GET /DEFAULT/controller/v1/{id}/softwaremodules/{module}/artifacts/{file} own meter-1,MODULE,a.bin
POST /DEFAULT/controller/v1/{id}/deploymentBase/{action}/feedback own meter-1,WAITING | {"status":{"execution":"closed","result":{"finished":"success"}}}
GET /DEFAULT/controller/v1/{id}/installedBase/{action} own meter-1,WAITING
PUT /DEFAULT/controller/v1/{id}/installedBase own meter-1 | {"name":"ds","version":"9"}
GET /DEFAULT/controller/v1/{id}/cancelAction/{action} own meter-1,CANCELED
POST /DEFAULT/controller/v1/{id}/cancelAction/{action}/feedback own meter-1,CANCELED | {"status":{"execution":"closed","result":{"finished":"success"}}}
GET /DEFAULT/controller/v1/{id}/confirmationBase own meter-1
POST /DEFAULT/controller/v1/{id}/confirmationBase/activateAutoConfirm own meter-1
POST /DEFAULT/controller/v1/{id}/confirmationBase/deactivateAutoConfirm own meter-1

POST /v1/checkin host - | CHECKIN
POST /v1/renew host - | {"csr":CSR}

GET /v1/session viewer -
POST /v1/session/password viewer - = 403 | {"old":"correct horse battery","new":"staple battery horse"}
GET /v1/hosts viewer -
GET /v1/hosts/count viewer -
GET /v1/hosts/{id} viewer HIDDEN
GET /v1/hosts/{id}/events viewer HIDDEN
GET /v1/hosts/{id}/history viewer HIDDEN
GET /v1/hosts/{id}/journal viewer HIDDEN
GET /v1/hosts/{id}/why viewer HIDDEN
GET /v1/hosts/{id}/workloads viewer HIDDEN
GET /v1/releases viewer -
GET /v1/releases/{id} viewer 1.0
GET /v1/releases/{id}/packages viewer 1.0
GET /v1/releases/{id}/diff/{other} viewer 1.0,2.0
GET /v1/releases/{id}/sbom viewer 1.0 = 404
GET /v1/packages/{name}/hosts viewer tool
GET /v1/channels viewer -
GET /v1/channels/{name} viewer stable
GET /v1/channels/{name}/history viewer stable
GET /v1/policies viewer -
GET /v1/policies/{name} viewer nights
GET /v1/locks viewer -
GET /v1/locks/{group} viewer default
GET /v1/rollouts viewer -
GET /v1/rollouts/{id} viewer ROLLOUT
GET /v1/rollouts/{id}/hosts viewer ROLLOUT
GET /v1/rollouts/{id}/ledger viewer ROLLOUT scope 403
POST /v1/rollouts/{id}/replay viewer ROLLOUT scope 403
GET /v1/events viewer -
GET /v1/stream viewer -
GET /v1/overview viewer -
GET /v1/overview/timeline viewer -
GET /v1/workloads viewer -
GET /v1/workloads/{name} viewer web
GET /v1/workloads/{name}/{version} viewer web,1.0
GET /v1/workloads/{name}/{version}/diff/{other} viewer web,1.0,1.1
GET /v1/assignments viewer -
GET /v1/assignments/{id} viewer edge-web
GET /v1/ddi/targets viewer -
GET /v1/ddi/targets/{id} viewer meter-1 scope 404
GET /v1/ddi/targets/{id}/actions viewer meter-1 scope 404
GET /v1/ddi/targets/{id}/actions/{action} viewer meter-1,WAITING scope 404
GET /v1/ddi/modules viewer -
GET /v1/ddi/modules/{id} viewer MODULE

POST /v1/hosts/{id}/labels operator HIDDEN | {"set":{"rack":"7"}}
POST /v1/hosts/{id}/orders operator HIDDEN | {"verb":"check"}
POST /v1/hosts/{id}/release operator HIDDEN | {"version":"2.0"}
POST /v1/hosts/{id}/approve operator PENDING | {}
POST /v1/hosts/{id}/hold operator HIDDEN | {"reason":"repair"}
POST /v1/hosts/{id}/release-hold operator HIDDEN | {}
POST /v1/hosts/bulk operator - scope 409 | {"selector":"site = basel","act":"order","verb":"check","expect":1}
POST /v1/hosts/{id}/workloads/{name} operator HIDDEN,web | {"act":"restart"}
GET /v1/hosts/{id}/workloads/{name}/logs operator HIDDEN,web
PUT /v1/assignments/{id} operator edge-web scope 403 | {"workload":"web","version":"1.1"}
DELETE /v1/assignments/{id} operator edge-web scope 403
PUT /v1/locks/{group} operator default scope 403 | {"slots":2,"paused":"none"}
POST /v1/locks/{group}/release operator default scope 404 | {"id":"HIDDEN","reason":"it hangs"}
DELETE /v1/locks/{group} operator rack-1 scope 403
POST /v1/rollouts/{id}/pause operator ROLLOUT scope 403
POST /v1/rollouts/{id}/resume operator ROLLOUT scope 403 | {"reason":"r"}
POST /v1/rollouts/{id}/cancel operator ROLLOUT scope 403 | {"reason":"r"}
POST /v1/rollouts/{id}/revert operator ROLLOUT scope 403 | {"reason":"r"}
POST /v1/rollouts operator - scope 409 | {"release":"2.0","selector":"site = basel","beside":true}
POST /v1/ddi/targets/{id}/actions operator meter-1 scope 404 | {"name":"set","version":"2","modules":[MODULE],"beside":true}
POST /v1/ddi/targets/{id}/actions/{action}/force operator meter-1,SOFT scope 404
POST /v1/ddi/targets/{id}/actions/{action}/cancel operator meter-1,SOFT scope 404
POST /v1/ddi/targets/{id}/actions/{action}/quit operator meter-1,SOFT scope 404

GET /v1/audit admin -
GET /v1/audit/verify admin -
GET /v1/export admin -
GET /v1/operators admin -
GET /v1/operators/{name} admin ada
GET /v1/api-tokens admin -
GET /v1/tokens admin -
GET /v1/tokens/{id} admin JOIN
GET /v1/webhooks admin -
GET /v1/webhooks/{id} admin WEBHOOK
POST /v1/import admin - | {"yaml":"format: 1\\npolicies: []\\n"}
POST /v1/operators admin - | {"name":"eve","role":"admin","password":"correct horse battery"}
POST /v1/operators/{name} admin eve | {"role":"viewer"}
DELETE /v1/operators/{name} admin eve
POST /v1/api-tokens admin - | {"role":"admin"}
POST /v1/api-tokens/{id}/revoke admin TOKEN
POST /v1/tokens admin - | {"note":"n"}
POST /v1/tokens/{id}/revoke admin JOIN
POST /v1/webhooks admin - | {"url":"http://127.0.0.1:9/other"}
POST /v1/webhooks/{id}/pause admin WEBHOOK
POST /v1/webhooks/{id}/resume admin WEBHOOK
POST /v1/webhooks/{id}/replay admin WEBHOOK | {"from":1}
DELETE /v1/webhooks/{id} admin WEBHOOK
POST /v1/releases admin - | RELEASE
POST /v1/releases/scan admin - = 409
PUT /v1/channels/{name} admin stable | {"release":"2.0"}
POST /v1/releases/{id} admin 2.0 | {"withdrawn":"it eats disks"}
PUT /v1/policies/{name} admin nights | {"selector":"site = basel","windows":["03:00-04:00"]}
DELETE /v1/policies/{name} admin nights
POST /v1/workloads/{name}/{version} admin web,1.1 | {"withdrawn":"it eats memory"}
POST /v1/ddi/targets admin - | {"id":"meter-9"}
DELETE /v1/ddi/targets/{id} admin meter-2
POST /v1/ddi/modules admin - | {"name":"other","version":"1"}
POST /v1/ddi/modules/{id}/artifacts admin MODULE | {"filename":"b.bin"}
POST /v1/hosts/{id}/retire admin HIDDEN | {"reason":"sold"}
POST /v1/hosts/{id}/forget admin HIDDEN | {"reason":"sold"}
DELETE /v1/session viewer - = 401
"""

# ---- asking ------------------------------------------------------------------------------------------

contexts = {}
connections = {}

def context_of(certificate):
    if certificate not in contexts:
        contexts[certificate] = ssl.create_default_context(cafile=settings["ca"])
        if certificate:
            contexts[certificate].load_cert_chain(*settings["certificates"][certificate])
    return contexts[certificate]

def ask(method, path, body=None, headers={}, certificate=None):
    """The status, and what comes at once."""
    for attempt in 1, 2:
        call = connections.pop(certificate, None) or http.client.HTTPSConnection(
            where.hostname, where.port, context=context_of(certificate), timeout=60)
        try:
            call.request(method, path, body=body, headers={**headers, **({"Content-Type": "application/json"} if body else {})})
            answer = call.getresponse()
            break
        except (ConnectionError, http.client.BadStatusLine):
            call.close()
            if attempt == 2:
                raise
    if (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
        call.sock.settimeout(1)
        text = b""
        try:
            while len(text) < 1 << 20 and (piece := answer.read1(65536)):
                text += piece
        except TimeoutError:
            pass
        call.close()
        return answer.status, text
    text = answer.read()
    connections[certificate] = call
    return answer.status, text

def bearer(name):
    return {"headers": {"Authorization": "Bearer " + settings[name]}}

secret = settings["admin"]
NOBODY = {"nobody": {}, "a host's certificate": {"certificate": "host"},
    "a secret that is wrong": {"headers": {"Authorization": "Bearer " + secret[:-1] + ("1" if secret[-1] == "0" else "0")}},
    "a token that was revoked": bearer("revoked")}
SESSION = {"Cookie": "ashlar_session=" + settings["session"]}
HALF_SESSION = {"an admin's session without its second value": {"headers": SESSION},
    "an admin's session with another one": {"headers": {**SESSION, "X-CSRF-Token": "0" * 64}}}
LOCK = {"fleet-lock-protocol": "true"}

def tables():
    """All that is written down, but for what seeing somebody leaves."""
    db = sqlite3.connect(settings["database"], timeout=30)
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    seen = {}
    for name in names:
        if name in ("version_sample", "login_failure", "sqlite_sequence", "meta"):
            continue
        columns = [row[1] for row in db.execute(f'PRAGMA table_info("{name}")')]
        columns = [c for c in columns if c not in ("last_seen", "last_used", "address")]
        rows = db.execute('SELECT %s FROM "%s"' % (", ".join(f'"{c}"' for c in columns), name)).fetchall()
        if name == "audit":
            rows = [row for row in rows if "session.refused" not in row]
            rows = [len(rows)]
        seen[name] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
    db.close()
    return seen

def say(ok, name, why=""):
    print(("ok " if ok else "bad ") + name + ("" if ok else ": " + why), flush=True)

# ---- the table ---------------------------------------------------------------------------------------

class Row:
    def __init__(self, line):
        head, _, self.body = (part.strip() for part in line.partition("|"))
        words = head.split()
        self.method, self.pattern, self.least, parts = words[:4]
        rest = dict(zip(words[4::2], words[5::2]))
        self.status = [int(rest["="])] if "=" in rest else [200, 202, 204]
        self.scope = int(rest["scope"]) if "scope" in rest else None
        self.name = self.method + " " + self.pattern
        parts = iter([fill(p) for p in parts.split(",")])
        self.path = re.sub(r"\{[^}]*\}", lambda m: urllib.parse.quote(next(parts), safe=""), self.pattern)
        self.body = fill(self.body) or None
        if any(hidden in self.path for hidden in settings["hidden"]):
            self.scope = 404

    def ask(self, headers={}, certificate=None):
        if self.pattern.startswith("/fleetlock"):
            headers = {**LOCK, **headers}
        return ask(self.method, self.path, self.body, headers, certificate)

def fill(text):
    return re.sub(r"\b[A-Z]{3,}\b", lambda m: str(values.get(m[0], m[0])), text)

rows = [Row(line) for line in TABLE.splitlines() if line]
document = json.loads(ask("GET", "/v1/openapi.json")[1])
routes = {method.upper() + " " + path: operation["x-role"]
    for path, operations in document["paths"].items() for method, operation in operations.items()}
say(len(routes) > 100, "there are routes", str(len(routes)))
for name in sorted(set(routes) - {row.name for row in rows}):
    say(False, name, "it is said nowhere who may do this: tests/lib/fleet-roles.py")
for name in sorted({row.name for row in rows} - set(routes)):
    say(False, name, "there is no such route")
rows = [row for row in rows if row.name in routes]
for row in rows:
    role = {"anyone": "none", "own": "none"}.get(row.least, row.least)
    say(routes[row.name] == role, row.name + " says its role", f"{routes[row.name]}, not {role}")

# ---- what is refused ---------------------------------------------------------------------------------

def wrong_proofs(row):
    """Who may not, and what they are to be told."""
    below = {"viewer": [], "operator": ["viewer", "scoped_viewer"],
        "admin": ["viewer", "operator", "scoped", "scoped_viewer"]}
    if row.least == "host":
        for who in "admin", "operator", "viewer":
            yield who, bearer(who), (401,)
        yield "nobody", {}, (401,)
        yield "a host that was retired", {"certificate": "retired"}, (403,)
    elif row.least == "own":
        # Who guesses passwords has to wait.
        refused = (401, 429) if row.pattern == "/v1/session" else (401, 403)
        for who, proof in {**NOBODY, **own_wrong(row)}.items():
            yield who, proof, refused
        if row.pattern != "/metrics":
            for who in "admin", "operator", "viewer":
                yield who, bearer(who), refused
        elif row.scope:
            yield "scoped_viewer", bearer("scoped_viewer"), (row.scope,)
    elif row.least != "anyone":
        for who, proof in NOBODY.items():
            yield who, proof, (401,)
        for who in below[row.least]:
            yield who, bearer(who), (403,)
        if row.method != "GET":
            for who, proof in HALF_SESSION.items():
                yield who, proof, (403,)
        if row.scope and row.least != "admin":
            yield "scoped", bearer("scoped"), (row.scope,)
            if row.least == "viewer":
                yield "scoped_viewer", bearer("scoped_viewer"), (row.scope,)

def own_wrong(row):
    if row.pattern.startswith("/fleetlock"):
        return {"another host": {"certificate": "other"}, "a host that was retired": {"certificate": "retired"}}
    if row.pattern.startswith("/DEFAULT"):
        return {**{kind: {"headers": {"Authorization": kind}} for kind in
                ("TargetToken " + values["OTHERTOKEN"], "TargetToken ", "GatewayToken ", "GatewayToken x")},
            "another host": {"certificate": "other"}}
    return {}

def own_proof(row):
    if row.pattern == "/metrics":
        return bearer("viewer")
    if row.pattern.startswith("/fleetlock"):
        return {"certificate": "host"}
    if row.pattern.startswith("/DEFAULT"):
        return {"headers": {"Authorization": "TargetToken " + values["TARGETTOKEN"]}}
    return None

before = tables()
for row in rows:
    wrong = []
    for who, proof, wanted in wrong_proofs(row):
        if row.pattern.startswith("/fleetlock") and who == "a host's certificate":
            continue
        status, text = row.ask(**proof)
        if status not in wanted:
            wrong.append(f"{who}: {status} {text[:120]!r}")
        if row.method == "GET":
            head, _ = ask("HEAD", row.path, None, proof.get("headers", {}), proof.get("certificate"))
            if head != status:
                wrong.append(f"{who}: HEAD {head}, GET {status}")
        if status >= 400 and any(h.encode() in text for h in settings["hidden"]):
            if not (row.path.count("HIDDEN") or any(h in row.path + (row.body or "") for h in settings["hidden"])):
                wrong.append(f"{who}: the refusal names a hidden host")
    after = tables()
    if after != before:
        wrong.append("changed: " + " ".join(name for name in after if after[name] != before.get(name)))
        before = after
    say(not wrong, row.name + " is refused to who may not", "; ".join(wrong))

# A host that is gone is no device either.
status, _ = ask("GET", "/DEFAULT/controller/v1/" + values["RETIRED"], certificate="retired")
say(status in (401, 403), "a host that was retired does not come in as a device", str(status))
say(tables() == before, "nor is it written down as one")

# ---- what a scope hides ------------------------------------------------------------------------------

for row in rows:
    if row.method != "GET" or row.least not in ("viewer", "operator") or row.scope:
        continue
    for who in "scoped", "scoped_viewer":
        if row.least == "operator" and who == "scoped_viewer":
            continue
        status, text = row.ask(**bearer(who))
        shown = [h for h in settings["hidden"] if h.encode() in text]
        say(status in row.status and not shown, f"{row.name} as {who} has nothing of other hosts", f"{status} {shown} {text[:200]!r}")

# ---- what is taken -----------------------------------------------------------------------------------

for row in rows:
    proof = {"anyone": {}, "host": {"certificate": "host"}}.get(row.least)
    if row.least in ("viewer", "operator", "admin"):
        proof = bearer(row.least)
    if row.least == "own":
        proof = own_proof(row)
        if proof is None:
            continue
    status, text = row.ask(**proof)
    # A device's answers depend on what it did before; it is its proof that counts.
    good = status not in (401, 403, 400, 405) if row.least == "own" else status in row.status
    say(good, f"{row.name} is for {row.least}", f"{status} {text[:300]!r}")

# ---- secrets -----------------------------------------------------------------------------------------

PLANTED = "planted-secret-of-somebody"
sent = 0
for row in rows:
    for proof in ({"Authorization": "Bearer " + PLANTED + ".x"}, {"Authorization": "Basic " + PLANTED},
            {"Authorization": "TargetToken " + PLANTED}, {"Authorization": "GatewayToken " + PLANTED},
            {"Cookie": "ashlar_session=" + PLANTED, "X-CSRF-Token": PLANTED}):
        ask(row.method, row.path, row.body, {**LOCK, **proof})
        sent += 1
    wrong = json.dumps({"password": PLANTED, "secret": PLANTED, "token": PLANTED, "reason": "r"})
    for path, body in (row.path + "?token=" + PLANTED, row.body), (row.path, wrong if row.method != "GET" else None):
        ask(row.method, path, body, bearer("admin")["headers"])
        sent += 1
for method, path, body in (
        ("POST", "/v1/session", {"name": PLANTED, "password": PLANTED}),
        ("POST", "/v1/session", {"token": PLANTED + "." + PLANTED}),
        ("POST", "/v1/session/password", {"old": PLANTED, "new": PLANTED + "2"}),
        ("POST", "/v1/operators", {"name": "mallory", "password": PLANTED, "role": "viewer"}),
        ("POST", "/v1/operators/mallory", {"password": PLANTED + "3", "reason": "forgotten"}),
        ("POST", "/v1/operators", {"name": "a b", "password": PLANTED}),
        ("POST", "/v1/webhooks", {"url": "http://user:" + PLANTED + "@127.0.0.1:9/"}),
        ("POST", "/v1/import", {"yaml": "format: 1\noperators:\n  - {name: x, password: " + PLANTED + "}\n"}),
        ("POST", "/v1/import", {"yaml": "format: 1\nwebhooks:\n  - {url: 'http://127.0.0.1:9/y', secret: " + PLANTED + "}\n"}),
        ("POST", "/v1/join", {"token": PLANTED, "csr": json.loads(values["OTHERCSR"]), "name": "x", "instance": "0" * 32}),
        ("POST", "/v1/join", {"token": PLANTED + "." + PLANTED, "csr": json.loads(values["OTHERCSR"]), "name": "x", "instance": "0" * 32})):
    status, text = ask(method, path, json.dumps(body), bearer("admin")["headers"])
    say(PLANTED.encode() not in text and status < 500, f"{method} {path} does not repeat a secret", f"{status} {text[:200]!r}")
say(sent > 7 * 100, "secrets were sent everywhere", str(sent))

read = {"the log": open(settings["log"], "rb").read()}
for row in rows:
    if row.method == "GET" and row.least in ("viewer", "operator", "admin"):
        for more in "", "?limit=1000":
            read[row.name + more] = ask("GET", row.path + more, None, bearer("admin")["headers"])[1]
read["GET /metrics"] = ask("GET", "/metrics", None, bearer("admin")["headers"])[1]
after, audit = "0", b""
while after:
    text = ask("GET", "/v1/audit?limit=1000&after=" + after, None, bearer("admin")["headers"])[1]
    after, audit = json.loads(text).get("next"), audit + text
read["GET /v1/audit, whole"] = audit
say(b"operator.create" in audit and b"webhook.create" in audit, "the audit log is looked at")
say(len(read["GET /v1/export"]) > 100 and b"ada" in read["GET /v1/export"], "so is an export")
stored = b""
for end in "", "-wal":
    try:
        stored += open(settings["database"] + end, "rb").read()
    except FileNotFoundError:
        pass
say(b"webhook.create" in stored, "and the database")
for secret in [PLANTED] + settings["secrets"] + settings["kept"]:
    # Of a token the part behind its name.
    part = secret.rpartition(".")[2].encode()
    for name, text in read.items():
        if part in text:
            at = text.index(part)
            say(False, name + " has no secret", repr(text[max(0, at - 100):at + 60]))
    if secret not in settings["kept"]:
        at = stored.find(part)
        say(at < 0, f"the database does not know {secret[:6]}…", repr(stored[max(0, at - 100):at + 60]))
say(len(settings["secrets"]) >= 8 and all(settings["secrets"]) and all(settings["kept"]), "there were secrets to look for")
