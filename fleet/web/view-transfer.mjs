// SPDX-License-Identifier: Apache-2.0
// What the fleet is set to, as one document: out of this server, and into it after a look at what would change.
import { html, useState, useEffect, useRef } from "./base.mjs";
import { get, post } from "./api.mjs";
import { Panel, Badge, Name, List, Copy } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { ask, attempt, Field, REASON } from "./dialog.mjs";
import * as words from "./words.mjs";

const TONES = { add: "good", change: "updating", remove: "bad" };
const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

// Member by member what is otherwise: [[sign, key, value]].
export function members(before, after) {
	const lines = [];
	for (const key of [...new Set([...Object.keys(before || {}), ...Object.keys(after || {})])].sort()) {
		const old = before?.[key], next = after?.[key];
		if (JSON.stringify(old) === JSON.stringify(next)) continue;
		if (old !== undefined) lines.push(["-", key, text(old)]);
		if (next !== undefined) lines.push(["+", key, text(next)]);
	}
	return lines;
}

const Members = ({ of: c }) => html`<div class="members">${members(c.before, c.after).map(([sign, key, value]) => html`<code class=${sign === "+" ? "plus" : "minus"}>${sign} ${key}: ${value.slice(0, 400)}</code>`)}</div>`;

export const Changes = ({ of }) => html`<${List} label="Changes" rows=${of} rowKey=${(c) => `${c.kind} ${c.name}`} columns=${[
	{ head: "Act", cell: (c) => html`<${Badge} word=${c.act} tone=${TONES[c.act]} />` }, { head: "What", cell: (c) => html`${c.kind} <b><${Name}>${c.name}<//></b>` }, { head: "Members", class: "w-members", cell: (c) => html`<${Members} of=${c} />` }]} />`;

const Secrets = ({ of }) => html`<p><strong>This is the only time that these are shown.</strong></p>${of.map((s) => html`<div class="secret"><code>${Object.entries(s).map(([k, v]) => `${k}: ${v}`).join("  ")}</code><${Copy} text=${s.secret || text(s)} /></div>`)}`;

function Export() {
	const [shown, setShown] = useState("");
	const show = async () => setShown((await attempt(() => get("/v1/export"))) || "");
	return html`<${Panel} id="export" title="Export" actions=${html`<button type="button" onClick=${show}>Show it</button><a class="button primary" href="/v1/export" download="fleet.yaml">Download</a>`}>
		<p class="soft">Channels, policies, groups of locks, operators, webhooks, assignments and labels, without any secret. Keep it in version control.</p>
		${shown && html`<pre class="spaced" tabindex="0" role="region" aria-label="The export">${shown}</pre><${Copy} text=${shown} />`}<//>`;
}

function Import() {
	const [yaml, setYaml] = useState("");
	const [seen, setSeen] = useState(null); // What @seen.yaml would change
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	const look = async (event) => {
		event.preventDefault();
		setBusy(true);
		setError("");
		setSeen(null);
		try {
			setSeen({ yaml, ...(await post("/v1/import?dry_run=1", { yaml })) });
		} catch (failure) {
			setError(failure.message);
		}
		setBusy(false);
	};
	// The answer is below what was typed.
	const answer = useRef(null);
	useEffect(() => {
		if (seen) answer.current?.scrollIntoView({ block: "nearest" });
	}, [seen]);
	const isOld = seen && seen.yaml !== yaml;
	const n = seen?.changes.length || 0;
	const apply = () => ask({
		title: `Apply ${words.plural(n, "change")}`, text: "All of it, or nothing when one part is refused.", confirm: "Apply", danger: seen.changes.some((c) => c.act === "remove"), keep: true, typed: String(n), fields: [REASON],
		act: async (v) => {
			const done = await post("/v1/import", { yaml: seen.yaml, reason: v.reason || undefined });
			setSeen(null);
			return done;
		},
		show: (done) => html`<p><b>${words.plural(done.changes.length, "change was", "changes were")} made.</b></p>${done.secrets?.length > 0 && html`<${Secrets} of=${done.secrets} />`}`,
	});
	return html`<${Panel} id="import" title="Import"><form onSubmit=${look}><div class="fields one">
		<${Field} id="import-file" of=${{ name: "file", label: "From a file", type: "file", accept: ".yaml,.yml,text/yaml" }} onInput=${setYaml} />
		<${Field} id="import-yaml" of=${{ name: "yaml", label: "Document (YAML)", rows: 12, required: true, hint: "Sections that it lacks stay as they are; within a section that it has, what it does not name is removed." }} value=${yaml} onInput=${setYaml} /></div>
		${error && html`<p class="form-error" role="alert"><${Icon} name="alert" />${error}</p>`}
		<div class="form-end"><button class="primary" disabled=${busy || !yaml.trim()}>${busy ? "Working…" : "What would it change?"}</button></div></form><//>
		${seen && html`<${Panel} id="would" title="What would change" note=${n ? words.plural(n, "change") : ""} actions=${n > 0 && html`<button type="button" class="primary" disabled=${isOld} onClick=${apply}>Apply ${words.plural(n, "change")}</button>`}>
			<div aria-live="polite" ref=${answer}>${isOld && html`<p class="form-error"><${Icon} name="alert" />The document was changed since: look again.</p>`}
			${seen.unknown_hosts > 0 && html`<p class="warning"><${Icon} name="alert" /> ${words.plural(seen.unknown_hosts, "host")} that it names ${seen.unknown_hosts === 1 ? "is" : "are"} not of this fleet: left out.</p>`}
			${n ? html`<${Changes} of=${seen.changes} />` : html`<p class="calm"><${Icon} name="check" /> Nothing: the fleet is as the document says.</p>`}</div><//>`}`;
}

export const Transfer = () => html`<div class="stack"><${Export} /><${Import} /></div>`;
