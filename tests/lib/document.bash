# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154
# Does what a document says, as written: sourced behind tests/lib/tap.sh. A command is a line that is indented by a tab
# or four spaces (what stands between fences is shown, not done), with its here-document. What begins with `ashlarctl` is
# typed at the console of the host that `ashlar run` of the same document has started; `make` runs in this tree, all else in a
# copy of it whose build/ is this one.
#
#	document_begin FILE
#	document_follow "## TITLE"       its commands, each a test; with document_wants[COMMAND] another exit code than 0
#	document_host SECONDS COMMAND    at the console; its output in $host_out
#	document_tree                    the copy
#
# document_leaves[COMMAND]=FUNCTION: the host goes down by it and comes up again; FUNCTION waits until it has settled.

document_tree=$tmp/clone
document_console=$tmp/console
document_seconds=${document_seconds:-900}
host_out=
declare -A document_wants document_leaves

# Removed with it: what it started, each by its own id.
document_end()
{
	local pid
	[ ! -e "$tmp/pids" ] || while read -r pid; do kill "$pid"; done <"$tmp/pids"
}

document_begin()
{
	document_file=$1
	mkdir "$document_tree"
	git ls-files -z | xargs -0 cp -a --parents -t "$document_tree" || return
	ln -s "$PWD/build" "$document_tree/build"
	mkfifo "$tmp/keyboard"
	: >"$tmp/pids"
	: >"$document_console"
	at_exit+=(document_end)
}

# document_commands TITLE: those of a section, each followed by a NUL
document_commands()
{
	awk -v title="$1" '
		/^#+ / { inside = $0 == title; next }
		!inside { next }
		/^```/ { fenced = !fenced }
		fenced { next }
		!/^(\t|    )/ { if (until == "" || $0 != "") next }
		{
			sub(/^(\t|    )/, "")
			text = text $0 "\n"
			if (until == "" && match($0, /<<\047?[A-Z]+/)) {
				until = substr($0, RSTART, RLENGTH)
				gsub(/[<\047]/, "", until)
			} else if (until == $0)
				until = ""
			if (until == "" && $0 !~ /\\$/) { printf "%s%c", text, 0; text = "" }
		}' "$document_file"
}

# The last of what the console has shown since $1 bytes, without what is for terminals.
document_shown()
{
	tail -c "+$(($1 + 1))" "$document_console" | tr -d '\r\000' | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g'
}

# document_shows BYTES PATTERN SECONDS: until the console shows that behind BYTES
document_shows()
{
	local end=$((SECONDS + $3))
	until document_shown "$1" | grep -aqE "$2"; do
		((SECONDS < end)) || return 124
		sleep 0.3
	done
}

# The variant "debug" has a shell on the console.
document_prompt()
{
	document_shows "$1" 'bash-[0-9.]+# ?$' "$document_seconds"
}

document_host()
{
	local from mark=E$RANDOM$RANDOM
	from=$(stat -c %s "$document_console")
	# What is echoed has the mark in two parts.
	printf '%s\necho "%s""%s=$?"\n' "$2" "${mark:0:2}" "${mark:2}" >"$tmp/keyboard"
	document_shows "$from" "^$mark=[0-9]+" "$1" || return
	host_out=$(document_shown "$from" | tail -n +2 | sed "/^.*\"$mark/d; /\"${mark:0:2}\"\"/d")
	local code=${host_out##*"$mark="}
	host_out=${host_out%"$mark="*}
	return "${code%%[!0-9]*}"
}

document_run_host()
{
	# A terminal of its own, as a person has one.
	(cd "$document_tree" && exec setsid script -qfec "$1" "$document_console" <>"$tmp/keyboard" >/dev/null 2>&1) &
	echo $! >>"$tmp/pids"
	document_prompt 0
}

# document_do COMMAND
document_do()
{
	local command=$1 from where=$document_tree
	[[ ! $command =~ ^(sudo )?make\  ]] || where=$PWD
	case $command in
	ashlarctl*)
		from=$(stat -c %s "$document_console")
		if [ -n "${document_leaves[$command]:-}" ]; then
			printf '%s\n' "$command" >"$tmp/keyboard"
			document_shows "$from" 'systemd-boot|Booting|BdsDxe|Linux version|reboot: ' "$document_seconds" &&
				document_prompt "$(stat -c %s "$document_console")" &&
				"${document_leaves[$command]}"
			return
		fi
		document_host "$document_seconds" "$command"
		;;
	*"ashlar run "*) document_run_host "$command" ;;
	*)
		(
			sudo() { "$@"; }
			cd "$where" && eval "$command"
			code=$?
			[ -z "${!:-}" ] || echo $! >>"$tmp/pids"
			exit "$code"
		) >"$tmp/out" 2>"$tmp/err" </dev/null
		;;
	esac
}

document_follow()
{
	local command text code name begun
	local -a commands
	mapfile -d '' commands < <(document_commands "$1")
	[ ${#commands[@]} -gt 0 ] || fail "$1: has commands"
	for text in "${commands[@]}"; do
		command=$(sed 's/  *#.*//' <<<"${text%$'\n'}")
		[[ $command == *$'\n'* ]] || text=$command
		name=${text%%$'\n'*}
		begun=$SECONDS
		code=0
		document_do "$text" || code=$?
		[ -z "${DOCUMENT_TIMES:-}" ] || printf '%4d s  %s\n' $((SECONDS - begun)) "$name" >>"$DOCUMENT_TIMES"
		if [ "$code" -eq "${document_wants[$name]:-0}" ]; then
			pass "$name"
		else
			fail "$name" "exit code $code: $(tail -n 20 "$tmp/out" "$tmp/err" 2>/dev/null)
$host_out
$(document_shown 0 | tail -n 5)"
		fi
	done
}
