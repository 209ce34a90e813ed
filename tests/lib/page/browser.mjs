// SPDX-License-Identifier: Apache-2.0
// A headless Chromium, Debian's own, driven by puppeteer-core from build/node_modules.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "build", "package.json"));
const puppeteer = require("puppeteer-core");

export async function open(more = {}) {
	const home = mkdtempSync(join(process.env.TMPDIR || "/var/tmp", "ash-chromium."));
	const browser = await puppeteer.launch({
		executablePath: "/usr/bin/chromium", headless: true, userDataDir: home, acceptInsecureCerts: true, timeout: 120000, protocolTimeout: 120000,
		args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-default-browser-check", "--hide-scrollbars", "--force-color-profile=srgb"],
		env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home }, ...more,
	});
	const close = browser.close.bind(browser);
	browser.close = async () => {
		await close();
		rmSync(home, { recursive: true, force: true, maxRetries: 5 });
	};
	return browser;
}

export async function login(page, url, name = "admin", password = "correct horse") {
	await page.goto(`${url}/`);
	await page.waitForSelector("#login-name");
	await page.type("#login-name", name);
	await page.type("#login-password", password);
	await page.click(".login button.primary");
	await page.waitForSelector("#navigation");
}
