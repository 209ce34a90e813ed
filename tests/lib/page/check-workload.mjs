// SPDX-License-Identifier: Apache-2.0
// check-workload.mjs URL TOKEN HOST: workloads of a real publication, with ashlar-fleetd and hosts that check in: looked
// for, assigned, refused when they may touch more, and what a host says of them. Uses /workloads of NAME web: 1.0, and
// 2.0 which may touch more.
import { open } from "./browser.mjs";
import { watch, until, audit, contrast, wide, ok, is, summary, shoot } from "./tools.mjs";

const [url, token, host] = process.argv.slice(2);
const browser = await open();
const page = await (await browser.createBrowserContext()).newPage();
const text = (selector = "main") => page.$eval(selector, (e) => e.innerText);
const closed = () => until(page, () => !document.querySelector("dialog"));
const click = async (label, within = "main") => {
	const b = (await page.evaluateHandle((t, w) => [...document.querySelectorAll(`${w} button, ${w} a`)].find((e) => e.textContent.trim() === t), label, within)).asElement();
	if (!b) throw new Error(`there is no '${label}' in ${within}: ${(await text(within)).slice(0, 300)}`);
	await b.click();
};
const to = async (path) => {
	await page.goto(url + path);
	if (!(await until(page, () => document.querySelector("main h1") && !document.querySelector(".loading")))) throw new Error(`${path} does not finish loading`);
};
const ready = () => until(page, () => !document.querySelector(".is-stale") && !document.querySelector(".form-end button").disabled);
const looks = async (name) => {
	await shoot(page, `real-${name}`);
	const problems = [...(await audit(page)), ...(await contrast(page))];
	await page.setViewport({ width: 360, height: 740 });
	problems.push(...(await wide(page)));
	await page.setViewport({ width: 1280, height: 900 });
	is(`${name}: names, contrast, 360 px`, problems, []);
};

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

	await to("/workloads");
	await click("Look for them");
	ok("the publication's workloads are found", await until(page, () => /web[\s\S]*2\.0/.test(document.querySelector("table[aria-label=Workloads]")?.innerText)));
	await to("/workloads/web");
	ok("a version's report says what it may touch", await until(page, () => /8080/.test(document.querySelector("[role=tabpanel]").innerText)));
	await looks("workload");
	await click("Difference");
	await page.waitForSelector("#diff-with");
	await page.select("#diff-with", "1.0");
	ok("2.0 may touch more than 1.0", await until(page, () => /2\.0 may touch more than 1\.0/.test(document.querySelector("main").innerText)));

	await to("/assignments/new?workload=web&version=1.0");
	await page.focus("#assign-id");
	await page.keyboard.type("edge-web");
	await page.type("#assign-selector", "name = edge-1");
	await page.waitForSelector("#parameter-level");
	await page.type("#parameter-level", "12");
	ok("a value that is none is refused in the server's words", await until(page, () => /level/.test(document.querySelector("[aria-labelledby=preview] .form-error")?.innerText)));
	page.seen.length = 0;
	await page.keyboard.press("Backspace");
	ok("the preview counts the hosts", await until(page, () => /^1\s*host/.test(document.querySelector("[aria-labelledby=preview] .big")?.innerText)));
	await ready();
	await page.keyboard.press("Enter");
	ok("an assignment is made by the keyboard", await until(page, () => /edge-web[\s\S]*1\.0/.test(document.querySelector("table[aria-label=Assignments]")?.innerText)));

	await to("/rollouts/new?assignment=edge-web&version=2.0");
	ok("a rollout of a version that may touch more shows what", await until(page, () => /8080[\s\S]*wider/.test(document.querySelector(".wider")?.innerText)));
	page.seen.length = 0;
	await page.click("#widen");
	await page.waitForSelector("#widen-reason");
	await page.type("#widen-reason", "the port is wanted");
	await ready();
	await page.click(".form-end button");
	ok("with a reason it begins, and names its workload", await until(page, () => document.querySelector("h1")?.textContent === "web 2.0" && /assignment edge-web/.test(document.querySelector(".sub")?.innerText)));
	await looks("workload-rollout");
	await to("/assignments/edge-web");
	ok("while it moves, the assignment says so", await page.evaluate(async () => (await (await fetch("/v1/assignments/edge-web")).json()).rollout !== ""));
	await to("/rollouts");
	await page.click("table[aria-label=Rollouts] a.strong");
	await until(page, () => [...document.querySelectorAll("main .head button")].some((b) => b.textContent === "Cancel"));
	await click("Cancel");
	await page.waitForSelector("#ask-reason");
	await click("Cancel it", "dialog");
	await closed();
	ok("it is cancelled", await until(page, () => document.querySelector(".head .badge")?.innerText === "cancelled"));

	await to("/assignments/edge-web");
	is("it keeps its values", await page.$eval("#parameter-level", (e) => e.value), "1");
	await page.select("#assign-version", "2.0");
	ok("what may touch more is refused, and its changes are shown", await until(page, () => /8080[\s\S]*wider/.test(document.querySelector(".wider")?.innerText)));
	page.seen.length = 0;
	await looks("assignment-wider");
	await page.click("#widen");
	await page.waitForSelector("#widen-reason");
	await page.type("#widen-reason", "the port is wanted");
	await ready();
	await click("Give it to 1 host at once");
	ok("with a reason it goes on", await until(page, () => /edge-web[\s\S]*2\.0/.test(document.querySelector("table[aria-label=Assignments]")?.innerText)));

	await to(`/hosts/${host}`);
	ok("a host says what it runs, and why it is not what is wanted", await until(page, () => {
		const said = document.querySelector("[aria-labelledby=workloads]")?.innerText || "";
		return /web[\s\S]*1\.0[\s\S]*Wanted[\s\S]*2\.0[\s\S]*edge-web/.test(said) && document.querySelector(".workload-why");
	}));
	await click("Why?");
	ok("as a chain", await until(page, () => document.querySelectorAll(".workload .chain li").length > 2));
	await looks("host-workloads");
	await page.click(".workload .menu button");
	await click("Restart…");
	await page.waitForSelector("#ask-reason");
	await click("Restart", "dialog");
	await closed();
	ok("an order is given", await until(page, () => /workload-restart/.test(document.querySelector("[aria-labelledby=orders]")?.innerText)));
	await to(`/hosts?selector=${encodeURIComponent("workload.web = 1.0")}`);
	ok("hosts are found by what they run", await until(page, () => /edge-1/.test(document.querySelector(".grid")?.innerText) && !/edge-2/.test(document.querySelector(".grid").innerText)));

	await to("/workloads/web");
	await page.click("table[aria-label=Versions] .menu button");
	await click("Withdraw…");
	await page.waitForSelector("#ask-withdrawn");
	await page.type("#ask-withdrawn", "it smells");
	await click("Save", "dialog");
	await closed();
	ok("a version is withdrawn, with its why", await until(page, () => /withdrawn[\s\S]*it smells/.test(document.querySelector("table[aria-label=Versions]")?.innerText)));
	await to("/assignments/edge-web");
	await click("Remove");
	await page.waitForSelector("#ask-typed");
	await page.type("#ask-typed", "edge-web");
	await click("Remove", "dialog");
	ok("an assignment is removed", await until(page, () => document.querySelector("h1")?.textContent === "web" && /No host is to run it/.test(document.querySelector("main").innerText)));
	is("workloads: no errors, nothing from elsewhere", page.seen, []);
}

try {
	await run();
} catch (error) {
	is("the workloads run to their end", [error.stack, (await text().catch(() => "")).slice(0, 800)], []);
}
await browser.close();
summary();
