// SPDX-License-Identifier: Apache-2.0
// What operators do to hosts, as questions. Each names what will happen; what cannot be undone is typed.
import { html } from "./base.mjs";
import { post, part, can, newest } from "./api.mjs";
import { ask } from "./dialog.mjs";
import * as words from "./words.mjs";

const reason = (required) => ({ name: "reason", label: "Reason", required, maxlength: 500, hint: "It is kept in the audit log." });
const host = (h, act, body) => post(`/v1/hosts/${part(h.id)}/${act}`, body);
const ORDERS = {
	check: ["Look for updates now", "It asks its source for a new release at once."],
	reboot: ["Reboot", "Its workloads stop until it is up again. It reboots at its next check-in."],
	journal: ["Fetch the journal", "The end of its journal appears here after its next check-in."],
	facts: ["Report everything anew", "It sends its state, health and facts in full."],
	forget: ["Leave this fleet", "It forgets this fleet and its certificate. To come back it needs a join token."],
};

export const order = (h, verb) => ask({
	title: `${ORDERS[verb][0]}: ${h.name.slice(0, 60)}`, text: ORDERS[verb][1], confirm: ORDERS[verb][0],
	danger: verb === "reboot" || verb === "forget", fields: [reason(false)], done: "Ordered. It is done at the next check-in.",
	act: (v) => host(h, "orders", { verb, argument: "", reason: v.reason || undefined }),
});

export const forgive = (h, failed = []) => ask({
	title: `Forgive: ${h.name.slice(0, 60)}`, confirm: "Forgive", text: "The host remembers releases that failed on it, and refuses them. Forgiven ones may be tried again.",
	fields: [{ name: "argument", label: "Which", options: [["all", "all that failed"], ...failed.map((f) => [f.commit, `${f.version || words.short(f.commit)}: ${f.reason || f.kind || ""}`.slice(0, 80)])], value: "all" }, reason(false)],
	done: "Ordered. It is done at the next check-in.", act: (v) => host(h, "orders", { verb: "forgive", argument: v.argument, reason: v.reason || undefined }),
});

export const hold = (h) => ask({
	title: `Hold ${h.name.slice(0, 60)}`, text: "It begins nothing new until it is released: no update, no part in a rollout. It still reports, takes orders, and what runs on it goes on.", confirm: "Hold", danger: true,
	fields: [reason(true)], done: "Held.", act: (v) => host(h, "hold", { reason: v.reason }),
});
export const release = (h) => ask({
	title: `Release ${h.name.slice(0, 60)}`, text: h.reason ? html`<p>It is held: ${h.reason}</p>` : "", confirm: "Release", fields: [reason(false)], done: "Released.",
	act: (v) => host(h, "release-hold", { reason: v.reason || undefined }),
});
export const approve = (h) => ask({
	title: `Approve ${h.name.slice(0, 60)}`, text: html`<p>It joined with the key <code class="digest">${h.id}</code>. Compare it with what the machine shows.</p>`, confirm: "Approve", fields: [reason(false)], done: "Approved.",
	act: (v) => host(h, "approve", { reason: v.reason || undefined }),
});
export const retire = (h) => ask({
	title: `Retire ${h.name.slice(0, 60)}`, text: "Its certificate is revoked and it cannot check in again. Its history stays.", confirm: "Retire", danger: true, typed: h.name.length <= 40 ? h.name : h.id.slice(0, 12),
	fields: [reason(true)], done: "Retired.", act: (v) => host(h, "retire", { reason: v.reason }),
});
export const forget = (h, then) => ask({
	title: `Forget ${h.name.slice(0, 60)}`, text: "Its certificates are revoked, and everything known of it is deleted: facts, labels, journals, its place in rollouts. Events and the audit log keep that it was.", confirm: "Forget", danger: true, typed: h.name.length <= 40 ? h.name : h.id.slice(0, 12),
	fields: [reason(false)], done: "Forgotten.", act: async (v) => {
		await host(h, "forget", { reason: v.reason || undefined });
		then();
	},
});

export const setLabels = (h) => ask({
	title: `Labels of ${h.name.slice(0, 60)}`, confirm: "Save", fields: [{ name: "labels", label: "Labels", rows: 6, value: Object.entries(h.labels).map(([k, v]) => (v ? `${k}=${v}` : k)).join("\n"), hint: "One a line: KEY=VALUE. The label 'channel' says which channel it follows." }, reason(false)],
	done: "Saved.", act: (v) => {
		const next = words.readLabels(v.labels);
		const set = Object.fromEntries(Object.entries(next).filter(([k, value]) => h.labels[k] !== value));
		return host(h, "labels", { set, remove: Object.keys(h.labels).filter((k) => !(k in next)), reason: v.reason || undefined });
	},
});

export const giveRelease = (h, releases) => ask({
	title: `Release for ${h.name.slice(0, 60)}`, text: "By hand, for this host alone: it goes before its channel and before rollouts until it is taken back.", confirm: "Give it",
	fields: [{ name: "version", label: "Release", options: [["", "none: its channel rules again"], ...newest(releases).filter((r) => !r.withdrawn && (!h.arch || r.arch === h.arch)).map((r) => [r.version, `${r.name} ${r.version}${r.variant ? ` (${r.variant})` : ""}`])], value: "" },
		{ name: "verb", label: "How", options: [["update", "update: get it and take it in its window"], ["return", "return: go back to it now, if it is still on disk"]], value: "update", when: (v) => v.version !== "" }, reason(false)],
	done: "Said. The host hears of it at its next check-in.",
	act: (v) => host(h, "release", { version: v.version, ...(v.version ? { verb: v.verb } : {}), reason: v.reason || undefined }),
});

// Chosen one by one: as many selectors as they take, each with how many it is for. One has at most 4 KiB.
const AT_ONCE = 150, ID_DIGITS = 16;
export function ofIds(ids) {
	const parts = [];
	for (let i = 0; i < ids.length; i += AT_ONCE) {
		const some = ids.slice(i, i + AT_ONCE);
		parts.push([some.map((id) => `host ${id.slice(0, ID_DIGITS)}`).join(" or "), some.length]);
	}
	return parts;
}

async function inParts(parts, body) {
	let changed = 0;
	for (const [selector, expect] of parts)
		try {
			changed += (await post("/v1/hosts/bulk", { selector, act: body.act, expect, ...body })).changed ?? 0;
		} catch (error) {
			if (changed) error.message = `${words.plural(changed, "host was", "hosts were")} changed, then: ${error.message}`;
			throw error;
		}
	return { changed };
}

// @parts: [selector, how many it matches as far as was shown]; the server counts again and refuses when it is another
// number.
export const bulk = (parts, then, expected = parts.reduce((sum, [, n]) => sum + n, 0)) => ask({
	title: `Act on ${words.plural(expected, "host")}`, confirm: "Do it", danger: true, typed: String(expected),
	text: parts.length === 1 && parts[0][0].length <= 200 ? html`<p>Selector: <code>${parts[0][0]}</code></p>` : "",
	fields: [
		{ name: "act", label: "What", value: "order", options: [["order", "give an order"], ["labels", "change labels"], ["approve", "approve"], ["hold", "hold"], ["release-hold", "release"], ...(can("admin") ? [["retire", "retire"]] : [])] },
		{ name: "verb", label: "Order", value: "check", options: [...Object.entries(ORDERS).map(([k, v]) => [k, v[0]]), ["forgive", "Forgive all that failed"]], when: (v) => v.act === "order" },
		{ name: "set", label: "Labels to set", placeholder: "site=bern, rack=2", when: (v) => v.act === "labels" },
		{ name: "remove", label: "Labels to remove", placeholder: "canary, rack", when: (v) => v.act === "labels" },
		reason(false),
	],
	done: (answer) => `Done: ${words.plural(answer?.changed ?? 0, "host")} changed.`,
	act: async (v) => {
		const body = { act: v.act, reason: v.reason || undefined };
		if (v.act === "order") Object.assign(body, { verb: v.verb, argument: v.verb === "forgive" ? "all" : "" });
		if (v.act === "labels") Object.assign(body, { set: words.readLabels(v.set), remove: Object.keys(words.readLabels(v.remove)) });
		if ((v.act === "hold" || v.act === "retire") && !v.reason) throw new Error("say why: a reason is required for this");
		const answer = await inParts(parts, body);
		then();
		return answer;
	},
});
