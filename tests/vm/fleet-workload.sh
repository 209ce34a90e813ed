#!/bin/bash
# needs: root vm apt nspawn jq curl busybox ostree
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
# A signed web service over the fleet to a booted host: its first version answers from outside, its second does not pass
# its check, and the host is back by itself while the fleet says why.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/fleet-agents.bash
. tests/lib/workload-fleet.bash

# ---- what is published -----------------------------------------------------------------------------

"$ashlar" key make --no-passphrase --quiet "$keys" >/dev/null
mkdir -p "$tmp/server"
pub=$tmp/server/content
workload_image_commit web 'exec httpd -f -p 8080 -h "$1"' >/dev/null
cp -a "$tmp/image-web" "$tmp/with-pages"
mkdir -p "$tmp/with-pages/srv"/{1,2}
echo one >"$tmp/with-pages/srv/1/index.html"
ostree --repo="$repo" commit --branch=workload/web/amd64 --no-bindings --owner-uid=0 --owner-gid=0 \
	--add-metadata-string=ashlar.kind=workload --add-metadata-string=ashlar.name=web \
	--add-metadata-string=ashlar.architecture=amd64 --add-metadata-string=version=1.0 \
	--add-metadata="ashlar.packages=@aa{ss} []" "$tmp/with-pages" >/dev/null
for n in 1 2; do
	cat >"$tmp/web-$n.yaml" <<-END
		workload: web
		version: $n.0.0
		image: ostree:workload/web/amd64@$(ostree --repo="$repo" rev-parse workload/web/amd64)
		command: [/bin/main, /srv/$n]
		resources: {cpu: 0.5, memory: 64MiB, tasks: 32}
		network: {mode: nat, publish: ["8080:8080"]}
		health: {soak: 3s, deadline: 90s, checks: [{name: answers, http: "http://127.0.0.1:8080/", interval: 2s, failures: 3}]}
	END
	"$ashlar" workload release --quiet --keys "$keys" --repo "$repo" --publication "$pub" "$tmp/web-$n.yaml" >/dev/null ||
		fail "release of web $n.0.0"
done
ok "a web service is published, good and bad" "$ashlar" publish --quiet --keys "$keys" "$pub"

# ---- a host ----------------------------------------------------------------------------------------

cat >"$tmp/webhost.yaml" <<-END
	name: webhost
	include: [$PWD/manifests/host.yaml, $PWD/manifests/layers/workload.yaml]
	files:
	  - {path: /usr/lib/ashlar/root.json, source: $keys/root.json}
END
cache=build/test/cache
[ ! -e build/test/host.lock ] || cp build/test/host.lock "$tmp/webhost.lock"
ok "a host that runs workloads can be locked" "$ashlar" lock --cache "$cache" --output "$tmp/webhost.lock" "$tmp/webhost.yaml"
ok "…built" "$ashlar" build --quiet --cache "$cache" --repo "$tmp/hosts" --lock "$tmp/webhost.lock" "$tmp/webhost.yaml"
read -r ref commit <"$tmp/out"
ok "…and made an image" "$ashlar" image --quiet --repo "$tmp/hosts" --output "$tmp" "$ref"
ok "…and released" "$ashlar" release --quiet --keys "$keys" --repo "$tmp/hosts" --publication "$pub" "$commit"
ok "…and published" "$ashlar" publish --quiet --keys "$keys" "$pub"

# As a guest of QEMU's user network sees this machine.
printf '%s\n' 'names: [10.0.2.2, 127.0.0.1]' 'poll: 20s' >"$tmp/server/fleetd.yaml"
ok "the fleet server starts" fleet_start "$tmp/server"
like "it knows the service" "$(api POST /v1/releases/scan '{}')" '"workloads": ?2'
token=$(api POST /v1/tokens '{"note":"one","uses":1}' | jq -r .secret)
{
	printf '%s\n' "hostname: web-1" "updates:" "  url: https://10.0.2.2:$fleet_port/content" "  ca: |"
	sed 's/^/    /' "$fleet_dir/authority.pem"
	printf '%s\n' "fleet:" "  url: https://10.0.2.2:$fleet_port" "  token: $token" "  ca: |"
	sed 's/^/    /' "$fleet_dir/authority.pem"
} >"$tmp/document.yaml"
# A port that nobody has now.
web_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
began=$SECONDS
"$ashlar" run --quiet --memory 1024 --state "$tmp/machine" --host-document "$tmp/document.yaml" \
	--forward "$web_port:8080" --report-file "$tmp/console" --timeout 1500 "$tmp/webhost.qcow2" \
	</dev/null >"$tmp/qemu" 2>&1 &
run_pid=$!
at_exit+=("kill $run_pid; wait $run_pid")
since() { echo "# after $((SECONDS - began)) s: $*" >&2; }

# assigned before it has joined: the first answer says it
ok "version 1 is for all hosts" api PUT /v1/assignments/all-web '{"workload":"web","version":"1.0.0","selector":""}'
joined() { api_wait /v1/hosts '.items[0].state == "active"' "$1"; }
ok "the machine boots and joins" joined 600
since "joined"
id=$(api GET /v1/hosts | jq -r '.items[0].id')
web() # FILTER SECONDS
{
	api_wait "/v1/hosts/$id/workloads" "[.items[] | select(.name == \"web\")][0] | $1" "$2"
}

# ---- version 1 -------------------------------------------------------------------------------------

ok "version 1 runs there" web '.version == "1.0.0" and .ready and .why == ""' 400
since "version 1 runs"
answers()
{
	local i
	for ((i = 0; i < 60; i++)); do
		[ "$(curl -s --max-time 5 "http://127.0.0.1:$web_port/")" = "$1" ] && return
		sleep 1
	done
	return 1
}
ok "…and answers from outside" answers one
is "confined as it says" "$(api GET "/v1/hosts/$id/workloads" | jq -r '.items[0] | "\(.origin) \(.isolation) \(.effective)"')" \
	"signed container container"

# ---- version 2 -------------------------------------------------------------------------------------

ok "a rollout of version 2" api POST /v1/rollouts '{"assignment":"all-web","version":"2.0.0","first":1,"soak":0}'
ok "it does not pass its check: the host is back by itself" \
	web '.version == "1.0.0" and .ready and (.failed | any(.version == "2.0.0"))' 400
since "version 2 was left"
ok "…answers as before" answers one
like "the host's own words are known" \
	"$(api GET "/v1/hosts/$id/workloads" | jq -r '.items[0].failed[0].reason')" 'answers'
ok "the rollout has stopped" api_wait /v1/rollouts '.items[0].state == "paused"' 60
like "why: the fleet's own words" "$(api GET "/v1/hosts/$id/why?workload=web" | jq -c .)" '2\.0\.0'

# ---- looking at it ---------------------------------------------------------------------------------

ok "what it writes can be read from afar" "$BASH" -c "timeout 60 curl -sN --cacert '$fleet_dir/authority.pem' \
	-H 'Authorization: Bearer $fleet_token' '$fleet_url/v1/hosts/$id/workloads/web/logs?lines=5' | grep -qm1 '^event: '"
since "all is done"
[ "$test_failed" -eq 0 ] || diag "$(tail -n 60 "$tmp/console")" "$(tail -n 20 "$tmp/fleetd.log")"
done_testing
