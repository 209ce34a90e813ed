# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of ashlar-launch: a small image, and launches of it. After tests/lib/tap.sh.

# shellcheck disable=SC2154
launcher=$ashlar_bin/ashlar-launch
work_root=$tmp/root
work_base=1310720

# work_image PROGRAM…: a tree with these programs of this machine and what they are linked with.
work_image()
{
	local program file
	mkdir -p "$work_root"/{bin,etc,sbin,srv,usr/bin}
	ln -sfn /run "$work_root/etc/link"
	echo 'root:x:0:0::/:/bin/sh' >"$work_root/etc/passwd"
	echo secret >"$work_root/etc/shadow"
	chmod 600 "$work_root/etc/shadow"
	cp build/escape "$work_root/bin/"
	for program in "$@"; do
		file=$(type -P "$program")
		cp -L "$file" "$work_root/bin/$program"
		ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
			install -D -m 755 "$library" "$work_root$library"
		done
	done
}

# work_make NAME CLASS JSON COMMAND…: writes the launch; JSON is laid over it.
work_make()
{
	local name=$1 class=$2 over=$3
	shift 3
	mkdir -p "$tmp/run/$name"
	jq -n --arg name "$name" --arg class "$class" --arg dir "$tmp/run/$name" --arg root "$work_root" \
		--arg cache "$tmp/cache" --argjson base "$work_base" --argjson over "$over" \
		'{instance: $name, dir: $dir, root: $root, cache: $cache, isolation: $class,
		command: $ARGS.positional, environment: ["PATH=/bin"], uid_base: $base,
		disk_bytes: 1048576, tasks: 64, descriptors: 256} + $over' \
		--args -- "$@" >"$tmp/run/$name/launch.json"
}

# work_run NAME CLASS JSON COMMAND…: makes and runs it.
work_run()
{
	work_make "$@"
	timeout -k 5 60 "$launcher" "$tmp/run/$1"
}

# work_start …: in the background; waits until the command runs. Its number is in $work_pid.
work_start()
{
	work_make "$@"
	rm -f "$tmp/run/$1"/{pid,exit}
	"$launcher" "$tmp/run/$1" >"$tmp/run/$1/out" 2>"$tmp/run/$1/err" </dev/null &
	work_pid=$!
	for _ in {1..200}; do
		if [ -s "$tmp/run/$1/pid" ] || [ ! -d "/proc/$work_pid" ]; then break; fi
		read -rt 0.05 <> <(:) || :
	done
}
