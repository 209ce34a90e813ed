// SPDX-License-Identifier: Apache-2.0
// Small parts that every view is built of.
import { html, useState, useEffect, useRef, signal } from "./base.mjs";
import { Icon } from "./icons.mjs";
import * as words from "./words.mjs";

// One clock for all ages on the page; it stands still where nobody looks.
const tick = signal(0);
setInterval(() => document.hidden || tick.set(tick.get() + 1), 5000);

export function Age({ at, never = "never" }) {
	tick.use();
	if (!at) return html`<span class="soft">${never}</span>`;
	return html`<time title=${words.moment(at)} datetime=${new Date(words.seconds(at) * 1000).toISOString()}>${words.age(at)}</time>`;
}

// What somebody else named: shown whole to whoever asks, never wider than its place, never turning the line around.
export const Name = ({ children, class: extra = "" }) => {
	const text = String(children ?? "");
	return html`<bdi class=${`name ${extra}`} title=${text.length > 24 ? text.slice(0, 1000) : undefined}>${text.slice(0, 300)}</bdi>`;
};

export const Badge = ({ word, tone, children }) =>
	html`<span class=${`badge tone-${(tone || words.tone(word)).replace(/\W/g, "-")}`}><i aria-hidden="true"></i>${children || word}</span>`;

export const Labels = ({ of }) => {
	const all = Object.entries(of || {});
	return all.length ? html`<span class="labels">${all.map(([k, v]) => html`<span class="label" title=${`${k}=${v}`.slice(0, 500)}><bdi>${k}</bdi>${v !== "" && html`<b><bdi>${v}</bdi></b>`}</span>`)}</span>` : html`<span class="soft">none</span>`;
};

export const HostLink = ({ id, name }) => html`<a class="host-link" href=${`/hosts/${encodeURIComponent(id)}`}><${Name}>${name || id.slice(0, 12)}<//></a>`;
export const ReleaseLink = ({ release }) => release ? html`<a href=${`/releases/${release.id}`}><${Name}>${release.version}<//></a>` : html`<span class="soft">none</span>`;

export const Loading = ({ rows = 3 }) => html`<div class="loading" role="status"><span class="sr">Loading</span>
	${Array.from({ length: rows }, (_, i) => html`<div class=${`course c${i % 3}`} aria-hidden="true"><i></i><i></i><i></i></div>`)}</div>`;

export const Failure = ({ error, reload, what = "This" }) => html`<div class="failure" role="alert"><${Icon} name="alert" />
	<div><p><strong>${what} could not be loaded:</strong> ${error.message}${/[.!?]$/.test(error.message) ? "" : "."}</p>
	${reload && html`<button type="button" onClick=${reload}>Try again</button>`}</div></div>`;

export const Empty = ({ title, children }) => html`<div class="empty"><svg viewBox="0 0 64 30" aria-hidden="true"><g><rect x="1" y="21" width="26" height="8" rx="1"/><rect x="30" y="21" width="33" height="8" rx="1"/><rect x="9" y="11" width="28" height="8" rx="1"/></g><rect class="gap" x="40" y="11" width="16" height="8" rx="1"/><rect class="gap" x="20" y="1" width="24" height="8" rx="1"/></svg><p class="empty-title">${title}</p>${children && html`<div>${children}</div>`}</div>`;

// What of a useGet is shown: the failure, the waiting, or the children with its data.
export function Load({ of, what, rows, children }) {
	if (of.data !== undefined) return html`${of.error && html`<${Failure} error=${of.error} reload=${of.reload} what=${what} />`}${children(of.data)}`;
	return of.error ? html`<${Failure} error=${of.error} reload=${of.reload} what=${what} />` : html`<${Loading} rows=${rows} />`;
}

export const Panel = ({ title, note, actions, children, class: extra = "", id }) => html`<section class=${`panel ${extra}`} aria-labelledby=${id}>
	${title && html`<header><h2 id=${id}>${title}</h2>${note && html`<span class="soft note">${note}</span>`}${actions && html`<div class="actions">${actions}</div>`}</header>`}
	${children}</section>`;

// A view's head: what it is, and what may be done with it.
export function Head({ title, sub, actions, back }) {
	useEffect(() => {
		document.title = `${typeof title === "string" ? title.slice(0, 80) : "Fleet"} · Ashlar`;
	}, [title]);
	return html`<header class="head"><div class="head-text">${back && html`<a class="back" href=${back[0]}>${back[1]}</a>`}<h1><${Name}>${title}<//></h1>${sub && html`<div class="sub">${sub}</div>`}</div>
		${actions && html`<div class="actions">${actions}</div>`}</header>`;
}

// A short list as a table; on a phone each row is a card with its column's name beside each value.
export function List({ label, columns, rows, rowKey = (row) => row.id, rowClass }) {
	const shown = columns.filter(Boolean);
	return html`<div class="list-wrap"><table class="list" aria-label=${label}>
		<thead><tr>${shown.map((c) => html`<th scope="col" class=${c.class}>${c.head || html`<span class="sr">${c.name}</span>`}</th>`)}</tr></thead>
		<tbody>${rows.map((row) => html`<tr key=${rowKey(row)} class=${rowClass?.(row)}>${shown.map((c) => html`<td class=${c.class} data-label=${c.head || ""}>${c.cell(row)}</td>`)}</tr>`)}</tbody></table></div>`;
}

export const Facts = ({ of }) => html`<dl class="facts">${of.filter(Boolean).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

export function Copy({ text, label = "Copy" }) {
	const [done, setDone] = useState("");
	const copy = async () => {
		try {
			await navigator.clipboard.writeText(text);
			setDone("Copied");
		} catch {
			setDone("Select it and copy by hand");
		}
		setTimeout(() => setDone(""), 3000);
	};
	return html`<button type="button" class="small" onClick=${copy}><${Icon} name=${done === "Copied" ? "check" : "copy"} /><span aria-live="polite">${done || label}</span></button>`;
}

export const Digest = ({ of, length = 12 }) => of ? html`<code class="digest" title=${of}>${of.slice(0, length)}</code>` : html`<span class="soft">none</span>`;

// Tabs that are kept in the address by whoever holds @value. Arrow keys move, as the pattern has it.
export function Tabs({ label, tabs, value, onChange }) {
	const list = useRef(null);
	const key = (event) => {
		const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
		if (step === undefined) return;
		event.preventDefault();
		const at = tabs.findIndex(([id]) => id === value);
		const to = Math.abs(step) === 1 ? (at + step + tabs.length) % tabs.length : step < 0 ? 0 : tabs.length - 1;
		onChange(tabs[to][0]);
		list.current.children[to].focus();
	};
	useEffect(() => {
		const now = list.current.querySelector("[aria-selected=true]");
		if (now && list.current.scrollWidth > list.current.clientWidth) list.current.scrollLeft = now.offsetLeft - 30;
	}, [value]);
	return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${key}>${tabs.map(([id, text, n]) =>
		html`<button type="button" role="tab" id=${`tab-${id}`} aria-selected=${id === value ? "true" : "false"} aria-controls=${`panel-${id}`} tabindex=${id === value ? 0 : -1} onClick=${() => onChange(id)}>${text}${n !== undefined && html`<span class="count">${words.count(n)}</span>`}</button>`)}</div>`;
}
export const TabPanel = ({ id, children }) => html`<div role="tabpanel" id=${`panel-${id}`} aria-labelledby=${`tab-${id}`}>${children}</div>`;

// A button that opens a few more of them; closes by Escape, by a click elsewhere, and when one was chosen.
export function Menu({ label, icon = "dots", items, text }) {
	const [open, setOpen] = useState(false);
	const root = useRef(null);
	const shown = items.filter(Boolean);
	useEffect(() => {
		if (!open) return;
		root.current.querySelector("[role=menuitem]")?.focus();
		const away = (event) => root.current?.contains(event.target) || setOpen(false);
		document.addEventListener("pointerdown", away);
		return () => document.removeEventListener("pointerdown", away);
	}, [open]);
	const key = (event) => {
		const all = [...root.current.querySelectorAll("[role=menuitem]")];
		const at = all.indexOf(document.activeElement);
		if (event.key === "Escape") {
			setOpen(false);
			root.current.querySelector("button").focus();
		} else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
			all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]?.focus();
			event.preventDefault();
		}
	};
	if (!shown.length) return null;
	return html`<div class="menu" ref=${root} onKeyDown=${open ? key : undefined}>
		<button type="button" aria-haspopup="menu" aria-expanded=${open ? "true" : "false"} aria-label=${text ? undefined : label} onClick=${() => setOpen(!open)}>${text || html`<${Icon} name=${icon} />`}${text && html`<${Icon} name="down" />`}</button>
		${open && html`<div class="menu-list" role="menu" aria-label=${label}>${shown.map((item) => html`<button type="button" role="menuitem" class=${item.danger ? "danger" : ""} onClick=${() => {
			setOpen(false);
			item.act();
		}}>${item.text}</button>`)}</div>`}</div>`;
}

export function Shown({ all, noun, pages }) {
	if (!pages.next) return null;
	return html`<div class="more"><button type="button" onClick=${pages.more}>Show more ${noun}</button></div>`;
}
