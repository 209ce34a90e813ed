#!/bin/bash
# needs: testssl jq openssl
# SPDX-License-Identifier: Apache-2.0
# What testssl.sh says of ashlar-fleetd: nothing worse than informational.
. tests/lib/tap.sh

dir=$tmp/fleet
# A port of its own, which the certificate then names: it says where the list of withdrawn ones is.
port=$((20000 + RANDOM % 10000))
"$ashlar_bin/ashlar-fleetd" serve "$dir" --listen "127.0.0.1:$port" --json >"$tmp/started" 2>"$tmp/log" &
pid=$!
at_exit+=("kill $pid")
for ((i = 0; i < 300; i++)); do
	[ -s "$tmp/started" ] && break
	sleep 0.1
done

# By the machine's name: browsers are asked to insist on TLS, but not for localhost. The last parts (client
# simulations, every cipher one by one) say nothing new of a server that speaks TLS 1.3 alone.
# Where it could not connect, it has not looked: once more.
for _ in 1 2 3; do
	rm -f "$tmp/found.json"
	timeout 900 testssl --quiet --color 0 --warnings batch --ip 127.0.0.1 --add-ca "$dir/ca.pem" \
		--protocols --std --server-preference --server-defaults --headers --vulnerable \
		--jsonfile "$tmp/found.json" "https://$(hostname):$port/" >"$tmp/said" 2>&1
	grep -q 'connect problem' "$tmp/found.json" || break
done
ok "testssl.sh has looked" jq -e 'length > 30' "$tmp/found.json"
is "it found TLS 1.3" "$(jq -r '.[] | select(.id == "TLS1_3") | .severity' "$tmp/found.json")" OK
# What is said of the scanner itself and of the name's DNS is not about the server.
empty "it found nothing worse than informational" "$(jq -r '.[] |
	select(.id | IN("engine_problem", "DNS_CAArecord") | not) |
	select(.severity | IN("OK", "INFO", "DEBUG") | not) | "\(.severity) \(.id): \(.finding)"' "$tmp/found.json")"

done_testing
