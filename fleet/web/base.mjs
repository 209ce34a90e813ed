// SPDX-License-Identifier: Apache-2.0
// What every module of the page stands on. Text goes into the document by html`…` alone, which escapes it: nothing
// here takes markup from anywhere.
import { h, render, Fragment } from "./preact.mjs";
import htm from "./htm.mjs";

export { h, render, Fragment };
export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from "./hooks.mjs";
export const html = htm.bind(h);

// A value that components follow: get(), set(v), use().
import { useState as state, useEffect as effect } from "./hooks.mjs";

export function signal(value) {
	const followers = new Set();
	const self = {
		get: () => value,
		set(next) {
			if (next === value) return;
			value = next;
			for (const follow of [...followers]) follow(value);
		},
		follow(follow) {
			followers.add(follow);
			return () => followers.delete(follow);
		},
		use() {
			const [seen, see] = state(value);
			effect(() => {
				see(value);
				return self.follow(see);
			}, []);
			return seen;
		},
	};
	return self;
}
