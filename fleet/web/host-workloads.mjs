// SPDX-License-Identifier: Apache-2.0
// What one host says of its workloads: how they fare, why they are not as wanted, what may be done, and their logs.
import { html, useState } from "./base.mjs";
import { useGet, can, post, part, query } from "./api.mjs";
import { Panel, Load, Badge, Age, Name, List, Menu, Facts } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { ask, REASON } from "./dialog.mjs";
import { Logs } from "./logs.mjs";
import * as words from "./words.mjs";

const ACTS = {
	start: ["Start", "It is started, as its definition says."],
	stop: ["Stop", "It stays stopped until somebody starts it. Its volumes are kept."],
	restart: ["Restart", "It is stopped and started again; what asks it waits meanwhile."],
};
const act = (host, w, verb, instance) => ask({
	title: `${ACTS[verb][0]}: ${w.name}`.slice(0, 80), text: `${ACTS[verb][1]} The host does it when it is heard of next.`, confirm: ACTS[verb][0], danger: verb === "stop", done: "Ordered.",
	fields: [!instance && w.instances.length > 1 && { name: "instance", label: "Which", options: [["", "all of it"], ...w.instances.map((i) => [i.name, i.name])], value: "" }, REASON].filter(Boolean),
	act: (v) => post(`/v1/hosts/${part(host)}/workloads/${part(w.name)}`, { act: verb, instance: v.instance || undefined, reason: v.reason || undefined }),
});
const forgive = (host, w) => ask({
	title: `Forgive: ${w.name}`.slice(0, 80), text: "The host remembers versions that failed on it, and does not take them again. Forgiven ones may be tried again.", confirm: "Forgive", done: "Ordered.",
	fields: [{ name: "version", label: "Which", value: "all", options: [["all", "all that failed"], ...w.failed.map((f) => [f.version, `${f.version}: ${f.reason || ""}`.slice(0, 80)])] }, REASON],
	act: (v) => post(`/v1/hosts/${part(host)}/workloads/${part(w.name)}`, { act: "forgive", version: v.version, reason: v.reason || undefined }),
});

function Chain({ host, name }) {
	const why = useGet(query(`/v1/hosts/${part(host)}/why`, { workload: name }), { on: (e) => e.host === host || /^(assignment|workload|rollout)\./.test(e.kind), wait: 2000 });
	return html`<${Load} of=${why} what="The answer" rows=${2}>${(w) => {
		const first = w.conditions.findIndex((c) => !c.met);
		return html`<ol class="chain">${w.conditions.map((c, i) => html`<li class=${c.met ? "met" : i === first ? "blocks" : "behind"} aria-current=${i === first ? "step" : undefined}><${Icon} name=${c.met ? "check" : i === first ? "cross" : "dots"} />
			<div><b>${c.condition}</b>${i === first && html` <span class="blocks-word">blocks</span>`}<span>${c.text}</span></div></li>`)}</ol>`;
	}}<//>`;
}

function Workload({ host, of: w, canAct }) {
	const [shows, setShows] = useState(""); // why, logs
	const toggle = (what) => setShows(shows === what ? "" : what);
	const instances = w.instances || [], failed = w.failed || [];
	const is = { ...w, instances, failed };
	const runs = w.version !== "";
	return html`<article class="workload"><header><h3><a href=${`/workloads/${part(w.name)}`}><${Name}>${w.name}<//></a></h3><b><${Name}>${w.version || "not here"}<//></b>
		<${Badge} word=${runs ? (w.ready ? "ready" : w.state || "not ready") : "missing"} tone=${w.ready ? "good" : runs ? words.tone(w.state) === w.state ? "degraded" : words.tone(w.state) : "bad"} />
		<div class="actions">${canAct && runs && html`<button type="button" class="small" aria-expanded=${shows === "logs" ? "true" : "false"} onClick=${() => toggle("logs")}>Log</button>`}<button type="button" class="small" aria-expanded=${shows === "why" ? "true" : "false"} onClick=${() => toggle("why")}>Why?</button>
		${canAct && html`<${Menu} label=${`Acts on ${w.name}`} items=${[runs && { text: "Start…", act: () => act(host, is, "start") }, runs && { text: "Restart…", act: () => act(host, is, "restart") }, runs && { text: "Stop…", danger: true, act: () => act(host, is, "stop") }, failed.length > 0 && { text: "Forgive failed versions…", act: () => forgive(host, is) }]} />`}</div></header>
		${w.why && html`<p class="workload-why"><${Icon} name="alert" /><span>${w.why}</span></p>`}${w.text && w.text !== w.why && html`<p class="wrap soft">${w.text}</p>`}
		<${Facts} of=${[["Wanted", w.wanted ? html`<${Name}>${w.wanted}<//>${w.assignment && html` <span class="soft">by <a href=${`/assignments/${part(w.assignment)}`}><${Name}>${w.assignment}<//></a></span>`}${w.rollout && html` <span class="soft">in <a href=${`/rollouts/${part(w.rollout)}`}>a rollout</a></span>`}` : html`<span class="soft">nothing by the fleet${w.origin === "local" ? ": it is the owner's own" : ""}</span>`],
			runs && ["Isolation", html`${w.isolation}${w.effective && w.effective !== w.isolation ? html` <span class="soft">in effect ${w.effective}</span>` : ""}, exposure ${words.tenths(w.score)}`], w.target && w.target !== w.version && ["Under way", html`<${Name}>${w.target}<//> <span class="soft">${w.phase}</span>`], w.restarts > 0 && ["Restarts", words.count(w.restarts)]]} />
		${instances.length > 0 && html`<${List} label=${`Instances of ${w.name}`} rows=${instances} rowKey=${(i) => i.name} columns=${[{ head: "Instance", cell: (i) => html`<${Name}>${i.name}<//>` }, { head: "State", cell: (i) => html`<${Badge} word=${i.state} tone=${i.ready ? "good" : "degraded"} />` }, { head: "Address", cell: (i) => html`<code>${i.address || ""}</code>` }, { head: "What", class: "grow", cell: (i) => html`<span class="wrap">${i.text}</span>` }]} />`}
		${failed.length > 0 && html`<${List} label=${`Versions of ${w.name} that failed`} rows=${failed} rowKey=${(f) => f.version} columns=${[{ head: "Failed", cell: (f) => html`<${Name}>${f.version}<//>` }, { head: "When", cell: (f) => html`<${Age} at=${f.at} />` }, { head: "Why", class: "grow", cell: (f) => html`<span class="wrap">${f.reason}</span>` }]} />`}
		${shows === "why" && html`<${Chain} host=${host} name=${w.name} />`}${shows === "logs" && html`<${Logs} host=${host} workload=${w.name} instances=${instances} onClose=${() => setShows("")} />`}</article>`;
}

export function HostWorkloads({ host: h }) {
	const view = useGet(`/v1/hosts/${h.id}/workloads`, { on: (e) => (e.host === h.id && /^host\.(workload|report|order)/.test(e.kind)) || /^assignment\./.test(e.kind), wait: 2000 });
	return html`<${Panel} id="workloads" title="Workloads" note=${view.data?.at ? html`as it said <${Age} at=${view.data.at} />` : ""}><${Load} of=${view} what="Its workloads" rows=${2}>${(of) => {
		const missing = of.missing.filter((m) => !of.items.some((w) => w.name === m.name && !w.version));
		return html`${of.items.map((w) => html`<${Workload} key=${w.name} host=${h.id} of=${w} canAct=${can("operator") && h.state === "active"} />`)}
			${missing.length > 0 && html`<h3>Wanted, and not here</h3><${List} label="Workloads that are missing" rows=${missing} rowKey=${(m) => `${m.name} ${m.version}`} columns=${[{ head: "Workload", cell: (m) => html`<b><${Name}>${m.name}<//></b> <${Name}>${m.version}<//>` }, { head: "Why", cell: (m) => html`<${Badge} word=${m.word} tone="bad" />` }, { head: "In words", class: "grow", cell: (m) => html`<span class="wrap">${m.text}</span>` }]} />`}
			${!of.items.length && !of.missing.length && html`<p class="calm soft">${of.at ? "It has none, and none is wanted." : "It has not said anything of workloads."}</p>`}`;
	}}<//><//>`;
}
