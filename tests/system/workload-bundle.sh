#!/bin/bash
# needs: root dbus-daemon jq ostree openssl busybox umoci
# SPDX-License-Identifier: Apache-2.0
# A host that no network reaches: what it runs, and what it is, comes in files, through ashlard, as a person with a stick
# brings it. Images of `ashlar build` and of registries.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/workload-fleet.bash

# ---- what is published ----

"$ashlar" key make --no-passphrase "$keys" >"$tmp/out" 2>&1
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
v2=$(agent_commit 2.0.0)
"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$v1" >/dev/null
# A newer release is published, and not in the first bundle, which is about workloads.
"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$v2" >/dev/null
workload_image_commit web 'echo "of the builder"; while :; do sleep 1; done'
layout=$tmp/layout
{
	umoci init --layout "$layout"
	umoci new --image "$layout:app"
	umoci unpack --image "$layout:app" "$tmp/unpacked"
	cp -a "$tmp/image-web/." "$tmp/unpacked/rootfs/"
	umoci repack --image "$layout:app" "$tmp/unpacked"
	printf '#!/bin/busybox sh\nexport PATH=/bin\necho "the next one"; while :; do sleep 1; done\n' >"$tmp/unpacked/rootfs/bin/main"
	umoci unpack --image "$layout:app" "$tmp/unpacked2"
	cp -a "$tmp/unpacked/rootfs/bin/main" "$tmp/unpacked2/rootfs/bin/main"
	umoci repack --image "$layout:next" "$tmp/unpacked2"
} >"$tmp/umoci" 2>&1
blob() { echo "$layout/blobs/sha256/${1#sha256:}"; }
manifest() { jq -r --arg tag "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $tag).digest' "$layout/index.json"; }
app=$(manifest app)
next=$(manifest next)
# What a tag of a registry names: an index, of which this machine needs one image and another is not in the layout at all.
jq -nc --arg digest "$app" --arg arch "$(dpkg --print-architecture)" --argjson size "$(stat -c %s "$(blob "$app")")" \
	'"application/vnd.oci.image.manifest.v1+json" as $type | {schemaVersion: 2, manifests: [
	{mediaType: $type, digest: ("sha256:" + "0" * 64), size: 7, platform: {os: "linux", architecture: "s390x"}},
	{mediaType: $type, digest: $digest, size: $size, platform: {os: "linux", architecture: $arch}}]}' >"$tmp/index"
index=sha256:$(sha256sum "$tmp/index" | cut -d' ' -f1)
cp "$tmp/index" "$(blob "$index")"

# definition NAME VERSION IMAGE [COMMAND]
definition()
{
	cat >"$tmp/$1-$2.yaml" <<-END
		workload: $1
		version: $2
		image: $3
		command: [${4:-/bin/main}]
		isolation: sandbox
		required: true
		resources: {cpu: 0.1, memory: 32MiB}
		health: {soak: 1s, deadline: 20s, checks: [{name: main, file: /bin/main, interval: 1s, failures: 1}]}
	END
	workload_publish "$tmp/$1-$2.yaml"
}
ok "a workload with an image of the builder" definition web 1.0 "$image"
ok "one with an image of a registry that nobody here can reach" definition app 1.0 "oci:127.0.0.1:9/some/app@$index"
ok "one that cannot run" definition bad 1.0 "$image" /bin/nonexistent

# ---- a bundle ----

ok "without the directories it is made" "$ashlar" bundle "$pub" --workload app -o "$tmp/empty.bundle"
stderr_like "…and says that the image is not in it" '1 of the workloads.*--images'
exits 3 "a directory that does not have the image" "$ashlar" bundle "$pub" --workload app --images "$tmp/unpacked" -o "$tmp/none.bundle"
stderr_like "…is told, with workload and image" "app 1.0, image 'oci:127.0.0.1:9/some/app@$index': $index is not there"
mv "$(blob "$app")" "$tmp/away"
exits 3 "one that has the index alone" "$ashlar" bundle "$pub" --workload app --images "$layout" -o "$tmp/none.bundle"
stderr_like "…is told" "of the images in its index none is there"
tr a b <"$tmp/away" >"$(blob "$app")"
exits 5 "one with a damaged blob" "$ashlar" bundle "$pub" --workload app --images "$layout" -o "$tmp/none.bundle"
stderr_like "…is told" "${app#sha256:} has the digest"
ok "…and there is no bundle" test ! -e "$tmp/none.bundle" -a ! -e "$tmp/none.bundle.new"
mv "$tmp/away" "$(blob "$app")"
exits 3 "of another architecture" "$ashlar" bundle "$pub" --workload app --images "$layout" --arch s390x -o "$tmp/none.bundle"
ok "a bundle of both" "$ashlar" bundle "$pub" --workload web --workload app --workload bad --images "$layout" -o "$tmp/one.bundle"
is "…with all that the image needs, and no other" "$(tar tf "$tmp/one.bundle" | sed -n 's,^oci/blobs/sha256/,,p' | sort | xargs)" \
	"$({ echo "$index"; echo "$app"; jq -r '.config.digest, .layers[].digest' "$(blob "$app")"; } | sed s/sha256:// | sort | xargs)"

# ---- a host on an island ----

agent_host "$v1" 1.0.0
agent_bus
agent_env=(ASHLAR_WAIT=2)
ok "the host starts" agent_boot
ok "ashlar-workloadd" workloadd_start
ok "nothing is looked for any more" agent_wait '.state == "idle" and .source.last_error != null'
exits 1 "a workload is wanted" ctl workload run --timeout 1 web
exits 1 "…and another" ctl workload run --timeout 1 app
exits 1 "…and one more" ctl workload run --timeout 1 bad
ok "they are not there, and nothing works on it" agent_wait '.state == "idle"'
cut=$tmp/cut.bundle
cp "$tmp/one.bundle" "$cut"
layer=$(jq -r '.layers[0].digest' "$(blob "$app")")
python3 - "$cut" "${layer#sha256:}" <<'END'
import sys, tarfile
path, name = sys.argv[1:]
with tarfile.open(path) as archive:
    at = archive.getmember("oci/blobs/sha256/" + name).offset_data
with open(path, "r+b") as file:
    file.seek(at + 100)
    byte = file.read(1)
    file.seek(at + 100)
    file.write(bytes([byte[0] ^ 1]))
END
exits 1 "a stick that has lost a bit" ctl bundle --wait "$cut"
like "…is found out at once, with the blob" "$(cat "$tmp/err" "$tmp/out")" "${layer#sha256:}.*damaged"
ok "…and nothing of it stays" test ! -e "$host/var/lib/ashlar/bundle" -a ! -e "$host/var/lib/ashlar/bundle.new"
ok "the bundle" ctl bundle --wait "$tmp/one.bundle"
ok "brings the workload of the builder" workload_is web '.ready and .version == "1.0"'
is "…signed" "$(ctl workload status --json web | jq -r .origin)" signed
ok "and the one of the registry" workload_is app '.ready and .version == "1.0"'
like "…which does what it is for" "$(ctl workload logs app)" "of the builder"
ok "…as its index was signed" test -e "$host/sysroot/ostree/repo/refs/heads/ashlar/oci/image/${index#sha256:}"

# What the host's health check of required workloads asks, which reads /run/ashlar.
required()
{
	# shellcheck disable=SC2016
	unshare --mount sh -c 'mount -t tmpfs run /run && mkdir /run/ashlar && mount --bind "$0" /run/ashlar && exec "$@"' \
		"$host/run/ashlar" "$ashlar_bin/ashlarctl" workload required
}
exits 8 "one that is required does not run" required
like "…which is named" "$(cat "$tmp/out")" '^bad is '
ok "nobody wants it" ctl workload remove bad
ok "those that are required run" required

# ---- the next one: a release and a workload ----

ok "a newer version" definition app 1.1 "oci:127.0.0.1:9/some/app@$next"
workload_image_commit web 'echo "of the builder, again"; while :; do sleep 1; done' 1.1
ok "…of both" definition web 1.1 "$image"
ok "one bundle with a release" "$ashlar" bundle "$pub" 2.0.0 --workload web --workload app --images "$layout" -o "$tmp/two.bundle"
ok "is taken" ctl bundle "$tmp/two.bundle"
ok "the release reboots" agent_wait_reboot
ok "the host comes up again" agent_reboot
ok "…with the release" agent_live '.state == "idle" and .booted.version == "2.0.0"' 60
ok "…the workload of the registry" workload_is app '.ready and .version == "1.1"' 60
ok "…and the one of the builder" workload_is web '.ready and .version == "1.1"' 60
agent_stop
workloadd_stop

# A host that reboots at once has its images to import still when it cleans up.
work() { "$ashlar_bin/ashlar-worker" --root "$host" "$1" <<<"$2"; }
clean() { work clean "$(jq -nc --arg commit "$v2" '{keep: [$commit], staging: true}')"; }
ostree --repo="$host/sysroot/ostree/repo" refs --delete "ashlar/oci/image/${next#sha256:}"
ok "the bundle once more" work bundle "$(jq -nc --arg path "$tmp/two.bundle" '{path: $path}')"
ok "cleaned up" clean
ok "…it stays as long as a definition needs an image of it" test -d "$host/var/lib/ashlar/bundle/oci"
ok "imported" work image-import "$(jq -nc --arg digest "$next" '{kind: "oci", location: "127.0.0.1:9/some/app", digest: $digest}')"
ok "cleaned up" clean
ok "…then it goes" test ! -e "$host/var/lib/ashlar/bundle"

[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$agent_dir/ashlard.log" "$agent_dir/workloadd.log")"
done_testing
