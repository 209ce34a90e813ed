#!/bin/bash
# needs: root dbus-daemon jq ostree busybox ip nft
# SPDX-License-Identifier: Apache-2.0
# A hundred times an instance is killed, or stopped until it is missed, and now and then the daemon: whatever is done
# to them, what runs in the end is what ran before, and nothing is left over. In a network of its own.
[ -n "${ROUNDS_SPACE:-}" ] || ROUNDS_SPACE=1 exec unshare --net --mount --propagation private bash "$0"
. tests/lib/tap.sh
. tests/lib/workload.bash

rounds=${ASHLAR_ROUNDS:-100}
ip link set lo up
ok "a host" workload_host
# It holds descriptors, too.
workload_image "$tmp/image" 'for i in 3 4 5 6 7 8 9; do eval "exec $i</bin/sh"; done
	echo started; while :; do sleep 1; done'
ok "ashlar-workloadd" workload_begin
for name in one two; do
	cat >"$tmp/$name.yaml" <<-END
		workload: $name
		version: 1.0.0
		image: oci-dir:$tmp/image
		command: [/bin/main, $tmp]
		isolation: sandbox
		resources: {cpu: 0.1, memory: 32MiB, descriptors: 64}
		network: {mode: nat}
		volumes: [{name: data, path: /data, size: 8MiB}]
		restart: {first: 100ms, longest: 100ms, budget: 30, within: 1s}
	END
	ok "$name runs" "$ctl" workload run --timeout 40 "$tmp/$name.yaml"
done

# As the launcher writes it; to ask the daemon each time takes longer than all the rest.
pid() { cat "$host/run/ashlar/workload/$1/pid" 2>/dev/null; }
soon() { local end=$((SECONDS + 30)); while ((SECONDS < end)); do "$@" && return; command sleep 0.02; done; return 1; }
is_other() { now=$(pid "$1"); [ "${now:-0}" != "$2" ] && [ -n "$now" ] && [ -d "/proc/$now" ]; }

# All that a host could keep of an instance that is gone.
rest()
{
	echo "launchers $(pgrep -fc "^$libexec/ashlar-launch $host")"
	echo "mounts $(grep -c "$host" /proc/self/mounts)"
	echo "spaces $(cd "$host/run/ashlar/netns" && echo *)"
	echo "links $(ip -o link | grep -c ashw)"
	echo "rules $(nft list ruleset | grep -vcE 'counter|elements')"
	echo "loops $(losetup -a | grep -cF "$host")"
	echo "processes $(pgrep -cf "^/bin/busybox sh /bin/main $tmp\$")"
}
# Of the daemon: what it holds open.
open_files()
{
	find "/proc/$workloadd_pid/fd" -mindepth 1 -printf '%l\n' 2>/dev/null | sed 's/\[[0-9]*\]//' | sort | uniq -c
}
settled() { [ "$(workload_field one .state) $(workload_field two .state)" = "running running" ]; }
soon settled
before=$(rest)
# Not while a program of its runs.
files=
takes() { files=$(open_files) && ! grep -q memfd <<<"$files"; }
soon takes
failed=0
for ((n = 1; n <= rounds; n++)); do
	name=one
	((n % 2)) || name=two
	soon is_other $name 0
	first=$(pid $name)
	case $((n % 10)) in
	3) kill -STOP "$first"; kill -KILL "$first" ;;
	5) workload_kill; kill -KILL "$first"; workload_begin "" ;;
	7) kill -STOP "$workloadd_pid"; kill -KILL "$first"; kill -CONT "$workloadd_pid" ;;
	8) "$ctl" workload restart $name >/dev/null 2>&1 ;;
	*) kill -KILL "$first" ;;
	esac
	soon is_other $name "$first" || failed=$((failed + 1))
	[ $failed -lt 3 ] || break
done
is "$rounds rounds, each comes up again" $failed 0
ok "both run in the end" soon settled
same() { [ "$(rest)" = "$before" ]; }
soon same
is "no process, mount, namespace, link, rule or loop is left" "$(rest)" "$before"
holds() { [ "$(open_files)" = "$files" ]; }
soon holds
is "no descriptor is" "$(open_files)" "$files"
for name in one two; do "$ctl" workload remove --volumes $name >/dev/null; done
gone() { [ "$("$ctl" workload list --json | jq '.workloads | length')" = 0 ]; }
ok "both are removed" soon gone
is "and nothing is left" "$(rest | xargs)" "launchers 0 mounts 0 spaces * links 0 rules 0 loops 0 processes 0"
done_testing
