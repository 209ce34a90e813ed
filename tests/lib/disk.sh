# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A host's disk in a directory, for ashlar-worker --root: $host/sysroot is an ext4 of its own, $host/efi
# stands for the ESP. Tiny releases, in the repository $tmp/releases; a model of the boot loader.

# shellcheck disable=SC2154,SC2034
. tests/lib/kernel.sh

host=$tmp/host
worker=$ashlar_bin/ashlar-worker
releases=$tmp/releases
staging=$host/var/lib/ashlar-link
trees=$host/sysroot/ostree/deploy/ashlar/deploy
entries=$host/efi/loader/entries
declare -A commit_of=() # version → commit
image=$tmp/root.0.img
image_count=0

# ---- releases

# tree VERSION: in $tmp/tree, to be changed and then given to release.
tree()
{
	local version=$1 tree=$tmp/tree
	rm -rf "$tree"
	mkdir -p "$tree"/{var,proc,sys,dev,run,sysroot,efi,usr/{bin,share/doc,etc/net,lib/modules/6.1}}
	ln -s usr/bin "$tree/bin"
	echo "program $version" >"$tree/usr/bin/program"
	chmod 755 "$tree/usr/bin/program"
	echo "never changes" >"$tree/usr/share/same"
	: >"$tree/usr/share/empty"
	# Compresses badly, so that a delta is worth it.
	head -c 300000 /dev/urandom >"$tree/usr/share/doc/$version"
	[ -f "$tmp/big" ] || head -c 400000 /dev/urandom >"$tmp/big"
	cp "$tmp/big" "$tree/usr/share/big"
	echo "tail of $version" >>"$tree/usr/share/big"
	{
		kernel_head
		echo "kernel $version"
		head -c 20000 "$tmp/big"
	} >"$tree/usr/lib/modules/6.1/vmlinuz"
	{
		echo "initramfs $version"
		head -c 50000 "$tmp/big"
	} >"$tree/usr/lib/modules/6.1/initramfs.img"
	echo "default of $version" >"$tree/usr/etc/changes"
	echo "default" >"$tree/usr/etc/stays"
	echo "network default" >"$tree/usr/etc/net/lan"
	: >"$tree/usr/etc/machine-id"
}

# release VERSION ARGUMENTS: of $tmp/tree
release()
{
	local version=$1 commit
	[ -d "$releases" ] || ostree --repo="$releases" init --mode=bare
	commit=$(ostree --repo="$releases" commit --branch="v$version" --timestamp=@1700000000 \
		--owner-uid=0 --owner-gid=0 \
		--add-metadata-string=version="$version" --add-metadata-string=ashlar.name=example \
		--add-metadata-string=ashlar.architecture=amd64 --add-metadata-string=ashlar.kind=host \
		--add-metadata-string=ostree.linux=6.1 \
		--add-metadata="ashlar.kernel-arguments=@as $2" "$tmp/tree")
	commit_of[$version]=$commit
}

# document VERSION [FROM…]: the signed release document, with deltas from these versions. Stages nothing.
document()
{
	local version=$1 commit=${commit_of[$1]} from delta deltas=()
	local archive=$tmp/archive largest bytes total
	shift
	[ -d "$archive" ] || ostree --repo="$archive" init --mode=archive
	ostree --repo="$archive" pull-local --disable-fsync "$releases" "$commit" >/dev/null
	largest=$(find "$archive/objects" -type f -printf '%s\n' | sort -n | tail -1)
	total=$(find "$archive/objects" -type f -printf '%s\n' | awk '{n += $1} END {print n}')
	bytes=$(ostree --repo="$releases" ls -R "v$version" | awk '{n += $4} END {print n + 1000000}')
	for from in "$@"; do
		delta=$tmp/deltas/$commit-${commit_of[$from]}.delta
		mkdir -p "$tmp/deltas"
		[ -f "$delta" ] || ostree --repo="$releases" static-delta generate --inline \
			--min-fallback-size=0 --from="${commit_of[$from]}" --to="$commit" \
			--filename="$delta" >/dev/null
		deltas+=("{\"from\":\"${commit_of[$from]}\",\"path\":\"deltas/x\",\"sha256\":\"$(
			sha256sum "$delta" | cut -c1-64)\",\"bytes\":$(stat -c %s "$delta"),\"objects\":20,
			\"object-bytes\":1000000}")
	done
	cat <<-END | tr '\n' ' '
		{"type":"ashlar-release","format":1,"name":"example","variant":"","architecture":"amd64",
		 "version":"$version","commit":"$commit","replaces-min":"","created":"2026-11-22T10:00:00Z",
		 "size":{"bytes":$bytes,"inodes":40,"boot-bytes":71000,"archive-bytes":$total,
		 "largest-object-bytes":$largest},
		 "deltas":[$(IFS=, && echo "${deltas[*]}")],"notes":""}
	END
}

# ---- the disk

# disk SIZE OPTION…: makes $host with version 1 deployed and running; options are mkfs.ext4's.
disk()
{
	local size=$1 commit=${commit_of[1]}
	shift
	undisk
	mkdir -p "$host"/{sysroot,efi/loader/entries,proc} "$staging" "$host/var/lib/ashlar"
	next_image
	truncate -s "$size" "$image"
	if ! mkfs.ext4 -q -F "$@" "$image" || ! mount -o loop "$image" "$host/sysroot"; then
		return 1
	fi
	mkdir -p "$trees" "$host/sysroot/ostree/by-commit" "$host/sysroot/ostree/deploy/ashlar/var"
	ostree --repo="$host/sysroot/ostree/repo" init --mode=bare
	ostree --repo="$host/sysroot/ostree/repo" pull-local "$releases" v1 >/dev/null
	ostree --repo="$host/sysroot/ostree/repo" refs --delete v1
	ostree --repo="$host/sysroot/ostree/repo" refs --create=host/example "$commit"
	ostree --repo="$host/sysroot/ostree/repo" checkout -H "$commit" "$trees/$commit.0"
	cp -a "$trees/$commit.0/usr/etc" "$trees/$commit.0/etc"
	chattr +i "$trees/$commit.0"
	ln -s "../deploy/ashlar/deploy/$commit.0" "$host/sysroot/ostree/by-commit/$commit.0"
	mkdir -p "$host/efi/ashlar/${commit:0:16}"
	cp "$trees/$commit.0/usr/lib/modules/6.1/"{vmlinuz,initramfs.img} "$host/efi/ashlar/${commit:0:16}"
	cat >"$entries/ashlar-1-${commit:0:8}.conf" <<-END
		title Ashlar example 1
		version 1
		sort-key ashlar-99999999
		architecture x64
		linux /ashlar/${commit:0:16}/vmlinuz
		initrd /ashlar/${commit:0:16}/initramfs.img
		options root=PARTLABEL=ashlar-root ro quiet console=ttyS0 ostree=/ostree/by-commit/$commit.0
	END
	boots "$commit"
}

# A new name each time: the loop device of the old one may live on for a while, in a mount namespace that some
# other process has made, and would show what was there.
next_image()
{
	rm -f "$image"
	image_count=$((image_count + 1))
	image=$tmp/root.$image_count.img
}

undisk()
{
	! mountpoint -q "$host/sysroot" || umount "$host/sysroot"
	rm -rf "$host" "$image"
}

# What a copy of the disk is taken from and put back to, for tests that begin again often.
keep_disk()
{
	sync -f "$host/sysroot"
	umount "$host/sysroot"
	rm -rf "$tmp/kept" && mkdir "$tmp/kept"
	cp --sparse=always "$image" "$tmp/kept/root.img"
	cp -a "$host/efi" "$host/var" "$tmp/kept/"
	next_image
	cp --sparse=always "$tmp/kept/root.img" "$image"
	mount -o loop "$image" "$host/sysroot"
}

restore_disk()
{
	umount "$host/sysroot"
	rm -rf "${host:?}/efi" "${host:?}/var"
	next_image
	cp --sparse=always "$tmp/kept/root.img" "$image"
	cp -a "$tmp/kept/efi" "$tmp/kept/var" "$host/"
	mount -o loop "$image" "$host/sysroot"
}

# boots COMMIT: this is what runs now.
boots()
{
	echo "BOOT_IMAGE=x root=PARTLABEL=ashlar-root ro ostree=/ostree/by-commit/$1.0" >"$host/proc/cmdline"
}

# ---- staging

# stage_objects VERSION
stage_objects()
{
	[ -d "$staging/repo" ] || ostree --repo="$staging/repo" init --mode=archive
	ostree --repo="$staging/repo" pull-local --disable-fsync "$releases" "${commit_of[$1]}" >/dev/null
}

# stage_delta TO FROM
stage_delta()
{
	mkdir -p "$staging/deltas"
	cp "$tmp/deltas/${commit_of[$1]}-${commit_of[$2]}.delta" "$staging/deltas/"
}

# ---- the worker

# job VERB JSON: the last line that it prints, in $answer too.
job()
{
	local code=0
	printf '%s' "$2" | "$worker" --root "$host" "$1" >"$tmp/job" 2>"$tmp/job.err" || code=$?
	answer=$(tail -n 1 "$tmp/job")
	printf '%s\n' "$answer"
	return "$code"
}

# update VERSION FROM: plan, import and deploy as ashlard would, with all that is needed in staging.
update()
{
	local document=$3 method delta
	job plan "{\"release\":$document}" || return
	method=$(jq -r .result.method <<<"$answer")
	delta=$(jq -c .result.delta <<<"$answer")
	job import "{\"release\":$document,\"method\":\"$method\",\"delta\":$delta}" || return
	job deploy "{\"release\":$document,\"tries\":3}"
}

# ---- the boot loader

# boot_choice: the entries as systemd-boot orders them, the first that has tries and a kernel. Prints
# COMMIT, or what is wrong with what it would boot.
boot_choice()
{
	local file name left key link commit tree part
	file=$(for file in "$entries"/*.conf; do
		name=${file##*/}
		left=1
		[[ ! $name =~ \+([0-9]+)(-[0-9]+)?\.conf$ ]] || left=${BASH_REMATCH[1]}
		key=$(sed -n 's/^sort-key //p' "$file")
		[ -e "$host/efi$(sed -n 's/^linux //p' "$file")" ] || continue
		printf '%d %s %s\n' "$((left == 0))" "$key" "$file"
	done | sort | sed -n '1s/^[^ ]* [^ ]* //p')
	[ -n "$file" ] || { echo "no entry"; return 1; }
	link=$(sed -n 's/^options .*ostree=//p' "$file")
	commit=${link##*/}
	commit=${commit%.*}
	tree=$(readlink -e "$host/sysroot$link") || { echo "$file: no tree at $link"; return 1; }
	[ -d "$tree/etc" ] || { echo "$file: no /etc"; return 1; }
	for part in linux:vmlinuz initrd:initramfs.img; do
		cmp -s "$host/efi$(sed -n "s/^${part%%:*} //p" "$file")" \
			<(ostree --repo="$releases" cat "$commit" "/usr/lib/modules/6.1/${part#*:}") ||
			{ echo "$file: ${part#*:} is not the commit's"; return 1; }
	done
	diff -r "$tree/usr" "$(reference "$commit")/usr" >/dev/null ||
		{ echo "$file: /usr is not the commit's"; return 1; }
	echo "$commit"
}

# A checkout to compare with.
reference()
{
	[ -d "$tmp/reference/$1" ] || {
		mkdir -p "$tmp/reference"
		ostree --repo="$releases" checkout -H "$1" "$tmp/reference/$1"
	}
	echo "$tmp/reference/$1"
}
