#!/bin/bash
# needs: root vm apt jq qemu-img
# SPDX-License-Identifier: Apache-2.0
# Machines whose plug is pulled at random instants: in the first boot, while systemd-repart makes /var; in
# the update, the reboot, the trial, the blessing and the cleaning. QEMU dies by SIGKILL, and with it what
# the guest has not flushed and QEMU holds in its own caches. After each kill the machine is simply started
# again. Whenever it comes up it runs the old or the new release; at the end it is in the new one, healthy,
# and one more kill does not change that.
#
# ASHLAR_VM_KILLS: how many, over two machines side by side (default 2); ASHLAR_CRASH_SEED: which instants;
# ASHLAR_CRASH_OUT: a directory that gets a line of JSON for each machine.
. tests/lib/tap.sh
. tests/lib/vm.bash
. tests/lib/vm-update.bash
. tests/lib/vm-pair.bash

kills=${ASHLAR_VM_KILLS:-2}
seed=${ASHLAR_CRASH_SEED:-1}
vm_lifetime_s=$((1500 + kills * 120))

ok "two releases and an image" pair_begin
[ "$test_failed" -eq 0 ] || done_testing

# Time that passes for the machine, whatever it does then.
pass_s()
{
	local nothing
	exec {nothing}<> <(:)
	read -r -t "$1" -u "$nothing"
	exec {nothing}>&-
}

# look NAME: it is up: notes what it runs, and orders the update when it knows of none
look()
{
	local version state
	status "$1" . >/dev/null || return
	read -r version state < <(jq -r '"\(.booted.version) \(.state)"' <<<"$vm_out")
	echo "$version $state" >>"$tmp/$1.seen"
	case $version in
	1.0.0) [ "$state" != idle ] || vm_do "$1" 60 /usr/bin/ashlarctl update ;;
	2.0.0) ;;
	*) return 1 ;;
	esac
}

# machine NAME SEED KILLS
machine()
{
	local name=$1 n=$3 i
	RANDOM=$2
	vm_make "$name" "$image"
	vm_credential "$name" ashlar.host "$(host_document "  tries: 9")"
	: >"$tmp/$name.seen"
	for ((i = 0; i < n; i++)); do
		vm_start "$name"
		if [ $i -eq 0 ]; then
			# Somewhere from the firmware to the end of the first boot.
			pass_s $((3 + RANDOM % 40))
		else
			vm_up "$name" 400 || { fail "$name comes up after kill $i" "$(vm_console "$name" | tail -n 30)"; return; }
			# The services may take a little longer than the probe.
			status_until "$name" 200 .booted.version || { fail "$name answers after kill $i"; vm_explain "$name"; return; }
			look "$name" || { fail "$name runs one of the two after kill $i" "$vm_out"; return; }
			pass_s $((RANDOM % 75))
		fi
		vm_kill "$name"
		echo "killed" >>"$tmp/$name.seen"
	done
	vm_start "$name"
	ok "$name comes up after $n kills" vm_up "$name" 400
	status_until "$name" 200 .booted.version
	ok "$name runs the old or the new release" look "$name"
	ok "$name ends in the new one, healthy" pair_settled "$name" 2.0.0 900
	[ "$test_failed" -eq 0 ] || vm_explain "$name"
	is "$name: no release was found bad" "$(status "$name" '.failed | length')" 0
	is "$name: no unit has failed" "$(vm_do "$name" 60 /usr/bin/systemctl --failed --no-legend --plain; echo "$vm_out")" ""
	vm_kill "$name"
	vm_start "$name"
	ok "$name is in it still after one more" vm_up "$name" 400
	ok "$name: …and healthy" pair_settled "$name" 2.0.0 300
	vm_stop "$name"
	pass "$name came to its end: $(tr '\n' ',' <"$tmp/$name.seen")"
}

# side NAME SEED KILLS: in a process of its own that counts for itself
side()
{
	test_count=0 test_failed=0 at_exit=()
	trap vm_stop_all EXIT
	mkdir "$tmp/$1"
	tmp=$tmp/$1
	machine "$@" >"$tmp.tap"
}
side one "$seed" $(((kills + 1) / 2)) &
sides=($!)
side two $((seed + 1000)) $((kills / 2)) &
sides+=($!)
at_exit+=("kill ${sides[*]}; wait ${sides[*]}")
wait "${sides[@]}"
for name in one two; do
	while read -r line; do
		case $line in
		"ok "*) pass "${line#*- }" ;;
		"not ok "*) fail "${line#*- }" ;;
		esac
	done <"$tmp/$name.tap"
	lost=false
	tail -n 1 "$tmp/$name.tap" | grep -q 'came to its end' && ! grep -q '^not ok' "$tmp/$name.tap" || lost=true
	is "$name: the test came to its end" $lost false
	[ -z "${ASHLAR_CRASH_OUT:-}" ] || jq -nc --arg name "$name" --argjson run "$seed" --argjson lost $lost \
		--rawfile seen "$tmp/$name/$name.seen" '{machine: $name, run: $run, lost: $lost,
			kills: ($seen | split("\n") | map(select(. == "killed")) | length), seen: ($seen | split("\n"))}' \
		>>"$ASHLAR_CRASH_OUT/kills.jsonl"
done
done_testing
