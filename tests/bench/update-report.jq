# SPDX-License-Identifier: Apache-2.0
# Readings of update.sh (slurped) → tables in Markdown.

def median: sort | if length == 0 then null elif length % 2 == 1 then .[(length - 1) / 2]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

def digits($n): . as $x | pow(10; $n) as $p | ($x * $p | round) / $p | tostring;

def short: if . >= 100 then digits(0) elif . >= 10 then digits(1) elif . >= 1 then digits(2)
	elif . >= 0.1 then digits(3) else digits(4) end;

def spread: if length == 0 then "–" else
	"\(median | short) (\(min | short)–\(max | short)) [\(length)]" end;

def ratio($base): if . == null or $base == null or $base == 0 then "–" else . / $base | short end;

. as $all
| def readings($row; $what; $who): [$all[] | select(.row == $row and .what == $what and .who == $who)];
def those($row; $what): [$all[] | select(.row == $row and .what == $what)];
def names: reduce .[].who as $who ([]; if index($who) then . else . + [$who] end);
def middle($row; $what; $who; f): readings($row; $what; $who) | map(f) | median;

def unprepared: "ostree delta, unprepared tree";
def wire($what; $of; $own):
	those("U"; $what) as $rows
	| if ($rows | length) == 0 then empty else
	"", "| U bytes, \($what): \($of) | MB | requests | ashlar's delta ÷ this | target |", "|---|---|---|---|---|",
	($rows | names[] as $who
		| readings("U"; $what; $who)
		| "| \($who) | \(map(.bytes) | median / 1e6 * 1000 | round / 1000) | \(map(.requests) | median // "–") | \(middle("U"; $what; "ashlar delta"; .bytes) | ratio(middle("U"; $what; $who; .bytes))) | \($own[$who] // "–") |")
	end;
def costs($what; $base):
	those("D"; $what) as $rows
	| if ($rows | length) == 0 then empty else
	($rows | names[] as $who
		| readings("D"; $what; $who)
		| "| \($what) | \($who) | \(map(.wall) | spread) | \(map(.cpu) | spread) | \(map(.peak_kb * 1024 / 1e6) | spread) | \(map(.cpu) | median | ratio(middle("D"; $what; $base; .cpu))) | \(map(.peak_kb) | median | ratio(middle("D"; $what; $base; .peak_kb))) |")
	end;

"",
"median (least–most) [readings]; load average at a reading: \([$all[].load] | spread).",
wire("U"; "security fixes"; {"ostree delta by default, ashlar's tree": "1.0", "ostree delta, unprepared tree": "1.0",
	"ostree delta, unprepared tree, initramfs anew": "1.0"}),
wire("K"; "these and the kernel"; {"ostree delta, unprepared tree": "0.45"}),
(if any($all[]; .row == "D") then
"", "| D delta | who | wall s | CPU s | peak memory, MB | CPU ratio | memory ratio |", "|---|---|---|---|---|---|---|",
costs("make, U"; "ostree, unprepared tree"), costs("make, K"; "ostree, unprepared tree"),
costs("apply, U"; "ostree, unprepared tree"), costs("apply, K"; "ostree, unprepared tree")
else empty end),
(those("M"; "idle") as $rows | if ($rows | length) == 0 then empty else
"", "| M memory | PSS, kB | ratio | target |", "|---|---|---|---|",
($rows | names[] as $who
	| "| \($who) | \($rows | map(select(.who == $who).pss_kb) | spread) | \(middle("M"; "idle"; $who; .pss_kb) | ratio(middle("M"; "idle"; "rauc service"; .pss_kb))) | \(if $who == "ashlard + ashlar-link" then "0.5" else "–" end) |")
end),
([$all[] | select(.row == "M" and .what != "idle")] as $rows | if ($rows | length) == 0 then empty else
"", "| M while updating | who | most resident, MB |", "|---|---|---|",
(("peak, U", "peak, K") as $what | those("M"; $what) | names[] as $who
	| "| \($what) | \($who) | \(readings("M"; $what; $who) | map(.pss_kb * 1024 / 1e6) | spread) |")
end),
(those("W"; "idle") as $rows | if ($rows | length) == 0 then empty else
"", "| W at rest | over s | wake-ups an hour | bytes written a day by the processes | and by a check each hour, on the disk |", "|---|---|---|---|---|",
($rows[] | "| \(.who) | \(.seconds) | \(.switches * 3600 / .seconds | short) | \(.written * 86400 / .seconds | round) | \(if .check_written then .check_written * 24 else "–" end) |")
end),
(if any($all[]; .row == "T") then
"", "| T offered to ready to reboot | who | wall s | ratio |", "|---|---|---|---|",
(("U", "K") as $what | those("T"; $what) as $rows | ($rows | names[] | select(startswith("full"))) as $base
	| $rows | names[] as $who
	| "| \($what) | \($who) | \(readings("T"; $what; $who) | map(.wall) | spread) | \(middle("T"; $what; $who; .wall) | ratio(middle("T"; $what; $base; .wall))) |")
else empty end),
(those("R"; "health") as $rows | if ($rows | length) == 0 then empty else
"", "| R from the end of a trial's deadline to the reboot (ashlard's part only, its start included) | wall s |", "|---|---|",
"| ashlard | \($rows | map(.wall) | spread) |"
end)
