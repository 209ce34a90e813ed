# SPDX-License-Identifier: Apache-2.0
# Readings of builder.sh (slurped) → tables in Markdown.

def median: sort | if length % 2 == 1 then .[(length - 1) / 2]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

def digits($n): . as $x | pow(10; $n) as $p | ($x * $p | round) / $p | tostring;

# Three digits that count, and no finer than a tenth of a thousandth.
def short: if . >= 100 then digits(0) elif . >= 10 then digits(1) elif . >= 1 then digits(2)
	elif . >= 0.1 then digits(3) else digits(4) end;

def spread: if length == 0 then "–" else
	"\(median | short) (\(min | short)–\(max | short)) [\(length)]" end;

def cpu: .user + .sys;

def ratio($base): if $base == null or $base == 0 then "–" else . / $base | short end;

. as $all
| def readings($row; $who): [$all[] | select(.row == $row and .who == $who and .wall != null and .step == null)];
def peer: "mmdebstrap + ostree commit";
def middle($row; $who; f): readings($row; $who) | map(f) | if length == 0 then null else median end;
def line($text; $row; $who; $target):
	readings($row; $who) as $r
	| if ($r | length) == 0 then empty else
	"| \($text) | \($who) | \($r | map(.wall) | spread) | \($r | map(cpu) | spread) | \($r | map(.wall) | median | ratio(middle("1"; peer; .wall))) | \($r | map(cpu) | median | ratio(middle("1"; peer; cpu))) | \($target) |"
	end;
def steps($row; $who; $own):
	[$all[] | select(.row == $row and .who == $who and .step != null)] as $s
	| if ($s | length) == 0 then empty else
	"", "Steps of row \($row), \($who):", "",
	"| step | wall s | CPU s of \($own) | CPU s of children that ended |", "|---|---|---|---|",
	((reduce $s[].step as $x ([]; if index($x) then . else . + [$x] end))[] as $step
		| [$s[] | select(.step == $step)]
		| "| \($step) | \(map(.wall) | spread) | \(map(.own) | spread) | \(map(.children) | spread) |")
	end;
def sizes($what; $target):
	[$all[] | select(.what == $what)] as $s
	| if ($s | length) < 2 then empty else
	"| \($what) | \($s[0].bytes / 1e6 | short) | \($s[1].bytes / 1e6 | short) | \($s[1].bytes / $s[0].bytes | short) | \($target) |"
	end;

"",
"median (least–most) [readings]; CPU: user + system of the command and all that it starts; load average before a reading: \([$all[] | .load | select(. != null)] | spread).",
(if any($all[]; .row == "1" or .row == "2" or .row == "3" or .row == "4") then
"",
"| figure | who | wall s | CPU s | wall ratio | CPU ratio | target |",
"|---|---|---|---|---|---|---|",
line("1 whole build"; "1"; peer; "yardstick"),
line("1 whole build"; "1"; "ashlar"; "0.25 wall, 0.35 CPU"),
line("1 whole build"; "1"; "ashlar, dracut"; "–"),
line("2 one package changed"; "2"; "ashlar"; "0.1"),
line("3 a file changed"; "3"; "ashlar"; "0.03"),
line("4 nothing changed"; "4"; "ashlar"; "0.002")
else empty end),
(readings("5"; "libsolv, parsing only") as $parse | if ($parse | length) == 0 then empty else
"",
"| 5 solving | wall s | CPU s | CPU over libsolv's parsing | CPU over ashlar's parsing | target |",
"|---|---|---|---|---|---|",
("libsolv, parsing only", "ashlar lock, parsing", "ashlar lock, cached") as $who
	| readings("5"; $who)
	| "| \($who) | \(map(.wall) | spread) | \(map(cpu) | spread) | \(map(cpu) | median | ratio(middle("5"; "libsolv, parsing only"; cpu))) | \(map(cpu) | median | ratio(middle("5"; "ashlar lock, parsing"; cpu))) | \(if $who == "ashlar lock, cached" then "0.35" else "–" end) |"
end),
(readings("1"; "ashlar") as $build | if ($build | length) == 0 then empty else
"",
"| of row 1 | measured | target |",
"|---|---|---|",
"| 6 peak memory of ashlar itself, MB | \($build | map(.peak_kb * 1024 / 1e6) | spread) | 200 |",
([$all[] | select(.row == "1" and .who == "ashlar" and .step == "import") | select(.wall > 0) | .own / .wall] as $busy
	| if ($busy | length) == 0 then empty else
	"| 7 processors that the import kept busy | \($busy | spread) | both |" end)
end),
(("1", "2", "3") as $row | ("ashlar", "ashlar, dracut") as $who | steps($row; $who; "ashlar")),
(if any($all[]; .row == "8") then
"",
"| 8 size, MB (10^6) | REF by mmdebstrap | ashlar's host | ratio | target |",
"|---|---|---|---|---|",
sizes("files of the tree"; "–"),
sizes("squashfs, zstd -9"; "0.5"),
sizes("qcow2, zstd"; "0.5"),
sizes("initramfs as stored"; "0.6"),
sizes("initramfs by zstd -3"; "0.6"),
"",
"| 8 boot to up | wall s | CPU s of the machine | wall ratio | CPU ratio | target |",
"|---|---|---|---|---|---|",
(("REF by mmdebstrap", "ashlar's host") as $who
	| readings("8"; $who) | select(length > 0)
	| "| \($who) | \(map(.wall) | spread) | \(map(.own) | spread) | \(map(.wall) | median | ratio(middle("8"; "REF by mmdebstrap"; .wall))) | \(map(.own) | median | ratio(middle("8"; "REF by mmdebstrap"; .own))) | \(if $who == "REF by mmdebstrap" then "yardstick" else "0.5" end) |"),
(("REF by mmdebstrap", "ashlar's host") as $who | steps("8"; $who; "the machine"))
else empty end)
