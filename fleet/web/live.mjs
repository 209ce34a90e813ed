// SPDX-License-Identifier: Apache-2.0
// The stream of everything that happens (GET /v1/stream), read by fetch rather than EventSource: so that every kind of
// event comes through, a refused log-in is seen, and the number to go on behind is ours. Listeners are called with what
// came together, at most four times a second. While the page is hidden for long the connection is given up; browsers
// have few for one server.
import { signal } from "./base.mjs";

export const link = signal("off"); // off, connecting, live, offline
const listeners = new Set();
const FLUSH_MS = 250, HIDDEN_MS = 60000, QUIET_MS = 75000, MAX_TEXT = 1 << 20;

let last = "", control = null, waiting = [], timer = 0, retry = 0, hidden = 0, wanted = false, tries = 0, wasLost = false;
let onRefused = () => {}, onAgain = () => {}, hasBegun = false;

// @listener(events, isBehind): isBehind says that the connection was lost and more may have happened than is told.
export function follow(listener) {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

function tell(events, isBehind) {
	for (const listener of [...listeners]) listener(events, isBehind);
}

function flush() {
	timer = 0;
	const events = waiting;
	waiting = [];
	tell(events, false);
}

function take(block) {
	let id = "", data = "";
	for (const line of block.split("\n")) {
		const colon = line.indexOf(":");
		if (colon <= 0) continue;
		const name = line.slice(0, colon), value = line.slice(colon + 1).replace(/^ /, "");
		if (name === "id") id = value;
		else if (name === "data") data += (data ? "\n" : "") + value;
	}
	if (id) last = id;
	if (!data) return;
	try {
		waiting.push(JSON.parse(data));
	} catch {
		return;
	}
	timer ||= setTimeout(flush, FLUSH_MS);
}

async function read(mine) {
	const headers = { Accept: "text/event-stream" };
	if (last) headers["Last-Event-ID"] = last;
	const response = await fetch("/v1/stream", {
		headers, signal: mine.signal, credentials: "same-origin", cache: "no-store",
	});
	if (response.status === 401 || response.status === 403) {
		stop();
		onRefused();
		return;
	}
	if (!response.ok || !response.body) throw new Error(`stream: ${response.status}`);
	tries = 0;
	link.set("live");
	if (hasBegun) onAgain();
	hasBegun = true;
	if (wasLost) tell([], true);
	wasLost = false;

	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "", quiet = 0;
	const watch = () => {
		clearTimeout(quiet);
		quiet = setTimeout(() => mine.abort(), QUIET_MS);
	};
	try {
		for (watch(); ; watch()) {
			const { value, done } = await reader.read();
			if (done) return;
			text = (text + value).replace(/\r\n?/g, "\n");
			for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) take(text.slice(0, end));
			if (text.length > MAX_TEXT) throw new Error("stream: an event without end");
		}
	} finally {
		clearTimeout(quiet);
	}
}

async function run() {
	if (!wanted || control) return;
	const mine = (control = new AbortController());
	if (link.get() !== "offline") link.set("connecting");
	try {
		await read(mine);
	} catch {
		// Lost, refused or silent: all the same from here.
	}
	if (control !== mine) return;
	control = null;
	if (!wanted) return;
	// The server ends each stream now and then; one goes on behind the last event, and nothing is said of it.
	if (link.get() === "live" && last) {
		link.set("connecting");
	} else {
		wasLost = true;
		link.set("offline");
	}
	const patience = Math.min(30000, 500 * 2 ** Math.min(tries++, 6));
	retry = setTimeout(run, patience * (0.75 + Math.random() / 2));
}

// @refused(): nobody is logged in any more. @again(): a stream follows another; the server ends them when somebody's
// rights change too.
export function start(refused, again) {
	onRefused = refused;
	onAgain = again;
	wanted = true;
	run();
}

export function stop() {
	wanted = false;
	clearTimeout(retry);
	const mine = control;
	control = null;
	mine?.abort();
	link.set("off");
}

export function again() {
	clearTimeout(retry);
	tries = 0;
	run();
}

function rest() {
	if (!wanted) return;
	stop();
	wasLost = true;
	hidden = -1;
}

function wake() {
	clearTimeout(hidden);
	if (hidden === -1) start(onRefused, onAgain);
	hidden = 0;
}

document.addEventListener("visibilitychange", () => {
	if (!document.hidden) wake();
	else if (hidden !== -1) hidden = setTimeout(rest, HIDDEN_MS);
});
// A page that is left may be kept by the browser, and its connection with it.
addEventListener("pagehide", rest);
addEventListener("pageshow", wake);
addEventListener("online", again);
