// SPDX-License-Identifier: Apache-2.0
// A table of any length: only the rows that are in sight are in the document. Rows have one height; more of them are
// asked for before the end is reached.
import { html, useState, useRef, useLayoutEffect, useEffect } from "./base.mjs";

const SPARE = 12;
const phone = matchMedia("(max-width: 40rem)");

export function usePhone() {
	const [is, set] = useState(phone.matches);
	useEffect(() => {
		const change = () => set(phone.matches);
		phone.addEventListener("change", change);
		return () => phone.removeEventListener("change", change);
	}, []);
	return is;
}

// @columns: {id, head, cell(row), sort, class}. @card(row): the row on a phone. @onMore: the end comes near.
export function Grid({ label, columns, rows, total, rowKey, rowClass, card, sort, onSort, onMore, selected, onSelect, canSelect }) {
	const isPhone = usePhone();
	const box = useRef(null);
	const [view, setView] = useState({ top: 0, height: 600 });
	const height = isPhone ? 62 : 34;

	useLayoutEffect(() => {
		const measure = () => setView((was) => {
			const next = { top: box.current.scrollTop, height: box.current.clientHeight };
			return next.top === was.top && next.height === was.height ? was : next;
		});
		let frame = 0;
		const scroll = () => {
			frame ||= requestAnimationFrame(() => {
				frame = 0;
				measure();
			});
		};
		measure();
		box.current.addEventListener("scroll", scroll, { passive: true });
		const watch = new ResizeObserver(measure);
		watch.observe(box.current);
		return () => {
			cancelAnimationFrame(frame);
			box.current?.removeEventListener("scroll", scroll);
			watch.disconnect();
		};
	}, []);

	const first = Math.max(0, Math.floor(view.top / height) - SPARE);
	const last = Math.min(rows.length, Math.ceil((view.top + view.height) / height) + SPARE);
	useEffect(() => {
		if (last + 50 > rows.length) onMore?.();
	}, [last, rows.length]);

	const shown = rows.slice(first, last);
	const above = first * height, below = (rows.length - last) * height;
	const toggle = (key) => {
		const next = new Set(selected);
		if (!next.delete(key)) next.add(key);
		onSelect(next);
	};
	const all = canSelect && rows.length > 0 && rows.every((row) => selected.has(rowKey(row)));
	const width = (isPhone ? 1 : columns.length) + (canSelect ? 1 : 0);
	return html`<div class=${`grid ${isPhone ? "is-phone" : ""}`} ref=${box} tabindex="0" role="region" aria-label=${label}>
		<table aria-rowcount=${total ?? rows.length} aria-label=${label}><thead><tr>
		${canSelect && html`<th class="pick" scope="col"><input type="checkbox" aria-label="Select all that are loaded" checked=${all} onChange=${() => onSelect(all ? new Set() : new Set(rows.map(rowKey)))} /></th>`}
		${isPhone ? html`<th scope="col">${label}</th>` : columns.map((c) => html`<th key=${c.id} scope="col" class=${c.class} aria-sort=${c.sort && sort === c.sort ? "ascending" : undefined}>${c.sort
			? html`<button type="button" class="sort" onClick=${() => onSort(sort === c.sort ? "" : c.sort)}>${c.head}<i aria-hidden="true"></i></button>` : c.head}</th>`)}
		</tr></thead><tbody>
		${above > 0 && html`<tr class="space" aria-hidden="true"><td colspan=${width} style=${{ height: `${above}px` }}></td></tr>`}
		${shown.map((row, i) => {
			const key = rowKey(row);
			return html`<tr key=${key} aria-rowindex=${first + i + 2} class=${`${rowClass?.(row) || ""} ${selected?.has(key) ? "is-picked" : ""}`}>
				${canSelect && html`<td class="pick"><input type="checkbox" aria-label=${`Select ${row.name || key}`.slice(0, 120)} checked=${selected.has(key)} onChange=${() => toggle(key)} /></td>`}
				${isPhone ? html`<td class="card">${card(row)}</td>` : columns.map((c) => html`<td key=${c.id} class=${c.class}>${c.cell(row)}</td>`)}</tr>`;
		})}
		${below > 0 && html`<tr class="space" aria-hidden="true"><td colspan=${width} style=${{ height: `${below}px` }}></td></tr>`}
		</tbody></table></div>`;
}
