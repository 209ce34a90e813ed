# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# A host without a machine: a sysroot, an ESP and a state below $host, the real ashlard, ashlar-link,
# workers and downloads, a bus of its own, and a boot loader of a few lines. A reboot is the end of
# ashlard. Needs root, for the sysroot's owners. After tests/lib/tap.sh:
#
#	agent_commit 1.0.0 …      commits of a tiny host in $repo, ref host/host/amd64
#	agent_host 1.0.0          $host, as its image would be
#	agent_boot                the boot loader chooses, ashlard and link start
#	agent_wait STATE [SECONDS]
#	agent_stop
#
# Several hosts live side by side after `agent_at DIRECTORY`, which puts the host, its bus and its logs there;
# each in a process of its own (a subshell), since the names above are of one host.

. tests/lib/kernel.sh

# shellcheck disable=SC2154
repo=$tmp/repo
# shellcheck disable=SC2034
keys=$tmp/keys
pub=$tmp/pub
agent_boots=0
agent_url=http://127.0.0.1:9
agent_check=1min
agent_pid=
link_pid=

# agent_at DIRECTORY: the host is DIRECTORY/host from now on, what belongs to it beside it.
agent_at()
{
	agent_dir=$1
	host=$1/host
	mkdir -p "$agent_dir"
	! declare -p at_exit >/dev/null 2>&1 || at_exit+=("chattr -R -i $host/sysroot/ostree/deploy")
	export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$agent_dir/bus
}
agent_at "$tmp"

# agent_commit VERSION [DIRECTORY]: DIRECTORY is laid over the tiny tree.
agent_commit()
{
	local version=$1 tree=$tmp/tree
	rm -rf "$tree"
	mkdir -p "$tree"/usr/{bin,etc,lib/ashlar/health.d,lib/modules/6.1} "$tree"/{sysroot,var,boot,dev,proc,sys,run,efi}
	ln -s usr/bin "$tree/bin"
	ln -s sysroot/ostree "$tree/ostree"
	{ echo "thing $version"; seq 20000; } >"$tree/usr/bin/thing"
	chmod 755 "$tree/usr/bin/thing"
	# Noise that does not change, and a kernel that does.
	openssl enc -aes-128-ctr -nosalt -pass pass:fixed </dev/zero 2>/dev/null | head -c 2000000 >"$tree/usr/lib/noise"
	{ kernel_head; echo "kernel $version"; openssl enc -aes-128-ctr -nosalt -pass "pass:$version" </dev/zero 2>/dev/null | head -c 300000; } \
		>"$tree/usr/lib/modules/6.1/vmlinuz"
	{ echo "initramfs $version"; seq 60000; } >"$tree/usr/lib/modules/6.1/initramfs.img"
	echo "version $version" >"$tree/usr/etc/issue"
	echo "a default" >"$tree/usr/etc/kept.conf"
	printf 'soak: 0s\ndeadline: 60s\n' >"$tree/usr/lib/ashlar/health.d/10-test.yaml"
	cp "$tmp/root.json" "$tree/usr/lib/ashlar/root.json" 2>/dev/null
	[ $# -lt 2 ] || cp -a "$2/." "$tree/"
	[ -d "$repo" ] || ostree --repo="$repo" init --mode=bare
	ostree --repo="$repo" commit --branch=host/host/amd64 --timestamp=@1700000000 \
		--owner-uid=0 --owner-gid=0 \
		--add-metadata-string=version="$version" \
		--add-metadata-string=ashlar.name=host --add-metadata-string=ashlar.kind=host \
		--add-metadata-string=ashlar.architecture=amd64 --add-metadata-string=ashlar.variant= \
		--add-metadata-string=ashlar.suite=trixie --add-metadata-string=ostree.linux=6.1 \
		--add-metadata="ashlar.kernel-arguments=@as ['quiet', 'for=$version']" \
		--add-metadata="ashlar.packages=@aa{ss} []" "$tree"
}

# agent_host COMMIT VERSION: what 'ashlar image' would have made of it.
agent_host()
{
	local commit=$1 version=$2 deploy=$host/sysroot/ostree/deploy/ashlar/deploy
	rm -rf "${host:?}"/{sysroot,proc,etc,usr,var,run}
	mkdir -p "$deploy" "$host"/{efi/loader/entries,proc/sys/kernel/random,etc/ashlar/agent.d,usr/lib,var/lib,run} \
		"$host/sysroot/ostree/by-commit"
	ostree --repo="$host/sysroot/ostree/repo" init --mode=bare
	ostree --repo="$host/sysroot/ostree/repo" pull-local --disable-fsync "$repo" "$commit" >/dev/null
	ostree --repo="$host/sysroot/ostree/repo" refs --create=host/host/amd64 "$commit"
	ostree --repo="$host/sysroot/ostree/repo" checkout -H "$commit" "$deploy/$commit.0"
	cp -a "$deploy/$commit.0/usr/etc" "$deploy/$commit.0/etc"
	ln -s "../deploy/ashlar/deploy/$commit.0" "$host/sysroot/ostree/by-commit/$commit.0"
	mkdir -p "$host/efi/ashlar/${commit:0:16}"
	cp "$deploy/$commit.0"/usr/lib/modules/6.1/{vmlinuz,initramfs.img} "$host/efi/ashlar/${commit:0:16}/"
	cat >"$host/efi/loader/entries/ashlar-$version-${commit:0:8}.conf" <<-END
		title Ashlar host $version
		version $version
		sort-key ashlar-99999999
		architecture x64
		linux /ashlar/${commit:0:16}/vmlinuz
		initrd /ashlar/${commit:0:16}/initramfs.img
		options root=PARTLABEL=ashlar-root ro quiet for=$version console=ttyS0 ostree=/ostree/by-commit/$commit.0
	END
	install -d -m 700 "$host/var/lib/ashlar" "$host/var/lib/ashlar-link"
}

# The entry that systemd-boot would take: without tries left last, then by sort-key, then by name.
loader_choose()
{
	local file key rank
	for file in "$host"/efi/loader/entries/*.conf; do
		[ -e "$file" ] || continue
		rank=0
		case $file in *+0.conf | *+0-*.conf) rank=1 ;; esac
		key=$(sed -n 's/^sort-key //p' "$file")
		printf '%s %s %s\n' "$rank" "${key:-~}" "${file##*/}"
	done | LC_ALL=C sort -k1,1n -k2,2 -k3,3r | head -n 1 | cut -d ' ' -f 3
}

# Takes the entry, counts, and leaves in $booted the commit, or "" for a machine that does not start.
loader_boot()
{
	local file counter left done_ to
	file=$(loader_choose)
	booted=
	[ -n "$file" ] || return 0
	case $file in
	*+*.conf)
		counter=${file##*+}
		counter=${counter%.conf}
		left=${counter%%-*}
		done_=0
		[ "$counter" = "$left" ] || done_=${counter##*-}
		if [ "$left" -gt 0 ]; then
			to=${file%+*}+$((left - 1))-$((done_ + 1)).conf
			mv "$host/efi/loader/entries/$file" "$host/efi/loader/entries/$to"
			file=$to
		fi
		;;
	esac
	loader_entry=$host/efi/loader/entries/$file
	booted=$(sed -n 's,^options .*ostree=/ostree/by-commit/\([0-9a-f]*\)\..*,\1,p' "$loader_entry")
	# What the firmware would read, and what ostree-prepare-root would follow.
	local kernel initrd serial modules
	kernel=$(sed -n 's/^linux //p' "$loader_entry")
	initrd=$(sed -n 's/^initrd //p' "$loader_entry")
	serial=$(sed -n 's,^options .*ostree=/ostree/by-commit/[0-9a-f]*\.\([0-9]*\).*,\1,p' "$loader_entry")
	modules=$host/sysroot/ostree/by-commit/$booted.$serial/usr/lib/modules/6.1
	cmp -s "$host/efi$kernel" "$modules/vmlinuz" && cmp -s "$host/efi$initrd" "$modules/initramfs.img" || booted=
	[ -z "$booted" ] || sed -n 's/^options //p' "$loader_entry" >"$host/proc/cmdline"
}

# Writes the machine's view of the deployment that booted.
agent_enter()
{
	agent_boots=$((agent_boots + 1))
	echo "boot-$agent_boots-$$" >"$host/proc/sys/kernel/random/boot_id"
	rm -rf "${host:?}/usr" "${host:?}/etc"
	cp -a "$host/sysroot/ostree/by-commit/$booted".*/usr "$host/usr"
	ln -s "$(readlink -f "$host/sysroot/ostree/by-commit/$booted".*)/etc" "$host/etc"
	mkdir -p "$host/usr/lib/ashlar/agent.d"
	printf 'updates:\n  url: %s\n  check: %s\n%s' "$agent_url" "$agent_check" "${agent_settings:-}" \
		>"$host/usr/lib/ashlar/agent.d/test.yaml"
}

agent_bus()
{
	cat >"$agent_dir/bus.conf" <<-END
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig><type>session</type><listen>unix:path=$agent_dir/bus</listen>
		<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
		</busconfig>
	END
	dbus-daemon --config-file="$agent_dir/bus.conf" --nofork >"$agent_dir/bus.log" 2>&1 &
	at_exit+=("kill $!")
	local i
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$agent_dir/bus" ] || return 0
		sleep 0.05
	done
}

# $agent_wrap runs ashlard, $link_wrap ashlar-link; $agent_env are settings of their environment.
agent_wrap=()
link_wrap=()
agent_env=()
agent_libexec=$ashlar_bin

agent_start_ashlard()
{
	env "${agent_env[@]}" "${agent_wrap[@]}" "$ashlar_bin/ashlard" --root "$host" \
		--libexec "$agent_libexec" >>"$agent_dir/ashlard.log" 2>&1 &
	agent_pid=$!
}

agent_start_link()
{
	env "${agent_env[@]}" "${link_wrap[@]}" "$ashlar_bin/ashlar-link" --root "$host" \
		--fetch "$agent_libexec/ashlar-fetch" --checkin "$agent_libexec/ashlar-checkin" >>"$agent_dir/link.log" 2>&1 &
	link_pid=$!
}

agent_start()
{
	agent_start_ashlard
	agent_start_link
}

agent_boot()
{
	loader_boot
	[ -n "$booted" ] || return 1
	agent_enter
	agent_start
}

agent_stop()
{
	[ -z "$agent_pid" ] || kill "$agent_pid" 2>/dev/null
	[ -z "$link_pid" ] || kill "$link_pid" 2>/dev/null
	wait "$agent_pid" "$link_pid" 2>/dev/null
	agent_pid=
	link_pid=
}

# Waits until ashlard has ended, as it does for a reboot.
agent_wait_reboot()
{
	local i
	for ((i = 0; i < ${1:-60} * 10; i++)); do
		kill -0 "$agent_pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -0 "$agent_pid" 2>/dev/null && return 1
	agent_stop
}

ctl()
{
	"$ashlar_bin/ashlarctl" "$@"
}

# Is jq's FILTER true of the status? (jq -e is content with an input that is empty.)
status_is()
{
	local status
	status=$(ctl status --json 2>/dev/null) && [ -n "$status" ] && jq -e "$1" <<<"$status" >/dev/null 2>&1
}

# agent_wait FILTER [SECONDS]: until jq's FILTER is true of the status.
agent_wait()
{
	local i
	for ((i = 0; i < ${2:-60} * 10; i++)); do
		status_is "$1" && return 0
		kill -0 "$agent_pid" 2>/dev/null || return 1
		sleep 0.1
	done
	diag "$(ctl status --json 2>&1 | head -c 3000)"
	return 1
}

# Boots what the boot loader takes, without asking ashlard first. 1: nothing boots.
agent_reboot()
{
	agent_kill
	loader_boot
	[ -n "$booted" ] || return 1
	agent_reboots=$((agent_reboots + 1))
	agent_enter
	agent_start
}

# As a power cut does: nobody is told.
agent_kill()
{
	[ -z "$agent_pid" ] || kill -9 "$agent_pid" 2>/dev/null
	[ -z "$link_pid" ] || kill -9 "$link_pid" 2>/dev/null
	wait "$agent_pid" "$link_pid" 2>/dev/null
	agent_pid=
	link_pid=
}

# agent_live FILTER [SECONDS]: what systemd and the firmware do: what ends is started again, what reboots
# boots, until jq's FILTER is true of the status. Counts in $agent_crashes and $agent_reboots. A function
# agent_crashed is asked first when ashlard has ended by itself. 1: not in time, 2: nothing boots.
agent_crashes=0
agent_reboots=0
agent_live()
{
	local until=$((SECONDS + ${2:-60})) code
	while [ "$SECONDS" -lt "$until" ]; do
		if ! kill -0 "$agent_pid" 2>/dev/null; then
			wait "$agent_pid" 2>/dev/null
			code=$?
			if [ "$code" -eq 0 ]; then
				agent_reboot || return 2
			else
				agent_crashes=$((agent_crashes + 1))
				agent_crashed "$code" || return 2
				agent_start_ashlard
			fi
		elif ! kill -0 "$link_pid" 2>/dev/null; then
			wait "$link_pid" 2>/dev/null
			link_crashed
			agent_start_link
		elif status_is "$1"; then
			return 0
		else
			sleep 0.1
		fi
	done
	return 1
}

agent_crashed()
{
	agent_wrap=()
	agent_env=("${agent_env[@]/ASHLAR_FAULT=*/ASHLAR_FAULT=}")
}

link_crashed()
{
	link_wrap=()
}

# serve DIRECTORY: by tests/lib/httpd, in $port. $serve_faults and $serve_log are its files.
serve()
{
	local httpd=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}/httpd
	serve_faults=$tmp/serve-faults
	serve_log=$tmp/serve-log
	: >"$serve_faults"
	: >"$serve_log"
	mkfifo "$tmp/serve-stdin"
	"$httpd" --faults "$serve_faults" --log "$serve_log" "$1" <"$tmp/serve-stdin" >"$tmp/serve-port" &
	exec 8>"$tmp/serve-stdin"
	at_exit+=("exec 8>&-")
	while ! [ -s "$tmp/serve-port" ]; do sleep 0.02; done
	port=$(cat "$tmp/serve-port")
	export no_proxy=127.0.0.1
}
