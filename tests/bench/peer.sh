#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# peer.sh TREE REPO DEBS PACKAGES SOURCES: what one does without ashlar. mmdebstrap makes TREE of the
# packages (a comma between them) from the .debs in DEBS, and ostree commits it to the new REPO.
# SOURCES: a file of apt source lines.
set -euo pipefail
tree=$1 repo=$2 debs=$3 packages=$4
mapfile -t sources <"$5"

# Its fast ways: nothing is downloaded, root needs no user namespace, dpkg does not sync.
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
	--skip=download/empty --skip=essential/unlink \
	--setup-hook="mkdir -p \"\$1/var/cache/apt/archives\"; cp -l '$debs'/*.deb \"\$1/var/cache/apt/archives/\"" \
	--dpkgopt=force-unsafe-io trixie "$tree" "${sources[@]}"
# OSTree knows no device nodes; every boot makes its own.
find "$tree/dev" -mindepth 1 -delete
ostree --repo="$repo" init --mode=bare
ostree --repo="$repo" commit --branch=ref --subject=ref "$tree"
