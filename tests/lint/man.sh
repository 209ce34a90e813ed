#!/bin/bash
# needs: scdoc
# SPDX-License-Identifier: Apache-2.0
# What a program says of itself, its manual and its completion have to agree.
. tests/lib/tap.sh

for page in docs/man/*.scd; do
	ok "scdoc takes $page" scdoc <"$page"
done

page=docs/man/ashlar.1.scd
# section NAME: the text below a heading up to the next.
section()
{
	awk -v name="$1" '/^#/ {inside = ($0 ~ "^#+ " name "$"); next} inside' $page
}

# agrees NAME SECTION…: the help in $tmp/out fits a terminal and its options are in those sections.
agrees()
{
	local name=$1 option missing='' text=''
	shift
	ok "$name: help fits 80 columns" test "$(wc -L <"$tmp/help")" -le 80
	for option; do
		text+=$(section "$option")
	done
	for option in $(grep -oE '(^|[ ,])--[a-z][a-z-]*' "$tmp/help" | sort -u); do
		grep -qF -- "*$option*" <<<"$text" || missing+=" $option"
	done
	empty "$name: every option is in the manual" "$missing"
}

ok "the overview" "$ashlar" --help
cp "$tmp/out" "$tmp/help"
ok "overview: help fits 80 columns" test "$(wc -L <"$tmp/help")" -le 80
mapfile -t verbs < <(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$tmp/help")
for verb in "${verbs[@]}"; do
	ok "$verb --help" "$ashlar" "$verb" --help
	cp "$tmp/out" "$tmp/help"
	empty "$verb: nothing on standard error" "$(cat "$tmp/err")"
	ok "$verb: has a section in the manual" grep -qx "## $verb" $page
	agrees "$verb" "$verb" "COMMON OPTIONS"
done
documented=$(sed -n 's/^## \([a-z]*\)$/\1/p' $page | sort | xargs)
is "the manual has no verb that the program lacks" "$documented" \
	"$(printf '%s\n' "${verbs[@]}" completion | sort | xargs)"

exits 2 "an unknown option is refused" "$ashlar" "${verbs[0]:-lock}" --no-such-option
empty "on standard error" "$(cat "$tmp/out")"

ok "completion is printed" "$ashlar" completion bash
cp "$tmp/out" "$tmp/completion"
ok "completion is bash" bash -n "$tmp/completion"
# complete WORD…: what is offered for the last of them.
complete_words()
{
	bash -c '. "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ashlar
		echo "${COMPREPLY[*]}"' - "$tmp/completion" "$@"
}
for verb in "${verbs[@]}"; do
	like "completion offers $verb" "$(complete_words ashlar "${verb%?}")" "(^| )$verb( |$)"
	like "and its options" "$(complete_words ashlar "$verb" --he)" '^--help$'
done

# Programs without a table of verbs: each option of --help is somewhere in the page of the program.
for page in docs/man/*.[18].scd; do
	program=$(basename "$page" | sed 's/\.[18]\.scd$//')
	if [ "$program" = ashlar ] || ! [ -x "$ashlar_bin/$program" ]; then
		continue
	fi
	ok "$program --help" "$ashlar_bin/$program" --help
	cp "$tmp/out" "$tmp/help"
	ok "$program: help fits 80 columns" test "$(wc -L <"$tmp/help")" -le 80
	missing=
	for option in $(grep -oE '(^|[ ,[])--[a-z][a-z-]*' "$tmp/help" | tr -d ' ,[' | sort -u); do
		grep -qF -- "*$option*" "$page" || missing+=" $option"
	done
	empty "$program: every option is in the manual" "$missing"
done

done_testing
