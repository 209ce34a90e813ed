// SPDX-License-Identifier: Apache-2.0
// Releases: what there is, what is in one, what changed between two, and who still runs an old package.
import { html, useState } from "./base.mjs";
import { useGet, usePages, can, get, post, query, part, newest } from "./api.mjs";
import { useArgument } from "./router.mjs";
import { Head, Panel, Load, Empty, Badge, Age, Name, List, Tabs, TabPanel, Facts, Digest, HostLink, Loading, Failure, Menu, Shown } from "./ui.mjs";
import { Icon } from "./icons.mjs";
import { Field, ask, attempt, say, REASON } from "./dialog.mjs";
import * as words from "./words.mjs";

const Marks = ({ of: r }) => html`${r.is_barrier ? html`<${Badge} word="barrier" tone="updating" />` : ""} ${r.dead_end ? html`<${Badge} word="dead end" tone="degraded" />` : ""} ${r.withdrawn ? html`<${Badge} word="withdrawn" tone="bad" />` : ""}${(r.channels || []).map((c) => html`<a class="label" href="/channels"><bdi>${c}</bdi></a>`)}`;

function PackageSearch() {
	const [name, setName] = useArgument("package");
	const [below, setBelow] = useArgument("below");
	const [asked, setAsked] = useState({ name, below });
	const view = useGet(asked.name ? query(`/v1/packages/${part(asked.name)}/hosts`, { below: asked.below }) : null);
	const submit = (event) => {
		event.preventDefault();
		setAsked({ name: name.trim(), below: below.trim() });
	};
	return html`<${Panel} id="who" title="Who runs a package"><form class="line-form" onSubmit=${submit}><${Field} id="package" of=${{ label: "Package", name: "package", required: true, placeholder: "openssl" }} value=${name} onInput=${setName} />
		<${Field} id="below" of=${{ label: "Below version", name: "below", placeholder: "3.0.15-1" }} value=${below} onInput=${setBelow} /><button class="primary">Search</button></form>
		${asked.name && html`<${Load} of=${view} what="The search">${(found) => html`${found.unlisted > 0 && html`<p class="unlisted"><b>Of ${words.plural(found.unlisted, "host")} it is not known:</b> what they run came without a list of packages.</p>`}${found.items.length ? html`<p><b>${words.plural(found.count ?? found.items.length, "host")}</b> ${found.count === 1 ? "runs" : "run"} ${asked.name}${asked.below ? ` below ${asked.below}` : ""}.</p><${List} label="Hosts with the package" rows=${found.items} columns=${[{ head: "Host", cell: (h) => html`<${HostLink} id=${h.id} name=${h.name} />` }, { head: "Release", cell: (h) => html`<${Name}>${h.version}<//>` }, { head: "Package", cell: (h) => html`<code>${h.package}</code>` }]} />`
			: html`<p class=${found.unlisted ? "" : "calm"}>${!found.unlisted && html`<${Icon} name="check" />`} No host ${found.unlisted ? "whose packages are known " : ""}runs ${asked.name}${asked.below ? ` below ${asked.below}` : ""}.</p>`}`}<//>`}<//>`;
}

function packagesOf(text) {
	const lines = text.split("\n").map((line) => line.trim().split(/\s+/)).filter(([name]) => name);
	const short = lines.find((line) => line.length !== 3);
	if (short) throw new Error(`a package is a name, a version and an architecture, not '${short.join(" ").slice(0, 60)}'`);
	return lines.length ? lines.map(([name, version, arch]) => ({ name, version, arch })) : undefined;
}

function jsonOf(text, what) {
	if (!text) return undefined;
	try {
		return JSON.parse(text);
	} catch {
		throw new Error(`the ${what} document is no JSON`);
	}
}

export function Releases() {
	const view = usePages("/v1/releases", {}, 100);
	const scan = async () => {
		const answer = await attempt(() => post("/v1/releases/scan"));
		if (answer !== undefined) {
			say(`Read the publication: ${words.plural(answer.added?.length ?? answer.added ?? 0, "new release")}${answer.workloads !== undefined ? `, ${words.plural(answer.workloads, "new workload definition")}` : ""}.`);
			view.reload();
		}
	};
	const paste = () => ask({ title: "Add a release", text: "The signed document as it was published. The server checks its form; hosts check its signature.", confirm: "Add", wide: true, fields: [{ name: "document", label: "Document (JSON)", rows: 8, required: true }, { name: "packages", label: "Packages", rows: 4, placeholder: "openssl 3.0.15-1 amd64", hint: "One a line: name, version, architecture." }, { name: "spdx", label: "SBOM as SPDX", type: "file", accept: ".json" }, { name: "cyclonedx", label: "SBOM as CycloneDX", type: "file", accept: ".json" }, { name: "is_barrier", label: "Barrier: nobody passes it by", type: "check" }, REASON], done: "Added.", act: async (v) => {
		await post("/v1/releases", { document: v.document, is_barrier: v.is_barrier, packages: packagesOf(v.packages), spdx: jsonOf(v.spdx, "SPDX"), cyclonedx: jsonOf(v.cyclonedx, "CycloneDX"), reason: v.reason || undefined });
		view.reload();
	} });
	return html`<${Head} title="Releases" actions=${can("admin") && html`<button type="button" class="primary" onClick=${scan}>Look for new ones</button><${Menu} label="More" items=${[{ text: "Add a document by hand…", act: paste }]} />`} />
		${view.error && html`<${Failure} error=${view.error} reload=${view.reload} what="The list" />`}
		${!view.items.length ? (view.loading ? html`<${Loading} rows=${5} />` : !view.error && html`<${Panel}><${Empty} title="There is no release yet">They come from the publication that ashlar writes and signs.<//><//>`)
			: html`<${Panel}><${List} label="Releases" rows=${newest(view.items)} rowClass=${(r) => (r.withdrawn ? "is-off" : "")} columns=${[{ head: "Version", class: "grow", cell: (r) => html`<a class="strong" href=${`/releases/${r.id}`}><${Name}>${r.version}<//></a><small class="soft"><${Name}>${[r.name, r.variant, r.arch].filter(Boolean).join(" / ")}<//></small>` },
				{ head: "Marks", cell: (r) => html`<${Marks} of=${r} />` }, { head: "Hosts on it", cell: (r) => (r.hosts ? html`<a href=${query("/hosts", { selector: `commit = ${r.commit}` })}>${words.count(r.hosts)}</a>` : html`<span class="soft">0</span>`) }, { head: "Added", cell: (r) => html`<${Age} at=${r.added_at} />` }, { head: "Commit", cell: (r) => html`<${Digest} of=${r.commit} />` },
				can("operator") && { head: "", name: "Acts", class: "acts", cell: (r) => !r.withdrawn && html`<a class="button small" href=${`/rollouts/new?release=${r.id}`}>Roll out</a>` }]} /><${Shown} noun="releases" pages=${view} /><//>`}
		<${PackageSearch} />`;
}

function Packages({ id }) {
	const pages = usePages(`/v1/releases/${id}/packages`, {}, 1000);
	const [filter, setFilter] = useState("");
	const shown = pages.items.filter((p) => p.name.includes(filter));
	return html`${pages.error ? html`<${Failure} error=${pages.error} reload=${pages.reload} what="The packages" />` : !pages.items.length ? (pages.loading ? html`<${Loading} />` : html`<${Empty} title="Its list of packages is not known">It is beside the release when ashlar published it.<//>`)
		: html`<div class="line-form"><${Field} id="package-filter" of=${{ label: "Filter", name: "f", optional: false }} value=${filter} onInput=${setFilter} /></div><${List} label="Packages" rows=${shown} rowKey=${(p) => `${p.name}:${p.arch}`} columns=${[{ head: "Package", cell: (p) => html`<${Name}>${p.name}<//>` }, { head: "Version", cell: (p) => html`<code>${p.version}</code>` }, { head: "Architecture", cell: (p) => p.arch }]} /><${Shown} noun="packages" pages=${pages} />`}`;
}

function Diff({ id, releases }) {
	const [other, setOther] = useArgument("with");
	const diff = useGet(other ? `/v1/releases/${part(other)}/diff/${part(id)}` : null);
	return html`<div class="line-form"><${Field} id="diff-with" of=${{ label: "What changed since", name: "with", options: [["", "choose a release"], ...newest(releases).filter((r) => String(r.id) !== String(id)).map((r) => [String(r.id), `${r.name} ${r.version}`])] }} value=${other} onInput=${setOther} /></div>
		${other && html`<${Load} of=${diff} what="The difference">${(d) => {
			const none = !d.added.length && !d.removed.length && !d.changed.length;
			const plain = (items) => items.map((p) => html`<li><b><${Name}>${typeof p === "string" ? p : p.name}<//></b> <code>${p.version || ""}</code></li>`);
			return none ? html`<${Empty} title="The packages are the same" />` : html`<div class="diff">${d.changed.length > 0 && html`<section><h3>${words.plural(d.changed.length, "changed", "changed")}</h3><ul>${d.changed.map((p) => html`<li><b><${Name}>${p.name}<//></b> <code>${p.from}</code> <${Icon} name="arrow" /> <code>${p.to}</code></li>`)}</ul></section>`}
				${d.added.length > 0 && html`<section class="added"><h3>${words.count(d.added.length)} added</h3><ul>${plain(d.added)}</ul></section>`}${d.removed.length > 0 && html`<section class="removed"><h3>${words.count(d.removed.length)} removed</h3><ul>${plain(d.removed)}</ul></section>`}</div>`;
		}}<//>`}`;
}

export function Release({ id }) {
	const view = useGet(`/v1/releases/${part(id)}`, { on: (e) => /^release\./.test(e.kind), wait: 2000 });
	const all = useGet("/v1/releases?limit=200");
	const [tab, setTab] = useArgument("tab", "packages");
	if (view.error?.status === 404) return html`<${Head} title="No such release" back=${["/releases", "Releases"]} /><${Panel}><${Empty} title="There is no such release"><a class="button" href="/releases">All releases</a><//><//>`;
	const mark = (r, title, text, fields, body) => ask({ title: `${title}: ${r.version.slice(0, 60)}`, text, confirm: "Save", fields: [...fields, { name: "reason", label: "Reason", maxlength: 500 }], done: "Saved.", act: async (v) => {
		await post(`/v1/releases/${part(id)}`, { ...body(v), reason: v.reason || undefined });
		view.reload();
	} });
	return html`<${Load} of=${view} what="The release">${(r) => html`<${Head} title=${`${r.name} ${r.version}`} back=${["/releases", "Releases"]} sub=${html`<${Marks} of=${r} /><span>added <${Age} at=${r.added_at} /></span>`}
		actions=${html`${can("operator") && !r.withdrawn && html`<a class="button primary" href=${`/rollouts/new?release=${r.id}`}>Roll out</a>`}${can("admin") && html`<${Menu} label="Marks" text="Marks" items=${[
			{ text: r.is_barrier ? "Not a barrier any more…" : "Make it a barrier…", act: () => mark(r, r.is_barrier ? "No barrier" : "Barrier", "A barrier is passed by nobody: hosts below it take it first, then what is newer.", [], () => ({ is_barrier: !r.is_barrier })) },
			{ text: r.dead_end ? "Not a dead end any more…" : "Mark as a dead end…", act: () => mark(r, "Dead end", "No update leads away from it: its hosts have to be set up anew.", r.dead_end ? [] : [{ name: "dead_end", label: "Why", required: true }], (v) => ({ dead_end: r.dead_end ? "" : v.dead_end })) },
			{ text: r.withdrawn ? "Give it again…" : "Withdraw…", danger: !r.withdrawn, act: () => mark(r, r.withdrawn ? "Give again" : "Withdraw", r.withdrawn ? "" : "It is given to no host any more. Hosts that run it keep it.", r.withdrawn ? [] : [{ name: "withdrawn", label: "Why", required: true }], (v) => ({ withdrawn: r.withdrawn ? "" : v.withdrawn })) },
			{ text: "Notes…", act: () => mark(r, "Notes", "", [{ name: "notes", label: "Notes", rows: 6, value: r.notes }], (v) => ({ notes: v.notes })) }]} />`}`} />
		${r.withdrawn && html`<div class="notice tone-bad"><${Icon} name="alert" /><p><b>Withdrawn:</b> ${r.withdrawn}</p></div>`}${r.dead_end && html`<div class="notice tone-degraded"><${Icon} name="alert" /><p><b>Dead end:</b> ${r.dead_end}</p></div>`}
		<${Panel}><${Facts} of=${[["Image", html`<${Name}>${[r.name, r.variant, r.arch].filter(Boolean).join(" / ")}<//>`], ["Hosts on it", html`<a href=${query("/hosts", { selector: `commit = ${r.commit}` })}>${words.plural(r.hosts || 0, "host")}</a>`], ["Packages", words.count(r.package_count)], ["SBOM", html`<a href=${`/v1/releases/${r.id}/sbom?format=spdx`} download>SPDX</a>, <a href=${`/v1/releases/${r.id}/sbom?format=cyclonedx`} download>CycloneDX</a>`], ["Commit", html`<code class="digest whole">${r.commit}</code>`], r.notes && ["Notes", html`<span class="wrap">${r.notes}</span>`]]} /><//>
		<${Panel} class="tabbed"><${Tabs} label="More of this release" value=${tab} onChange=${setTab} tabs=${[["packages", "Packages", r.package_count], ["diff", "Difference"], ["document", "Document"]]} />
		<${TabPanel} id=${tab}>${tab === "diff" ? html`<${Diff} id=${r.id} releases=${all.data?.items || []} />` : tab === "document" ? html`<pre tabindex="0" role="region" aria-label="Signed document">${JSON.stringify(r.document, null, 2)}</pre>` : html`<${Packages} id=${r.id} />`}<//><//>`}<//>`;
}
