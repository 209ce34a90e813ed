// SPDX-License-Identifier: Apache-2.0
// look.mjs URL OUT [PATH THEME WIDTH HEIGHT NAME]…: pictures of the page, for whoever works on it.
import { open, login } from "./browser.mjs";

const [url, out, ...rest] = process.argv.slice(2);
const browser = await open();
try {
	const page = await browser.newPage();
	page.on("console", (m) => /error|warn/.test(m.type()) && console.log(m.type(), m.text()));
	page.on("pageerror", (e) => console.log("pageerror", e.stack));
	await page.setViewport({ width: 1280, height: 800 });
	await login(page, url);
	for (let i = 0; i + 4 < rest.length; i += 5) {
		const [path, theme, width, height, name] = rest.slice(i, i + 5);
		await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }]);
		await page.setViewport({ width: Number(width), height: Number(height) });
		await page.goto(url + path);
		await page.waitForFunction(() => !document.querySelector(".loading"), { timeout: 8000 }).catch(async () => console.log(path, "still loads:", await page.evaluate(() => document.querySelector(".loading")?.parentElement.outerHTML.slice(0, 400))));
		await new Promise((done) => setTimeout(done, 400));
		const size = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth, document.documentElement.scrollHeight]);
		if (size[0] > size[1]) console.log(`${path} is ${size[0]} wide, the window ${size[1]}`);
		await page.screenshot({ path: `${out}/${name}.png` });
	}
} finally {
	await browser.close();
}
