// SPDX-License-Identifier: Apache-2.0
import { html, useState, useEffect } from "./base.mjs";
import { call, session } from "./api.mjs";
import { Icon, Mark } from "./icons.mjs";
import { Field } from "./dialog.mjs";

export function Login() {
	const [by, setBy] = useState("name");
	const [values, setValues] = useState({ name: "", password: "", token: "" });
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	useEffect(() => {
		document.title = "Log in · Ashlar";
		document.getElementById(by === "name" ? "login-name" : "login-token")?.focus();
	}, [by]);
	const set = (name) => (value) => setValues((was) => ({ ...was, [name]: value }));
	const submit = async (event) => {
		event.preventDefault();
		setBusy(true);
		setError("");
		try {
			session.set(await call("POST", "/v1/session", by === "name" ? { name: values.name, password: values.password } : { token: values.token.trim() }));
		} catch (failure) {
			setError(failure.status === 401 || failure.status === 403 ? failure.body.text || "That is not right." : failure.message);
			setBusy(false);
		}
	};
	return html`<main class="login" id="main" tabindex="-1"><div class="login-wall" aria-hidden="true">${Array.from({ length: 9 }, (_, i) => html`<div class=${`course c${i % 3}`}><i></i><i></i><i></i><i></i></div>`)}</div>
		<form onSubmit=${submit}><h1><${Mark} />Ashlar <span>fleet</span></h1>
		${by === "name" ? html`<${Field} id="login-name" of=${{ name: "name", label: "Name", required: true, autocomplete: "username", maxlength: 64 }} value=${values.name} onInput=${set("name")} /><${Field} id="login-password" of=${{ name: "password", label: "Password", type: "password", required: true, autocomplete: "current-password", maxlength: 1024 }} value=${values.password} onInput=${set("password")} />`
			: html`<${Field} id="login-token" of=${{ name: "token", label: "Token", type: "password", required: true, maxlength: 300, hint: "ashlar-fleetd showed the first one when it started on an empty directory." }} value=${values.token} onInput=${set("token")} />`}
		${error && html`<p class="form-error" role="alert"><${Icon} name="alert" />${error}</p>`}
		<button class="primary" disabled=${busy}>${busy ? "Working…" : "Log in"}</button>
		<button type="button" class="quiet" onClick=${() => setBy(by === "name" ? "token" : "name")}>${by === "name" ? "Use a token" : "Use name and password"}</button></form></main>`;
}
