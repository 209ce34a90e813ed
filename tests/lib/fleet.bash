# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# A fleet server for tests that source tests/lib/tap.sh first; it ends with the test.
#
#	fleet_start DIR [YAML…]      serves DIR with these settings: $fleet_url, $fleet_ca, $fleet_pid; $fleet_token is
#	                             an admin's, of the first start
#	fleet_stop, fleet_kill       SIGTERM and its end; SIGKILL
#	api METHOD PATH [JSON [CURL-OPTION…]]    as the admin: status in $status, the answer in $body
#	api_is NAME STATUS METHOD PATH [JSON]    a test of the status
#
# $fleet_log has what it said.

fleetd=${ASH_BIN:-$PWD/build/bin}/ashlar-fleetd
fleet_pid=
fleet_token=
fleet_log=$tmp/fleetd.log
at_exit+=(fleet_kill)

fleet_start()
{
	local dir=$1 until line
	shift
	mkdir -p "$dir"
	[ $# -eq 0 ] || printf '%s\n' "$@" >"$dir/fleetd.yaml"
	: >"$tmp/fleetd.out"
	"$fleetd" serve "$dir" --listen "${fleet_listen:-127.0.0.1:0}" >"$tmp/fleetd.out" 2>>"$fleet_log" &
	fleet_pid=$!
	until=$((SECONDS + 60))
	until line=$(sed -n 's/^address *//p' "$tmp/fleetd.out") && [ -n "$line" ]; do
		if ! kill -0 "$fleet_pid" 2>/dev/null || [ $SECONDS -ge $until ]; then
			diag "$(tail -n 20 "$fleet_log")"
			return 1
		fi
		sleep 0.05
	done
	# By number: the certificate has 127.0.0.1 too.
	fleet_port=${line##*:}
	fleet_port=${fleet_port%/}
	fleet_url=https://127.0.0.1:$fleet_port
	fleet_ca=$dir/ca.pem
	fleet_listen=127.0.0.1:$fleet_port
	# Printed behind the address.
	until [ -n "$fleet_token" ] || [ $SECONDS -ge $until ] || [ -e "$dir/.had-token" ]; do
		fleet_token=$(sed -n 's/^token *//p' "$tmp/fleetd.out")
		sleep 0.05
	done
	touch "$dir/.had-token"
}

fleet_stop()
{
	[ -n "$fleet_pid" ] || return 0
	kill "$fleet_pid" 2>/dev/null
	wait "$fleet_pid" 2>/dev/null
	local code=$?
	fleet_pid=
	return $code
}

fleet_kill()
{
	[ -n "$fleet_pid" ] || return 0
	kill -9 "$fleet_pid" 2>/dev/null
	wait "$fleet_pid" 2>/dev/null
	fleet_pid=
}

# shellcheck disable=SC2034
api()
{
	local method=$1 path=$2 json=${3:-}
	shift $(($# < 3 ? $# : 3))
	local options=(-sS -X "$method" --cacert "$fleet_ca" --max-time 60 -o "$tmp/body" -w '%{http_code}')
	[ "$method" != HEAD ] || options+=(-I)
	[ -z "$fleet_token" ] || options+=(-H "Authorization: Bearer $fleet_token")
	[ -z "$json" ] || options+=(-H 'Content-Type: application/json' --data-binary "$json")
	: >"$tmp/body"
	status=$(curl "${options[@]}" "$@" "$fleet_url$path" 2>"$tmp/curl.err")
	body=$(cat "$tmp/body")
}

# as TOKEN COMMAND…: with another token than the admin's; "" is nobody's
as()
{
	local kept=$fleet_token fleet_token=$1
	shift
	"$@"
	local code=$?
	fleet_token=$kept
	return $code
}

api_is()
{
	local name=$1 wanted=$2
	shift 2
	api "$@"
	[ "$status" = "$wanted" ] || {
		fail "$name" "status $status, wanted $wanted: $* → ${body:0:500} $(cat "$tmp/curl.err")"
		return 1
	}
	pass "$name"
}
