#!/bin/bash
# needs: root dbus-daemon jq ostree busybox qemu-system-x86_64 mke2fs
# SPDX-License-Identifier: Apache-2.0
# Machines with a kernel of the image's own, by the boot contracts pvh and multiboot, with the real daemon: emulated,
# kernels of a few hundred bytes (tests/system/boot-kernel.S).
. tests/lib/tap.sh
. tests/lib/workload.bash
. tests/lib/launch.bash

[ "$(uname -m)" = x86_64 ] || skip_all "these are contracts of x86 processors"
workload_tree=$tmp/more
boot=$workload_tree/boot
mkdir -p "$boot"
# kernel NAME FLAG…
kernel()
{
	local name=$1
	shift
	cc -nostdlib -static -no-pie -s -o "$boot/$name" "$@" tests/system/boot-kernel.S \
		-Wl,-Ttext-segment=0x100000,-e,start,-n,--build-id=none,-z,noexecstack,--no-warn-rwx-segments
}
ok "a kernel for pvh" kernel pvh -m32 -DPVH
ok "one of 64 bits" kernel pvh64 -DPVH
ok "one for multiboot" kernel multiboot -m32 -DMULTIBOOT
ok "one for both" kernel both -m32 -DPVH -DMULTIBOOT
ok "one that nothing starts" kernel wide -DMULTIBOOT
echo "no kernel" >"$boot/text"
echo first >"$boot/one"
echo second >"$boot/two, and more"
ok "a host" workload_host
workload_image "$tmp/image" true
ok "ashlar-workloadd" workload_begin

# machine NAME MACHINE [RESTART]: MACHINE is what stands in the definition.
machine()
{
	cat >"$tmp/$1.yaml" <<-END
		workload: $1
		version: 1.0.0
		image: oci-dir:$tmp/image
		isolation: vm-emulated
		resources: {cpu: 0.2, memory: 32MiB}
		restart: {policy: ${3:-never}, first: 100ms, longest: 200ms, budget: 2, within: 10min}
		machine: {$2}
	END
	"$ctl" workload run --timeout 60 "$tmp/$1.yaml" >"$tmp/out" 2>"$tmp/err"
}
# said FILE PATTERN: soon
said()
{
	for _ in {1..200}; do
		! grep -q "$2" "$1" || return 0
		command sleep 0.1
	done
	return 1
}

# ---- one that runs until it is asked to end ----
ok "pvh: run waits until it runs" machine long 'contract: pvh, kernel: /boot/pvh, arguments: "console other=1 s"'
is "pvh: status" "$(workload_field long '"\(.version) \(.state) \(.effective)"')" "1.0.0 running vm-emulated"
ok "pvh: it writes to the serial line" said "$host/var/log/ashlar/long.log" '^pvh: console other=1 s$'
is "pvh: and logs shows it" "$("$ctl" workload logs long)" "pvh: console other=1 s"
exits 200 "pvh: exec cannot be had" "$ctl" workload exec long -- /bin/true
like "pvh: and that is said" "$(cat "$tmp/err")" 'a kernel of its own'
first=$(workload_field long '.instances[0].pid')
like "pvh: it is QEMU" "$(tr '\0' ' ' <"/proc/$first/cmdline")" '^qemu-system-x86_64 .*accel=tcg'
ok "pvh: stop" "$ctl" workload stop long
ok "pvh: has ended QEMU" test ! -d "/proc/$first"
is "pvh: has pressed its power button" "$(tail -n 1 "$host/var/log/ashlar/long.log")" "asked to end"
is "pvh: status after it" "$(workload_field long .state)" stopped

# ---- those that end ----
ok "multiboot: run" machine modules 'contract: multiboot, kernel: /boot/multiboot, arguments: "console 7",
	modules: [/boot/one, "/boot/two, and more"]'
ok "multiboot: an end with a code" workload_until failed modules
is "multiboot: is in the status" "$(workload_field modules .text)" "ended with code 7"
is "multiboot: command line and modules by their names are there" \
	"$(sed 's,/proc/self/fd/[0-9]*,FILE,' "$host/var/log/ashlar/modules.log")" \
	$'multiboot: FILE console 7\nmodule FILE /boot/one: first\n\nmodule FILE /boot/two, and more: second'
ok "pvh: in a file of 64 bits" machine good 'contract: pvh, kernel: /boot/pvh64, arguments: "console 0"'
ok "pvh: an end with code 0 is a good one" workload_until "done" good
is "pvh: of 64 bits, too, it has its command line" "$(cat "$host/var/log/ashlar/good.log")" "pvh: console 0"
machine fallen 'contract: pvh, kernel: /boot/pvh, arguments: "console f"' on-failure
ok "one that falls is started again, and given up" workload_until failed fallen
like "and what happened is said" "$(workload_field fallen .text)" \
	'the machine was reset.*pvh: console f.*started again 2 times'
is "it did run each time" "$(grep -c '^pvh: console f$' "$host/var/log/ashlar/fallen.log")" 3

# ---- files that are not what the contract says ----
# refused NAME CONTRACT FILE: once, and for good.
refused()
{
	! machine "$1" "contract: $2, kernel: /boot/$3" always &&
		[ "$(workload_field "$1" '"\(.state) \(.restarts)"')" = "failed 0" ]
}
ok "a text is no kernel" refused text pvh text
like "and that is said" "$(cat "$tmp/err")" "/boot/text of the image is no kernel that is known; the contract 'pvh' starts an ELF file"
ok "nor is it one for Linux' contract" refused linux linux text
like "and that is said" "$(cat "$tmp/err")" "the contract 'linux' starts a Linux kernel"
ok "a kernel for pvh is none for multiboot" refused other multiboot pvh
like "and it is said what it is" "$(cat "$tmp/err")" "/boot/pvh of the image is an ELF file .*, contract pvh; the contract 'multiboot'"
ok "what QEMU would start by multiboot is none for pvh" refused both pvh both
like "and it is said what it is" "$(cat "$tmp/err")" "/boot/both of the image is .*multiboot 1, contract multiboot;"
ok "multiboot has no kernels of 64 bits" refused wide multiboot wide
like "and that is said" "$(cat "$tmp/err")" "/boot/wide of the image .*no 32-bit ELF file"
ok "a file has to be there" refused none pvh none
like "and that is said" "$(cat "$tmp/err")" "/boot/none of the image: No such file"

# An image that is no longer as it was imported, and a kernel that does not mind its power button.
work_root=$workload_tree
mkfifo "$boot/pipe"
exits 201 "a pipe is not waited for" work_run pipe vm-emulated \
	'{"machine": {"contract": "pvh", "kernel": "/boot/pipe"}, "memory_bytes": 33554432, "image_digest": "x"}'
work_start deaf vm-emulated '{"machine": {"contract": "pvh", "kernel": "/boot/pvh", "arguments": "?"},
	"memory_bytes": 33554432, "image_digest": "x"}'
ok "it runs" said "$tmp/run/deaf/out" '^pvh: ?$'
first=$(cat "$tmp/run/deaf/pid")
while kill -TERM $work_pid 2>/dev/null; do command sleep 0.1; done
wait $work_pid
is "whoever does not listen is ended" $? 137
ok "with its QEMU" test ! -d "/proc/$first"

for name in long modules good fallen text linux other both wide none; do
	"$ctl" workload remove --volumes "$name" >/dev/null
done
is "no range of users is kept" "$(jq '.uids | length' "$host/var/lib/ashlar/workload/state.json")" 0
done_testing
