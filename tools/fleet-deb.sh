#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/fleet-deb.sh BIN DIR VERSION: packs the server and its command line into
# DIR/ashlar-fleet_VERSION_ARCH.deb, and the link DIR/ashlar-fleet_ARCH.deb ('make deb').
set -euo pipefail
. tools/deb.bash

begin ashlar-fleet
for program in ashlar-fleetd ashlar-fleet; do
	[ -x "$bin/$program" ] || continue
	programs /usr/bin $program
	mkdir -p "$root/usr/share/bash-completion/completions"
	"$bin/$program" completion bash >"$root/usr/share/bash-completion/completions/$program"
	mkdir -p "$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
	"$bin/$program" completion zsh >"$root/usr/share/zsh/vendor-completions/_$program"
	"$bin/$program" completion fish >"$root/usr/share/fish/vendor_completions.d/$program.fish"
done
put 644 data/systemd/ashlar-fleetd.service "$units"
put 644 data/sysusers/ashlar-fleet.conf /usr/lib/sysusers.d
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
[ "$1" != configure ] || systemd-sysusers ashlar-fleet.conf
END
chmod 755 "$root/DEBIAN/postinst"
pack "server of a fleet of Ashlar hosts" "systemd"
