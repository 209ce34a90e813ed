#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manifests that come with Ashlar can be read, can be locked, and say what docs/host.md says.
. tests/lib/tap.sh

for manifest in manifests/*.yaml manifests/layers/*.yaml tests/vm/*.yaml; do
	ok "$manifest can be read" "$ashlar" diff "$manifest" "$manifest"
done
ok "the definitions of workloads are right" "$ashlar" workload lint manifests/workloads/*.yaml
exits 8 "custom.yaml adds to the host" "$ashlar" diff manifests/host.yaml manifests/custom.yaml
stdout_like "…a package" '^  \+ nginx-light$'
stdout_like "…and a service" 'units web.service +enabled'
empty "no manifest names a mirror" "$(grep -rnE --include=*.yaml '[a-z]+://' manifests | grep -vE 'file://|snapshot:|//127\.0\.0\.1' || true)"
empty "every file below manifests/files is used" "$(cd manifests/files && for file in *; do
	grep -rq "files/$file" ../layers ../*.yaml || echo "$file"
done)"
empty "every sysctl line has the form that the check in the host reads" \
	"$(grep -vE '^(#.*|-?[a-z][a-z0-9_.]* = [^ ].*|)$' manifests/files/sysctl.conf)"
empty "docs/host.md names every kernel argument" "$(sed -n '/^kernel-arguments:/,/^[a-z]/s/^  - //p' \
	manifests/layers/hardening.yaml | while read -r word; do
	grep -qF -- "$word" docs/host.md || echo "$word"
done)"

for choice in host host,debug custom custom,debug workload; do
	name=${choice%,*}
	variant=()
	[ "$name" = "$choice" ] || variant=(--variant "${choice#*,}")
	if has_need apt; then
		ok "$choice can be locked" "$ashlar" lock --output "$tmp/$choice.lock" --cache "$tmp/cache" \
			"${variant[@]}" "manifests/$name.yaml"
	else
		skip "$choice can be locked" "no apt sources of Debian's"
	fi
done
done_testing
