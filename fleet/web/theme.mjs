// SPDX-License-Identifier: Apache-2.0
// Light, dark, or what the system says. theme.js sets it before the first paint.
import { signal } from "./base.mjs";

const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => document.documentElement.dataset.theme || "auto";

export const choice = signal(chosen());
export const theme = signal(chosen() === "auto" ? (system.matches ? "dark" : "light") : chosen());

export function choose(next) {
	if (next === "auto") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = next;
	try {
		if (next === "auto") localStorage.removeItem("theme");
		else localStorage.setItem("theme", next);
	} catch {
		// It holds until the page is left.
	}
	choice.set(next);
	theme.set(next === "auto" ? (system.matches ? "dark" : "light") : next);
}

system.addEventListener("change", () => choice.get() === "auto" && theme.set(system.matches ? "dark" : "light"));
