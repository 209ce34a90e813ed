#!/bin/bash
# needs: root nspawn apt ostree
# SPDX-License-Identifier: Apache-2.0
# One lock gives one commit, whatever the cache, the directory, the time, the umask, the user's
# environment, the number of threads; real packages with all their scripts.
. tests/lib/tap.sh

# inputs DIRECTORY: the same manifest, in a directory of its own.
inputs()
{
	mkdir -p "$1/files"
	printf 'all:\n' >"$1/files/text"
	chmod "$2" "$1/files/text"
	cat >"$1/host.yaml" <<-'END'
	kind: workload
	packages: [ca-certificates, dbus, systemd, systemd-resolved]
	users:
	  - {name: app, groups: [adm]}
	files:
	  - {path: /usr/share/app/text, source: files/text, mode: "0640", group: app}
	presets: ["enable systemd-networkd.service", "disable *"]
	postprocess:
	  - content: |
	      ls -l /usr/share/app >/usr/share/app/list 2>/dev/null || true
	      rm /usr/share/app/list
	      echo made >/usr/share/app/made
	      mkdir /usr/share/app/dir
	END
}

# built: what the last build printed.
built()
{
	grep -o '"commit":"[0-9a-f]*"' "$tmp/out"
}

inputs "$tmp/one" 644
mkdir "$tmp/one/home"
ok "a lock of real packages" "$ashlar" lock --cache "$tmp/one/cache" "$tmp/one/host.yaml"
ok "a build: umask 022, one thread" env -C "$tmp/one" -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
	"$ashlar" build --json --cache cache --repo repo --threads 1 host.yaml
first=$(built)
like "gives a commit" "$first" '[0-9a-f]{64}'
begun=$(date +%s)

# Another place, and nothing in common but the lock and the downloaded packages.
two="$tmp/another place, with blanks/and deeper/still/deeper"
inputs "$two" 600
touch -d '1999-12-31 23:59' "$two/files/text" "$two/host.yaml"
cp "$tmp/one/host.lock" "$two/"
mkdir -p "$tmp/cache-two" "$two/home" "$two/tmp"
cp -a "$tmp/one/cache/debs" "$tmp/cache-two/"
while [ "$(date +%s)" -le "$begun" ]; do sleep 0.1; done
ok "another: umask 077, four threads, foreign environment" bash -c 'umask 077; cd "$1" && shift && exec "$@"' - \
	"$two" env HOME="$two/home" LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 TZ=Pacific/Kiritimati USER=somebody \
	LOGNAME=somebody SOURCE_DATE_EPOCH=1 TMPDIR="$two/tmp" DEBIAN_FRONTEND=readline DPKG_ROOT=/nowhere \
	PERL_HASH_SEED=7 EDITOR=false "$ashlar" build --json --cache "$tmp/cache-two" --repo "$tmp/repo-two" \
	--threads 4 host.yaml
is "gives the same commit" "$(built)" "$first"
ok "with the packages' own programs only" "$ashlar" build --json --cache "$tmp/cache-two" \
	--repo "$tmp/repo-two" --no-shortcuts "$two/host.yaml"
is "gives the same commit" "$(built)" "$first"

# What differs when it is not the same, for whoever has to find out why.
if [ $test_failed -gt 0 ]; then
	ostree --repo="$tmp/one/repo" refs >&2
	ostree --repo="$tmp/one/repo" pull-local "$tmp/repo-two" &&
		diag "$(ostree --repo="$tmp/one/repo" diff "${first:10:64}" "$(built | cut -c11-74)" | head -n 40)"
fi

ok "all steps again in the first cache" "$ashlar" build --json --cache "$tmp/one/cache" \
	--repo "$tmp/one/repo" --fresh "$tmp/one/host.yaml"
is "give the same commit" "$(built)" "$first"
like "which the repository has already" "$(cat "$tmp/out")" '"unchanged":true'
ok "both caches are sound" ostree --repo="$tmp/one/cache/repo" fsck --quiet
ok "the second too" ostree --repo="$tmp/cache-two/repo" fsck --quiet

done_testing
