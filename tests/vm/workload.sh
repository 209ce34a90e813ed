#!/bin/bash
# needs: root vm apt nspawn jq
# SPDX-License-Identifier: Apache-2.0
# timeout: 1500
# Workloads on a booted host: tests/vm/workload-judge runs in it, as its owner would, and says on the console what it
# saw.
. tests/lib/tap.sh
. tests/lib/workload.bash

workload_tree=$tmp/more
mkdir -p "$workload_tree"/srv/{1,2,3}
echo one >"$workload_tree/srv/1/index.html"
echo three >"$workload_tree/srv/3/index.html"
workload_image "$tmp/image" 'echo started; exec /bin/busybox httpd -f -p 8080 -h "$1"' >/dev/null 2>&1
web() # VERSION DIRECTORY
{
	cat >"$tmp/web-$1.yaml" <<-END
		workload: web
		version: $1.0.0
		image: oci-dir:/usr/lib/ashlar-selftest/image
		command: [/bin/main, $2]
		resources: {cpu: 0.5, memory: 64MiB, tasks: 32}
		network: {mode: nat, publish: ["8080:8080"]}
		volumes: [{name: data, path: /data, size: 16MiB}]
		health: {soak: 5s, deadline: 60s, checks: [{name: answers, http: "http://127.0.0.1:8080/", interval: 2s}]}
	END
}
web 1 /srv/1
web 2 /srv/2
web 3 /srv/3
cat >"$tmp/box.yaml" <<'END'
workload: box
version: 1.0.0
image: oci-dir:/usr/lib/ashlar-selftest/image
isolation: sandbox
command: [/bin/busybox, sleep, "1000"]
resources: {cpu: 0.1}
END
cat >"$tmp/plain.yaml" <<'END'
workload: plain
version: 1.0.0
image: oci-dir:/usr/lib/ashlar-selftest/image
command: [/bin/busybox, sleep, "1000"]
resources: {cpu: 0.1}
END
cat >"$tmp/hog.yaml" <<'END'
workload: hog
version: 1.0.0
image: oci-dir:/usr/lib/ashlar-selftest/image
command: [/bin/busybox, dd, if=/dev/zero, of=/dev/null, bs=200M]
resources: {cpu: 0.3, memory: 32MiB}
restart: {policy: never}
END
# hog NAME COMMAND [LINE]
hog()
{
	cat >"$tmp/$1.yaml" <<-END
		workload: $1
		version: 1.0.0
		image: oci-dir:/usr/lib/ashlar-selftest/image
		isolation: sandbox
		command: [/bin/busybox, sh, -c, "$2"]
		resources: {cpu: 0.1, memory: 32MiB, tasks: 16, disk: 1MiB}
	END
	[ $# -lt 3 ] || echo "$3" >>"$tmp/$1.yaml"
}
hog hog-cpu 'while :; do :; done'
# A shell that cannot fork ends; what it has made stays, and so does its first process.
hog hog-tasks '(while :; do /bin/busybox sleep 1000 & done) & exec /bin/busybox sleep 10000'
hog hog-disk 'while :; do /bin/busybox dd if=/dev/zero of=/data/full bs=64k; /bin/busybox sleep 1; done 2>/dev/null' \
	'volumes: [{name: data, path: /data, size: 8MiB}]'
{
	cat <<-END
		name: workload
		include: [$PWD/manifests/host.yaml, $PWD/manifests/layers/workload.yaml]
		packages: [busybox-static]
		keep: [/usr/bin/busybox]
		files:
		  - {path: /usr/lib/ashlar-selftest/run, source: $PWD/tests/vm/workload-judge, mode: "0755"}
	END
	for file in web-1 web-2 web-3 box plain hog hog-cpu hog-tasks hog-disk; do
		echo "  - {path: /usr/lib/ashlar-selftest/$file.yaml, source: $tmp/$file.yaml}"
	done
	(cd "$tmp/image" && find . -type f -printf '%P\n') | while read -r file; do
		echo "  - {path: /usr/lib/ashlar-selftest/image/$file, source: $tmp/image/$file}"
	done
	cat <<-'END'
		units:
		  - name: ashlar-selftest.service
		    enable: true
		    content: |
		      [Unit]
		      Description=Run workloads from within
		      After=multi-user.target systemd-networkd.service

		      [Service]
		      Type=oneshot
		      ExecStart=/usr/bin/busybox sh /usr/lib/ashlar-selftest/run
		      StandardOutput=tty
		      StandardError=tty
		      TTYPath=/dev/console
		      TimeoutStartSec=20min

		      [Install]
		      WantedBy=multi-user.target
	END
} >"$tmp/workload.yaml"

cache=build/test/cache
[ ! -e build/test/host.lock ] || cp build/test/host.lock "$tmp/workload.lock"
ok "a host with workloads can be locked" "$ashlar" lock --cache "$cache" --output "$tmp/workload.lock" "$tmp/workload.yaml"
ok "…built" "$ashlar" build --quiet --cache "$cache" --repo "$tmp/repo" --lock "$tmp/workload.lock" "$tmp/workload.yaml"
read -r ref _ <"$tmp/out"
ok "…and made an image" "$ashlar" image --quiet --repo "$tmp/repo" --output "$tmp" "$ref"
ok "it boots and reports that it runs" "$ashlar" run --smoke --timeout 1200 --report-file "$tmp/console" \
	"$tmp/workload.qcow2"
[ -e "$tmp/console" ] || done_testing
[ -z "${KEEP_CONSOLE:-}" ] || cp "$tmp/console" "$KEEP_CONSOLE"
[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp/console")"
tr -d '\r' <"$tmp/console" | sed -n 's/^.*TAP //p' >"$tmp/tap"
while read -r line; do
	case $line in
	"ok - "*) pass "${line#ok - }" ;;
	"not ok - "*) fail "${line#not ok - }" ;;
	"# "*) diag "${line#\# }" ;;
	esac
done <"$tmp/tap"
is "the judge came to its end" "$(tail -n 1 "$tmp/tap")" "# end"
done_testing
