// SPDX-License-Identifier: Apache-2.0
// An invented fleet, the same each time: hosts, releases, a rollout that runs and one that halted.
import { createHash } from "node:crypto";

export const now = () => Math.floor(Date.now() / 1000);
export const digest = (text) => createHash("sha256").update(text).digest("hex");
let state = 12345;
export const random = () => ((state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff);
const pick = (list) => list[Math.floor(random() * list.length)];

// What somebody may call a host, to annoy whoever looks; ASHLAR_MOCK_PLAIN leaves it out of pictures.
export const HOSTILE = process.env.ASHLAR_MOCK_PLAIN ? ["web-bern-401", "edge-basel-402", "site = basel"] : [
	"<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
	"\u202Etxt.evil\u2066 \u05E9\u05DC\u05D5\u05DD \u202Eabc",
	"x".repeat(1000),
];

const START = now();
export const releases = ["1.2.0", "1.3.0", "1.3.1", "1.4.0", "1.4.1", "1.5.0"].map((version, i) => ({
	id: i + 1, name: "host", variant: "", arch: "amd64", version, commit: digest(`commit ${version}`), notes: i === 4 ? "openssl 3.0.15, kernel 6.12.9" : "",
	added_at: START - (6 - i) * 9 * 86400, is_barrier: version === "1.3.0", dead_end: "", withdrawn: version === "1.5.0" ? "nginx does not start when /var is fresh" : "",
	hosts: 0, channels: version === "1.4.0" ? ["stable"] : version === "1.4.1" ? ["testing"] : [],
}));

const SITES = ["bern", "basel", "lugano", "geneva"], ROLES = ["web", "db", "edge", "build"];
export function makeHosts(count) {
	const hosts = [];
	for (let i = 0; i < count; i++) {
		const site = pick(SITES), role = pick(ROLES), r = random();
		const health = r < 0.9 ? "good" : r < 0.93 ? "updating" : r < 0.955 ? "degraded" : r < 0.975 ? "bad" : r < 0.993 ? "silent" : "unknown";
		const release = releases[r < 0.02 ? 0 : r < 0.08 ? 2 : r < 0.62 ? 3 : 4];
		const id = digest(`host ${i}`);
		const name = i > 3 && i < 4 + HOSTILE.length ? HOSTILE[i - 4] : `${role}-${site}-${String(i + 1).padStart(3, "0")}`;
		const s = i === 1 ? "held" : i === 2 || i === 3 ? "pending" : i === 9 ? "retired" : "active";
		release.hosts++;
		hosts.push({
			id, name, state: s, reason: s === "held" ? "two machines take turns with this identity: boot 8c1f… and 03aa…" : "", health: s === "active" ? health : "unknown",
			health_since: START - Math.floor(random() * 400000), seen: START - (health === "silent" ? 9000 : Math.floor(random() * 60)), version: s === "pending" ? "" : release.version, commit: s === "pending" ? "" : release.commit, image: "host", variant: "", arch: "amd64",
			agent_state: health === "updating" ? pick(["fetching", "trial", "rebooting"]) : "idle", verdict: health === "bad" ? "bad" : "good",
			labels: { site, role, channel: i % 9 ? "stable" : "testing", ...(i % 40 === 0 ? { canary: "" } : {}) }, channel: i % 9 ? "stable" : "testing", release: 0, rollout: "", open_orders: i === 12 ? 1 : 0, enrolled: START - 86400 * (10 + (i % 200)),
		});
	}
	return hosts;
}

// [m, f*] where f* grows by one, by the formula of the mixture test as the real one has it, near enough to be shown.
export const TABLE = [[4, 2], [16, 3], [64, 5], [256, 10], [1024, 24], [4096, 70]];
const spec = (more) => ({ selector: "site in (bern, basel, lugano, geneva)", canaries: "has canary", tolerated: 0.01, alpha: 0.01, first: 4, growth: 4, soak: 300, deadline: 5400, max_in_flight: 0, budgets: [{ label: "site", max: "10%" }], windows: [], on_halt: "hold", channel: "stable", ...more });
const ring = (n, limit, halts_at, counts) => ({ ring: n, limit, halts_at, counts });

function sum(rings) {
	const all = {};
	for (const r of rings) for (const [o, n] of Object.entries(r.counts)) all[o] = (all[o] || 0) + n;
	return all;
}

export function makeRollouts() {
	const running = [ring(1, 4, 2, { confirmed: 4 }), ring(2, 16, 3, { confirmed: 11, already: 1 }), ring(3, 64, 5, { confirmed: 21, offered: 13, assigned: 8, failed: 1, waiting: 5 }), ring(4, 194, 10, { waiting: 130 })];
	const halted = [ring(1, 4, 2, { confirmed: 3, failed: 1 }), ring(2, 16, 3, { failed: 3, silent: 1, confirmed: 2, offered: 6 }), ring(3, 64, 5, { waiting: 48 }), ring(4, 194, 10, { waiting: 130 })];
	const done = [ring(1, 4, 2, { confirmed: 4 }), ring(2, 16, 3, { confirmed: 12 }), ring(3, 64, 5, { confirmed: 47, failed: 1 }), ring(4, 190, 10, { confirmed: 121, silent: 1, already: 4 })];
	const make = (id, name, release, state, rings, at, more) => ({
		id, name, release: { id: release.id, name: release.name, version: release.version, variant: "", arch: "amd64" }, selector: "site in (bern, basel, lugano, geneva)", spec: spec({ release: release.id }), state, reason: "", created_at: START - at, created_by: "rosa", ended_at: 0,
		total: 194, counts: sum(rings), rings, table: TABLE, ...more,
	});
	return [
		make("q7f2k9d3m1xa", "January's kernel", releases[4], "running", running, 5400, { ring: 3, limit: 64, failures: 1, halts_at: 5, next: "Ring 3: waits for 13 offered hosts; the earliest deadline is in 41 min." }),
		make("b81mz0c4t6ye", "nginx from upstream", releases[5], "halted", halted, 90000, { ring: 2, limit: 16, failures: 5, halts_at: 3, reason: "5 of 16 hosts failed or fell silent; 3 stop it.", next: "Halted: an operator resumes it with a reason, reverts or cancels it.", ended_at: 0 }),
		make("w5k0q2r8s4tu", "", releases[3], "running", [ring(1, 4, 2, { confirmed: 4 }), ring(2, 5, 2, { offered: 1 })], 900, { kind: "workload", assignment: "canary-web", workload: "web", version: "2.0.0", release: null, selector: "has canary", total: 5, ring: 2, limit: 5, failures: 0, halts_at: 2, spec: spec({ assignment: "canary-web", channel: "", canaries: "" }), next: "Ring 2: waits for 1 host that was offered it." }),
		make("a00k3v7h2p5w", "", releases[3], "finished", done, 86400 * 9, { ring: 4, limit: 190, failures: 2, halts_at: 10, ended_at: START - 86400 * 8, next: "" }),
	];
}

const grant = (kind, name, text, points) => ({ kind, name, text, points });
const GRANTS = [grant("network", "nat", "reaches the network through the host's address", 6), grant("port", "8080", "listens on port 8080 of the host", 4), grant("volume", "data", "keeps a volume of its own, 2 GiB at most", 2)];
const WIDER = [grant("device", "/dev/ttyUSB0", "reads and writes the serial device", 12)];
const definition = (id, name, version, score, more = {}) => ({ id, name, version, sha256: digest(`${name} ${version}`), notes: "", added_at: START - (20 - id) * 86400, withdrawn: "", isolation: "container", score, words: score > 20 ? "it reaches a device of the host" : "it is kept to itself, and reaches the network", hosts: 0, ...more });
export const workloads = [
	definition(1, "web", "1.0.0", 12, { hosts: 6 }), definition(2, "web", "1.1.0", 12, { hosts: 61 }), definition(3, "web", "2.0.0", 24, { notes: "speaks to the scale by the serial line" }), definition(4, "db", "15.4.0", 8, { hosts: 12, isolation: "vm" }),
	definition(5, "scale-reader", "0.9.0", 74, { isolation: "host", words: "as good as the host itself", withdrawn: "it reads the whole disk" }),
];
export const reportOf = (w) => ({ score: w.score, words: w.words, grants: w.score < 10 ? [] : w.score > 20 ? [...GRANTS, ...WIDER] : GRANTS });
export const changesOf = (from, to) => ({ from: from.version, to: to.version, is_wider: to.score > from.score, changes: from.score === to.score ? [] : [{ kind: "device", name: "/dev/ttyUSB0", from: to.score > from.score ? "" : WIDER[0].text, to: to.score > from.score ? WIDER[0].text : "", is_wider: to.score > from.score }, { kind: "volume", name: "data", from: "keeps a volume of its own, 2 GiB at most", to: "keeps a volume of its own, 1 GiB at most", is_wider: false }] });
export const parameters = [{ name: "greeting", type: "string", default: "hello", max: 64 }, { name: "level", type: "int", default: "1", min: 0, max: 9 }, { name: "mode", type: "choice", default: "plain", choices: ["plain", "fancy"] }, { name: "site", type: "string", max: 20 }];
export const assignments = [{ id: "edge-web", workload: "web", version: "1.1.0", selector: "role = edge", rank: 100, parameters: { greeting: "grüezi" }, note: "the counters", rollout: "", hosts: 48 }, { id: "canary-web", workload: "web", version: "1.1.0", selector: "has canary", rank: 10, parameters: {}, note: "", rollout: "w5k0q2r8s4tu", hosts: 5 }, { id: "bern-db", workload: "db", version: "", selector: "site = bern and role = db", rank: 100, parameters: {}, note: HOSTILE[0], rollout: "", hosts: 12 }];
export const hostWorkloads = { at: START - 40, items: [
	{ name: "web", version: "1.1.0", origin: "signed", state: "ready", text: "", target: "", phase: "", isolation: "container", effective: "container", ready: true, score: 12, restarts: 2, failed: [{ version: "2.0.0", reason: "it did not answer on port 8080 within 60 s", at: START - 5000 }], instances: [{ name: "web@1", state: "ready", ready: true, text: "", address: "10.88.0.5" }, { name: "web@2", state: "starting", ready: false, text: "waits for its health check", address: "10.88.0.6" }], wanted: "2.0.0", assignment: "edge-web", rollout: "", why: "2.0.0 failed here: it did not answer on port 8080 within 60 s." },
	{ name: "db", version: "15.4.0", origin: "local", state: "ready", text: "", target: "", phase: "", isolation: "vm", effective: "vm", ready: true, score: 8, restarts: 0, failed: [], instances: [{ name: "db", state: "ready", ready: true, text: "", address: "10.88.0.9" }], wanted: "", assignment: "", rollout: "", why: "" },
	{ name: "scale-reader", version: "", origin: "", state: "", text: "", target: "", phase: "", isolation: "", effective: "", ready: false, score: 0, restarts: 0, failed: [], instances: [], wanted: "0.9.0", assignment: "scales", rollout: "", why: "It is not there: its signature is not of this fleet." }],
	missing: [{ name: "scale-reader", version: "0.9.0", word: "untrusted", text: "its signature is not of this fleet" }, { name: HOSTILE[0], version: "1", word: "image", text: HOSTILE[2] }] };

export function makeEvents(hosts, rollouts) {
	const events = [];
	const add = (at, kind, text, host, more = {}) => events.push({ seq: events.length + 1, at, kind, host: host?.id || "", host_name: host?.name || "", rollout: "", actor: "", text, data: {}, ...more });
	for (let i = 0; i < 300; i++) {
		const host = hosts[Math.floor(random() * hosts.length)], at = START - (300 - i) * 130;
		const r = random();
		if (r < 0.3) add(at, "host.report", "runs 1.4.1, verdict good", host, { data: { version: "1.4.1", health: "good" } });
		else if (r < 0.5) add(at, "rollout.host", "confirmed in ring 3", host, { rollout: rollouts[0].id, data: { outcome: "confirmed", ring: 3 } });
		else if (r < 0.6) add(at, "host.silent", "not heard of for 15 min", host);
		else if (r < 0.7) add(at, "host.back", "is back after 22 min", host);
		else if (r < 0.8) add(at, "host.labels", "labels changed", host, { actor: "rosa", data: { labels: host.labels } });
		else add(at, "host.event", "fetched 1.4.1: 38 MiB by delta", host);
	}
	add(START - 1500, "rollout.ring", "Ring 2 is settled: 12 of 12 hosts confirmed. Ring 3 begins: up to 64 hosts.", null, { rollout: rollouts[0].id });
	add(START - 700, "rollout.host", "failed in ring 3: came back with 1.4.0 after the trial", hosts[20], { rollout: rollouts[0].id, data: { outcome: "failed", ring: 3 } });
	add(START - 300, "rollout.host", "confirmed in ring 3", hosts[30], { rollout: rollouts[0].id, data: { outcome: "confirmed", ring: 3 } });
	return events;
}

export const packages = Array.from({ length: 240 }, (_, i) => ({ name: `${pick(["lib", "python3-", "", "systemd-"])}${pick(["alpha", "crypt", "net", "zlib", "curl", "xml", "ssl"])}${i}`, version: `${1 + (i % 5)}.${i % 17}.${i % 3}-${1 + (i % 4)}`, arch: i % 4 ? "amd64" : "all" }));
