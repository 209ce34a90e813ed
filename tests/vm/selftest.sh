#!/usr/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# Runs inside the booted host (tests/vm/selftest.yaml), twice: the second time it looks for what
# survived the reboot. Writes lines of TAP behind "TAP " to the console; tests/vm/host.sh reads them.
# shellcheck disable=SC2016

marks=/var/lib/ashlar/selftest

# Debian's busybox looks for programs on the disk first, where there are none.
for applet in awk cat chmod cp cut df dmesg env find grep head hexdump ip ls mkdir mount mv nc ps rm \
	sed sleep sort tail timeout touch tr uniq wc; do
	eval "$applet() { /usr/bin/busybox $applet \"\$@\"; }"
done

say()
{
	printf 'TAP %s\n' "$*"
}

# judge NAME EXIT-CODE [DETAILS]
judge()
{
	if [ "$2" -eq 0 ]; then
		say "ok - $1"
	else
		say "not ok - $1"
		printf '%s\n' "$3" | head -n 20 | while read -r line; do say "# $line"; done
	fi
}

# empty NAME TEXT: nothing was found
empty()
{
	[ -z "$2" ]
	judge "$1" $? "$2"
}

# is NAME GOT WANTED
is()
{
	[ "$2" = "$3" ]
	judge "$1" $? "got '$2', wanted '$3'"
}

options_of()
{
	awk -v where="$1" '$2 == where {o = $4; t = $3} END {if (t != "autofs") print o}' /proc/self/mounts
}

# mounted WHERE WANTED-OPTION…: of the topmost mount there; !option: is not set
mounted()
{
	where=$1
	shift
	have=,$(options_of "$where"),
	wrong=
	for option; do
		case $option in
		!*) case $have in *,"${option#!}",*) wrong="$wrong $option" ;; esac ;;
		*) case $have in *,"$option",*) ;; *) wrong="$wrong $option" ;; esac ;;
		esac
	done
	empty "$where is mounted $*" "${wrong:+not so:$wrong, but $have}"
}

check_mounts()
{
	mounted / ro
	mounted /usr ro
	mounted /boot ro nosuid nodev noexec
	mounted /sysroot ro
	mounted /var nosuid nodev noexec noatime
	mounted /var/lib/ashlar nosuid nodev !noexec
	mounted /tmp nosuid nodev noexec
	mounted /dev/shm nosuid nodev noexec
	mounted /run nosuid nodev noexec
	mounted /proc nosuid nodev noexec hidepid=invisible
	is "the ESP is not mounted" "$(options_of /efi)" ""
	ls /efi/loader/entries >/dev/null
	mounted /efi nosuid nodev noexec fmask=0077 dmask=0077
	empty "debugfs and tracefs are not mounted" "$(grep -E ' (debugfs|tracefs) ' /proc/self/mounts)"

	left=
	for where in / /usr /usr/bin /usr/etc /usr/lib /sysroot /ostree /boot /media /sysroot/ostree/deploy/ashlar/var; do
		touch "$where/ashlar-probe" 2>/dev/null && left="$left $where"
	done
	empty "nothing can be written outside /etc and /var" "$left"
}

check_var()
{
	for uevent in /sys/class/block/*/uevent; do
		grep -qx PARTNAME=ashlar-var "$uevent" && part=${uevent%/uevent}
	done
	disk=$(cat "$part/../size")
	start=$(cat "$part/start")
	size=$(cat "$part/size")
	df_kb=$(df -k /var | awk 'NR == 2 {print $2}')
	[ $((disk - start - size)) -lt 4096 ]
	judge "the partition of /var reaches to the end of the disk" $? "$disk, $start + $size"
	[ $((df_kb * 20)) -gt $((size * 9)) ]
	judge "the file system of /var fills its partition" $? "$df_kb KiB in $size sectors"
}

check_sysctl()
{
	wrong=$(sed -n 's/^-\{0,1\}\([a-z][^ ]*\) = \(.*\)/\1 \2/p' /usr/lib/sysctl.d/90-ashlar.conf |
		while read -r name value; do
			path=/proc/sys/$(echo "$name" | tr . /)
			[ -e "$path" ] || continue
			got=$(cat "$path")
			[ "$got" = "$value" ] || echo "$name = $got, wanted $value"
		done)
	empty "sysctl: $(grep -c ' = ' /usr/lib/sysctl.d/90-ashlar.conf) values are set" "$wrong"
	missing=
	for name in kernel.kptr_restrict kernel.yama.ptrace_scope kernel.io_uring_disabled \
		kernel.unprivileged_userns_clone kernel.kexec_load_disabled net.core.bpf_jit_harden; do
		[ -e "/proc/sys/$(echo $name | tr . /)" ] || missing="$missing $name"
	done
	empty "sysctl: the kernel knows the important ones" "$missing"
}

check_kernel()
{
	missing=
	for word in slab_nomerge init_on_alloc=1 init_on_free=1 page_alloc.shuffle=1 vsyscall=none \
		randomize_kstack_offset=on debugfs=off ia32_emulation=0 lockdown=integrity \
		module.sig_enforce=1 oops=panic panic=10 iommu=force rd.shell=0; do
		case " $(cat /proc/cmdline) " in *" $word "*) ;; *) missing="$missing $word" ;; esac
	done
	empty "the kernel's command line is as hard as it should be" "$missing"
	is "the kernel is locked down" "$(grep -o '\[.*\]' /sys/kernel/security/lockdown)" "[integrity]"
	is "modules must be signed" "$(cat /sys/module/module/parameters/sig_enforce)" Y
	is "pages are shuffled" "$(cat /sys/module/page_alloc/parameters/shuffle)" Y
	empty "no processor flaw is left open" \
		"$(grep -E ': Vulnerable' /sys/devices/system/cpu/vulnerabilities/* /dev/null)"
	loaded=
	for module in udf sctp dccp rds tipc cramfs usb-storage hfs; do
		modprobe -q "$module" 2>/dev/null && loaded="$loaded $module"
	done
	empty "modules on the blacklist cannot be loaded" "$loaded"
	is "the kernel has not complained" "$(dmesg | grep -cE 'BUG|WARNING|Oops')" 0
}

check_files()
{
	empty "no setuid or setgid file" "$(find / -xdev -type f -perm /6000)"
	empty "nothing is writable for the world" \
		"$(find / /var /etc -xdev ! -type l -perm -0002 ! -perm -1000 2>/dev/null |
			grep -vE '^/(proc|sys|dev|run)/')"
	empty "no interpreter but the judge's" "$(find /usr/bin /usr/sbin /usr/lib /usr/libexec -xdev -perm /0111 \
		! -type d 2>/dev/null | grep -E '/(sh|dash|bash|mawk|awk|perl|python[0-9.]*|lua|apt|dpkg|gcc|gdb|curl|wget|tcpdump|ssh|sshd|login|su|sudo|agetty|sulogin)$')"
	scripts=$(find /usr/bin /usr/sbin /usr/lib /usr/libexec -xdev -type f -perm /0111 2>/dev/null |
		while read -r path; do
			[ "$(head -c 2 "$path" | tr -d '\0')" = '#!' ] && echo "$path"
		done | grep -v '^/usr/lib/ashlar-selftest/run$')
	empty "no script" "$scripts"
	empty "no password" "$(awk -F: '$2 !~ /^[!*]/' /etc/shadow)"
	empty "no account but root has number 0" "$(awk -F: '$3 == 0 && $1 != "root"' /etc/passwd)"
	[ ! -L /etc/machine-id ] && [ "$(wc -c </etc/machine-id)" -eq 33 ]
	judge "the machine has an id" $? "$(cat /etc/machine-id)"
	empty "the journal is not for everybody" "$(find /var/log/journal -perm /0007)"
	is "core files go nowhere" "$(cat /proc/sys/kernel/core_pattern)" "|/bin/false"
}

check_units()
{
	is "no unit has failed" "$(systemctl list-units --failed --no-legend --plain)" ""
	wrong=
	for unit in getty@tty1.service serial-getty@ttyS0.service console-getty.service \
		debug-shell.service rescue.service rescue.target ctrl-alt-del.target kexec.target; do
		[ "$(systemctl is-enabled $unit 2>/dev/null)" = masked ] || wrong="$wrong $unit"
	done
	empty "no prompt can be started" "$wrong"
	empty "no process has a prompt" "$(ps -o comm | awk "/getty|^login|sulogin/")"
	is "the firewall came before the network" \
		"$(systemctl show -P Requires systemd-networkd.service | tr ' ' '\n' | grep -c '^nftables')" 1
}

check_network()
{
	for _ in $(/usr/bin/busybox seq 60); do
		ip -4 addr | grep -q 'inet 10\.' && break
		sleep 1
	done
	empty "an address came by DHCP" "$(ip -4 addr | grep -q 'inet 10\.' || ip addr)"
	listening=$(awk 'FNR > 1 && $4 == "0A" {print FILENAME, $2}' /proc/net/tcp /proc/net/tcp6)
	# A DHCP client's own ports are bound, and closed by the firewall to all but its server.
	udp=$(awk 'FNR > 1 && $4 == "07" && $2 !~ /:(0044|0222)$/ {print FILENAME, $2}' \
		/proc/net/udp /proc/net/udp6)
	raw=$(awk 'FNR > 1 && $2 !~ /:003A$/ {print FILENAME, $2}' /proc/net/raw /proc/net/raw6)
	empty "no socket listens" "$listening$udp$raw"
	nft list ruleset >/run/ruleset
	is "three policies drop" "$(grep -cE 'hook (input|forward|output) .*policy drop' /run/ruleset)" 3
	out=$(echo | timeout 10 nc 10.0.2.2 80 2>&1)
	# Dropped: no answer at all. The other side would refuse, nobody listens there.
	case $out in
	*Terminated* | *"timed out"*) judge "root cannot open a connection" 0 ;;
	*) judge "root cannot open a connection" 1 "$out" ;;
	esac
	empty "names are asked for by systemd-resolved only" "$(grep -q '^nameserver' /etc/resolv.conf ||
		cat /etc/resolv.conf)"
}

check_host()
{
	commit=$(sed 's|.*ostree=/ostree/by-commit/\([0-9a-f]*\)\..*|\1|' /proc/cmdline)
	ostree admin status >/run/status 2>&1
	grep -q "^\* ashlar $commit\.0" /run/status
	judge "ostree admin status shows the deployment" $? "$(cat /run/status)"

	root=/var/lib/ashlar/probe
	mkdir -p $root/usr/bin $root/etc $root/dev $root/proc $root/sys $root/run $root/tmp $root/var $root/root
	cp /usr/bin/busybox $root/usr/bin/
	echo ID=probe >$root/etc/os-release
	out=$(timeout 120 systemd-nspawn --quiet --register=no --keep-unit --directory=$root \
		--private-users=pick --private-network --read-only --drop-capability=all \
		--pipe /usr/bin/busybox echo contained 2>&1)
	is "a container runs, with users and network of its own" "$out" contained
	rm -rf $root
}

# Marks go wherever something can be written, but into the kernel's own file systems.
writable_places()
{
	awk '$4 ~ /^rw/ && $3 !~ /^(proc|sysfs|cgroup2|devtmpfs|devpts|securityfs|bpf|pstore|efivarfs|autofs|configfs|fusectl|mqueue|vfat)$/ {print $2}' \
		/proc/self/mounts | sort -u
}

first_boot()
{
	check_mounts
	check_var
	check_sysctl
	check_kernel
	check_files
	check_units
	check_network
	check_host
	mkdir -p $marks
	cat /etc/machine-id >$marks/machine-id
	# A mark below each mount, named after it; and deeper, where packages would write.
	for where in $(writable_places) /home /root /srv /opt /usr/local /mnt /etc/systemd; do
		touch "$where/ashlar-mark" 2>/dev/null && echo "$where" >>$marks/places
	done
	say "# marked: $(tr '\n' ' ' <$marks/places)"
	say "# memory: $(awk '/^(MemTotal|MemAvailable|MemFree|Cached|Slab|AnonPages):/ {printf "%s%d ", $1, $2}' /proc/meminfo)"
	journalctl -b -o short-monotonic --no-pager | cut -c1-160 | grep -E 'systemd\[1\]|kernel: Run|nft' |
		while read -r line; do say "# $line"; done
	journalctl -b -o short-monotonic --no-pager -u systemd-networkd -u systemd-repart -p notice -u systemd-pstore | cut -c1-200 |
		while read -r line; do say "# $line"; done
	say "# mounts $(grep -E 'ext4' /proc/self/mountinfo | tr '\n' '|')"
	dmesg | awk -F'[][]' '$2 - last > 0.25 {printf "# [gap %.2f] %s\n", $2 - last, $0} {last = $2}' | cut -c1-120 |
		while read -r line; do say "$line"; done
	dmesg | grep generator | while read -r line; do say "# gap $line"; done
	say "# modules $(awk '{printf "%s ", $1}' /proc/modules)"
	say "# rebooting"
	systemctl --no-block reboot
	# Still starting when it stops: the boot never counts as over.
	sleep 300
}

second_boot()
{
	found=$(find / /var /etc /tmp /run /dev/shm -xdev -name ashlar-mark 2>/dev/null | sort -u |
		grep -vE '^/(etc|var|sysroot)/')
	empty "after a reboot nothing is left outside /etc and /var" "$found"
	ls /etc/ashlar-mark /etc/systemd/ashlar-mark /var/ashlar-mark >/dev/null
	judge "…and all is left within them" $?
	is "the machine's id is the same" "$(cat /etc/machine-id)" "$(cat $marks/machine-id)"
	is "no unit has failed" "$(systemctl list-units --failed --no-legend --plain)" ""
	mounted /var nosuid nodev noexec noatime
	say "# end"
}

if [ -e $marks ]; then
	second_boot
else
	first_boot
fi
