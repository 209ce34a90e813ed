// SPDX-License-Identifier: Apache-2.0
// Channels say what hosts run when no rollout says otherwise; policies say when they may change.
import { html, useState } from "./base.mjs";
import { useGet, can, get, put, remove, part, query, newest } from "./api.mjs";
import { Head, Panel, Load, Empty, Age, Name, List, Badge, ReleaseLink } from "./ui.mjs";
import { ask, say, REASON } from "./dialog.mjs";
import * as words from "./words.mjs";

const releaseOf = (c, releases) => (c.release && typeof c.release === "object" ? c.release : releases.find((r) => r.id === c.release));

function History({ name }) {
	const view = useGet(`/v1/channels/${part(name)}/history`, { on: (e) => e.kind === "channel.changed" });
	return html`<${Load} of=${view} what="The history">${(h) => h.items.length ? html`<ul class="events">${h.items.map((i) => html`<li class="event"><i aria-hidden="true"></i><div><span>${i.version ? html`<${Name}>${i.version}<//>` : i.release ? `release ${typeof i.release === "object" ? i.release.version : i.release}` : "none"}${i.reason && html`: <span class="wrap">${i.reason}</span>`}</span><span class="event-meta">by <${Name}>${i.actor}<//> <${Age} at=${i.at} /></span></div></li>`)}</ul>` : html`<p class="soft">It never pointed anywhere.</p>`}<//>`;
}

export function Channels() {
	const channels = useGet("/v1/channels", { on: (e) => e.kind === "channel.changed" });
	const policies = useGet("/v1/policies", { on: (e) => e.kind === "policy.changed" });
	const releases = useGet("/v1/releases?limit=200");
	const known = releases.data?.items || [];
	const admin = can("admin");
	// How many follow it is typed; the server counts again, and refuses when it is another number.
	const move = async (c, v) => {
		const name = c?.name || v.name;
		const { count } = await get(query("/v1/hosts/count", { selector: `channel = ${words.quote(name)}` }));
		const act = async () => {
			await put(`/v1/channels/${part(name)}`, { release: Number(v.release), note: v.note, expect: count, reason: v.reason || undefined });
			say("Saved.");
			channels.reload();
		};
		if (!count || Number(v.release) === (releaseOf(c || {}, known)?.id ?? 0)) return act();
		const to = known.find((r) => String(r.id) === String(v.release));
		ask({ title: `Move ${words.plural(count, "host")}`, danger: true, typed: String(count), confirm: "Move it", act,
			text: to ? `${words.plural(count, "host")} ${count === 1 ? "follows" : "follow"} ${name} and ${count === 1 ? "gets" : "get"} ${to.version} at once, without rings.` : `${words.plural(count, "host")} ${count === 1 ? "follows" : "follow"} ${name}, which then says nothing: they stay as they are.` });
	};
	const point = (c) => ask({
		title: c ? `Channel ${c.name.slice(0, 60)}` : "New channel", confirm: "Save", text: "Hosts with the label channel=NAME get it when no rollout says otherwise: at once, without rings. To go in rings, start a rollout that points the channel when it has finished.",
		fields: [!c && { name: "name", label: "Name", required: true, maxlength: 64 }, { name: "release", label: "Release", value: String(releaseOf(c || {}, known)?.id ?? 0), options: [["0", "none"], ...newest(known).filter((r) => !r.withdrawn).map((r) => [String(r.id), `${r.name} ${r.version}, ${r.arch}`])] }, { name: "note", label: "Note", value: c?.note }, { name: "reason", label: "Reason", maxlength: 500 }].filter(Boolean),
		act: (v) => move(c, v),
	});
	const policy = (p) => ask({
		title: p ? `Policy ${p.name.slice(0, 60)}` : "New policy", confirm: "Save", wide: true, text: "Of all policies that match a host, the one with the lowest rank rules.",
		fields: [!p && { name: "name", label: "Name", required: true, maxlength: 64 }, { name: "rank", label: "Rank", type: "number", value: p?.rank ?? 100, required: true }, { name: "selector", label: "Hosts", value: p?.selector || "", required: true, placeholder: "site = bern" }, { name: "windows", label: "Windows", rows: 3, value: (p?.windows || []).join("\n"), hint: "One a line, for example: Mon-Fri 02:00-05:00 Europe/Zurich. Empty: any time." }, { name: "poll", label: "Check-in interval, seconds", type: "number", min: 0, max: 86400, value: p?.poll ?? 0, hint: "5 to 86400; 0: the server's own" }, { name: "note", label: "Note", value: p?.note }, REASON].filter(Boolean),
		done: "Saved.", act: async (v) => {
			await put(`/v1/policies/${part(p?.name || v.name)}`, { rank: Number(v.rank), selector: v.selector, windows: v.windows.split("\n").map((w) => w.trim()).filter(Boolean), poll: Number(v.poll), note: v.note, reason: v.reason || undefined });
			policies.reload();
		},
	});
	const drop = (p) => ask({ title: `Remove policy ${p.name.slice(0, 60)}`, text: "Its hosts follow the next policy that matches, or their own rule.", confirm: "Remove", danger: true, fields: [{ name: "reason", label: "Reason" }], done: "Removed.", act: async (v) => {
		await remove(`/v1/policies/${part(p.name)}`, v.reason ? { reason: v.reason } : undefined);
		policies.reload();
	} });
	return html`<${Head} title="Channels and policies" />
		<${Panel} id="channels" title="Channels" actions=${admin && html`<button type="button" onClick=${() => point(null)}>New channel</button>`}><${Load} of=${channels} what="The channels">${(list) => list.items.length ? html`<div class="channel-list">${list.items.map((c) => html`<article key=${c.name} class="channel"><header><h3><${Name}>${c.name}<//></h3>${releaseOf(c, known) ? html`<${ReleaseLink} release=${releaseOf(c, known)} />` : html`<span class="soft">${c.version || "no release"}</span>`}<a class="quiet" href=${query("/hosts", { selector: `channel = ${words.quote(c.name)}` })}>its hosts</a>${admin && html`<button type="button" class="small" onClick=${() => point(c)}>Change</button>`}</header>
			${c.note && html`<p class="wrap soft">${c.note}</p>`}<details><summary>History</summary><${History} name=${c.name} /></details></article>`)}</div>` : html`<${Empty} title="There is no channel">A host that joins late gets at once what its channel points to.<//>`}<//><//>
		<${Panel} id="policies" title="Policies" actions=${admin && html`<button type="button" onClick=${() => policy(null)}>New policy</button>`}><${Load} of=${policies} what="The policies">${(list) => list.items.length ? html`<${List} label="Policies" rows=${[...list.items].sort((a, b) => a.rank - b.rank)} rowKey=${(p) => p.name} columns=${[{ head: "Rank", cell: (p) => p.rank }, { head: "Policy", cell: (p) => html`<b><${Name}>${p.name}<//></b>` }, { head: "Hosts", class: "grow", cell: (p) => html`<a href=${query("/hosts", { selector: p.selector })}><code class="wrap">${p.selector}</code></a>` }, { head: "Windows", cell: (p) => (p.windows?.length ? html`<span class="wrap">${p.windows.join("; ")}</span>` : html`<span class="soft">any time</span>`) }, { head: "Check-in", cell: (p) => (p.poll ? words.duration(p.poll) : html`<span class="soft">usual</span>`) },
			admin && { head: "", name: "Acts", class: "acts", cell: (p) => html`<button type="button" class="small" onClick=${() => policy(p)}>Change</button> <button type="button" class="small danger" onClick=${() => drop(p)}>Remove</button>` }]} />` : html`<${Empty} title="There is no policy">Hosts change when their own rule allows it. A policy gives windows to all hosts that a selector matches.<//>`}<//><//>`;
}
