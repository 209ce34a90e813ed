// SPDX-License-Identifier: Apache-2.0
// Rollouts: all of them, and one of them while it builds up.
import { html, useState } from "./base.mjs";
import { useGet, usePages, can, post, part, query } from "./api.mjs";
import { useArgument } from "./router.mjs";
import { Head, Panel, Load, Empty, Badge, Age, Name, List, Tabs, TabPanel, Facts, HostLink, ReleaseLink, Loading, Failure, Shown } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { Bar, Legend, Wall, Gauge } from "./wall.mjs";
import { EventList } from "./events.mjs";
import { ask, attempt, say } from "./dialog.mjs";
import * as words from "./words.mjs";

export const title = (r) => r.name || (r.kind === "workload" ? `${r.workload} ${r.version}` : `${r.release?.name || ""} ${r.release?.version || r.id}`.trim());
const What = ({ of: r }) => (r.kind === "workload" ? html`<a href=${query(`/workloads/${part(r.workload)}`, { version: r.version })}><${Name}>${`${r.workload} ${r.version}`}<//></a>` : html`<${ReleaseLink} release=${r.release} />`);

export function Rollouts() {
	const [state, setState] = useArgument("state");
	const view = useGet(`/v1/rollouts${state ? `?state=${part(state)}` : ""}`, { on: (e) => /^rollout\./.test(e.kind), wait: 2500 });
	return html`<${Head} title="Rollouts" actions=${can("operator") && html`<a class="button primary" href="/rollouts/new">New rollout</a>`} />
		<div class="quick" role="group" aria-label="State">${[["", "All"], ["running", "Running"], ["paused", "Paused"], ["halted", "Halted"], ["reverting", "Reverting"], ["reverted", "Reverted"], ["finished", "Finished"], ["cancelled", "Cancelled"]].map(([s, text]) => html`<button type="button" class="chip" aria-pressed=${state === s ? "true" : "false"} onClick=${() => setState(s)}>${text}</button>`)}</div>
		<${Load} of=${view} what="The list" rows=${5}>${(list) => list.items.length ? html`<${Panel}><${List} label="Rollouts" rows=${list.items} columns=${[
			{ head: "Rollout", class: "grow", cell: (r) => html`<a class="strong" href=${`/rollouts/${r.id}`}><${Name}>${title(r)}<//></a><small class="soft"><${Name}>${r.selector || "all"}<//></small>` },
			{ head: "State", cell: (r) => html`<${Badge} word=${r.state} />` }, { head: "What", cell: (r) => html`<${What} of=${r} />` },
			{ head: "Hosts", class: "w-bar", cell: (r) => html`<${Bar} parts=${words.OUTCOMES.map((o) => [o, r.counts?.[o] || 0])} label="Hosts" /><small class="soft">${words.count((r.counts?.confirmed || 0) + (r.counts?.already || 0))} of ${words.count(r.total)}</small>` },
			{ head: "Failures", cell: (r) => html`<span class=${r.failures ? "bad-text" : "soft"}>${words.count(r.failures)}</span>` }, { head: "Began", cell: (r) => html`<${Age} at=${r.created_at} />` }, { head: "By", cell: (r) => html`<${Name}>${r.created_by}<//>` }]} /><//>`
			: html`<${Panel}><${Empty} title=${state ? `No rollout is ${state}` : "There was no rollout yet"}>${can("operator") && html`<p>A rollout takes a release to a set of hosts in rings, and stops by itself.</p><a class="button primary" href="/rollouts/new">New rollout</a>`}<//><//>`}<//>`;
}

const WORDS = {
	pause: ["Pause", "Hosts that were offered the release go on; no more are. It can be resumed at any time.", "Paused."],
	resume: ["Resume", "The failures so far still count.", "Resumed."],
	revert: ["Revert", "The hosts that took the release are sent back to what they ran, by the same rings.", "Reverting."],
	cancel: ["Cancel", "It ends for good. Hosts that took the release keep it.", "Cancelled."],
};

const change = (r, act, then) => ask({
	title: `${WORDS[act][0]}: ${title(r).slice(0, 60)}`, text: WORDS[act][1], confirm: act === "cancel" ? "Cancel it" : WORDS[act][0], danger: act === "revert" || act === "cancel", done: WORDS[act][2],
	typed: act === "revert" ? String(r.counts?.confirmed || 0) : undefined,
	fields: [{ name: "reason", label: "Reason", required: act === "resume" || act === "revert", maxlength: 500, hint: "It is kept in the ledger and in the audit log." }],
	act: async (v) => {
		await post(`/v1/rollouts/${part(r.id)}/${act}`, { reason: v.reason || undefined });
		then();
	},
});

function actions(r, then) {
	if (!can("operator") || /^(finished|reverted|cancelled)$/.test(r.state)) return null;
	const button = (act, extra = "") => html`<button type="button" class=${extra} onClick=${() => change(r, act, then)}>${WORDS[act][0]}</button>`;
	return html`${r.state === "running" && button("pause", "primary")}${(r.state === "paused" || r.state === "halted") && button("resume", "primary")}
		${(r.state === "halted" || r.state === "paused" || r.state === "running") && button("revert")}${button("cancel", "danger")}`;
}

function HostsOf({ id }) {
	const [outcome, setOutcome] = useArgument("outcome");
	const pages = usePages(`/v1/rollouts/${id}/hosts`, { outcome }, 100);
	return html`<div class="quick" role="group" aria-label="Outcome">${["", "failed", "silent", "offered", "assigned", "confirmed", "already", "returned", "withdrawn", "waiting"].map((o) => html`<button type="button" class="chip" aria-pressed=${outcome === o ? "true" : "false"} onClick=${() => setOutcome(o)}>${o || "all"}</button>`)}</div>
		${pages.error ? html`<${Failure} error=${pages.error} reload=${pages.reload} what="The hosts" />` : !pages.items.length ? (pages.loading ? html`<${Loading} />` : html`<${Empty} title=${outcome ? `No host is ${outcome}` : "No host has begun yet"}>${words.OUTCOME_WORDS[outcome]}<//>`)
			: html`<${List} label="Hosts" rows=${pages.items} rowKey=${(h) => h.host} columns=${[{ head: "Host", cell: (h) => html`<${HostLink} id=${h.host} name=${h.name} />` }, { head: "Ring", cell: (h) => h.ring }, { head: "Outcome", cell: (h) => html`<${Badge} word=${h.outcome} />` }, { head: "Since", cell: (h) => html`<${Age} at=${h.since} />` }, { head: "Why", class: "grow", cell: (h) => html`<span class="wrap">${h.reason}</span>` }]} /><${Shown} noun="hosts" pages=${pages} />`}`;
}

function Ledger({ id }) {
	const pages = usePages(`/v1/rollouts/${id}/ledger`, {}, 200);
	const [verdict, setVerdict] = useState(null);
	const replay = async () => setVerdict((await attempt(() => post(`/v1/rollouts/${part(id)}/replay`))) || null);
	return html`<p class="soft">Everything that went in and was decided. The same lines lead to the same decisions, whoever computes them. <button type="button" class="small" onClick=${replay}>Replay it</button></p>
		${verdict && html`<div class=${`notice tone-${verdict.agrees ? "good" : "bad"}`} role="status"><${Icon} name=${verdict.agrees ? "check" : "alert"} /><p>${verdict.agrees ? `Replayed: all ${words.plural(verdict.lines, "line")} agree.` : html`Line ${verdict.first_difference} differs. Expected <code>${verdict.expected}</code>, found <code>${verdict.found}</code>.`}</p></div>`}
		${pages.error ? html`<${Failure} error=${pages.error} reload=${pages.reload} what="The ledger" />` : !pages.items.length ? (pages.loading ? html`<${Loading} />` : html`<${Empty} title="The ledger is empty" />`)
			: html`<ol class="ledger">${pages.items.map((l) => html`<li key=${l.line} value=${l.line}><span class="line-number">${l.line}</span><code>${l.text}</code></li>`)}</ol><${Shown} noun="lines" pages=${pages} />`}`;
}

export function Rollout({ id }) {
	const view = useGet(`/v1/rollouts/${part(id)}`, { on: (e) => e.rollout === id, wait: 1000 });
	const [tab, setTab] = useArgument("tab", "decisions");
	if (view.error?.status === 404) return html`<${Head} title="No such rollout" back=${["/rollouts", "Rollouts"]} /><${Panel}><${Empty} title="There is no such rollout"><a class="button" href="/rollouts">All rollouts</a><//><//>`;
	return html`<${Load} of=${view} what="The rollout" rows=${8}>${(r) => {
		const parts = words.OUTCOMES.map((o) => [o, r.counts?.[o] || 0]).filter(([o, n]) => n || o === "confirmed" || o === "failed");
		const s = r.spec || {};
		return html`<${Head} title=${title(r)} back=${["/rollouts", "Rollouts"]} actions=${actions(r, view.reload)} sub=${html`<${Badge} word=${r.state} /><span>${r.kind === "workload" ? "workload" : "release"} <${What} of=${r} /></span>${r.assignment && html`<span>assignment <a href=${`/assignments/${part(r.assignment)}`}><${Name}>${r.assignment}<//></a></span>`}<span>to <code><${Name}>${r.selector || "all"}<//></code></span><span>began <${Age} at=${r.created_at} /> by <${Name}>${r.created_by}<//></span>`} />
			${(r.state === "halted" || r.state === "paused" || r.state === "reverting") && html`<div class=${`notice tone-${words.tone(r.state)}`} role="status"><${Icon} name="alert" /><p><b>${r.state === "halted" ? "It stopped by itself" : r.state}:</b> ${r.reason || "no reason was given"}</p></div>`}
			<div class="cols wide-first"><div><${Panel} id="rings" title="Rings" note=${r.state === "running" ? `ring ${r.ring}, ${words.count(r.limit)} of ${words.plural(r.total, "host")} allowed` : ""}>
				<${Wall} rollout=${r} /><${Legend} parts=${parts} href=${(o) => `/rollouts/${r.id}?tab=hosts&outcome=${o}`} /><//>
			<${Panel} class="tabbed"><${Tabs} label="More of this rollout" value=${tab} onChange=${setTab} tabs=${[["decisions", "Decisions"], ["hosts", "Hosts"], ["ledger", "Ledger"]]} />
			<${TabPanel} id=${tab}>${tab === "hosts" ? html`<${HostsOf} id=${r.id} />` : tab === "ledger" ? html`<${Ledger} id=${r.id} />` : html`<${EventList} path="/v1/events" args=${{ rollout: r.id, kind: "rollout.*", order: "new" }} accepts=${(e) => e.rollout === r.id && e.kind.startsWith("rollout.")} hideRollout empty="No decision was made yet" />`}<//><//></div>
			<div><${Panel} id="failures" title="Failures"><${Gauge} failures=${r.failures || 0} halts=${r.halts_at || 0} />
				${r.table?.length > 0 && html`<details><summary>All limits</summary><ul class="limits">${r.table.map(([m, f]) => html`<li>${words.limits([[m, f]])}</li>`)}</ul></details>`}<//>
			<${Panel} id="next" title="What it waits for"><p class="next">${r.next || "Nothing: it has ended."}</p><//>
			<${Panel} id="spec" title="How"><${Facts} of=${[["Growth", `first ${s.first ?? 4}, then × ${s.growth ?? 4}`], ["Tolerated", `${words.percent(s.tolerated ?? 0.01, 1)} failures; halts a good one in ${words.percent(s.alpha ?? 0.01, 1)} at most`], ["Soak", words.duration(s.soak ?? 300)], ["Silent after", words.duration(s.deadline ?? 5400)], ["Begins within", words.duration(s.begin ?? 86400)], ["Comes within", words.duration(s.lapse ?? 900)], ["Heard of within", words.duration(s.patience ?? 86400)], s.ring_pause > 0 && ["Between rings", words.duration(s.ring_pause)], s.canaries && ["Canaries", html`<code>${s.canaries}</code>`], s.max_in_flight > 0 && ["At once", words.plural(s.max_in_flight, "host")],
				...(s.budgets || []).map((b) => ["Budget", `${b.max} for each ${b.label}`]), s.windows?.length > 0 && ["Windows", s.windows.join("; ")], r.assignment && ["Then", html`assignment <b>${r.assignment}</b> points to it`], s.channel && ["Then", html`channel <b>${s.channel}</b> points to it`], ["On halt", s.on_halt === "revert" ? "those that took it are sent back" : "hold"]]} /><//></div></div>`;
	}}<//>`;
}
