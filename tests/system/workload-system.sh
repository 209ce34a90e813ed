#!/bin/bash
# needs: root nspawn apt mmdebstrap dbus-daemon jq ostree busybox python3
# SPDX-License-Identifier: Apache-2.0
# A whole system in a container (boot): Debian with systemd as its init, from its image to its shutdown, under the real daemon
# and by the launcher alone.
. tests/lib/tap.sh
. tests/lib/workload.bash
. tests/lib/launch.bash

# One hierarchy of cgroups, as a host has it that systemd runs; here it may lie beside older ones.
if [ -d /sys/fs/cgroup/unified ] && [ -z "${ASH_TEST_UNIFIED:-}" ]; then
	rmdir "$tmp"
	ASH_TEST_UNIFIED=1 exec unshare --mount --propagation slave "$BASH" -c \
		'mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup && exec "$0" "$1"' "$BASH" "$0"
fi

# Whoever made a user namespace answers for the inotify instances in it: root, whose end Debian's default of 128 is near.
instances=/proc/sys/fs/inotify/max_user_instances
had=$(cat $instances)
if [ "$had" -lt 1024 ]; then
	echo 1024 >$instances
	at_exit+=("echo $had >$instances")
fi

# ---- an image ----

# What does not change between two runs is kept; it takes a minute.
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
base=build/test/system-$suite.tar
if [ ! -e "$base" ]; then
	mkdir -p build/test
	mapfile -t sources < <(grep -lE "^(Suites:|deb ).* $suite( |\$)|^Suites: $suite( |\$)" \
		/etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null)
	ok "Debian $suite with systemd" mmdebstrap --quiet --mode=root --variant=essential --format=tar \
		--include=systemd,systemd-sysv,dbus --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io --skip=output/dev,output/mknod \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*' \
		--customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"' \
		"$suite" "$tmp/base.tar" "${sources[@]}"
	mv "$tmp/base.tar" "$base" || skip_all "there is no Debian to run"
fi

# A service whose end shows that it was asked to.
more=$tmp/more
mkdir -p "$more"/etc/systemd/system/multi-user.target.wants "$more/usr/bin" "$more/srv"
cat >"$more/etc/systemd/system/mark.service" <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo begun; echo begun >>/srv/mark'
ExecStop=/bin/sh -c 'echo ended >>/srv/mark'
END
ln -s ../mark.service "$more/etc/systemd/system/multi-user.target.wants/"
cp build/escape "$more/usr/bin/"
image=$tmp/image
mkdir -p "$image/blobs/sha256"
tar -C "$more" --numeric-owner --owner=0 --group=0 -cf "$tmp/more.tar" .
digest() { sha256sum <"$1" | cut -c1-64; }
# blob MEDIA-TYPE FILE: stores it, and says what it is
blob()
{
	cp "$2" "$image/blobs/sha256/$(digest "$2")"
	printf '{"mediaType": "application/vnd.oci.image.%s", "digest": "sha256:%s", "size": %s}' \
		"$1" "$(digest "$2")" "$(stat -c %s "$2")"
}
printf '{"architecture": "%s", "os": "linux", "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
	"rootfs": {"type": "layers", "diff_ids": ["sha256:%s", "sha256:%s"]}}' \
	"$(dpkg --print-architecture)" "$(digest "$base")" "$(digest "$tmp/more.tar")" >"$tmp/config"
printf '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": %s, "layers": [%s, %s]}' \
	"$(blob config.v1+json "$tmp/config")" "$(blob layer.v1.tar "$base")" "$(blob layer.v1.tar "$tmp/more.tar")" \
	>"$tmp/manifest"
printf '{"schemaVersion": 2, "manifests": [%s]}' "$(blob manifest.v1+json "$tmp/manifest")" >"$image/index.json"
echo '{"imageLayoutVersion": "1.0.0"}' >"$image/oci-layout"

# ---- under the daemon ----

# As the daemon's instances have one each on a host.
top=/sys/fs/cgroup/ash-test-$$
mkdir -p "$top/daemon" "$top/box"
at_exit+=("find $top -depth -type d -exec rmdir {} +" "echo $$ >/sys/fs/cgroup/cgroup.procs")
echo $$ >"$top/daemon/cgroup.procs"
ok "a host" workload_host
ok "ashlar-workloadd" workload_begin
cat >"$tmp/debian.yaml" <<END
workload: debian
version: 1.0.0
image: oci-dir:$image
isolation: container
boot: true
resources: {cpu: 1, memory: 256MiB, disk: 64MiB, tasks: 512}
volumes: [{name: data, path: /srv, size: 8MiB}]
restart: {policy: on-failure, first: 100ms, longest: 200ms, budget: 3, within: 10min}
health:
  soak: 1s
  deadline: 2min
  checks:
    - {name: up, command: [/bin/systemctl, is-active, --quiet, multi-user.target], interval: 1s, timeout: 20s, failures: 60}
END
inside() { timeout 60 "$ctl" workload exec debian -- "$@" </dev/null; }
ok "run waits until it is ready" "$ctl" workload run --timeout 180 "$tmp/debian.yaml"
[ "$test_failed" -eq 0 ] || { diag "$(tail "$host/var/log/ashlar/debian.log")"; done_testing; }
is "it runs as a container" "$(workload_field debian '"\(.state) \(.effective)"')" "running container"
first=$(workload_field debian '.instances[0].pid')
is "its first process is systemd" "$(cat "/proc/$first/comm")" systemd
is "…whose root is a user of its own" "$(stat -c %u "/proc/$first")" \
	"$(jq -r '.uids[] | select(.instance == "debian") | .base' "$host/var/lib/ashlar/workload/state.json")"
inside systemctl is-system-running --wait >"$tmp/running" 2>&1
is "all of it is up" "$(cat "$tmp/running")" running
empty "no unit has failed" "$(inside systemctl --failed --no-legend --plain 2>&1)"
is "its name" "$(inside uname -n)" debian
is "its journal has what a service said" "$(inside journalctl --no-pager -o cat -u mark.service 2>&1 | grep -c '^begun$')" 1
like "it is on a disk of its own" "$(inside journalctl --no-pager --header 2>&1)" 'File path: /var/log/journal/'
is "a service with an own user, files, devices and network" \
	"$(inside systemd-run --quiet --wait --pipe -p DynamicUser=yes -p ProtectSystem=strict -p PrivateTmp=yes \
		-p PrivateDevices=yes -p PrivateNetwork=yes -p SystemCallFilter=@system-service \
		sh -c 'id -u | grep -c "^6[0-9]*$"' 2>&1)" 1
is "its volume holds users as they are inside" "$(inside stat -c %u /srv/mark)" 0

ok "stop" "$ctl" workload stop --timeout 30 debian
ok "…ends it" test ! -d "/proc/$first"
is "…by itself" "$(jq -c . "$host/run/ashlar/workload/debian/exit")" '{"code":0}'
is "…well" "$(workload_field debian '"\(.state) \(.restarts)"')" "stopped 0"
ok "start" "$ctl" workload start --timeout 60 debian
is "its services were shut down in order before" "$(inside cat /srv/mark | xargs)" "begun ended begun"
inside systemctl reboot >/dev/null 2>&1
again() { [ "$(workload_field debian '"\(.restarts) \(.ready)"')" = "1 true" ]; }
soon() { local end=$((SECONDS + 60)); while ((SECONDS < end)); do "$@" && return; command sleep 0.2; done; return 1; }
ok "a reboot is another start" soon again
is "…and what ran was shut down" "$(inside cat /srv/mark | xargs)" "begun ended begun ended begun"
inside systemctl poweroff >/dev/null 2>&1
ok "power off is a good end" workload_until "done" debian 30

# ---- what it may do ----

work_root=$(echo "$host"/sysroot/ostree/workload/*/)
work_root=${work_root%/}
echo host >"$tmp/mark"
echo secret >"$tmp/secret"
top=$top/box
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.delegate", b"1")' "$top"
work_make box container "$(jq -cn --arg mark "$tmp/mark" --arg host "$(hostname)" '{is_booted: true, command: [],
	disk_bytes: 67108864, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ESCAPE_MARK=\($mark)", "ESCAPE_HOST=\($host)",
	"ESCAPE_ABSTRACT=none", "ESCAPE_FILE=/run/secrets/s"]}')"
"$BASH" -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$top" "$launcher" "$tmp/run/box" >"$tmp/run/box/out" 2>&1 </dev/null &
work_pid=$!
in_box() { timeout 60 "$launcher" exec "$tmp/run/box" -- "$@" 2>&1 </dev/null; }
up() { in_box systemctl is-active --quiet multi-user.target; }
ok "the launcher alone starts it" soon up
first=$(cat "$tmp/run/box/pid")
is "it has a cgroup of its own" "$(sed -n 's/^0:://p' "/proc/$first/cgroup")" "${top#/sys/fs/cgroup}/payload/init.scope"
empty "nobody is in the one above it, so that it can have controllers" "$(cat "$top/cgroup.procs")"
is "it sees no other" "$(in_box cat /proc/1/cgroup | sed -n 's/^0:://p')" /init.scope
is "its root owns it" "$(stat -c %u "$top/payload/cgroup.procs" "$top/payload/cgroup.subtree_control" | xargs)" \
	"$work_base $work_base"
is "…and not that above it" "$(stat -c %u "$top/cgroup.procs" "$top/memory.max" 2>/dev/null | sort -u)" 0
is "its range of users" "$(tr -s ' ' <"/proc/$first/uid_map")" " 0 $work_base 65536"
is "who is root inside is so over what is his" "$(in_box sh -c 'chown 4242:4242 /mnt && stat -c %u /mnt')" 4242
# The host's disks, by number and by name, its processes and its files.
refused() # COMMAND
{
	in_box true && ! in_box sh -c "$1" >"$tmp/out"
}
disk=$(findmnt -nvro MAJ:MIN --target "$tmp")
ok "a disk's node cannot be made" refused "mknod /root/disk b ${disk%:*} ${disk#*:}"
ok "a disk cannot be mounted" refused "mount -t ext4 $(findmnt -nvro SOURCE --target "$tmp") /mnt"
ok "nor a file by a loop" refused "dd if=/dev/zero of=/root/f bs=64k count=16 && mount -o loop -t ext4 /root/f /mnt"
ok "the host's settings cannot be written" refused "echo 0 >/proc/sys/kernel/panic"
ok "nor after another mount of them" refused "mount -t proc proc /mnt && echo 0 >/mnt/sys/kernel/panic"
ok "nor another user namespace be made" refused "unshare --user true"
# What an init needs is its own: mounts, namespaces, its network.
init='bus chroot clone_net first_mem fsopen mount_bind mount_cgroup mount_overlay mount_proc mount_setattr mount_tmpfs
move_mount netlink_audit netlink_netfilter netlink_uevent pivot_root port reboot sethostname setns socket_raw socket_raw6
spoof umount unshare_cgroup unshare_ipc unshare_mount unshare_net unshare_pid unshare_uts write_dev write_root write_run'
is "of the battery, what an init needs gets through, and nothing else" \
	"$(in_box escape | sed -n 's/ open$//p' | sort | xargs)" "${init//$'\n'/ }"
is "the mark is the host's own" "$(cat "$tmp/mark")" host
# By pivot_root the battery makes what it has mounted on /tmp the root of systemd itself, which can then not be unmounted: asked
# to shut down it says "/tmp: target is busy" and waits, until whoever stops it has waited long enough (10 s, the daemon).
gone() { [ ! -d "/proc/$first" ]; }
kill -KILL $work_pid
ok "all of it ends with its launcher" soon gone
wait $work_pid 2>/dev/null

"$ctl" workload remove --volumes --timeout 30 debian >/dev/null
is "no range of users is kept" "$(jq '.uids | length' "$host/var/lib/ashlar/workload/state.json")" 0
done_testing
