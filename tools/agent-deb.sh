#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/agent-deb.sh BIN DIR VERSION: packs the host's programs, as they are in BIN, and what belongs to
# them into DIR/ashlar-agent_VERSION_ARCH.deb and DIR/ashlar-link_VERSION_ARCH.deb ('make deb'). The links
# ashlar-agent_ARCH.deb and ashlar-link_ARCH.deb lead to the newest: manifests/layers/agent.yaml has them.
set -euo pipefail
. tools/deb.bash

begin ashlar-agent
programs /usr/lib/ashlar ashlard ashlar-worker ashlar-check ashlar-provision
programs /usr/bin ashlarctl
for unit in ashlard.service ashlard-retry.timer ashlar-agent-failed.service ashlar-deadline.timer \
	ashlar-deadline.service ashlar-provision.service; do
	put 644 "data/systemd/$unit" $units
done
put 644 data/org.ashlar.Host1.conf /usr/share/dbus-1/system.d
put 644 agent/org.ashlar.Host1.xml /usr/share/dbus-1/interfaces
put 644 data/tmpfiles/ashlar-agent.conf /usr/lib/tmpfiles.d
mkdir -p "$root/usr/share/bash-completion/completions"
"$bin/ashlarctl" completion bash >"$root/usr/share/bash-completion/completions/ashlarctl"
pack "updates and health of an Ashlar host" "systemd, dbus-broker | dbus"

begin ashlar-link
programs /usr/lib/ashlar ashlar-link ashlar-fetch ashlar-checkin
put 644 data/systemd/ashlar-link.service $units
put 644 data/sysusers/ashlar-link.conf /usr/lib/sysusers.d
put 644 data/tmpfiles/ashlar-link.conf /usr/lib/tmpfiles.d
put 644 data/firewall/link.nft /usr/lib/ashlar/firewall.d
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
[ "$1" != configure ] || systemd-sysusers ashlar-link.conf
END
chmod 755 "$root/DEBIAN/postinst"
pack "downloads for the agent of an Ashlar host" "ashlar-agent (= $version), systemd, ca-certificates"
