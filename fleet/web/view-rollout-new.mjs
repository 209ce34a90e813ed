// SPDX-License-Identifier: Apache-2.0
// A new rollout. What it would do is asked of the server while the form is filled in, and said in words.
import { html, useState, useEffect } from "./base.mjs";
import { useGet, post, newest, part } from "./api.mjs";
import { go, place } from "./router.mjs";
import { Head, Panel, Load, Empty, Loading } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { Selector } from "./selector.mjs";
import { Field, say } from "./dialog.mjs";
import { Wider } from "./view-assignments.mjs";
import * as words from "./words.mjs";

const START = { of: "release", assignment: "", version: "", widen: false, beside: false, name: "", release: "", selector: "", canaries: "", channel: "", growth: "4", first: "4", soak: "300", deadline: "5400", begin: "86400", lapse: "900", patience: "86400", ring_pause: "0", max_in_flight: "0", tolerated: "0.01", alpha: "0.01", budgets: "", windows: "", on_halt: "hold", reason: "" };

function specOf(v) {
	const what = v.of === "workload" ? { assignment: v.assignment, version: v.version, ...(v.widen ? { widen: true } : {}) } : { release: Number(v.release), selector: v.selector || "all" };
	const spec = { ...what, growth: Number(v.growth), first: Number(v.first), soak: Number(v.soak), deadline: Number(v.deadline), tolerated: Number(v.tolerated), alpha: Number(v.alpha), on_halt: v.on_halt };
	for (const name of ["begin", "lapse", "patience"]) if (v[name] !== START[name]) spec[name] = Number(v[name]);
	if (v.name) spec.name = v.name;
	if (v.canaries) spec.canaries = v.canaries;
	if (v.channel && v.of === "release") spec.channel = v.channel;
	if (Number(v.ring_pause)) spec.ring_pause = Number(v.ring_pause);
	if (Number(v.max_in_flight)) spec.max_in_flight = Number(v.max_in_flight);
	const windows = v.windows.split("\n").map((w) => w.trim()).filter(Boolean);
	if (windows.length) spec.windows = windows;
	const budgets = Object.entries(words.readLabels(v.budgets)).map(([label, max]) => ({ label, max: /%$/.test(max) ? max : Number(max) }));
	if (budgets.length) spec.budgets = budgets;
	if (v.beside) spec.beside = true;
	if (v.reason) spec.reason = v.reason;
	return spec;
}

const isChosen = (v) => Boolean(v.of === "workload" ? v.assignment && v.version : v.release);

function usePreview(values) {
	const [state, setState] = useState({});
	const key = JSON.stringify(specOf(values));
	useEffect(() => {
		if (!isChosen(values)) return setState({});
		let gone = false;
		const timer = setTimeout(async () => {
			try {
				const data = await post("/v1/rollouts?dry_run=1", JSON.parse(key));
				if (!gone) setState({ data, key });
			} catch (error) {
				if (!gone) setState({ error, key });
			}
		}, 400);
		return () => {
			gone = true;
			clearTimeout(timer);
		};
	}, [key]);
	return { ...state, waiting: isChosen(values) && state.key !== key };
}

function Preview({ of }) {
	if (of.error?.kind === "wider") return null; // Its changes are shown by the form.
	if (of.error) return html`<p class="form-error" role="alert"><${Icon} name="alert" />${of.error.message}</p>`;
	if (!of.data) return of.waiting ? html`<${Loading} />` : html`<p class="soft">Choose what goes out to see what would happen.</p>`;
	const { hosts, already, rings = [], limits = [], warnings = [] } = of.data;
	const steps = rings.map((limit, i) => [limit, limits.filter(([m]) => m <= limit).pop()?.[1] || 0, limit - (rings[i - 1] || 0)]);
	return html`<div class=${of.waiting ? "is-stale" : ""} aria-live="polite"><p class="big"><b>${words.count(hosts)}</b> ${hosts === 1 ? "host" : "hosts"}${already > 0 && html`<span class="soft"> and ${words.count(already)} that run it already</span>`}</p>
		<ol class="preview-rings">${steps.map(([limit, f, own], i) => html`<li><b>ring ${i + 1}</b><span>${words.plural(own, "more host", "more hosts")}</span><span>${f > 0 ? words.limits([[limit, f]]) : words.plural(limit, "host")}</span></li>`)}</ol>
		${warnings.length > 0 && html`<ul class="warnings">${warnings.map((w) => html`<li><${Icon} name="alert" />${w}</li>`)}</ul>`}</div>`;
}

export function NewRollout() {
	const args = new URLSearchParams(place.use().search);
	const [values, setValues] = useState({ ...START, of: args.get("assignment") ? "workload" : "release", assignment: args.get("assignment") || "", version: args.get("version") || "", release: args.get("release") || "", selector: args.get("selector") || "" });
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	const releases = useGet("/v1/releases?limit=200");
	const channels = useGet("/v1/channels");
	const assignments = useGet("/v1/assignments?limit=1000");
	const chosen = assignments.data?.items.find((a) => a.id === values.assignment);
	const versions = useGet(chosen ? `/v1/workloads/${part(chosen.workload)}` : null);
	const preview = usePreview(values);
	// What goes further stays in sight once somebody says that it may.
	const [seen, see] = useState({});
	const which = `${values.assignment} ${values.version}`;
	useEffect(() => {
		if (preview.error?.kind === "wider") see({ which, of: preview.error.body });
	}, [preview.error]);
	const wider = values.of === "workload" && seen.which === which ? seen.of : null;
	const set = (name) => (value) => setValues((was) => ({ ...was, [name]: value, ...(/^(of|assignment|version)$/.test(name) ? { widen: false } : {}), ...(/^(of|release|selector)$/.test(name) ? { beside: false } : {}), ...(name === "assignment" ? { version: "" } : {}) }));
	const overlaps = preview.data?.overlaps || [];
	const field = (name, label, more = {}) => html`<${Field} of=${{ name, label, ...more }} id=${`new-${name}`} value=${values[name]} onInput=${set(name)} />`;
	const submit = async (event) => {
		event.preventDefault();
		setBusy(true);
		setError("");
		try {
			const made = await post("/v1/rollouts", specOf(values));
			say("The rollout has begun.");
			go(`/rollouts/${made.id}`);
		} catch (failure) {
			setError(failure.message);
			setBusy(false);
		}
	};
	return html`<${Head} title="New rollout" back=${["/rollouts", "Rollouts"]} />
		<${Load} of=${releases} what="The list of releases">${(list) => !list.items.length && !assignments.data?.items.length ? html`<${Panel}><${Empty} title="There is no release to roll out">Publish one with ashlar, then scan for it on the page of releases.<//><//>`
			: html`<form class="cols wide-first new-rollout" onSubmit=${submit}><div><${Panel} id="what" title="What, and where to"><div class="fields">
			${assignments.data?.items.length > 0 && field("of", "What goes out", { options: [["release", "a release of the host"], ["workload", "a workload"]] })}
			${values.of === "workload" ? html`${field("assignment", "Assignment", { required: true, options: [["", "choose one"], ...(assignments.data?.items || []).map((a) => [a.id, `${a.id}: ${a.workload}, ${words.plural(a.hosts, "host")}`])] })}${field("version", "Version", { required: true, options: [["", "choose one"], ...(versions.data?.versions || []).filter((w) => !w.withdrawn && w.version !== chosen?.version).map((w) => [w.version, w.version])] })}` : field("release", "Release", { required: true, options: [["", "choose one"], ...newest(list.items).filter((r) => !r.withdrawn).map((r) => [String(r.id), `${r.name} ${r.version}${r.variant ? ` (${r.variant})` : ""}, ${r.arch}`])] })}
			${field("name", "Name", { maxlength: 100, placeholder: "what people will call it" })}</div>
			${values.of === "workload" ? html`<p class="soft which">To the hosts of the assignment${chosen ? html`: <code class="wrap">${chosen.selector || "all"}</code>` : ""}</p>` : html`<${Selector} id="new-selector" label="Hosts" value=${values.selector} onInput=${set("selector")} hint="Empty: all hosts. Example: site = bern and role in (web, db)" />`}
			<${Selector} id="new-canaries" label="Canaries, before all others" value=${values.canaries} onInput=${set("canaries")} placeholder="none" emptyIsNone hint="Any failure among these pauses the rollout. Example: has canary" /><//>
			<${Panel} id="pace" title="How fast"><div class="fields">${field("growth", "Growth of the rings", { options: [["2", "careful: each ring twice the one before"], ["4", "normal: four times"], ["10", "urgent: ten times"]] })}
			${field("first", "Hosts in the first ring", { type: "number", min: 1, max: 10000, required: true })}${field("soak", "Soak, seconds", { type: "number", min: 0, required: true, hint: "healthy for so long counts as confirmed" })}${field("deadline", "Silent after, seconds", { type: "number", min: 60, required: true, hint: "without a result counts as a failure" })}
			${field("ring_pause", "Pause between rings, seconds", { type: "number", min: 0 })}${field("max_in_flight", "At most at once", { type: "number", min: 0, hint: "0: no limit" })}
			${field("budgets", "Budgets by label", { placeholder: "site=10%, rack=1", hint: "so many at most of each value, at once" })}${field("windows", "Windows", { rows: 2, placeholder: "02:00-05:00 Europe/Zurich", hint: "one a line; empty: those of the hosts" })}</div>
			<details class="more-fields"><summary>How long it is patient</summary><div class="fields">${field("lapse", "Comes for it within, seconds", { type: "number", min: 60, required: true, hint: "otherwise its place goes to the next host" })}${field("begin", "Begins within, seconds", { type: "number", min: 60, required: true, hint: "a host that is heard of, and waits for its own window" })}
			${field("patience", "Heard of within, seconds", { type: "number", min: 60, required: true, hint: "when only hosts are left that nothing is heard of, it finishes without them" })}</div></details><//>
			<${Panel} id="stop" title="When it stops"><div class="fields">${field("tolerated", "Tolerated share of failures", { type: "number", min: 0.0001, max: 0.5, step: "any", required: true, hint: "0.01 is one in a hundred" })}${field("alpha", "Chance of halting a good release", { type: "number", min: 0.0001, max: 0.5, step: "any", required: true })}
			${field("on_halt", "On halt", { options: [["hold", "hold: nobody else gets it"], ["revert", "revert: those that took it are sent back"]] })}${values.of === "release" && channels.data?.items && field("channel", "When it has finished", { options: [["", "leave the channels alone"], ...channels.data.items.map((c) => [c.name, `point channel ${c.name} to it`])] })}
			${!wider && field("reason", "Reason", { maxlength: 500 })}</div><//></div>
			<div class="sticky"><${Panel} id="preview" title="What would happen"><${Preview} of=${preview} />${wider && html`<${Wider} of=${wider} widen=${values.widen} onWiden=${set("widen")} reason=${values.reason} onReason=${set("reason")} />`}
			${overlaps.length > 0 && html`<div class="wider"><div class="notice tone-bad" role="alert"><${Icon} name="alert" /><p><strong>${overlaps.length === 1 ? "Another rollout has" : "Other rollouts have"} some of these hosts.</strong> Let that end, cancel it, or choose other hosts: ${overlaps.map((o, i) => html`${i > 0 && ", "}<a href=${`/rollouts/${o.rollout}`}>${o.name || o.rollout} (${o.version})</a>`)}</p></div>
			<${Field} id="beside" of=${{ name: "beside", label: "Go on: a host goes with the one whose turn comes first, then with the other", type: "check" }} value=${values.beside} onInput=${set("beside")} /></div>`}${error && html`<p class="form-error" role="alert"><${Icon} name="alert" />${error}</p>`}
			<div class="form-end"><button class="primary" disabled=${busy || !isChosen(values) || Boolean(preview.error) || preview.waiting || Boolean(wider && !values.reason) || (overlaps.length > 0 && !values.beside)}>${busy ? "Working…" : preview.data ? `Start with ${words.plural(Math.min(preview.data.rings?.[0] ?? 0, preview.data.hosts), "host")}` : "Start"}</button></div><//></div></form>`}<//>`;
}
