# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# After tap.sh: a host below $host with the real ashlar-workloadd, ashlar-launch and ashlar-worker, a bus of its own
# and an image of busybox. Instances are processes of their own there, not services. Needs root.
#
#	workload_host                 the bus, the host, its programs
#	workload_image DIR [SCRIPT]   an OCI directory whose program is SCRIPT; with what is in $workload_tree
#	workload_begin [FAULT]        ashlar-workloadd starts; returns when it answers
#	workload_kill                 it is killed; instances go on
#	workload_power_cut            all of it is killed, and the next start is another boot
#	workload_until WORD NAME [SECONDS]      until its state is WORD
#	workload_field NAME JQ        of its status

. tests/lib/bus.sh

host=$tmp/host
libexec=$tmp/libexec
ctl=$ashlar_bin/ashlarctl
workloadd_pid=

workload_host()
{
	mkdir -p "$host"/{proc/sys/kernel/random,etc/ashlar/workloads.d,sysroot/ostree,run,var/lib,efi} "$libexec"
	echo quiet >"$host/proc/cmdline"
	echo boot-1 >"$host/proc/sys/kernel/random/boot_id"
	ostree --repo="$host/sysroot/ostree/repo" init --mode=bare
	local program
	for program in ashlar-worker ashlar-net ashlar-check ashlar-launch ashlar-enter; do
		ln -sf "$(realpath "$ashlar_bin/$program")" "$libexec/$program"
	done
	at_exit+=("workload_end")
	bus_start ""
}

# workload_image DIR SCRIPT [CONFIG-SED]: /bin/main is SCRIPT, run by busybox.
workload_image()
{
	local dir=$1 script=$2 tree=$tmp/image-tree
	rm -rf "$tree" "$dir"
	mkdir -p "$tree"/{bin,etc,tmp,data,run,proc,sys,dev,lib} "$dir/blobs/sha256"
	cp "$(command -v busybox)" "$tree/bin/busybox"
	ln -s busybox "$tree/bin/sh"
	printf '#!/bin/busybox sh\nexport PATH=/bin\n%s\n' "$script" >"$tree/bin/main"
	chmod 755 "$tree/bin/main"
	for applet in sleep cat echo touch ls id nc kill mkdir printf date httpd mv rm; do
		ln -s busybox "$tree/bin/$applet"
	done
	[ -z "${workload_tree:-}" ] || cp -a "$workload_tree/." "$tree"
	[ -z "${workload_extra:-}" ] || install -m 755 "$workload_extra" "$tree/bin/extra"
	printf 'root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n' >"$tree/etc/passwd"
	tar -C "$tree" --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -cf "$tmp/layer.tar" .
	local diff config manifest
	diff=$(sha256sum <"$tmp/layer.tar" | cut -c1-64)
	put_blob "$dir" "$tmp/layer.tar"
	cat >"$tmp/config" <<-END
		{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/main"],"Env":["FROM=image"],
		"User":"web"},"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]}}
	END
	config=$(sha256sum <"$tmp/config" | cut -c1-64)
	put_blob "$dir" "$tmp/config"
	cat >"$tmp/manifest" <<-END
		{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(stat -c %s "$tmp/config")},
		"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$diff","size":$(stat -c %s "$tmp/layer.tar")}]}
	END
	manifest=$(sha256sum <"$tmp/manifest" | cut -c1-64)
	put_blob "$dir" "$tmp/manifest"
	cat >"$dir/index.json" <<-END
		{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"digest":"sha256:$manifest","size":$(stat -c %s "$tmp/manifest"),"platform":{"architecture":"amd64","os":"linux"}}]}
	END
	echo '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
}

put_blob()
{
	cp "$2" "$1/blobs/sha256/$(sha256sum <"$2" | cut -c1-64)"
}

workload_begin()
{
	ASHLAR_FAULT=${1:-} "$ashlar_bin/ashlar-workloadd" --root "$host" --libexec "$libexec" \
		>>"$tmp/workloadd.log" 2>&1 &
	workloadd_pid=$!
	for _ in $(seq 100); do
		"$ctl" workload list >/dev/null 2>&1 && return
		kill -0 "$workloadd_pid" 2>/dev/null || return
		command sleep 0.1
	done
	return 1
}

workload_kill()
{
	kill -9 "$workloadd_pid" 2>/dev/null
	wait "$workloadd_pid" 2>/dev/null
}

workload_boots=1
workload_power_cut()
{
	workload_kill
	workload_end_instances
	rm -rf "$host/run"
	mkdir "$host/run"
	workload_boots=$((workload_boots + 1))
	echo "boot-$workload_boots" >"$host/proc/sys/kernel/random/boot_id"
}

# All launchers by what they wrote of themselves, and what is mounted.
workload_end_instances()
{
	local file pid mount
	for file in "$host"/run/ashlar/workload/*/launcher; do
		[ -e "$file" ] || continue
		read -r pid _ <"$file"
		kill -9 "-$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do command sleep 0.05; done
	done
	for mount in $(findmnt -rno TARGET | grep -F "$host/" | sort -r); do
		umount "$mount" 2>/dev/null || umount -l "$mount"
	done
}

workload_end()
{
	workload_kill
	workload_end_instances
}

workload_field()
{
	"$ctl" workload status --json "$1" 2>/dev/null | jq -r "$2"
}

# workload_until WORD NAME [SECONDS]
workload_until()
{
	local word=$1 name=$2 end=$((SECONDS + ${3:-20})) now=
	while ((SECONDS < end)); do
		now=$(workload_field "$name" .state)
		[ "$now" != "$word" ] || return 0
		command sleep 0.1
	done
	diag "$name is '$now', not '$word': $(workload_field "$name" .text); $(tail -n 12 "$tmp/workloadd.log")"
	diag "$(tail -n 5 "$host/var/log/ashlar/$name.log" 2>/dev/null)"
	return 1
}
