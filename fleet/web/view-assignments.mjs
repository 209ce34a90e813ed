// SPDX-License-Identifier: Apache-2.0
// Assignments: which hosts run which version of a workload, with which values. What one would do is asked of the server
// while the form is filled in; a version that may touch more needs to be wanted, and a reason.
import { html, useState, useEffect } from "./base.mjs";
import { useGet, put, remove, can, query, part } from "./api.mjs";
import { go, place } from "./router.mjs";
import { Head, Panel, Load, Empty, Name, List, Menu, Loading } from "./ui.mjs";
import { Selector } from "./selector.mjs";
import { Field, ask, say, REASON } from "./dialog.mjs";
import { Icon } from "./icons.mjs";
import { Touches } from "./view-workloads.mjs";
import * as words from "./words.mjs";

const values = (map) => Object.entries(map || {}).map(([k, v]) => `${k}=${v}`).join(", ");
const drop = (a) => ask({
	title: `Remove assignment ${a.id}`.slice(0, 80), text: `${words.plural(a.hosts, "host")} ${a.hosts === 1 ? "runs" : "run"} ${a.workload} no more, unless another assignment says so. Volumes are kept.`, confirm: "Remove", danger: true, typed: a.id, done: "Removed.", fields: [REASON],
	act: async (v) => {
		await remove(`/v1/assignments/${part(a.id)}`, { reason: v.reason || undefined });
		if (place.get().path.startsWith("/assignments/")) go(`/workloads/${part(a.workload)}`);
	},
});

export const AssignmentList = ({ rows, withWorkload }) => html`<${List} label="Assignments" rows=${[...rows].sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1))} columns=${[
	{ head: "Assignment", cell: (a) => html`<a class="strong" href=${`/assignments/${part(a.id)}`}><${Name}>${a.id}<//></a>${a.note && html`<small class="soft wrap">${a.note}</small>`}` },
	withWorkload && { head: "Workload", cell: (a) => html`<a href=${`/workloads/${part(a.workload)}`}><${Name}>${a.workload}<//></a>` },
	{ head: "Version", cell: (a) => html`${a.version ? html`<${Name}>${a.version}<//>` : html`<span class="soft">none yet</span>`}${a.rollout && html` <a href=${`/rollouts/${part(a.rollout)}`}>moving</a>`}` },
	{ head: "Hosts", class: "grow", cell: (a) => html`<b>${words.count(a.hosts)}</b> <a href=${query("/hosts", { selector: a.selector })}><code class="wrap">${a.selector || "all"}</code></a>` }, { head: "Rank", cell: (a) => a.rank }, { head: "Values", cell: (a) => values(a.parameters) && html`<span class="breaks">${values(a.parameters)}</span>` },
	can("operator") && { head: "", name: "Acts", class: "acts", cell: (a) => html`<a class="button small" href=${`/rollouts/new?assignment=${part(a.id)}`}>Roll out</a> <${Menu} label=${`Acts on ${a.id}`} items=${[{ text: "Change…", act: () => go(`/assignments/${part(a.id)}`) }, { text: "Remove…", danger: true, act: () => drop(a) }]} />` }]} />`;

const START = { id: "", workload: "", version: "", selector: "", rank: "100", note: "", widen: false, reason: "" };

// @given: values of parameters by name; what is empty or as the definition has it is left out.
function bodyOf(v, given, declared, isNew) {
	const parameters = {};
	for (const p of declared) {
		const text = given[p.name] ?? "";
		if (text === "" || text === (p.default ?? null)) continue;
		parameters[p.name] = p.type === "int" && /^-?\d+$/.test(text) ? Number(text) : p.type === "bool" ? text === "true" : text;
	}
	return { ...(isNew ? { workload: v.workload } : {}), version: v.version, selector: v.selector, rank: Number(v.rank), parameters, note: v.note };
}

function usePreview(id, body, isReady) {
	const [state, setState] = useState({});
	const key = JSON.stringify([id, body]);
	useEffect(() => {
		if (!isReady) return setState({});
		let gone = false;
		const timer = setTimeout(async () => {
			const path = `/v1/assignments/${part(id)}?dry_run=1`;
			let next = { key };
			try {
				next.data = await put(path, body);
			} catch (error) {
				next.error = error;
				if (error.kind === "wider")
					try {
						next = { key, wider: error.body, data: await put(path, { ...body, widen: true }) };
					} catch (second) {
						next.error = second;
					}
			}
			if (!gone) setState(next);
		}, 400);
		return () => {
			gone = true;
			clearTimeout(timer);
		};
	}, [key, isReady]);
	return { ...state, waiting: isReady && state.key !== key };
}

// Both of this form and of a rollout's: what goes further, and what it takes to go on.
export const Wider = ({ of, widen, onWiden, reason, onReason }) => html`<div class="wider"><div class="notice tone-bad" role="alert"><${Icon} name="alert" /><p><strong>${(of.text || "It may touch more than before").split(":")[0]}.</strong></p></div>
	${of.changes && html`<${Touches} of=${of.changes} />`}
	<${Field} id="widen" of=${{ name: "widen", label: "It may touch more: go on", type: "check" }} value=${widen} onInput=${onWiden} />
	${widen && html`<${Field} id="widen-reason" of=${{ name: "reason", label: "Reason", required: true, maxlength: 500, hint: "It is kept in the audit log." }} value=${reason} onInput=${onReason} />`}</div>`;

const parameter = (p, value, set) => {
	const hint = [p.default !== undefined ? `Empty: ${p.default === "" ? "the empty text" : p.default}.` : "It has to be given, here or on the host.", p.type === "int" ? `${p.min} to ${p.max}.` : p.type === "string" && p.max ? `At most ${p.max} bytes.` : ""].filter(Boolean).join(" ");
	const options = p.type === "choice" ? p.choices : p.type === "bool" ? ["true", "false"] : null;
	return html`<${Field} key=${p.name} id=${`parameter-${p.name}`} of=${{ name: p.name, label: p.name, hint, ...(options ? { options: [["", "as it is defined"], ...options.map((o) => [o, o])] } : { type: p.type === "int" ? "number" : "text", min: p.min, max: p.type === "int" ? p.max : undefined }) }} value=${value} onInput=${set} />`;
};

function Form({ old, workloads }) {
	const args = new URLSearchParams(place.use().search);
	const [v, setV] = useState(() => ({ ...START, ...(old ? { ...old, rank: String(old.rank) } : { workload: args.get("workload") || "" }), version: args.get("version") || old?.version || "" }));
	const [given, setGiven] = useState(() => Object.fromEntries(Object.entries(old?.parameters || {}).map(([k, value]) => [k, String(value)])));
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState("");
	const versions = workloads.filter((w) => w.name === v.workload).sort((a, b) => b.added_at - a.added_at || b.id - a.id);
	const shape = useGet(v.workload && (v.version || versions[0]) ? `/v1/workloads/${part(v.workload)}/${part(v.version || versions[0].version)}` : null);
	const declared = (shape.data?.document?.parameters || []).filter((p) => p && typeof p.name === "string");
	const body = bodyOf(v, given, declared, !old);
	const isReady = Boolean(v.id && v.workload && (!shape.loading || shape.data));
	const preview = usePreview(v.id, body, isReady);
	const set = (name) => (value) => setV((was) => ({ ...was, [name]: value, ...(name === "workload" ? { version: "" } : {}) }));
	const moves = old && v.version && v.version !== old.version;
	const submit = async (event) => {
		event.preventDefault();
		setBusy(true);
		setError("");
		try {
			await put(`/v1/assignments/${part(v.id)}`, { ...body, expect: preview.data.hosts, ...(preview.wider ? { widen: v.widen } : {}), reason: v.reason || undefined });
			say("Saved. Hosts hear of it at their next word.");
			go(`/workloads/${part(v.workload)}`);
		} catch (failure) {
			setError(failure.kind === "count" ? `It counts for ${words.plural(failure.body.count, "host")} by now: look again.` : failure.message);
			setBusy(false);
		}
	};
	const field = (name, label, more = {}) => html`<${Field} of=${{ name, label, ...more }} id=${`assign-${name}`} value=${v[name]} onInput=${set(name)} />`;
	const names = [...new Set(workloads.map((w) => w.name))].sort();
	const blocked = busy || !preview.data || preview.waiting || (preview.wider && (!v.widen || !v.reason));
	return html`<form class="cols wide-first" onSubmit=${submit}><div><${Panel} id="what" title="What"><div class="fields">
		${field("id", "Name", { required: true, maxlength: 64, disabled: Boolean(old), placeholder: "edge-web" })}${field("workload", "Workload", { required: true, disabled: Boolean(old), options: [["", "choose one"], ...names.map((n) => [n, n])] })}
		${field("version", "Version", { options: [["", "none yet: a rollout brings it"], ...versions.filter((w) => !w.withdrawn || w.version === old?.version).map((w) => [w.version, w.version])] })}${field("note", "Note", { maxlength: 200 })}</div><//>
		<${Panel} id="where" title="Where to"><${Selector} id="assign-selector" label="Hosts" value=${v.selector} onInput=${set("selector")} hint="Empty: all hosts. Example: site = bern and role = web" /><div class="fields">${field("rank", "Rank", { type: "number", min: 0, required: true, hint: "Of several assignments of a workload, the one with the lowest rank counts for a host." })}</div><//>
		<${Panel} id="values" title="Values">${!v.workload ? html`<p class="calm soft">Choose a workload first.</p>` : shape.loading && !shape.data ? html`<${Loading} />` : declared.length ? html`<div class="fields">${declared.map((p) => parameter(p, given[p.name] ?? "", (value) => setGiven((was) => ({ ...was, [p.name]: value }))))}</div>` : html`<p class="calm soft">Its definition declares no parameters.</p>`}<//></div>
		<div class="sticky"><${Panel} id="preview" title="What would happen"><div aria-live="polite" class=${preview.waiting ? "is-stale" : ""}>
			${preview.data ? html`<p class="big"><b>${words.count(preview.data.hosts)}</b> ${preview.data.hosts === 1 ? "host" : "hosts"}</p><p class="soft">${v.version ? moves ? `All get ${v.version} at once, without rings.` : `They run ${v.version}.` : "Nothing yet: a rollout brings the first version."}</p>`
				: preview.error ? html`<p class="form-error" role="alert"><${Icon} name="alert" />${preview.error.message}</p>` : preview.waiting ? html`<${Loading} rows=${1} />` : html`<p class="soft">Give it a name and a workload to see what would happen.</p>`}</div>
			${preview.wider && html`<${Wider} of=${preview.wider} widen=${v.widen} onWiden=${set("widen")} reason=${v.reason} onReason=${set("reason")} />`}
			${!preview.wider && field("reason", "Reason", { maxlength: 500 })}
			${error && html`<p class="form-error" role="alert"><${Icon} name="alert" />${error}</p>`}
			<div class="form-end"><button class="primary" disabled=${blocked}>${busy ? "Working…" : moves ? `Give it to ${words.plural(preview.data?.hosts ?? 0, "host")} at once` : "Save"}</button></div>
			${moves && html`<p class="or"><a href=${query("/rollouts/new", { assignment: old.id, version: v.version })}>In rings instead: a rollout</a></p>`}<//></div></form>`;
}

export function Assignment({ id }) {
	const isNew = id === undefined;
	const old = useGet(isNew ? null : `/v1/assignments/${part(id)}`);
	const workloads = useGet("/v1/workloads?limit=1000");
	const back = old.data ? [`/workloads/${part(old.data.workload)}`, old.data.workload] : ["/workloads?tab=assignments", "Assignments"];
	if (old.error?.status === 404) return html`<${Head} title="No such assignment" back=${back} /><${Panel}><${Empty} title="There is no such assignment"><a class="button" href="/workloads?tab=assignments">All assignments</a><//><//>`;
	return html`<${Head} title=${isNew ? "New assignment" : id} back=${back} actions=${old.data && can("operator") && html`<a class="button" href=${`/rollouts/new?assignment=${part(id)}`}>Roll out</a><button type="button" class="danger" onClick=${() => drop(old.data)}>Remove</button>`} />
		<${Load} of=${workloads} what="The workloads">${(list) => !list.items.length ? html`<${Panel}><${Empty} title="There is no workload to assign">Publish one with <code>ashlar workload release</code>, then look for it on the page of workloads.<//><//>`
			: isNew ? html`<${Form} workloads=${list.items} />` : can("operator") ? html`<${Load} of=${old} what="The assignment">${(a) => html`<${Form} old=${a} workloads=${list.items} />`}<//>` : html`<${Load} of=${old} what="The assignment">${(a) => html`<${Panel}><${AssignmentList} rows=${[a]} withWorkload /><//>`}<//>`}<//>`;
}
