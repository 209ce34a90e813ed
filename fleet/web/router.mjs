// SPDX-License-Identifier: Apache-2.0
// The address is the state: path and query. Links are links; a plain click on one of ours does not leave the page.
import { signal, useCallback } from "./base.mjs";

const read = () => ({ path: location.pathname, search: location.search });
export const place = signal(read());

const arrive = () => place.set(read());
addEventListener("popstate", arrive);

export function go(to, { replace = false } = {}) {
	if (to === location.pathname + location.search) return;
	history[replace ? "replaceState" : "pushState"](null, "", to);
	arrive();
	if (!replace) {
		scrollTo(0, 0);
		document.getElementById("main")?.focus({ preventScroll: true });
	}
}

document.addEventListener("click", (event) => {
	if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
	const a = event.target.closest?.("a[href]");
	if (!a || a.target || a.hasAttribute("download") || a.origin !== location.origin) return;
	if (a.getAttribute("href").startsWith("#") || a.pathname.startsWith("/v1/")) return;
	event.preventDefault();
	go(a.pathname + a.search);
});

// One argument of the query: [value, set]. Setting replaces the address, so that "back" leaves the view.
export function useArgument(name, fallback = "") {
	const { search } = place.use();
	const value = new URLSearchParams(search).get(name) ?? fallback;
	const set = useCallback((next) => {
		const args = new URLSearchParams(location.search);
		if (next === fallback || next === "" || next === null) args.delete(name);
		else args.set(name, next);
		const text = args.toString();
		go(location.pathname + (text ? `?${text}` : ""), { replace: true });
	}, [name, fallback]);
	return [value, set];
}
