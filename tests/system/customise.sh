#!/bin/bash
# needs: root nspawn dpkg-deb ostree
# SPDX-License-Identifier: Apache-2.0
# What a manifest adds to a tree, changes and takes away, seen in the commit.
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/tiny.sh

tiny_init

# unit NAME LINE…: into the next package.
unit()
{
	local name=$1
	shift
	mkdir -p "$files/usr/lib/systemd/system"
	printf '%s\n' "$@" >"$files/usr/lib/systemd/system/$name"
}

new_files
for name in web db cache; do
	unit $name.service '[Service]' "ExecStart=/usr/bin/$name" '[Install]' 'WantedBy=multi-user.target'
done
unit web.service '[Service]' 'ExecStart=/usr/bin/web' '[Install]' 'WantedBy=multi-user.target' \
	'Alias=www.service' 'Also=web.socket'
unit web.socket '[Socket]' 'ListenStream=80' '[Install]' 'WantedBy=sockets.target'
unit log@.service '[Service]' 'ExecStart=/usr/bin/log %i' '[Install]' 'WantedBy=multi-user.target' \
	'DefaultInstance=main'
unit static.service '[Service]' 'ExecStart=/usr/bin/static'
unit rescue.target '[Unit]' 'Description=Rescue'
mkdir -p "$files/usr/share/doc/services" "$files/etc/services.d" "$files/usr/bin" "$files/var/lib/services"
echo copyright >"$files/usr/share/doc/services/copyright"
echo long >"$files/usr/share/doc/services/manual"
echo conf >"$files/etc/services.d/conf"
printf '#!/bin/sh\n' >"$files/usr/bin/web"
chmod 4755 "$files/usr/bin/web"
tiny services 1
mkdir -p "$files/usr/share/tools/deep" "$files/usr/share/doc/tools" "$files/usr/bin" "$files/usr/games"
echo game >"$files/usr/games/game"
echo tool >"$files/usr/share/tools/deep/data"
echo keep >"$files/usr/share/tools/kept"
echo copyright >"$files/usr/share/doc/tools/copyright"
printf '#!/bin/sh\n' >"$files/usr/bin/tool"
tiny tools 1
echo "from a source file" >"$tmp/source.txt"
printf '#!/bin/sh\nexit 0\n' >"$tmp/run-me"
chmod 755 "$tmp/run-me"

# of MANIFEST-LINE…: builds it.
build_of()
{
	local name=$1
	shift
	manifest 'packages: [services, tools]' "$@"
	ok "$name" build
}

# link PATH: its target in the commit, or nothing.
link()
{
	list_file "$1" 2>/dev/null | sed -n 's/.* -> //p'
}

# ---- files

build_of "files" 'hostname: edge' 'files:' \
	'  - {path: /etc/app/conf, content: "one\n", mode: "0640", group: adm}' \
	"  - {path: /usr/share/app/text, source: source.txt}" \
	"  - {path: /usr/libexec/run-me, source: run-me}" \
	'  - {path: /usr/share/app/link, link: ../other}' \
	'  - {path: /usr/share/app/dir, directory: true, mode: "01777", user: nobody}' \
	'  - {path: /bin/through, content: "x"}' \
	'  - {path: /usr/bin/web, content: "replaced"}'
is "content" "$(cat_file /etc/app/conf)" one
like "mode and group" "$(list_file /etc/app/conf)" '^-00640 0 4 '
is "content of a source file" "$(cat_file /usr/share/app/text)" "from a source file"
like "that can be executed" "$(list_file /usr/libexec/run-me)" '^-00755 0 0 '
is "a link" "$(link /usr/share/app/link)" ../other
like "a directory" "$(list_file /usr/share/app/dir)" '^d01777 65534 0 '
is "a path through a link lands behind it" "$(cat_file /usr/bin/through)" x
is "... and the link stays" "$(link /bin)" usr/bin
is "a package's file is replaced" "$(cat_file /usr/bin/web)" replaced
like "... with its mode" "$(list_file /usr/bin/web)" '^-00644 0 0 '
is "the host's name" "$(cat_file /etc/hostname)" edge
manifest 'packages: [services]' 'files:' '  - {path: /etc/x, content: "", user: nobdy}'
exits 3 "a file of an unknown user" build
stderr_like "is an error with position and suggestion" "tiny\.yaml:6:[0-9]+: the image has no user 'nobdy'.*nobody"
manifest 'packages: [services]' 'files:' '  - {path: /usr/bin/web/x, content: ""}'
exits 3 "a file below a file" build
stderr_like "is an error with its position" "tiny\.yaml:6:"

# ---- users and groups

build_of "users and groups" 'groups:' '  - {name: shared, gid: 400}' 'users:' \
	'  - {name: app, uid: 990, home: /var/lib/app, summary: An app, groups: [adm, shared]}' \
	'  - {name: helper}' 'files:' '  - {path: /etc/app.conf, content: "", user: app, group: shared}'
like "passwd" "$(cat_file /etc/passwd)" '^app:x:990:990:An app:/var/lib/app:/usr/sbin/nologin$'
like "the largest free number" "$(cat_file /etc/passwd)" '^helper:x:999:999:'
like "shadow: locked" "$(cat_file /etc/shadow)" '^app:!\*:'
like "shadow is not for all" "$(list_file /etc/shadow)" '^-006[04]0 0 '
like "group" "$(cat_file /etc/group)" '^shared:x:400:app$'
like "member of a group of the image" "$(cat_file /etc/group)" '^adm:x:4:app$'
like "a file of theirs" "$(list_file /etc/app.conf)" '^-00644 990 400 '
like "sysusers.d" "$(cat_file /usr/lib/sysusers.d/50-ashlar-manifest.conf)" '^u app 990:990 "An app" /var/lib/app '
manifest 'packages: [services]' 'users:' '  - {name: app, uid: 65534}'
exits 3 "a number that is taken" build
stderr_like "says by whom" "tiny\.yaml:6:.*'app' cannot have the number 65534: it is 'nobody'"

# ---- units

wants=/etc/systemd/system/multi-user.target.wants
build_of "units" 'default-target: rescue.target' 'units:' \
	'  - {name: web.service, enable: true}' \
	'  - {name: log@one.service, enable: true}' \
	'  - {name: db.service, mask: true}' \
	'  - name: own.service' '    enable: true' '    content: |' '      [Service]' \
	'      ExecStart=/usr/bin/own' '      [Install]' '      WantedBy=multi-user.target' \
	'    dropins:' '      - {name: 10-limits.conf, content: "[Service]\n"}'
is "enabled" "$(link $wants/web.service)" /usr/lib/systemd/system/web.service
is "with its alias" "$(link /etc/systemd/system/www.service)" /usr/lib/systemd/system/web.service
is "and what goes along" "$(link /etc/systemd/system/sockets.target.wants/web.socket)" \
	/usr/lib/systemd/system/web.socket
is "an instance" "$(link $wants/log@one.service)" /usr/lib/systemd/system/log@.service
is "masked" "$(link /etc/systemd/system/db.service)" /dev/null
is "an own unit" "$(link $wants/own.service)" /usr/lib/systemd/system/own.service
is "its drop-in" "$(cat_file /usr/lib/systemd/system/own.service.d/10-limits.conf)" "[Service]"
is "not asked for, not enabled" "$(link $wants/cache.service)" ""
is "the default target" "$(link /etc/systemd/system/default.target)" /usr/lib/systemd/system/rescue.target

build_of "a unit that its drop-in says how to enable" 'units:' '  - name: static.service' '    enable: true' \
	'    dropins:' '      - {name: 10-install.conf, content: "[Install]\nWantedBy=multi-user.target\n"}'
is "is enabled" "$(link $wants/static.service)" /usr/lib/systemd/system/static.service

build_of "presets" 'presets: ["enable cache.service", "disable *"]' 'units:' \
	'  - {name: db.service, enable: true}'
is "what they enable" "$(link $wants/cache.service)" /usr/lib/systemd/system/cache.service
is "what they disable" "$(link $wants/web.service)" ""
is "units: has the last word" "$(link $wants/db.service)" /usr/lib/systemd/system/db.service
like "they are in the image" "$(cat_file /usr/lib/systemd/system-preset/10-ashlar-manifest.preset)" '^disable \*$'

manifest 'packages: [services]' 'units:' '  - {name: wbe.service, enable: true}'
exits 3 "an unknown unit" build
stderr_like "with suggestion" "tiny\.yaml:6:.*no unit 'wbe\.service'.*web\.service"
manifest 'packages: [services]' 'units:' '  - {name: static.service, enable: true}'
exits 3 "a unit that cannot be enabled" build
stderr_like "says why" "no \[Install\] section"
manifest 'packages: [services]' 'default-target: nowhere.target'
exits 3 "a default target that is not there" build
stderr_like "is named" "no unit 'nowhere\.target'"

# ---- removals

build_of "removals" 'remove:' '  packages: [tools]' '  paths: ["/usr/share/doc/**", /etc/services.d]' \
	'keep: ["/usr/share/doc/*/copyright", /usr/share/tools/kept]'
exits 1 "a file of a removed package is gone" list_file /usr/bin/tool
exits 1 "and its own empty directory" list_file /usr/share/tools/deep
ok "but not what is kept" list_file /usr/share/tools/kept
ok "nor the kept copyright" list_file /usr/share/doc/tools/copyright
ok "of the other package" list_file /usr/share/doc/services/copyright
exits 1 "a path that matches is gone" list_file /usr/share/doc/services/manual
exits 1 "a directory with all in it" list_file /etc/services.d
ok "the rest is there" list_file /usr/bin/web
exits 1 "so is a game" list_file /usr/games/game
ok "but directories that every system has stay" list_file /usr/games
manifest 'packages: [services]' 'remove:' '  paths: [/usr/share/nothing]'
exits 3 "a removal that matches nothing" build
stderr_like "is an error" "'/usr/share/nothing' is not in the image"
manifest 'packages: [services]' 'remove:' '  packages: [nobody-has-it]'
exits 3 "of a package too" build
stderr_like "is an error" "'nobody-has-it' is not among the packages"

# ---- postprocess

echo host >"$tmp/outside"
build_of "postprocess scripts" 'files:' '  - {path: /etc/of-manifest, content: "there\n"}' 'postprocess:' \
	'  - name: first' '    content: |' \
	'      cat /proc/net/dev >/etc/seen-network' \
	'      cat /etc/of-manifest >/etc/seen-file' \
	"      ls -d $tmp /work /root/.ssh /var/tmp/ash-* >/etc/seen-outside 2>&1 || true" \
	"      mkdir -p $tmp; echo sandbox >$tmp/outside" \
	'      echo x >>/usr/share/doc/services/copyright; rm /usr/share/doc/services/manual' \
	'      echo x >/ashlar/0 2>/dev/null && echo writable >/etc/seen-writable; id -u >/etc/seen-id' \
	'      env >/etc/seen-env; mknod /etc/device c 1 3 || true; echo x >/tmp/left' \
	'  - name: second' '    content: |' '      #!/bin/sh' '      cat /etc/seen-id >/etc/seen-order'
is "no network but loopback" "$(cat_file /etc/seen-network | sed -n 's/^ *\([^ :]*\):.*/\1/p' | xargs)" lo
is "they see the manifest's files" "$(cat_file /etc/seen-file)" there
unlike "they see nothing of the machine" "$(cat_file /etc/seen-outside)" "^/"
is "they write nothing there" "$(cat "$tmp/outside")" host
exits 1 "nor to their own script" list_file /etc/seen-writable
is "they run in order" "$(cat_file /etc/seen-order)" 0
is "what they change is in the commit" "$(cat_file /usr/share/doc/services/copyright)" $'copyright\nx'
exits 1 "what they remove is not" list_file /usr/share/doc/services/manual
exits 1 "nor a device" list_file /etc/device
exits 1 "nor what they leave in /tmp" list_file /tmp/left
unlike "nothing of the user's environment" "$(cat_file /etc/seen-env)" "HOSTNAME|SUDO|ASH_|TERM=xterm"
ok "the cache is sound" ostree --repo="$cache/repo" fsck --quiet

done_testing
