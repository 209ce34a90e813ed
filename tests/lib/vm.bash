# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Machines that keep their disk, for tests of updates: sourced behind tests/lib/tap.sh. A machine is a
# directory $tmp/vm/NAME with a disk that begins as an image, the firmware's variables (where the boot
# loader keeps its own), and the console of all its boots. QEMU is called as builder/vm.c does, with one
# processor; the host's own web server is at 10.0.2.2.
#
#	vm_make NAME IMAGE [QEMU-OPTION…]     once
#	vm_credential NAME KEY TEXT           before a start
#	vm_start NAME; vm_up NAME SECONDS     until the probe in it answers (tests/vm/probe.yaml)
#	vm_do NAME SECONDS COMMAND…           its output in $vm_out; the exit code is the command's,
#	                                      124: too late, 125: the machine went down meanwhile
#	vm_next NAME SECONDS                  until it has booted once more
#	vm_reset NAME                         the button; vm_kill NAME: the plug; vm_stop NAME: the end
#
# What was started ends with the test; a machine lives $vm_lifetime_s at most.

vm_base=$tmp/vm
vm_lifetime_s=1500
vm_memory=${vm_memory:-1024}
vm_out=
vm_count=0
declare -A vm_pid vm_in vm_answers vm_boot vm_monitor

at_exit+=(vm_stop_all)

vm_dir()
{
	echo "$vm_base/$1"
}

vm_firmware()
{
	case $(uname -m) in
	aarch64) echo /usr/share/AAVMF/AAVMF_"$1".fd ;;
	*) echo /usr/share/OVMF/OVMF_"$1"_4M.fd ;;
	esac
}

vm_make()
{
	local name=$1 image=$2 dir format=qcow2
	dir=$(vm_dir "$name")
	shift 2
	[[ $image != *.raw ]] || format=raw
	mkdir -p "$dir"
	qemu-img create -q -f qcow2 -F $format -b "$(realpath "$image")" "$dir/disk.qcow2" || return
	cp "$(vm_firmware VARS)" "$dir/vars.fd"
	echo "format=qcow2,file=$dir/disk.qcow2" >"$dir/drive"
	: >"$dir/console"
	printf '%s\n' "$@" >"$dir/options"
}

# As SMBIOS hands it over; vm_fw_cfg is the other way.
vm_credential()
{
	printf '%s\n' -smbios \
		"type=11,value=io.systemd.credential.binary:$2=$(printf %s "$3" | base64 -w0)" \
		>>"$(vm_dir "$1")/options"
}

vm_fw_cfg()
{
	local file
	file=$(vm_dir "$1")/fw_cfg.$2
	printf %s "$3" >"$file"
	printf '%s\n' -fw_cfg "name=opt/io.systemd.credentials/$2,file=$file" >>"$(vm_dir "$1")/options"
}

# vm_disk NAME FILE: one more disk, raw
vm_disk()
{
	printf '%s\n' -drive "if=none,id=d$RANDOM,format=raw,file=$2" >>"$(vm_dir "$1")/options"
	local id
	id=$(sed -n '$s/.*id=\([^,]*\),.*/\1/p' "$(vm_dir "$1")/options")
	printf '%s\n' -device "virtio-blk-pci,drive=$id" >>"$(vm_dir "$1")/options"
}

vm_start()
{
	local name=$1 dir accel=tcg cpu=max,la57=off machine=q35 options pipe fd
	dir=$(vm_dir "$name")
	case $(uname -m) in
	aarch64) machine=virt cpu=max ;;
	esac
	if [ "${ASHLAR_ACCEL:-}" != tcg ] && { [ "${ASHLAR_ACCEL:-}" = kvm ] || has_need kvm; }; then
		accel=kvm cpu=host
	fi
	vm_close "$name"
	for pipe in probe monitor; do
		rm -f "$dir/$pipe".{in,out}
		mkfifo "$dir/$pipe".{in,out}
	done
	mapfile -t options <"$dir/options"
	[ -n "${options[0]:-}" ] || options=("${options[@]:1}")
	timeout -k 5 "$vm_lifetime_s" "$(qemu_system)" -name "$name" -nodefaults -no-user-config -display none \
		-machine $machine -accel $accel -cpu $cpu -smp 1 -m "$vm_memory" \
		-drive "if=pflash,unit=0,format=raw,readonly=on,file=$(vm_firmware CODE)" \
		-drive "if=pflash,unit=1,format=raw,file=$dir/vars.fd" \
		-drive "if=none,id=disk,discard=unmap,$(cat "$dir/drive")" \
		-device virtio-blk-pci,drive=disk,bootindex=1 \
		-netdev user,id=net -device virtio-net-pci,netdev=net,romfile= \
		-device virtio-rng-pci -device i6300esb -action watchdog=reset \
		-chardev "file,id=console,path=$dir/console,append=on" -serial chardev:console \
		-chardev "pipe,id=monitor,path=$dir/monitor" -mon chardev=monitor,mode=readline \
		-chardev "pipe,id=probe,path=$dir/probe" -device virtio-serial-pci \
		-device virtserialport,chardev=probe,name=org.ashlar.probe \
		-pidfile "$dir/pid" "${options[@]}" </dev/null >>"$dir/qemu" 2>&1 &
	vm_pid[$name]=$!
	# Both ways, so that neither side waits for the other to open.
	exec {fd}<>"$dir/probe.in"
	vm_in[$name]=$fd
	exec {fd}<>"$dir/probe.out"
	vm_answers[$name]=$fd
	exec {fd}<>"$dir/monitor.in"
	vm_monitor[$name]=$fd
	vm_boot[$name]=''
}

vm_close()
{
	local fd
	for fd in "${vm_in[$1]:-}" "${vm_answers[$1]:-}" "${vm_monitor[$1]:-}"; do
		[ -z "$fd" ] || exec {fd}>&-
	done
	vm_in[$1]='' vm_answers[$1]='' vm_monitor[$1]=''
}

# vm_read NAME DEADLINE: one line of the probe's into $vm_line; DEADLINE in $SECONDS
vm_read()
{
	local left=$(($2 - SECONDS))
	[ "$left" -gt 0 ] && IFS= read -r -t "$left" -u "${vm_answers[$1]}" vm_line || return
	# A machine that was reset may have stopped within a line.
	[[ $vm_line != *"hello "????????-????-????-????-???????????? ]] || vm_line="hello ${vm_line##*hello }"
}

# vm_up NAME SECONDS: its probe says hello
vm_up()
{
	local until=$((SECONDS + $2))
	while vm_read "$1" "$until"; do
		[[ $vm_line == "hello "* ]] || continue
		vm_boot[$1]=${vm_line#hello }
		return 0
	done
	return 1
}

vm_next()
{
	vm_up "$@"
}

vm_do()
{
	local name=$1 until=$((SECONDS + $2 + 10)) id line IFS=$'\t'
	vm_count=$((vm_count + 1))
	id=$BASHPID.$vm_count
	printf '%s\t%s\n' "$id" "${*:2}" >&"${vm_in[$name]}"
	vm_out=
	while vm_read "$name" "$until"; do
		line=$vm_line
		case $line in
		"$id : "*) vm_out+=${line#"$id : "}$'\n' ;;
		"$id = "*)
			vm_out=${vm_out%$'\n'}
			return "${line#"$id = "}"
			;;
		"hello "*)
			vm_boot[$name]=${line#hello }
			return 125
			;;
		esac
	done
	return 124
}

# vm_until NAME SECONDS REGEX COMMAND…: asks until the output matches; it stays in $vm_out. Goes on over
# reboots.
vm_until()
{
	local name=$1 until=$((SECONDS + $2)) regex=$3 left
	shift 3
	while left=$((until - SECONDS)) && [ "$left" -gt 0 ]; do
		vm_do "$name" $((left < 30 ? left : 30)) "$@"
		case $? in
		125) continue ;;
		esac
		! grep -Eq -- "$regex" <<<"$vm_out" || return 0
		vm_do "$name" 5 @nap
	done
	return 1
}

vm_command()
{
	echo "$2" >&"${vm_monitor[$1]}"
}

vm_reset()
{
	vm_command "$1" system_reset
}

vm_kill()
{
	local pid=${vm_pid[$1]:-}
	[ -n "$pid" ] || return 0
	# QEMU, which timeout waits for.
	kill -KILL "$(cat "$(vm_dir "$1")/pid" 2>/dev/null)" 2>/dev/null || kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	vm_pid[$1]=''
	vm_close "$1"
}

vm_stop()
{
	vm_kill "$1"
}

vm_stop_all()
{
	local name
	for name in "${!vm_pid[@]}"; do
		vm_kill "$name"
	done
}

# vm_console NAME: of all boots, without escape sequences
vm_console()
{
	sed 's/\x1b\][^\x07\x1b]*\x07//g; s/\x1b\][^\x1b]*\x1b\\//g; s/\x1b\[[^a-zA-Z]*[a-zA-Z]//g; s/\r//g' \
		"$(vm_dir "$1")/console"
}
