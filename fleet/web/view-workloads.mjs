// SPDX-License-Identifier: Apache-2.0
// Workloads: their versions, what each may touch, what changes between two, and which hosts are to run which.
import { html } from "./base.mjs";
import { useGet, usePages, useStale, can, get, post, query, part } from "./api.mjs";
import { useArgument } from "./router.mjs";
import { Head, Panel, Load, Empty, Badge, Age, Name, List, Tabs, TabPanel, Facts, Digest, Loading, Failure, Shown, Menu } from "./ui.mjs";
import { Bar, Legend } from "./wall.mjs";
import { Icon } from "./icons.mjs";
import { Field, ask, attempt, say, REASON } from "./dialog.mjs";
import { AssignmentList } from "./view-assignments.mjs";
import * as words from "./words.mjs";

const changed = (e) => /^(workload|assignment)\./.test(e.kind);
export const hostsWith = (name, version) => query("/hosts", { selector: version ? `workload.${name} = ${words.quote(version)}` : `workload.${name} != ""` });

// A word beside the number: the picture alone says nothing to whoever cannot see it.
export const Score = ({ of }) => html`<span class="score" title=${`exposure ${words.tenths(of)}: 0 touches nothing, 10 is the host itself`}><span class="score-track" aria-hidden="true"><i class=${of >= 70 ? "tone-bad" : of >= 30 ? "tone-degraded" : "tone-good"} style=${{ width: `${Math.max(2, Math.min(100, of))}%` }}></i></span><span>${words.tenths(of)}</span></span>`;

// One line a change of what may be touched; what goes further is marked in words.
export const Touches = ({ of }) => html`<ul class="touches" aria-label="What it may touch, otherwise than before">${of.map((c) => html`<li key=${`${c.kind} ${c.name}`} class=${c.is_wider ? "tone-bad" : "tone-good"}><p><b>${c.kind}</b> <${Name}>${c.name}<//></p>
	<p>${c.from ? html`<span class="wrap">${c.from}</span>` : html`<span class="soft">not at all</span>`} <${Icon} name="arrow" /> <span class="sr">becomes</span>${c.to ? html`<span class="wrap">${c.to}</span>` : html`<span class="soft">not any more</span>`}</p>
	<${Badge} word=${c.is_wider ? "wider" : "not wider"} tone=${c.is_wider ? "bad" : "good"} /></li>`)}</ul>`;

export async function scan(then) {
	const answer = await attempt(() => post("/v1/releases/scan"));
	if (answer === undefined) return;
	say(`Read the publication: ${words.plural(answer.added?.length ?? answer.added ?? 0, "new release")}, ${words.plural(answer.workloads ?? 0, "new workload definition")}.`);
	then();
}

// The newest version of each, and how many there are.
function byName(items) {
	const all = new Map();
	for (const w of items) {
		const one = all.get(w.name) || { name: w.name, versions: 0, hosts: 0, newest: w };
		one.versions++;
		one.hosts += w.hosts;
		if (w.added_at > one.newest.added_at || (w.added_at === one.newest.added_at && w.id > one.newest.id)) one.newest = w;
		all.set(w.name, one);
	}
	return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function Definitions({ pages }) {
	if (pages.error) return html`<${Failure} error=${pages.error} reload=${pages.reload} what="The workloads" />`;
	if (!pages.items.length) return pages.loading ? html`<${Loading} rows=${5} />` : html`<${Panel}><${Empty} title="There is no workload yet">They come from the publication: <code>ashlar workload release</code> signs a definition and puts it there.${can("admin") && html` <button type="button" onClick=${() => scan(pages.reload)}>Look for them</button>`}<//><//>`;
	return html`<${Panel}><${List} label="Workloads" rows=${byName(pages.items)} rowKey=${(w) => w.name} columns=${[
		{ head: "Workload", class: "grow", cell: (w) => html`<a class="strong" href=${`/workloads/${part(w.name)}`}><${Name}>${w.name}<//></a>` }, { head: "Newest", cell: (w) => html`<${Name}>${w.newest.version}<//>${w.newest.withdrawn && html` <${Badge} word="withdrawn" tone="bad" />`}` },
		{ head: "Isolation", cell: (w) => w.newest.isolation }, { head: "Exposure", cell: (w) => html`<${Score} of=${w.newest.score} />` }, { head: "Versions", cell: (w) => words.count(w.versions) },
		{ head: "Hosts", cell: (w) => (w.hosts ? html`<a href=${hostsWith(w.name)}>${words.count(w.hosts)}</a>` : html`<span class="soft">0</span>`) }, { head: "Added", cell: (w) => html`<${Age} at=${w.newest.added_at} />` }]} /><${Shown} noun="versions" pages=${pages} /><//>`;
}

function Assignments() {
	const pages = usePages("/v1/assignments", {}, 200);
	useStale(pages.reload, changed);
	if (pages.error) return html`<${Failure} error=${pages.error} reload=${pages.reload} what="The assignments" />`;
	if (!pages.items.length) return pages.loading ? html`<${Loading} rows=${5} />` : html`<${Panel}><${Empty} title="There is no assignment yet">It says which hosts run which version of a workload.${can("operator") && html` <a class="button primary" href="/assignments/new">Make one</a>`}<//><//>`;
	return html`<${Panel}><${AssignmentList} rows=${pages.items} withWorkload /><${Shown} noun="assignments" pages=${pages} /><//>`;
}

export function Workloads() {
	const [tab, setTab] = useArgument("tab", "definitions");
	const pages = usePages("/v1/workloads", {}, 1000);
	useStale(pages.reload, changed);
	return html`<${Head} title="Workloads" actions=${html`${can("operator") && html`<a class="button primary" href="/assignments/new">New assignment</a>`}${can("admin") && html`<button type="button" onClick=${() => scan(pages.reload)}>Look for new ones</button>`}`} />
		<${Tabs} label="Workloads" value=${tab} onChange=${setTab} tabs=${[["definitions", "Workloads"], ["assignments", "Assignments"]]} />
		<${TabPanel} id=${tab}>${tab === "assignments" ? html`<${Assignments} />` : html`<${Definitions} pages=${pages} />`}<//>`;
}

// ---- one ----

function Report({ name, version }) {
	const view = useGet(`/v1/workloads/${part(name)}/${part(version)}`);
	return html`<${Load} of=${view} what="The report">${({ report: r }) => html`<div class="report-head"><${Score} of=${r.score} /><span>${r.words}</span></div>
		${r.grants.length ? html`<${List} label="What it may touch" rows=${r.grants} rowKey=${(g) => `${g.kind} ${g.name}`} columns=${[{ head: "What", cell: (g) => html`<b>${g.kind}</b>` }, { head: "Name", cell: (g) => html`<${Name}>${g.name}<//>` }, { head: "In words", class: "grow", cell: (g) => html`<span class="wrap">${g.text}</span>` }, { head: "Counts", cell: (g) => words.tenths(g.points) }]} />` : html`<p class="calm soft">It may touch nothing but itself.</p>`}`}<//>`;
}

function Diff({ name, version, versions }) {
	const [other, setOther] = useArgument("with");
	const view = useGet(other ? `/v1/workloads/${part(name)}/${part(other)}/diff/${part(version)}` : null);
	return html`<div class="line-form"><${Field} id="diff-with" of=${{ label: "What changed since", name: "with", options: [["", "choose a version"], ...versions.filter((v) => v.version !== version).map((v) => [v.version, v.version])] }} value=${other} onInput=${setOther} /></div>
		${other && html`<${Load} of=${view} what="The difference">${(d) => (d.changes.length ? html`${d.is_wider && html`<div class="notice tone-bad"><${Icon} name="alert" /><p><strong>${version} may touch more than ${other}.</strong> Whoever assigns it says why.</p></div>`}<${Touches} of=${d.changes} />` : html`<${Empty} title="Both may touch the same" />`)}<//>`}`;
}

function Definition({ name, version }) {
	const view = useGet(`/v1/workloads/${part(name)}/${part(version)}`);
	return html`<${Load} of=${view} what="The definition">${(w) => html`<${Facts} of=${[["Digest", html`<code class="digest whole">${w.sha256}</code>`], w.notes && ["Notes", html`<span class="wrap">${w.notes}</span>`]]} /><pre class="spaced" tabindex="0" role="region" aria-label="Signed definition">${JSON.stringify(w.document, null, 2)}</pre>`}<//>`;
}

const mark = (w, title, text, fields, body, then) => ask({
	title: `${title}: ${w.name} ${w.version}`.slice(0, 80), text, confirm: "Save", danger: title === "Withdraw", fields: [...fields, REASON], done: "Saved.",
	act: async (v) => {
		await post(`/v1/workloads/${part(w.name)}/${part(w.version)}`, { ...body(v), reason: v.reason || undefined });
		then();
	},
});
const marks = (w, then) => [
	{ text: w.withdrawn ? "Give it again…" : "Withdraw…", danger: !w.withdrawn, act: () => mark(w, w.withdrawn ? "Give again" : "Withdraw", w.withdrawn ? "" : "It is assigned to no host any more. Hosts that run it keep it.", w.withdrawn ? [] : [{ name: "withdrawn", label: "Why", required: true, maxlength: 500 }], (v) => ({ withdrawn: w.withdrawn ? "" : v.withdrawn }), then) },
	{ text: "Notes…", act: () => mark(w, "Notes", "", [{ name: "notes", label: "Notes", rows: 6, value: w.notes }], (v) => ({ notes: v.notes }), then) },
];

export function Workload({ id: name }) {
	const view = useGet(`/v1/workloads/${part(name)}`, { on: (e) => changed(e) || e.kind.startsWith("host.workload"), wait: 2500 });
	const [version, setVersion] = useArgument("version");
	const [tab, setTab] = useArgument("tab", "report");
	if (view.error?.status === 404) return html`<${Head} title="No such workload" back=${["/workloads", "Workloads"]} /><${Panel}><${Empty} title="There is no such workload"><a class="button" href="/workloads">All workloads</a><//><//>`;
	return html`<${Load} of=${view} what="The workload" rows=${8}>${(w) => {
		const of = w.versions.find((v) => v.version === version) || w.versions[0];
		const parts = [["ready", w.counts.ready], ["not ready", w.counts["not-ready"]], ["failed", w.counts.failed]];
		return html`<${Head} title=${w.name} back=${["/workloads", "Workloads"]} sub=${html`<span>${words.plural(w.versions.length, "version")}</span><span>${words.plural(w.assignments.length, "assignment")}</span>`} actions=${can("operator") && html`<a class="button primary" href=${query("/assignments/new", { workload: w.name, version: of.version })}>New assignment</a>`} />
			<div class="cols wide-first"><${Panel} id="assigned" title="Assignments">${w.assignments.length ? html`<${AssignmentList} rows=${w.assignments} />` : html`<p class="calm soft">No host is to run it.</p>`}<//>
			<${Panel} id="fare" title="How hosts fare"><${Bar} parts=${parts} label="Hosts" class="tall" /><${Legend} parts=${parts} href=${(word) => query("/hosts", { selector: word === "ready" ? `workload.${w.name}.ready = true` : `workload.${w.name} != "" and workload.${w.name}.ready = false` })} /><//></div>
			<${Panel} id="versions" title="Versions"><${List} label="Versions" rows=${w.versions} rowClass=${(v) => (v.withdrawn ? "is-off" : "")} columns=${[
				{ head: "Version", cell: (v) => html`<a class="strong" aria-current=${v === of ? "true" : undefined} href=${query(`/workloads/${part(w.name)}`, { version: v.version, tab: tab === "report" ? "" : tab })}><${Name}>${v.version}<//></a>${v.withdrawn && html` <${Badge} word="withdrawn" tone="bad" /><small class="soft wrap">${v.withdrawn}</small>`}` },
				{ head: "Isolation", cell: (v) => v.isolation }, { head: "Exposure", cell: (v) => html`<${Score} of=${v.score} />` }, { head: "In words", class: "grow", cell: (v) => html`<span class="wrap">${v.words}</span>` },
				{ head: "Hosts", cell: (v) => (v.hosts ? html`<a href=${hostsWith(w.name, v.version)}>${words.count(v.hosts)}</a>` : html`<span class="soft">0</span>`) }, { head: "Added", cell: (v) => html`<${Age} at=${v.added_at} />` }, { head: "Digest", cell: (v) => html`<${Digest} of=${v.sha256} />` },
				{ head: "", name: "Acts", class: "acts", cell: (v) => html`${can("operator") && !v.withdrawn && html`<a class="button small" href=${query("/assignments/new", { workload: w.name, version: v.version })}>Assign</a>`}${can("admin") && html` <${Menu} label=${`Acts on ${v.version}`} items=${marks(v, view.reload)} />`}` }]} /><//>
			<${Panel} class="tabbed"><h2 class="tabbed-title">Version <${Name}>${of.version}<//></h2><${Tabs} label="More of this version" value=${tab} onChange=${setTab} tabs=${[["report", "What it may touch"], ["diff", "Difference"], ["definition", "Definition"]]} />
			<${TabPanel} id=${tab}>${tab === "diff" ? html`<${Diff} key=${of.version} name=${w.name} version=${of.version} versions=${w.versions} />` : tab === "definition" ? html`<${Definition} name=${w.name} version=${of.version} />` : html`<${Report} name=${w.name} version=${of.version} />`}<//><//>`;
	}}<//>`;
}
