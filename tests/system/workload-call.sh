#!/bin/bash
# needs: root dbus-daemon jq ostree busybox
# SPDX-License-Identifier: Apache-2.0
# Calls between workloads under the real daemon: what the owner is asked about, and instances that live for one call.
. tests/lib/tap.sh
. tests/lib/workload.bash

ok "a host" workload_host
ln -sf "$(realpath "$ashlar_bin/ashlar-broker")" "$libexec/ashlar-broker"
workload_tree=$tmp/more
mkdir -p "$workload_tree/bin"
cp "$ashlar_bin/ashlar-call" "$workload_tree/bin/"
workload_image "$tmp/image" 'while :; do sleep 1; done'

# definition NAME [LINE…]
definition()
{
	local name=$1
	shift
	cat >"$tmp/$name.yaml" <<-END
		workload: $name
		version: 1.0.0
		image: oci-dir:$tmp/image
		isolation: sandbox
		resources: {cpu: 0.05, memory: 32MiB}
	END
	printf '%s\n' "$@" >>"$tmp/$name.yaml"
}
provides='provides:
  - {name: keep.Word, call: [/bin/sh, -c, "[ -e /tmp/word ] && echo old; cat >/tmp/word; hostname; cat /tmp/word"]}
  - {name: wait.Long, call: [/bin/sh, -c, "echo begun; sleep 1000"]}'
definition client 'requires: [{name: keep.Word}, {name: wait.Long}]'
definition once 'disposable: true' "$provides"
definition box 'disposable: true' "$provides"
sed -i 's/isolation: sandbox/isolation: container/' "$tmp/box.yaml"
disposables="once box"
if [ -x /usr/bin/runsc ]; then
	definition kernel 'disposable: true' "$provides"
	sed -i 's/isolation: sandbox/isolation: userkernel/; s/cpu: 0.05, memory: 32MiB/cpu: 0.05, memory: 128MiB/' "$tmp/kernel.yaml"
	disposables+=" kernel"
else
	skip "class userkernel" "runsc is not installed"
fi
mkdir -p "$host/etc/ashlar/policy.d"
cat >"$host/etc/ashlar/policy.d/50.policy" <<'END'
keep.Word+ask client once ask
* client once allow
* client box allow
* client kernel allow
END
echo 'routes: [{from: client, service: keep.Word, to: once}, {from: client, service: wait.Long, to: once}]' \
	>"$host/etc/ashlar/routes.yaml"
ok "ashlar-workloadd" workload_begin
for name in $disposables client; do
	ok "$name is ready" "$ctl" workload run --timeout 60 "$tmp/$name.yaml"
done
is "what is disposable has no process" "$(workload_field once '"\(.state) \(.instances[0].pid)"')" "running null"

call() # SERVICE TARGET
{
	"$ctl" workload exec client -- /bin/ashlar-call "$@" 2>&1
}
# What there is of an instance for a call: directories, users, launchers, logs, mounts.
traces()
{
	(
		cd "$host" && find run/ashlar/workload run/ashlar/call var/log/ashlar run/ashlar/netns \
			-name '*@1*' -o -path 'run/ashlar/call/*' 2>/dev/null
		jq -r '.uids[].instance' var/lib/ashlar/workload/state.json | grep @
		findmnt -rno TARGET | grep -F "$host/" | grep @
	) 2>/dev/null
}
none() { [ -z "$(traces)" ]; }
soon() { local end=$((SECONDS + 90)); while ((SECONDS < end)); do "$@" && return; command sleep 0.1; done; return 1; }

for name in $disposables; do
	like "$name: a call has an instance of its own" "$(call keep.Word "$name" <<<one | tr '\n' ' ')" "^$name-1001 one "
	unlike "$name: the next finds nothing of it" "$(call keep.Word "$name" <<<two | tr '\n' ' ')" 'old|one'
	ok "$name: nothing of them is left" soon none
done
empty "and no process" "$(pgrep -f "(ashlar-launch|runsc).*$host/run/ashlar/workload/.*@1" || :)"

# ---- several, and their end ----
callers=()
for i in 1 2; do
	"$ctl" workload exec client -- /bin/ashlar-call wait.Long once >"$tmp/long.$i" 2>&1 </dev/null &
	callers+=($!)
done
begun() { [ "$(cat "$tmp"/long.* | grep -c begun)" = "$1" ]; }
ok "two calls at once" soon begun 2
is "have two instances" "$(jq -r '.uids[].instance' "$host/var/lib/ashlar/workload/state.json" | grep -c '^once@')" 2
kill "${callers[0]}"
one() { [ "$(jq -r '.uids[].instance' "$host/var/lib/ashlar/workload/state.json" | grep -c '^once@')" = 1 ]; }
ok "who does not wait any more ends his" soon one
launcher=$(cut -d' ' -f1 "$host"/run/ashlar/workload/once@*/launcher)
workload_kill
ok "the daemon is killed in the middle" kill -0 "$launcher"
ok "it begins again" workload_begin
ok "nothing of the call is left" soon none
empty "its process is gone" "$(readlink "/proc/$launcher/exe")"
wait "${callers[1]}"
is "the caller hears that it came to nothing" $? 125
like "calls go on" "$(call keep.Word once <<<three | tr '\n' ' ')" "^once-1001 three "
ok "and leave nothing" soon none

# ---- as many as may be ----
callers=()
rm -f "$tmp"/long.*
for i in $(seq 16); do
	"$ctl" workload exec client -- /bin/ashlar-call wait.Long once >"$tmp/long.$i" 2>&1 </dev/null &
	callers+=($!)
done
ok "sixteen at once" soon begun 16
like "the next one is refused" "$(call keep.Word once </dev/null)" "refused: as many calls of it as may be"
ok "stop ends all" "$ctl" workload stop --timeout 60 once
wait "${callers[@]}"
ok "nothing of them is left, either" soon none
ok "start" "$ctl" workload start --timeout 30 once

# ---- the owner is asked ----
is "nothing waits" "$("$ctl" workload pending)" "no call waits for a decision"
call keep.Word+ask once <<<asked >"$tmp/asked" 2>&1 &
asked=$!
id() { "$ctl" workload pending --json | jq -re '.pending[0].id' >"$tmp/id"; }
ok "a call that has to be asked for" soon id
like "is shown" "$("$ctl" workload pending)" "^$(cat "$tmp/id") +keep.Word\+ask +client +once"
exits 2 "an answer is one of two words" "$ctl" workload answer "$(cat "$tmp/id")" maybe
ok "it is allowed" "$ctl" workload answer "$(cat "$tmp/id")" allow
wait "$asked"
like "and goes on" "$(cat "$tmp/asked")" asked
call keep.Word+ask once <<<asked >"$tmp/asked" 2>&1 &
asked=$!
ok "another one" soon id
ok "is denied" "$ctl" workload answer "$(cat "$tmp/id")" deny
wait "$asked"
is "and does not" $? 125
exits 1 "one that does not wait" "$ctl" workload answer "$(cat "$tmp/id")" allow
like "is not there" "$(cat "$tmp/err")" "no call '.*' waits"

for name in client $disposables; do
	"$ctl" workload remove --timeout 30 "$name" >/dev/null
done
is "no range of users is kept" "$(jq '.uids | length' "$host/var/lib/ashlar/workload/state.json")" 0
done_testing
