// SPDX-License-Identifier: Apache-2.0
// One host: who it is, what it runs, why not something newer, and what happened to it.
import { html, useState } from "./base.mjs";
import { useGet, can, part } from "./api.mjs";
import { useArgument, go } from "./router.mjs";
import { Head, Panel, Load, Empty, Badge, Age, Name, Labels, Facts, List, Digest, Tabs, TabPanel, Menu, Copy, ReleaseLink } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { HostWorkloads } from "./host-workloads.mjs";
import { EventList } from "./events.mjs";
import { patchHost } from "./view-hosts.mjs";
import { get } from "./api.mjs";
import { attempt } from "./dialog.mjs";
import * as acts from "./acts.mjs";
import * as words from "./words.mjs";

const ANSWER_TONE = { "up to date": "good", waiting: "updating", working: "updating", refused: "bad", stuck: "bad" };

function Why({ id }) {
	const why = useGet(`/v1/hosts/${id}/why`, { on: (e) => e.host === id || /^(rollout\.(ring|paused|resumed|halted|finished|cancelled)|channel|policy|release)/.test(e.kind), wait: 2000 });
	return html`<${Panel} id="why" title="Why not yet?"><${Load} of=${why} what="The answer">${(w) => {
		const first = w.conditions.findIndex((c) => !c.met);
		return html`<p class="answer"><${Badge} word=${w.answer} tone=${ANSWER_TONE[w.answer] || "unknown"} /> ${w.blocker && html`<span class="blocker">${w.blocker}</span>`}${w.next ? html`<span class="soft"> next chance <${Age} at=${w.next} /></span>` : ""}</p>
			<ol class="chain">${w.conditions.map((c, i) => html`<li class=${c.met ? "met" : i === first ? "blocks" : "behind"} aria-current=${i === first ? "step" : undefined}><${Icon} name=${c.met ? "check" : i === first ? "cross" : "dots"} />
			<div><b>${c.condition}</b>${i === first && html` <span class="blocks-word">blocks</span>`}<span>${c.text}</span></div></li>`)}</ol>`;
	}}<//><//>`;
}

const known = { memory: words.bytes, "disk.root": words.bytes, "disk.root_free": words.bytes };
const fact = (key, value) => (known[key] && typeof value === "number" ? known[key](value) : key.endsWith("_at") && typeof value === "number" ? html`<${Age} at=${value} />` : html`<${Name}>${String(value)}<//>`);

function Deployments({ of }) {
	const all = of.report?.deployments || [];
	const failed = of.report?.failed || [];
	return html`<${Panel} id="deployments" title="Deployments" note="what it can boot, newest first">
		${all.length ? html`<${List} label="Deployments" rows=${all} rowKey=${(d) => d.commit} columns=${[
			{ head: "Version", cell: (d) => html`<${Name}>${d.version}<//>` }, { head: "Commit", cell: (d) => html`<${Digest} of=${d.commit} />` },
			{ head: "State", cell: (d) => html`${d.booted && html`<${Badge} word="booted" tone="good" />`} ${d.good ? html`<${Badge} word="good" />` : !d.booted ? html`<span class="soft">not proven</span>` : ""} ${d.pinned && html`<${Badge} word="pinned" tone="updating" />`}` }]} />`
			: html`<p class="calm soft">It has not reported any.</p>`}
		${failed.length > 0 && html`<h3>Failed here, not tried again</h3><${List} label="Failed releases" rows=${failed} rowKey=${(f) => f.commit} columns=${[
			{ head: "Version", cell: (f) => html`<${Name}>${f.version}<//>` }, { head: "Why", class: "grow", cell: (f) => html`<span class="wrap">${f.reason || f.kind}</span>` }]} />`}<//>`;
}

function Checks({ of }) {
	const health = of.health_report || {};
	const checks = health.checks || [];
	return html`<${Panel} id="checks" title="Health checks" note=${health.verdict}>
		${health.reason && html`<p class="wrap">${health.reason}</p>`}
		${checks.length ? html`<${List} label="Health checks" rows=${checks} rowKey=${(c) => c.name} rowClass=${(c) => (c.passing === false ? "is-bad" : "")} columns=${[
			{ head: "Check", cell: (c) => html`<${Name}>${c.name}<//>` }, { head: "Passing", cell: (c) => html`<${Badge} word=${c.passing === null || c.passing === undefined ? "not run" : c.passing ? "yes" : "no"} tone=${c.passing === null || c.passing === undefined ? "unknown" : c.passing ? "good" : c.class === "wanted" ? "degraded" : "bad"} />` },
			{ head: "Class", cell: (c) => c.class }, { head: "Since", cell: (c) => (c.since ? html`<${Age} at=${c.since} />` : "") },
			{ head: "What", class: "grow", cell: (c) => html`<span class="wrap">${[c.kind, c.target].filter(Boolean).join(" ")}${c.text ? html`: ${c.text}` : ""}</span>` }]} />`
			: html`<p class="calm soft">It has not reported any.</p>`}<//>`;
}

const Orders = ({ of }) => html`<${Panel} id="orders" title="Orders">${of.orders?.length ? html`<${List} label="Orders" rows=${of.orders} columns=${[
	{ head: "Order", cell: (o) => html`<b>${o.verb}</b> ${o.argument && html`<code>${o.argument.slice(0, 24)}</code>`}` }, { head: "State", cell: (o) => html`<${Badge} word=${o.state} />` },
	{ head: "By", cell: (o) => html`<${Name}>${o.created_by}<//>` }, { head: "When", cell: (o) => html`<${Age} at=${o.ended_at || o.created_at} />` }, { head: "Result", class: "grow", cell: (o) => html`<span class="wrap">${o.result}</span>` }]} />` : html`<p class="calm soft">None were given.</p>`}<//>`;

const Rollouts = ({ of }) => of.rollouts?.length > 0 && html`<${Panel} id="in-rollouts" title="In rollouts"><${List} label="Rollouts" rows=${of.rollouts} rowKey=${(r) => r.rollout} columns=${[
	{ head: "Rollout", cell: (r) => html`<a href=${`/rollouts/${r.rollout}`}><${Name}>${r.version || r.rollout}<//></a>` }, { head: "Ring", cell: (r) => r.ring }, { head: "Outcome", cell: (r) => html`<${Badge} word=${r.outcome} />` },
	{ head: "Since", cell: (r) => html`<${Age} at=${r.since} />` }, { head: "Why", class: "grow", cell: (r) => html`<span class="wrap">${r.reason}</span>` }]} /><//>`;

function History({ id }) {
	const history = useGet(`/v1/hosts/${id}/history`, { on: (e) => e.host === id && /host\.(report|event)/.test(e.kind), wait: 3000 });
	return html`<${Load} of=${history} what="The history">${(h) => h.items.length ? html`<${List} label="Updates" rows=${h.items} rowKey=${(u) => `${u.at}${u.version}`} columns=${[
		{ head: "When", cell: (u) => html`<${Age} at=${u.at} />` }, { head: "Version", cell: (u) => html`${u.from && html`<span class="soft"><${Name}>${u.from}<//> → </span>`}<${Name}>${u.version}<//>` },
		{ head: "Outcome", cell: (u) => html`<${Badge} word=${u.outcome} tone=${/good|ok|confirmed/.test(u.outcome) ? "good" : /bad|fail|roll/.test(u.outcome) ? "bad" : "updating"} />` }, { head: "What happened", class: "grow", cell: (u) => html`<span class="wrap">${u.text}</span>` }]} />` : html`<${Empty} title="It was not updated yet" />`}<//>`;
}

function Journal({ id, host }) {
	const journal = useGet(`/v1/hosts/${id}/journal`, { on: (e) => e.host === id && /host\.(order|report)/.test(e.kind), wait: 3000 });
	return html`<${Load} of=${journal} what="The journal">${(j) => j.items.length ? j.items.map((x) => html`<section class="journal" key=${x.id}><header><b><${Name}>${x.version || "no version"}<//></b> <${Age} at=${x.at} /> <${Copy} text=${x.text} /></header><pre tabindex="0" role="region" aria-label="Journal excerpt">${x.text}</pre></section>`)
		: html`<${Empty} title="No journal excerpt">After a failed update its end arrives by itself.${can("operator") && host.state === "active" && html` <button type="button" onClick=${() => acts.order(host, "journal")}>Fetch it now</button>`}<//>`}<//>`;
}

function actions(h) {
	if (!can("operator")) return null;
	const later = () => go("/hosts");
	const main = h.state === "pending" ? html`<button type="button" class="primary" onClick=${() => acts.approve(h)}>Approve</button>`
		: h.state === "held" ? html`<button type="button" class="primary" onClick=${() => acts.release(h)}>Release from hold</button>` : null;
	const active = h.state === "active";
	const give = async () => {
		const releases = await attempt(() => get("/v1/releases?limit=200"));
		if (releases) acts.giveRelease(h, releases.items);
	};
	return html`${main}${active && html`<button type="button" onClick=${() => acts.order(h, "check")}>Check now</button><button type="button" onClick=${() => acts.order(h, "reboot")}>Reboot</button>`}
		<${Menu} label="More acts" text="More" items=${[active && { text: "Give a release by hand…", act: give }, { text: "Edit labels…", act: () => acts.setLabels(h) },
			active && { text: "Fetch the journal…", act: () => acts.order(h, "journal") }, active && { text: "Report everything anew…", act: () => acts.order(h, "facts") },
			active && { text: "Forgive failed releases…", act: () => acts.forgive(h, h.report?.failed) }, active && { text: "Hold…", danger: true, act: () => acts.hold(h) },
			active && { text: "Leave this fleet…", danger: true, act: () => acts.order(h, "forget") }, can("admin") && h.state !== "retired" && { text: "Retire…", danger: true, act: () => acts.retire(h) },
			can("admin") && { text: "Forget…", danger: true, act: () => acts.forget(h, later) }]} />`;
}

export function Host({ id }) {
	const path = `/v1/hosts/${part(id)}`;
	const view = useGet(path, { on: (e) => e.host && e.host === view.data?.id && e.kind !== "host.event", patch: (data, e) => (e.host === data.id ? patchHost(data, e) : undefined), wait: 2000 });
	const [tab, setTab] = useArgument("tab", "events");
	if (view.error && view.data === undefined && view.error.status === 404)
		return html`<${Head} title="No such host" back=${["/hosts", "Hosts"]} /><${Panel}><${Empty} title="There is no such host"><p>It was forgotten, or it is not among those that you may see.</p><a class="button" href="/hosts">All hosts</a><//><//>`;
	return html`<${Load} of=${view} what="The host" rows=${8}>${(h) => html`
		<${Head} title=${h.name || h.id.slice(0, 12)} back=${["/hosts", "Hosts"]} actions=${actions(h)} sub=${html`${h.state !== "active" && html`<${Badge} word=${h.state} />`}<${Badge} word=${h.health} /><span>${h.health_since ? html`since <${Age} at=${h.health_since} />` : ""}</span><span>runs <b><${Name}>${h.version || "nothing known"}<//></b></span><span>seen <${Age} at=${h.seen} /></span>${h.open_orders > 0 && html`<span>${words.plural(h.open_orders, "open order")}</span>`}`} />
		${h.reason && html`<div class=${`notice tone-${words.tone(h.state)}`}><${Icon} name="alert" /><p><b>${h.state}:</b> ${h.reason}</p></div>`}
		<div class="cols wide-first"><${Why} id=${h.id} />
		<${Panel} id="identity" title="Identity" actions=${can("operator") && html`<button type="button" class="small" onClick=${() => acts.setLabels(h)}>Edit labels</button>`}><${Facts} of=${[
			["Labels", html`<${Labels} of=${h.labels} />`], ["Channel", html`<${Name}>${h.channel || "none"}<//>`], ["Image", html`<${Name}>${[h.image, h.variant, h.arch].filter(Boolean).join(" / ") || "not known"}<//>`],
			["Commit", html`<${Digest} of=${h.commit} length=${16} />`], ["Desired", h.desired?.release ? html`<${ReleaseLink} release=${h.desired.release} /> <span class="soft">${h.desired.verb === "return" ? "go back" : ""}${h.desired.rollout ? html` by <a href=${`/rollouts/${h.desired.rollout}`}>a rollout</a>` : ""}</span>` : html`<span class="soft">what it runs</span>`],
			["Agent", html`${h.agent_state || "not known"}${h.report?.agent ? ` (${h.report.agent})` : ""}`], h.report?.detail && ["Doing", html`<span class="wrap">${h.report.detail}</span>`],
			["Windows", h.windows?.length ? html`<span class="wrap">${h.windows.join("; ")}</span>${h.policy ? html` <span class="soft">policy <${Name}>${h.policy}<//></span>` : ""}` : html`<span class="soft">its own rule</span>`],
			["Address", html`<${Name}>${h.address || "not known"}<//>`], ["Joined", html`<${Age} at=${h.enrolled} />${h.token ? html` <span class="soft">token ${h.token}</span>` : ""}`],
			["Certificate", h.certificate?.serial ? html`<${Digest} of=${h.certificate.serial} /> <span class="soft">ends <${Age} at=${h.certificate.not_after} /></span>` : html`<span class="soft">none</span>`], ["Id", html`<code class="digest whole">${h.id}</code>`]]} /><//></div>
		<${HostWorkloads} host=${h} />
		<div class="cols"><${Deployments} of=${h} /><${Checks} of=${h} /></div>
		<${Panel} class="tabbed"><${Tabs} label="More of this host" value=${tab} onChange=${setTab} tabs=${[["events", "Events"], ["history", "Updates"], ["journal", "Journal"], ["facts", "Facts"]]} />
		<${TabPanel} id=${tab}>${tab === "history" ? html`<${History} id=${h.id} />` : tab === "journal" ? html`<${Journal} id=${h.id} host=${h} />`
			: tab === "facts" ? Object.keys(h.facts || {}).length ? html`<${Facts} of=${Object.entries(h.facts).sort().map(([k, v]) => [k, fact(k, v)])} />` : html`<${Empty} title="It has not reported any facts" />`
				: html`<${EventList} path=${`/v1/hosts/${h.id}/events`} accepts=${(e) => e.host === h.id} hideHost />`}<//><//>
		<${Rollouts} of=${h} /><${Orders} of=${h} />`}<//>`;
}
