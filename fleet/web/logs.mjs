// SPDX-License-Identifier: Apache-2.0
// A workload's log as it comes (server-sent events "line", "missed" and "end"), newest at the bottom. Leaving ends it on the host too.
import { html, useState, useEffect, useRef } from "./base.mjs";
import { query, part, ApiError } from "./api.mjs";
import { Copy } from "./ui.mjs";
import { Field } from "./dialog.mjs";
import { Icon } from "./icons.mjs";

const MAX_LINES = 5000, MAX_TEXT = 1 << 20;

// onEvent(name, data) for each; resolves at the end, rejects with an ApiError when it is refused.
export async function readEvents(path, signal, onEvent) {
	const response = await fetch(path, { headers: { Accept: "text/event-stream" }, signal, credentials: "same-origin", cache: "no-store" });
	if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null));
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	for (let text = ""; ; ) {
		const { value, done } = await reader.read();
		if (done) return;
		text = (text + value).replace(/\r\n?/g, "\n");
		for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
			const fields = text.slice(0, end).split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).replace(/^ /, "")]);
			const data = fields.filter(([name]) => name === "data").map(([, v]) => v).join("\n");
			if (data) onEvent(fields.find(([name]) => name === "event")?.[1] || "message", JSON.parse(data));
		}
		if (text.length > MAX_TEXT) throw new ApiError(0, { text: "a line of the log has no end" });
	}
}

export function Logs({ host, workload, instances, onClose }) {
	const [instance, setInstance] = useState("");
	const [lines, setLines] = useState([]);
	const [state, setState] = useState({ word: "asked" }); // asked, open, ended, refused
	const [sticks, setSticks] = useState(true);
	const control = useRef(null), box = useRef(null);
	const start = (follow, of = instance) => {
		control.current?.abort();
		const mine = (control.current = new AbortController());
		let waiting = [], timer = 0, why = "";
		const flush = () => {
			timer = 0;
			const more = waiting;
			waiting = [];
			if (mine === control.current) setLines((was) => [...was, ...more].slice(-MAX_LINES));
		};
		setLines([]);
		setState({ word: "asked", follow });
		readEvents(query(`/v1/hosts/${part(host)}/workloads/${part(workload)}/logs`, { lines: 200, follow, instance: of }), mine.signal, (name, data) => {
			if (name === "end") why = data.text || "";
			if (name !== "line" && name !== "missed") return;
			waiting.push(name === "missed" ? `-- ${data.text} --` : data.text ?? "");
			timer ||= setTimeout(flush, 100);
			setState((was) => (was.word === "asked" ? { ...was, word: "open" } : was));
		}).then(() => mine === control.current && setState({ word: "ended", why }), (error) => mine === control.current && error.name !== "AbortError" && setState({ word: "refused", why: error.message }));
	};
	const stop = () => {
		control.current?.abort();
		control.current = null;
		setState({ word: "ended", why: "stopped here" });
	};
	useEffect(() => {
		start(300);
		// A page that is left may be kept by the browser, and its connection with it.
		const leave = () => control.current?.abort();
		addEventListener("pagehide", leave);
		return () => {
			removeEventListener("pagehide", leave);
			leave();
		};
	}, [host, workload]);
	useEffect(() => {
		if (sticks && box.current) box.current.scrollTop = box.current.scrollHeight;
	}, [lines, sticks]);
	const scroll = () => setSticks(box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < 24);
	const runs = state.word === "asked" || state.word === "open";
	const choose = (of) => {
		setInstance(of);
		start(300, of);
	};
	return html`<section class="logs" aria-label=${`Log of ${workload}`}><div class="logs-head">
		<span role="status" class="soft">${state.word === "asked" ? "Asked: the host answers at its next word." : state.word === "open" ? "Live" : state.word === "refused" ? "" : `Ended${state.why ? `: ${state.why}` : ""}`}</span>
		${instances?.length > 1 && html`<${Field} id=${`log-of-${workload}`} of=${{ name: "instance", label: "Instance", options: [["", "all"], ...instances.map((i) => [i.name, i.name])] }} value=${instance} onInput=${choose} />`}
		<span class="actions">${!sticks && html`<button type="button" class="small" onClick=${() => setSticks(true)}>To the end</button>`}${runs ? html`<button type="button" class="small" onClick=${stop}>Stop</button>` : html`<button type="button" class="small" onClick=${() => start(300)}>Follow</button>`}<${Copy} text=${lines.join("\n")} /><button type="button" class="small" onClick=${onClose}>Close the log</button></span></div>
		${state.word === "refused" && html`<p class="form-error" role="alert"><${Icon} name="alert" />${state.why}</p>`}
		<pre ref=${box} tabindex="0" role="log" aria-live="off" aria-label=${`Lines of ${workload}`} onScroll=${scroll}>${lines.join("\n") || (runs ? "" : "No line.")}</pre></section>`;
}
