// SPDX-License-Identifier: Apache-2.0
import { html } from "./base.mjs";
import { useGet, query, can } from "./api.mjs";
import { Head, Panel, Load, Empty, Badge, Age, Name, ReleaseLink } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { Bar, Legend, Wall } from "./wall.mjs";
import { Timeline } from "./chart.mjs";
import { EventLine } from "./events.mjs";
import { title } from "./view-rollouts.mjs";
import * as words from "./words.mjs";

const hostsOf = (selector) => query("/hosts", { selector });

function Health({ of }) {
	const parts = words.HEALTHS.map((h) => [h, of.by_health?.[h] || 0]);
	const rest = Object.entries(of.by_state || {}).filter(([state, n]) => state !== "active" && n > 0);
	const good = of.by_health?.good || 0;
	const whole = parts.reduce((sum, [, n]) => sum + n, 0);
	return html`<${Panel} id="health" title="Health" class="health">
		<p class="big"><b>${words.count(of.hosts)}</b> ${of.hosts === 1 ? "host" : "hosts"}<span class="soft">${whole ? html`${" "}${words.percent(good, whole)} good` : ""}</span></p>
		<${Bar} parts=${parts} label="Health of the fleet" class="tall" />
		<${Legend} parts=${parts} href=${(word) => hostsOf(`health = ${word}`)} />
		${rest.length > 0 && html`<p class="soft states">${rest.map(([state, n]) => html`<a href=${hostsOf(`state = ${state}`)}>${words.count(n)} ${state}</a>${" "}`)}</p>`}<//>`;
}

const attentionLink = (item) =>
	item.workload && !item.rollout ? query(`/workloads/${encodeURIComponent(item.workload)}`, { version: item.version })
		: item.link?.startsWith("/") && !item.link.startsWith("//") ? item.link : item.rollout ? `/rollouts/${encodeURIComponent(item.rollout)}`
		: item.host ? `/hosts/${encodeURIComponent(item.host)}`
			: item.kind === "pending" ? "/joining"
				: /^(bad|silent|degraded)$/.test(item.kind) ? hostsOf(`health = ${item.kind}`)
					: /^(held|retired)$/.test(item.kind) ? hostsOf(`state = ${item.kind}`)
						: /^workload/.test(item.kind) ? "/workloads" : /lock/.test(item.kind) ? "/locks" : /webhook/.test(item.kind) ? "/access?tab=webhooks" : "/activity";

const Attention = ({ items }) => html`<${Panel} id="attention" title="Needs attention" note=${items.length ? words.count(items.length) : ""}>
	${items.length === 0 ? html`<p class="calm"><${Icon} name="check" /> Nothing does.</p>` : html`<ul class="attention">${items.map((item, i) => html`<li key=${i}><a href=${attentionLink(item)} class=${`tone-${/halt|bad|clone|held|fail|trouble/.test(item.kind) || (/^(rollout|workload)$/.test(item.kind) && /halted|failed/.test(item.text)) ? "bad" : "degraded"}`}><i aria-hidden="true"></i><span><${Name}>${item.text}<//></span><${Icon} name="arrow" /></a></li>`)}</ul>`}<//>`;

export const RolloutCard = ({ of }) => html`<article class="rollout-card"><header><a href=${`/rollouts/${of.id}`}><${Name}>${title(of)}<//></a><${Badge} word=${of.state} /></header>
	<${Wall} rollout=${of} isSmall />
	<p class="soft">${words.count((of.counts?.confirmed || 0) + (of.counts?.already || 0))} of ${words.plural(of.total, "host")}${of.failures > 0 ? html`, <b class="bad-text">${words.plural(of.failures, "failure")}</b>${of.halts_at ? ` (the ${words.ordinal(of.halts_at)} stops it)` : ""}` : ""}</p>
	<p>${of.state === "running" ? of.next : of.reason || of.next}</p></article>`;

export function Overview() {
	const view = useGet("/v1/overview", { on: (e) => /^(host|rollout|release)\./.test(e.kind), wait: 2500 });
	const timeline = useGet("/v1/overview/timeline?hours=48", { on: (e) => e.kind === "rollout.finished", wait: 60000 });
	const latest = useGet("/v1/events?order=new&limit=8", {
		on: () => false,
		patch: (data, e) => ({ ...data, items: [e, ...data.items.filter((i) => i.seq !== e.seq)].slice(0, 8) }),
	});
	return html`<${Head} title="Overview" />
		<${Load} of=${view} what="The overview" rows=${6}>${(of) => html`
		${of.server?.trouble && html`<div class="failure" role="alert"><${Icon} name="alert" /><p><strong>The server is in trouble:</strong> ${of.server.trouble}</p></div>`}
		${of.hosts === 0 ? html`<${Panel}><${Empty} title="No host has joined yet">${can("admin") ? html`<p>Make a join token, and put it into the host document of your first machine.</p><a class="button primary" href="/joining">Make a join token</a>` : html`<p>An admin makes a join token; a host that starts with it appears here.</p>`}<//><//>`
			: html`<div class="cols"><${Health} of=${of} /><${Attention} items=${of.attention || []} /></div>`}
		<${Panel} id="rollouts" title="Rollouts under way" actions=${html`<a class="quiet" href="/rollouts">All rollouts</a>`}>
		${of.rollouts?.length ? html`<div class="rollout-cards">${of.rollouts.map((r) => html`<${RolloutCard} key=${r.id} of=${r} />`)}</div>`
			: html`<p class="calm soft">None. ${can("operator") && html`<a href="/rollouts/new">Start one</a>`}</p>`}<//>
		<div class="cols wide-first"><${Panel} id="versions" title="Versions" note="last 48 hours">
			<${Load} of=${timeline} what="The time line">${(t) => t.points?.length > 1 ? html`<${Timeline} of=${t} />` : html`<${Empty} title="Too early for a time line">The first samples come within the hour.<//>`}<//><//>
		<${Panel} id="latest" title="Latest" actions=${html`<a class="quiet" href="/activity">All activity</a>`}><${Load} of=${latest} what="What happened last">${(l) => l.items.length ? html`<ul class="events">${l.items.map((e) => html`<${EventLine} key=${e.seq} of=${e} />`)}</ul>` : html`<p class="calm soft">Nothing has happened so far.</p>`}<//><//></div>
		<footer class="server soft">ashlar-fleetd ${of.server?.version}, ${of.server?.database}, up ${words.duration(of.server?.uptime || 0)}</footer>`}<//>`;
}
