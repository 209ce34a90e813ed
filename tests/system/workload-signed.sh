#!/bin/bash
# needs: root dbus-daemon jq ostree openssl busybox
# SPDX-License-Identifier: Apache-2.0
# Signed workloads on a host, with everything real but the machine: found by the host's own checks, their images
# fetched, parameters and secrets of the owner; then as its fleet wants them, whose words come from a file.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/workload-fleet.bash

# ---- what is published ----

ok "keys are made" "$ashlar" key make --no-passphrase "$keys"
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$v1" >/dev/null
ok "an image" workload_image_commit web 'echo "greeting $GREETING"; cat /run/secrets/word 2>/dev/null; while :; do sleep 1; done'

# definition NAME VERSION [LINE…]: $tmp/NAME-VERSION.yaml
definition()
{
	local name=$1 version=$2
	shift 2
	cat >"$tmp/$name-$version.yaml" <<-END
		workload: $name
		version: $version
		image: $image
		command: [/bin/main]
		isolation: sandbox
		resources: {cpu: 0.1, memory: 32MiB}
		restart: {first: 100ms, longest: 500ms, budget: 3, within: 10min}
	END
	printf '%s\n' "$@" >>"$tmp/$name-$version.yaml"
}
greets='environment: {GREETING: "${greeting}"}'
parameter='parameters: [{name: greeting, type: string}]'
secret='secrets: [{name: word, path: /run/secrets/word}]'
soak='health: {soak: 1s, deadline: 10s, checks: [{name: main, file: /bin/main, interval: 1s, failures: 1}]}'
never='health: {soak: 1s, deadline: 10s, checks: [{name: never, file: /nonexistent, interval: 1s, failures: 1}]}'
definition web 1.0 "$greets" "$parameter" "$secret" "$soak"
ok "a signed workload" workload_publish "$tmp/web-1.0.yaml"

# ---- a host without a fleet ----

serve "$pub"
agent_url=http://127.0.0.1:$port
agent_env=(ASHLAR_WAIT=2)
agent_host "$v1" 1.0.0
agent_bus
ok "the host starts" agent_boot
ok "it looks for releases, and needs nobody for workloads" agent_wait '.source.last_success != null and .state == "idle"'
ok "ashlar-workloadd" workloadd_start
exits 1 "a signed workload is wanted that nobody signed" ctl workload run nobody
like "which is said" "$(cat "$tmp/err")" "no signed definition of it has come.*ashlarctl check"
ok "nobody wants it any more" rmdir "$host/var/lib/ashlar/workload/signed/nobody"
exits 1 "one is wanted that is not here" ctl workload run web
ok "it is looked for, and says what it still needs" workload_is web '.text // "" | test("greeting.*no value.*parameters.d/web.yaml")'
mkdir -p "$host/etc/ashlar/parameters.d" "$host/etc/ashlar/secrets"
echo 'greeting: hello' >"$host/etc/ashlar/parameters.d/web.yaml"
exits 1 "with its parameter" ctl workload run --timeout 3 web
ok "it waits for its secret" workload_is web '.state == "waiting" and (.text | test("secret.*word"))'
like "its image came by itself" "$(ls "$host/sysroot/ostree/repo/refs/heads/ashlar/oci/image")" "${image#*@}"
echo sesame >"$host/etc/ashlar/secrets/word"
ok "with its secret it runs" ctl workload run --timeout 30 web
is "signed, and of that version" "$(ctl workload status --json web | jq -r '"\(.origin) \(.version) \(.state)"')" "signed 1.0 running"
is "it has its parameter and its secret" "$(ctl workload logs web | xargs)" "greeting hello sesame"
definition web 1.1 "$greets" "$parameter" "$soak"
ok "a newer version" workload_publish "$tmp/web-1.1.yaml"
ok "with the next check" ctl check --wait
ok "is taken by itself" workload_is web '.version == "1.1" and .ready'
ok "an older one by its name" ctl workload run --timeout 30 web 1.0
is "runs" "$(ctl workload status --json web | jq -r .version)" 1.0
ok "which no check changes" ctl check --wait
is "…" "$(ctl workload status --json web | jq -r .version)" 1.0
definition web 1.2 "$greets" "$parameter" "$never"
ok "one that does not work" workload_publish "$tmp/web-1.2.yaml"
exits 8 "one that is not here yet is looked for" ctl workload run --timeout 60 web 1.2
ok "it is tried, and left" workload_is web '.version == "1.0" and .ready and .failed[0].version == "1.2"'
ok "removed" ctl workload remove --timeout 20 web
kept()
{
	find "$host/var/lib/ashlar/workload/"{signed,pinned,fleet} -mindepth 1 2>/dev/null
}
empty "nothing of it is wanted" "$(kept)"

# ---- what the fleet wants ----

# A stand-in for ashlar-checkin: says what is in $tmp/fleet.json, keeps what it was given.
cat >"$tmp/checkin" <<END
#!/bin/bash
input=\$(cat)
jq .report <<<"\$input" >"$tmp/report.new"
mv "$tmp/report.new" "$tmp/report.json"
jq -r '.report.logs[]?.lines[]' <<<"\$input" >>"$tmp/lines"
jq -r '.report.logs[]? | "\(.order) \(.more)"' <<<"\$input" >>"$tmp/more"
printf '%s\n' "\$(jq -c --slurpfile answer "$tmp/fleet.json" '{outcome: "joined", text: "", memory: "", next: 1, waited: false,
	again: true, id: ("a" * 64), answer: (\$answer[0] + {seq: 1, event: 0})}' <<<null)"
END
chmod 755 "$tmp/checkin"
# wants N [JSON]: its answer from now on; the workloads, and the orders in $orders
orders=[]
wants()
{
	jq -nc --argjson n "$1" --argjson workloads "${2:-null}" --argjson orders "$orders" \
		'{desired: $n, workloads: $workloads, orders: $orders}' >"$tmp/fleet.new"
	mv "$tmp/fleet.new" "$tmp/fleet.json"
}
# reported FILTER [SECONDS]: until jq's FILTER is true of what is reported of workloads
reported()
{
	local i
	for ((i = 0; i < ${2:-40} * 10; i++)); do
		jq -e ".workloads | $1" "$tmp/report.json" >/dev/null 2>&1 && return 0
		command sleep 0.1
	done
	diag "$(jq -c .workloads "$tmp/report.json" 2>&1)" "$(tail -n 12 "$agent_dir/ashlard.log" "$agent_dir/link.log" "$agent_dir/workloadd.log")"
	return 1
}
item() { jq -r ".workloads.items[] | select(.name == \"$1\") | $2" "$tmp/report.json"; }
has_item() { reported "[.items[] | select(.name == \"$1\")][0] | $2" "${3:-40}"; }

agent_stop
workloadd_stop
printf 'fleet:\n  url: https://127.0.0.1:9\n  token: aaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n' >"$host/var/lib/ashlar/host.yaml"
rm -f "$host/etc/ashlar/parameters.d/web.yaml"
wants 1
mkdir "$tmp/libexec"
ln -s "$(realpath "$ashlar_bin")"/* "$tmp/libexec/"
ln -sf "$tmp/checkin" "$tmp/libexec/ashlar-checkin"
agent_libexec=$tmp/libexec
agent_start
ok "the host is in a fleet" agent_wait '.fleet.state == "joined"'
ok "which manages no workloads: nothing is wanted, nobody is asked" reported '.items == [] and .missing == []'
wants 2 '[{"name": "web", "version": "1.1", "parameters": {"greeting": "salve"}}]'
ok "it wants one; nobody is there to run it: its definition comes by a check of its own" "$BASH" -c "for i in \$(seq 300); do [ -e '$host/var/lib/ashlar/workload/signed/web/1.1.json' ] && exit; sleep 0.1; done; exit 1"
ok "…and the fleet hears that there is nobody" reported '.missing[0] | .name == "web" and .word == "runtime"'
ok "ashlar-workloadd comes" workloadd_start
ok "…and runs it, as the fleet has it" has_item web '.version == "1.1" and .ready and .origin == "signed"'
like "with its parameter" "$(ctl workload logs web)" "greeting salve"
is "what is reported does not change by itself" "$(jq -r '.workloads.items[0] | keys_unsorted | join(" ")' "$tmp/report.json")" \
	"name version origin state ready phase isolation effective score restarts failed instances"
exits 1 "which version runs is the fleet's to say" ctl workload run web 1.0
like "and that is said" "$(cat "$tmp/err")" "the fleet wants version 1.1"

wants 3 '[{"name": "web", "version": "1.1", "parameters": {"greeting": "ave"}}]'
ok "other parameters" workload_is web '.ready and .phase == "up"'
heard() { local i; for ((i = 0; i < 300; i++)); do ctl workload logs web | grep -q "$1" && return; command sleep 0.1; done; return 1; }
ok "…are another version of it" heard "greeting ave"
wants 4 '[{"name": "web", "version": "1.1", "parameters": {"nonsense": "1"}}]'
ok "parameters that it does not declare are refused" reported '.missing[0] | .name == "web" and .word == "refused" and (.text | test("nonsense"))'
is "…and it goes on" "$(item web '"\(.version) \(.ready)"')" "1.1 true"
wants 5 '[{"name": "web", "version": "7.7", "parameters": {"greeting": "ave"}}, {"name": "other", "version": "1", "parameters": {}}]'
ok "what nobody signed is missing" reported '[.missing[] | "\(.name) \(.version) \(.word)"] == ["web 7.7 not-found", "other 1 not-found"]'
is "…and what ran goes on" "$(item web '"\(.version) \(.ready)"')" "1.1 true"
wants 6 '[{"name": "web", "version": "1.2", "parameters": {"greeting": "ave"}}]'
ok "a version that does not work is left, which is told" has_item web '.version == "1.1" and .ready and .failed[-1].version == "1.2"' 60
like "…and why" "$(item web '.failed[-1].reason')" "never"

# ---- the owner counts first ----

mkdir -p "$host/etc/ashlar/parameters.d"
echo 'greeting: own' >"$host/etc/ashlar/parameters.d/web.yaml"
wants 7 '[{"name": "web", "version": "1.1", "parameters": {"greeting": "theirs"}}]'
ok "the owner's parameters count before the fleet's" heard "greeting own"
rm "$host/etc/ashlar/parameters.d/web.yaml"
definition local 1.0
sed -i "s|image: .*|image: $image|" "$tmp/local-1.0.yaml"
ok "a local definition" ctl workload run --timeout 30 "$tmp/local-1.0.yaml"
wants 8 '[{"name": "web", "version": "1.1", "parameters": {"greeting": "theirs"}}, {"name": "local", "version": "1.0", "parameters": {}}]'
ok "…counts before the fleet's" reported '.missing[0] | .name == "local" and .word == "owner"'
is "…and is told as such" "$(item local .origin)" local

# ---- orders ----

# order ID VERB ARGUMENT: until it has ended; then $ended has how
order()
{
	local i
	orders="[{\"id\": $1, \"verb\": \"$2\", \"argument\": \"$3\"}]"
	wants 8 "$(jq -c .workloads "$tmp/fleet.json")"
	for ((i = 0; i < 400; i++)); do
		ended=$(jq -r ".orders[] | select(.id == $1) | \"\(.ok) \(.text)\"" "$tmp/report.json" 2>/dev/null)
		[ -z "$ended" ] || break
		command sleep 0.1
	done
	orders=[]
	wants 8 "$(jq -c .workloads "$tmp/fleet.json")"
}
order 11 workload-stop web
like "the order to stop" "$ended" '^true stop'
ok "…stops it" has_item web '.state == "stopped"'
order 12 workload-start web
like "the order to start" "$ended" '^true'
ok "…starts it" has_item web .ready
before=$(ctl workload status --json web | jq .instances[0].pid)
order 13 workload-restart web/1
like "the order to restart an instance" "$ended" '^true'
ok "…does" workload_is web ".ready and .instances[0].pid != $before"
order 14 workload-forgive 'web 1.2'
like "the order to forgive" "$ended" '^true'
ok "…does" has_item web '.failed == []'
order 15 workload-stop nobody
like "of what is not there it says so" "$ended" "^false.*no workload 'nobody'"
order 16 workload-sing web
like "what is no order is told" "$ended" '^false'
: >"$tmp/lines"
: >"$tmp/more"
order 17 workload-logs 'web 5 0'
like "the last lines" "$ended" '^true'
like "…come" "$(cat "$tmp/lines")" 'greeting theirs'
like "…and then no more" "$(tail -n 1 "$tmp/more")" '^17 false'
: >"$tmp/lines"
orders='[{"id": 18, "verb": "workload-logs", "argument": "web/1 1 60"}]'
wants 8 "$(jq -c .workloads "$tmp/fleet.json")"
said() { local i; for ((i = 0; i < 300; i++)); do grep -q "$1" "$tmp/lines" && return; command sleep 0.1; done; diag "$(cat "$tmp/lines" "$tmp/more"; jq -c .orders "$tmp/report.json")"; return 1; }
ok "what comes is followed" said .
echo "something new" >>"$host/var/log/ashlar/web.log"
ok "…as it comes" said "something new"
tail_pid() { pgrep -P "$agent_pid" tail; }
follower=$(tail_pid)
orders='[{"id": 18, "verb": "workload-logs", "argument": "web/1 1 60"}, {"id": 19, "verb": "workload-logs", "argument": "web/1 0 60 18"}]'
wants 8 "$(jq -c .workloads "$tmp/fleet.json")"
ended_18() { local i; for ((i = 0; i < 300; i++)); do jq -e '.orders // [] | any(.id == 18 and .ok)' "$tmp/report.json" >/dev/null && return; command sleep 0.1; done; diag "$(jq -c .orders "$tmp/report.json")"; return 1; }
ok "an order that takes the place of another one ends it" ended_18
is "…and goes on with what was followed" "$(tail_pid)" "$follower"
orders='[{"id": 19, "verb": "workload-logs", "argument": "web/1 0 60 18"}]'
wants 8 "$(jq -c .workloads "$tmp/fleet.json")"
echo "something newer" >>"$host/var/log/ashlar/web.log"
ok "…as it comes" said "something newer"
is "…once" "$(grep -c "something newer" "$tmp/lines")" 1
orders=[]
wants 8 "$(jq -c .workloads "$tmp/fleet.json")"
no_tail() { local i; for ((i = 0; i < 200; i++)); do pgrep -P "$agent_pid" tail >/dev/null || return 0; command sleep 0.1; done; return 1; }
ok "…until nobody reads any more" no_tail

# ---- restarts, and the end ----

agent_stop
agent_start
ok "ashlard begins again, and all is as it was" has_item web '.version == "1.1" and .ready'
expected() { local i; for ((i = 0; i < 100; i++)); do [ -e "$host/run/ashlar/workload-expected" ] && return; command sleep 0.1; done; return 1; }
ok "…and whoever asks knows that workloads are expected here" expected
wants 9 '[]'
ok "the fleet wants none any more: its own is removed" reported '[.items[].name] == ["local"]'
empty "…with what was said of it" "$(kept)"
wants 10 '[{"name": "web", "version": "1.1", "parameters": {"greeting": "again"}}]'
ok "wanted once more" has_item web .ready
agent_stop
mkdir -p "$host/usr/lib/ashlar/agent.d"
printf 'workloads: {fleet: false}\n' >"$host/usr/lib/ashlar/agent.d/90-own.yaml"
agent_start
ok "an owner who takes none from the fleet has none" reported '[.items[].name] == ["local"] and .missing[0].word == "owner"'
agent_stop
workloadd_stop

[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$agent_dir/ashlard.log" "$agent_dir/link.log" "$agent_dir/workloadd.log")"
done_testing
