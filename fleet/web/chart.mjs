// SPDX-License-Identifier: Apache-2.0
// Which versions the fleet ran when: a stacked time line (uPlot; it draws on a canvas, so the numbers are a table too).
import { html, useEffect, useRef, useState } from "./base.mjs";
import uPlot from "./uplot.mjs";
import * as words from "./words.mjs";
import { theme } from "./theme.mjs";

const SHADES = 6;
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Everything but the most frequent becomes one: a line for each of a hundred versions says nothing.
function reduce(timeline) {
	const at = timeline.points.map((p) => p.at);
	const last = timeline.points[timeline.points.length - 1].counts;
	const weight = timeline.versions.map((v, i) => ({ v, i, n: Math.max(...timeline.points.map((p) => p.counts[i] || 0)), now: last[i] || 0 }));
	const main = [...weight].sort((a, b) => b.n - a.n).slice(0, SHADES - 1).sort((a, b) => a.i - b.i);
	const rest = weight.filter((w) => !main.includes(w));
	const series = main.map((w) => ({ name: w.v, values: timeline.points.map((p) => p.counts[w.i] || 0) }));
	if (rest.length)
		series.unshift({ name: rest.length === 1 ? rest[0].v : `${rest.length} others`, values: timeline.points.map((p) => rest.reduce((sum, w) => sum + (p.counts[w.i] || 0), 0)) });
	return { at, series };
}

function options(width, height, series, total) {
	const soft = variable("--soft"), edge = variable("--edge");
	const font = `11px ${variable("--sans")}`;
	const axis = { stroke: soft, font, ticks: { show: false }, grid: { stroke: edge, width: 1 } };
	return {
		width, height, padding: [8, 4, 0, 0], legend: { show: false },
		cursor: { points: { show: false }, drag: { x: false, y: false }, y: false },
		scales: { y: { range: [0, Math.max(1, total)] } },
		axes: [{ ...axis, space: 70, size: 38, grid: { show: false }, values: [
			[86400, "{D} {MMM}", null, null, null, null, null, null, 1],
			[3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
			[60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
			[1, ":{ss}", null, null, null, null, null, null, 1]] },
		{ ...axis, size: 46, space: 34, values: (_, all) => all.map((v) => (Number.isInteger(v) ? words.count(v) : "")) }],
		series: [{}, ...series.map((s, i) => ({ label: s.name, fill: variable(`--version-${i}`), stroke: variable("--face"), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }))],
	};
}

export function Timeline({ of }) {
	const place = useRef(null);
	const chart = useRef(null);
	const [at, setAt] = useState(null);
	const shown = theme.use();
	const { at: times, series } = reduce(of);
	const top = SHADES - series.length;

	useEffect(() => {
		// Each line is the sum of those below it; drawn from the highest down, so that each covers its part.
		const stacked = [];
		series.reduce((below, s) => {
			const sum = s.values.map((v, i) => v + (below[i] || 0));
			stacked.push(sum);
			return sum;
		}, []);
		const total = Math.max(...stacked[stacked.length - 1]);
		const drawn = [...series].reverse();
		const width = () => Math.max(200, place.current.clientWidth);
		const made = options(width(), 190, drawn.map((s) => s), total * 1.04);
		drawn.forEach((s, i) => (made.series[i + 1].fill = variable(`--version-${top + series.indexOf(s)}`)));
		made.hooks = { setCursor: [(u) => setAt(u.cursor.idx ?? null)] };
		chart.current = new uPlot(made, [times, ...[...stacked].reverse()], place.current);
		const watch = new ResizeObserver(() => chart.current?.setSize({ width: width(), height: 190 }));
		watch.observe(place.current);
		return () => {
			watch.disconnect();
			chart.current.destroy();
			chart.current = null;
		};
	}, [of, shown]);

	const i = at ?? times.length - 1;
	return html`<div class="timeline"><div class="timeline-chart" ref=${place} role="img" aria-label=${`Versions over time; the table below has the numbers of ${words.moment(times[times.length - 1])}`}></div>
		<p class="timeline-at soft">${at === null ? "now" : words.moment(times[i])}</p>
		<ul class="legend versions">${[...series].reverse().map((s) => html`<li class=${s.values[i] ? "" : "zero"}><i class=${`version-${top + series.indexOf(s)}`} aria-hidden="true"></i><span><b>${words.count(s.values[i])}</b> ${s.name}</span></li>`)}</ul></div>`;
}
