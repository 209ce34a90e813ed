# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Releases of the reference host for tests in machines: sourced behind tests/lib/vm.bash. Everything is in
# $tmp: keys, manifests, commits, the published directory and the web server in front of it.
#
#	releases_begin                     keys, server
#	release_build VERSION [YAML…]      host.yaml and the probe, and the lines given; commit in $commit
#	release_image VERSION              the image is $image
#	release_publish VERSION… [-- OPTION…]
#	host_document [YAML…]              prints one that updates from there, when somebody says so
#	status NAME JQ                     of 'ashlarctl status --json'
#	status_until NAME SECONDS JQ       until the expression holds, over reboots

release_cache=build/test/cache

releases_begin()
{
	mkdir -p "$tmp/m" "$tmp/published"
	"$ashlar" key make --no-passphrase "$tmp/keys" >/dev/null || return
	echo "files: [{path: /usr/lib/ashlar/root.json, source: $tmp/keys/root.json}]" >"$tmp/m/trust.yaml"
	releases_serve || return
	# The same packages in all of them, those of the host that tests/system/host.sh has built if it has.
	release_manifest lock
	[ ! -e build/test/host.lock ] || cp build/test/host.lock "$tmp/m/lock.lock"
	"$ashlar" lock --quiet --cache "$release_cache" --output "$tmp/m/lock.lock" "$tmp/m/lock.yaml" >/dev/null
}

# The server ends when its standard input does: nobody but this shell may hold that open.
releases_serve()
{
	local port
	mkfifo "$tmp/httpd.in"
	exec {httpd_in}<>"$tmp/httpd.in"
	exec {httpd_out}< <("${ASH_TEST_TOOLS:-build/release/tests/lib}/httpd" --log "$tmp/requests" \
		"$tmp/published" <"$tmp/httpd.in" {httpd_in}>&-)
	IFS= read -r -t 20 -u "$httpd_out" port || return
	releases_url=http://10.0.2.2:$port
	at_exit+=("exec {httpd_in}>&-")
}

# release_manifest VERSION [YAML…]
release_manifest()
{
	local version=$1
	shift
	cat >"$tmp/m/$version.yaml" <<-END
		name: update
		version: $version
		include: [$PWD/manifests/host.yaml, $PWD/tests/vm/probe.yaml, $PWD/tests/vm/update.yaml, trust.yaml]
	END
	printf '%s\n' "$@" >>"$tmp/m/$version.yaml"
}

release_build()
{
	local version=$1
	release_manifest "$@"
	cp -n "$tmp/m/lock.lock" "$tmp/m/$version.lock"
	"$ashlar" build --quiet --cache "$release_cache" --repo "$tmp/repo" "$tmp/m/$version.yaml" \
		>"$tmp/built" || return
	read -r _ commit <"$tmp/built"
	commits[$version]=$commit
}
declare -A commits

release_image()
{
	"$ashlar" image --quiet --repo "$tmp/repo" --output "$tmp/images" "${commits[$1]}" >/dev/null &&
		image=$tmp/images/update.qcow2
}

release_publish()
{
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		"$ashlar" release --quiet --keys "$tmp/keys" --publication "$tmp/published" \
			--repo "$tmp/repo" "${commits[$1]}" >/dev/null || return
		shift
	done
	"$ashlar" publish --quiet --keys "$tmp/keys" "${@:2}" "$tmp/published" >/dev/null
}

host_document()
{
	printf '%s\n' "updates:" "  url: $releases_url" "  automatic: false" "$@"
}

status()
{
	vm_do "$1" 30 /usr/bin/ashlarctl status --json || return
	jq -r "$2" <<<"$vm_out" 2>/dev/null
}

status_until()
{
	local until=$((SECONDS + $2))
	while [ $SECONDS -lt $until ]; do
		if vm_do "$1" 30 /usr/bin/ashlarctl status --json &&
			jq -e "$3" <<<"$vm_out" >/dev/null 2>&1; then
			return 0
		fi
		vm_do "$1" 10 @nap 3
	done
	diag "last status: $vm_out"
	return 1
}

# vm_explain NAME: what may tell why a test failed
vm_explain()
{
	vm_do "$1" 60 /usr/bin/ashlarctl history --json
	diag "$vm_out"
	vm_do "$1" 60 /usr/bin/journalctl --no-pager -o short-monotonic -n 60 -u 'ashlar*'
	diag "$vm_out"
	diag "$(vm_console "$1" | tail -n 30)"
}
