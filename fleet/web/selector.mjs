// SPDX-License-Identifier: Apache-2.0
// Where a selector is typed: what matches is counted while one types, and a mistake is shown under its column.
import { html, useState, useEffect } from "./base.mjs";
import { get, query } from "./api.mjs";
import * as words from "./words.mjs";

// {count, error, column} of @text; asked 300 ms after the last key.
export function useCount(text) {
	const [state, setState] = useState({ text: null });
	useEffect(() => {
		if (text === null) return;
		const control = new AbortController();
		const timer = setTimeout(async () => {
			try {
				const answer = await get(query("/v1/hosts/count", { selector: text }), control.signal);
				setState({ text, count: answer.count });
			} catch (error) {
				if (error.name === "AbortError") return;
				const column = /column (\d+)/.exec(error.message);
				setState({ text, error: error.message, column: column ? Number(column[1]) : 0 });
			}
		}, 300);
		return () => {
			clearTimeout(timer);
			control.abort();
		};
	}, [text]);
	return state.text === text ? state : { ...state, waiting: true };
}

export function Selector({ id, value, onInput, onCommit, label = "Selector", hint, placeholder = "all hosts", hideLabel, count, emptyIsNone }) {
	const own = useCount(count ? null : value);
	const seen = count || own;
	const wrong = seen.error && !seen.waiting;
	return html`<div class=${`selector ${wrong ? "is-wrong" : ""}`}>
		<label for=${id} class=${hideLabel ? "sr" : ""}>${label}</label>
		<div class="selector-line"><input id=${id} type="search" value=${value} placeholder=${placeholder} autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="4096" aria-describedby=${`${id}-says`} aria-invalid=${wrong ? "true" : "false"}
			onInput=${(e) => onInput(e.target.value)} onKeyDown=${(e) => e.key === "Enter" && onCommit?.(e.target.value)} onChange=${(e) => onCommit?.(e.target.value)} />
		<span class="selector-count" aria-live="polite">${!seen.error && seen.count !== undefined && !(emptyIsNone && !value) ? words.plural(seen.count, "host") : ""}</span></div>
		<div id=${`${id}-says`} class="selector-says">${wrong ? html`<span class="form-error" role="alert">${seen.column > 0 && seen.column <= value.length + 1 && html`<code class="column" aria-hidden="true"><span>${value.slice(Math.max(0, seen.column - 25), seen.column - 1)}</span><mark>${value.slice(seen.column - 1, seen.column) || " "}</mark><span>${value.slice(seen.column, seen.column + 20)}</span></code>`} ${seen.error}</span>` : hint ? html`<small>${hint}</small>` : null}</div></div>`;
}
