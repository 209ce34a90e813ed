// SPDX-License-Identifier: Apache-2.0
// pictures.mjs URL OUT: the pictures of docs/fleet-page.md, beside ASHLAR_MOCK_PLAIN=1 mock.mjs with 200 hosts.
import { open, login } from "./browser.mjs";

const [url, out] = process.argv.slice(2);
const press = (page, text, nth = 0) => page.evaluate((t, n) => [...document.querySelectorAll("main button")].filter((b) => b.textContent.trim() === t)[n].click(), text, nth);
const middle = (page, selector) => page.$eval(selector, (e) => e.scrollIntoView({ block: "center" }));
const fill = async (page, selector, value) => {
	await page.waitForSelector(selector);
	await page.$eval(selector, (e, v) => {
		e.value = v;
		e.dispatchEvent(new Event("input", { bubbles: true }));
	}, value);
};
const browser = await open();
const page = await browser.newPage();
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }, { name: "prefers-reduced-motion", value: "reduce" }]);
await page.setViewport({ width: 1280, height: 800 });
await login(page, url);
const bad = (await (await page.evaluateHandle(async () => (await (await fetch("/v1/hosts?limit=200")).json()).items.find((h) => h.state === "active" && h.version === "1.4.0" && h.labels.role === "edge").id)).jsonValue());

const PICTURES = [
	["overview", "/", 840], ["hosts", "/hosts?selector=site%20%3D%20bern", 560], ["host", `/hosts/${bad}`, 760], ["rollout", "/rollouts/q7f2k9d3m1xa", 700],
	["new-rollout", "/rollouts/new?release=5&selector=site%20%3D%20bern", 640, () => page.waitForSelector(".preview-rings")], ["workload", "/workloads/web", 900],
	["assignment", "/assignments/edge-web?version=2.0.0", 780, async () => {
		await page.waitForSelector("#widen");
		await page.click("#widen");
		await page.waitForSelector("#widen-reason");
	}],
	["log", `/hosts/${bad}`, 620, async () => {
		await page.waitForSelector(".workload");
		await press(page, "Log");
		await page.waitForFunction(() => document.querySelector(".logs pre")?.textContent.includes("GET"));
		await middle(page, ".logs");
	}],
	["import", "/access?tab=transfer", 700, async () => {
		await fill(page, "#import-yaml", "channels:\n  - name: stable\n    release: host/1.4.1\n    note: what everybody runs\nwebhooks:\n  - name: https://hooks.example/new\n    kinds: [rollout.halted]\n");
		await press(page, "What would it change?");
		await page.waitForSelector("[aria-labelledby=would]");
		await middle(page, "[aria-labelledby=would]");
	}],
	["device", "/devices/press-7?action=2", 760],
];
for (const [name, path, height, then] of PICTURES) {
	await page.setViewport({ width: 1280, height });
	await page.goto(url + path);
	await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector(".loading"));
	await then?.();
	await new Promise((done) => setTimeout(done, 500));
	await page.screenshot({ path: `${out}/fleet-${name}.png` });
}
await page.setViewport({ width: 360, height: 700 });
await page.goto(`${url}/hosts`);
await page.waitForSelector(".host-card");
await page.screenshot({ path: `${out}/fleet-phone.png` });
await browser.close();
