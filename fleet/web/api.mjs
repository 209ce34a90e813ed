// SPDX-License-Identifier: Apache-2.0
// Calls of the fleet's API. The session is a cookie that scripts cannot read; changes carry its CSRF word.
import { signal, useState, useEffect, useRef, useCallback } from "./base.mjs";
import { follow } from "./live.mjs";

// undefined: not asked yet; null: nobody is logged in.
export const session = signal(undefined);

const RANK = { viewer: 1, operator: 2, admin: 3 };
export const can = (role) => (RANK[session.get()?.role] || 0) >= RANK[role];

export class ApiError extends Error {
	constructor(status, body) {
		super(body?.text || (status ? `the server answered ${status}` : "the server cannot be reached"));
		this.status = status;
		this.kind = body?.kind || "";
		this.body = body || {};
	}
}

// Members that are undefined or "" are left out.
export function query(path, args) {
	const search = new URLSearchParams();
	for (const [name, value] of Object.entries(args || {}))
		if (value !== undefined && value !== null && value !== "") search.set(name, value);
	const text = search.toString();
	return text ? `${path}?${text}` : path;
}

export async function call(method, path, body, signal) {
	const headers = { Accept: "application/json" };
	if (body !== undefined) headers["Content-Type"] = "application/json";
	if (method !== "GET" && session.get()?.csrf) headers["X-CSRF-Token"] = session.get().csrf;
	let response;
	try {
		response = await fetch(path, {
			method, headers, signal,
			credentials: "same-origin",
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch (error) {
		if (error.name === "AbortError") throw error;
		throw new ApiError(0);
	}
	const text = await response.text();
	let answer = null;
	if (text && /json/.test(response.headers.get("Content-Type") || "")) {
		try {
			answer = JSON.parse(text);
		} catch {
			throw new ApiError(response.status, { text: "the server's answer is no JSON" });
		}
	}
	if (!response.ok) {
		if (response.status === 401 && path !== "/v1/session") session.set(null);
		throw new ApiError(response.status, answer);
	}
	return answer ?? text;
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body = {}) => call("PUT", path, body);
export const remove = (path, body) => call("DELETE", path, body);
export const part = encodeURIComponent;

// {data, error, loading, reload}. @options.on(event): does this event make the answer stale? It is asked for anew, once
// for many events, at most every @options.wait ms. @options.patch(data, event): the new answer without asking, or
// undefined. While the next answer is on its way the last one stays.
export function useGet(path, options = {}) {
	const [state, setState] = useState({ path, data: undefined, error: null, loading: Boolean(path) });
	const latest = useRef(options);
	latest.current = options;
	const reload = useRef(() => {});

	useEffect(() => {
		if (!path) {
			setState({ path, data: undefined, error: null, loading: false });
			return;
		}
		let gone = false, timer = 0, control = null, last = 0;
		const load = async () => {
			timer = 0;
			last = Date.now();
			control?.abort();
			control = new AbortController();
			const mine = control;
			try {
				const data = await get(path, mine.signal);
				if (!gone && mine === control) setState({ path, data, error: null, loading: false });
			} catch (error) {
				if (!gone && error.name !== "AbortError")
					setState((was) => ({
						path, error, loading: false,
						data: was.path === path ? was.data : undefined,
					}));
			}
		};
		const soon = () => {
			if (!timer) timer = setTimeout(load, Math.max(250, last + (latest.current.wait || 1500) - Date.now()));
		};
		setState((was) => ({
			path, error: null, loading: true,
			data: was.path === path || latest.current.keep ? was.data : undefined,
		}));
		reload.current = load;
		load();
		const leave = follow((events, isBehind) => {
			const { on, patch } = latest.current;
			if (isBehind && (on || patch)) return soon();
			if (patch)
				setState((was) => {
					let data = was.data;
					for (const event of events)
						if (data !== undefined) data = patch(data, event) ?? data;
					return data === was.data ? was : { ...was, data };
				});
			if (on && events.some(on)) soon();
		});
		return () => {
			gone = true;
			leave();
			clearTimeout(timer);
			control?.abort();
		};
	}, [path]);

	const fresh = state.path === path;
	return {
		data: fresh || options.keep ? state.data : undefined,
		error: fresh ? state.error : null,
		loading: fresh ? state.loading : Boolean(path),
		reload: useCallback(() => reload.current(), []),
		change: useCallback((make) => setState((was) => ({ ...was, data: make(was.data) })), []),
	};
}

// A list of pages: {items, more, next, error, loading, reload, change}. more() asks for the next page.
export function usePages(path, args, limit = 100) {
	const whole = path && query(path, { ...args, limit });
	const empty = { whole, items: [], next: "", error: null, loading: Boolean(whole), at: 0 };
	const [state, setState] = useState(empty);
	const busy = useRef(null);
	const latest = useRef(state);
	latest.current = state;

	const load = useCallback(async (after, control) => {
		busy.current = control;
		try {
			const page = await get(query(path, { ...args, limit, after }), control.signal);
			if (busy.current !== control) return;
			busy.current = null;
			setState((was) => ({
				whole, error: null, loading: false, next: page.next || "", at: Date.now(),
				items: after && was.whole === whole ? [...was.items, ...page.items] : page.items,
			}));
		} catch (error) {
			if (error.name === "AbortError" || busy.current !== control) return;
			busy.current = null;
			setState((was) => ({ ...(was.whole === whole ? was : empty), whole, error, loading: false }));
		}
	}, [whole]);

	const reload = useCallback(() => {
		busy.current?.abort();
		load("", new AbortController());
	}, [load]);
	const more = useCallback(() => {
		const { next, whole: shown } = latest.current;
		if (!busy.current && next && shown === whole) load(next, new AbortController());
	}, [load]);
	const change = useCallback((make) => setState((was) => {
		const items = make(was.items);
		return items === was.items ? was : { ...was, items };
	}), []);

	useEffect(() => {
		if (!whole) return setState(empty);
		setState((was) => ({ ...was, loading: true }));
		reload();
		return () => {
			busy.current?.abort();
			busy.current = null;
		};
	}, [whole]);
	const fresh = state.whole === whole;
	return { ...state, fresh, error: fresh ? state.error : null, loading: !fresh || state.loading, more, reload, change };
}

// What was asked for is asked for anew when @on(event) says that it is stale, once for many events.
export function useStale(reload, on, wait = 1500) {
	useEffect(() => {
		let timer = 0, last = 0;
		const run = () => {
			timer = 0;
			last = Date.now();
			reload();
		};
		const leave = follow((events, isBehind) => {
			if ((isBehind || events.some(on)) && !timer) timer = setTimeout(run, Math.max(250, last + wait - Date.now()));
		});
		return () => {
			leave();
			clearTimeout(timer);
		};
	}, [reload]);
}

// The newest first, whatever order they came in.
export const newest = (releases) => [...releases].sort((a, b) => b.added_at - a.added_at || b.id - a.id);
