# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Of update.sh: three states of the archive as commits, ours and the peer's, and the peer's full images.
# All of it is kept in $kept; what depends on the packages is made anew when they are others.
# shellcheck disable=SC2154,SC2034

# The point release; it and the security fixes; all of that and the newer kernel.
states=(old U K)
declare -A versions=([old]=1.0.0 [U]=1.0.1 [K]=1.0.2) commits=() peer_commits=()

write_manifest()
{
	local pins=
	case $1 in
	# All but the agent's own, which no suite has.
	old) pins='pins: [{package: "[!a]*", suite: trixie}, {package: "a[!s]*", suite: trixie}]' ;;
	U) pins='pins: [{package: "linux-image*", suite: trixie}]' ;;
	esac
	printf '%s\n' 'kind: host' 'name: bench' "version: ${versions[$1]}" \
		"include: [$PWD/manifests/host.yaml]" "$pins" >"$kept/$1.yaml"
}

# NAME VERSION ARCH SHA256 of every package in a lock that the archive has.
locked_packages()
{
	sed -nE '/ path: pool/s/^  - \{name: ([^,]+), *version: "?([^",]+)"?, *arch: ([a-z0-9]+),.* sha256: "?([0-9a-f]{64})"?,.*/\1 \2 \3 \4/p' "$1"
}

deb_in_cache()
{
	echo "$kept/cache/debs/${1}_${2//:/%}_${3}_${4:0:16}.deb"
}

build_ours()
{
	local state
	for state in "${states[@]}"; do
		write_manifest "$state"
		[ -e "$kept/$state.lock" ] ||
			quietly "$ashlar" lock --cache "$kept/cache" -o "$kept/$state.lock" "$kept/$state.yaml"
		quietly "$ashlar" build --json --cache "$kept/cache" --repo "$kept/repo" --locked \
			--lock "$kept/$state.lock" "$kept/$state.yaml"
		commits[$state]=$(ostree --repo="$kept/repo" rev-parse host/bench/amd64)
		ostree --repo="$kept/repo" refs --force --create="bench/$state" "${commits[$state]}"
		locked_packages "$kept/$state.lock" >"$work/$state.packages"
		say "$state: commit ${commits[$state]:0:12}, $(wc -l <"$work/$state.packages") packages"
	done
}

write_sources()
{
	local codename
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
		sort -u | sed -n "s/^Debian|$codename|\(.*\)/deb \1 trixie main/p" >"$work/sources"
	[ -s "$work/sources" ] || die "this machine has no apt source of Debian"
}

# peer_tree STATE FROM [OPTION…]: what apt would do to FROM to make it STATE.
peer_tree()
{
	local state=$1 from=$2 name version arch hash
	local -a arguments=()
	shift 2
	while read -r name; do
		arguments+=(--without "$name")
	done < <(comm -23 <(cut -d' ' -f1 "$work/$from.packages" | sort) \
		<(cut -d' ' -f1 "$work/$state.packages" | sort))
	while read -r name version arch hash; do
		arguments+=("$(deb_in_cache "$name" "$version" "$arch" "$hash")")
	done < <(comm -13 <(sort "$work/$from.packages") <(sort "$work/$state.packages"))
	say "the peer's tree $state"
	[ "$from" = "$state" ] || [ -e "$peers/$state" ] || cp -a "$peers/$from" "$peers/$state"
	quietly tests/bench/update-peer.sh upgrade "$peers/$state" "$@" "${arguments[@]}"
}

compose_peer()
{
	local name version arch hash
	write_sources
	mkdir -p "$work/debs"
	while read -r name version arch hash; do
		ln "$(deb_in_cache "$name" "$version" "$arch" "$hash")" \
			"$work/debs/${name}_${version//:/%3a}_$arch.deb"
	done <"$work/old.packages"
	say "the peer's tree old"
	# zstd, because initramfs-tools would take gzip without it.
	quietly tests/bench/update-peer.sh compose "$peers/old" "$work/debs" \
		"$(cut -d' ' -f1 "$work/old.packages" | paste -sd,),zstd" "$work/sources"
	[ -z "$(ls -A "$peers/old/proc")" ] || die "$peers/old/proc is in use"
	peer_tree U old
	peer_tree K U
	cp -a "$peers/U" "$peers/anew"
	cp "$work/U.packages" "$work/anew.packages"
	peer_tree anew U --initramfs
}

commit_peer()
{
	local state
	ostree --repo="$peers/repo" init --mode=bare
	ostree --repo="$peers/repo" config set core.per-object-fsync false
	ostree --repo="$peers/archive" init --mode=archive
	for state in "${states[@]}" anew; do
		quietly ostree --repo="$peers/repo" commit --branch="$state" --subject="$state" \
			--timestamp=@1700000000 "$peers/$state"
	done
}

# bytes_of NAME FILE: kept for row U.
bytes_of()
{
	echo "$1 $(size "$2") ${3:-1}" >>"$peers/bytes"
}

# objects_of STATE: what a plain pull fetches over "old".
objects_of()
{
	find "$peers/archive/objects" -type f | sort >"$work/before"
	quietly ostree --repo="$peers/archive" pull-local --disable-fsync "$peers/repo" "$1"
	find "$peers/archive/objects" -type f | sort | comm -13 "$work/before" - >"$work/new"
	[ "$1" = old ] || echo "pull-$1 $(xargs -d '\n' stat -c %s <"$work/new" |
		awk '{ n += $1 } END { printf "%.0f\n", n }') $(wc -l <"$work/new")" >>"$peers/bytes"
}

# chunks_of STATE: casync's chunks of the tree's tar that "old" has not, and the index.
chunks_of()
{
	local store=$peers/chunks
	mkdir -p "$store"
	# The order and times of a tar would be differences of their own.
	tar --sort=name --mtime=@0 --format=gnu --numeric-owner -C "$peers/$1" -cf "$work/tree.tar" .
	find "$store" -type f | sort >"$work/before"
	quietly casync make --store="$store" --chunk-size=65536 "$work/$1.caibx" "$work/tree.tar"
	find "$store" -type f | sort | comm -13 "$work/before" - >"$work/new"
	[ "$1" = old ] || echo "casync-$1 $(($(xargs -d '\n' stat -c %s <"$work/new" |
		awk '{ n += $1 } END { printf "%.0f\n", n }') + $(size "$work/$1.caibx"))) $(($(wc -l <"$work/new") + 1))" \
		>>"$peers/bytes"
	rm "$work/tree.tar"
}

measure_peer()
{
	local state
	say "the peer's objects, chunks and full images"
	: >"$peers/bytes"
	# K first and apart from U, so that neither has the other's objects.
	for state in U K; do
		rm -rf "$peers/archive" "$peers/chunks"
		ostree --repo="$peers/archive" init --mode=archive
		objects_of old
		objects_of "$state"
		chunks_of old
		chunks_of "$state"
		quietly mksquashfs "$peers/$state" "$work/full.img" -noappend -comp zstd -Xcompression-level 9
		bytes_of "squashfs-$state" "$work/full.img"
		quietly mkfs.erofs -zlz4hc "$work/erofs.img" "$peers/$state"
		bytes_of "erofs-$state" "$work/erofs.img"
		rm "$work/full.img" "$work/erofs.img"
	done
	rm -rf "$peers/archive" "$peers/chunks"
}

prepare_trees()
{
	local key state
	say "preparing: three builds, and the peer's"
	build_ours
	key=$(cat "$work"/{old,U,K}.packages tests/bench/update-peer.sh tests/bench/update-trees.bash |
		sha256sum | cut -c1-16)
	peers=$kept/peer-$key
	if [ ! -e "$peers/done" ]; then
		rm -rf --one-file-system "$kept"/peer-*
		mkdir -p "$peers"
		compose_peer
		commit_peer
		measure_peer
		touch "$peers/done"
	fi
	for state in "${states[@]}" anew; do
		peer_commits[$state]=$(ostree --repo="$peers/repo" rev-parse "$state")
	done
}
