#!/bin/bash
# needs: curl jq openssl
# SPDX-License-Identifier: Apache-2.0
# A host's life at the server, by curl: joining, checking in, waiting, orders, clones, the end.
. tests/lib/tap.sh

fleet=$tmp/fleet
mkdir "$fleet"
"$ashlar_bin/ashlar-fleetd" serve --listen 127.0.0.1:0 "$fleet" >"$tmp/serve" 2>&1 &
server=$!
at_exit+=("kill $server; wait $server")
until grep -q '^token' "$tmp/serve" || ! kill -0 $server; do
	sleep 0.1
done
url=https://localhost:$(sed -n 's|^address .*:\([0-9]*\)/.*|\1|p' "$tmp/serve")
admin=$(sed -n 's/^token *//p' "$tmp/serve")

# ask PATH [JSON]: as the admin. Status in $status, body in $tmp/body.
ask()
{
	status=$(curl -sS --cacert "$fleet/ca.pem" -H "Authorization: Bearer $admin" \
		-H 'Content-Type: application/json' -o "$tmp/body" -w '%{http_code}' \
		${2+-d "$2"} "$url$1")
}

# post PATH JSON [KEY-NAME]: as a host, with its certificate or without.
post()
{
	status=$(curl -sS --cacert "$fleet/ca.pem" -H 'Content-Type: application/json' \
		${3+--cert "$tmp/$3.pem" --key "$tmp/$3.key"} -o "${body:-$tmp/body}" -w '%{http_code}' \
		-d "$2" "$url$1")
}

# says NAME STATUS [JQ-CONDITION]: what the last request was answered.
says()
{
	if [ "$status" = "$2" ] && { [ $# -lt 3 ] || jq -e "$3" "$tmp/body" >/dev/null; }; then
		pass "$1"
	else
		fail "$1" "status $status, wanted $2 ${3-}
$(head -c 2000 "$tmp/body")"
	fi
}

make_key()
{
	openssl ecparam -name prime256v1 -genkey -noout -out "$tmp/$1.key" 2>/dev/null
	openssl req -new -key "$tmp/$1.key" -subj /CN=ignored -out "$tmp/$1.csr"
}

instance=0123456789abcdef0123456789abcdef

# join KEY-NAME TOKEN HOSTNAME
join()
{
	post /v1/join "$(jq -n --arg t "$2" --arg n "$3" --arg i $instance --rawfile c "$tmp/$1.csr" \
		'{token:$t, csr:$c, name:$n, instance:$i, facts:{cpus:4, kernel:"6.12"}}')"
	[ "$status" != 200 ] || jq -r .certificate "$tmp/body" >"$tmp/$1.pem"
}

# checkin KEY-NAME SEQ BOOT [JSON-MEMBERS]
checkin()
{
	post /v1/checkin "{\"seq\":$2,\"instance\":\"$instance\",\"boot\":\"$3\"${4+,$4}}" "$1"
}

# ---- joining ----

make_key a
make_key b
make_key c
join a nonsense edge-1
says "nobody joins with what is no token" 403 '.kind == "token"'
ask /v1/tokens '{"note":"rack 7","labels":{"site":"bern"},"uses":1}'
says "a join token is made" 200 '.uses_left == 1 and (.secret | length) > 40'
token=$(jq -r .secret "$tmp/body")
# Another first digit: the last one has bits that do not count.
secret=${token#*.}
first=$([ "${secret:0:1}" = A ] && echo B || echo A)
join a "${token%%.*}.$first${secret:1}" edge-1
says "a wrong secret is refused" 403 '.kind == "token"'
join a "$token" edge-1
says "a host joins" 200 '.id and .certificate and .ca'
id=$(jq -r .id "$tmp/body")
is "its id is the hash of its public key" "$(openssl pkey -in "$tmp/a.key" -pubout -outform DER | sha256sum | cut -c1-64)" "$id"
join b "$token" edge-2
says "a token that is used up is refused" 403 '.kind == "token"'
join a "" edge-1
says "the same key joins again without a token" 200 ".id == \"$id\""
ask "/v1/tokens/${token%%.*}"
says "its use was counted once, its secret is told nobody" 200 '.uses == 1 and .uses_left == 0 and (has("secret") | not)'
ask /v1/tokens '{"needs_approval":true,"uses":-1,"labels":{"role":"web"}}'
approving=$(jq -r .secret "$tmp/body")
join b "$approving" edge-2
says "a token with approval: pending" 202 '.state == "pending" and .next > 0'
b=$(jq -r .id "$tmp/body")
ask /v1/hosts/"$b"/approve '{}'
says "approved" 204
join b "" edge-2
says "asked again, the same way: joined" 200 ".id == \"$b\""
ask /v1/tokens '{"expires_in":1,"uses":5}'
short=$(jq -r .secret "$tmp/body")
ask "/v1/tokens/${short%%.*}/revoke" '{}'
join c "$short" edge-3
says "a token that was revoked is refused" 403 '.kind == "token"'
post /v1/join '{"token":"x","csr":"y","name":"bad name","instance":"0"}'
says "a wrong member is named" 400 '.kind == "request" and (.text | contains("name"))'

# ---- checking in ----

checkin a 1 boot-1 '"have":0'
says "first check-in: what the server lacks" 200 '.seq == 1 and .need == ["state","health"]'
commit=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
state="\"state\":{\"state\":\"idle\",\"verdict\":\"good\",\"booted\":{\"commit\":\"$commit\",\"version\":\"1.0.0\",\"name\":\"host\",\"arch\":\"amd64\"}},\"health\":{\"verdict\":\"good\"}"
events='"events":[{"id":1,"at":1790000000,"event":"booted","version":"1.0.0","text":"as it should"},{"id":2,"at":1790000001,"event":"good","version":"1.0.0","text":"soaked"}]'
checkin a 2 boot-1 "$state,$events"
says "state, health and events are acknowledged" 200 '.seq == 2 and .event == 2 and .need == [] and .next > 5'
checkin a 2 boot-1 "$state,$events"
says "the same again is answered again" 200 '.seq == 2 and .event == 2'
ask "/v1/hosts/edge-1/events?limit=100"
says "its events are there once" 200 '[.items[] | select(.kind == "host.event")] | length == 2'
ask /v1/hosts/edge-1
says "the host as it said" 200 '.version == "1.0.0" and .health == "good" and .labels.site == "bern" and .facts.cpus == "4" and .report.state == "idle" and .certificate.serial'
checkin a 1 boot-1
says "a smaller number is told the larger one" 409 '.kind == "seq" and .seq == 2'
checkin a 3 boot-1 '"events":[{"id":0}]'
says "a bad member is named" 400 '.kind == "request" and (.text | contains("events"))'
checkin a 3 boot-1 '"state":{"booted":{"commit":"short"}}'
says "and where it is" 400 '.text | contains("state.booted.commit")'
jq -nc '[range(101)] | map({id: (. + 1), event: "x"})' >"$tmp/many"
checkin a 3 boot-1 "\"events\":$(cat "$tmp/many")"
says "more events than may be" 400 '.text | contains("100")'
head -c 300000 /dev/zero | tr '\0' ' ' >"$tmp/huge"
post /v1/checkin @"$tmp/huge" a
says "a body that is too large is refused" 413
deep=$(printf '[%.0s' {1..5000})
post /v1/checkin "$deep" a
says "a body that is too deep is refused" 400
post /v1/checkin '{"seq":9}' b
says "members that are missing are named" 400 '.text | contains("instance")'
post /v1/checkin '{"seq":9}'
says "no certificate, no check-in" 401
ask '/v1/hosts?selector=site%20%3D%20bern'
says "found by its label" 200 '[.items[].name] == ["edge-1"]'
ask '/v1/hosts/count?by=state'
says "counted by a key" 200 '.count == 2'
ask '/v1/hosts?limit=1'
next=$(jq -r '.next | @uri' "$tmp/body")
ask "/v1/hosts?limit=1&after=$next"
says "the next page goes on" 200 '[.items[].name] == ["edge-2"] and (has("next") | not)'

# ---- waiting, orders ----

# Whether it waits already or not: it is answered because of the order, long before its time.
body=$tmp/waited checkin a 3 boot-1 '"have":0,"wait":60' &
waiting=$!
ask /v1/hosts/edge-1/orders '{"verb":"check"}'
says "an order is given" 200 '.id > 0'
order=$(jq -r .id "$tmp/body")
wait $waiting
ok "who waits is answered because of it" jq -e ".orders[0].id == $order and .desired == 1" "$tmp/waited"
checkin a 4 boot-1 '"have":0,"wait":60'
says "and told again until it has ended" 200 ".orders == [{\"id\":$order,\"verb\":\"check\",\"argument\":\"\"}] and .desired == 1"
checkin a 5 boot-1 "\"have\":1,\"orders\":[{\"id\":$order,\"ok\":true,\"text\":\"checked\"}]"
says "its end is taken" 200 'has("orders") | not'
ask /v1/hosts/edge-1
says "and shown" 200 '.orders[0].state == "done" and .orders[0].result == "checked" and .open_orders == 0'
checkin a 6 boot-1 '"journal":{"version":"1.1.0","at":1790000002,"text":"it went wrong"}'
ask /v1/hosts/edge-1/journal
says "the end of a journal is kept" 200 '.items[0].text == "it went wrong"'
begun=$EPOCHSECONDS
checkin a 7 boot-1 '"have":1,"wait":2'
says "a wait ends by itself" 200 '.desired == 1 and .next == 0'
ok "and not before its time" test $((EPOCHSECONDS - begun)) -ge 1

# ---- labels, many at once ----

ask /v1/hosts/edge-1/labels '{"set":{"role":"db"},"remove":["site"]}'
says "labels change" 204
ask '/v1/hosts/count?selector=has%20role'
says "and count at once" 200 '.count == 2'
ask /v1/hosts/bulk '{"selector":"has role","act":"labels","expect":3,"set":{"x":"1"}}'
says "a bulk act with another count than expected does nothing" 409 '.kind == "count" and .count == 2'
ask /v1/hosts/bulk '{"selector":"has role","act":"labels","expect":2,"set":{"x":"1"}}'
says "with the right one it does" 200 '.changed == 2'
ask /v1/hosts/bulk '{"selector":"all","act":"hold","expect":2}'
says "holding needs a reason" 400

# ---- renewal, clones, the end ----

post /v1/renew "$(jq -n --rawfile c "$tmp/a.csr" '{csr:$c}')" a
says "the certificate is renewed" 200 '.certificate'
post /v1/renew "$(jq -n --rawfile c "$tmp/b.csr" '{csr:$c}')" a
says "not for another key" 403 '.kind == "key"'
checkin a 8 boot-2
says "another boot is a reboot" 200
checkin a 9 boot-1
says "the boot before it speaks again: two hosts" 403 '.kind == "held"'
checkin a 10 boot-2
says "both are held" 403 '.kind == "held"'
ask /v1/hosts/edge-1
says "and it is said why" 200 '.state == "held" and .reason == "two hosts have this identity"'
ask '/v1/events?kind=host.clone'
says "an event tells it" 200 '.items | length == 1'
ask /v1/hosts/edge-1/release-hold '{"reason":"the copy is gone"}'
checkin a 11 boot-2
says "let go on" 200 '.seq == 11'
ask /v1/hosts/edge-2/retire '{}'
says "retiring needs a reason" 400
ask /v1/hosts/edge-2/retire '{"reason":"sold"}'
says "retired" 204
checkin b 1 boot-9
says "who is retired is told to stop" 403 '.kind == "retired"'
join b "$approving" edge-2
says "and cannot come back" 403 '.kind == "retired"'
ask /v1/hosts/edge-2/forget '{}'
says "forgotten" 204
ask /v1/hosts/edge-2
says "nobody knows it" 404
checkin b 1 boot-9
says "its certificate stays withdrawn" 403 '.kind == "revoked"'
ask '/v1/audit?limit=100'
says "all of it is in the audit log, without a secret" 200 '[.items[].action] | contains(["host.retire","host.forget","host.labels","host.release-hold","token.make","host.order"])'
empty "no secret is in the log or the audit" "$(grep -F "${token#*.}" "$tmp/body" "$tmp/serve")"

# ---- what was acknowledged is there after a kill ----

checkin a 12 boot-2 '"events":[{"id":3,"at":1790000003,"event":"order","text":"last"}]'
{ kill -9 $server; wait $server; } 2>/dev/null
"$ashlar_bin/ashlar-fleetd" serve --listen "127.0.0.1:${url##*:}" "$fleet" >"$tmp/serve2" 2>&1 &
server=$!
until grep -q '^address' "$tmp/serve2" || ! kill -0 $server; do
	sleep 0.1
done
checkin a 12 boot-2 '"have":1'
says "after kill -9: the same check-in is known" 200 '.seq == 12 and .event == 3'
checkin a 11 boot-2
says "an older one too" 409 '.seq == 12'

done_testing
