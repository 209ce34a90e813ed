#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/workload-deb.sh BIN DIR VERSION: packs what runs workloads on a host into
# DIR/ashlar-workload_VERSION_ARCH.deb, and the link DIR/ashlar-workload_ARCH.deb ('make deb').
set -euo pipefail
. tools/deb.bash

begin ashlar-workload
for program in ashlar-workloadd ashlar-launch ashlar-net ashlar-broker; do
	[ ! -x "$bin/$program" ] || programs /usr/lib/ashlar $program
done
# Static: they run inside.
for program in ashlar-enter ashlar-guest ashlar-call; do
	[ -x "$bin/$program" ] || continue
	put 755 "$bin/$program" /usr/lib/ashlar
done
put 644 data/systemd/ashlar-workloadd.service "$units"
put 644 data/systemd/ashlar-workloadd.path "$units"
put 644 data/systemd/ashlar-names.service "$units"
put 644 data/systemd/ashlar-names.path "$units"
put 644 data/sysusers/ashlar-names.conf /usr/lib/sysusers.d
put 644 data/firewall/workload.nft /usr/lib/ashlar/firewall.d
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
[ "$1" != configure ] || systemd-sysusers ashlar-names.conf
END
chmod 755 "$root/DEBIAN/postinst"
put 644 data/org.ashlar.Workload1.conf /usr/share/dbus-1/system.d
put 644 data/org.ashlar.Workload1.service /usr/share/dbus-1/system-services
pack "workloads of an Ashlar host" \
	"ashlar-agent (= $version), ashlar-link (= $version), systemd, systemd-container, e2fsprogs, util-linux, mount"
