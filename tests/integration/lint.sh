#!/bin/bash
# needs: root ostree jq setcap
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh
. tests/lib/commit.sh

good=$tmp/good
units=usr/lib/systemd/system
mkdir -p "$good"/usr/{bin,sbin,etc/{ssh,systemd/system/multi-user.target.wants},lib/tmpfiles.d} \
	"$good/$units" "$good"/usr/share/factory/var/lib/made "$good"/var
chmod 755 "$good"
cat >"$good/usr/etc/passwd" <<-END
	root:x:0:0:root:/root:/bin/sh
	daemon:x:1:1::/:/usr/sbin/nologin
END
printf 'root:x:0:\ndaemon:x:1:\n' >"$good/usr/etc/group"
printf 'root:!*:19000::::::\ndaemon:*:19000::::::\n' >"$good/usr/etc/shadow"
echo uninitialized >"$good/usr/etc/machine-id"
touch "$good/usr/bin/program"
chmod 755 "$good/usr/bin/program"
cat >"$good/usr/lib/tmpfiles.d/a.conf" <<-'END'
	# a comment
	d /var/lib/plain 0755 root root -
	L+ "/var/lib/link" - - - - /usr/share
	C /var/lib/made
	d /var/lib/%m
END
cat >"$good/$units/good.service" <<-'END'
	[Unit]
	[Service]
	StateDirectory=state/of/it
	ExecStartPre=-/usr/bin/may-be-missing
	ExecStart=@!program name \
	  [NoSection]
	ExecStart=/usr/bin/%i
	[X-Ours]
	[Install]
	WantedBy=multi-user.target
END
printf '[Unit]\nConditionPathExists=/usr/none\n[Service]\nExecStart=/usr/none\n' \
	>"$good/$units/conditional.service"
touch "$good/$units/multi-user.target" "$good/$units/template@.service"
wants=usr/etc/systemd/system/multi-user.target.wants
ln -s /usr/lib/systemd/system/good.service "$good/$wants/"
ln -s /usr/lib/systemd/system/template@.service "$good/$wants/template@x.service"
ln -s /dev/null "$good/usr/etc/systemd/system/masked.service"
ln -s /run/x "$good/usr/to-run"
ln -s ../var/lib/plain "$good/usr/relative"
ln -s /var/lib/link/factory "$good/usr/through-link"
ln -s /var/lib/state/of "$good/usr/to-state"
ln -s /var/lib/made "$good/usr/to-factory"
ln -s group "$good/usr/etc/within"
make_commit good "$good" 1 "[]" "$(package a 1)" >"$tmp/commit"

# shellcheck disable=SC2317
lint()
{
	"$ashlar" lint --repo "$repo" --cache "$tmp/cache" "$@"
}
ostree --repo="$tmp/cache/repo" init --mode=bare >/dev/null 2>&1 ||
	{ mkdir -p "$tmp/cache/repo" && ostree --repo="$tmp/cache/repo" init --mode=bare; }

ok "a good tree" lint good
is "has no findings" "$(head -n 1 "$tmp/out")" "0 errors, 0 warnings"

# finds RULE SEVERITY PATH COMMAND…: COMMAND, run in a copy of the good tree, makes that finding alone.
number=0
finds()
{
	local rule=$1 severity=$2 path=$3 want=0
	shift 3
	number=$((number + 1))
	rm -rf "$tmp/bad"
	cp -a "$good" "$tmp/bad"
	(cd "$tmp/bad" && "$@") || fail "$rule: made"
	make_commit "bad$number" "$tmp/bad" 1 "[]" "$(package a 1)" >/dev/null
	[ "$severity" = warning ] || want=8
	exits $want "$rule: exit code" lint "bad$number" --json
	is "$rule" "$(jq -r '.findings[] | .rule + " " + .severity + " " + .path' "$tmp/out")" \
		"$rule $severity $path"
}
# shellcheck disable=SC2317
write()
{
	printf '%b' "$2" >>"$1"
}

finds setuid warning /usr/bin/program chmod 4755 usr/bin/program
finds setuid warning /usr/bin/program chmod 2755 usr/bin/program
finds capability warning /usr/bin/program setcap cap_net_raw+ep usr/bin/program
finds world-writable error /usr/bin/program chmod 757 usr/bin/program
finds world-writable error /usr/sbin chmod 777 usr/sbin
finds dangling-link warning /usr/x ln -s none usr/x
finds dangling-link warning /usr/etc/x ln -s /etc/none usr/etc/x
finds dangling-link warning /usr/x ln -s x usr/x
finds var-missing error /usr/x ln -s /var/lib/nobody/made usr/x
finds var-content warning /var/x mkdir var/x
finds host-key error /usr/etc/ssh/ssh_host_rsa_key touch usr/etc/ssh/ssh_host_rsa_key
finds leftover warning /usr/etc/x.dpkg-old touch usr/etc/x.dpkg-old
finds bytecode warning /usr/lib touch usr/lib/a.pyc usr/lib/b.pyc
finds machine-id error /usr/etc/machine-id write usr/etc/machine-id 0123
# shellcheck disable=SC2016
finds password error /usr/etc/shadow write usr/etc/shadow 'x:$6$y:1::::::\n'
finds no-password error /usr/etc/shadow write usr/etc/shadow 'x::1::::::\n'
finds no-password error /usr/etc/passwd write usr/etc/passwd 'x::7:1::/:/bin/sh\n'
finds second-root error /usr/etc/passwd write usr/etc/passwd 'x:x:0:1::/:/bin/sh\n'
finds unknown-owner error /usr/bin/program chown 77:1 usr/bin/program
finds unit-missing error "/$wants/none.service" ln -s /run/x "$wants/none.service"
finds unit-program error "/$units/good.service" rm usr/bin/program
finds unit-program warning "/$units/x.service" write $units/x.service '[Service]\nExecStart = /none a\n'
finds unit-section warning "/$units/x.service" write $units/x.service '[Srv]\n'
finds unit-target warning /usr/etc/systemd/system/x.target.wants mkdir usr/etc/systemd/system/x.target.wants
finds too-big error /usr/etc/passwd truncate -s 5M usr/etc/passwd

# Exceptions.
rm -rf "$tmp/bad"
cp -a "$good" "$tmp/bad"
chmod 757 "$tmp/bad/usr/bin/program"
make_commit allowed "$tmp/bad" 1 "[]" "$(package a 1)" >/dev/null
printf '# known\nworld-writable /usr/bin/*\nsetuid /usr/bin/su # gone\n' >"$tmp/allow"
ok "what is allowed is no error" lint allowed --allow "$tmp/allow"
stdout_like "what allows nothing is told" "allow:3: 'setuid /usr/bin/su' allows nothing any more"
echo 'setuid usr/bin/su' >"$tmp/allow"
exits 3 "a malformed exception" lint allowed --allow "$tmp/allow"
stderr_like "is named by its line" 'allow:1: '

# Sizes, with packages from the cache.
sha=$(printf 'c%.0s' {1..64})
mkdir -p "$tmp/deb/data/bin" "$tmp/deb/data/etc" "$tmp/deb/data/usr/gone" "$tmp/deb/control"
touch "$tmp/deb/data/bin/program" "$tmp/deb/data/etc/conf" "$tmp/deb/data/usr/gone/file"
ostree --repo="$tmp/cache/repo" commit --branch="deb/a_/$sha" "$tmp/deb" >/dev/null
rm -rf "$tmp/bad"
cp -a "$good" "$tmp/bad"
head -c 50000 /dev/zero >"$tmp/bad/usr/bin/program"
head -c 3000 /dev/zero >"$tmp/bad/usr/etc/conf"
make_commit sizes "$tmp/bad" 1 "[]" "$(package a+ 1 sha256 "$sha")" >/dev/null
make_commit before "$good" 1 "[]" "$(package a+ 1 sha256 "$sha")" >/dev/null
ok "sizes" lint sizes --json --against before
is "of a package" "$(jq -c '.packages[0] | [.name, .bytes, .files]' "$tmp/out")" '["a+",53000,2]'
is "of a directory" "$(jq -c '.directories[0] | [.name, .bytes]' "$tmp/out")" '["/usr/bin",50000]'
is "growth" "$(jq -c '[.grown[0:2][] | [.name, .bytes, ."old-bytes"]]' "$tmp/out")" \
	'[["a+",53000,0],["/usr/bin",50000,0]]'
ok "for people" lint sizes --against before
stdout_like "the share" '^ +53\.0 kB +[0-9.]+ %  a\+$'
stdout_like "the growth" '^  \+ +53\.0 kB  a\+$'

done_testing
