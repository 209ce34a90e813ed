// SPDX-License-Identifier: Apache-2.0
// What the tests of the page look with: errors, foreign requests, names of controls, contrast, width, the Tab key.
import { mkdirSync } from "node:fs";

let failed = 0;
const line = (text) => process.stdout.write(`${text}\n`);
export function ok(name, holds) {
	line(`${holds ? "ok" : "not ok"} ${name}`);
	if (!holds) failed++;
}
export function is(name, got, wanted) {
	const a = JSON.stringify(got), b = JSON.stringify(wanted);
	ok(name, a === b);
	if (a !== b) line(`# got:    ${Array.isArray(got) ? got.slice(0, 12).join("\n#         ") : a}\n# wanted: ${b}`);
}
export const summary = () => (process.exitCode = failed ? 1 : 0);

export const until = (page, what, arg) => page.waitForFunction(what, { timeout: 20000, polling: 50 }, arg).then(() => true, () => false);

// page.seen: errors of the console and of scripts, and requests to any other server.
export function watch(page, url) {
	page.seen = [];
	page.on("console", (m) => m.type() === "error" && page.seen.push(`console: ${m.text()} ${m.location()?.url || ""}`));
	page.on("pageerror", (e) => page.seen.push(`script: ${e.stack}`));
	page.on("request", (r) => !r.url().startsWith(url) && !r.url().startsWith("data:") && page.seen.push(`elsewhere: ${r.url()}`));
}

export async function shoot(page, name) {
	const directory = process.env.ASHLAR_SCREENSHOTS;
	if (!directory) return;
	mkdirSync(directory, { recursive: true });
	await page.screenshot({ path: `${directory}/${name}.png` });
}

// Controls without a name (as Chromium's own accessibility tree computes it), ids twice, tables and pictures without.
export async function audit(page) {
	const tree = await page.accessibility.snapshot({ interestingOnly: false });
	const wrong = [];
	const roles = new Set(["button", "link", "textbox", "searchbox", "combobox", "checkbox", "spinbutton", "tab", "menuitem", "img", "table", "dialog", "region", "meter", "listbox"]);
	const visit = (node) => {
		if (roles.has(node.role) && !(node.name || "").trim()) wrong.push(`a ${node.role} has no name`);
		for (const child of node.children || []) visit(child);
	};
	if (tree) visit(tree);
	wrong.push(...(await page.evaluate(() => {
		const found = [];
		const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
		for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) found.push(`id '${id}' is there twice`);
		for (const e of document.querySelectorAll("[aria-labelledby]")) if (!document.getElementById(e.getAttribute("aria-labelledby"))) found.push(`nothing has the id ${e.getAttribute("aria-labelledby")}`);
		if (document.querySelectorAll("h1").length !== 1) found.push(`${document.querySelectorAll("h1").length} first headings`);
		if (!document.querySelector("main")) found.push("no main");
		return found;
	})));
	return [...new Set(wrong)];
}

// Texts below 4.5 : 1 (3 : 1 from 24 px, or bold from 18.66 px), over the backgrounds they stand on; WCAG 2.2, 1.4.3.
export const contrast = (page) => page.evaluate(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const known = new Map();
	const parse = (color) => {
		if (!known.has(color)) {
			canvas.clearRect(0, 0, 1, 1);
			canvas.fillStyle = color;
			canvas.fillRect(0, 0, 1, 1);
			const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
			known.set(color, [r, g, b, a / 255]);
		}
		return known.get(color);
	};
	const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
	const behind = (e) => {
		const layers = [];
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c[3] > 0) layers.push(c);
			if (c[3] === 1) break;
		}
		return layers.reverse().reduce((below, top) => over(top, below), parse(getComputedStyle(document.documentElement).backgroundColor));
	};
	const luminance = ([r, g, b]) => {
		const f = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
	};
	const wrong = new Set();
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node; (node = texts.nextNode()); ) {
		const e = node.parentElement;
		if (!node.data.trim() || !e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || e.closest("[aria-hidden=true], :disabled, option")) continue;
		const box = e.getBoundingClientRect();
		if (box.width < 2 || box.height < 2) continue;
		const style = getComputedStyle(e);
		let opacity = 1;
		for (let p = e; p; p = p.parentElement) opacity *= Number(getComputedStyle(p).opacity);
		const back = behind(e);
		const ink = parse(style.color);
		const fore = over([...ink.slice(0, 3), ink[3] * opacity], back);
		const [a, b] = [luminance(fore), luminance(back)].sort((x, y) => y - x);
		const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < (isLarge ? 3 : 4.5)) wrong.add(`${ratio.toFixed(2)} : 1, '${node.data.trim().slice(0, 30)}' (${e.tagName.toLowerCase()}.${e.className})`);
	}
	return [...wrong];
});

// What makes the page scroll sideways.
export const wide = (page) => page.evaluate(() => {
	const root = document.documentElement;
	if (root.scrollWidth <= root.clientWidth) return [];
	const found = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1).slice(-3);
	return [`${root.scrollWidth} px wide in ${root.clientWidth}: ${found.map((e) => `${e.tagName.toLowerCase()}.${e.className}`).join(", ")}`];
});

// Presses Tab all around: which controls were not reached, and which showed no focus?
export async function walk(page) {
	await page.evaluate(() => {
		document.activeElement.blur();
		window.reached = new Set();
		window.unseen = [];
	});
	const total = await page.evaluate(() => document.querySelectorAll("a[href], button:not(:disabled), input, select, textarea, summary, [tabindex='0']").length);
	for (let i = 0; i < total + 10; i++) {
		await page.keyboard.press("Tab");
		await page.evaluate(() => {
			const e = document.activeElement;
			if (e === document.body) return;
			window.reached.add(e);
			const style = getComputedStyle(e);
			if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1) window.unseen.push(`no focus is seen on ${e.tagName.toLowerCase()}.${e.className}`);
		});
	}
	return page.evaluate(() => {
		const shown = (e) => e.checkVisibility({ checkVisibilityCSS: true });
		const missed = [...document.querySelectorAll("a[href], button:not(:disabled), input, select, textarea, summary, [tabindex='0']")].filter((e) => shown(e) && e.tabIndex >= 0 && !window.reached.has(e));
		return [...new Set([...window.unseen, ...missed.map((e) => `not reached: ${e.tagName.toLowerCase()} '${e.textContent.trim().slice(0, 30)}'`)])];
	});
}
