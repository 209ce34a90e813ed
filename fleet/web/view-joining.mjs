// SPDX-License-Identifier: Apache-2.0
// How hosts come in: join tokens, whose secret is shown once, and those that wait for approval.
import { html } from "./base.mjs";
import { useGet, usePages, can, get, post, part } from "./api.mjs";
import { Head, Panel, Load, Empty, Age, Name, List, Badge, Labels, Copy, HostLink, Digest } from "./ui.mjs";
import { ask } from "./dialog.mjs";
import { approve, retire } from "./acts.mjs";
import * as words from "./words.mjs";

// docs/man/hostdoc.5.scd has the form.
export const hostDocument = (secret, ca) => `fleet:
  url: ${location.origin}
  token: ${secret}
${ca ? `  ca: |\n${ca.trim().split("\n").map((line) => `    ${line}`).join("\n")}\n` : ""}`;

const Made = ({ token, ca }) => html`<p><strong>This is the only time that the secret is shown.</strong></p>
	<div class="secret"><code>${token.secret}</code><${Copy} text=${token.secret} label="Copy the secret" /></div>
	<p>The host document of a machine that is to join; put it on its seed, its ESP, or into the credential:</p><pre tabindex="0" role="region" aria-label="Host document">${hostDocument(token.secret, ca)}</pre><${Copy} text=${hostDocument(token.secret, ca)} label="Copy the document" />`;

const create = (then) => ask({
	title: "New join token", confirm: "Make it", wide: true, keep: true,
	fields: [{ name: "note", label: "Note", maxlength: 200, placeholder: "the racks in Bern" }, { name: "labels", label: "Labels of its hosts", placeholder: "site=bern, channel=stable" }, { name: "uses", label: "How many hosts", type: "number", min: -1, value: "1", required: true, hint: "-1: any number" },
		{ name: "expires_in", label: "Valid for", value: "86400", options: [["3600", "an hour"], ["86400", "a day"], ["604800", "a week"], ["2592000", "30 days"], ["0", "ever"]] }, { name: "needs_approval", label: "Each host waits for approval", type: "check" }],
	act: async (v) => {
		const made = await post("/v1/tokens", { note: v.note, labels: words.readLabels(v.labels), uses: Number(v.uses), expires_in: Number(v.expires_in), needs_approval: v.needs_approval });
		then();
		let ca = "";
		try {
			ca = await get("/v1/ca");
		} catch {
			// The document goes without it: the host then asks for the pin by itself.
		}
		return { token: made, ca: typeof ca === "string" ? ca : "" };
	},
	show: (answer) => html`<${Made} token=${answer.token} ca=${answer.ca} />`,
});

const stateOf = (t) => (t.revoked_at ? "revoked" : t.expires_at && t.expires_at < Date.now() / 1000 ? "ended" : t.uses_left === 0 ? "used up" : "open");

function Tokens() {
	const view = useGet("/v1/tokens", { on: (e) => e.kind === "host.joined" || e.kind === "host.pending", wait: 2000 });
	const revoke = (t) => ask({ title: `Revoke token ${t.id}`, text: "No more hosts join with it. Those that did stay.", confirm: "Revoke", danger: true, fields: [{ name: "reason", label: "Reason" }], done: "Revoked.", act: async (v) => {
		await post(`/v1/tokens/${part(t.id)}/revoke`, { reason: v.reason || undefined });
		view.reload();
	} });
	return html`<${Panel} id="tokens" title="Join tokens" actions=${html`<button type="button" class="primary" onClick=${() => create(view.reload)}>New token</button>`}><${Load} of=${view} what="The tokens">${(list) => list.items.length ? html`<${List} label="Join tokens" rows=${list.items} rowClass=${(t) => (stateOf(t) === "open" ? "" : "is-off")} columns=${[
		{ head: "Token", cell: (t) => html`<code>${t.id}</code>` }, { head: "Note", class: "grow", cell: (t) => html`<${Name}>${t.note}<//>` }, { head: "State", cell: (t) => html`<${Badge} word=${stateOf(t)} tone=${stateOf(t) === "open" ? "good" : "silent"} />` }, { head: "Hosts", cell: (t) => html`${words.count(t.uses)}${t.uses_left >= 0 ? html` <span class="soft">of ${words.count(t.uses + t.uses_left)}</span>` : ""}` },
		{ head: "Labels", cell: (t) => html`<${Labels} of=${t.labels} />` }, { head: "Approval", cell: (t) => (t.needs_approval ? "needed" : html`<span class="soft">no</span>`) }, { head: "Ends", cell: (t) => html`<${Age} at=${t.expires_at} />` }, { head: "Made", cell: (t) => html`<${Age} at=${t.created_at} /> <span class="soft">by <${Name}>${t.created_by}<//></span>` },
		{ head: "", name: "Acts", class: "acts", cell: (t) => stateOf(t) === "open" && html`<button type="button" class="small danger" onClick=${() => revoke(t)}>Revoke</button>` }]} />` : html`<${Empty} title="There is no join token">A host proves by one that it may join. <button type="button" class="primary" onClick=${() => create(view.reload)}>Make one</button><//>`}<//><//>`;
}

export function Joining() {
	const waiting = useGet("/v1/hosts?selector=state%20%3D%20pending&limit=200", { on: (e) => /^host\.(pending|approved|retired|joined|forgotten)/.test(e.kind), wait: 1500 });
	return html`<${Head} title="Joining" sub=${html`<span>The fleet's authority: <a href="/v1/ca" download="fleet-ca.pem">its certificate</a>, <a href="/v1/crl" download="fleet.crl">what it withdrew</a></span>`} />
		<${Panel} id="pending" title="Waiting for approval" note=${waiting.data?.items?.length || ""}><${Load} of=${waiting} what="Who waits">${(list) => list.items.length ? html`<${List} label="Hosts that wait" rows=${list.items} columns=${[{ head: "Host", class: "grow", cell: (h) => html`<${HostLink} id=${h.id} name=${h.name} />` }, { head: "Key", cell: (h) => html`<${Digest} of=${h.id} length=${16} />` }, { head: "Since", cell: (h) => html`<${Age} at=${h.enrolled} />` }, { head: "Labels", cell: (h) => html`<${Labels} of=${h.labels} />` },
			can("operator") && { head: "", name: "Acts", class: "acts", cell: (h) => html`<button type="button" class="small primary" onClick=${() => approve(h)}>Approve</button> ${can("admin") && html`<button type="button" class="small danger" onClick=${() => retire(h)}>Refuse</button>`}` }]} />` : html`<p class="calm soft">Nobody waits.</p>`}<//><//>
		${can("admin") ? html`<${Tokens} />` : html`<${Panel} id="tokens" title="Join tokens"><p class="calm soft">Admins make join tokens.</p><//>`}`;
}
