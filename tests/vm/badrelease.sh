#!/bin/bash
# needs: root vm apt jq qemu-img
# SPDX-License-Identifier: Apache-2.0
# timeout: 2700
# Releases that do not work, each in its own way. Each ends in the old deployment with nobody's help; the
# commit is remembered, the reason is told, and it is not tried again. Two machines go through them side
# by side, each with releases of its own kind: those that never come up have two tries, so that counting
# is seen; those that come up have one.
#
# ASHLAR_BAD: the versions to go through, or "all"; by default those of which no two end alike, for CI's time
. tests/lib/tap.sh
. tests/lib/vm.bash
. tests/lib/vm-update.bash

probe=/usr/lib/ashlar-probe/probe
all=(2.0.1 2.0.2 2.0.3 2.0.4 3.0.1 3.0.2 3.0.3 3.0.4 3.0.5)
read -ra chosen <<<"${ASHLAR_BAD:-2.0.1 2.0.2 2.0.3 3.0.1 3.0.3}"
[ "${chosen[*]}" != all ] || chosen=("${all[@]}")
# Two machines for as long as four releases take that each boot up to three times.
vm_lifetime_s=7200
# A case: up to three boots, five minutes until a deadline, on a machine that has other things to do.
limit_s=1500

# build WHAT VERSION YAML…: if it is one of the chosen
build()
{
	[[ " ${chosen[*]} " != *" $2 "* ]] || ok "$1" release_build "${@:2}"
}

# unit NAME LINE…: YAML of a service that multi-user.target wants
unit()
{
	printf '%s\n' "  - name: $1" "    enable: true" "    content: |" "      [Service]"
	printf '      %s\n' "${@:2}" "[Install]" "WantedBy=multi-user.target"
}

# check TEXT: YAML of one health check more
check()
{
	printf '%s\n' "  - path: /usr/lib/ashlar/health.d/95-bad.yaml" "    content: |" \
		"      deadline: 90s" "      checks:" \
		"        - {name: bad, $1}"
}

ok "keys, a server, a lock" releases_begin
ok "the good release" release_build 1.0.0
ok "…and an image of it" release_image 1.0.0
kernel=$(sed -n 's/.*{name: linux-image-\([0-9][^ ,]*\),.*/\1/p' "$tmp/m/lock.lock")

# Of the first machine.
build "a kernel that panics" 2.0.1 \
	"kernel-arguments: [rdinit=/nonexistent, root=/dev/nonexistent, init=/nonexistent, panic=2]"
build "a kernel that is none" 2.0.2 "files:" \
	"  - {path: /boot/vmlinuz-$kernel, content: \"this is no kernel\\n\"}"
build "an initramfs that hangs" 2.0.3 \
	"kernel-arguments: [root=PARTLABEL=nowhere, ashlar.root_timeout_s=1, ashlar.debug, ashlar.watchdog_s=20]"
build "an init that is not fed" 2.0.4 "units:" \
	"$(unit freeze.service "ExecStart=$probe @write /sys/fs/cgroup/init.scope/cgroup.freeze 1")"
# Of the second.
build "a unit that fails" 3.0.1 "files:" "$(check "unit: broken.service")" "units:" \
	"$(unit broken.service "ExecStart=$probe @exit 1")"
build "a check that fails later" 3.0.2 "files:" \
	"  - {path: /usr/lib/ashlar/health.d/96-soak.yaml, content: \"soak: 10min\\ndeadline: 14min\\n\"}" \
	"$(check "interval: 5s, file: /run/working")" "units:" \
	"$(unit later.service "ExecStart=$probe @hold /run/working 60")"
build "an agent that crashes" 3.0.3 "units:" "  - name: ashlard.service" "    dropins:" \
	"      - {name: 99-bad.conf, content: \"[Service]\\nExecStart=\\nExecStart=$probe @segv\\n\"}"
build "a root that fills up" 3.0.4 "files:" \
	"$(check "space: {path: /sysroot, bytes: 32MiB}")" "units:" \
	"$(unit fill.service "Type=oneshot" "PrivateMounts=yes" "ExecStart=$probe @remount /sysroot" \
		"ExecStart=$probe @fill /sysroot/ostree/filled 1048576")"
# Where the agent itself writes down what it is about to do; and what fills it is there after the return too.
build "a /var that fills up" 3.0.5 "files:" "$(check "space: {path: /var, bytes: 32MiB}")" "units:" \
	"$(unit fill.service "Type=oneshot" "ExecStart=$probe @fill /var/filled 0")"
ok "all of them are published" release_publish 1.0.0 "${chosen[@]}" -- --no-deltas
[ "$test_failed" -eq 0 ] || done_testing

vm_make one "$image"
vm_credential one ashlar.host "$(host_document "  tries: 2")"
vm_make two "$image"
vm_credential two ashlar.host "$(host_document "  tries: 1")"

# bad NAME VERSION WHAT REASON: asks for it, and waits for the return
bad()
{
	local name=$1 version=$2 what=$3 reason=$4 began=$SECONDS
	[[ " ${chosen[*]} " == *" $version "* ]] || return
	ok "$what: it is asked for" vm_do "$name" 60 /usr/bin/ashlarctl update "$version"
	ok "$what: the old deployment is back" status_until "$name" "$limit_s" \
		".booted.version == \"1.0.0\" and .state == \"idle\" and .verdict == \"good\" and
			any(.failed[]; .version == \"$version\")"
	diag "$name, $what: $((SECONDS - began)) s"
	if [ "$test_failed" -gt 0 ]; then
		vm_explain "$name"
		return
	fi
	is "$what: the commit is remembered as bad" \
		"$(status "$name" ".failed[] | select(.version == \"$version\") | .kind")" bad
	like "$what: the reason is told" \
		"$(status "$name" ".failed[] | select(.version == \"$version\") | .reason")" "$reason"
	# A check keeps what it learns in /var.
	[ "$version" != 3.0.5 ] || ok "$what: there is room again" vm_do "$name" 30 @rm /var/filled
	exits 8 "$what: it is not tried again" vm_do "$name" 120 /usr/bin/ashlarctl update --wait "$version"
	is "$what: …by anybody" "$(status "$name" '.booted.version + " " + .state')" "1.0.0 idle"
}

# machine NAME: its releases, in a shell of its own
machine()
{
	vm_start "$1"
	ok "$1 comes up" vm_up "$1" 600
	ok "$1 finds its release good" status_until "$1" 600 '.verdict == "good" and .state == "idle"'
	case $1 in
	one)
		bad one 2.0.1 "a kernel that panics" 'did not start, in 2 tries|in 2 boots'
		# It gets no try: systemd-boot would return to the firmware, and nobody would count on.
		bad one 2.0.2 "a kernel that is none" 'no kernel that the firmware would start'
		bad one 2.0.3 "an initramfs that hangs" 'did not start, in 2 tries|in 2 boots'
		bad one 2.0.4 "an init that is not fed" 'did not start, in 2 tries|in 2 boots'
		;;
	two)
		bad two 3.0.1 "a unit that fails" 'bad|broken'
		bad two 3.0.2 "a check that fails later" 'bad'
		bad two 3.0.3 "an agent that crashes" 'in 1 (try|tries|boots)'
		bad two 3.0.4 "a root that fills up" 'bad|space'
		bad two 3.0.5 "a /var that fills up" 'bad|space|never became healthy|did not start'
		;;
	esac
	vm_stop "$1"
}

# side NAME: machine, in a process of its own that counts for itself
side()
{
	local name=$1
	test_count=0 test_failed=0 at_exit=()
	trap vm_stop_all EXIT
	tmp=$tmp/$name
	mkdir "$tmp"
	machine "$name" >"$tmp.tap"
}
names=() sides=()
[[ " ${chosen[*]}" != *" 2."* ]] || names+=(one)
[[ " ${chosen[*]}" != *" 3."* ]] || names+=(two)
for name in "${names[@]}"; do
	side "$name" &
	sides+=($!)
done
at_exit+=("kill ${sides[*]}; wait ${sides[*]}")
wait "${sides[@]}"
for name in "${names[@]}"; do
	while read -r line; do
		case $line in
		"ok "*) pass "${line#*- }" ;;
		"not ok "*) fail "${line#*- }" ;;
		esac
	done <"$tmp/$name.tap"
	like "$name came to its end" "$(tail -n 1 "$tmp/$name.tap")" 'by anybody'
done
done_testing
