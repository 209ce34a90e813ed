#!/bin/bash
# needs: root nspawn dpkg-deb ostree
# SPDX-License-Identifier: Apache-2.0
# Whatever a maintainer script does to files of other packages, the cache keeps them as they were.
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/tiny.sh

# Files for a script to spoil, one a way.
tiny_init
new_files
for way in append truncate chmod chown rename hardlink delete utime; do
	install -D -m 644 /dev/stdin "$files/usr/share/victim/$way" <<<"victim $way"
done
mkdir "$files/usr/share/victim/dir"
echo inside >"$files/usr/share/victim/dir/file"
tiny victim 1

new_files
script postinst <<'END'
cd /usr/share/victim
echo more >>append
truncate -s 0 truncate
chmod 600 chmod
chown 1:2 chown
echo other >new
mv new rename
ln -f hardlink hardlink2
echo through >>hardlink2
rm delete
rm -r dir
echo "now a file" >dir
touch -d @1 utime
: >/usr/share/base/text
chmod 000 /usr/bin/true
END
tiny spoiler 1 'Depends: victim'

# ---- what it is without the spoiler

manifest 'packages: [victim]'
ok "a build" build
is "imports its packages" "$(imported)" 2
before=$(commit_of)
# What fsck does not see: times and numbers of links are no part of an object's name.
objects()
{
	find "$cache/repo/objects" -name '*.file' -printf '%P %s %m %U %G %T@\n' | sort
}
objects >"$tmp/objects"

# ---- with it

manifest 'packages: [spoiler]'
ok "a build with a package whose script writes into others' files" build
is "imports the one that is new" "$(imported)" 1
is "append" "$(cat_file /usr/share/victim/append)" $'victim append\nmore'
is "truncate" "$(cat_file /usr/share/victim/truncate)" ""
like "chmod" "$(list_file /usr/share/victim/chmod)" '^-00600 0 0 '
like "chown" "$(list_file /usr/share/victim/chown)" '^-00644 1 2 '
is "rename over" "$(cat_file /usr/share/victim/rename)" "other"
is "write through a hard link" "$(cat_file /usr/share/victim/hardlink)" $'victim hardlink\nthrough'
is "... its other name" "$(cat_file /usr/share/victim/hardlink2)" $'victim hardlink\nthrough'
exits 1 "delete" ostree --repo="$repo" cat workload/tiny/"$archive_arch" /usr/share/victim/delete

ok "again" build
is "is unchanged" "$(imported)" 0
is "a directory turned into a file" "$(cat_file /usr/share/victim/dir)" "now a file"
is "a file of the base" "$(cat_file /usr/share/base/text)" ""
like "a program of the base" "$(list_file /usr/bin/true)" '^-00000 0 0 '

# ---- the cache

ok "every object of the cache is what its name says" ostree --repo="$cache/repo" fsck --quiet
empty "none that was there before was touched" "$(objects | comm -13 - "$tmp/objects")"
ok "the output is sound too" ostree --repo="$repo" fsck --quiet
manifest 'packages: [victim]'
ok "without that package" build
is "it is what it was" "$(commit_of)" "$before"
ok "with all steps taken again" build --fresh
is "too" "$(commit_of)" "$before"
is "from the packages in the cache" "$(imported)" 0
empty "nothing is left in scratch/" "$(ls -A "$cache/scratch")"

# ---- an upgrade of one package

new_files
echo new >"$files/new"
mkdir -p "$files/usr/share/victim"
mv "$files/new" "$files/usr/share/victim/new"
tiny victim 2
ok "a newer version" relock victim
ok "a build with it" build
is "imports that one package" "$(imported)" 1
is "and has it" "$(cat_file /usr/share/victim/new)" new

done_testing
