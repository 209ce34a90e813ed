#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-workload [RUNS_EACH=100]: from the call to the command's end, /bin/true in one read-only tree: ours beside
# plain systemd-nspawn, crun, bwrap and podman, those that run here. Runs take turns, so that what else the
# machine does hits all alike. One JSON object a row on stdout; all of them in out/bench/workload-start.json.
#
#	container, sandbox, userkernel     ashlar-launch, filter in force and cached
#	nspawn             systemd-nspawn as it comes, its own filter built at each start
#	nspawn-unfiltered  the same without a filter
#	crun, podman, bwrap                without a filter: crun's default spec and bwrap have none
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8
runs=${RUNS_EACH:-100}
out=$PWD/out/bench
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-bench-workload.XXXXXX")
trap 'umount "$work/podman/overlay" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir -p "$out" "$root"/{bin,etc,usr,dev,proc,sys,run,tmp}
: >"$root/etc/os-release"
cat >"$work/true.c" <<'END'
int main(void)
{
	return 0;
}
END
gcc -O2 -static -s -o "$root/bin/true" "$work/true.c"

launch()
{
	mkdir -p "$work/$1"
	jq -n --arg name "$1" --arg dir "$work/$1" --arg root "$root" --arg cache "$work/cache" \
		'{instance: $name, dir: $dir, root: $root, cache: $cache, isolation: $name,
		command: ["/bin/true"], environment: ["PATH=/bin"], uid_base: 1310720,
		disk_bytes: 1048576, tasks: 64, descriptors: 256}' >"$work/$1/launch.json"
}
for class in container sandbox userkernel; do launch $class; done
mkdir "$work/crun-bundle"
jq -n --arg root "$root" '{ociVersion: "1.0.2", root: {path: $root, readonly: true},
	process: {user: {uid: 0, gid: 0}, args: ["/bin/true"], env: ["PATH=/bin"], cwd: "/"},
	mounts: [{destination: "/proc", type: "proc", source: "proc"},
		{destination: "/dev", type: "tmpfs", source: "tmpfs"}],
	linux: {namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}, {type: "network"}]}}' \
	>"$work/crun-bundle/config.json"

# An own hierarchy: crun refuses to start where the machine's is mixed.
run_container() { build/bin/ashlar-launch "$work/container"; }
run_sandbox() { build/bin/ashlar-launch "$work/sandbox"; }
run_userkernel() { build/bin/ashlar-launch "$work/userkernel"; }
nspawn=(systemd-nspawn -q --register=no --keep-unit --read-only --private-network --link-journal=no
	--resolv-conf=off --timezone=off --console=pipe -D "$root" /bin/true)
run_nspawn() { SYSTEMD_NSPAWN_LOCK=0 "${nspawn[@]}"; }
run_nspawn_unfiltered() { SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_LOCK=0 "${nspawn[@]}"; }
run_crun() { crun --root "$work/crun" --cgroup-manager=disabled run --bundle "$work/crun-bundle" "bench$$"; }
run_bwrap() { bwrap --unshare-all --ro-bind "$root" / --proc /proc --dev /dev --tmpfs /tmp /bin/true; }
run_podman()
{
	podman --root "$work/podman" --runroot "$work/podman-run" --cgroup-manager=cgroupfs run --rm \
		--cgroups=disabled --network=none --read-only --rootfs "$root" /bin/true
}

rows=()
for row in container sandbox userkernel nspawn nspawn_unfiltered crun bwrap podman; do
	if "run_$row" >/dev/null 2>"$work/words" </dev/null; then
		rows+=("$row")
	else
		echo "$row does not run here: $(tail -n 1 "$work/words")" >&2
	fi
done
for ((i = 0; i < runs; i++)); do
	for row in "${rows[@]}"; do
		# The slow ones are not what this is about.
		[[ $row != podman && $row != userkernel ]] || ((i % 5 == 0)) || continue
		before=${EPOCHREALTIME/./}
		"run_$row" >/dev/null 2>&1 </dev/null
		echo $((${EPOCHREALTIME/./} - before)) >>"$work/times-$row"
	done
done
for row in "${rows[@]}"; do
	sort -n "$work/times-$row" | jq -cs --arg row "$row" '{row: $row, runs: length,
		p50_ms: (.[length / 2 | floor] / 1000), p90_ms: (.[length * 0.9 | floor] / 1000),
		p99_ms: (.[length * 0.99 | floor] / 1000)}'
done | tee "$out/workload-start.json"
jq -rs 'INDEX(.row) | .container.p50_ms / .nspawn.p50_ms | "container / nspawn: \(. * 100 | round / 100)"' \
	"$out/workload-start.json" >&2
