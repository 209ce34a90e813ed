#!/bin/bash
# needs: root nspawn jq
# SPDX-License-Identifier: Apache-2.0
# One start of a workload: what it sees, how it ends, what stays behind; in each class.
. tests/lib/tap.sh
. tests/lib/launch.bash

work_image dash cat id env sleep dd stat kill hostname ls
ln -s dash "$work_root/bin/sh"
before=$(find "$work_root" -printf '%p %m %U %G %s %T@\n' | sort | sha256sum)

# says CLASS JSON COMMAND…: standard output of a run.
says()
{
	local class=$1 over=$2
	shift 2
	work_run say "$class" "$over" "$@" 2>"$tmp/words"
}

run=/bin/sh
head -c 3000000 /dev/urandom >"$tmp/bytes"
classes='sandbox container'
[ ! -x /usr/bin/runsc ] || classes+=' userkernel'
for class in $classes; do
	exits 0 "$class: a command that ends well" work_run one "$class" '{}' $run -c true
	exits 7 "$class: an exit code" work_run one "$class" '{}' $run -c 'exit 7'
	is "$class: the file of the end" "$(jq -c . "$tmp/run/one/exit")" '{"code":7}'
	is "$class: the class that is in effect" "$(cat "$tmp/run/one/effective")" "$class"
	exits 137 "$class: a signal" work_run one "$class" '{}' $run -c 'kill -9 $$'
	is "$class: the file of the signal" "$(jq -c . "$tmp/run/one/exit")" '{"signal":9}'
	is "$class: the environment is what was given, nothing else" \
		"$(says "$class" '{"environment": ["PATH=/bin", "A=b c"]}' env | grep -v '^PWD=\|^HOME=\|^SHLVL=\|^_=' | sort)" $'A=b c\nPATH=/bin'
	is "$class: the directory" "$(says "$class" '{"directory": "/srv"}' $run -c pwd)" /srv
	is "$class: the host name" "$(says "$class" '{"instance": "say"}' hostname)" say
	like "$class: hosts and name servers" \
		"$(says "$class" '{"hosts": ["192.0.2.7 db"], "nameservers": ["192.0.2.1"]}' cat /etc/hosts /etc/resolv.conf)" \
		'192.0.2.7 db'
	user=1000
	[ "$class" != sandbox ] || user=$((work_base + 1000))
	is "$class: a user" "$(says "$class" '{"uid": 1000, "gid": 1000}' id -u)" $user
	exits 0 "$class: root inside reads the image's own files" work_run one "$class" '{}' cat /etc/shadow
	exits 1 "$class: a user does not" work_run one "$class" '{"uid": 1000, "gid": 1000}' cat /etc/shadow
	unlike "$class: the image cannot be written" "$(says "$class" '{}' $run -c 'echo x >/etc/new && echo did')" did
	[ "$class" = userkernel ] || unlike "$class: /tmp has an end" \
		"$(says "$class" '{}' $run -c 'dd if=/dev/zero of=/tmp/x bs=64k count=32 && echo did')" did
	like "$class: /tmp can be written" "$(says "$class" '{}' $run -c 'echo x >/tmp/x && echo did')" did
	mkdir -p "$tmp/volume"
	chmod 1777 "$tmp/volume"
	binds="{\"uid\": 1000, \"gid\": 1000, \"binds\": [{\"source\": \"$tmp/volume\", \"target\": \"/var/lib/web\"}]}"
	exits 0 "$class: a volume" work_run one "$class" "$binds" $run -c "echo $class >/var/lib/web/f"
	is "$class: holds users as they are inside" "$(stat -c %u "$tmp/volume/f")" 1000
	binds="{\"binds\": [{\"source\": \"$tmp/volume\", \"target\": \"/etc/link/v\", \"is_read_only\": true}]}"
	is "$class: a volume below a link of the image" "$(says "$class" "$binds" $run -c 'cat /run/v/f; echo x >/run/v/g')" "$class"
	rm -f "$tmp/volume/f"
	exits 201 "$class: a volume that is not there" \
		work_run one "$class" '{"binds": [{"source": "/nothing/here", "target": "/v"}]}' $run -c true
	like "$class: is said" "$(jq -r .refused "$tmp/run/one/exit")" '/nothing/here'
	exits 200 "$class: a strength that it does not have" \
		work_run one "$class" '{"at_least": "hardware"}' $run -c true
	like "$class: is said" "$(jq -r .refused "$tmp/run/one/exit")" "at least 'hardware' is demanded"

	# What it is started with is the host's own, /dev/null mostly, and gVisor gives its input to the workload's user.
	work_make one "$class" '{"uid": 1000, "gid": 1000}' $run -c true
	[ -e "$tmp/null" ] || mknod "$tmp/null" c 1 3
	"$launcher" "$tmp/run/one" <"$tmp/null" >"$tmp/words" 2>&1
	is "$class: a device that it begins with stays root's" "$? $(stat -c %U "$tmp/null")" '0 root'
	chown root:root "$tmp/null"

	work_start live "$class" '{}' $run -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
	until [ -s "$tmp/run/live/out" ] || [ ! -d /proc/$work_pid ]; do read -rt 0.05 <> <(:) || :; done
	is "$class: exec sees the same users" "$("$launcher" exec "$tmp/run/live" -- id -u)" \
		"$([ "$class" = sandbox ] && echo $work_base || echo 0)"
	exits 9 "$class: exec ends with the command's code" "$launcher" exec "$tmp/run/live" -- /bin/sh -c 'exit 9'
	"$launcher" exec "$tmp/run/live" -- /bin/sh -c 'exit 9' <"$tmp/null" >"$tmp/written" 2>&1
	is "$class: and its input and output stay root's" "$? $(stat -c %U "$tmp/null" "$tmp/written" | xargs)" '9 root root'
	is "$class: exec can be given more of an environment" \
		"$("$launcher" exec --setenv=MORE=than "$tmp/run/live" -- /bin/sh -c 'echo "$MORE $PATH"')" 'than /bin'
	"$launcher" exec "$tmp/run/live" -- /bin/sh -c 'cat; echo end >&2' <"$tmp/bytes" >"$tmp/written" 2>"$tmp/words"
	is "$class: files go in and out whole" "$? $(cmp "$tmp/bytes" "$tmp/written" 2>&1) $(cat "$tmp/words")" '0  end'
	is "$class: a reader that has enough ends it" \
		"$("$launcher" exec "$tmp/run/live" -- /bin/sh -c 'while echo y; do :; done' 2>"$tmp/words" | head -n 1)" y
	is "$class: the caller's terminal stays root's" \
		"$(script -qec "$launcher exec $tmp/run/live -- /bin/sh -c 'exit 3'; echo \$?; stat -Lc %U /dev/fd/0" \
			/dev/null </dev/null | tr -d '\r' | xargs)" '3 root'
	[ "$class" = userkernel ] || is "$class: and the command's, who types ahead types for the shell" \
		"$(printf '%s\n' "$launcher exec $tmp/run/live -- /bin/sh -c 'test -t 0 && test -t 1 && echo tt''y'" 'echo ah''ead' exit |
			PS1='' script -qec /bin/sh /dev/null | tr -d '\r' | grep -cE '^(# )?(tty|ahead)$')" 2
	[ "$class" = userkernel ] || is "$class: exec is confined as the command is" \
		"$("$launcher" exec "$tmp/run/live" -- /bin/escape | grep -c open$)" 0
	kill -TERM $work_pid
	wait $work_pid
	is "$class: SIGTERM is the workload's" $? 5
	exits 202 "$class: nothing runs any more" "$launcher" exec "$tmp/run/live" -- id

	work_start live "$class" '{}' sleep 1000
	first=$(cat "$tmp/run/live/pid")
	kill -KILL $work_pid
	wait $work_pid 2>/dev/null
	for _ in {1..1000}; do [ -d "/proc/$first" ] || break; read -rt 0.05 <> <(:) || :; done
	ok "$class: it ends with its launcher, however that ends" test ! -d "/proc/$first"
	rm -rf "$tmp/run/live"
done

for class in sandbox container; do
	exits 201 "$class: a command that is not there" work_run one $class '{}' /bin/none
	exits 0 "$class: system calls are recorded" work_run rec $class '{"is_recording": true}' $run -c 'cat /etc/passwd'
	like "$class: by their names" "$(xargs <"$tmp/run/rec/recorded")" '.*execve .*read .*write'
	only=$(jq -Rcn '[inputs]' <"$tmp/run/rec/recorded")
	exits 0 "$class: and are enough for the same again" \
		work_run one $class "{\"calls_only\": $only}" $run -c 'cat /etc/passwd'
	work_start live "$class" '{"is_recording": true}' sleep 1000
	until [ -s "$tmp/run/live/pid" ] || [ ! -d /proc/$work_pid ]; do read -rt 0.05 <> <(:) || :; done
	timeout 100 "$launcher" exec "$tmp/run/live" -- /bin/escape >"$tmp/probes" 2>/dev/null
	is "$class: who is recorded may not do more" "$(grep -c open$ "$tmp/probes") $(wc -l <"$tmp/probes")" \
		"0 $(build/escape --count)"
	kill -KILL $work_pid
	wait $work_pid 2>/dev/null
	like "$class: what is started in it is recorded, and what it was refused" \
		"$(xargs <"$tmp/run/live/recorded-exec")" '!clone3 .*!unshare.* openat '
	rm -rf "$tmp/run/live"
done

# An init of its own.
cat >"$work_root/sbin/init" <<'END'
#!/bin/dash
trap 'exit 6' 37
echo "init $$ $(id -u)"
echo x >/etc/new && echo written
while :; do sleep 0.1; done
END
chmod 755 "$work_root/sbin/init"
before=$(find "$work_root" -printf '%p %m %U %G %s %T@\n' | sort | sha256sum)
work_start boot container '{"is_booted": true, "command": []}'
until grep -q written "$tmp/run/boot/out" || [ ! -d /proc/$work_pid ]; do read -rt 0.05 <> <(:) || :; done
like "boot: the image's init is the first process" "$(cat "$tmp/run/boot/out" "$tmp/run/boot/err")" '^init 1 0$'
kill -TERM $work_pid
wait $work_pid
is "boot: is asked to power off in its own words" $? 6
exits 200 "boot: not in a sandbox" work_run one sandbox '{"is_booted": true, "command": []}'

# Nothing stays.
state()
{
	grep -F "$tmp" /proc/mounts
	find /run/systemd/nspawn /tmp /var/tmp -maxdepth 1 -name '*nspawn*' 2>/dev/null
	ls /run/systemd/nspawn/* /run/netns 2>/dev/null
	find /sys/fs/cgroup -type d \( -name payload -o -name supervisor -o -name '*many*' \) 2>/dev/null
}
rm -rf "$tmp/run/many"
state >"$tmp/state"
failed=0
for i in {1..50}; do
	work_run many container '{}' $run -c true || failed=$((failed + 1))
	work_run many sandbox '{}' $run -c true || failed=$((failed + 1))
done
is "a hundred starts" $failed 0
is "leave no mount, directory, network or cgroup" "$(state)" "$(cat "$tmp/state")"
empty "nor a process" "$(pgrep -f "systemd-nspawn.*$tmp" || :)"
is "nor a file but those that are told of" "$(find "$tmp/run/many" -printf '%f\n' | sort | xargs)" \
	"effective exit launch.json many pid"
is "the image is as it was" "$(find "$work_root" -printf '%p %m %U %G %s %T@\n' | sort | sha256sum)" "$before"

done_testing
