// SPDX-License-Identifier: Apache-2.0
// Questions (native <dialog>) and short messages. An act's dialog stays open until the server took it, and says there
// why it did not.
import { html, useState, useEffect, useRef, signal } from "./base.mjs";
import { Icon } from "./icons.mjs";

const question = signal(null);
const messages = signal([]);
let serial = 0;

export function say(text, kind = "good") {
	const id = ++serial;
	messages.set([...messages.get(), { id, text, kind }].slice(-4));
	setTimeout(() => messages.set(messages.get().filter((m) => m.id !== id)), kind === "bad" ? 12000 : 5000);
}

// ask({title, text, fields, confirm, danger, typed, act, done}). Fields: {name, label, type, value, hint, required,
// options, rows, when(values)}. @typed: what has to be typed before the act is possible. @act(values) runs; when it
// fails its error is shown and the dialog stays. @done: said when it succeeded. @show(answer): content in place of the
// fields afterwards, for what is shown once.
export const REASON = { name: "reason", label: "Reason", maxlength: 500, hint: "It is kept in the audit log." };

export const ask = (spec) => question.set({ ...spec, id: ++serial });

// An act without a question, from a button.
export async function attempt(act, done) {
	try {
		const answer = await act();
		if (done) say(done);
		return answer;
	} catch (error) {
		say(error.message, "bad");
		return undefined;
	}
}

export function Field({ of: f, value, onInput, id }) {
	const common = {
		id, name: f.name, required: f.required, "aria-describedby": f.hint ? `${id}-hint` : undefined, disabled: f.disabled,
		maxlength: f.maxlength, placeholder: f.placeholder, autocomplete: f.autocomplete || "off", spellcheck: "false",
	};
	if (f.type === "check")
		return html`<label class="check"><input type="checkbox" id=${id} checked=${Boolean(value)} onChange=${(e) => onInput(e.target.checked)} /><span>${f.label}${f.hint && html`<small id=${`${id}-hint`}>${f.hint}</small>`}</span></label>`;
	if (f.type === "choices") {
		const flip = (id) => onInput(value.includes(id) ? value.filter((v) => v !== id) : [...value, id]);
		return html`<fieldset class="choices"><legend>${f.label}</legend>${f.options.map(([o, text], i) => html`<label class="check"><input type="checkbox" id=${i ? undefined : id} name=${f.name} value=${o} checked=${value.includes(o)} onChange=${() => flip(o)} /><span>${text}</span></label>`)}</fieldset>`;
	}
	// Its text is the value; what is too large is the server's to refuse.
	if (f.type === "file")
		return html`<div class="field"><label for=${id}>${f.label}${!f.required && html`<small> optional</small>`}</label><input type="file" id=${id} name=${f.name} accept=${f.accept} required=${f.required} onChange=${async (e) => onInput(e.target.files[0] ? await e.target.files[0].text() : "")} />${f.hint && html`<small>${f.hint}</small>`}</div>`;
	const input = f.options
		? html`<select ...${common} value=${value} onChange=${(e) => onInput(e.target.value)}>${f.options.map((o) => html`<option value=${o[0]} selected=${String(o[0]) === String(value)}>${o[1]}</option>`)}</select>`
		: f.rows ? html`<textarea ...${common} rows=${f.rows} value=${value} onInput=${(e) => onInput(e.target.value)}></textarea>`
			: html`<input ...${common} type=${f.type || "text"} min=${f.min} max=${f.max} step=${f.step} value=${value} onInput=${(e) => onInput(e.target.value)} />`;
	return html`<div class="field"><label for=${id}>${f.label}${!f.required && f.optional !== false && !f.options && html`<small> optional</small>`}</label>${input}${f.hint && html`<small id=${`${id}-hint`}>${f.hint}</small>`}</div>`;
}

function Question({ spec }) {
	const box = useRef(null);
	const [values, setValues] = useState(() => Object.fromEntries((spec.fields || []).map((f) => [f.name, f.value ?? (f.type === "check" ? false : f.type === "choices" ? [] : "")])));
	const [typed, setTyped] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState("");
	const [answer, setAnswer] = useState(undefined);

	useEffect(() => {
		const before = document.activeElement;
		box.current.showModal();
		return () => before?.isConnected && before.focus();
	}, []);
	const close = () => question.get() === spec && question.set(null);
	const submit = async (event) => {
		event.preventDefault();
		if (!spec.act || answer !== undefined) return close();
		setBusy(true);
		setError("");
		try {
			const result = await spec.act(values);
			if (spec.show) setAnswer(result);
			else close();
			if (spec.done) say(typeof spec.done === "function" ? spec.done(result) : spec.done);
		} catch (failure) {
			setError(failure.message);
		}
		setBusy(false);
	};
	const ready = !busy && (!spec.typed || typed.trim() === String(spec.typed));
	return html`<dialog ref=${box} class=${spec.wide ? "wide" : ""} aria-labelledby="ask-title" onClose=${close} onCancel=${(e) => answer !== undefined && spec.keep && e.preventDefault()}>
		<form method="dialog" onSubmit=${submit}><h2 id="ask-title">${spec.title}</h2>
		<div class="dialog-body">${answer !== undefined ? spec.show(answer) : html`${spec.text && html`<div class="dialog-text">${spec.text}</div>`}
		${(spec.fields || []).filter((f) => !f.when || f.when(values)).map((f) => html`<${Field} key=${f.name} of=${f} id=${`ask-${f.name}`} value=${values[f.name]} onInput=${(v) => setValues((was) => ({ ...was, [f.name]: v }))} />`)}
		${spec.typed && html`<div class="field"><label for="ask-typed">Type <strong>${spec.typed}</strong> to confirm</label><input id="ask-typed" value=${typed} onInput=${(e) => setTyped(e.target.value)} autocomplete="off" inputmode=${/^\d+$/.test(spec.typed) ? "numeric" : undefined} /></div>`}`}
		${error && html`<p class="form-error" role="alert"><${Icon} name="alert" />${error}</p>`}</div>
		<footer>${answer === undefined && spec.act && html`<button type="button" onClick=${close}>${/^Cancel/.test(spec.confirm) ? "Back" : "Cancel"}</button>`}
		<button class=${spec.danger && answer === undefined ? "danger primary" : "primary"} disabled=${answer === undefined && !ready}>${answer !== undefined || !spec.act ? "Close" : busy ? "Working…" : spec.confirm || "Do it"}</button></footer></form></dialog>`;
}

export function Dialogs() {
	const spec = question.use();
	const shown = messages.use();
	return html`${spec && html`<${Question} key=${spec.id} spec=${spec} />`}
		<div class="messages" role="status" aria-live="polite">${shown.map((m) => html`<div key=${m.id} class=${`message ${m.kind}`}><${Icon} name=${m.kind === "bad" ? "alert" : "check"} />${m.text}</div>`)}</div>`;
}

export const isAsking = () => question.get() !== null;
