# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Commits as 'ashlar build' makes them, from a directory, in the repository $repo.

# shellcheck disable=SC2154
repo=$tmp/repo

# package NAME VERSION [KEY VALUE]…: an entry of the list of packages.
package()
{
	local text="{'name': '$1', 'version': '$2'"
	shift 2
	while [ $# -gt 0 ]; do
		text+=", '$1': '$2'"
		shift 2
	done
	echo "$text}"
}

# make_commit REF DIRECTORY VERSION ARGUMENTS PACKAGE…: ARGUMENTS of the kernel as GVariant text, "['ro']"
make_commit()
{
	local ref=$1 dir=$2 version=$3 arguments=$4 list
	shift 4
	[ -d "$repo" ] || ostree --repo="$repo" init --mode=bare
	list=$(printf '%s, ' "$@")
	ostree --repo="$repo" commit --branch="$ref" --no-bindings --timestamp=@1700000000 \
		--add-metadata-string=version="$version" \
		--add-metadata-string=ashlar.name=example \
		--add-metadata-string=ashlar.kind=host \
		--add-metadata-string=ashlar.architecture=amd64 \
		--add-metadata-string=ashlar.suite=trixie \
		--add-metadata="ashlar.kernel-arguments=@as $arguments" \
		--add-metadata="ashlar.packages=@aa{ss} [${list%, }]" "$dir"
}
