// SPDX-License-Identifier: Apache-2.0
// What happened, one line each.
import { html } from "./base.mjs";
import { Age, Name, Loading, Failure, Empty, Shown } from "./ui.mjs";
import { usePages } from "./api.mjs";
import { follow } from "./live.mjs";
import { useEffect } from "./base.mjs";

// What a host's workload came to is in its data.
const KIND_TONE = [
	[/halted|held|clone|bad|failed|withdrawn$/, "bad"], [/silent/, "silent"], [/paused|revert|pending|retired/, "degraded"],
	[/joined|approved|finished|back|resumed|released/, "good"], [/report|desired|order|ring|started|created/, "updating"],
];
const toneOf = (e) => {
	if (e.kind === "rollout.host") return { failed: "bad", silent: "silent", confirmed: "good" }[e.data?.outcome] || "updating";
	if (e.kind.startsWith("host.workload")) return { ready: "good", failed: "bad", "rolled-back": "bad", removed: "silent" }[e.data?.change] || "updating";
	return KIND_TONE.find(([re]) => re.test(e.kind))?.[1] || "unknown";
};

// Hosts' turns in a rollout are many, and say no more than which.
const said = (e) => e.text || (e.data?.outcome && `${e.data.outcome}${e.data.ring ? ` in ring ${e.data.ring}` : ""}`) || e.kind;

export const EventLine = ({ of: e, hideHost, hideRollout }) => html`<li class=${`event tone-${toneOf(e)}`}><i aria-hidden="true"></i><div>
	<span class="event-what">${e.host && !hideHost && html`<a href=${`/hosts/${e.host}`}><${Name}>${e.host_name || e.host.slice(0, 12)}<//></a> `}<span class="event-text">${said(e)}</span></span>
	<span class="event-meta"><code>${e.kind}</code>${e.actor && html`<span>by <${Name}>${e.actor}<//></span>`}${e.rollout && !hideRollout && html`<a href=${`/rollouts/${e.rollout}`}>rollout</a>`}<${Age} at=${e.at} /></span></div></li>`;

// A paged stream, newest first, to which what happens now is added at the top.
export function EventList({ path, args, accepts, hideHost, hideRollout, empty }) {
	const pages = usePages(path, args, 100);
	useEffect(() => follow((events, isBehind) => {
		if (isBehind) return pages.reload();
		const mine = events.filter(accepts);
		if (mine.length) pages.change((items) => [...mine.reverse().filter((e) => !items.some((i) => i.seq === e.seq)), ...items].slice(0, 5000));
	}), [path, JSON.stringify(args), pages.reload]);
	if (pages.error && !pages.items.length) return html`<${Failure} error=${pages.error} reload=${pages.reload} what="The events" />`;
	if (pages.loading && !pages.items.length) return html`<${Loading} rows=${5} />`;
	if (!pages.items.length) return html`<${Empty} title=${empty || "Nothing has happened so far"} />`;
	return html`<ul class="events">${pages.items.map((e) => html`<${EventLine} key=${e.seq} of=${e} hideHost=${hideHost} hideRollout=${hideRollout} />`)}</ul><${Shown} noun="events" pages=${pages} />`;
}
