#!/bin/bash
# needs: curl jq openssl python3 faketime
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2119
# The fleet server at its edges: behind a proxy that it trusts, with more connections than it takes, with clients that
# never end their header or body, and with a clock that jumps.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

# certificate NAME: somebody's own, signed by nobody else.
certificate()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
		-keyout "$tmp/$1.key" -out "$tmp/$1.pem" 2>/dev/null
}

# ---- behind a proxy ----------------------------------------------------------------------------------

certificate proxy
certificate stranger
pin=$(openssl x509 -in "$tmp/proxy.pem" -outform DER | sha256sum | cut -d' ' -f1)
ok "a server starts that trusts a proxy" fleet_start "$tmp/fleet" "proxy: {certificate: $pin}" 'rate: {operators: 0}'
ok "hosts join" hosts_join 3 '{"site":"bern"}'
host=$(cat "$hosts/1.id")

# by WHO HOST-CERTIFICATE [CURL-ARG…]: a check-in over WHO's connection, with that certificate in the header.
seq=0
by()
{
	local who=$1 pem=$2
	shift 2
	seq=$((seq + 1))
	[ -z "$pem" ] || set -- "$@" -H "X-Client-Cert: $(jq -sRr @uri "$pem")"
	host_seq[1]=$seq
	api POST /v1/checkin "$(host_body 1)" --cert "$tmp/$who.pem" --key "$tmp/$who.key" "$@"
}
by proxy "$hosts/1.pem" -H 'X-Forwarded-For: 198.51.100.9, 192.0.2.7'
is "a host comes by the proxy" "$status" 200
api GET "/v1/hosts/$host"
is "... from the last address that the proxy names" "$(jq -r .address <<<"$body")" 192.0.2.7
by proxy ""
is "without the header the proxy is no host" "$status" 401
by proxy "$tmp/stranger.pem"
is "... nor with a certificate of nobody's" "$status" 401
by proxy "$tmp/proxy.pem"
is "... nor with its own" "$status" 401
by proxy "" -H 'X-Client-Cert: %00'
is "... nor with one that is none" "$status" 401
by stranger "$hosts/1.pem" -H 'X-Forwarded-For: 192.0.2.99'
is "somebody else's word for a host is not taken" "$status" 401
cp "$hosts/2.pem" "$tmp/two.pem"
cp "$hosts/2.key" "$tmp/two.key"
by two "$hosts/1.pem" -H 'X-Forwarded-For: 192.0.2.99'
api GET "/v1/hosts/$host"
is "... and a host's word not either" "$(jq -r .address <<<"$body")" 192.0.2.7
api POST "/v1/hosts/$host/retire" '{"reason":"test"}'
by proxy "$hosts/1.pem"
is "a host that is retired is so by the proxy too" "$status" 403
fleet_stop

# ---- more connections than it takes ------------------------------------------------------------------

# clients MODE COUNT: so many connections; says what becomes of one more, or of all.
cat >"$tmp/clients.py" <<'EOF'
import socket, ssl, sys, time
port, ca, mode, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
def dial():
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 30), server_hostname="127.0.0.1")
    s.settimeout(30)
    return s
def ask(s, text=b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):
    s.sendall(text)
    return s.recv(4096).split(b"\r\n")
def ends(s):
    "What the server says at the end; it does not hang."
    try:
        return s.recv(4096).split(b"\r\n")[0].decode() or "closed"
    except socket.timeout:
        return "left open"
    except OSError:
        return "closed"
if mode == "full":
    held = [dial() for _ in range(count)]
    print(*{ask(s)[0].decode() for s in held}, sep=", ")
    more = ask(dial())
    print(more[0].decode(), any(line.lower().startswith(b"retry-after:") for line in more))
    held.pop().close()
    for _ in range(100):
        again = ask(dial())[0].decode()
        if "200" in again:
            break
        time.sleep(0.05)
    print(again)
elif mode == "header":
    s = dial()
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    print(ends(s))
elif mode == "body":
    s = dial()
    s.sendall(b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    print(ends(s))
elif mode == "silent":
    print(ends(socket.create_connection(("127.0.0.1", port), 30)))
EOF
clients()
{
	timeout 60 python3 "$tmp/clients.py" "$fleet_port" "$fleet_ca" "$@" 2>&1
}
ok "a server starts that takes eight connections" fleet_start "$tmp/fleet" 'max_connections: 8' 'rate: {operators: 0}'
is "eight are answered, the ninth is told 503 and when, and has a place when one goes" "$(clients full 8)" \
	"HTTP/1.1 200 OK
HTTP/1.1 503 Service Unavailable True
HTTP/1.1 200 OK"
fleet_stop

# ---- clients that never end --------------------------------------------------------------------------

# Twenty seconds of the server's are one of ours.
faketime=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
real=$fleetd
# fast SETTING…: the server from here on has libfaketime before it.
fast()
{
	printf '#!/bin/sh\nASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=%s %s exec "%s" "$@"\n' \
		"$faketime" "$1" "$real" >"$tmp/fleetd"
	chmod +x "$tmp/fleetd"
	fleetd=$tmp/fleetd
}
fast 'FAKETIME="+0 x20"'
ok "a server starts whose time is fast" fleet_start "$tmp/fleet" 'rate: {operators: 0}'
is "who says nothing is left" "$(clients silent 1)" closed
is "... who never ends a header" "$(clients header 1)" closed
like "... and who never ends a body" "$(clients body 1)" '^(closed|HTTP/1.1 408 .*)$'
api_is "others are answered" 200 GET /v1/hosts
fleet_stop

# ---- a clock that jumps ------------------------------------------------------------------------------

echo '+0' >"$tmp/clock"
fast "FAKETIME_TIMESTAMP_FILE='$tmp/clock' FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1"
hosts_forget
ok "a server starts whose clock is ours" fleet_start "$tmp/other" 'rate: {operators: 0}'
fleet_token=$(sed -n 's/^token *//p' "$tmp/fleetd.out")
ok "releases are added" release_add 1.0
ok "... both" release_add 2.0
ok "hosts join" hosts_join 4 '{"site":"bern"}'
ok "... and check in" hosts_round
api_is "a rollout begins" 200 POST /v1/rollouts '{"release":"2.0","selector":"all","soak":1}'
rollout=$(jq -r .id <<<"$body")
echo '-3600' >"$tmp/clock"
ok "an hour back: check-ins are answered" hosts_round
api GET /v1/overview
is "... and nobody is silent" "$(jq -r '.by_health.silent // 0' <<<"$body")" 0
ok "... they take the release" hosts_round
api GET "/v1/rollouts/$rollout"
is "... and the rollout has not stopped for it" "$(jq -r '"\(.state) \(.failures)"' <<<"$body")" "running 0"
echo '+7200' >"$tmp/clock"
ok "two hours on: check-ins are answered" hosts_round
# Without news the rollouts' thread looks at the clock once a minute.
api POST "/v1/hosts/$(cat "$hosts/1.id")/labels" '{"set":{"news":"yes"}}'
for _ in $(seq 40); do
	hosts_round
	api GET "/v1/rollouts/$rollout"
	[ "$(jq -r .state <<<"$body")" != finished ] || break
	sleep 0.2
done
diag "$(jq -c '{state,reason,next,counts}' <<<"$body") $(hosts_on 2.0)"
is "... and the rollout ends well" "$(jq -r '"\(.state) \(.counts.confirmed)"' <<<"$body")" "finished 4"
api_is "the audit log is whole" 200 GET /v1/audit/verify
is "... whatever the time was" "$(jq -r .ok <<<"$body")" true
fleet_stop
done_testing
