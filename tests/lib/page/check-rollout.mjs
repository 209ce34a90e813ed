// SPDX-License-Identifier: Apache-2.0
// check-rollout.mjs URL TOKEN: a good release and a bad one are rolled out on the page, to twenty hosts that check in with
// ashlar-fleetd meanwhile; whoever looks does nothing but look.
import { open } from "./browser.mjs";
import { watch, until, audit, contrast, wide, ok, is, summary, shoot } from "./tools.mjs";

const [url, token] = process.argv.slice(2);
const browser = await open();
const context = await browser.createBrowserContext();
const page = await context.newPage();
const patiently = (what, arg) => page.waitForFunction(what, { timeout: 120000, polling: 100 }, arg).then(() => true, () => false);
const click = async (label, within = "main") => {
	const b = (await page.evaluateHandle((t, w) => [...document.querySelectorAll(`${w} button, ${w} a`)].find((e) => e.textContent.trim() === t), label, within)).asElement();
	if (!b) throw new Error(`there is no '${label}' in ${within}`);
	await b.click();
};
const main = () => page.$eval("main", (e) => e.innerText);

async function begin(version, name) {
	await page.goto(`${url}/rollouts/new`);
	await page.waitForSelector("#new-release");
	await page.select("#new-release", await page.$eval("#new-release", (s, v) => [...s.options].find((o) => o.text.includes(` ${v},`)).value, version));
	await page.type("#new-name", name);
	await page.$eval("#new-soak", (e) => (e.value = ""));
	await page.type("#new-soak", "1");
	ok(`${name}: the dry run says what would happen`, await until(page, () => /20\s*hosts/.test(document.querySelector("#preview").closest("section").innerText) && /at 4 hosts, the 2nd failure stops it/.test(document.querySelector("#preview").closest("section").innerText)));
	await until(page, () => !document.querySelector(".is-stale") && !document.querySelector(".form-end button").disabled);
	await page.click(".form-end button");
	ok(`${name}: it begins`, await until(page, (n) => document.querySelector("h1")?.textContent === n && document.querySelector(".wall"), name));
	await page.evaluate(() => (window.stays = true));
}

async function run() {
	await page.setViewport({ width: 1280, height: 900 });
	await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }, { name: "prefers-color-scheme", value: "light" }]);
	watch(page, url);
	await page.goto(`${url}/`);
	await page.waitForSelector("#login-name");
	await click("Use a token", ".login");
	await page.type("#login-token", token);
	await page.keyboard.press("Enter");
	await page.waitForSelector("#navigation");
	page.seen.length = 0;

	await begin("2.0", "autumn");
	ok("the first ring fills up live", await patiently(() => /4 confirmed/.test(document.querySelector(".wall li:last-child .stones")?.getAttribute("aria-label"))));
	await shoot(page, "real-rollout-running");
	ok("it finishes while one looks", await patiently(() => document.querySelector(".head .badge")?.innerText === "finished"));
	ok("all stones are laid", await until(page, () => [...document.querySelectorAll(".wall .stones i")].every((i) => /tone-(good|already)/.test(i.className))));
	ok("each decision was added in words", (await page.$$(".events li")).length >= 3);
	ok("the page was never loaded anew", await page.evaluate(() => window.stays));
	await click("Ledger");
	await page.waitForSelector(".ledger");
	await click("Replay it");
	ok("the ledger replays", await until(page, () => /lines agree/.test(document.querySelector("main").innerText)));
	await click("Hosts");
	ok("its hosts are listed by outcome", await until(page, () => /edge-\d+/.test(document.querySelector("table[aria-label=Hosts]")?.innerText)));

	await begin("3.0", "winter");
	ok("a bad release halts by itself, and it is said", await patiently(() => /It stopped by itself/.test(document.querySelector(".notice")?.innerText)));
	await shoot(page, "real-rollout-halted");
	ok("the failures are against their limit", await page.$eval(".gauge", (e) => /stops it/.test(e.innerText)));
	is("halted: names", await audit(page), []);
	is("halted: contrast", await contrast(page), []);
	await page.setViewport({ width: 360, height: 740 });
	is("halted: 360 px", await wide(page), []);
	await page.setViewport({ width: 1280, height: 900 });
	await page.goto(`${url}/`);
	ok("the overview asks for attention, with a link to it", await until(page, () => [...document.querySelectorAll(".attention a")].some((a) => /^\/rollouts\//.test(a.getAttribute("href")))));
	await shoot(page, "real-overview");
	await page.click(".attention a[href^='/rollouts/']");
	await until(page, () => document.querySelector("h1")?.textContent === "winter");
	await click("Cancel");
	await page.waitForSelector("#ask-reason");
	await page.type("#ask-reason", "it is bad");
	await page.click("dialog footer button:last-child");
	ok("it is cancelled with a reason", await until(page, () => document.querySelector(".head .badge")?.innerText === "cancelled"));
	const host = await page.evaluate(async () => (await (await fetch("/v1/rollouts")).json()).items[0].id).then((id) => page.evaluate(async (r) => (await (await fetch(`/v1/rollouts/${r}/hosts?outcome=failed`)).json()).items[0].host, id));
	await page.goto(`${url}/hosts/${host}`);
	ok("a host that failed says so", await until(page, () => /the web server did not start/.test(document.querySelector("main").innerText)));
	await shoot(page, "real-host-failed");
	await page.goto(`${url}/releases`);
	ok("releases say how many run them", await until(page, () => /2\.0/.test(document.querySelector("main table")?.innerText)));
	is("rollouts: no errors, nothing from elsewhere", page.seen, []);
}

try {
	await run();
} catch (error) {
	is("the rollouts run to their end", [error.stack, (await main().catch(() => "")).slice(0, 800)], []);
}
await browser.close();
summary();
