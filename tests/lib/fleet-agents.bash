# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
# A fleet server for tests with real agents. After tests/lib/tap.sh:
#
#	fleet_configure DIR [LINE…]     its settings: for 127.0.0.1, and LINEs of fleetd.yaml
#	fleet_start DIR                 on the same port each time; $fleet_url, $fleet_pid, its log $tmp/fleetd.log
#	fleet_stop
#	api METHOD PATH [JSON]          as an admin; prints the answer, 1 when the status is not 2xx
#	api_wait PATH FILTER [SECONDS]  until jq's FILTER is true of the answer to a GET
#	fleet_document HOST TOKEN       the host document of the host in that directory
#	fleet_certify HOST FROM TO      a certificate by the fleet's CA that is valid from and to so many minutes from now

fleet_pid=
fleet_port=
fleet_url=
fleet_poll=20s
declare -A fleet_tokens

fleet_configure()
{
	local dir=$1
	shift
	mkdir -p "$dir"
	printf '%s\n' 'names: [127.0.0.1]' "poll: $fleet_poll" "$@" >"$dir/fleetd.yaml"
}

fleet_start()
{
	local dir=$1 i
	: >"$tmp/fleetd.out"
	"$ashlar_bin/ashlar-fleetd" serve "$dir" --json --listen "127.0.0.1:${fleet_port:-0}" \
		>"$tmp/fleetd.out" 2>>"$tmp/fleetd.log" &
	fleet_pid=$!
	at_exit+=("kill $fleet_pid")
	for ((i = 0; i < 600; i++)); do
		kill -0 "$fleet_pid" 2>/dev/null || return 1
		# An empty file is fine for jq -e.
		[ -s "$tmp/fleetd.out" ] && jq -e .port "$tmp/fleetd.out" >/dev/null 2>&1 && break
		sleep 0.1
	done
	[ -n "$fleet_port" ] || fleet_port=$(jq -r .port "$tmp/fleetd.out")
	fleet_url=https://127.0.0.1:$fleet_port
	[ -n "${fleet_tokens[$dir]:-}" ] || fleet_tokens[$dir]=$(jq -r .token "$tmp/fleetd.out")
	fleet_token=${fleet_tokens[$dir]}
	fleet_dir=$dir
	for ((i = 0; i < 200; i++)); do
		curl -sk --max-time 10 "$fleet_url/v1/ca" >"$dir/authority.pem" &&
			grep -q BEGIN "$dir/authority.pem" && return 0
		sleep 0.2
	done
	return 1
}

fleet_stop()
{
	kill "$fleet_pid"
	wait "$fleet_pid" 2>/dev/null
}

api()
{
	local answer code
	answer=$(curl -s --max-time 30 --cacert "$fleet_dir/authority.pem" -w '\n%{http_code}' -X "$1" \
		-H "Authorization: Bearer $fleet_token" -H 'Content-Type: application/json' \
		${3:+--data-binary "$3"} "$fleet_url$2")
	code=${answer##*$'\n'}
	answer=${answer%$'\n'*}
	printf '%s\n' "$answer"
	[ "${code:0:1}" = 2 ] || { echo "$1 $2: $code $(head -c 300 <<<"$answer")" >&2; return 1; }
}

api_wait()
{
	local i answer
	for ((i = 0; i < ${3:-60} * 5; i++)); do
		answer=$(api GET "$1" 2>/dev/null) && jq -e "$2" <<<"$answer" >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	diag "$(head -c 3000 <<<"$answer")"
	return 1
}

fleet_document()
{
	install -d -m 700 "$1/var/lib/ashlar"
	{
		printf 'fleet:\n  url: %s\n  token: %s\n  ca: |\n' "$fleet_url" "$2"
		sed 's/^/    /' "$fleet_dir/authority.pem"
	} >"$1/var/lib/ashlar/host.yaml"
}

fleet_certify()
{
	local identity=$1/var/lib/ashlar-link/fleet work=$tmp/certify
	rm -rf "$work"
	mkdir -p "$work"
	: >"$work/index"
	jq -r .key "$identity/identity.json" >"$work/key.pem"
	openssl req -new -key "$work/key.pem" -subj /CN=host -out "$work/csr.pem" 2>/dev/null
	cat >"$work/ca.conf" <<-END
		[ca]
		default_ca = own
		[own]
		database = $work/index
		new_certs_dir = $work
		rand_serial = yes
		default_md = sha256
		policy = any
		x509_extensions = client
		[any]
		commonName = supplied
		[client]
		extendedKeyUsage = clientAuth
	END
	openssl ca -batch -config "$work/ca.conf" -cert "$fleet_dir/authority.pem" -keyfile "$fleet_dir/ca.key" \
		-in "$work/csr.pem" -notext -out "$work/certificate.pem" \
		-startdate "$(date -u -d "$2 minutes" +%Y%m%d%H%M%SZ)" \
		-enddate "$(date -u -d "$3 minutes" +%Y%m%d%H%M%SZ)" 2>"$work/log" || { cat "$work/log" >&2; return 1; }
	install -m 600 "$work/certificate.pem" "$identity/certificate.pem"
}
