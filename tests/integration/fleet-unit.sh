#!/bin/bash
# needs: curl jq python3 systemd-analyze
# SPDX-License-Identifier: Apache-2.0
# ashlar-fleetd as a service: what it tells systemd, how closed its unit is; and its backup while it runs.
. tests/lib/tap.sh
. tests/lib/fleet.bash

# ---- the unit ----------------------------------------------------------------------------------------

unit=data/systemd/ashlar-fleetd.service
exposure=$(systemd-analyze security --offline=yes "$unit" 2>/dev/null |
	sed -n 's/.*Overall exposure level for .*: \([0-9]*\)\.\([0-9]\) .*/\1\2/p')
ok "its exposure is at most 2.0 (${exposure:-unknown} tenths)" [ "${exposure:-999}" -le 20 ]
unit_has()
{
	like "the unit has $1" "$(cat "$unit")" "^$1\$"
}
# What the server says below, and when it is ended.
unit_has Type=notify
unit_has WatchdogSec=2min
unit_has 'ExecReload=/bin/kill -HUP \$MAINPID'

# ---- what it tells -----------------------------------------------------------------------------------

python3 - "$tmp/notify" >"$tmp/told" <<'END' &
import socket
import sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
while True:
    print(listener.recv(4096).decode().replace("\n", " "), flush=True)
END
at_exit+=("kill $!")
for ((i = 0; i < 600; i++)); do
	[ ! -S "$tmp/notify" ] || break
	sleep 0.05
done

# told NUMBER REGEX: so many of what was told are like it, within a minute.
told()
{
	local i
	for ((i = 0; i < 1200; i++)); do
		[ "$(grep -Ec -- "$2" "$tmp/told")" -lt "$1" ] || return 0
		sleep 0.05
	done
	return 1
}
export NOTIFY_SOCKET=$tmp/notify WATCHDOG_USEC=400000
ok "a server starts" fleet_start "$tmp/fleet" 'rate: {operators: 0}'
unset NOTIFY_SOCKET WATCHDOG_USEC
ok "it is ready" told 1 '^READY=1$'
is "... told first, and only when it serves" "$(head -n 1 "$tmp/told") $(curl -sk --max-time 30 "$fleet_url/healthz")" \
	'READY=1 {"ok":true}'
ok "it answers the watchdog, again and again" told 3 '^WATCHDOG=1$'
kill -HUP "$fleet_pid"
ok "it says that it reads its settings anew" told 1 '^RELOADING=1 MONOTONIC_USEC=[0-9]+$'
ok "... and that it has" told 2 '^READY=1$'
echo 'poll: never' >"$tmp/fleet/fleetd.yaml"
kill -HUP "$fleet_pid"
ok "settings that are wrong are no end of it" told 3 '^READY=1$'
api_is "... it serves" 200 GET /v1/overview
rm "$tmp/fleet/fleetd.yaml"

# ---- backup ------------------------------------------------------------------------------------------

mkdir -p "$tmp/fleet/audit"
echo '{"seq":1}' >"$tmp/fleet/audit/000000000001-000000000001.jsonl"
api_is "something is in the database" 200 POST /v1/tokens '{"note":"of before","uses":1}'
ok "a backup while it runs" "$fleetd" backup "$tmp/fleet" "$tmp/backup"
is "... has all but the content" "$(cd "$tmp/backup" && find . -type f | sort | xargs)" \
	"./audit/000000000001-000000000001.jsonl ./ca.key ./ca.pem ./fleet.db"
is "... for nobody else" "$(find "$tmp/backup" -perm /077)" ""
exits 7 "... and is not overwritten" "$fleetd" backup "$tmp/fleet" "$tmp/backup"
exits 7 "nothing is restored into a server's directory" "$fleetd" restore "$tmp/fleet" "$tmp/backup"

cp -r "$tmp/backup" "$tmp/half"
truncate -s 60000 "$tmp/half/fleet.db"
exits 3 "half a backup is refused" "$fleetd" restore "$tmp/none" "$tmp/half"
like "... with what to do" "$(cat "$tmp/err")" "half/fleet.db' is damaged .*: take an older one; nothing was restored"
ok "... and nothing is there" test ! -e "$tmp/none"
exits 3 "a backup that is not there" "$fleetd" restore "$tmp/none" "$tmp/nowhere"
like "... is said to be none" "$(cat "$tmp/err")" "there is no '.*nowhere'"

# ---- the end -----------------------------------------------------------------------------------------

ok "it ends well" fleet_stop
ok "... and said so" told 1 '^STOPPING=1$'

ok "a backup is put into a directory that is not there" "$fleetd" restore "$tmp/restored" "$tmp/backup"
cmp -s "$tmp/fleet/ca.key" "$tmp/restored/ca.key"
is "... the same authority" "$?" 0
ok "its database is whole" "$fleetd" check "$tmp/restored"
python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE audit SET actor = ? WHERE seq = 2", (sys.argv[2],))
db.commit()' "$tmp/restored/fleet.db" somebody
exits 7 "who changed a row of the audit log is found" "$fleetd" check "$tmp/restored"
like "... with its number" "$(cat "$tmp/err")" 'row 2 of the audit log'
rm -r "$tmp/restored"
ok "it is put back once more" "$fleetd" restore "$tmp/restored" "$tmp/backup"
ok "a server starts there" fleet_start "$tmp/restored"
api GET /v1/tokens
like "... and knows what the other knew, and its operators" "$status $body" '^200 .*of before'
ok "it ends" fleet_stop
done_testing
