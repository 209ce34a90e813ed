# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034
# After tap.sh and agent.bash: signed workloads for a host of agent.bash, and its ashlar-workloadd.
#
#	workload_image_commit NAME SCRIPT   an image of busybox in $repo, whose /bin/main is SCRIPT; leaves $image
#	workload_publish FILE               released and published in $pub
#	workloadd_start, workloadd_stop     of the host that agent_at names
#	workload_is NAME FILTER [SECONDS]   until jq's FILTER is true of its status

workloadd_pid=

workload_image_commit()
{
	local name=$1 tree=$tmp/image-$1 applet
	rm -rf "$tree"
	mkdir -p "$tree"/{bin,etc,tmp,data,run,proc,sys,dev,lib}
	cp "$(command -v busybox)" "$tree/bin/busybox"
	printf '#!/bin/busybox sh\nexport PATH=/bin\n%s\n' "$2" >"$tree/bin/main"
	chmod 755 "$tree/bin/main"
	for applet in sh sleep cat echo touch ls id nc kill mkdir printf date httpd mv rm; do
		ln -s busybox "$tree/bin/$applet"
	done
	printf 'root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n' >"$tree/etc/passwd"
	[ -d "$repo" ] || ostree --repo="$repo" init --mode=bare
	ostree --repo="$repo" commit --branch="workload/$name/amd64" --no-bindings \
		--owner-uid=0 --owner-gid=0 --timestamp=@1700000000 \
		--add-metadata-string=ashlar.kind=workload --add-metadata-string=ashlar.name="$name" \
		--add-metadata-string=ashlar.architecture=amd64 --add-metadata-string=version="${3:-1.0}" \
		--add-metadata="ashlar.packages=@aa{ss} []" "$tree" >/dev/null
	image=ostree:workload/$name/amd64@$(ostree --repo="$repo" rev-parse "workload/$name/amd64")
}

workload_publish()
{
	"$ashlar" workload release --quiet --keys "$keys" --repo "$repo" --publication "$pub" "$@" &&
		"$ashlar" publish --quiet --keys "$keys" "$pub"
}

workloadd_start()
{
	local i
	mkdir -p "$host/run"
	"$ashlar_bin/ashlar-workloadd" --root "$host" --libexec "$ashlar_bin" >>"$agent_dir/workloadd.log" 2>&1 &
	workloadd_pid=$!
	at_exit+=("kill -9 $workloadd_pid 2>/dev/null; workloadd_end '$host'")
	for ((i = 0; i < 200; i++)); do
		ctl workload list >/dev/null 2>&1 && return
		kill -0 "$workloadd_pid" 2>/dev/null || return
		command sleep 0.1
	done
	return 1
}

workloadd_stop()
{
	kill "$workloadd_pid" 2>/dev/null
	wait "$workloadd_pid" 2>/dev/null
}

# Instances of the host in a directory, by what their launchers wrote of themselves; and what is mounted.
workloadd_end()
{
	local file pid mount
	for file in "$1"/run/ashlar/workload/*/launcher; do
		[ -e "$file" ] || continue
		read -r pid _ <"$file"
		kill -9 "-$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do command sleep 0.05; done
	done
	for mount in $(findmnt -rno TARGET | grep -F "$1/" | sort -r); do
		umount "$mount" 2>/dev/null || umount -l "$mount"
	done
}

workload_is()
{
	local end=$((SECONDS + ${3:-40})) now=
	while ((SECONDS < end)); do
		now=$(ctl workload status --json "$1" 2>/dev/null)
		[ -n "$now" ] && jq -e "$2" <<<"$now" >/dev/null 2>&1 && return 0
		command sleep 0.1
	done
	diag "$1: $(jq -c 'del(.volumes)' <<<"$now")"
	diag "$(tail -n 12 "$agent_dir/workloadd.log" "$agent_dir/ashlard.log" "$agent_dir/link.log" 2>&1)"
	return 1
}
