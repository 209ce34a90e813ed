// SPDX-License-Identifier: Apache-2.0
// mock.mjs WEB-DIRECTORY [PORT [HOSTS]]: a server that looks like ashlar-fleetd to the page, with an invented fleet in
// memory. For working on the page, and for tests of what a real server does not do at will: /mock/emit, /mock/drop,
// /mock/fail, /mock/calls.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join, extname } from "node:path";
import * as data from "./mock-data.mjs";

const [directory, port = "0", size = "200"] = process.argv.slice(2);
const { now, digest } = data;
const hosts = data.makeHosts(Number(size));
const rollouts = data.makeRollouts();
const events = data.makeEvents(hosts, rollouts);
const calls = [], streams = new Set(), failures = new Map();
const sessions = new Map();
let empty = false, delay = 0;

const tokens = [{ id: "k3v9", note: "the racks in Bern", labels: { site: "bern", channel: "stable" }, uses_left: 12, uses: 28, expires_at: now() + 86400 * 5, needs_approval: false, created_at: now() - 86400, created_by: "rosa", revoked_at: 0 },
	{ id: "m1p4", note: "edge, by courier", labels: {}, uses_left: -1, uses: 3, expires_at: 0, needs_approval: true, created_at: now() - 864000, created_by: "admin", revoked_at: 0 }];
const channels = [{ name: "stable", release: 4, note: "what everybody runs" }, { name: "testing", release: 5, note: "" }];
const policies = [{ name: "nights", rank: 10, selector: "role = db", windows: ["02:00-05:00 Europe/Zurich"], poll: 0, note: "" }, { name: "the rest", rank: 100, selector: "all", windows: [], poll: 60, note: "" }];
const locks = [{ group: "default", slots: 4, lease: 3600, paused: "", frees_late: false, holders: [{ id: "db-bern-014", since: now() - 5000, lease_until: now() - 1400, late: true }, { id: "web-basel-033", since: now() - 300, lease_until: now() + 3300, late: false }] }];
const operators = [{ name: "rosa", role: "admin", scope: "", created_at: now() - 8640000, disabled: false }, { name: "noor", role: "operator", scope: "site = bern", created_at: now() - 640000, disabled: false }];
const apiTokens = [{ id: "p0q8", role: "viewer", scope: "", note: "metrics", created_at: now() - 900000, created_by: "rosa", expires_at: now() + 7000000, last_used: now() - 60, revoked_at: 0 }];
const webhooks = [{ id: "w1", url: "https://hooks.example/fleet", kinds: ["rollout.halted"], created_at: now() - 90000, created_by: "rosa", paused: "", cursor: 280 }];
const audit = Array.from({ length: 30 }, (_, i) => ({ seq: 30 - i, at: now() - i * 4000, actor: i % 3 ? "rosa" : "noor", role: i % 3 ? "admin" : "operator", address: "192.0.2.7", action: ["host.hold", "rollout.create", "token.create", "channel.set"][i % 4], object: i % 4 ? "stable" : hosts[i]?.id.slice(0, 12) || "", reason: i % 4 ? "" : "it took turns with a copy", before: "", after: i % 2 ? '{"release":4}' : "", hash: digest(`audit ${i}`) }));

const modules = [{ id: 1, name: "firmware", version: "2.1", type: "os", artifacts: [{ filename: "press.swu", size: 48234496, sha256: digest("press") }] }, { id: 2, name: "recipes", version: "2026-11", type: "application", artifacts: [] }];
const targets = [{ id: "press-7", attributes: { hw: "rev 4", line: "B" }, installed: { name: "firmware", version: "2.0" }, created_at: now() - 8640000, last_seen: now() - 40, address: "192.0.2.77", auto_confirm: false },
	{ id: data.HOSTILE[0], attributes: { [data.HOSTILE[2].slice(0, 60)]: data.HOSTILE[0] }, installed: {}, created_at: now() - 900, last_seen: 0, address: "", auto_confirm: true }];
const actions = [{ id: 1, target: "press-7", name: "firmware", version: "2.0", modules: [1], kind: "forced", state: "finished", active: false, weight: 1000, schedule: "", created_at: now() - 640000, created_by: "rosa" }, { id: 2, target: "press-7", name: "firmware", version: "2.1", modules: [1, 2], kind: "soft", state: "retrieved", active: true, weight: 1000, schedule: "Sat 02:00-05:00 Europe/Zurich", created_at: now() - 600, created_by: "noor" }];
const statuses = [{ at: now() - 500, state: "retrieved", messages: ["The target has looked at it."] }, { at: now() - 300, state: "proceeding", messages: ["downloading 34 %", data.HOSTILE[0]] }];
const definitionOf = (name, version) => data.workloads.find((w) => w.name === name && w.version === version) || find(data.workloads, "version", `${name} ${version}`);
const wider = (id, version, b) => {
	const old = data.assignments.find((a) => a.id === id);
	if (!old?.version || !version || b.widen) return;
	const d = data.changesOf(definitionOf(old.workload, old.version), definitionOf(old.workload, version));
	if (d.is_wider) throw new Refusal(409, "wider", `${old.workload} ${version} may touch more than ${old.version}: look at the changes, then say "widen": true and a reason`, { changes: d.changes });
};
const YAML = "# The fleet 0123456789abcdef: what its operators decided.\nformat: 1\nchannels:\n  - name: stable\n    release: host/1.4.0\n    note: what everybody runs\n";

class Refusal extends Error {
	constructor(status, kind, text, more) {
		super(text);
		Object.assign(this, { status, kind, more });
	}
}

// As much of the selector language as the tests and a look at the page need.
function matcher(text = "", whole = text) {
	text = text.trim();
	if (!text || text === "all") return () => true;
	const and = text.split(/ and /), or = text.split(/ or /);
	if (or.length > 1) {
		const all = or.map((t) => matcher(t, whole));
		return (h) => all.some((m) => m(h));
	}
	if (and.length > 1) {
		const all = and.map((t) => matcher(t, whole));
		return (h) => all.every((m) => m(h));
	}
	let m = /^host ([0-9a-f]{8,64})$/.exec(text);
	if (m) return (h) => h.id.startsWith(m[1]);
	m = /^has (\S+)$/.exec(text);
	if (m) return (h) => m[1] in h.labels;
	m = /^(\S+) in \(([^)]*)\)$/.exec(text);
	if (m) return (h) => m[2].split(/,\s*/).includes(h[m[1]] ?? h.labels[m[1]]);
	m = /^([\w.]+) *= *("[^"]*"|[\w.\-:/+@]+)$/.exec(text);
	if (m) return (h) => String(h[m[1]] ?? h.labels[m[1]]) === m[2].replace(/"/g, "");
	const column = (/[^\w\s=.,()"<>~-]/.exec(whole)?.index ?? whole.length) + 1;
	throw new Refusal(400, "request", `column ${column}: expected a key, 'not', 'has' or '('`);
}

function page(items, args, key = "") {
	const limit = Math.min(1000, Number(args.get("limit") || 100)), after = Number(args.get("after") || 0);
	return { items: items.slice(after, after + limit), ...(after + limit < items.length ? { next: String(after + limit) } : {}) };
}

const count = (list, key) => list.reduce((all, x) => ((all[x[key]] = (all[x[key]] || 0) + 1), all), {});
const find = (list, key, value) => list.find((x) => String(x[key]) === value) || (() => {
	throw new Refusal(404, "not-found", `there is no '${value}'`);
})();
const hostOf = (id) => hosts.find((h) => h.id === id || (id.length >= 8 && h.id.startsWith(id)) || h.name === id) || find(hosts, "id", id);

export function emit(event) {
	const whole = { seq: events.length + 1, at: now(), kind: "host.event", host: "", host_name: "", rollout: "", actor: "", text: "", data: {}, ...event };
	if (whole.host && !whole.host_name) whole.host_name = hosts.find((h) => h.id === whole.host)?.name || "";
	const told = whole.kind === "host.report" && hosts.find((h) => h.id === whole.host);
	if (told) Object.assign(told, { version: whole.data.version, health: whole.data.health });
	events.push(whole);
	for (const s of streams) s.write(`id: ${whole.seq}\nevent: ${whole.kind}\ndata: ${JSON.stringify(whole)}\n\n`);
}

function overview() {
	if (empty) return { hosts: 0, by_state: {}, by_health: {}, versions: [], rollouts: [], attention: [], server: { version: "0.1.0", uptime: 12, database: "sqlite", trouble: "" } };
	const active = hosts.filter((h) => h.state === "active");
	const bad = active.filter((h) => h.health === "bad");
	return {
		hosts: hosts.length, by_state: count(hosts, "state"), by_health: count(active, "health"), versions: Object.entries(count(active, "version")).map(([version, n]) => ({ version, count: n })), rollouts: rollouts.filter((r) => /running|halted|paused|reverting/.test(r.state)),
		attention: [{ kind: "halted", text: "The rollout 'nginx from upstream' stopped: 5 of 16 hosts failed or fell silent.", rollout: rollouts[1].id }, { kind: "clone", text: "Two machines have the identity of web-lugano-002.", host: hosts[1].id }, { kind: "bad", text: `${bad.length} hosts are bad.`, count: bad.length }, { kind: "pending", text: "2 hosts wait for approval.", count: 2 }, { kind: "workload", text: "web 2.0.0 failed on 2 hosts.", workload: "web", version: "2.0.0", count: 2 }, { kind: "lock", text: "db-bern-014 has held a reboot lock for 23 min too long." }],
		server: { version: "0.1.0", uptime: 86400 * 12, database: "sqlite", trouble: "" },
	};
}

function timeline() {
	const versions = ["1.2.0", "1.3.0", "1.3.1", "1.4.0", "1.4.1"], points = [];
	for (let i = 0; i <= 96; i++) {
		const n = Math.min(74, Math.max(0, Math.floor(((i - 60) / 36) ** 2 * (i > 60 ? 74 : 0)))), old = Math.max(4, 40 - i);
		points.push({ at: now() - (96 - i) * 1800, counts: [4, old > 12 ? 6 : 2, Math.max(10, old), 196 - 4 - (old > 12 ? 6 : 2) - Math.max(10, old) - n, n] });
	}
	return empty ? { versions: [], points: [] } : { versions, points };
}

const chain = (h) => ({
	answer: h.state === "held" ? "refused" : h.version === "1.4.1" ? "up to date" : "waiting", blocker: h.version === "1.4.1" ? "" : "Its window opens at 02:00 Europe/Zurich.", next: h.version === "1.4.1" ? 0 : now() + 9000,
	conditions: [["known", "It joined with the token k3v9."], ["active", "No operator holds it."], ["heard of", "It checked in 12 s ago."], ["rollout", "January's kernel gives it 1.4.1."], ["release fits", "host, amd64, 1.4.0 may be replaced by it."], ["not failed here", "It never tried 1.4.1."], ["ring reached", "Its rank is 41 of 194; the limit is 64."], ["budget", "site=bern: 3 of 5 are under way."], ["window", "Its window opens at 02:00 Europe/Zurich."], ["offered", "Not yet."]]
		.map(([condition, text], i) => ({ condition, met: h.version === "1.4.1" || i < 8, text })),
});

const detail = (h) => ({
	...h, facts: { hostname: h.name.slice(0, 60), machine: "KVM", cpus: 4, memory: 8589934592, kernel: "6.12.9-amd64", "disk.root": 21474836480, "disk.root_free": 15032385536, booted_at: now() - 864000, virt: "kvm" },
	report: { state: "idle", detail: "next check 14:05", agent: "0.1.0", deployments: [{ commit: digest("commit 1.4.1"), version: "1.4.1", booted: h.version === "1.4.1", good: h.version === "1.4.1", pinned: false }, { commit: digest("commit 1.4.0"), version: "1.4.0", booted: h.version === "1.4.0", good: true, pinned: true }], failed: h.health === "bad" ? [{ commit: digest("commit 1.5.0"), version: "1.5.0", kind: "bad", reason: "required check 'nginx' failed 3 times in the trial" }] : [] },
	health_report: { verdict: h.verdict, reason: h.health === "bad" ? "nginx: unit failed" : "", checks: [{ name: "multi-user", kind: "unit", class: "required", target: "multi-user.target", passing: true, failures: 0, since: new Date(Date.now() - 8e7).toISOString(), text: "" }, { name: "nginx", kind: "http", class: "required", target: "http://127.0.0.1/", passing: h.health !== "bad", failures: h.health === "bad" ? 3 : 0, since: new Date(Date.now() - 8e6).toISOString(), text: h.health === "bad" ? "connection refused" : "200" }] },
	address: "192.0.2.41", token: "k3v9", certificate: { serial: digest(h.id).slice(0, 32), not_after: now() + 86400 * 60 }, desired: { release: data.releases[4], verb: "update", rollout: rollouts[0].id }, windows: ["02:00-05:00 Europe/Zurich"], policy: "nights",
	orders: [{ id: 7, verb: "check", argument: "", state: "done", created_at: now() - 9000, created_by: "rosa", result: "nothing newer", ended_at: now() - 8990 }], rollouts: [{ rollout: rollouts[0].id, outcome: "waiting", ring: 3, since: now() - 1500, reason: "", version: "1.4.1" }],
});

const ledger = (r) => [`rollout ${r.id} commit ${digest("commit").slice(0, 16)} p0 0.01 alpha 0.01 first 4 growth 4`, ...hosts.slice(10, 60).flatMap((h, i) => [`assign ${h.id.slice(0, 16)} ring ${i < 4 ? 1 : i < 16 ? 2 : 3}`, `offered ${h.id.slice(0, 16)}`, `confirmed ${h.id.slice(0, 16)}`])].map((text, i) => ({ line: i + 1, text }));

function act(h, verb, body) {
	if (/^(hold|retire)$/.test(verb) && !body.reason) throw new Refusal(400, "request", "a reason is required");
	const to = { approve: ["active", "host.approved", "was approved"], hold: ["held", "host.held", body.reason], "release-hold": ["active", "host.released", "was released"], retire: ["retired", "host.retired", body.reason] }[verb];
	if (to) {
		Object.assign(h, { state: to[0], reason: /held|retired/.test(to[0]) ? body.reason : "" });
		emit({ kind: to[1], host: h.id, actor: "rosa", text: to[2] });
	} else if (verb === "labels") {
		h.labels = { ...h.labels, ...body.set };
		for (const key of body.remove || []) delete h.labels[key];
		emit({ kind: "host.labels", host: h.id, actor: "rosa", text: "labels changed", data: { labels: h.labels } });
	} else if (verb === "orders" || verb === "order") {
		h.open_orders++;
		emit({ kind: "host.order", host: h.id, actor: "rosa", text: `${body.verb} ordered`, data: { id: 9, verb: body.verb, state: "open" } });
		return { id: 9 };
	} else if (verb === "forget") hosts.splice(hosts.indexOf(h), 1);
	return {};
}

const listed = () => (empty ? [] : hosts);
const routes = [
	["GET", /^\/v1\/hosts$/, (_, a) => page([...listed().filter(matcher(a.get("selector") || ""))].sort((x, y) => (x[a.get("sort") || "name"] < y[a.get("sort") || "name"] ? -1 : 1)), a)],
	["GET", /^\/v1\/hosts\/count$/, (_, a) => {
		const all = listed().filter(matcher(a.get("selector") || "")), by = a.get("by");
		return { count: all.length, groups: by ? Object.entries(all.reduce((n, h) => ({ ...n, [h[by] ?? h.labels[by] ?? ""]: (n[h[by] ?? h.labels[by] ?? ""] || 0) + 1 }), {})).map(([value, count]) => ({ value, count })) : [] };
	}],
	["POST", /^\/v1\/hosts\/bulk$/, (_, a, b) => {
		const all = hosts.filter(matcher(b.selector));
		if (all.length !== b.expect) throw new Refusal(409, "count", `${all.length} hosts match, not ${b.expect}`, { count: all.length });
		all.forEach((h) => act(h, b.act, b));
		return { changed: all.length };
	}],
	["GET", /^\/v1\/hosts\/([^/]+)$/, ([id]) => detail(hostOf(id))],
	["GET", /^\/v1\/hosts\/([^/]+)\/why$/, ([id]) => chain(hostOf(id))],
	["GET", /^\/v1\/hosts\/([^/]+)\/events$/, ([id], a) => page(events.filter((e) => e.host === hostOf(id).id).reverse(), a)],
	["GET", /^\/v1\/hosts\/([^/]+)\/history$/, () => ({ items: [{ at: now() - 86400 * 3, version: "1.4.0", from: "1.3.1", outcome: "good", text: "confirmed after 5 min of soak" }, { at: now() - 86400 * 2, version: "1.5.0", from: "1.4.0", outcome: "rolled-back", text: "required check 'nginx' failed 3 times in the trial" }] })],
	["GET", /^\/v1\/hosts\/([^/]+)\/journal$/, () => ({ items: [{ id: 1, at: now() - 86400 * 2, version: "1.5.0", text: "nginx[412]: <b>mkdir()</b> \"/var/lib/nginx/body\" failed (2: No such file or directory)\nsystemd[1]: nginx.service: Main process exited, code=exited, status=1/FAILURE\n".repeat(6) }] })],
	["POST", /^\/v1\/hosts\/([^/]+)\/([a-z-]+)$/, ([id, verb], a, b) => act(hostOf(id), verb, b)],
	["GET", /^\/v1\/tokens$/, () => ({ items: empty ? [] : tokens })],
	["POST", /^\/v1\/tokens$/, (_, a, b) => (tokens.unshift({ id: "z9x8", note: b.note, labels: b.labels, uses_left: b.uses, uses: 0, expires_at: b.expires_in ? now() + b.expires_in : 0, needs_approval: b.needs_approval, created_at: now(), created_by: "rosa", revoked_at: 0 }), { ...tokens[0], secret: "z9x8.5f1c0b7e2d9a4488" })],
	["POST", /^\/v1\/tokens\/([^/]+)\/revoke$/, ([id]) => Object.assign(find(tokens, "id", id), { revoked_at: now() })],
	["GET", /^\/v1\/ca$/, () => "-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIUQ0Egb2YgdGhlIG1vY2s=\n-----END CERTIFICATE-----\n"],
	["GET", /^\/v1\/releases$/, (_, a) => page(empty ? [] : [...data.releases].reverse(), a)],
	["POST", /^\/v1\/releases\/scan$/, () => ({ added: [] })],
	["GET", /^\/v1\/releases\/([^/]+)$/, ([id]) => ({ ...find(data.releases, "id", id), document: { name: "host", version: find(data.releases, "id", id).version }, package_count: data.packages.length })],
	["POST", /^\/v1\/releases\/([^/]+)$/, ([id], a, b) => Object.assign(find(data.releases, "id", id), b)],
	["GET", /^\/v1\/releases\/([^/]+)\/packages$/, (_, a) => page(data.packages, a)],
	["GET", /^\/v1\/releases\/([^/]+)\/diff\/([^/]+)$/, () => ({ added: [{ name: "libnew1", version: "1.0-1", arch: "amd64" }], removed: [{ name: "libold0", version: "0.9-2", arch: "amd64" }], changed: [{ name: "openssl", arch: "amd64", from: "3.0.14-1", to: "3.0.15-1" }, { name: "linux-image-amd64", arch: "amd64", from: "6.12.6-1", to: "6.12.9-1" }] })],
	["GET", /^\/v1\/packages\/([^/]+)\/hosts$/, ([name]) => ({ items: name === "openssl" ? hosts.slice(20, 24).map((h) => ({ id: h.id, name: h.name, version: h.version, package: "3.0.14-1" })) : [], count: name === "openssl" ? 4 : 0 })],
	["GET", /^\/v1\/channels$/, () => ({ items: empty ? [] : channels })],
	["GET", /^\/v1\/channels\/([^/]+)\/history$/, () => ({ items: [{ release: 4, at: now() - 864000, actor: "rosa", reason: "finished its rollout" }] })],
	["PUT", /^\/v1\/channels\/([^/]+)$/, ([name], a, b) => Object.assign(channels.find((c) => c.name === name) || channels[channels.push({ name }) - 1], b)],
	["GET", /^\/v1\/policies$/, () => ({ items: empty ? [] : policies })],
	["PUT", /^\/v1\/policies\/([^/]+)$/, ([name], a, b) => Object.assign(policies.find((p) => p.name === name) || policies[policies.push({ name }) - 1], b)],
	["DELETE", /^\/v1\/policies\/([^/]+)$/, ([name]) => (policies.splice(policies.findIndex((p) => p.name === name), 1), {})],
	["GET", /^\/v1\/rollouts$/, (_, a) => ({ items: empty ? [] : rollouts.filter((r) => !a.get("state") || r.state === a.get("state")) })],
	["POST", /^\/v1\/rollouts$/, (_, a, b) => {
		const of = b.assignment && find(data.assignments, "id", b.assignment);
		if (of) wider(of.id, b.version, b);
		const n = hosts.filter(matcher(b.selector)).length;
		const rings = [];
		for (let limit = b.first; ; limit *= b.growth) {
			rings.push(Math.min(limit, n));
			if (limit >= n) break;
		}
		if (a.get("dry_run")) return { hosts: n, already: 12, rings, limits: data.TABLE.filter(([m]) => m <= n), warnings: n > 100 && !b.canaries ? ["No canaries: the first ring is drawn from all hosts."] : [], overlaps: b.selector === "site = basel" ? [{ rollout: "b81mz0c4t6ye", name: "spring", version: "1.4.1", state: "halted", hosts: 3 }] : [] };
		const made = { ...structuredClone(rollouts[0]), id: "n3w0r0ll0ut1", name: b.name, state: "running", spec: b, created_at: now(), failures: 0, rings: rings.map((limit, i) => ({ ring: i + 1, limit, halts_at: data.TABLE[i]?.[1] || 0, counts: { waiting: limit - (rings[i - 1] || 0) } })), counts: { waiting: n }, total: n, ring: 1, limit: rings[0] };
		rollouts.unshift(made);
		return made;
	}],
	["GET", /^\/v1\/rollouts\/([^/]+)$/, ([id]) => find(rollouts, "id", id)],
	["GET", /^\/v1\/rollouts\/([^/]+)\/hosts$/, ([id], a) => page(hosts.slice(10, 60).map((h, i) => ({ host: h.id, name: h.name, ring: i < 4 ? 1 : i < 16 ? 2 : 3, outcome: i % 17 === 9 ? "failed" : i % 5 === 4 ? "offered" : "confirmed", since: now() - i * 60, reason: i % 17 === 9 ? "came back with 1.4.0: required check 'nginx' failed" : "" })).filter((h) => !a.get("outcome") || h.outcome === a.get("outcome")), a)],
	["GET", /^\/v1\/rollouts\/([^/]+)\/ledger$/, ([id], a) => page(ledger(find(rollouts, "id", id)), a)],
	["POST", /^\/v1\/rollouts\/([^/]+)\/replay$/, () => ({ agrees: true, lines: 151, first_difference: 0 })],
	["POST", /^\/v1\/rollouts\/([^/]+)\/(pause|resume|revert|cancel)$/, ([id, verb], a, b) => {
		if (/resume|revert/.test(verb) && !b.reason) throw new Refusal(400, "request", "a reason is required");
		const r = Object.assign(find(rollouts, "id", id), { state: { pause: "paused", resume: "running", revert: "reverting", cancel: "cancelled" }[verb], reason: b.reason || "" });
		emit({ kind: `rollout.${r.state}`, rollout: r.id, actor: "rosa", text: `${r.state}: ${b.reason || "no reason given"}` });
		return r;
	}],
	["GET", /^\/v1\/events$/, (_, a) => page((empty ? [] : [...events]).filter((e) => (!a.get("kind") || e.kind === a.get("kind") || (a.get("kind").endsWith(".*") && e.kind.startsWith(a.get("kind").slice(0, -1)))) && (!a.get("rollout") || e.rollout === a.get("rollout"))).sort((x, y) => (a.get("order") === "new" ? y.seq - x.seq : x.seq - y.seq)), a)],
	["GET", /^\/v1\/overview$/, overview], ["GET", /^\/v1\/overview\/timeline$/, timeline],
	["GET", /^\/v1\/audit$/, (_, a) => page(audit, a), "admin"], ["GET", /^\/v1\/audit\/verify$/, () => ({ ok: true, count: 30, head: audit[0].hash, first_bad: 0 }), "admin"],
	["GET", /^\/v1\/operators$/, () => ({ items: operators }), "admin"], ["POST", /^\/v1\/operators$/, (_, a, b) => (operators.push({ ...b, password: undefined, created_at: now(), disabled: false }), {}), "admin"],
	["POST", /^\/v1\/operators\/([^/]+)$/, ([name], a, b) => Object.assign(find(operators, "name", name), b), "admin"], ["DELETE", /^\/v1\/operators\/([^/]+)$/, ([name]) => (operators.splice(operators.findIndex((o) => o.name === name), 1), {}), "admin"],
	["GET", /^\/v1\/api-tokens$/, () => ({ items: apiTokens }), "admin"], ["POST", /^\/v1\/api-tokens$/, (_, a, b) => ({ ...b, id: "n1", secret: "n1.0123456789" }), "admin"], ["POST", /^\/v1\/api-tokens\/([^/]+)\/revoke$/, ([id]) => Object.assign(find(apiTokens, "id", id), { revoked_at: now() }), "admin"],
	["GET", /^\/v1\/webhooks$/, () => ({ items: webhooks }), "admin"], ["POST", /^\/v1\/webhooks$/, (_, a, b) => ({ id: "w2", ...b, secret: "s3cr3t" }), "admin"], ["POST", /^\/v1\/webhooks\/([^/]+)\/(pause|resume|replay)$/, ([id, verb], a, b) => Object.assign(find(webhooks, "id", id), { paused: verb === "pause" ? b.reason : "" }), "admin"],
	["GET", /^\/v1\/workloads$/, (_, a) => page(empty ? [] : data.workloads, a)], ["GET", /^\/v1\/workloads\/([^/]+)$/, ([name]) => {
		const versions = data.workloads.filter((w) => w.name === name).reverse();
		if (!versions.length) throw new Refusal(404, "not-found", `there is no workload '${name}'`);
		return { name, versions, assignments: data.assignments.filter((x) => x.workload === name), counts: { ready: 58, "not-ready": 7, failed: 2 } };
	}],
	["GET", /^\/v1\/workloads\/([^/]+)\/([^/]+)$/, ([name, version]) => ({ ...definitionOf(name, version), document: { workload: name, version, parameters: name === "web" ? data.parameters : [] }, report: data.reportOf(definitionOf(name, version)) })],
	["GET", /^\/v1\/workloads\/([^/]+)\/([^/]+)\/diff\/([^/]+)$/, ([name, from, to]) => data.changesOf(definitionOf(name, from), definitionOf(name, to))],
	["POST", /^\/v1\/workloads\/([^/]+)\/([^/]+)$/, ([name, version], a, { reason, ...b }) => Object.assign(definitionOf(name, version), b), "admin"],
	["GET", /^\/v1\/assignments$/, (_, a) => page(empty ? [] : data.assignments, a)], ["GET", /^\/v1\/assignments\/([^/]+)$/, ([id]) => find(data.assignments, "id", id)], ["DELETE", /^\/v1\/assignments\/([^/]+)$/, ([id]) => (data.assignments.splice(data.assignments.findIndex((x) => x.id === id), 1), {})],
	["PUT", /^\/v1\/assignments\/([^/]+)$/, ([id], a, b) => {
		wider(id, b.version, b);
		const n = hosts.filter(matcher(b.selector)).length, old = data.assignments.find((x) => x.id === id);
		if (b.expect !== undefined && b.expect !== n) throw new Refusal(409, "count", `It counts for ${n} hosts now: look again.`, { count: n });
		const made = { rollout: "", ...old, id, ...b, hosts: n };
		if (a.get("dry_run")) return made;
		if (old) Object.assign(old, made);
		else data.assignments.push(made);
		emit({ kind: "assignment.changed", actor: "rosa", text: `assignment ${id} was changed` });
		return made;
	}],
	["GET", /^\/v1\/hosts\/([^/]+)\/workloads$/, () => (empty ? { items: [], missing: [], at: 0 } : data.hostWorkloads)], ["POST", /^\/v1\/hosts\/([^/]+)\/workloads\/([^/]+)$/, () => ({ order: 12 })],
	["GET", /^\/v1\/ddi\/targets$/, (_, a) => page(empty ? [] : targets, a)], ["POST", /^\/v1\/ddi\/targets$/, (_, a, b) => ({ id: b.id, token: digest(b.id).slice(0, 32) }), "admin"], ["GET", /^\/v1\/ddi\/targets\/([^/]+)$/, ([id]) => find(targets, "id", id)], ["DELETE", /^\/v1\/ddi\/targets\/([^/]+)$/, () => ({}), "admin"],
	["GET", /^\/v1\/ddi\/targets\/([^/]+)\/actions$/, ([id], a) => page(actions.filter((x) => x.target === id), a)], ["POST", /^\/v1\/ddi\/targets\/([^/]+)\/actions$/, () => ({ id: 3 })], ["GET", /^\/v1\/ddi\/targets\/([^/]+)\/actions\/(\d+)$/, ([, n]) => ({ ...find(actions, "id", n), statuses })],
	["GET", /^\/v1\/ddi\/modules$/, (_, a) => page(empty ? [] : modules, a)], ["GET", /^\/v1\/ddi\/modules\/(\d+)$/, ([id]) => find(modules, "id", id)],
	["GET", /^\/v1\/export$/, () => YAML, "admin"], ["POST", /^\/v1\/import$/, (_, a, b) => {
		if (!b.yaml.includes(":")) throw new Refusal(400, "request", "line 1: expected a mapping");
		return { changes: b.yaml === YAML ? [] : [{ act: "change", kind: "channel", name: "stable", before: { release: "host/1.4.0", note: "what everybody runs" }, after: { release: "host/1.4.1", note: "what everybody runs" } }, { act: "add", kind: "webhook", name: "https://hooks.example/new", before: null, after: { kinds: ["rollout.halted"] } }, { act: "remove", kind: "operator", name: data.HOSTILE[0], before: { role: "viewer", scope: data.HOSTILE[2] }, after: null }], unknown_hosts: 1, ...(a.get("dry_run") ? {} : { secrets: [{ webhook: "https://hooks.example/new", secret: "s3cr3t" }] }) };
	}, "admin"],
	["GET", /^\/v1\/locks$/, () => ({ items: empty ? [] : locks })], ["PUT", /^\/v1\/locks\/([^/]+)$/, ([group], a, b) => Object.assign(locks.find((g) => g.group === group) || locks[locks.push({ group, holders: [] }) - 1], b)],
	["POST", /^\/v1\/locks\/([^/]+)\/release$/, ([group], a, b) => {
		const g = find(locks, "group", group);
		g.holders = g.holders.filter((h) => h.id !== b.id);
		emit({ kind: "lock.changed", text: "released" });
		return {};
	}],
];

const PAGE_ROLE = { admin: { name: "rosa", role: "admin" }, noor: { name: "noor", role: "operator" }, guest: { name: "guest", role: "viewer" } };
const TYPES = { ".html": "text/html; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

function files(request, response) {
	const path = new URL(request.url, "http://x").pathname;
	const name = path.startsWith("/web/") ? path.split("/").pop() : "index.html";
	try {
		const bytes = readFileSync(join(directory, name));
		response.writeHead(200, { "Content-Type": TYPES[extname(name)], "Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff" });
		response.end(bytes);
	} catch {
		response.writeHead(404).end();
	}
}

function stream(request, response) {
	response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
	response.write(": hello\n\n");
	const after = Number(request.headers["last-event-id"] || events.length);
	for (const e of events.filter((e) => e.seq > after)) response.write(`id: ${e.seq}\nevent: ${e.kind}\ndata: ${JSON.stringify(e)}\n\n`);
	streams.add(response);
	response.on("close", () => streams.delete(response));
}

// The log of a workload: ten lines at once, then one for each /mock/line; /mock/line {"end"} ends it.
const logs = new Set();
function log(response) {
	response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
	for (let i = 1; i <= 10; i++) response.write(`event: line\ndata: ${JSON.stringify({ text: `web[1]: GET /${i} 200 ${i === 4 ? data.HOSTILE[0] : ""}` })}\n\n`);
	logs.add(response);
	response.on("close", () => logs.delete(response));
}

function control(path, body, response) {
	let answer = {};
	if (path === "/mock/emit") emit(body);
	else if (path === "/mock/drop") {
		if (body.refuse) failures.set("/v1/stream", 503);
		for (const s of streams) s.destroy();
	} else if (path === "/mock/role") {
		// Streams end, as those of the server do.
		for (const who of sessions.values()) if (who.name === body.name) who.role = body.role;
		for (const s of streams) s.end();
	} else if (path === "/mock/fail") body.status ? failures.set(body.path, body.status) : failures.delete(body.path);
	else if (path === "/mock/empty") empty = body.empty;
	else if (path === "/mock/delay") delay = body.ms;
	else if (path === "/mock/rollout") Object.assign(find(rollouts, "id", body.id), body.change);
	else if (path === "/mock/line") {
		for (const l of logs) {
			l.write(`event: ${body.end ? "end" : "line"}\ndata: ${JSON.stringify({ text: body.end || body.text })}\n\n`);
			if (body.end) l.end();
		}
	} else if (path === "/mock/calls") answer = { calls: calls.splice(0), streams: streams.size, logs: logs.size };
	else if (path === "/mock/hosts") answer = { hosts: body.all ? hosts : hosts.slice(0, 60) };
	response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
}

function api(request, url, body, response) {
	const path = decodeURI(url.pathname);
	const cookie = /ashlar_session=(\w+)/.exec(request.headers.cookie || "")?.[1];
	const who = sessions.get(cookie);
	calls.push({ method: request.method, path: url.pathname + url.search, body });
	if (failures.has(path)) throw new Refusal(failures.get(path), "busy", "the database is locked by a long backup");
	if (path === "/v1/session") {
		if (request.method === "POST") {
			const role = body.token ? (body.token === "admin.secret" ? "admin" : "") : body.password === "correct horse" ? body.name : "";
			if (!PAGE_ROLE[role]) throw new Refusal(401, "password", "Name or password is not right.");
			const id = digest(`${Math.random()}`).slice(0, 20), made = { ...PAGE_ROLE[role], scope: "", csrf: id.slice(0, 8) };
			sessions.set(id, made);
			response.setHeader("Set-Cookie", `ashlar_session=${id}; Path=/; HttpOnly; SameSite=Strict`);
			return made;
		}
		if (!who) throw new Refusal(401, "session", "nobody is logged in");
		if (request.method === "DELETE") sessions.delete(cookie);
		return who;
	}
	if (!who) throw new Refusal(401, "session", "nobody is logged in");
	if (request.method !== "GET" && request.headers["x-csrf-token"] !== who.csrf) throw new Refusal(403, "csrf", "the CSRF word is wrong");
	if (path === "/v1/stream") return stream(request, response);
	if (/\/logs$/.test(path) && who.role !== "viewer") return log(response);
	for (const [method, re, run, role] of routes) {
		const found = method === request.method && re.exec(url.pathname);
		if (!found) continue;
		if ((role && who.role !== role) || (request.method !== "GET" && who.role === "viewer")) throw new Refusal(403, "role", `this needs the role ${role || "operator"}`);
		return run(found.slice(1).map(decodeURIComponent), url.searchParams, body || {});
	}
	throw new Refusal(404, "not-found", `there is no ${request.method} ${path}`);
}

const server = createServer((request, response) => {
	const url = new URL(request.url, "http://x");
	let text = "";
	request.on("data", (part) => (text += part));
	request.on("end", () => setTimeout(() => {
		const body = text ? JSON.parse(text) : undefined;
		if (url.pathname.startsWith("/mock/")) return control(url.pathname, body || {}, response);
		if (!url.pathname.startsWith("/v1/")) return files(request, response);
		try {
			const answer = api(request, url, body, response);
			if (answer === undefined && /^\/v1\/stream$|\/logs$/.test(url.pathname)) return;
			if (typeof answer === "string") response.writeHead(200, { "Content-Type": "application/x-pem-file" }).end(answer);
			else response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer ?? {}));
		} catch (error) {
			response.writeHead(error.status || 500, { "Content-Type": "application/json" });
			response.end(JSON.stringify({ kind: error.kind || "bug", text: error.message, ...error.more }));
		}
	}, delay));
});
server.listen(Number(port), "127.0.0.1", () => console.log(server.address().port));
process.on("SIGTERM", () => process.exit(0));
