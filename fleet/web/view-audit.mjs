// SPDX-License-Identifier: Apache-2.0
// What was changed, by whom; and everything that happened.
import { html, useState } from "./base.mjs";
import { usePages, get } from "./api.mjs";
import { useArgument } from "./router.mjs";
import { Head, Panel, Empty, Age, Name, List, Loading, Failure, Digest, Shown } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { attempt } from "./dialog.mjs";
import { EventList } from "./events.mjs";
import * as words from "./words.mjs";

const json = (text) => {
	if (!text) return "";
	if (typeof text !== "string") return JSON.stringify(text, null, 1);
	try {
		return JSON.stringify(JSON.parse(text), null, 1);
	} catch {
		return text;
	}
};

export function Audit() {
	const pages = usePages("/v1/audit", { order: "new" }, 100);
	const [verdict, setVerdict] = useState(null);
	const verify = async () => setVerdict((await attempt(() => get("/v1/audit/verify"))) || null);
	return html`<${Head} title="Audit" actions=${html`<button type="button" class="primary" onClick=${verify}>Verify the chain</button>`} sub=${html`<span>Each row holds the hash of the one before: none can be changed or left out unseen.</span>`} />
		${verdict && html`<div class=${`notice tone-${verdict.ok ? "good" : "bad"}`} role="status"><${Icon} name=${verdict.ok ? "check" : "alert"} /><p>${verdict.ok ? html`<b>The chain holds:</b> ${words.plural(verdict.count, "row")}, head <${Digest} of=${verdict.head} length=${16} />` : html`<b>The chain is broken</b> at row ${verdict.first_bad}.`}</p></div>`}
		${pages.error && html`<${Failure} error=${pages.error} reload=${pages.reload} what="The audit log" />`}
		${!pages.items.length ? (pages.loading ? html`<${Loading} rows=${6} />` : !pages.error && html`<${Panel}><${Empty} title="Nothing was changed yet" /><//>`)
			: html`<${Panel}><${List} label="Audit log" rows=${pages.items} rowKey=${(a) => a.seq} columns=${[{ head: "#", cell: (a) => html`<span class="soft">${a.seq}</span>` }, { head: "When", cell: (a) => html`<${Age} at=${a.at} />` }, { head: "Who", cell: (a) => html`<${Name}>${a.actor}<//> <small class="soft line">${a.role}${a.address ? `, ${a.address}` : ""}</small>` }, { head: "What", cell: (a) => html`<code>${a.action}</code>` }, { head: "On", cell: (a) => html`<${Name}>${a.object}<//>` }, { head: "Why", class: "grow", cell: (a) => html`<span class="wrap">${a.reason}</span>` },
				{ head: "Change", cell: (a) => (a.before || a.after) ? html`<details class="change"><summary>show</summary>${a.before && html`<pre class="removed">${json(a.before)}</pre>`}${a.after && html`<pre class="added">${json(a.after)}</pre>`}</details>` : "" }, { head: "Hash", cell: (a) => html`<${Digest} of=${a.hash} length=${8} />` }]} /><${Shown} noun="rows" pages=${pages} /><//>`}`;
}

const KINDS = [["", "All"], ["rollout.halted", "Halts"], ["rollout.host", "Hosts in rollouts"], ["host.report", "Reports"], ["host.event", "Hosts' own"], ["host.silent", "Silent"], ["host.joined", "Joined"]];

export function Activity() {
	const [kind, setKind] = useArgument("kind");
	return html`<${Head} title="Activity" /><div class="quick" role="group" aria-label="Kind">${KINDS.map(([k, text]) => html`<button type="button" class="chip" aria-pressed=${kind === k ? "true" : "false"} onClick=${() => setKind(k)}>${text}</button>`)}</div>
		<${Panel}><${EventList} path="/v1/events" args=${{ order: "new", kind }} accepts=${(e) => !kind || e.kind === kind} /><//>`;
}
