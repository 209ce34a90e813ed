#!/bin/bash
# needs: root nspawn jq unshare python3
# SPDX-License-Identifier: Apache-2.0
# What a workload may do that has been granted nothing, and what each grant adds, in each class.
. tests/lib/tap.sh
. tests/lib/launch.bash

work_image cat
echo host >"$tmp/mark"
echo secret >"$tmp/secret"
mkdir "$tmp/volume"
abstract=ashlar-escape-$$
python3 -c 'import socket, sys, signal
s = socket.socket(socket.AF_UNIX)
s.bind("\0" + sys.argv[1])
s.listen()
print("listening", flush=True)
signal.pause()' "$abstract" >"$tmp/listening" &
at_exit+=("kill $!")
until [ -s "$tmp/listening" ]; do read -rt 0.05 <> <(:) || :; done

environment=$(jq -cn --arg mark "$tmp/mark" --arg host "$(hostname)" --arg abstract "$abstract" \
	'["PATH=/bin", "ESCAPE_MARK=\($mark)", "ESCAPE_HOST=\($host)", "ESCAPE_ABSTRACT=\($abstract)",
	"ESCAPE_FILE=/run/secrets/s", "ESCAPE_SETUID=/srv/raise"]')

# opened CLASS JSON [PROBE…]: what gets through, in one line.
opened()
{
	local class=$1 over
	over=$(jq -cn --argjson e "$environment" --argjson o "$2" '{environment: $e} + $o')
	shift 2
	work_run escape "$class" "$over" /bin/escape "$@" >"$tmp/probes" 2>"$tmp/words" || {
		echo "failed: $(cat "$tmp/words")"
		return
	}
	[ $# -gt 0 ] || [ "$(wc -l <"$tmp/probes")" -eq "$(build/escape --count)" ] || echo "probes are missing"
	sed -n 's/ open$//p' "$tmp/probes" | xargs
}

# Set-uid files, of the image's root and of a volume's.
install -m 6755 build/escape "$work_root/srv/raise"
cp build/escape "$tmp/volume/raise"

# The probes work: as root, with a root of its own and nothing else.
mkdir -p "$tmp/jail/tmp"
cp build/escape "$tmp/jail/"
like "a plain chroot does not hold" "$(ESCAPE_MARK=$tmp/mark chroot "$tmp/jail" /escape chroot_escape)" '^chroot_escape open$'
outside=$(unshare --mount --uts --ipc --net --pid --fork --mount-proc env ESCAPE_MARK="$tmp/mark" \
	"$PWD/build/escape" | grep -c ' open$')
ok "with all privileges most probes get through ($outside)" test "$outside" -ge 45

chmod 711 "$tmp"
raises=$(ESCAPE_SETUID=$work_root/srv/raise setpriv --reuid 65534 --clear-groups "$work_root/bin/escape" setuid_file)
is "a set-uid file raises who is not confined" "$raises" "setuid_file open"

# gVisor's own: its kernel has namespaces, devices and ports that are nobody else's.
own='clone_user mknod_char mknod_block dev_fuse dev_tun write_dev netlink_uevent port spoof'
classes='sandbox container'
if [ -x /usr/bin/runsc ]; then
	classes+=' userkernel'
else
	skip "class userkernel" "runsc is not installed"
fi
for class in $classes; do
	for uid in 0 1000; do
		got=$(opened "$class" "{\"uid\": $uid, \"gid\": $uid}")
		[ "$class" != userkernel ] || got=$(tr ' ' '\n' <<<"$got" | grep -vxF "${own// /$'\n'}")
		is "$class, user $uid: with no grant nothing gets through" "$got" ""
	done
done

# ---- what all share has an end for each ----
taken() # NAME
{
	sed -n "s/^$1 //p" "$tmp/exhausted"
}
for class in $classes; do
	[ "$class" != userkernel ] || continue
	user='"uid": 1000, "gid": 1000'
	owner=0
	chown "$owner:$owner" "$tmp/volume/raise"
	chmod 6755 "$tmp/volume/raise"
	is "$class: a set-uid file of a volume raises nobody" "$(opened "$class" \
		"{$user, \"environment\": [\"ESCAPE_SETUID=/vol/raise\"], \"binds\": [{\"source\": \"$tmp/volume\", \"target\": \"/vol\"}]}" \
		setuid_file)" ""
	work_run exhaust "$class" "{$user}" /bin/escape --exhaust >"$tmp/exhausted" 2>"$tmp/words" </dev/null
	is "$class: what runs out is told of" "$(cut -d ' ' -f 1 "$tmp/exhausted" | xargs)" \
		"forks descriptors inodes kilobytes shared terminals"
	ok "$class: forks end ($(taken forks))" test "$(taken forks)" -lt 64
	ok "$class: descriptors do ($(taken descriptors))" test "$(taken descriptors)" -lt 256
	ok "$class: files do ($(taken inodes))" test "$(taken inodes)" -lt 300
	ok "$class: and what is in them ($(taken kilobytes) kB)" test "$(taken kilobytes)" -le 1024
	ok "$class: shared memory does ($(taken shared) kB)" test "$(taken shared)" -le 65536
	[ "$class" != sandbox ] || ok "$class: terminals do ($(taken terminals))" test "$(taken terminals)" -le 64
done
# A bomb of forks in one is nothing to another, whose users are others.
cat >"$tmp/bomb.c" <<'END'
#include <unistd.h>
int main(void)
{
	for (;;)
		if (fork() < 0)
			usleep(10000);
}
END
if gcc -O1 -static -o "$work_root/bin/bomb" "$tmp/bomb.c"; then
	for class in sandbox container; do
		work_start bomb $class '{"uid": 1000, "gid": 1000}' /bin/bomb
		got=$(work_run beside $class "{\"uid_base\": $((work_base + 65536)), \"uid\": 1000, \"gid\": 1000}" \
			/bin/escape --exhaust 2>"$tmp/words" | sed -n 's/^forks //p')
		ok "$class: beside a bomb of forks another has its own (${got:-none})" test "${got:-0}" -ge 50
		kill -KILL "$work_pid"
		wait "$work_pid" 2>/dev/null
		for _ in {1..100}; do pgrep -x bomb >/dev/null || break; read -rt 0.05 <> <(:) || :; done
		empty "$class: the bomb ends with its launcher" "$(pgrep -x bomb)"
	done
	rm "$work_root/bin/bomb"
fi

# grant CLASS WHAT JSON PROBES
grant()
{
	is "$1: $2" "$(opened "$1" "$3")" "$4"
}

bind="{\"binds\": [{\"source\": \"$tmp/secret\", \"target\": \"/run/secrets/s\", \"is_read_only\": true}]}"
ip netns add "ashlar-$$" 2>/dev/null && at_exit+=("ip netns del ashlar-$$") &&
	ip -n "ashlar-$$" link add ashlar0 type dummy 2>/dev/null
for class in sandbox container; do
	user='"uid": 1000, "gid": 1000'
	grant $class "a capability: net_bind_service" \
		"{$user, \"capabilities\": [\"net_bind_service\"]}" port
	grant $class "a capability: net_raw" "{$user, \"capabilities\": [\"net_raw\"]}" \
		"socket_packet socket_raw socket_raw6 spoof"
	grant $class "a secret" "$bind" granted_file
	[ ! -c /dev/net/tun ] || grant $class "a device" '{"devices": ["/dev/net/tun"]}' dev_tun
	[ ! -e "/run/netns/ashlar-$$" ] || ! ip -n "ashlar-$$" link show ashlar0 >/dev/null 2>&1 ||
		grant $class "a network" "{\"netns\": \"/run/netns/ashlar-$$\"}" interfaces
	for call in ptrace:ptrace process_vm_readv:process_vm kcmp:kcmp keyctl:keyctl \
		io_uring_setup:io_uring personality:personality; do
		grant $class "a system call: ${call%:*}" "{\"calls_added\": [\"${call%:*}\"]}" "${call#*:}"
	done
	is "$class: the host's network does not bring its abstract sockets" \
		"$(opened $class '{"netns": "host"}' abstract port)" ""
	is "$class: a call that is taken away" \
		"$(opened $class '{"calls_added": ["keyctl"], "calls_removed": ["keyctl"]}')" ""
	is "$class: and nothing stays" "$(opened $class '{}')" ""
done
grant container "a capability: sys_chroot" '{"capabilities": ["sys_chroot"]}' chroot
grant container "a capability: chown" '{"capabilities": ["chown"]}' chown
grant container "a capability: sys_ptrace" '{"capabilities": ["sys_ptrace"]}' "ptrace process_vm kcmp"
like "sandbox: a capability that would be the host's is refused" \
	"$(opened sandbox '{"capabilities": ["sys_admin"]}')" "would be the host's own"

done_testing
