// SPDX-License-Identifier: Apache-2.0
// Values as words. PURE, but for the clock that age() is given by default.

const number = new Intl.NumberFormat("en");
export const count = (n) => number.format(n ?? 0);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export function percent(part, whole) {
	if (!whole) return "0 %";
	const p = (100 * part) / whole;
	if (p === 0 || p >= 99.995) return `${Math.round(p)} %`;
	// Nearly all is not all, and a few are not none.
	return p < 0.1 ? "< 0.1 %" : `${p > 99 ? Math.floor(p * 10) / 10 : p < 10 ? p.toFixed(1) : Math.round(p)} %`;
}

export function ordinal(n) {
	const tail = n % 100 > 10 && n % 100 < 14 ? 0 : n % 10;
	return `${count(n)}${["th", "st", "nd", "rd"][tail] || "th"}`;
}

export function duration(s) {
	if (s < 0) s = 0;
	if (s < 60) return `${Math.round(s)} s`;
	if (s < 3600) return `${Math.round(s / 60)} min`;
	if (s < 86400) return s % 3600 < 1800 || s > 36000 ? `${Math.round(s / 3600)} h` : `${(s / 3600).toFixed(1)} h`;
	return plural(Math.round(s / 86400), "day");
}

// The fleet's times are seconds, a host's own reports have RFC 3339.
export function seconds(at) {
	if (typeof at === "number") return at;
	const ms = Date.parse(at);
	return Number.isNaN(ms) ? 0 : ms / 1000;
}

export function age(at, now = Date.now() / 1000) {
	const s = now - seconds(at);
	if (s < -5) return `in ${duration(-s)}`;
	return s < 5 ? "now" : `${duration(s)} ago`;
}

const clock = new Intl.DateTimeFormat("en-GB", {
	year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});
export const moment = (at) => clock.format(new Date(seconds(at) * 1000));

export function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
	return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

// A score of exposure comes in tenths, 0 to 100.
export const tenths = (score) => `${((score || 0) / 10).toFixed(1)} of 10`;

export const short = (digest) => (digest || "").slice(0, 12);

// Healths in the order of a bar: what is well first. Outcomes of a host in a rollout likewise.
export const HEALTHS = ["good", "updating", "degraded", "bad", "silent", "unknown"];
export const OUTCOMES = ["confirmed", "already", "offered", "assigned", "failed", "silent", "returned", "withdrawn", "waiting", "gone"];
export const OUTCOME_WORDS = {
	confirmed: "booted it and stayed healthy",
	already: "ran it before its turn",
	offered: "was offered it; no result yet",
	assigned: "is to get it at its next check-in",
	failed: "said that it failed, or came back with another",
	silent: "not heard of by its deadline",
	returned: "went back",
	withdrawn: "did not come for it in time",
	waiting: "its ring has not begun",
	gone: "left before it was offered",
};
// The colour of an outcome or a rollout's state is the one of a health.
export const TONE = {
	confirmed: "good", already: "already", offered: "updating", assigned: "assigned", failed: "bad", silent: "silent",
	returned: "degraded", withdrawn: "unknown", waiting: "waiting", gone: "unknown",
	starting: "updating", running: "updating", paused: "degraded", halted: "bad", reverting: "degraded", reverted: "silent", finished: "good", cancelled: "silent",
	active: "good", pending: "degraded", held: "bad", retired: "silent",
	open: "updating", done: "good", dropped: "silent",
	"up to date": "good", waiting_: "updating", working: "updating", refused: "bad", stuck: "bad",
	ready: "good", "not ready": "degraded", stopped: "silent", stopping: "degraded", backoff: "bad", missing: "bad",
	delivered: "good", "given-up": "bad",
};
export const tone = (word) => TONE[word] || word;

// "at 256 hosts, the 10th failure stops it"
export function limits(table) {
	if (!table?.length) return "";
	return table.map(([m, f]) => f > m ? `within the first ${count(m)}, failures alone do not stop it`
		: `at ${plural(m, "host")}, the ${ordinal(f)} failure stops it`).join("; ");
}

// {"site":"bern"} ⇄ "site=bern, rack=2"
export const labels = (map) => Object.entries(map || {}).map(([k, v]) => (v === "" ? k : `${k}=${v}`)).join(", ");
export function readLabels(text) {
	const map = {};
	for (const item of text.split(/[,\n]/).map((s) => s.trim()).filter(Boolean)) {
		const cut = item.indexOf("=");
		map[(cut < 0 ? item : item.slice(0, cut)).trim()] = cut < 0 ? "" : item.slice(cut + 1).trim();
	}
	return map;
}

export const quote = (value) => (/^[\w.\-:/+@]+$/.test(value) ? value : `"${String(value).replace(/(["\\])/g, "\\$1")}"`);
export const both = (a, b) => (!a || a === "all" ? b : !b || b === "all" ? a : `(${a}) and (${b})`);
