#!/bin/bash
# needs: jq
# SPDX-License-Identifier: Apache-2.0
# The host document from each of its sources, on a directory that stands for a host.
. tests/lib/tap.sh

provision=$ashlar_bin/ashlar-provision
host=$tmp/host
key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZs0oL+oASLsvs/UBbj8fT4ib/BhHA6NeNuqkBkjDKx me'
unset CREDENTIALS_DIRECTORY

# A host at its first boot.
new_host()
{
	rm -rf "$host" "$tmp/seed"
	mkdir -p "$host"/{etc,proc/sys/kernel,run,efi/ashlar,var/lib} "$tmp/seed"
	echo 0123456789abcdef0123456789abcdef >"$host/etc/machine-id"
	echo localhost >"$host/proc/sys/kernel/hostname"
}
# The next boot: /run is new, the kernel has no name.
reboot_host()
{
	rm -rf "$host/run"
	mkdir -p "$host/run"
	echo localhost >"$host/proc/sys/kernel/hostname"
}
credential()
{
	mkdir -p "$host/run/credentials/@system"
	cat >"$host/run/credentials/@system/ashlar.host"
}
hostname_is()
{
	is "$1" "$(cat "$host/proc/sys/kernel/hostname")" "$2"
}
status()
{
	is "$1" "$(jq -r "$2" "$host/run/ashlar/provision.json")" "$3"
}

# ---- no document

new_host
ok "a host without any document is fine" "$provision" --root "$host"
first=$(cat "$host/proc/sys/kernel/hostname")
like "it has a name of its own" "$first" '^ashlar-[0-9a-f]{8}$'
unlike "which does not show its machine-id" "$first" 01234567
status "its source is none" .source none
empty "no network is set up beside the image's" "$(find "$host/run" -name '*.network')"
reboot_host
ok "the next boot" "$provision" --root "$host"
hostname_is "gives the same name" "$first"
echo ffffffffffffffffffffffffffffffff >"$host/etc/machine-id"
ok "another machine" "$provision" --root "$host"
unlike "has another name" "$(cat "$host/proc/sys/kernel/hostname")" "$first"
echo edge >"$host/etc/hostname"
ok "an image with a name" "$provision" --root "$host"
hostname_is "keeps it" edge
rm "$host/etc/hostname"
echo uninitialized >"$host/etc/machine-id"
reboot_host
ok "a host that has no id" "$provision" --root "$host"
hostname_is "keeps the kernel's name" localhost

# ---- everything at once, from a credential

new_host
credential <<-END
	hostname: web-3
	updates: {url: "https://updates.example/host", tries: 5}
	network:
	  - match: {name: "en*"}
	    addresses: [192.0.2.10/24]
	    gateway: [192.0.2.1]
	  - match: {mac: "52:54:00:12:34:56"}
	ntp: [time.example, 192.0.2.123]
	ssh: {keys: ["$key"]}
	fleet: {url: "https://fleet.example", token: abc}
END
ok "a dry run succeeds" "$provision" --root "$host" --dry-run
stdout_like "it says where the document is from" '^# document: credential ashlar\.host$'
stdout_like "and what would change" '^--- /proc/sys/kernel/hostname$'
stdout_like "line by line" '^\+web-3$'
stdout_like "in networkd's words" '^\+Address=192\.0\.2\.10/24$'
hostname_is "it has changed nothing" localhost
empty "and written nothing" "$(find "$host/run" "$host/var" -type f ! -name ashlar.host)"

ok "the document is applied" "$provision" --root "$host"
empty "without a word" "$(cat "$tmp/err")"
hostname_is "hostname" web-3
ok "the document is kept as it is" cmp "$host/run/credentials/@system/ashlar.host" \
	"$host/var/lib/ashlar/host.yaml"
is "nobody else may read it" "$(stat -c %a "$host/var/lib/ashlar" "$host/var/lib/ashlar/host.yaml" |
	xargs)" "700 600"
like "the first network" "$(cat "$host/run/systemd/network/40-ashlar-00.network")" '^Gateway=192\.0\.2\.1$'
like "the second network" "$(cat "$host/run/systemd/network/40-ashlar-01.network")" \
	'^MACAddress=52:54:00:12:34:56$'
like "time" "$(cat "$host/run/systemd/timesyncd.conf.d/40-ashlar.conf")" '^NTP=time\.example 192\.0\.2\.123$'
is "keys" "$(cat "$host/run/ashlar/ssh/authorized_keys")" "$key"
is "no temporary file is left" "$(find "$host/var" "$host/run" -type f | wc -l)" 7
status "source" .source credential
status "digest" .digest "$(sha256sum <"$host/var/lib/ashlar/host.yaml" | cut -d' ' -f1)"
status "changed" .changed true
status "no error" .error null
ok "once more" "$provision" --root "$host"
status "changes nothing" .changed false
ok "a dry run after it" "$provision" --root "$host" --dry-run
stdout_like "finds nothing to do" 'nothing would change'

# In the same boot, with less in it.
credential <<<'{hostname: web-3, network: [{match: {name: eth0}}]}'
ok "a smaller document" "$provision" --root "$host"
is "takes away what it does not name" \
	"$(cd "$host/run" && find systemd ashlar -type f | sort | xargs)" \
	"ashlar/provision.json systemd/network/40-ashlar-00.network"
like "the one before it is kept" "$(cat "$host/var/lib/ashlar/host.yaml.previous")" 'tries: 5'

CREDENTIALS_DIRECTORY=$tmp/credentials
export CREDENTIALS_DIRECTORY
mkdir "$tmp/credentials"
echo 'hostname: of-the-unit' >"$tmp/credentials/ashlar.host"
ok "the unit's own credentials directory" "$provision" --root "$host"
hostname_is "is looked at" of-the-unit
unset CREDENTIALS_DIRECTORY

# ---- a seed disk

new_host
printf '#cloud-config\nhostname: other\n' >"$tmp/seed/user-data"
ok "a seed for others" "$provision" --root "$host" --seed "$tmp/seed"
status "is no source" .source none
status "and is named" '.warnings[0]' "user-data is not used: its first line is not '#ashlar'"
printf 'instance-id: i-1\nlocal-hostname: given\n' >"$tmp/seed/meta-data"
ok "with a name in its meta-data" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "the name is taken" given
printf '#ashlar\nntp: [time.example]\n' >"$tmp/seed/user-data"
ok "user-data for us" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "has the name of meta-data" given
like "and is taken" "$(cat "$host/run/systemd/timesyncd.conf.d/40-ashlar.conf")" 'time\.example'
status "from a disk" .source disk
printf '#ashlar\n{hostname: mine}\n' >"$tmp/seed/user-data"
ok "user-data with a name" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "wins over meta-data" mine
echo 'local-hostname: not_a_name' >"$tmp/seed/meta-data"
printf '#ashlar\nntp: []\n' >"$tmp/seed/user-data"
ok "a name that is none" "$provision" --root "$host" --seed "$tmp/seed"
status "is left out" '.warnings[0]' \
	"meta-data: the local-hostname is left out: is not a host name, expected at most 64 letters, digits, '-' and '.', as in 'web-3'"
echo 'hostname: plain' >"$tmp/seed/ashlar.yaml"
ok "ashlar.yaml" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "wins over user-data" plain
rm "$tmp/seed/ashlar.yaml"
ln -s /etc/passwd "$tmp/seed/ashlar.yaml"
exits 3 "a link in the place of the file is refused" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "and the last document stays" plain
rm -r "${tmp:?}/seed"
mkdir -p "$tmp/seed/openstack/latest"
printf '#ashlar\nssh: {keys: []}\n' >"$tmp/seed/openstack/latest/user_data"
printf '{"uuid": "x", "hostname": "drive", "meta": {"a": [1, 2.5, null]}}' \
	>"$tmp/seed/openstack/latest/meta_data.json"
ok "a config drive" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "is read" drive

# ---- which one wins

new_host
echo 'hostname: from-esp' >"$host/efi/ashlar/host.yaml"
ok "the ESP alone" "$provision" --root "$host"
hostname_is "is used" from-esp
status "and named" .source esp
echo 'hostname: from-disk' >"$tmp/seed/ashlar.yaml"
ok "disk and ESP" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "the disk wins" from-disk
credential <<<'hostname: from-credential'
ok "all three" "$provision" --root "$host" --seed "$tmp/seed"
hostname_is "the credential wins" from-credential
reboot_host
rm "$host/efi/ashlar/host.yaml"
ok "no source at all" "$provision" --root "$host"
hostname_is "the last document stays" from-credential
status "and is called so" .source last

# ---- bad documents

new_host
echo 'hostname: good' >"$host/efi/ashlar/host.yaml"
ok "a good document" "$provision" --root "$host"
reboot_host
credential <<<$'hostname: bad\nntp: []\nupdates: {trie: 4}'
exits 3 "a bad one" "$provision" --root "$host"
stderr_like "is refused with the place and the key that was meant" \
	"refused: credential ashlar\.host:3:11: unknown key 'trie' in updates \(did you mean 'tries'\?\)"
stderr_like "it says what is in force" 'in force is: /var/lib/ashlar/host\.yaml'
hostname_is "the last good one is used" good
status "not the ESP's, whose turn it is not" .source last
status "the status has the error" '.error | test("unknown key")' true
is "the document in force is untouched" "$(cat "$host/var/lib/ashlar/host.yaml")" 'hostname: good'
exits 3 "a dry run says so too" "$provision" --root "$host" --dry-run

for bad in '[' '- a' 'hostname: a_b' 'hostname: &x a' $'ntp: []\n---\nssh: {}'; do
	reboot_host
	credential <<<"$bad"
	exits 3 "refused: ${bad//$'\n'/ }" "$provision" --root "$host"
	hostname_is "the last good one is used" good
done
reboot_host
head -c 300000 /dev/zero | tr '\0' '#' | credential
exits 3 "a document that is too large" "$provision" --root "$host"
stderr_like "is refused" 'larger than the 262144 bytes'
reboot_host
printf 'hostname: a\0b\n' | credential
exits 3 "a NUL byte is refused" "$provision" --root "$host"
hostname_is "the last good one is used" good

reboot_host
credential <<<'hostname: second'
ok "another good document" "$provision" --root "$host"
reboot_host
rm "$host/efi/ashlar/host.yaml"
echo 'hostname: [' >"$host/var/lib/ashlar/host.yaml"
exits 3 "a damaged document in force" "$provision" --root "$host"
hostname_is "makes room for the one before it" good
status "and is called so" .source previous
reboot_host
credential <<<'hostname: third'
ok "a good document after it" "$provision" --root "$host"
is "does not put the damaged one into the place of a good one" \
	"$(cat "$host/var/lib/ashlar/host.yaml.previous")" 'hostname: good'
rm "$host"/var/lib/ashlar/*
reboot_host
credential <<<'hostname: [a]'
exits 3 "a bad document on a host that never had another" "$provision" --root "$host"
like "leaves the default name" "$(cat "$host/proc/sys/kernel/hostname")" '^ashlar-'
status "source" .source none

# ---- a power cut: whatever is left of an interrupted write is no document

new_host
credential <<<'hostname: one'
ok "a document" "$provision" --root "$host"
credential <<<'hostname: two'
if command -v strace >/dev/null; then
	# The calls that change directories, one after the other, are each the last one.
	total=$(strace -f -e trace=rename,renameat,renameat2,linkat -o /dev/stdout "$provision" --root "$host" |
		grep -c '(')
	ok "there are instants to look at" test "$total" -ge 3
	for ((n = 1; n <= total; n++)); do
		new_host
		credential <<<'hostname: one'
		"$provision" --root "$host"
		credential <<<'hostname: two'
		(strace -f -qq -o /dev/null -e trace=rename,renameat,renameat2,linkat \
			-e "inject=rename,renameat,renameat2,linkat:signal=KILL:when=$n" \
			"$provision" --root "$host"; true) 2>/dev/null
		like "killed at change $n: one of both is in force" \
			"$(cat "$host/var/lib/ashlar/host.yaml")" '^hostname: (one|two)$'
		reboot_host
		credential <<<'hostname: two'
		ok "the next boot" "$provision" --root "$host"
		is "ends as if nothing had been" \
			"$(cat "$host"/var/lib/ashlar/host.yaml{,.previous} "$host/proc/sys/kernel/hostname" | xargs)" \
			"hostname: two hostname: one two"
	done
else
	skip "killed at each change" "no strace"
fi

# A full disk: what can be done is done.
if [ "$(id -u)" -ne 0 ]; then
	new_host
	credential <<<'hostname: web'
	chmod 500 "$host/var/lib"
	exits 1 "where the state cannot be written" "$provision" --root "$host"
	hostname_is "the document is applied all the same" web
	chmod 700 "$host/var/lib"
else
	new_host
	credential <<<'hostname: web'
	touch "$host/var/lib/ashlar"
	exits 1 "where the state cannot be written" "$provision" --root "$host"
	hostname_is "the document is applied all the same" web
	status "the status has the error" '.error | test("var/lib/ashlar")' true
fi

# ---- a key for the host, where there is a server for it

if command -v ssh-keygen >/dev/null; then
	new_host
	mkdir -p "$host/usr/bin"
	touch "$host/usr/bin/ssh-keygen"
	credential <<<'hostname: web'
	ok "a document without keys" "$provision" --root "$host"
	ok "makes no key for the host" test ! -e "$host/var/lib/ashlar-ssh"
	credential <<<"ssh: {keys: ['$key']}"
	ok "a document with keys" "$provision" --root "$host"
	ok "makes one" ssh-keygen -l -f "$host/var/lib/ashlar-ssh/host_ed25519"
	stdout_like "of the right kind" ED25519
	is "for root alone" "$(stat -c %a "$host/var/lib/ashlar-ssh/host_ed25519")" 600
	is "and nothing else" "$(find "$host/var/lib/ashlar-ssh" -mindepth 1 | wc -l)" 2
	before=$(cat "$host/var/lib/ashlar-ssh/host_ed25519.pub")
	reboot_host
	credential <<<"ssh: {keys: ['$key']}"
	ok "the next boot" "$provision" --root "$host"
	is "keeps it" "$(cat "$host/var/lib/ashlar-ssh/host_ed25519.pub")" "$before"
else
	skip "a key for the host" "no ssh-keygen"
fi

# ---- on any machine

echo 'hostname: web' >"$tmp/good.yaml"
ok "--check likes a good document" "$provision" --check "$tmp/good.yaml"
printf 'ntp: [time.example]\nnetwork: [{match: {name: eth0}, address: []}]\n' >"$tmp/bad.yaml"
exits 3 "and not a bad one" "$provision" --check "$tmp/bad.yaml"
stderr_like "with its place" "bad\.yaml:2:33: unknown key 'address' in network \(did you mean 'addresses'\?\)"
exits 3 "a document that is not there" "$provision" --check "$tmp/none.yaml"
sed -n '/^```$/,/^```$/p' docs/man/hostdoc.5.scd | sed '/^```$/d' >"$tmp/example.yaml"
ok "the example of hostdoc(5) is there" test -s "$tmp/example.yaml"
ok "and it is good" "$provision" --check "$tmp/example.yaml"
exits 2 "arguments are refused" "$provision" host.yaml
exits 2 "unknown options as well" "$provision" --dryrun

ok "--help" "$provision" --help
ok "it fits 80 columns" test "$(wc -L <"$tmp/out")" -le 80
missing=
for option in $(grep -oE -- '--[a-z][a-z-]+' "$tmp/out" | sort -u); do
	grep -qF -- "*$option*" docs/man/ashlar-provision.8.scd || missing+=" $option"
done
empty "every option is in the manual" "$missing"

done_testing
