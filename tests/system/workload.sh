#!/bin/bash
# needs: root dbus-daemon jq ostree busybox
# SPDX-License-Identifier: Apache-2.0
# A workload's life on a host: started, ended by itself, hung, updated well and badly, through power cuts and the
# daemon's own end, and removed; with the real launcher.
. tests/lib/tap.sh
. tests/lib/workload.bash

forever='echo started $VERSION; echo $VERSION >>/data/log; while :; do sleep 1; done'

# definition NAME VERSION [LINE…]: $tmp/NAME.yaml
definition()
{
	local name=$1 version=$2
	shift 2
	cat >"$tmp/$name.yaml" <<-END
		workload: $name
		version: $version
		image: oci-dir:$tmp/image
		isolation: sandbox
		environment: {VERSION: "$version"}
		resources: {cpu: 0.1, memory: 32MiB}
		restart: {first: 100ms, longest: 500ms, budget: 3, within: 10min}
	END
	printf '%s\n' "$@" >>"$tmp/$name.yaml"
}

pid_of()
{
	workload_field "$1" '.instances[0].pid'
}

ok "a host" workload_host
workload_image "$tmp/image" "$forever"
ok "ashlar-workloadd" workload_begin

# ---- it runs ----
soak='health: {soak: 1s, deadline: 10s, checks: [{name: log, file: /data/log, interval: 1s, failures: 1}]}'
volume='volumes: [{name: data, path: /data, size: 16MiB}]'
definition web 1.0.0 "$volume" "$soak"
ok "run waits until it is ready" "$ctl" workload run --timeout 30 "$tmp/web.yaml"
is "list shows it" "$("$ctl" workload list --json | jq -r '.workloads[] | "\(.name) \(.version) \(.state) \(.effective)"')" \
	"web 1.0.0 running sandbox"
like "logs" "$("$ctl" workload logs web)" "started 1.0.0"
ok "exec runs inside" "$ctl" workload exec web -- /bin/cat /data/log
is "what it wrote" "$(cat "$tmp/out")" 1.0.0
ok "status" "$ctl" workload status web
like "status says how it is confined" "$(cat "$tmp/out")" "sandbox, really sandbox"
ok "report" "$ctl" workload report web
like "report has its volume" "$(cat "$tmp/out")" data
mount=$(findmnt -rno SIZE -T "$host/run/ashlar/volume/web/data")
like "the volume is as large as granted" "$mount" '^1[0-9](\.[0-9])?M$'

# ---- it ends by itself ----
soon() { local end=$((SECONDS + 30)); while ((SECONDS < end)); do "$@" && return; command sleep 0.1; done; return 1; }
started_again() { [ "$(workload_field web '"\(.restarts) \(.state)"')" = "$1 running" ]; }
other_pid() { now=$(pid_of web); [ "$now" != "$1" ] && [ -n "${now#null}" ]; }
first=$(pid_of web)
kill -9 "$first"
ok "killed, it is started again, which is counted" soon started_again 1
ok "another process runs" other_pid "$first"
for n in 2 3; do
	kill -9 "$(pid_of web)"
	soon started_again $n
done
kill -9 "$(pid_of web)"
ok "what ends again and again is left at that" workload_until failed web
like "and said" "$(workload_field web .text)" "that is enough"
exits 8 "status has an exit code for it" "$ctl" workload status web
ok "start begins with nothing against it" "$ctl" workload start --timeout 20 web
is "crashes are forgotten" "$(workload_field web .restarts)" 0

# ---- the daemon ends, the workload does not ----
before=$(pid_of web)
workload_kill
ok "killed, its workload goes on" kill -0 "$before"
ok "it begins again" workload_begin
is "and finds it" "$(workload_field web .state) $(pid_of web)" "running $before"
kill -9 "$before"
ok "its end is seen" soon other_pid "$before"

# ---- updates ----
definition web 2.0.0 "$volume" "$soak"
ok "a new version" "$ctl" workload run --timeout 30 "$tmp/web.yaml"
is "runs" "$(workload_field web '"\(.version) \(.state)"')" "2.0.0 running"
"$ctl" workload exec web -- /bin/cat /data/log >"$tmp/log"
like "with the volume of the old" "$(head -1 "$tmp/log")" 1.0.0

definition web 3.0.0 "$volume" \
	'health: {soak: 1s, deadline: 10s, checks: [{name: never, file: /nonexistent, interval: 1s, failures: 1}]}'
exits 8 "a version that does not work" "$ctl" workload run --timeout 60 "$tmp/web.yaml"
like "run says why" "$(cat "$tmp/err")" "never"
is "the old one runs again" "$(workload_field web '"\(.version) \(.state)"')" "2.0.0 running"
is "the bad one is known" "$(workload_field web '.failed[0].version')" 3.0.0
like "the volume is as it was" "$("$ctl" workload exec web -- /bin/cat /data/log | head -1)" 1.0.0
exits 1 "it is not taken again" "$ctl" workload run "$tmp/web.yaml"
like "and how that is changed is said" "$(cat "$tmp/err")" "workload forgive web"

# ---- one that cannot start at all ----
definition web 4.0.0 "$volume" 'command: [/bin/nonexistent]'
exits 8 "a version whose program is not there" "$ctl" workload run --timeout 60 "$tmp/web.yaml"
is "the old one still" "$(workload_field web '"\(.version) \(.state)"')" "2.0.0 running"

# ---- power cuts and the daemon's end, at each step of an update ----
is_up() { [ "$(workload_field web '"\(.version) \(.phase) \(.ready)"')" = "$1 up true" ]; }
n=4
for point in staging switching trial; do
	n=$((n + 1))
	definition web "$n.0.0" "$volume" "$soak"
	workload_kill
	workload_begin "workload-$point:kill"
	"$ctl" workload run --no-wait "$tmp/web.yaml" >/dev/null 2>&1
	wait "$workloadd_pid" 2>/dev/null
	case $point in
	switching) workload_power_cut ;;
	esac
	workload_begin
	ok "after the end in '$point' it goes on, to the new version" soon is_up "$n.0.0"
done

# ---- a required check fails later, a heartbeat stops ----
definition beat 1.0.0 'heartbeat: {every: 1s}'
cc -O1 -static -x c -o "$tmp/beat" - <<'END'
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void)
{
	struct sockaddr_un to = {AF_UNIX, "/run/ashlar/heartbeat"};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	for (;;) {
		sendto(fd, "alive\n", 6, 0, (struct sockaddr *) &to, sizeof to);
		usleep(300000);
	}
}
END
workload_extra=$tmp/beat workload_image "$tmp/beat-image" 'exec /bin/extra'
sed -i "s|oci-dir:.*|oci-dir:$tmp/beat-image|" "$tmp/beat.yaml"
ok "one with a heartbeat" "$ctl" workload run --timeout 30 "$tmp/beat.yaml"
first=$(pid_of beat)
# Whoever is first in there, all of it hangs.
# shellcheck disable=SC2046
kill -STOP "$first" $(pgrep -P "$first")
restarted() { [ "$(workload_field beat .restarts)" -ge 1 ] && [ "$(workload_field beat .state)" = running ]; }
ok "one that hangs is replaced" soon restarted
ok "removed" "$ctl" workload remove --timeout 30 beat

# ---- what is missing is named ----
definition client 1.0.0 'requires: [{name: db, socket: /run/db/db.sock}]'
ok "one with a requirement" "$ctl" workload run --no-wait "$tmp/client.yaml"
ok "without a route it waits" workload_until waiting client
like "for the route, which is named" "$(workload_field client .text)" "route for 'db'.*from: client"
like "the graph has it" "$("$ctl" workload graph)" "db → no route"
definition db 1.0.0 'provides: [{name: db, socket: /run/db/db.sock}]'
ok "the other side" "$ctl" workload run --timeout 30 "$tmp/db.yaml"
echo 'routes: [{from: client, service: db, to: db}]' >"$host/etc/ashlar/routes.yaml"
ok "with a route" "$ctl" workload run --timeout 30 "$tmp/client.yaml"
dir=$(echo "$host"/run/ashlar/workload/db/provide/*)
touch "$dir/db.sock"
ok "what one provides the other sees" "$ctl" workload exec client -- /bin/ls /run/db/db.sock
"$ctl" workload remove client
"$ctl" workload remove db

definition huge 1.0.0
sed -i 's/memory: 32MiB/memory: 900GiB/' "$tmp/huge.yaml"
exits 1 "one that the host cannot hold" "$ctl" workload run "$tmp/huge.yaml"
like "is refused with figures" "$(cat "$tmp/err")" "wants .*GB of memory.* for all"
definition broken 1.0.0 'isolaton: sandbox'
exits 3 "a definition with a mistake" "$ctl" workload run "$tmp/broken.yaml"
like "is refused with file, line and key" "$(cat "$tmp/err")" "broken.yaml:8:.*isolaton"
exits 1 "of what is not there" "$ctl" workload status nobody

# ---- removal ----
ok "stop" "$ctl" workload stop web
is "stopped" "$(workload_field web .state)" stopped
workload_kill
ok "the daemon again" workload_begin
is "stays stopped" "$(workload_field web .state)" stopped
ok "remove keeps the volume" "$ctl" workload remove web
ok "of which nothing else is left" test -e "$host/var/lib/ashlar/volume/web/data.img"
definition web 9.0.0 "$volume" "$soak"
ok "defined again" "$ctl" workload run --timeout 30 "$tmp/web.yaml"
like "it has its volume" "$("$ctl" workload exec web -- /bin/cat /data/log | head -1)" 1.0.0
ok "remove --volumes" "$ctl" workload remove --volumes web
empty "nothing of it is left" "$(find "$host/var/lib/ashlar/volume" "$host/var/lib/ashlar/workload/definitions" \
	"$host/etc/ashlar/workloads.d" "$host/run/ashlar/workload" -mindepth 1 ! -name status.json)"
empty "nothing is mounted" "$(findmnt -rno TARGET | grep -F "$host/")"
is "no range of users is kept" "$(jq '.uids | length' "$host/var/lib/ashlar/workload/state.json")" 0

done_testing
