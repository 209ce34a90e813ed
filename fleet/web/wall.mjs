// SPDX-License-Identifier: Apache-2.0
// Proportions as courses of stone: a bar of a fleet's health, and a rollout as a wall that is built from the ground up,
// one course a ring, each stone a host (or an equal share of many).
import { html } from "./base.mjs";
import * as words from "./words.mjs";

// @parts: [[word, n, href?]], in order. Small parts stay visible.
export function Bar({ parts, label, class: extra = "" }) {
	const shown = parts.filter(([, n]) => n > 0);
	const whole = shown.reduce((sum, [, n]) => sum + n, 0);
	const text = shown.map(([word, n]) => `${words.count(n)} ${word}`).join(", ") || "nothing";
	return html`<div class=${`bar ${extra}`} role="img" aria-label=${`${label}: ${text}`}>${shown.map(([word, n]) =>
		html`<i key=${word} class=${`tone-${words.tone(word)}`} title=${`${words.count(n)} ${word}, ${words.percent(n, whole)}`} style=${{ flexGrow: n }}></i>`)}
		${!shown.length && html`<i class="tone-none" style=${{ flexGrow: 1 }}></i>`}</div>`;
}

export function Legend({ parts, href }) {
	const whole = parts.reduce((sum, [, n]) => sum + n, 0);
	return html`<ul class="legend">${parts.map(([word, n]) => html`<li class=${`tone-${words.tone(word)} ${n ? "" : "zero"}`}><i aria-hidden="true"></i>
		${href && n ? html`<a href=${href(word)}><b>${words.count(n)}</b> ${word}</a>` : html`<span><b>${words.count(n)}</b> ${word}</span>`}
		${n > 0 && n < whole && html`<small>${words.percent(n, whole)}</small>`}</li>`)}</ul>`;
}

const STONES = 64;

// So many stones for each outcome that they add up to @stones, and none that is there is left out.
export function share(counts, stones) {
	const there = words.OUTCOMES.filter((o) => counts[o] > 0).map((o) => [o, counts[o]]);
	const whole = there.reduce((sum, [, n]) => sum + n, 0);
	if (!whole) return [];
	if (whole <= stones) return there;
	const parts = there.map(([o, n]) => ({ o, exact: (n * stones) / whole, n: Math.max(1, Math.floor((n * stones) / whole)) }));
	let left = stones - parts.reduce((sum, p) => sum + p.n, 0);
	const order = [...parts].sort((a, b) => b.exact - b.n - (a.exact - a.n));
	for (let i = 0; left > 0; i = (i + 1) % order.length, left--) order[i].n++;
	while (left < 0) {
		const most = parts.reduce((a, b) => (b.n > a.n ? b : a));
		most.n--;
		left++;
	}
	return parts.map((p) => [p.o, p.n]);
}

function Course({ ring, index, now, isSmall }) {
	const size = Object.values(ring.counts).reduce((sum, n) => sum + n, 0);
	const stones = share(ring.counts, isSmall ? 32 : STONES).flatMap(([o, n]) => Array(n).fill(o));
	const text = words.OUTCOMES.filter((o) => ring.counts[o] > 0).map((o) => `${words.count(ring.counts[o])} ${o}`).join(", ");
	return html`<li class=${`course-row ${now ? "is-now" : ""} ${index % 2 ? "odd" : ""}`} title=${`Ring ${ring.ring}: ${text || "no hosts"}`}>
		${!isSmall && html`<span class="course-name">${ring.ring === 0 ? "canaries" : `ring ${ring.ring}`}</span>`}
		<span class="stones" role="img" aria-label=${`Ring ${ring.ring}${now ? ", under way" : ""}: ${text || "no hosts"}`}>${stones.map((o, i) => html`<i key=${i} class=${`tone-${words.tone(o)}`}></i>`)}${!stones.length && html`<i class="tone-waiting"></i>`}</span>
		${!isSmall && html`<span class="course-size">${words.count(size)}</span><span class="course-halt">${ring.halts_at > 0 && ring.halts_at <= ring.limit ? `stops at ${words.plural(ring.halts_at, "failure")}` : ""}</span>`}</li>`;
}

// The newest course on top, as walls are.
export const Wall = ({ rollout, isSmall }) => {
	// Those whose turn has not come belong to no ring so far: they are the stones that its course lacks.
	const rings = (rollout.rings || []).map((ring, i, all) => {
		const there = Object.values(ring.counts).reduce((sum, n) => sum + n, 0);
		const size = Math.min(ring.limit, rollout.total) - Math.min(all[i - 1]?.limit || 0, rollout.total);
		return size > there ? { ...ring, counts: { ...ring.counts, waiting: (ring.counts.waiting || 0) + size - there } } : ring;
	});
	return html`<ol class=${`wall ${isSmall ? "is-small" : ""}`} reversed aria-label="Rings, the last one first">${[...rings].reverse().map((ring, i) =>
		html`<${Course} key=${ring.ring} ring=${ring} index=${rings.length - 1 - i} isSmall=${isSmall} now=${rollout.state === "running" && ring.ring === rollout.ring} />`)}</ol>`;
};

// Failures so far, and where they stop it.
export function Gauge({ failures, halts }) {
	const has = halts > 0;
	const places = has && halts <= 24;
	return html`<div class=${`gauge ${has && failures >= halts ? "is-over" : ""}`} role="meter" aria-valuemin="0" aria-valuemax=${has ? halts : undefined} aria-valuenow=${failures} aria-label=${has ? `${words.plural(failures, "failure")} of ${words.count(halts)} that stop it` : words.plural(failures, "failure")}>
		<div class="gauge-track" aria-hidden="true">${places ? Array.from({ length: halts }, (_, i) => html`<i class=${i < failures ? "on" : ""}></i>`) : html`<i class="on" style=${{ flexGrow: Math.min(failures, halts || 1) }}></i><i style=${{ flexGrow: Math.max(0, (halts || 1) - failures) }}></i>`}</div>
		<p><b>${words.count(failures)}</b> ${failures === 1 ? "failure" : "failures"}${has && html`; the <b>${words.ordinal(halts)}</b> stops it`}</p></div>`;
}
