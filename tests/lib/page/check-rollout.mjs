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

const fill = async (selector, value) => {
	await page.waitForSelector(selector);
	await page.$eval(selector, (e) => (e.value = ""));
	await page.type(selector, value);
};
const closed = () => until(page, () => !document.querySelector("dialog"));
const to = async (path) => {
	await page.goto(url + path);
	await until(page, () => document.querySelector("main h1") && !document.querySelector(".loading"));
};
const idOf = (version) => page.evaluate(async (v) => (await (await fetch("/v1/releases?limit=100")).json()).items.find((r) => r.version === v).id, version);

// A release that is added by hand, its marks, what changed, and who runs an old package.
async function releases() {
	await to("/releases");
	await page.click(".head .menu button");
	await click("Add a document by hand…");
	await page.waitForSelector("#ask-document");
	const made = await page.evaluate(async () => (await (await fetch(`/v1/releases/${(await (await fetch("/v1/releases")).json()).items[0].id}`)).json()).document);
	await page.$eval("#ask-document", (e, v) => {
		e.value = v;
		e.dispatchEvent(new Event("input", { bubbles: true }));
	}, JSON.stringify({ ...made, version: "4.0", commit: "4".repeat(64) }));
	await page.type("#ask-packages", "openssl 3.0.16");
	await click("Add", "dialog");
	ok("a package without an architecture is said", await until(page, () => /'openssl 3.0.16'/.test(document.querySelector("dialog .form-error")?.innerText)));
	await page.type("#ask-packages", "-1 amd64");
	await page.evaluate(() => [...document.querySelectorAll("dialog footer button")].at(-1).click());
	await closed();
	ok("a release is added by hand", await until(page, () => /4\.0/.test(document.querySelector("main table")?.innerText)));

	const [two, four] = [await idOf("2.0"), await idOf("4.0")];
	await to(`/releases/${two}?tab=diff`);
	await page.select("#diff-with", String(await idOf("1.0")));
	ok("what changed between two releases is shown", await until(page, () => /openssl[\s\S]*3\.0\.14-1[\s\S]*3\.0\.15-1[\s\S]*1 added[\s\S]*curl[\s\S]*1 removed[\s\S]*telnet/.test(document.querySelector(".diff")?.innerText)));
	is("difference: names", await audit(page), []);

	await to(`/releases/${four}`);
	for (const [item, field, words, shown] of [["Make it a barrier…", "", "", /barrier/], ["Mark as a dead end…", "#ask-dead_end", "the disk is laid out anew", /Dead end: the disk is laid out anew/], ["Withdraw…", "#ask-withdrawn", "it smells", /Withdrawn: it smells/]]) {
		await page.click(".head .menu button");
		await page.waitForSelector(".menu-list");
		for (let i = 0; i < 4 && (await page.evaluate(() => document.activeElement.textContent)) !== item; i++) await page.keyboard.press("ArrowDown");
		await page.keyboard.press("Enter");
		await page.waitForSelector("dialog");
		if (field) {
			await click("Save", "dialog");
			ok(`${item} needs its why`, Boolean(await page.$("dialog[open]")));
			await page.type(field, words);
		}
		await click("Save", "dialog");
		await closed();
		ok(`${item} is shown, by the keyboard alone`, await until(page, (re) => new RegExp(re).test(document.querySelector("main").innerText), shown.source));
	}
	ok("what is withdrawn is not rolled out", !(await page.$$eval("main .head a.button", (all) => all.map((a) => a.textContent))).includes("Roll out"));
	await shoot(page, "real-release-marks");
	await to(`/rollouts/new?release=${four}`);
	ok("nor offered for it", !(await page.$$eval("#new-release option", (all) => all.map((o) => o.text))).some((t) => t.includes("4.0")));
	page.seen.length = 0; // The dry run of what is withdrawn is refused: 409.
	await to(`/releases/${four}`);
	await page.click(".head .menu button");
	await click("Give it again…");
	await page.waitForSelector("dialog");
	await click("Save", "dialog");
	await closed();
	await page.click(".head .menu button");
	await click("Not a dead end any more…");
	await page.waitForSelector("dialog");
	await click("Save", "dialog");
	await closed();
	ok("marks are taken off again", await until(page, () => !document.querySelector("main .notice")));

	await to("/releases");
	await page.type("#package", "openssl");
	await page.type("#below", "3.0.15-1");
	await page.keyboard.press("Enter");
	ok("who runs a package below a version", await until(page, () => /20 hosts run openssl below 3\.0\.15-1/.test(document.querySelector("[aria-labelledby=who]").innerText)));
	await shoot(page, "real-package-search");
	await fill("#below", "3.0.14-1");
	await page.keyboard.press("Enter");
	ok("and that nobody does", await until(page, () => /No host runs openssl below 3\.0\.14-1/.test(document.querySelector("[aria-labelledby=who]").innerText)));
}

// Four hosts took it, and are sent back.
async function back() {
	await begin("2.0", "spring", async () => {
		await page.select("#new-growth", "2");
		await fill("#new-ring_pause", "3600");
		await page.$eval(".more-fields", (e) => (e.open = true));
		await fill("#new-lapse", "600");
	});
	ok("a rollout's patience is told", /Comes within\s*10 min/.test(await main()));
	ok("its first ring took it", await patiently(() => /4 confirmed/.test(document.querySelector(".wall li:last-child .stones")?.getAttribute("aria-label"))));
	await click("Pause");
	await page.waitForSelector("#ask-reason");
	await click("Pause", "dialog");
	await closed();
	await until(page, () => document.querySelector(".head .badge")?.innerText === "paused");
	await click("Revert");
	await page.waitForSelector("#ask-typed");
	const last = () => page.$eval("dialog footer button:last-child", (b) => b.disabled);
	ok("to revert, the count of hosts is typed", await last());
	await page.type("#ask-typed", "4");
	await page.keyboard.press("Enter");
	ok("and a reason is given", Boolean(await page.$("dialog[open]")));
	await page.type("#ask-reason", "the customer asked");
	await page.keyboard.press("Enter");
	await closed();
	ok("those that took it went back, and it says so", await patiently(() => /4\s*returned/.test(document.querySelector("main .legend")?.innerText)));
	await shoot(page, "real-rollout-reverted");
	is("reverted: names", await audit(page), []);
	is("reverted: contrast", await contrast(page), []);
	ok("and it ends by that", await patiently(() => document.querySelector(".head .badge")?.innerText === "reverted" && !/Revert|Cancel/.test(document.querySelector(".head .actions")?.innerText || "")));
}

async function begin(version, name, more = async () => {}) {
	await page.goto(`${url}/rollouts/new`);
	await page.waitForSelector("#new-release");
	await page.select("#new-release", await page.$eval("#new-release", (s, v) => [...s.options].find((o) => o.text.includes(` ${v},`)).value, version));
	await page.type("#new-name", name);
	await page.$eval("#new-soak", (e) => (e.value = ""));
	await page.type("#new-soak", "1");
	await more();
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

	await releases();
	await back();
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
