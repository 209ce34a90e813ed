// SPDX-License-Identifier: Apache-2.0
// All hosts: a selector says which, the columns say what of them, and what is chosen can be acted on at once.
import { html, useState, useEffect, useMemo, useRef } from "./base.mjs";
import { usePages, useGet, get, query, can } from "./api.mjs";
import { useArgument, go } from "./router.mjs";
import { follow } from "./live.mjs";
import { Head, Badge, Age, Name, Labels, Loading, Failure, Empty, Menu, Digest, HostLink } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { Grid } from "./grid.mjs";
import { Selector, useCount } from "./selector.mjs";
import { bulk, ofIds } from "./acts.mjs";
import * as words from "./words.mjs";

const soft = (text) => html`<span class="soft">${text}</span>`;
const COLUMNS = [
	{ id: "name", head: "Name", sort: "name", class: "w-name", cell: (h) => html`<${HostLink} id=${h.id} name=${h.name} />`, fixed: true },
	{ id: "health", head: "Health", sort: "health", class: "w-badge", cell: (h) => (h.state === "active" ? html`<${Badge} word=${h.health} />` : html`<${Badge} word=${h.state} />`) },
	{ id: "version", head: "Version", sort: "version", class: "w-version", cell: (h) => html`<${Name}>${h.version || "—"}<//>` },
	{ id: "seen", head: "Seen", sort: "seen", class: "w-age", cell: (h) => html`<${Age} at=${h.seen} />` },
	{ id: "doing", head: "Doing", class: "w-text", cell: (h) => (h.reason ? html`<${Name}>${h.reason}<//>` : h.agent_state && h.agent_state !== "idle" ? html`<${Name}>${h.agent_state}<//>` : soft("—")) },
	{ id: "labels", head: "Labels", class: "w-labels", cell: (h) => html`<${Labels} of=${h.labels} />` },
	{ id: "channel", head: "Channel", class: "w-version", cell: (h) => html`<${Name}>${h.channel || "—"}<//>` },
	{ id: "since", head: "Health since", class: "w-age", cell: (h) => html`<${Age} at=${h.health_since} />` },
	{ id: "image", head: "Image", class: "w-version", cell: (h) => html`<${Name}>${[h.image, h.variant].filter(Boolean).join(" / ") || "—"}<//>` },
	{ id: "arch", head: "Architecture", class: "w-version", cell: (h) => h.arch || "—" },
	{ id: "commit", head: "Commit", class: "w-digest", cell: (h) => html`<${Digest} of=${h.commit} />` },
	{ id: "orders", head: "Orders", class: "w-num", cell: (h) => h.open_orders || soft("0") },
	{ id: "rollout", head: "Rollout", class: "w-digest", cell: (h) => (h.rollout ? html`<a href=${`/rollouts/${h.rollout}`}>${h.rollout}</a>` : soft("—")) },
	{ id: "enrolled", head: "Joined", class: "w-age", cell: (h) => html`<${Age} at=${h.enrolled} />` },
	{ id: "id", head: "Id", class: "w-digest", cell: (h) => html`<${Digest} of=${h.id} />` },
];
const USUAL = "name,health,version,seen,doing,labels";
const QUICK = [["all", "All"], ["health = bad", "Bad"], ["health = degraded", "Degraded"], ["health = updating", "Updating"], ["health = silent", "Silent"], ["state = pending", "Pending"], ["state = held", "Held"]];

const Card = (h) => html`<div class="host-card"><${HostLink} id=${h.id} name=${h.name} /><${Badge} word=${h.state === "active" ? h.health : h.state} />
	<span class="soft"><${Name}>${h.version || "no version"}<//></span><span class="soft"><${Age} at=${h.seen} /></span></div>`;

const because = (event) => event.text.replace(/^(held|retired): */, "");

// What an event says of a host, without asking for it.
export function patchHost(host, event) {
	const d = event.data || {};
	if (event.kind === "host.report")
		return { ...host, seen: event.at, version: d.version ?? host.version, commit: d.commit ?? host.commit, agent_state: d.to ?? host.agent_state, verdict: d.verdict ?? host.verdict, health: d.health ?? host.health, health_since: d.health && d.health !== host.health ? event.at : host.health_since };
	if (event.kind === "host.labels") return d.labels ? { ...host, labels: d.labels } : host;
	if (event.kind === "host.silent") return { ...host, health: "silent", health_since: event.at };
	if (event.kind === "host.approved" || event.kind === "host.released") return { ...host, state: "active", reason: "" };
	if (event.kind === "host.held" || event.kind === "host.clone") return { ...host, state: "held", reason: because(event) };
	if (event.kind === "host.retired") return { ...host, state: "retired", reason: because(event) };
	if (event.kind === "host.order") return { ...host, open_orders: Math.max(0, (host.open_orders || 0) + (d.state === "open" ? 1 : -1)) };
	return host;
}

function Columns({ shown, onChange }) {
	const box = useRef(null);
	return html`<details class="chooser" ref=${box} onKeyDown=${(e) => e.key === "Escape" && (box.current.open = false)}><summary class="button" aria-label="Columns" title="Columns"><${Icon} name="columns" /><span class="wide-only">Columns</span></summary>
		<fieldset><legend class="sr">Columns</legend>${COLUMNS.filter((c) => !c.fixed).map((c) => html`<label class="check"><input type="checkbox" checked=${shown.includes(c.id)} onChange=${(e) => onChange(e.target.checked ? [...shown, c.id] : shown.filter((id) => id !== c.id))} /><span>${c.head}</span></label>`)}
		<button type="button" class="small" onClick=${() => onChange(USUAL.split(","))}>As usual</button></fieldset></details>`;
}

// How many hosts have which value of a key; "" is no group: those that lack it.
const KEYS = ["version", "health", "state", "channel", "agent", "arch", "image", "variant", "verdict", "rollout", "kernel"];
function Groups({ selector, by, setBy }) {
	const [typed, setTyped] = useState(by);
	useEffect(() => setTyped(by), [by]);
	const view = useGet(by ? query("/v1/hosts/count", { selector, by }) : null, { on: (e) => e.kind.startsWith("host."), wait: 5000, keep: true });
	const submit = (event) => {
		event.preventDefault();
		setBy(typed.trim());
	};
	const all = [...(view.data?.groups || [])].sort((a, b) => b.count - a.count);
	const most = all[0]?.count || 1;
	return html`<details class="groups" open=${Boolean(by)}><summary>Group by a label, a fact or what a host says</summary><form class="line-form" onSubmit=${submit}>
		<div class="field"><label for="group-by">Key</label><input id="group-by" list="group-keys" value=${typed} onInput=${(e) => setTyped(e.target.value)} placeholder="site" autocomplete="off" spellcheck="false" maxlength="200" /><datalist id="group-keys">${KEYS.map((k) => html`<option value=${k}></option>`)}</datalist></div>
		<button class="primary">Group</button>${by && html`<button type="button" onClick=${() => setBy("")}>No groups</button>`}</form>
		${by && (view.error ? html`<p class="form-error" role="alert"><${Icon} name="alert" />${view.error.message}</p>` : view.data?.groups && (all.length ? html`<ul class="group-list" aria-label=${`Hosts by ${by}`.slice(0, 100)}>${all.map((g) => html`<li key=${g.value}><a href=${query("/hosts", { selector: words.both(selector, g.value === "" ? `not has ${by}` : `${by} = ${words.quote(g.value)}`), by })}><${Name}>${g.value || "none"}<//></a><span class="group-bar" aria-hidden="true"><i style=${{ width: `${(100 * g.count) / most}%` }}></i></span><b>${words.count(g.count)}</b></li>`)}</ul>` : html`<p class="calm soft">No host matches.</p>`))}</details>`;
}

export function Hosts() {
	const [selector, setSelector] = useArgument("selector");
	const [sort, setSort] = useArgument("sort", "name");
	const [columnIds, setColumnIds] = useArgument("columns", USUAL);
	const [by, setBy] = useArgument("by");
	const [typed, setTyped] = useState(selector);
	const [picked, setPicked] = useState(() => new Set());
	const [joined, setJoined] = useState(0);
	useEffect(() => {
		setTyped(selector);
		setPicked(new Set());
		setJoined(0);
	}, [selector]);

	const count = useCount(typed);
	const pages = usePages("/v1/hosts", { selector, sort }, 200);
	const whole = useGet(query("/v1/hosts/count", { selector }), { on: (e) => /^host\.(joined|pending|retired|forgotten)/.test(e.kind), wait: 5000, keep: true });
	// What is typed without a mistake rules after a moment, and at once by Enter.
	useEffect(() => {
		if (typed === selector || count.waiting || count.error) return;
		const timer = setTimeout(() => setSelector(typed), 400);
		return () => clearTimeout(timer);
	}, [typed, count]);
	useEffect(() => follow((events, isBehind) => {
		if (isBehind) return pages.reload();
		const mine = new Map();
		let fresh = 0;
		for (const e of events) {
			if (e.kind === "host.joined" || e.kind === "host.pending") fresh++;
			else if (e.host) mine.set(e.host, [...(mine.get(e.host) || []), e]);
		}
		if (fresh) setJoined((n) => n + fresh);
		if (mine.size) pages.change((items) => items.some((h) => mine.has(h.id)) ? items.map((h) => (mine.get(h.id) || []).reduce(patchHost, h)) : items);
	}), [pages.reload]);

	const ids = columnIds.split(",");
	const columns = useMemo(() => COLUMNS.filter((c) => c.fixed || ids.includes(c.id)), [columnIds]);
	const total = whole.data?.count;
	const may = can("operator");
	const all = () => bulk([[selector || "all", total]], () => pages.reload());
	const chosen = () => bulk(ofIds([...picked]), () => {
		setPicked(new Set());
		pages.reload();
	});
	return html`<${Head} title="Hosts" sub=${total !== undefined ? html`<span>${words.plural(total, "host")}${selector ? " match" : ""}</span>` : ""}
		actions=${html`${may && total > 0 && html`<button type="button" onClick=${all}>Act on ${selector ? "all that match" : "all"}</button>`}<${Columns} shown=${ids} onChange=${(next) => setColumnIds(COLUMNS.map((c) => c.id).filter((id) => id === "name" || next.includes(id)).join(","))} />`} />
		<div class="filter"><${Selector} id="filter" label="Which hosts" hideLabel value=${typed} count=${count} placeholder="site = bern and not version >= 2.0.0" onInput=${setTyped} onCommit=${(v) => !count.error && setSelector(v)} />
		<div class="quick" role="group" aria-label="Quick filters">${QUICK.map(([s, text]) => {
			const on = s === "all" ? !selector || selector === "all" : selector === s;
			return html`<button type="button" class="chip" aria-pressed=${on ? "true" : "false"} onClick=${() => setSelector(s === "all" ? "" : s)}>${text}</button>`;
		})}<label class="sort-phone"><span class="sr">Sort by</span><select value=${sort} onChange=${(e) => setSort(e.target.value)}>${["name", "health", "version", "seen"].map((s) => html`<option value=${s} selected=${s === sort}>by ${s}</option>`)}</select></label></div>
		<${Groups} selector=${selector} by=${by} setBy=${setBy} /></div>
		${joined > 0 && html`<button type="button" class="news" onClick=${() => {
			setJoined(0);
			pages.reload();
		}}>${words.plural(joined, "host has", "hosts have")} joined: show</button>`}
		${picked.size > 0 && html`<div class="picked" role="region" aria-label="Selection"><b>${words.count(picked.size)} selected</b><button type="button" class="primary" onClick=${chosen}>Act on them</button><button type="button" onClick=${() => setPicked(new Set())}>Clear</button></div>`}
		${pages.error && html`<${Failure} error=${pages.error} reload=${pages.reload} what="The list" />`}
		${!pages.items.length && pages.loading ? html`<${Loading} rows=${9} />` : !pages.items.length && !pages.error ? html`<${Empty} title=${selector ? "No host matches" : "No host has joined yet"}>${selector ? html`<button type="button" onClick=${() => setSelector("")}>Show all hosts</button>` : can("admin") ? html`<a class="button primary" href="/joining">Make a join token</a>` : null}<//>`
			: html`<${Grid} key=${`${selector}|${sort}`} label="Hosts" columns=${columns} rows=${pages.items} total=${total} rowKey=${(h) => h.id} card=${Card} sort=${sort} onSort=${(s) => setSort(s || "name")} onMore=${pages.more} canSelect=${may} selected=${picked} onSelect=${setPicked} />`}`;
}
