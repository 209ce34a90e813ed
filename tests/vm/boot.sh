#!/bin/bash
# needs: root vm jq qemu-img
# SPDX-License-Identifier: Apache-2.0
# The built host in a machine: it comes up with no failed unit, shows its deployment, is read-only where
# it should be, makes /var, and forgets what is written elsewhere.
#
# What it shows of itself needs a host that is not trimmed: with systemd-debug-generator, coreutils and
# findmnt.
#
# ASHLAR_TEST_IMAGE: the image (default: out/host.qcow2, which 'make image' makes)
. tests/lib/tap.sh

image=${ASHLAR_TEST_IMAGE:-out/host.qcow2}
[ -e "$image" ] || skip_all "there is no $image ('make image' makes it)"
read -ra arguments <<<"${ASHLAR_TEST_KERNEL_ARGUMENTS:-}"
options=()
for argument in "${arguments[@]}"; do
	options+=(--kernel-argument "$argument")
done

# guest UNIT-TEXT: kernel arguments that make the guest run a unit of ours before it reports. They are
# credentials of systemd's; no shell and no login of the host is needed.
guest()
{
	local unit wants
	unit=$(base64 -w0)
	wants=$(printf '[Unit]\nWants=ashlar-test.service\n' | base64 -w0)
	options+=(
		--kernel-argument
		"systemd.set_credential_binary=systemd.extra-unit.ashlar-test.service:$unit"
		--kernel-argument
		"systemd.set_credential_binary=systemd.unit-dropin.multi-user.target:$wants"
	)
}

# Every command's output goes to the console between marks. A leading '-' lets it fail.
guest <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=file:/dev/console
StandardError=inherit
ExecStart=-ostree admin status
ExecStart=-findmnt -rno TARGET,OPTIONS --target /usr
ExecStart=-findmnt -rno TARGET,SIZE,OPTIONS /var
ExecStart=-touch /usr/probe-usr
ExecStart=-touch /probe-root
ExecStart=-touch /etc/probe-etc
ExecStart=-mkdir /var/probe-var
ExecStart=-ls -d /etc/probe-etc /var/probe-var
END

digest=$(sha256sum <"$image")
ok "the host comes up with no failed unit" "$ashlar" run --json --smoke \
	--report-file "$tmp/console" "${options[@]}" "$image"
is "it says so" "$(jq -c '[.up, .state, .failed]' "$tmp/out")" '[true,"running",[]]'
# Without escape sequences; what our unit printed is at its end.
console=$(sed 's/\x1b\][^\x07\x1b]*\x07//g; s/\x1b\][^\x1b]*\x1b\\//g; s/\x1b\[[^a-zA-Z]*[a-zA-Z]//g; s/\r//g' \
	"$tmp/console")
commit=$(grep -aoE 'ostree=/ostree/by-commit/[0-9a-f]{64}' <<<"$console" | head -n 1 | tail -c 65)
console=$(tail -n 60 <<<"$console")
if grep -aq probe-usr <<<"$console"; then
	like "ostree shows the deployment as booted" "$console" '^\* ashlar [0-9a-f]{64}\.0'
	[ -z "$commit" ] || like "…the one that the entry names" "$console" "^\\* ashlar $commit\\.0"
	like "/usr is read-only" "$console" "cannot touch '/usr/probe-usr'"
	like "nothing can be added to /" "$console" "cannot touch '/probe-root'"
	like "/var is a file system of its own" "$console" '^/var [0-9.]+[MGT] [a-z,]*nosuid,nodev'
	size=$(sed -n 's/^\/var \([0-9.]*\)G .*/\1/p' <<<"$console")
	ok "it has grown over the rest of the disk" awk -v size="${size:-0}" 'BEGIN {exit !(size > 1)}'
	like "it can be written to" "$console" '^/var/probe-var$'
else
	# An image that is trimmed to the reference host's measure takes no unit from outside.
	skip "what the host shows of itself" "it has no systemd-debug-generator or no coreutils"
fi
is "the image is unchanged" "$(sha256sum <"$image")" "$digest"

exits 8 "a machine that never reports is down" "$ashlar" run --smoke --timeout 1 "$image"
stderr_like "…with the reason" "no word from the host within 1 s"
exits 8 "a kernel panic is down at once" "$ashlar" run --smoke --timeout 300 \
	--kernel-argument init=/nonexistent --kernel-argument panic=-1 --kernel-argument \
	rdinit=/nonexistent --kernel-argument root=/dev/nonexistent "$image"
stderr_like "…with the kernel's words" "kernel panic: .*Kernel panic - not syncing"

done_testing
