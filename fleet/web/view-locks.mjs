// SPDX-License-Identifier: Apache-2.0
// Reboot locks (FleetLock): who holds a slot, since when, and how to get it back.
import { html } from "./base.mjs";
import { useGet, can, put, post, remove, part } from "./api.mjs";
import { Head, Panel, Load, Empty, Age, Name, List, Badge } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { ask, REASON } from "./dialog.mjs";
import * as words from "./words.mjs";

const edit = (g, then) => ask({
	title: g ? `Group ${g.group.slice(0, 60)}` : "New group of locks", confirm: "Save",
	fields: [!g && { name: "group", label: "Name", required: true, maxlength: 64 }, { name: "slots", label: "Slots: so many may reboot at once", type: "number", min: 0, value: g?.slots ?? 1, required: true }, { name: "lease", label: "Lease, seconds", type: "number", min: 0, value: g?.lease ?? 3600, required: true, hint: "A holder that takes longer is late." }, { name: "frees_late", label: "A late holder loses its slot", type: "check", value: Boolean(g?.frees_late) }, { name: "paused", label: "Paused, because", value: g?.paused || "", hint: "While it says why, nobody gets a slot." }, REASON].filter(Boolean),
	done: "Saved.", act: async (v) => {
		await put(`/v1/locks/${part(g?.group || v.group)}`, { slots: Number(v.slots), lease: Number(v.lease), frees_late: v.frees_late, paused: v.paused, reason: v.reason || undefined });
		then();
	},
});
const free = (g, h, then) => ask({ title: `Take the slot from ${String(h.id).slice(0, 40)}`, text: "Only when it will not come for it: two hosts may then reboot at once.", confirm: "Take it", danger: true, fields: [{ name: "reason", label: "Reason", required: true }], done: "Released.", act: async (v) => {
	await post(`/v1/locks/${part(g.group)}/release`, { id: h.id, reason: v.reason });
	then();
} });
const drop = (g, then) => ask({ title: `Remove group ${g.group.slice(0, 60)}`, text: "Its holders lose their slots.", confirm: "Remove", danger: true, done: "Removed.", fields: [REASON], act: async (v) => {
	await remove(`/v1/locks/${part(g.group)}`, { reason: v.reason || undefined });
	then();
} });

export function Locks() {
	const view = useGet("/v1/locks", { on: (e) => e.kind === "lock.changed", wait: 1000 });
	const may = can("operator");
	return html`<${Head} title="Locks" actions=${may && html`<button type="button" onClick=${() => edit(null, view.reload)}>New group</button>`} />
		<${Load} of=${view} what="The locks">${(list) => list.items.length ? list.items.map((g) => html`<${Panel} key=${g.group} id=${`group-${g.group}`} title=${html`<${Name}>${g.group}<//>`} note=${`${g.holders.length} of ${words.plural(g.slots, "slot")} held, lease ${words.duration(g.lease)}`} actions=${may && html`<button type="button" class="small" onClick=${() => edit(g, view.reload)}>Change</button><button type="button" class="small danger" onClick=${() => drop(g, view.reload)}>Remove</button>`}>
			${g.paused && html`<div class="notice tone-degraded"><${Icon} name="alert" /><p><b>Paused:</b> ${g.paused}</p></div>`}
			<div class="slots" aria-hidden="true">${Array.from({ length: Math.min(g.slots, 48) }, (_, i) => html`<i class=${g.holders[i] ? (g.holders[i].late ? "late" : "held") : ""}></i>`)}</div>
			${g.holders.length ? html`<${List} label="Holders" rows=${g.holders} columns=${[{ head: "Holder", class: "grow", cell: (h) => html`<${Name}>${h.id}<//>` }, { head: "Since", cell: (h) => html`<${Age} at=${h.since} />` }, { head: "Lease ends", cell: (h) => html`${h.late ? html`<${Badge} word="late" tone="bad" /> ` : ""}<${Age} at=${h.lease_until} />` }, may && { head: "", name: "Acts", class: "acts", cell: (h) => html`<button type="button" class="small" onClick=${() => free(g, h, view.reload)}>Take the slot</button>` }]} />` : html`<p class="calm soft">Nobody holds a slot.</p>`}<//>`)
			: html`<${Panel}><${Empty} title="There is no group of locks">Hosts that ask by FleetLock before they reboot share the slots of their group.<//><//>`}<//>`;
}
