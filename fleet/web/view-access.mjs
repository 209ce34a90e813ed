// SPDX-License-Identifier: Apache-2.0
// Who may, and who is told: operators, API tokens, webhooks.
import { html } from "./base.mjs";
import { useGet, post, remove, part, session } from "./api.mjs";
import { useArgument } from "./router.mjs";
import { Head, Panel, Load, Empty, Age, Name, List, Badge, Copy, Tabs, TabPanel, Menu } from "./ui.mjs";
import { ask, REASON } from "./dialog.mjs";
import { Transfer } from "./view-transfer.mjs";
import * as words from "./words.mjs";

const ROLES = [["viewer", "viewer: sees"], ["operator", "operator: changes hosts and rollouts"], ["admin", "admin: everything"]];
const scope = (value = "") => ({ name: "scope", label: "Scope", value, placeholder: "all hosts", hint: "A selector: only these hosts are seen and changed." });
const Secret = ({ of, what }) => html`<p><strong>This is the only time that the ${what} is shown.</strong></p><div class="secret"><code>${of.secret}</code><${Copy} text=${of.secret} /></div>`;

const operator = (o, then) => ask({
	title: o ? `Operator ${o.name.slice(0, 60)}` : "New operator", confirm: "Save",
	fields: [!o && { name: "name", label: "Name", required: true, maxlength: 64 }, { name: "password", label: o ? "New password" : "Password", type: "password", required: !o, autocomplete: "new-password", hint: o ? "10 characters at least. Empty: the old one stays." : "10 characters at least." }, { name: "role", label: "Role", value: o?.role || "viewer", options: ROLES }, scope(o?.scope), o && { name: "disabled", label: "May not log in", type: "check", value: Boolean(o.disabled ?? o.disabled_at) }, REASON].filter(Boolean),
	done: "Saved.", act: async (v) => {
		const body = { role: v.role, scope: v.scope, reason: v.reason || undefined };
		if (v.password) body.password = v.password;
		if (o) body.disabled = v.disabled;
		await post(o ? `/v1/operators/${part(o.name)}` : "/v1/operators", o ? body : { name: v.name, ...body });
		then();
	},
});

function Operators() {
	const view = useGet("/v1/operators", { on: (e) => e.kind === "operator.changed" });
	const drop = (o) => ask({ title: `Remove ${o.name.slice(0, 60)}`, text: "Its sessions end at once. The audit log keeps its name.", confirm: "Remove", danger: true, typed: o.name, done: "Removed.", fields: [REASON], act: async (v) => {
		await remove(`/v1/operators/${part(o.name)}`, { reason: v.reason || undefined });
		view.reload();
	} });
	return html`<${Panel} id="operators" title="Operators" actions=${html`<button type="button" class="primary" onClick=${() => operator(null, view.reload)}>New operator</button>`}><${Load} of=${view} what="The operators">${(list) => list.items.length ? html`<${List} label="Operators" rows=${list.items} rowKey=${(o) => o.name} columns=${[{ head: "Name", class: "grow", cell: (o) => html`<b><${Name}>${o.name}<//></b>${o.name === session.get()?.name ? html` <span class="soft">you</span>` : ""}` }, { head: "Role", cell: (o) => o.role }, { head: "Scope", cell: (o) => (o.scope ? html`<code class="wrap">${o.scope}</code>` : html`<span class="soft">all hosts</span>`) }, { head: "State", cell: (o) => ((o.disabled ?? o.disabled_at) ? html`<${Badge} word="disabled" tone="silent" />` : html`<${Badge} word="active" />`) }, { head: "Password", cell: (o) => (o.has_password === false ? html`<span class="soft">none</span>` : "set") }, { head: "Sessions", cell: (o) => words.count(o.sessions || 0) }, { head: "Since", cell: (o) => html`<${Age} at=${o.created_at} />` },
		{ head: "", name: "Acts", class: "acts", cell: (o) => html`<button type="button" class="small" onClick=${() => operator(o, view.reload)}>Change</button> <button type="button" class="small danger" onClick=${() => drop(o)}>Remove</button>` }]} />` : html`<${Empty} title="There are no operators">Whoever works here by name and password. The admin token works without.<//>`}<//><//>`;
}

function ApiTokens() {
	const view = useGet("/v1/api-tokens");
	const create = () => ask({ title: "New API token", confirm: "Make it", keep: true, fields: [{ name: "note", label: "What for", required: true, maxlength: 200 }, { name: "role", label: "Role", value: "viewer", options: ROLES }, scope(), { name: "expires_in", label: "Valid for", value: "7776000", options: [["86400", "a day"], ["2592000", "30 days"], ["7776000", "90 days"], ["31536000", "a year"], ["0", "ever"]] }, REASON], act: async (v) => {
		const made = await post("/v1/api-tokens", { note: v.note, role: v.role, scope: v.scope, expires_in: Number(v.expires_in), reason: v.reason || undefined });
		view.reload();
		return made;
	}, show: (made) => html`<${Secret} of=${made} what="token" />` });
	const revoke = (t) => ask({ title: `Revoke API token ${t.id}`, text: t.note, confirm: "Revoke", danger: true, fields: [{ name: "reason", label: "Reason" }], done: "Revoked.", act: async (v) => {
		await post(`/v1/api-tokens/${part(t.id)}/revoke`, { reason: v.reason || undefined });
		view.reload();
	} });
	return html`<${Panel} id="api-tokens" title="API tokens" actions=${html`<button type="button" class="primary" onClick=${create}>New API token</button>`}><${Load} of=${view} what="The tokens">${(list) => list.items.length ? html`<${List} label="API tokens" rows=${list.items} rowClass=${(t) => (t.revoked_at ? "is-off" : "")} columns=${[{ head: "Token", cell: (t) => html`<code>${t.id}</code>` }, { head: "What for", class: "grow", cell: (t) => html`<${Name}>${t.note}<//>` }, { head: "Role", cell: (t) => t.role }, { head: "Scope", cell: (t) => (t.scope ? html`<code class="wrap">${t.scope}</code>` : html`<span class="soft">all hosts</span>`) }, { head: "Last used", cell: (t) => html`<${Age} at=${t.last_used} />` }, { head: "Ends", cell: (t) => html`<${Age} at=${t.expires_at} />` }, { head: "", name: "Acts", class: "acts", cell: (t) => (t.revoked_at ? html`<${Badge} word="revoked" tone="silent" />` : html`<button type="button" class="small danger" onClick=${() => revoke(t)}>Revoke</button>`) }]} />` : html`<${Empty} title="There are no API tokens">Programs and ashlar-fleet call the API with one.<//>`}<//><//>`;
}

function Webhooks() {
	const view = useGet("/v1/webhooks");
	const create = () => ask({ title: "New webhook", confirm: "Make it", keep: true, text: "Each event is sent there, signed by HMAC-SHA-256, until it is taken.", fields: [{ name: "url", label: "Address", type: "url", required: true, placeholder: "https://…" }, { name: "kinds", label: "Kinds of events", placeholder: "rollout.halted, host.silent", hint: "Empty: all." }, { name: "note", label: "Note", maxlength: 200 }, REASON], act: async (v) => {
		const made = await post("/v1/webhooks", { url: v.url, kinds: v.kinds.split(",").map((k) => k.trim()).filter(Boolean), note: v.note, reason: v.reason || undefined });
		view.reload();
		return made;
	}, show: (made) => html`<${Secret} of=${made} what="secret" />` });
	const act = (w, verb, more = {}) => ask({ title: `${verb[0].toUpperCase()}${verb.slice(1)} webhook`, text: w.url.slice(0, 200), confirm: verb[0].toUpperCase() + verb.slice(1), done: "Done.", ...more, fields: [...(more.fields || []), ...(verb === "pause" ? [] : [REASON])], act: async (v) => {
		const body = { reason: v.reason || undefined };
		if (verb === "replay") body.from = Number(v.from);
		if (verb === "remove") await remove(`/v1/webhooks/${part(w.id)}`, body);
		else await post(`/v1/webhooks/${part(w.id)}/${verb}`, body);
		view.reload();
	} });
	return html`<${Panel} id="webhooks" title="Webhooks" actions=${html`<button type="button" class="primary" onClick=${create}>New webhook</button>`}><${Load} of=${view} what="The webhooks">${(list) => list.items.length ? html`<${List} label="Webhooks" rows=${list.items} columns=${[{ head: "Address", class: "grow", cell: (w) => html`<span class="wrap">${w.url}</span>${w.note && html`<small class="soft wrap">${w.note}</small>`}` }, { head: "Kinds", cell: (w) => html`<span class="wrap">${w.kinds?.length ? w.kinds.join(", ") : "all"}</span>` }, { head: "State", cell: (w) => (w.paused ? html`<${Badge} word="paused" /> <span class="wrap">${w.paused}</span>` : html`<${Badge} word="active" />`) }, { head: "Delivered to", cell: (w) => words.count(w.cursor) }, { head: "Made", cell: (w) => html`<${Age} at=${w.created_at} />` },
		{ head: "", name: "Acts", class: "acts", cell: (w) => html`<${Menu} label="Acts" items=${[w.paused ? { text: "Resume…", act: () => act(w, "resume") } : { text: "Pause…", act: () => act(w, "pause", { fields: [{ name: "reason", label: "Reason", required: true }] }) }, { text: "Replay…", act: () => act(w, "replay", { fields: [{ name: "from", label: "From event number", type: "number", min: 0, value: "0", required: true }] }) }, { text: "Remove…", danger: true, act: () => act(w, "remove", { danger: true }) }]} />` }]} />` : html`<${Empty} title="There are no webhooks">Other programs are told of events by them.<//>`}<//><//>`;
}

export function Access() {
	const [tab, setTab] = useArgument("tab", "operators");
	return html`<${Head} title="Operators and access" /><${Tabs} label="Access" value=${tab} onChange=${setTab} tabs=${[["operators", "Operators"], ["api-tokens", "API tokens"], ["webhooks", "Webhooks"], ["transfer", "Export and import"]]} />
		<${TabPanel} id=${tab}>${tab === "transfer" ? html`<${Transfer} />` : tab === "webhooks" ? html`<${Webhooks} />` : tab === "api-tokens" ? html`<${ApiTokens} />` : html`<${Operators} />`}<//>`;
}
