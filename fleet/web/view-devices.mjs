// SPDX-License-Identifier: Apache-2.0
// Devices that speak hawkBit's DDI: who is there, what can be installed, and what was and is to be installed on each.
import { html } from "./base.mjs";
import { useGet, usePages, useStale, can, post, remove, part } from "./api.mjs";
import { go, useArgument } from "./router.mjs";
import { Head, Panel, Load, Empty, Badge, Age, Name, Labels, List, Facts, Copy, Digest, Loading, Failure, Shown, Tabs, TabPanel, Menu } from "./ui.mjs";
import { ask, REASON } from "./dialog.mjs";
import * as words from "./words.mjs";

const TARGETS = "/v1/ddi/targets", MODULES = "/v1/ddi/modules";
const changed = (e) => e.kind === "ddi.changed";
const TONES = { finished: "good", error: "bad", warning: "degraded", canceled: "silent", canceling: "degraded", "wait-confirmation": "degraded" };
const State = ({ of }) => html`<${Badge} word=${of} tone=${TONES[of] || "updating"} />`;
const why = (v) => ({ reason: v.reason || undefined });

const create = (then) => ask({
	title: "New device", text: "The device authenticates with the token that is shown next; without one it cannot be told from another.", confirm: "Make it", keep: true,
	fields: [{ name: "id", label: "Controller id", required: true, maxlength: 256, hint: "What the device's client calls itself." }, REASON],
	act: async (v) => {
		const made = await post(TARGETS, { id: v.id, ...why(v) });
		then();
		return made;
	},
	show: (made) => html`<p><strong>This is the only time that the token is shown.</strong></p><div class="secret"><code>${made.token}</code><${Copy} text=${made.token} label="Copy the token" /></div>
		<p>The device asks at</p><pre tabindex="0" role="region" aria-label="Address for the device">${`${location.origin}/DEFAULT/controller/v1/${encodeURIComponent(made.id)}\nAuthorization: TargetToken ${made.token}`}</pre>`,
});

const drop = (id) => ask({
	title: `Remove ${id.slice(0, 60)}`, text: "With it goes what is to be installed on it, and its history.", confirm: "Remove", danger: true, typed: id.length <= 40 ? id : id.slice(0, 12), fields: [REASON], done: "Removed.",
	act: async (v) => {
		await remove(`${TARGETS}/${part(id)}`, why(v));
		go("/devices");
	},
});

function Targets() {
	const pages = usePages(TARGETS, {}, 200);
	useStale(pages.reload, changed);
	const may = can("admin");
	return html`<${Panel} id="devices" title="Devices" actions=${may && html`<button type="button" class="primary" onClick=${() => create(pages.reload)}>New device</button>`}>
		${pages.error && html`<${Failure} error=${pages.error} reload=${pages.reload} what="The devices" />`}
		${!pages.items.length ? (pages.loading ? html`<${Loading} />` : !pages.error && html`<${Empty} title="There is no device yet">Machines that do not run Ashlar, with a client of hawkBit's DDI such as swupdate or RAUC, are given files here, when the server's settings say <code>ddi: enabled: true</code>. ${may && html`<button type="button" class="primary" onClick=${() => create(pages.reload)}>Make the first</button>`}<//>`)
			: html`<${List} label="Devices" rows=${pages.items} columns=${[
				{ head: "Device", class: "grow", cell: (t) => html`<a class="strong" href=${`/devices/${part(t.id)}`}><${Name}>${t.id}<//></a>` },
				{ head: "Installed", cell: (t) => (t.installed?.name ? html`<${Name}>${`${t.installed.name} ${t.installed.version}`}<//>` : html`<span class="soft">not said</span>`) },
				{ head: "Seen", cell: (t) => html`<${Age} at=${t.last_seen} />` }, { head: "Address", cell: (t) => html`<${Name}>${t.address || "not known"}<//>` },
				{ head: "Attributes", cell: (t) => html`<${Labels} of=${t.attributes} />` }]} /><${Shown} noun="devices" pages=${pages} />`}<//>`;
}

const newModule = (then) => ask({
	title: "New module", text: "What is installed as one: a name, a version, and the files that are added to it afterwards.", confirm: "Make it", done: "Made. Now add its files.",
	fields: [{ name: "name", label: "Name", required: true, maxlength: 128, placeholder: "firmware" }, { name: "version", label: "Version", required: true, maxlength: 128, placeholder: "1.0.0" },
		{ name: "type", label: "Type", value: "os", required: true, maxlength: 128, hint: "os, application, runtime, or the client's own word" }, REASON],
	act: async (v) => {
		await post(MODULES, { name: v.name, version: v.version, type: v.type, ...why(v) });
		then();
	},
});

const addFile = (m, then) => ask({
	title: `Add a file to ${m.name.slice(0, 40)} ${m.version.slice(0, 20)}`, confirm: "Add it",
	text: html`<p>Put the file into <code>content/ddi/upload</code> of the server's directory first. It is read whole, and kept by its digest: what is registered stays what it is.</p>`,
	fields: [{ name: "filename", label: "File name", required: true, maxlength: 128, placeholder: "image.swu" }, REASON],
	done: (made) => `Added ${made.filename}: ${words.bytes(made.size)}.`,
	act: async (v) => {
		const made = await post(`${MODULES}/${m.id}/artifacts`, { filename: v.filename, ...why(v) });
		then();
		return made;
	},
});

function Module({ of: m }) {
	const view = useGet(`${MODULES}/${m.id}`, { on: changed });
	return html`<article class="channel"><header><h3><${Name}>${m.name}<//></h3><b><${Name}>${m.version}<//></b><span class="soft">${m.type}</span>
		${can("admin") && html`<button type="button" class="small" onClick=${() => addFile(m, view.reload)}>Add a file</button>`}</header>
		<${Load} of=${view} what="Its files" rows=${1}>${(whole) => whole.artifacts.length ? html`<${List} label=${`Files of ${m.name} ${m.version}`.slice(0, 120)} rows=${whole.artifacts} rowKey=${(a) => a.filename} columns=${[
			{ head: "File", class: "grow", cell: (a) => html`<${Name}>${a.filename}<//>` }, { head: "Size", cell: (a) => words.bytes(a.size) }, { head: "SHA-256", cell: (a) => html`<${Digest} of=${a.sha256} length=${16} />` }]} />` : html`<p class="calm soft">It has no file so far.</p>`}<//></article>`;
}

function Modules() {
	const pages = usePages(MODULES, {}, 50);
	useStale(pages.reload, changed);
	const may = can("admin");
	return html`<${Panel} id="modules" title="Modules" actions=${may && html`<button type="button" class="primary" onClick=${() => newModule(pages.reload)}>New module</button>`}>
		${pages.error && html`<${Failure} error=${pages.error} reload=${pages.reload} what="The modules" />`}
		${!pages.items.length ? (pages.loading ? html`<${Loading} />` : !pages.error && html`<${Empty} title="There is nothing to install yet">A module is a name, a version and its files.<//>`)
			: html`<div class="channel-list">${pages.items.map((m) => html`<${Module} key=${m.id} of=${m} />`)}</div><${Shown} noun="modules" pages=${pages} />`}<//>`;
}

export function Devices() {
	const [tab, setTab] = useArgument("tab", "devices");
	return html`<${Head} title="Devices" sub=${html`<span>They speak hawkBit's DDI and are given files; hosts of the fleet are elsewhere.</span>`} />
		<${Tabs} label="Devices" value=${tab} onChange=${setTab} tabs=${[["devices", "Devices"], ["modules", "Modules"]]} />
		<${TabPanel} id=${tab}>${tab === "modules" ? html`<${Modules} />` : html`<${Targets} />`}<//>`;
}

// ---- one device ----

const KINDS = [["forced", "forced: as soon as it asks"], ["soft", "soft: when the device finds it fit"], ["download-only", "download only: install nothing"]];

const install = (id, modules, then) => ask({
	title: `Install on ${id.slice(0, 60)}`, confirm: "Install", wide: true, done: "Said. The device hears of it when it asks next.",
	fields: [{ name: "modules", label: "Modules", type: "choices", required: true, value: [], options: modules.map((m) => [String(m.id), `${m.name} ${m.version}, ${m.type}`]) },
		{ name: "name", label: "Name", maxlength: 128, hint: "For people. Empty: the first module's." }, { name: "version", label: "Version", maxlength: 128, hint: "Empty: the first module's." },
		{ name: "kind", label: "How", value: "forced", options: KINDS }, { name: "schedule", label: "Window", placeholder: "Sat 02:00-05:00 Europe/Zurich", maxlength: 256, hint: "Empty: at any time." },
		{ name: "weight", label: "Weight", type: "number", min: 0, max: 1000, value: "1000", required: true, hint: "Of several, the heaviest goes first." },
		{ name: "needs_confirmation", label: "Somebody at the device must agree", type: "check" }, { name: "beside", label: "What is under way goes on beside it", type: "check", hint: "Otherwise it is cancelled." }, REASON],
	act: async (v) => {
		if (!v.modules.length) throw new Error("choose a module at least");
		const first = modules.find((m) => String(m.id) === v.modules[0]);
		await post(`${TARGETS}/${part(id)}/actions`, {
			modules: v.modules.map(Number), name: v.name || first.name, version: v.version || first.version, kind: v.kind, schedule: v.schedule, weight: Number(v.weight),
			needs_confirmation: v.needs_confirmation, beside: v.beside, ...why(v),
		});
		then();
	},
});

const ACTS = {
	cancel: ["Cancel it", "The device is asked to stop. It may be too late for that.", "The device is asked."],
	quit: ["End without asking", "It counts as cancelled, whatever the device does. For a device that does not answer any more.", "Ended."],
	force: ["Force", "The device need not wait for a fit moment any more.", "Forced."],
};
const act = (id, a, verb, then) => ask({
	title: `${ACTS[verb][0]}: ${`${a.name} ${a.version}`.slice(0, 60)}`, text: ACTS[verb][1], confirm: ACTS[verb][0], danger: verb !== "force", done: ACTS[verb][2], fields: [REASON],
	act: async (v) => {
		await post(`${TARGETS}/${part(id)}/actions/${a.id}/${verb}`, why(v));
		then();
	},
});

function Said({ id, action, modules }) {
	const nameOf = (n) => modules?.find((m) => m.id === n);
	const view = useGet(`${TARGETS}/${part(id)}/actions/${action}`, { on: changed });
	return html`<${Load} of=${view} what="What the device said" rows=${2}>${(a) => html`<${Facts} of=${[["Modules", (a.modules || []).map((n) => (nameOf(n) ? `${nameOf(n).name} ${nameOf(n).version}` : `#${n}`)).join(", ")], ["How", `${a.kind}, weight ${a.weight}`], a.schedule && ["Window", a.schedule]]} />
		${a.statuses.length ? html`<ul class="events">${[...a.statuses].reverse().map((s, i) => html`<li key=${i} class=${`event tone-${TONES[s.state] || "updating"}`}><i aria-hidden="true"></i><div><span class="event-what"><b>${s.state}</b> ${(s.messages || []).map((m) => html`<span class="wrap">${String(m)} </span>`)}</span><span class="event-meta"><${Age} at=${s.at} /></span></div></li>`)}</ul>` : html`<p class="calm soft">The device has said nothing so far.</p>`}`}<//>`;
}

export function Device({ id }) {
	const view = useGet(`${TARGETS}/${part(id)}`, { on: changed, wait: 1500 });
	const actions = usePages(`${TARGETS}/${part(id)}/actions`, {}, 1000);
	const modules = useGet(`${MODULES}?limit=1000`, { on: changed, wait: 5000 });
	const [shown, show] = useArgument("action");
	useStale(actions.reload, changed);
	const may = can("operator");
	if (view.error?.status === 404) return html`<${Head} title="No such device" back=${["/devices", "Devices"]} /><${Panel}><${Empty} title="There is no such device"><a class="button" href="/devices">All devices</a><//><//>`;
	const give = () => install(id, modules.data.items, actions.reload);
	const rows = [...actions.items].reverse();
	return html`<${Load} of=${view} what="The device" rows=${6}>${(t) => html`
		<${Head} title=${t.id} back=${["/devices", "Devices"]} sub=${html`<span>seen <${Age} at=${t.last_seen} /></span>${t.installed?.name && html`<span>runs <b><${Name}>${`${t.installed.name} ${t.installed.version}`}<//></b></span>`}`}
			actions=${html`${may && html`<button type="button" class="primary" disabled=${!modules.data?.items.length} onClick=${give}>Install</button>`}${can("admin") && html`<${Menu} label="More acts" items=${[{ text: "Remove…", danger: true, act: () => drop(t.id) }]} />`}`} />
		<${Panel} id="of-device" title="What it says of itself"><${Facts} of=${[["Address", html`<${Name}>${t.address || "not known"}<//>`], ["Made", html`<${Age} at=${t.created_at} />`], ["Agrees by itself", t.auto_confirm ? "yes" : "no"], ...Object.entries(t.attributes || {}).map(([k, v]) => [k, html`<${Name}>${String(v)}<//>`])]} /><//>
		<${Panel} id="actions" title="What is to be installed, and was">${actions.error && html`<${Failure} error=${actions.error} reload=${actions.reload} what="The list" />`}
			${!rows.length ? (actions.loading ? html`<${Loading} />` : !actions.error && html`<${Empty} title="Nothing was installed on it yet">${modules.data && !modules.data.items.length ? html`There is <a href="/devices?tab=modules">no module</a> to install so far.` : may && html`<button type="button" onClick=${give} disabled=${!modules.data}>Install something</button>`}<//>`)
				: html`<${List} label="Actions" rows=${rows} columns=${[
					{ head: "What", class: "grow", cell: (a) => html`<b><${Name}>${a.name}<//></b> <${Name}>${a.version}<//><small class="soft">${a.kind}${a.schedule ? `, ${a.schedule}` : ""}</small>` },
					{ head: "State", cell: (a) => html`<${State} of=${a.state} />` }, { head: "Given", cell: (a) => html`<${Age} at=${a.created_at} /> <span class="soft">by <${Name}>${a.created_by}<//></span>` },
					{ head: "", name: "Acts", class: "acts", cell: (a) => html`<button type="button" class="small" aria-expanded=${shown === String(a.id) ? "true" : "false"} onClick=${() => show(shown === String(a.id) ? "" : String(a.id))}>What it said</button>
						${may && a.active && html` <${Menu} label=${`Acts on ${a.name} ${a.version}`.slice(0, 100)} items=${[a.kind === "soft" && { text: "Force…", act: () => act(id, a, "force", actions.reload) }, a.state !== "canceling" && { text: "Cancel…", danger: true, act: () => act(id, a, "cancel", actions.reload) }, { text: "End without asking…", danger: true, act: () => act(id, a, "quit", actions.reload) }]} />`}` }]} /><${Shown} noun="actions" pages=${actions} />`}<//>
		${shown && html`<${Panel} key=${shown} id="said" title=${`What it said of number ${shown}`}><${Said} id=${id} action=${shown} modules=${modules.data?.items} /><//>`}`}<//>`;
}
