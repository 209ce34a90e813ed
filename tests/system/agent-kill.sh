#!/bin/bash
# needs: root dbus-daemon jq ostree openssl strace
# SPDX-License-Identifier: Apache-2.0
# The agent may die anywhere: ashlard, ashlar-link, downloads and workers are killed at every named state
# and at random system calls, calls fail, and the power goes, also in a trial. Started again, as systemd
# and the firmware would, the host comes to the same end without anybody's help, and tells each thing once.
#
#	ASHLAR_KILLS=N    random kills (default 60); ASHLAR_ERRORS=N random errors (default 40)
#	ASHLAR_SEED=N     the random choices (default 1)
#	ASHLAR_SECONDS=N  at most so long for both together (default 60); what was done is said
#	ASHLAR_LANES=N    hosts side by side (default 2)
. tests/lib/tap.sh
. tests/lib/agent.bash

kills=${ASHLAR_KILLS:-60}
errors=${ASHLAR_ERRORS:-40}
seed=${ASHLAR_SEED:-1}
lanes=${ASHLAR_LANES:-2}
budget=${ASHLAR_SECONDS:-60}

# ---- what all hosts start from ----

"$ashlar" key make --no-passphrase "$keys" >"$tmp/out" 2>&1
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
v2=$(agent_commit 2.0.0)
mkdir -p "$tmp/bad/usr/lib/ashlar/health.d"
printf 'soak: 0s\ndeadline: 10s\nchecks:\n  - {name: never, file: /nonexistent, interval: 1s, failures: 1}\n' \
	>"$tmp/bad/usr/lib/ashlar/health.d/10-test.yaml"
v3=$(agent_commit 3.0.0 "$tmp/bad")
# A release that takes its time to be judged, for the power to go meanwhile.
mkdir -p "$tmp/slow/usr/lib/ashlar/health.d"
printf 'soak: 1h\ndeadline: 2h\n' >"$tmp/slow/usr/lib/ashlar/health.d/10-test.yaml"
v4=$(agent_commit 4.0.0 "$tmp/slow")

# publication NAME COMMIT: version 1, and that.
publication()
{
	cp -a "$tmp/base" "$tmp/www/$1" &&
		"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$tmp/www/$1" "$2" &&
		"$ashlar" publish --quiet --keys "$keys" "$tmp/www/$1"
}
mkdir "$tmp/www"
"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$tmp/base" "$v1" >"$tmp/out" &&
	"$ashlar" publish --quiet --keys "$keys" "$tmp/base"
ok "a good release is published" publication good "$v2"
ok "a bad one" publication bad "$v3"
ok "one that is judged late" publication late "$v4"
ok "a bundle is made" "$ashlar" bundle --quiet --output "$tmp/good.bundle" "$tmp/www/good" 2.0.0
serve "$tmp/www"
agent_at "$tmp/template"
agent_host "$v1" 1.0.0
template=$host

# ---- one host's life ----

# life_begin PUBLICATION [SETTINGS]: this lane's host as its image left it, started.
life_begin()
{
	agent_kill
	chattr -R -i "$host/sysroot/ostree/deploy" 2>/dev/null
	rm -rf "$host"
	cp -a "$template" "$host"
	: >"$agent_dir/ashlard.log"
	: >"$agent_dir/link.log"
	rm -f "$agent_dir"/libexec/kill-* "$agent_dir"/libexec/hit-*
	agent_url=http://127.0.0.1:$port/$1
	agent_settings=${2:-}
	agent_crashes=0
	agent_reboots=0
	agent_boot
}

verdicts=$tmp/verdicts

# check NAME COMMAND…: like ok, from any lane.
check()
{
	local name=$1
	shift
	if "$@" >"$agent_dir/out" 2>&1; then
		echo "ok $name" >>"$agent_dir/verdicts"
	else
		echo "not ok $name: $* (host $agent_dir)" >>"$agent_dir/verdicts"
		{
			echo "$name: $*"
			head -c 2000 "$agent_dir/out"
			echo "agent_crashes=$agent_crashes agent_reboots=$agent_reboots"
			ls "$host/efi/loader/entries"
			ctl history --json | jq -c '.events[] | [.event, .version, .word, .text]' | tail -n 30
			ctl status --json | jq -c 'del(.deployments)'
			tail -n 30 "$agent_dir/ashlard.log" "$agent_dir/link.log"
		} >>"$agent_dir/diagnosis" 2>&1
		return 1
	fi
}

# told_once VERSION EVENT…: the history has each of them, once.
told_once()
{
	local tries=50 wanted='[.events[] | select(.version == $v and (.event | IN($ARGS.positional[]))) | .event]'
	local told
	# The question may be what a fault that is still to come hits, and ashlard is started again then. What
	# could not be written at once is tried again after a second.
	while [ $((tries -= 1)) -gt 0 ]; do
		told=$(ctl history --json -n 1000 | jq -r --arg v "$1" "$wanted | .[]" --args "${@:2}")
		[ "$(sort -u <<<"$told" | grep -c .)" -lt $(($# - 1)) ] || break
		agent_live .
		sleep 0.2
	done
	echo "of $1 was told:" "${told//$'\n'/ }"
	[ "$(sort <<<"$told")" = "$(printf '%s\n' "${@:2}" | sort)" ]
}

# Nothing lies about: no temporary names, no deployment and no kernel that no entry leads to.
is_tidy()
{
	local entries trees kernels
	entries=$(find "$host/efi/loader/entries" -mindepth 1 | wc -l)
	trees=$(find "$host/sysroot/ostree/deploy/ashlar/deploy" -mindepth 1 -maxdepth 1 | wc -l)
	kernels=$(find "$host/efi/ashlar" -mindepth 1 -maxdepth 1 | wc -l)
	echo "$entries entries, $trees trees, $kernels kernels"
	[ "$entries" -le "$1" ] && [ "$trees" -le "$1" ] && [ "$kernels" -le "$1" ]
}

is_whole()
{
	ostree fsck --repo="$host/sysroot/ostree/repo" --quiet
}

good_end='.state == "idle" and .booted.version == "2.0.0" and .deployments[0].good and .deployments[0].tries_left == null'
bad_end='.state == "idle" and .booted.version == "1.0.0" and .failed[0].version == "3.0.0" and .failed[0].kind == "bad"'

ends_good()
{
	check "$1: version 2 runs and is good" agent_live "$good_end" 180 || return 1
	check "$1: one deployment, one trial, one verdict" told_once 2.0.0 offered fetched deploying rebooting trial good
	check "$1: one reboot" [ "$agent_reboots" -eq 1 ]
	check "$1: nothing lies about" is_tidy 2
}

ends_bad()
{
	check "$1: version 3 is left and remembered" agent_live "$bad_end" 180 || return 1
	check "$1: told once" told_once 3.0.0 offered fetched deploying rebooting bad
	check "$1: nothing lies about" is_tidy 1
	check "$1: a check does not take it again" ctl check --wait
	check "$1: …and says why" jq -e '.answer == "refused" and .refused[0].reason == "bad"' <(ctl why --json)
}

# ---- ashlard dies in every state ----

# The faults still to come, first the next; agent_crashed takes them one by one.
next_fault()
{
	fault=${faults[0]:-}
	faults=("${faults[@]:1}")
	agent_env=(ASHLAR_WAIT=1 "ASHLAR_FAULT=${fault:+$fault:kill}")
}

states_life()
{
	local kind=$1 point=$2 state
	faults=()
	for state in "${@:3}"; do
		faults+=("$point-$state")
	done
	local count=${#faults[@]}
	agent_wrap=()
	agent_crashed()
	{
		next_fault
	}
	next_fault
	case $kind in
	good) life_begin good && ends_good "$point" ;;
	bad) life_begin bad && ends_bad "$point" ;;
	bundle)
		life_begin good '  automatic: false
'
		agent_live '.state == "idle" and .booted.version == "1.0.0"' && ctl bundle "$tmp/good.bundle"
		ends_good "bundle, $point"
		;;
	window)
		# Not now, whenever that is.
		life_begin good "  windows: [\"$(date -u -d '+6 hours' +%H:%M)-$(date -u -d '+7 hours' +%H:%M)\"]
"
		check "ready, $point: it waits for its window" agent_live '.state == "ready" and .target.version == "2.0.0"'
		check "ready, $point: …again" agent_live '.state == "ready" and .target.version == "2.0.0"'
		ctl update
		ends_good "ready, $point"
		;;
	rollback)
		agent_env=(ASHLAR_WAIT=1)
		life_begin good
		agent_live "$good_end"
		agent_env=(ASHLAR_WAIT=1 "ASHLAR_FAULT=$fault:kill")
		agent_stop
		agent_start
		agent_live "$good_end" && ctl rollback
		check "rollback, $point: back" agent_live '.state == "idle" and .booted.version == "1.0.0"'
		check "rollback, $point: told once" told_once 1.0.0 rolled-back
		check "rollback, $point: held once" told_once 2.0.0 held
		;;
	esac
	check "$kind, $point: every fault was met, one restart each" [ "$fault$agent_crashes" = "$count" ]
}

# ---- a worker, a download or ashlar-link dies ----

# In the place of ashlar-worker and ashlar-fetch: $agent_dir/libexec/kill-VERB says how it is to end, once;
# plan-NUMBER, once, what strace is to do to the next one. (Not to the child of ashlard itself: the end of a
# child that is traced is told twice, and sd-event listens to the first alone.)
make_libexec()
{
	mkdir -p "$agent_dir/libexec"
	cat >"$agent_dir/libexec/ashlar-worker" <<-END
		#!/bin/bash
		verb=\${!#}
		real=$ashlar_bin/\${0##*/}
		[ "\${0##*/}" = ashlar-worker ] || verb=fetch
		if mv "\${0%/*}/kill-\$verb" "\${0%/*}/hit-\$verb" 2>/dev/null; then
			how=\$(cat "\${0%/*}/hit-\$verb")
			case \$how in
			before) kill -9 \$\$ ;;
			after) "\$real" "\$@" >/dev/null; kill -9 \$\$ ;;
			*) export ASHLAR_FAULT=\$how ;;
			esac
		fi
		for plan in "\${0%/*}"/plan-*; do
			mv "\$plan" "\${0%/*}/now-\$\$" 2>/dev/null || continue
			read -ra strace <"\${0%/*}/now-\$\$"
			[ \${#strace[@]} -gt 0 ] || break
			setpriv --pdeathsig KILL strace -DD -f -q -o "\${0%/*}/strace-\$\$" "\${strace[@]}" "\$real" "\$@"
			code=\$?
			[ "\$code" -lt 128 ] || kill -9 \$\$
			exit "\$code"
		done
		exec "\$real" "\$@"
	END
	chmod 755 "$agent_dir/libexec/ashlar-worker"
	ln -sf ashlar-worker "$agent_dir/libexec/ashlar-fetch"
}

# worker_life good|bad HOW VERB…
worker_life()
{
	local kind=$1 how=$2 verb
	agent_libexec=$agent_dir/libexec
	agent_env=(ASHLAR_WAIT=1)
	agent_wrap=()
	agent_crashed()
	{
		:
	}
	life_begin "$kind" && agent_live '.booted.version == "1.0.0"'
	# After the start, so that the first inspect is not all that is met.
	for verb in "${@:3}"; do
		echo "$how" >"$agent_dir/libexec/kill-$verb"
	done
	if [ "$kind" = good ]; then
		check "workers, $how: version 2 runs and is good" agent_live "$good_end" 180
		check "workers, $how: one trial, one verdict" told_once 2.0.0 rebooting trial good
	else
		check "workers, $how: version 3 is left and remembered" agent_live "$bad_end" 180
		check "workers, $how: one verdict" told_once 3.0.0 bad
	fi
	for verb in "${@:3}"; do
		check "workers, $how: $verb was met" [ -e "$agent_dir/libexec/hit-$verb" ]
	done
	agent_libexec=$ashlar_bin
}

# What cannot be written to the history at once is in it later, in order.
history_life()
{
	agent_env=(ASHLAR_WAIT=1)
	agent_wrap=(strace -DD -q -o "$agent_dir/strace" -P "$host/var/lib/ashlar/history.jsonl"
		-e trace=fdatasync -e inject=fdatasync:error=EIO:when=1+2)
	life_begin good
	ends_good "every second line of the history fails"
	check "…they did" [ "$(grep -c INJECTED "$agent_dir/strace")" -ge 3 ]
	agent_wrap=()
}

link_life()
{
	agent_env=(ASHLAR_WAIT=1)
	life_begin good '  rate-limit: 100KiB
'
	link_deaths=0
	link_crashed()
	{
		:
	}
	local until=$((SECONDS + 30))
	while [ "$link_deaths" -lt 5 ] && [ "$SECONDS" -lt "$until" ]; do
		agent_live '.state == "fetching" or .booted.version == "2.0.0"' 20 || break
		kill -9 "$link_pid" && link_deaths=$((link_deaths + 1))
	done
	check "ashlar-link was killed in a download" [ "$link_deaths" -ge 2 ]
	ends_good "ashlar-link killed"
}

# ---- the power goes ----

power_life()
{
	local i
	agent_env=(ASHLAR_WAIT=1)
	agent_wrap=()
	life_begin late
	check "the power goes in a trial: version 4 is tried" agent_live '.state == "trial" and .booted.version == "4.0.0"'
	for i in 1 2; do
		agent_reboot
		check "…cut $i: it is tried again" agent_live '.state == "trial" and .booted.version == "4.0.0"'
	done
	agent_reboot
	check "…the third leads back" [ "$booted" = "$v1" ]
	check "…version 4 is remembered" agent_live '.state == "idle" and .booted.version == "1.0.0" and .failed[0].version == "4.0.0"'
	check "…once" told_once 4.0.0 rebooting bad
	for i in 1 2 3 4 5 6 7 8 9 10; do
		agent_reboot
		check "…boot $i that is cut: version 1 stays" [ "$booted" = "$v1" ]
	done
	check "…and waits no better: idle" agent_live '.state == "idle" and .booted.version == "1.0.0"'
	check "…told once still" told_once 4.0.0 bad

	life_begin good
	check "a good host" agent_live "$good_end"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		agent_reboot
		check "…boot $i that is cut: version 2 stays" [ "$booted" = "$v2" ]
	done
	check "…and is good" agent_live "$good_end"
	check "…nothing more was told of it" told_once 2.0.0 trial good rebooting
}

# The power goes at each state, so that what stands on disk then is all there is.
power_states()
{
	local kind=$1 point=$2 state
	faults=()
	for state in "${@:3}"; do
		faults+=("$point-$state")
	done
	agent_wrap=()
	agent_crashed()
	{
		next_fault
		[ -z "$link_pid" ] || kill -9 "$link_pid" 2>/dev/null
		loader_boot
		[ -n "$booted" ] || return 1
		agent_enter
		rm -rf "$host/run" && mkdir "$host/run"
	}
	next_fault
	life_begin "$kind"
	if [ "$kind" = good ]; then
		check "power, $point: version 2 runs and is good" agent_live "$good_end" 180
		check "power, $point: one verdict" told_once 2.0.0 good
	else
		check "power, $point: version 3 is left and remembered" agent_live "$bad_end" 180
		check "power, $point: one verdict" told_once 3.0.0 bad
	fi
	check "power, $point: every fault was met" [ -z "$fault" ]
}

# ---- random system calls ----

read -rd "" -a calls <<<"write fsync fdatasync rename,renameat,renameat2 openat link,linkat unlink,unlinkat read
	mkdirat,mkdir close fstat,newfstatat sendmsg syncfs symlinkat,symlink pread64 fchmod,fchown utimensat ioctl
	epoll_wait clone,clone3,fork,vfork execve mmap getrandom fsetxattr,setxattr ftruncate flock recvmsg"

# draw N: 0 to N-1, in $drawn, the same for the same lane and seed.
draw()
{
	RANDOM_STATE=$(((RANDOM_STATE * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((RANDOM_STATE >> 8) % $1))
}

# draw_fault kill|error: in $drawn_fault, arguments of strace. Early calls are as likely as late ones.
draw_fault()
{
	local set when what=signal=KILL
	draw ${#calls[@]}
	set=${calls[drawn]}
	draw 3
	case $drawn in
	0) draw 5 ;;
	1) draw 30 ;;
	2) draw 200 ;;
	esac
	when=$((drawn + 1))
	if [ "$1" = error ]; then
		# A program that cannot be loaded, or a descriptor that cannot be closed, is no fault of a disk.
		case $set in close | mmap | execve | clone*) set="write" ;; esac
		draw 3
		case $drawn in
		0) what=error=ENOSPC ;;
		1) what=error=EIO ;;
		2) what=error=EINTR ;;
		esac
	fi
	drawn_fault="-e trace=$set -e inject=$set:$what:when=$when"
	echo "$drawn_fault" >>"$agent_dir/plan"
}

# draw_plans KIND COUNT: faults for workers and downloads to come, for every second of them.
draw_plans()
{
	local i
	rm -f "$agent_dir"/libexec/{plan,now,strace}-*
	for ((i = 10; i < 10 + $2; i++)); do
		draw 2
		drawn_fault=
		[ "$drawn" -eq 0 ] || draw_fault "$1"
		echo "$drawn_fault" >"$agent_dir/libexec/plan-$i"
	done
}

# Ashlard and ashlar-link alone; their children have plans of their own.
wrap_ashlard()
{
	draw_fault "$1"
	read -ra agent_wrap <<<"strace -DD -q -o $agent_dir/libexec/strace-ashlard-$((RANDOM_STATE)) $drawn_fault"
}

count_hits()
{
	local found
	found=$(cat "$agent_dir"/libexec/strace-* 2>/dev/null | grep -Ec 'killed by SIGKILL|\(INJECTED\)')
	rm -f "$agent_dir"/libexec/strace-*
	hits=$((hits + found))
}

# random_life kill|error: six faults at most for ashlard, one for ashlar-link, six for its workers.
random_life()
{
	local kind=$1 left=6 name="random ${1}s"
	agent_libexec=$agent_dir/libexec
	agent_env=(ASHLAR_WAIT=1)
	agent_crashed()
	{
		left=$((left - 1))
		agent_wrap=()
		[ "$left" -le 0 ] || wrap_ashlard "$kind"
		# As systemd does; at once it could be too often.
		sleep 0.1
	}
	link_crashed()
	{
		link_wrap=()
	}
	draw_fault "$kind"
	read -ra link_wrap <<<"strace -DD -q -o $agent_dir/libexec/strace-link $drawn_fault"
	wrap_ashlard "$kind"
	draw_plans "$kind" 12
	draw 3
	if [ "$drawn" -gt 0 ]; then
		life_begin good
		check "$name: version 2 runs and is good" agent_live "$good_end" 180 &&
			check "$name: one verdict" told_once 2.0.0 good
	else
		life_begin bad
		check "$name: version 3 is left and remembered" agent_live "$bad_end" 180 &&
			check "$name: one verdict" told_once 3.0.0 bad
	fi
	agent_kill
	count_hits
	check "$name: the repository is whole" is_whole
	loader_boot
	check "$name: what boots next is whole" [ -n "$booted" ]
	link_wrap=()
	agent_wrap=()
	agent_libexec=$ashlar_bin
}

# ---- lanes ----

# lane NUMBER PART…: hosts one after another.
lane()
{
	local number=$1 part began=$SECONDS
	at_exit=()
	trap - EXIT
	# Bash tells of each child that was killed.
	exec 2>"$tmp/lane-$number/bash.log"
	agent_at "$tmp/lane-$number"
	RANDOM_STATE=$((seed * 7919 + number))
	hits=0
	: >"$agent_dir/verdicts"
	make_libexec
	for part in "${@:2}"; do
		eval "$part"
	done
	while [ "$hits" -lt $((kills / lanes)) ] && [ $((SECONDS - began)) -lt "$budget" ]; do
		random_life kill
	done
	echo "$hits" >"$agent_dir/kills"
	hits=0
	while [ "$hits" -lt $((errors / lanes)) ] && [ $((SECONDS - began)) -lt $((budget + budget / 3)) ]; do
		random_life error
	done
	echo "$hits" >"$agent_dir/errors"
	agent_kill
}

all="checking verifying planning fetching importing deploying rebooting trial blessing cleaning idle"
all_bad="trial condemning returning cleaning"
parts=("states_life good saved $all" "states_life good begun ${all/trial /}" "states_life good state $all"
	"states_life bad saved $all_bad" "states_life bad state $all_bad" "states_life bad begun ${all_bad#trial }"
	"states_life bundle saved bundling verifying importing" "states_life bundle begun bundling verifying importing"
	"states_life window saved ready" "states_life window begun ready"
	"states_life rollback saved switching" "states_life rollback begun switching"
	"power_states good saved checking planning fetching importing deploying rebooting blessing cleaning"
	"power_states good begun planning fetching importing deploying rebooting blessing cleaning"
	"power_states bad saved condemning returning cleaning" "power_states bad begun condemning returning cleaning"
	"worker_life good before verify plan import deploy bless clean inspect fetch"
	"worker_life good after verify plan import deploy bless clean inspect fetch"
	"worker_life bad before condemn clean" "worker_life bad after condemn clean"
	link_life history_life power_life)
[ -z "${ASHLAR_PARTS+x}" ] || mapfile -t parts < <(printf '%s\n' "${parts[@]}" | grep -E -- "$ASHLAR_PARTS")

pids=()
for ((n = 0; n < lanes; n++)); do
	mine=()
	for ((i = n; i < ${#parts[@]}; i += lanes)); do
		mine+=("${parts[i]}")
	done
	agent_at "$tmp/lane-$n"
	agent_bus
	lane "$n" "${mine[@]}" &
	pids+=($!)
	at_exit+=("kill $!")
done
wait "${pids[@]}"

# One line for each name; a name that failed once has failed.
cat "$tmp"/lane-*/verdicts >"$verdicts"
while read -r name; do
	failures=$(grep -F -- "not ok $name: " "$verdicts")
	empty "$name" "$failures"
done < <(sed 's/^ok //; s/^not ok \(.*\): [a-z_[].*/\1/' "$verdicts" | awk '!seen[$0]++')
[ "$test_failed" -eq 0 ] || diag "$(head -c 30000 "$tmp"/lane-*/diagnosis)"
diag "seed $seed: $(cat "$tmp"/lane-*/kills | paste -sd+ | bc) random kills, $(cat "$tmp"/lane-*/errors | paste -sd+ | bc) random errors, in $SECONDS s"
done_testing
