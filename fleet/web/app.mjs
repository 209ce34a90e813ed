// SPDX-License-Identifier: Apache-2.0
// The frame: who is logged in, where one is, the navigation, the keyboard.
import { html, render, useState, useEffect, useRef } from "./base.mjs";
import { session, call, can } from "./api.mjs";
import { place, go } from "./router.mjs";
import * as live from "./live.mjs";
import { choice, choose } from "./theme.mjs";
import { Icon, Mark } from "./icons.mjs";
import { Head, Panel, Empty, Failure, Loading } from "./ui.mjs";
import { Dialogs, ask, attempt, isAsking } from "./dialog.mjs";
import { Login } from "./view-login.mjs";
import { Overview } from "./view-overview.mjs";
import { Hosts } from "./view-hosts.mjs";
import { Host } from "./view-host.mjs";
import { Rollouts, Rollout } from "./view-rollouts.mjs";
import { NewRollout } from "./view-rollout-new.mjs";
import { Releases, Release } from "./view-releases.mjs";
import { Channels } from "./view-channels.mjs";
import { Joining } from "./view-joining.mjs";
import { Locks } from "./view-locks.mjs";
import { Access } from "./view-access.mjs";
import { Workloads, Workload } from "./view-workloads.mjs";
import { Assignment } from "./view-assignments.mjs";
import { Devices, Device } from "./view-devices.mjs";
import { Audit, Activity } from "./view-audit.mjs";

// fleet/web-route.c serves the page at each of these.
const ROUTES = [
	[/^\/$/, Overview], [/^\/hosts$/, Hosts], [/^\/hosts\/([^/]+)$/, Host], [/^\/rollouts$/, Rollouts], [/^\/rollouts\/new$/, NewRollout, "operator"], [/^\/rollouts\/([^/]+)$/, Rollout],
	[/^\/workloads$/, Workloads], [/^\/workloads\/([^/]+)$/, Workload], [/^\/assignments\/new$/, Assignment, "operator"], [/^\/assignments\/([^/]+)$/, Assignment],
	[/^\/releases$/, Releases], [/^\/releases\/([^/]+)$/, Release], [/^\/channels$/, Channels], [/^\/devices$/, Devices], [/^\/devices\/([^/]+)$/, Device], [/^\/joining$/, Joining], [/^\/locks$/, Locks], [/^\/access$/, Access, "admin"], [/^\/activity$/, Activity], [/^\/audit$/, Audit, "admin"],
];
const PLACES = [
	["/", "Overview", "overview", "o"], ["/hosts", "Hosts", "hosts", "h"], ["/rollouts", "Rollouts", "rollouts", "r"], ["/releases", "Releases", "releases", "e"], ["/workloads", "Workloads", "workloads", "w"], ["/channels", "Channels", "channels", "c"],
	["/devices", "Devices", "devices", "d"], ["/joining", "Joining", "joining", "j"], ["/locks", "Locks", "locks", "l"], ["/activity", "Activity", "activity", "a"], ["/access", "Access", "access", "p", "admin"], ["/audit", "Audit", "audit", "u", "admin"],
];
const mine = () => PLACES.filter(([, , , , role]) => !role || can(role));

const help = () => ask({ title: "Keyboard", text: html`<dl class="keys"><div><dt><kbd>/</kbd></dt><dd>to the filter</dd></div><div><dt><kbd>?</kbd></dt><dd>this help</dd></div><div><dt><kbd>t</kbd></dt><dd>light, dark, as the system</dd></div>${mine().map(([, name, , key]) => html`<div><dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${name}</dd></div>`)}<div><dt><kbd>Esc</kbd></dt><dd>closes what is open</dd></div></dl>` });
const THEMES = { auto: ["light", "auto", "Theme: as the system"], light: ["dark", "sun", "Theme: light"], dark: ["auto", "moon", "Theme: dark"] };

let waitsForG = 0;
document.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || isAsking() || !session.get()) return;
	if (event.target.closest?.("input, textarea, select, [contenteditable]")) return event.key === "Escape" && event.target.blur();
	if (Date.now() - waitsForG < 1500) {
		waitsForG = 0;
		const to = mine().find(([, , , key]) => key === event.key);
		if (to) {
			event.preventDefault();
			go(to[0]);
		}
		return;
	}
	if (event.key === "g") waitsForG = Date.now();
	else if (event.key === "?") help();
	else if (event.key === "t") choose(THEMES[choice.get()][0]);
	else if (event.key === "/") {
		event.preventDefault();
		const filter = document.getElementById("filter");
		if (filter) filter.focus();
		else {
			go("/hosts");
			requestAnimationFrame(() => document.getElementById("filter")?.focus());
		}
	}
});

const LINK = { live: "Live", connecting: "Connecting", offline: "Offline", off: "" };
function Link() {
	const state = live.link.use();
	return html`<button type="button" class=${`link link-${state}`} onClick=${live.again} title=${state === "live" ? "What happens is shown at once" : "Try to connect now"}><i aria-hidden="true"></i><span role="status">${LINK[state]}</span></button>`;
}

function Theme() {
	const now = choice.use();
	const [next, icon, text] = THEMES[now];
	return html`<button type="button" class="icon-button" aria-label=${text} title=${text} onClick=${() => choose(next)}><${Icon} name=${icon} /></button>`;
}

// All sessions of that name end with it, this one too. What logged in by a token has no password.
const isNamed = () => !session.get().name.startsWith("token:");
const password = () => ask({
	title: "Your password", text: "All your sessions end: you log in anew, here and wherever else.", confirm: "Change it", done: "Changed. Log in with the new one.",
	fields: [{ name: "old", label: "Old password", type: "password", required: true, autocomplete: "current-password", maxlength: 1024 }, { name: "new", label: "New password", type: "password", required: true, autocomplete: "new-password", maxlength: 1024, hint: "10 characters at least." }, { name: "again", label: "New password again", type: "password", required: true, autocomplete: "new-password", maxlength: 1024 }],
	act: async (v) => {
		if (v.new !== v.again) throw new Error("the new password is not twice the same");
		await call("POST", "/v1/session/password", { old: v.old, new: v.new });
		live.stop();
		session.set(null);
	},
});

async function leave() {
	await attempt(() => call("DELETE", "/v1/session"));
	live.stop();
	session.set(null);
}

function Navigation({ path, open, onClose }) {
	const now = (to) => (to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`));
	return html`<nav id="navigation" class=${open ? "is-open" : ""} aria-label="Main" onClick=${(e) => e.target.closest("a") && onClose()}>
		<a class="brand" href="/"><${Mark} /><span>Ashlar</span></a>
		<ul>${mine().map(([to, name, icon]) => html`<li><a href=${to} aria-current=${now(to) ? "page" : undefined}><${Icon} name=${icon} />${name}</a></li>`)}</ul>
		<div class="nav-end"><div class="who"><${Icon} name="access" /><span><bdi class="name">${session.get().name}</bdi><small>${session.get().role}</small></span>${isNamed() && html`<button type="button" class="icon-button" aria-label="Change your password" title="Change your password" onClick=${password}><${Icon} name="key" /></button>`}<button type="button" class="icon-button" aria-label="Log out" title="Log out" onClick=${leave}><${Icon} name="exit" /></button></div>
		<div class="nav-tools"><${Link} /><${Theme} /><button type="button" class="icon-button" aria-label="Keyboard help" title="Keyboard help" onClick=${help}><${Icon} name="help" /></button></div></div></nav>`;
}

const View = ({ path }) => {
	for (const [re, component, role] of ROUTES) {
		const found = re.exec(path);
		if (!found) continue;
		if (role && !can(role)) return html`<${Head} title="Not for you" /><${Panel}><${Empty} title=${`This is for ${role}s`}>You are ${session.get().role}.<//><//>`;
		let id = found[1];
		try {
			id = id && decodeURIComponent(id);
		} catch {
			break;
		}
		return html`<${component} key=${path} id=${id} />`;
	}
	return html`<${Head} title="Nothing here" /><${Panel}><${Empty} title="There is no such page"><a class="button" href="/">Overview</a><//><//>`;
};

function App() {
	const who = session.use();
	const { path } = place.use();
	const state = live.link.use();
	const [open, setOpen] = useState(false);
	const [error, setError] = useState(null);
	const enter = async () => {
		setError(null);
		try {
			session.set(await call("GET", "/v1/session"));
		} catch (failure) {
			if (failure.status === 401 || failure.status === 403) session.set(null);
			else setError(failure);
		}
	};
	useEffect(() => {
		enter();
	}, []);
	// What one may was perhaps changed meanwhile.
	const look = async () => {
		const now = await call("GET", "/v1/session").catch(() => null);
		const was = session.get();
		if (now && was && JSON.stringify(now) !== JSON.stringify(was)) session.set(now);
	};
	useEffect(() => {
		if (who) live.start(() => session.set(null), look);
		else live.stop();
	}, [who]);
	useEffect(() => {
		if (!open) return;
		const key = (e) => e.key === "Escape" && setOpen(false);
		document.addEventListener("keydown", key);
		return () => document.removeEventListener("keydown", key);
	}, [open]);
	if (error) return html`<main class="alone" id="main" tabindex="-1"><${Failure} error=${error} reload=${enter} what="The page" /></main>`;
	if (who === undefined) return html`<main class="alone" id="main" tabindex="-1"><${Loading} rows=${5} /></main>`;
	if (who === null) return html`<${Login} /><${Dialogs} />`;
	return html`<a class="skip" href="#main" onClick=${(e) => {
		e.preventDefault();
		document.getElementById("main").focus();
	}}>To the content</a>
		<header class="top"><button type="button" class="icon-button" aria-label=${open ? "Close the menu" : "Menu"} aria-expanded=${open ? "true" : "false"} aria-controls="navigation" onClick=${() => setOpen(!open)}><${Icon} name=${open ? "close" : "menu"} /></button><a class="brand" href="/"><${Mark} /><span>Ashlar</span></a><${Link} /></header>
		<${Navigation} path=${path} open=${open} onClose=${() => setOpen(false)} />
		<main id="main" tabindex="-1">${state === "offline" && html`<div class="offline" role="alert"><${Icon} name="alert" />The connection to the server is lost. What is shown may be old; it is tried again by itself.</div>`}<${View} path=${path} /></main><${Dialogs} />`;
}

const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
