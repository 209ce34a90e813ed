#!/bin/bash
# needs: root dbus-daemon jq ostree busybox ip nft gcc python3
# SPDX-License-Identifier: Apache-2.0
# What the owner of a host changes while workloads run: networks that clash, bridges and providers that come and go,
# rules that others changed, routes, parameters. In a network of its own.
[ -n "${OWNER_SPACE:-}" ] || OWNER_SPACE=1 exec unshare --net --mount --propagation private bash "$0"
. tests/lib/tap.sh
. tests/lib/workload.bash

ip link set lo up
cat >"$tmp/peer.c" <<'END'
/* peer serve PATH | peer ask PATH | peer wait */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sockaddr_un at = {AF_UNIX, ""};
	char text[64] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(at.sun_path, argc > 2 ? argv[2] : "", sizeof at.sun_path - 1);
	if (argc > 1 && strcmp(argv[1], "serve") == 0) {
		unlink(at.sun_path);
		umask(0);
		if (bind(fd, (struct sockaddr *) &at, sizeof at) || listen(fd, 8))
			return 1;
		for (int one; (one = accept(fd, NULL, NULL)) >= 0; close(one))
			write(one, "served\n", 7);
		return 1;
	}
	if (connect(fd, (struct sockaddr *) &at, sizeof at) || read(fd, text, sizeof text - 1) <= 0)
		return 1;
	fputs(text, stdout);
	return 0;
}
END
ok "a program for the image" gcc -O1 -static -o "$tmp/peer" "$tmp/peer.c"

forever='echo started $GREETING; while :; do sleep 1; done'
check=
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
		resources: {cpu: 0.1, memory: 32MiB}
		restart: {first: 100ms, longest: 500ms, budget: 9, within: 10min}
		health: {soak: 1s, deadline: 30s, checks: [$check]}
	END
	printf '%s\n' "$@" >>"$tmp/$name.yaml"
}
# by_hand NAME: as a definition that nobody was asked about, of the fleet's, say.
by_hand()
{
	cp "$tmp/$1.yaml" "$host/etc/ashlar/workloads.d/$1.yaml"
	touched
}
touched()
{
	echo "${routes:-routes: []}" >"$host/etc/ashlar/routes.yaml"
}
soon() { local end=$((SECONDS + 30)); while ((SECONDS < end)); do "$@" && return; command sleep 0.1; done; return 1; }
says() { [[ "$(workload_field "$1" .text)" =~ $2 ]]; }
run() { "$ctl" workload run --timeout "${PATIENCE:-40}" "$tmp/$1.yaml"; }
document() { jq -r .document "$host/var/lib/ashlar/workload/net.json" | jq -c "$@"; }

ok "a host" workload_host
workload_extra=$tmp/peer workload_image "$tmp/image" "$forever"
# Each call of ashlar-net is written down.
rm "$libexec/ashlar-net"
printf '#!/bin/sh\necho "$1" >>%s/calls\nexec %s "$@"\n' "$tmp" "$(realpath "$ashlar_bin/ashlar-net")" \
	>"$libexec/ashlar-net"
chmod 755 "$libexec/ashlar-net"
ok "ashlar-workloadd" workload_begin

# ---- one that cannot be stands in nobody's way ----
definition one 1.0.0 'network: {mode: nat, publish: ["8080:8080"]}' 'command: [/bin/busybox, httpd, -f, -p, "8080", -h, /etc]'
ok "one with a published port" run one
answers()
{
	timeout 5 bash -c 'exec 9<>/dev/tcp/127.0.0.1/8080 && printf "GET /passwd HTTP/1.0\r\n\r\n" >&9 && cat <&9' 2>/dev/null |
		grep -q '^web:'
}
ok "which answers" soon answers
definition own 1.0.0 'network: {mode: nat, publish: ["127.0.0.2:8070:80", "8071:80/udp"]}'
python3 -c '
import socket, time
a = socket.create_server(("127.0.0.1", 8070))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.bind(("127.0.0.1", 8071))
time.sleep(3600)' &
at_exit+=("kill $!")
listens() { grep -q '0100007F:1F86 .* 0A ' /proc/net/tcp && grep -q '0100007F:1F87 ' /proc/net/udp; }
ok "the host itself listens on a port" soon listens
exits 1 "which a workload does not take away" run own
like "and that is said" "$(cat "$tmp/err")" "the host itself listens on port 8071/udp"
definition own 1.0.0 'network: {mode: nat, publish: ["0.0.0.0:8070:80"]}'
exits 1 "not with every address either" run own
definition own 1.0.0 'network: {mode: nat, publish: ["127.0.0.2:8070:80"]}'
ok "at another address it is nobody's" run own
"$ctl" workload remove own
definition two 1.0.0 'network: {mode: nat, publish: ["8080:80"]}'
exits 1 "another with the same port" run two
like "is refused, both are named" "$(cat "$tmp/err")" "'one' and 'two' both want port 8080/tcp"
by_hand two
ok "one that is there all the same waits" workload_until waiting two
like "and says for what" "$(workload_field two .text)" "'one' and 'two' both want port 8080/tcp"
definition bridge 1.0.0 'network: {mode: bridged, name: br7}'
ok "one on a bridge that is not there" "$ctl" workload run --no-wait "$tmp/bridge.yaml"
ok "waits" workload_until waiting bridge
like "and says for what" "$(workload_field bridge .text)" "no bridge 'br7'"
definition three 1.0.0 'network: {mode: natnet}'
ok "others are started as ever" run three
is "who has a network" "$(document '[.instances[].instance] | sort')" '["one","three"]'
ip link add br7 type bridge
ip link set br7 up
touched
ok "with its bridge it runs" workload_until running bridge
ip link del br7
touched
ok "without it, it does not" workload_until waiting bridge
"$ctl" workload remove bridge
definition one 2.0.0 'network: {mode: nat, publish: ["8090:8080"]}' 'command: [/bin/busybox, httpd, -f, -p, "8080", -h, /etc]'
ok "when the port is given back" run one
ok "who waited for it has it" workload_until running two
definition one 3.0.0 'network: {mode: nat, publish: ["8080:8080"]}'
by_hand one
rolled() { [ "$(workload_field one '.failed[0].version')" = 3.0.0 ]; }
ok "a version that wants what another has is left" soon rolled
like "with the reason" "$(workload_field one '.failed[0].reason')" "both want port 8080"
ok "for the one that works" workload_until running one
is "which is the old one" "$(workload_field one .version)" 2.0.0
"$ctl" workload remove two

# ---- a check of names asks the instance's own resolver ----
"$ashlar_bin/ashlar-net" names --root "$host" --user nobody 2>"$tmp/names" &
at_exit+=("kill $!")
check='{name: member, dns: three, interval: 1s}' definition names 1.0.0 'network: {mode: natnet}'
command sleep 1
if kill -0 $! 2>/dev/null; then
	ok "a check for the name of a member" run names
	"$ctl" workload remove names
else
	skip "a check for the name of a member" "$(cat "$tmp/names")"
fi

# ---- what others changed is put back ----
interface=$(ip -o link | grep -o 'ashw[0-9]*' | head -n 1)
nft flush chain inet ashlar_workload "from_${interface#ashw}"
ok "a rule is gone" test -z "$(nft list chain inet ashlar_workload "from_${interface#ashw}" | grep drop)"
back() { nft list chain inet ashlar_workload "from_${interface#ashw}" | grep -q drop; }
ok "and comes back" soon back
like "which is said" "$(soon grep 'put back\|as it was' "$tmp/workloadd.log"; grep 'others changed' "$tmp/workloadd.log")" "removed, host"

# ---- providers ----
definition client 1.0.0 'instances: 2' 'network: {mode: provider, provider: vpn, egress: ["*"]}'
ok "a client of a provider" "$ctl" workload run --no-wait "$tmp/client.yaml"
ok "waits while it is not there" soon says client "provider 'vpn' is not on this host"
definition vpn 1.0.0 'instances: 2' 'network: {mode: nat, egress: ["*"]}'
sed -i 's/^restart:.*/restart: {policy: never}/' "$tmp/vpn.yaml"
ok "the provider" run vpn
ok "then it runs" workload_until running client
is "each by an instance of its own" \
	"$(document '[.instances[] | select(.mode == "provider") | .instance + ">" + .provider] | sort')" '["client>vpn","client@2>vpn@2"]'
for name in vpn vpn@2; do kill -9 "$(workload_field vpn ".instances[] | select(.name == \"$name\") | .pid")"; done
shut() { [ "$(document '[.instances[] | select(.instance | startswith("vpn")) | .egress | length]')" = "$1" ]; }
ok "when the provider does not run its clients have no way out" soon shut '[0,0]'
is "but run" "$(workload_field client .state)" running
ok "it starts" "$ctl" workload start --timeout 20 vpn
ok "and they have one" soon shut '[1,1]'
"$ctl" workload remove vpn
ok "without a provider they wait" soon says client "provider 'vpn' is not on this host"
"$ctl" workload remove client

# ---- routes and parameters count when they are written ----
definition db 1.0.0 'provides: [{name: db, socket: /run/db/db.sock}]' 'command: [/bin/extra, serve, /run/db/db.sock]'
definition asks 1.0.0 'requires: [{name: db, socket: /run/db/db.sock}]'
ok "one that provides" run db
ok "one that requires" "$ctl" workload run --no-wait "$tmp/asks.yaml"
ok "waits without a route" workload_until waiting asks
routes='routes: [{from: asks, service: db, to: db}]' touched
ok "the route is written, and it runs" workload_until running asks
is "it is served" "$("$ctl" workload exec asks -- /bin/extra ask /run/db/db.sock)" served
exits 1 "nobody else is" "$ctl" workload exec three -- /bin/extra ask /run/db/db.sock
touched
ok "the route is taken away, and it does not run" workload_until waiting asks
like "what is missing is named" "$(workload_field asks .text)" "route for 'db'"
echo 'routes: [{from: asks' >"$host/etc/ashlar/routes.yaml"
trouble() { [[ "$("$ctl" workload list --json | jq -r .trouble)" =~ routes.yaml ]]; }
ok "a file with a mistake is told of" soon trouble
is "and changes nothing" "$(workload_field db .state)" running
touched
definition hello 1.0.0 'parameters: [{name: greeting, default: hello}]' 'environment: {GREETING: "${greeting}"}'
ok "one with a parameter" run hello
like "has its default" "$("$ctl" workload logs hello)" "started hello"
mkdir -p "$host/etc/ashlar/parameters.d"
touched
command sleep 0.5
echo 'greeting: good day' >"$host/etc/ashlar/parameters.d/hello.yaml"
greets() { [[ "$("$ctl" workload logs hello)" =~ "started good day" ]]; }
ok "another value counts when it is written" soon greets

# ---- a secret is a file ----
mkdir -p "$host/etc/ashlar/secrets"
mkfifo "$host/etc/ashlar/secrets/word"
definition knows 1.0.0 'secrets: [{name: word, path: /run/secrets/word}]'
ok "one with a secret that is a pipe" "$ctl" workload run --no-wait "$tmp/knows.yaml"
ok "waits, and says so" soon says knows "secrets/word is not a file"
rm "$host/etc/ashlar/secrets/word"
echo mellon >"$host/etc/ashlar/secrets/word"
touched
ok "with a file it runs" workload_until running knows
is "and knows it" "$("$ctl" workload exec knows -- /bin/cat /run/secrets/word)" mellon
"$ctl" workload remove knows

# ---- nothing wakes up for what is not there ----
for name in one three db asks hello; do "$ctl" workload remove --volumes "$name"; done
gone() { [ "$("$ctl" workload list --json | jq '.workloads | length')" = 0 ] && [ -z "$(ls "$host/run/ashlar/netns")" ]; }
ok "all are removed" soon gone
calls=$(wc -l <"$tmp/calls")
command sleep 2.5
is "the network of nobody is not looked at" "$(wc -l <"$tmp/calls")" "$calls"
empty "no link is left" "$(ip -o link | grep ashw)"
is "no rule is left" "$(nft list ruleset | grep -c counter)" 0
empty "nothing is mounted" "$(findmnt -rno TARGET | grep -F "$host/")"

done_testing
