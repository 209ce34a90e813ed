#!/bin/bash
# needs: root dbus-daemon jq ostree busybox qemu-system-x86_64 mke2fs dpkg-deb
# SPDX-License-Identifier: Apache-2.0
# A workload in a machine, from its definition to its end, with the real daemon: emulated, which promises nothing and
# behaves the same. One machine of 192 MB.
. tests/lib/tap.sh
. tests/lib/workload.bash
. tests/lib/machine.bash

[ "$(uname -m)" = x86_64 ] || skip_all "the kernel of this machine is not known here"
ok "a host" workload_host
for program in ashlar-guest ashlar-broker; do
	ln -sf "$(realpath "$ashlar_bin/$program")" "$libexec/$program"
done
machine_kernel "$host/usr/lib/modules" || skip_all "there is no kernel for a guest"
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
		usleep(500000);
	}
}
END
workload_tree=$tmp/more
mkdir -p "$workload_tree/bin" "$workload_tree/srv"
cp "$ashlar_bin/ashlar-call" "$workload_tree/bin/"
echo page >"$workload_tree/srv/index.html"
workload_extra=$tmp/beat workload_image "$tmp/image" '
	echo started $VERSION; echo $VERSION >>/data/log
	trap "echo stopping; exit 0" TERM
	httpd -p 127.0.0.1:8080 -h /srv
	/bin/extra &
	while :; do sleep 1; done'
ok "ashlar-workloadd" workload_begin

# definition NAME VERSION CLASS [LINE…]
definition()
{
	local name=$1 version=$2 class=$3
	shift 3
	cat >"$tmp/$name.yaml" <<-END
		workload: $name
		version: $version
		image: oci-dir:$tmp/image
		isolation: $class
		environment: {VERSION: "$version"}
		resources: {cpu: 0.5, memory: 192MiB, disk: 8MiB}
		restart: {first: 100ms, longest: 500ms, budget: 3, within: 10min}
	END
	printf '%s\n' "$@" >>"$tmp/$name.yaml"
}

# ---- what cannot be had is said ----
definition strong 1.0.0 vm
"$ctl" workload run --timeout 60 "$tmp/strong.yaml" >/dev/null 2>"$tmp/err"
if ! grep -q usable$ "$host/var/cache/ashlar/workload/kvm" || grep -q unusable "$host/var/cache/ashlar/workload/kvm"; then
	like "without a KVM that works, vm is refused, and what to do is said" "$(cat "$tmp/err")" \
		'vm needs a KVM that works.*vm-emulated'
	is "it is not run with less" "$(workload_field strong '"\(.state) \(.effective)"')" "failed null"
fi
"$ctl" workload remove --timeout 30 strong >/dev/null
definition least 1.0.0 '{class: vm-emulated, at-least: hardware}'
exits 3 "emulation is not taken for hardware" "$ctl" workload run "$tmp/least.yaml"
like "and that is said" "$(cat "$tmp/err")" "vm-emulated never gives 'hardware'"

# ---- it runs ----
cat >"$host/etc/ashlar/routes.yaml" <<'END'
routes:
  - {from: web, service: sign.Text, to: signer}
  - {from: reader, service: sign.Text, to: signer}
  - {from: reader, service: page.Get, to: web}
  - {from: reader, service: echo.Back, to: web}
  - {from: reader, service: keep.Word, to: once}
END
mkdir -p "$host/etc/ashlar/policy.d"
cat >"$host/etc/ashlar/policy.d/50.policy" <<'END'
sign.Text web signer allow
page.Get reader web allow
echo.Back reader web allow
keep.Word reader once allow
END
definition signer 1.0.0 sandbox \
	'provides: [{name: sign.Text, call: [/bin/sh, -c, "echo for $ASHLAR_CALLER; cat; exit 3"]}]'
sed -i 's/memory: 192MiB/memory: 32MiB/; s/cpu: 0.5/cpu: 0.1/' "$tmp/signer.yaml"
sed -i '/^environment/a command: [/bin/sleep, "1000"]' "$tmp/signer.yaml"
ok "another workload" "$ctl" workload run --timeout 60 "$tmp/signer.yaml"
definition web 1.0.0 vm-emulated \
	'volumes: [{name: data, path: /data, size: 16MiB}]' \
	'heartbeat: {every: 10s}' \
	'requires: [{name: sign.Text}]' \
	'provides: [{name: page.Get, call: [/bin/cat, /srv/index.html]}, {name: echo.Back, call: [/bin/cat]}]' \
	'health:' \
	'  soak: 1s' \
	'  deadline: 2min' \
	'  checks:' \
	'    - {name: page, http: "http://127.0.0.1:8080/index.html", interval: 2s, timeout: 10s}' \
	'    - {name: port, tcp: "127.0.0.1:8080", interval: 2s, timeout: 10s}' \
	'    - {name: log, file: /data/log, interval: 2s, timeout: 10s}' \
	'    - {name: own, command: [/bin/cat, /data/log], interval: 2s, timeout: 10s}' \
	'    - {name: none, http: "http://127.0.0.1:8081/", interval: 2s, timeout: 10s, class: wanted}'
ok "run waits until it is ready" "$ctl" workload run --timeout 120 "$tmp/web.yaml"
is "status" "$(workload_field web '"\(.version) \(.state) \(.effective)"')" "1.0.0 running vm-emulated"
is "what is looked at is inside" \
	"$(workload_field web '[.instances[0].health[] | select(.name != "none") | "\(.name) \(.passing)"] | sort | join(", ")')" \
	"log true, own true, page true, port true"
like "and what is not there is not" "$(workload_field web '.instances[0].health[] | select(.name == "none") | "\(.passing) \(.text)"')" \
	"false .*127.0.0.1:8081.*refused"
like "logs" "$("$ctl" workload logs web)" "started 1.0.0"
ok "exec runs inside" "$ctl" workload exec web -- /bin/cat /data/log
is "what it wrote" "$(cat "$tmp/out")" 1.0.0
is "as the workload's user" "$("$ctl" workload exec web -- /bin/id -u)" 1000
unlike "on a kernel of its own" "$("$ctl" workload exec web -- /bin/cat /proc/version)" "$(uname -r)"
exits 7 "with its exit code" "$ctl" workload exec web -- /bin/sh -c 'exit 7'
exits 127 "or that there is no such program" "$ctl" workload exec web -- /bin/none
head -c 3000000 /dev/urandom >"$tmp/big"
"$ctl" workload exec web -- /bin/cat <"$tmp/big" >"$tmp/back" 2>"$tmp/err"
ok "three megabytes go there and back" cmp "$tmp/big" "$tmp/back"
"$ctl" workload exec web -- /bin/cat /dev/zero 2>/dev/null | head -c 100 >/dev/null
is "one that nobody reads does not hold up another" "$("$ctl" workload exec web -- /bin/echo on)" on
is "and has ended" "$("$ctl" workload exec web -- /bin/sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline; done 2>/dev/null' 2>/dev/null | grep -c '/dev/zero ')" 0
is "QEMU is not root" "$(stat -c %u "/proc/$(workload_field web '.instances[0].pid')")" \
	"$(jq -r '.uids[] | select(.instance == "web") | .base' "$host/var/lib/ashlar/workload/state.json")"

# ---- calls, out of it and into it ----
definition once 1.0.0 vm-emulated 'disposable: true' \
	'provides: [{name: keep.Word, call: [/bin/sh, -c, "[ -e /tmp/word ] && echo old; cat >/tmp/word; hostname; cat /tmp/word"]}]'
sed -i 's/cpu: 0.5/cpu: 0.2/' "$tmp/once.yaml"
ok "a disposable machine is ready at once" "$ctl" workload run --timeout 30 "$tmp/once.yaml"
sed 's/workload: signer/workload: reader/; /^provides/d' "$tmp/signer.yaml" >"$tmp/reader.yaml"
echo 'requires: [{name: page.Get}, {name: echo.Back}, {name: sign.Text}, {name: keep.Word}]' >>"$tmp/reader.yaml"
ok "and one that calls" "$ctl" workload run --timeout 60 "$tmp/reader.yaml"
"$ctl" workload exec web -- /bin/ashlar-call sign.Text signer >"$tmp/out" 2>"$tmp/err" <<<"a letter"
is "the machine calls; who it is is known" "$?: $(cat "$tmp/out" "$tmp/err")" $'3: for web\na letter'
"$ctl" workload exec web -- /bin/ashlar-call page.Get >"$tmp/out" 2>"$tmp/err" </dev/null
is "what it may not it may not" "$?: $(cat "$tmp/err")" \
	"125: ashlar-call: refused: web does not say that it requires page.Get"
is "the machine is called" "$("$ctl" workload exec reader -- /bin/ashlar-call page.Get web 2>&1 </dev/null)" page
"$ctl" workload exec reader -- /bin/ashlar-call echo.Back web <"$tmp/big" >"$tmp/back" 2>"$tmp/err"
ok "three megabytes through the broker and the machine" cmp "$tmp/big" "$tmp/back"

# ---- one for each call ----
is "a call has a machine of its own" "$("$ctl" workload exec reader -- /bin/ashlar-call keep.Word once <<<"a word" 2>&1 | tr '\n' ' ')" \
	"once@1001 a word "
gone() { ! jq -r '.uids[].instance' "$host/var/lib/ashlar/workload/state.json" | grep -q once@ && [ ! -e "$host/run/ashlar/workload/once@1001" ]; }
soon() { local end=$((SECONDS + 90)); while ((SECONDS < end)); do "$@" && return; command sleep 0.2; done; return 1; }
ok "of which nothing is left" soon gone

# ---- it hangs ----
first=$(workload_field web '.instances[0].pid')
"$ctl" workload exec web -- /bin/sh -c 'for p in /proc/[0-9]*; do grep -q ^/bin/extra $p/cmdline 2>/dev/null && kill -STOP ${p#/proc/}; done' </dev/null
restarted() { [ "$(workload_field web .restarts)" -ge 1 ] && [ "$(workload_field web .state)" = running ]; }
ok "without a heartbeat it is begun again" soon restarted
unlike "in another QEMU" "$(workload_field web '.instances[0].pid')" "^$first$"
is "its volume is as it was" "$("$ctl" workload exec web -- /bin/cat /data/log | tr '\n' ' ')" "1.0.0 1.0.0 "

# ---- it ends ----
first=$(workload_field web '.instances[0].pid')
like "it runs in QEMU" "$(tr '\0' ' ' <"/proc/$first/cmdline")" '^qemu-system-'
ok "stop" "$ctl" workload stop web
like "its command was asked to" "$(cat "$host/var/log/ashlar/web.log")" stopping
ok "no QEMU is left" test ! -d "/proc/$first"
ok "its socket is gone" test ! -e "$host/run/ashlar/workload/web/guest.sock"
for name in reader signer once web; do
	"$ctl" workload remove --volumes "$name" >/dev/null
done
is "no range of users is kept" "$(jq '.uids | length' "$host/var/lib/ashlar/workload/state.json")" 0
done_testing
