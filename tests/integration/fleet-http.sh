#!/bin/bash
# needs: curl jq openssl python3
# SPDX-License-Identifier: Apache-2.0
# ashlar-fleetd as a server: the first start, TLS, who may what, bad clients, content, the end.
. tests/lib/tap.sh

fleetd=$(realpath "$ashlar_bin/ashlar-fleetd")
dir=$tmp/fleet

# start: serves $dir; sets $pid, $port, $url.
start()
{
	: >"$tmp/started"
	"$fleetd" serve "$dir" --listen 127.0.0.1:0 --json >"$tmp/started" 2>"$tmp/log" &
	pid=$!
	at_exit+=("kill $pid")
	local i
	for ((i = 0; i < 300; i++)); do
		[ -s "$tmp/started" ] && break
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	port=$(jq -r .port "$tmp/started")
	url=https://localhost:$port
}

stop()
{
	kill -TERM $pid
	wait $pid
}

get()
{
	curl -sS --max-time 30 --cacert "$dir/ca.pem" "$@"
}

# status CURL-ARG…: the status alone; 000 when there was no answer.
status()
{
	get -o /dev/null -w '%{http_code}' "$@" 2>/dev/null
}

as_admin=()
# api METHOD PATH [BODY]: by the admin's token.
api()
{
	get "${as_admin[@]}" -X "$1" -H 'Content-Type: application/json' ${3+--data "$3"} "$url$2"
}

# ---- the first start ----

start
token=$(jq -r .token "$tmp/started")
as_admin=(-H "Authorization: Bearer $token")
like "an empty directory is enough: there is a token" "$token" '^[0-9a-f]+\.[0-9a-f]{64}$'
is "it says the authority's fingerprint" "$(jq -r .ca_sha256 "$tmp/started")" \
	"$(openssl x509 -in "$dir/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)"
is "keys are for nobody else" "$(stat -c %a "$dir/ca.key" "$dir/server.key" "$dir/fleet.db" | sort -u)" 600
is "the server is well" "$(get "$url/healthz")" '{"ok":true}'
is "the token is an admin's" "$(api GET /v1/session | jq -r .role)" admin
empty "secrets are not in the log" "$(grep -F "${token#*.}" "$tmp/log")"
exits 7 "another server does not get the directory" timeout 20 "$fleetd" serve "$dir" --listen 127.0.0.1:0
stderr_like "... and says why" 'another ashlar-fleetd'

# ---- TLS ----

like "TLS 1.3" "$(get -v "$url/healthz" 2>&1)" 'SSL connection using TLSv1\.3'
is "... and nothing older" "$(status --tls-max 1.2 "$url/healthz")" 000
for name in localhost "$(hostname)"; do
	is "the certificate is for $name" \
		"$(status --resolve "$name:$port:127.0.0.1" "https://$name:$port/healthz")" 200
done
is "... for 127.0.0.1" "$(status "https://127.0.0.1:$port/healthz")" 200
is "... and for nothing else" \
	"$(status --resolve "x.example:$port:127.0.0.1" "https://x.example:$port/healthz")" 000
openssl s_client -connect "127.0.0.1:$port" -CAfile "$dir/ca.pem" -sess_out "$tmp/session" \
	< <(printf 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'; sleep 1) \
	>"$tmp/first" 2>/dev/null
openssl s_client -connect "127.0.0.1:$port" -CAfile "$dir/ca.pem" -sess_in "$tmp/session" \
	</dev/null >"$tmp/second" 2>/dev/null
like "a session is taken up again" "$(cat "$tmp/second")" '^Reused, TLSv1\.3'

# ---- hosts ----

# certify NAME CA-CERTIFICATE CA-KEY: a client certificate by that authority, for a key of its own.
certify()
{
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$tmp/$1.key" \
		-subj "/CN=$1" -out "$tmp/$1.csr" 2>/dev/null
	openssl x509 -req -in "$tmp/$1.csr" -CA "$2" -CAkey "$3" -CAcreateserial -CAserial "$tmp/serial" \
		-days 2 -out "$tmp/$1.pem" -extfile <(echo extendedKeyUsage=clientAuth) 2>/dev/null
}

# join NAME: by a token; $tmp/NAME.pem and .key are its own.
join()
{
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$tmp/$1.key" \
		-subj "/CN=$1" -out "$tmp/$1.csr" 2>/dev/null
	jq -nc --arg token "$join_token" --arg name "$1" --rawfile csr "$tmp/$1.csr" \
		'{token: $token, csr: $csr, name: $name, instance: "0123456789abcdef0123456789abcdef",
		facts: {}}' >"$tmp/join.json"
	get -H 'Content-Type: application/json' --data @"$tmp/join.json" "$url/v1/join" >"$tmp/$1.json"
	jq -r .certificate "$tmp/$1.json" >"$tmp/$1.pem"
	jq -r .id "$tmp/$1.json"
}

# checkin NAME SEQ [CURL-ARG…]: the answer and its status.
checkin()
{
	local who=$1 seq=$2
	shift 2
	get --cert "$tmp/$who.pem" --key "$tmp/$who.key" -w '\n%{http_code}' \
		-H 'Content-Type: application/json' \
		--data "{\"seq\":$seq,\"instance\":\"0123456789abcdef0123456789abcdef\",\"boot\":\"b\",\"wait\":0,\"have\":0}" \
		"$@" "$url/v1/checkin"
}

join_token=$(api POST /v1/tokens '{"note":"t","uses":-1}' | jq -r .secret)
id=$(join one)
like "a host joins" "$id" '^[0-9a-f]{64}$'
is "... and is known by its certificate" "$(checkin one 1 | tail -n 1)" 200
is "without a certificate it is nobody" \
	"$(status -H 'Content-Type: application/json' --data '{}' "$url/v1/checkin")" 401
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$tmp/other-ca.key" \
	-subj "$(openssl x509 -in "$dir/ca.pem" -noout -subject -nameopt compat | sed 's/^subject=//; s/^ *//; s|^|/|; s|^//|/|; s/ = /=/')" \
	-out "$tmp/other-ca.pem" 2>/dev/null
certify stranger "$tmp/other-ca.pem" "$tmp/other-ca.key"
is "a certificate by another authority counts as none" \
	"$(status --cert "$tmp/stranger.pem" --key "$tmp/stranger.key" "$url/v1/checkin" --json '{}')" 401
is "... and does not lock anybody out of what is open" \
	"$(status --cert "$tmp/stranger.pem" --key "$tmp/stranger.key" "$url/healthz")" 200
certify unknown "$dir/ca.pem" "$dir/ca.key"
like "a host that the fleet does not know" "$(checkin unknown 1)" '"kind":"unknown"'
is "another host's certificate without its key is refused in the handshake" \
	"$(status --cert "$tmp/one.pem" --key "$tmp/unknown.key" "$url/healthz")" 000
is "an operator is no host" "$(status "${as_admin[@]}" --json '{}' "$url/v1/checkin")" 401
is "a host is no operator" \
	"$(status --cert "$tmp/one.pem" --key "$tmp/one.key" "$url/v1/hosts")" 401
is "who sends a certificate as a header is nobody's proxy" \
	"$(status -H "X-Client-Cert: $(jq -sRr @uri "$tmp/one.pem")" --json '{}' "$url/v1/checkin")" 401
api POST "/v1/hosts/$id/hold" '{"reason":"test"}' >/dev/null
like "a held host is heard, and told why" "$(checkin one 2)" '"release":null,.*"hold":"test"'
is "... and seen" "$(api GET "/v1/hosts/$id" | jq -r '[.state, .reason] | join(" ")')" "held test"
api POST "/v1/hosts/$id/release-hold" '{"reason":"test"}' >/dev/null
is "... and goes on" "$(checkin one 3 | tail -n 1)" 200
api POST "/v1/hosts/$id/retire" '{"reason":"test"}' >/dev/null
like "a retired host is told so" "$(checkin one 4)" '"kind":"(retired|revoked)"'
like "its certificate is on the list" "$(get "$url/v1/crl" | openssl crl -inform DER -noout -text 2>&1)" \
	"$(openssl x509 -in "$tmp/one.pem" -noout -serial | cut -d= -f2)"

# ---- requests ----

is "an unknown address" "$(status "$url/v1/nothing")" 404
like "a known one with another method" "$(get -i -X PATCH "$url/healthz")" '^Allow: GET, HEAD'
like "an unknown argument is named" "$(api GET '/v1/releases?names=x')" \
	"unknown argument 'names' \(did you mean 'name'\?\)"
like "a limit that is none" "$(api GET '/v1/releases?limit=0')" "'limit'"
like "an unknown member is named" "$(api POST /v1/api-tokens '{"notes":"x"}')" \
	"unknown member 'notes' \(did you mean 'note'\?\)"
like "a wrong type is named" "$(api POST /v1/api-tokens '{"role":"viewer","note":5}')" \
	"'note': expected string"
like "broken JSON" "$(api POST /v1/api-tokens '{"note":')" '"kind":"request"'
is "another type of body" "$(status "${as_admin[@]}" -H 'Content-Type: text/plain' --data '{}' "$url/v1/api-tokens")" 415
head -c 70000 /dev/zero | tr '\0' ' ' >"$tmp/big"
is "a body that is too big" "$(status "${as_admin[@]}" --json @"$tmp/big" "$url/v1/api-tokens")" 413
is "... in pieces too" \
	"$(status "${as_admin[@]}" -H 'Transfer-Encoding: chunked' --json @"$tmp/big" "$url/v1/api-tokens")" 413
is "no body where none may come" "$(status -X GET --data 'x' "$url/healthz")" 413
python3 -c 'print("{\"note\":" + "["*5000 + "]"*5000 + "}")' >"$tmp/deep"
is "a body that is too deep" "$(status "${as_admin[@]}" --json @"$tmp/deep" "$url/v1/api-tokens")" 400
is "a token that is none" "$(status -H 'Authorization: Bearer x.y' "$url/v1/releases")" 401

# ---- content and the page ----

mkdir -p "$dir/content/repo/objects/ab" "$dir/content/metadata"
echo 0123456789 >"$dir/content/repo/objects/ab/cd.filez"
echo '{}' >"$dir/content/metadata/timestamp.json"
ln -s "$dir/ca.key" "$dir/content/key"
ln -s ../ca.key "$dir/content/key2"
ln -s metadata "$dir/content/inside"
is "a file of the publication" "$(get "$url/content/repo/objects/ab/cd.filez")" 0123456789
like "... is kept for ever" "$(get -I "$url/content/repo/objects/ab/cd.filez")" '^Cache-Control: .*immutable'
like "... metadata is not" "$(get -I "$url/content/metadata/timestamp.json")" '^Cache-Control: no-cache'
is "... in parts" "$(get -r 3-5 "$url/content/repo/objects/ab/cd.filez")" 345
is "a link within it" "$(status "$url/content/inside/timestamp.json")" 200
for path in key key2 ../ca.key %2e%2e/ca.key repo/..%2f..%2fca.key ..%252fca.key metadata "" .; do
	is "nothing else: /content/$path" "$(status --path-as-is "$url/content/$path")" 404
done
like "the page loads from here alone" "$(get -I "$url/")" "^Content-Security-Policy: default-src 'self'"

# ---- figures, the document ----

is "figures are for those who may see" "$(status "$url/metrics")" 401
get "${as_admin[@]}" "$url/metrics" >"$tmp/metrics"
like "... and count answers by route" "$(cat "$tmp/metrics")" \
	'^ashlar_http_requests_total\{method="GET",route="/healthz",status="2xx"\} [0-9]+$'
empty "... in the form of Prometheus" "$(grep -vE \
	'^(# (HELP|TYPE) [a-z_]+ .*|[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? [0-9.]+)$' \
	"$tmp/metrics")"
get "$url/v1/openapi.json" >"$tmp/openapi.json"
is "the document is OpenAPI 3.0" "$(jq -r .openapi "$tmp/openapi.json")" 3.0.3
empty "each {part} of a path is a parameter" "$(jq -r '.paths | to_entries[] | .key as $p |
	.value[] | ([$p | scan("\\{([^}]+)\\}")[0]] - [.parameters[] | select(.in == "path") | .name]) |
	select(length > 0) | $p' "$tmp/openapi.json")"
empty "operations have names of their own" \
	"$(jq -r '.paths[][].operationId' "$tmp/openapi.json" | sort | uniq -d)"

# ---- no role can do what it may not ----

# Limits would answer before rights do.
printf 'rate: {operators: 0}\n' >"$dir/fleetd.yaml"
stop
is "it ended well" "$?" 0
start
is "after the first there is no further token" "$(jq -r .token "$tmp/started")" null
for role in viewer operator; do
	api POST /v1/api-tokens "{\"role\":\"$role\",\"note\":\"test\"}" | jq -r .secret >"$tmp/$role"
done

# table ROLE RANK [HEADER]: each operation that asks for a higher role, and what it answered.
table()
{
	jq -r --argjson rank "$2" --arg url "$url" --arg header "${3-}" '
		{none: 0, host: 9, viewer: 2, operator: 3, admin: 4} as $ranks |
		.paths | to_entries[] | .key as $path | .value | to_entries[] |
		select($ranks[.value["x-role"]] > $rank) |
		"url = \"\($url)\($path | gsub("\\{[^}]*\\}"; "1"))\"",
		"request = \"\(.key | ascii_upcase)\"",
		(if .key == "get" then empty else "data = \"{}\"", "header = \"Content-Type: application/json\"" end),
		(if $header == "" then empty else "header = \"\($header)\"" end),
		"output = /dev/null",
		"write-out = \"%{http_code} \(.value["x-role"]) \(.key) \($path)\\n\"",
		"cacert = \"'"$dir"'/ca.pem\"", "silent", "next"' "$tmp/openapi.json" | sed '$d' >"$tmp/table"
	curl --max-time 300 -K "$tmp/table" >"$tmp/answers"
	diag "$1: $(wc -l <"$tmp/answers") operations"
	[ -s "$tmp/answers" ]
}

ok "nobody asks for everything" table nobody 0
empty "... and is told 401" "$(grep -v '^401 ' "$tmp/answers")"
ok "a viewer asks for what operators, admins and hosts may" \
	table viewer 2 "Authorization: Bearer $(cat "$tmp/viewer")"
empty "... and is told 403, or 401 where hosts are asked for" \
	"$(grep -vE '^(403 (operator|admin)|401 host) ' "$tmp/answers")"
ok "an operator asks for what admins and hosts may" \
	table operator 3 "Authorization: Bearer $(cat "$tmp/operator")"
empty "... likewise" "$(grep -vE '^(403 admin|401 host) ' "$tmp/answers")"
table host 0 >/dev/null
sed "s|^cacert.*|&\ncert = \"$tmp/one.pem\"\nkey = \"$tmp/one.key\"|" "$tmp/table" >"$tmp/table.host"
curl --max-time 300 -K "$tmp/table.host" | grep -v ' host ' >"$tmp/answers"
empty "a host's certificate is no operator's token" "$(grep -v '^401 ' "$tmp/answers")"

# ---- limits ----

printf 'rate: {operators: 2}\n' >"$dir/fleetd.yaml"
stop
start
for ((i = 0; i < 40; i++)); do
	printf 'next\nurl = "%s/v1/session"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\nsilent\ncacert = "%s"\nheader = "Authorization: Bearer %s"\n' \
		"$url" "$dir/ca.pem" "$token"
done | sed 1d >"$tmp/many"
curl -K "$tmp/many" | sort | uniq -c >"$tmp/answers"
like "who asks too often is told to wait" "$(cat "$tmp/answers")" ' 429$'
like "... after having had its share" "$(cat "$tmp/answers")" ' 200$'
like "... and for how long" "$(get -i "${as_admin[@]}" "$url/v1/session")" '^Retry-After: [0-9]+'
is "others are not in its way" "$(status "$url/healthz")" 200

# ---- settings, signals ----

before=$(openssl x509 -in "$dir/server.pem" -noout -serial)
printf 'names: [fleet.example]\nmetrics: {open: true}\n' >"$dir/fleetd.yaml"
kill -HUP $pid
# settled URL STATUS: what it answers in the end; who has just asked too often may be told 429, and a signal takes a moment.
settled()
{
	local i seen
	for ((i = 0; i < 100; i++)); do
		seen=$(status "$1")
		[ "$seen" = "$2" ] && break
		sleep 0.1
	done
	echo "$seen"
}
is "SIGHUP reads the settings" "$(settled "$url/metrics" 200)" 200
is "... and the certificate has the new name at once" \
	"$(status --resolve "fleet.example:$port:127.0.0.1" "https://fleet.example:$port/healthz")" 200
unlike "... for it is another" "$(openssl x509 -in "$dir/server.pem" -noout -serial)" "^$before\$"
echo 'polls: 3' >"$dir/fleetd.yaml"
kill -HUP $pid
for ((i = 0; i < 100; i++)); do
	grep -q polls "$tmp/log" && break
	sleep 0.1
done
like "wrong settings are told" "$(cat "$tmp/log")" "fleetd.yaml:1:1: unknown key 'polls'"
is "... and change nothing" "$(settled "$url/metrics" 200)" 200
exits 3 "... but nothing starts with them" sh -c "kill -TERM $pid; sleep 1; timeout 20 '$fleetd' serve '$dir' --listen 127.0.0.1:0"
wait $pid
is "SIGTERM ended it well" "$?" 0
rm "$dir/fleetd.yaml"

# ---- bad clients ----

start
memory()
{
	awk '/^VmRSS/ {print $2}' "/proc/$pid/status"
}
cat >"$tmp/bad.py" <<'END'
import socket, ssl, sys
port, ca, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context(cafile=ca)
def dial():
    return socket.create_connection(("127.0.0.1", port))
silent = [dial() for _ in range(count)]
half = [dial() for _ in range(count)]
for s in half:
    s.sendall(b"\x16\x03\x01\x02\x00\x01")
plain = [dial() for _ in range(20)]
for s in plain:
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
slow = []
for i in range(50):
    s = context.wrap_socket(dial(), server_hostname="localhost")
    s.sendall(b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
              b"Content-Length: 1000\r\n\r\n{")
    slow.append(s)
print("ready", flush=True)
sys.stdin.read()
END
before=$(memory)
mkfifo "$tmp/go"
python3 "$tmp/bad.py" "$port" "$dir/ca.pem" 500 <"$tmp/go" >"$tmp/bad.out" &
bad=$!
at_exit+=("kill $bad")
exec 3>"$tmp/go"
for ((i = 0; i < 300; i++)); do
	[ -s "$tmp/bad.out" ] && break
	sleep 0.1
done
is "a thousand half-open and slow connections are there" "$(cat "$tmp/bad.out")" ready
is "... and are in nobody's way" "$(status --max-time 5 "$url/healthz")" 200
after=$(memory)
diag "memory: $before kB before, $after kB with them"
ok "... nor do they take much memory" test $((after - before)) -lt 40000
# What waits sleeps: two seconds of this cost a few hundredths, and two whole ones when their handshakes are asked again
# and again.
spent()
{
	awk '{print $14 + $15}' "/proc/$pid/stat"
}
before=$(spent)
sleep 2
ok "... nor any time: $(($(spent) - before)) ticks" test $(($(spent) - before)) -lt 40
exec 3>&-
wait $bad

# ---- the end answers who waits ----

join_token=$(api POST /v1/tokens '{"note":"t","uses":-1}' | jq -r .secret)
join two >/dev/null
checkin two 1 >/dev/null
get --cert "$tmp/two.pem" --key "$tmp/two.key" -w '\n%{http_code}' -H 'Content-Type: application/json' \
	--data '{"seq":2,"instance":"0123456789abcdef0123456789abcdef","boot":"b","wait":60,"have":0}' \
	"$url/v1/checkin" >"$tmp/waited" 2>&1 &
waiting=$!
# The question itself is sometimes one that waits: not five times in a row.
seen=0
for ((i = 0; i < 100; i++)); do
	seen=$(get "${as_admin[@]}" "$url/metrics" | grep -q '^ashlar_http_waiting [1-9]' && echo $((seen + 1)) || echo 0)
	((seen == 5)) && break
	sleep 0.1
done
stop
is "it ends well with a call that waits" "$?" 0
wait $waiting
like "... which is answered" "$(tail -n 1 "$tmp/waited")" '^(200|503)$'

# ---- without serving ----

ok "check" "$fleetd" check "$dir"
ok "token" "$fleetd" token "$dir" --note "lost the first"
new=$(cat "$tmp/out")
start
is "the new token is an admin's" "$(status -H "Authorization: Bearer $new" "$url/v1/audit")" 200
stop
exits 2 "no directory is a matter of usage" "$fleetd" serve

done_testing
