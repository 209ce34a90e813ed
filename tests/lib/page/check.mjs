// SPDX-License-Identifier: Apache-2.0
// check.mjs URL URL-OF-100,000-HOSTS: the page in a real browser, against mock.mjs. Prints "ok NAME" or "not ok NAME"
// with lines of "# why". ASHLAR_SCREENSHOTS=DIR keeps pictures.
import { open, login } from "./browser.mjs";
import { watch, until, audit, contrast, wide, walk, ok, is, summary, shoot } from "./tools.mjs";

const [url, big] = process.argv.slice(2);
const mock = async (path, body) => (await fetch(`${url}/mock/${path}`, { method: "POST", body: JSON.stringify(body || {}) })).json();
const calls = async (method) => (await mock("calls")).calls.filter((c) => !method || c.method === method);
const browser = await open();

async function fresh(name) {
	const context = await browser.createBrowserContext();
	const page = await context.newPage();
	await page.setViewport({ width: 1280, height: 900 });
	await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }, { name: "prefers-color-scheme", value: "light" }]);
	watch(page, url);
	if (name) await login(page, url, name);
	page.seen.length = 0; // Nobody was logged in: 401 is the answer.
	return page;
}
const to = async (page, path) => {
	await page.goto(url + path);
	await until(page, () => document.querySelector("main h1") && !document.querySelector(".loading"));
};
// As a link leads there: nothing is loaded anew, which costs most.
const within = async (page, path) => {
	await page.evaluate(async (to) => {
		history.pushState(null, "", to);
		dispatchEvent(new PopStateEvent("popstate"));
		for (let i = 0; i < 3; i++) await new Promise((done) => requestAnimationFrame(done));
	}, path);
	await until(page, () => document.querySelector("main h1") && !document.querySelector(".loading"));
};
const button = (page, text, within = "main") => page.evaluateHandle((t, w) => [...document.querySelectorAll(`${w} button, ${w} a, ${w} summary`)].find((b) => b.textContent.trim() === t), text, within);
const click = async (page, text, within) => {
	const b = (await button(page, text, within)).asElement();
	if (!b) throw new Error(`there is no '${text}' in ${within || "main"}`);
	await b.click();
};
const text = (page, selector = "main") => page.$eval(selector, (e) => e.innerText);
const closed = (page) => until(page, () => !document.querySelector("dialog"));
const fill = async (page, selector, value) => {
	await page.waitForSelector(selector);
	await page.$eval(selector, (e) => (e.value = ""));
	await page.type(selector, value);
};

async function logIn() {
	const page = await fresh();
	await page.goto(`${url}/hosts`);
	await page.waitForSelector("#login-name");
	await shoot(page, "login");
	await page.type("#login-name", "admin");
	await page.type("#login-password", "wrong");
	await page.keyboard.press("Enter");
	await page.waitForSelector(".form-error");
	ok("a wrong password is said", /not right/.test(await text(page, ".login")));
	is("log-in: controls have names", await audit(page), []);
	is("log-in: contrast", await contrast(page), []);
	page.seen.length = 0; // The refusals were meant to be.
	await page.$eval("#login-password", (e) => (e.value = ""));
	await page.type("#login-password", "correct horse");
	await page.keyboard.press("Enter");
	await page.waitForSelector("#navigation");
	await until(page, () => document.querySelector("h1")?.textContent === "Hosts");
	ok("after log-in one is where one wanted to be", page.url().endsWith("/hosts"));
	is("the session's cookie is not for scripts", await page.evaluate(() => document.cookie), "");
	await page.click("[aria-label='Log out']");
	await page.waitForSelector("#login-name");
	ok("log-out leads to the log-in", true);
	await page.goto(`${url}/`);
	await page.waitForSelector("#login-name");
	await click(page, "Use a token", ".login");
	await page.type("#login-token", "admin.secret");
	await page.keyboard.press("Enter");
	await page.waitForSelector("#navigation");
	ok("a token logs in too", true);
	await page.close();
}

const NAMES = { "/": "overview", "/hosts": "hosts", "/rollouts": "rollouts", "/rollouts/q7f2k9d3m1xa": "rollout", "/rollouts/b81mz0c4t6ye": "halted", "/rollouts/new?release=5": "new-rollout", "/releases": "releases", "/releases/5": "release", "/channels": "channels", "/workloads": "workloads", "/workloads?tab=assignments": "assignments", "/workloads/web": "workload", "/workloads/web?version=2.0.0&tab=diff&with=1.1.0": "wider", "/workloads/web?tab=definition": "definition", "/assignments/new?workload=web": "assign", "/assignments/edge-web": "assignment", "/rollouts/w5k0q2r8s4tu": "workload-rollout", "/devices": "devices", "/devices?tab=modules": "modules", "/devices/press-7?action=2": "device", "/hosts?by=site": "groups", "/joining": "joining", "/locks": "locks", "/access": "access", "/activity": "activity", "/audit": "audit" };

async function everyPage(hosts) {
	const page = await fresh("admin");
	const host = hosts[12].id;
	await to(page, "/");
	const paths = { ...NAMES, [`/hosts/${host}`]: "host", [`/hosts/${host}?tab=facts`]: "host-facts", "/releases/5?tab=diff&with=4": "diff", "/rollouts/q7f2k9d3m1xa?tab=hosts": "rollout-hosts", "/rollouts/q7f2k9d3m1xa?tab=ledger": "ledger", "/access?tab=webhooks": "webhooks", "/access?tab=api-tokens": "api-tokens", "/access?tab=transfer": "transfer", "/nowhere": "nowhere" };
	for (const [path, name] of Object.entries(paths)) {
		const problems = [];
		for (const theme of ["light", "dark"]) {
			await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }]);
			await page.setViewport({ width: 1280, height: 900 });
			if (theme === "light") await within(page, path);
			await shoot(page, `${name}-${theme}`);
			for (const c of await contrast(page)) problems.push(`${theme}: ${c}`);
		}
		problems.push(...(await audit(page)));
		await page.setViewport({ width: 360, height: 740 });
		await until(page, () => true);
		await shoot(page, `${name}-phone`);
		problems.push(...(await wide(page)), ...page.seen.splice(0));
		is(`${path.replace(host, "HOST")}: no errors, nothing from elsewhere, names, contrast, 360 px`, problems, []);
	}
	await page.close();
}

async function hostile(hosts) {
	const page = await fresh("admin");
	for (const i of [4, 5, 6]) {
		for (const path of [`/hosts/${hosts[i].id}`, "/hosts"]) {
			await to(page, path);
			const found = await page.evaluate(() => ({ title: document.title, scripts: [...document.querySelectorAll("main script, main img, [onerror], main iframe")].length }));
			ok(`name ${i - 3}: harmless at ${path.slice(0, 7)}`, !/^owned/.test(found.title) && found.scripts === 0);
			await page.setViewport({ width: 360, height: 740 });
			is(`name ${i - 3}: does not break 360 px at ${path.slice(0, 7)}`, await wide(page), []);
			await page.setViewport({ width: 1280, height: 900 });
			is(`name ${i - 3}: does not break 1280 px at ${path.slice(0, 7)}`, await wide(page), []);
		}
	}
	await to(page, `/hosts/${hosts[4].id}`);
	ok("markup in a name is shown as text", (await text(page, "h1")).includes("<script>"));
	await to(page, `/hosts/${hosts[4].id}?tab=journal`);
	ok("markup in a journal is shown as text", (await text(page, ".journal pre")).includes("<b>mkdir()</b>"));
	is("hostile names: no errors", page.seen, []);
	await page.close();
}

async function keyboard() {
	const page = await fresh("admin");
	await to(page, "/");
	await page.keyboard.press("Tab");
	is("the first stop is the skip link", await page.evaluate(() => document.activeElement.textContent), "To the content");
	ok("it is seen while it has the focus", await page.$eval(".skip", (e) => e.getBoundingClientRect().top >= 0));
	await page.keyboard.press("Enter");
	is("it leads to the content", await page.evaluate(() => document.activeElement.id), "main");
	is("Tab reaches every control of the overview, each with a visible focus", await walk(page), []);
	await page.evaluate(() => document.activeElement.blur());
	for (const [key, title] of [["h", "Hosts"], ["r", "Rollouts"], ["e", "Releases"], ["c", "Channels and policies"], ["j", "Joining"], ["w", "Workloads"], ["d", "Devices"], ["l", "Locks"], ["a", "Activity"], ["u", "Audit"], ["p", "Operators and access"], ["o", "Overview"]]) {
		await page.keyboard.press("g");
		await page.keyboard.press(key);
		ok(`g ${key}: ${title}`, await until(page, (t) => document.querySelector("h1")?.textContent === t, title));
	}
	await page.keyboard.press("/");
	ok("/ leads to the filter of hosts", await until(page, () => document.activeElement.id === "filter"));
	await page.keyboard.press("Escape");
	await page.keyboard.press("?");
	await page.waitForSelector("dialog[open]");
	is("the help's controls have names", await audit(page), []);
	await page.keyboard.press("Escape");
	ok("Escape closes the help", await closed(page));
	await to(page, "/rollouts/q7f2k9d3m1xa");
	await page.focus("#tab-decisions");
	await page.keyboard.press("ArrowRight");
	ok("arrows change tabs", await until(page, () => document.activeElement.id === "tab-hosts" && location.search === "?tab=hosts"));
	await page.focus("main .menu button, main h1").catch(() => {});
	is("keyboard: no errors", page.seen, []);
	await page.close();
}

async function hosts(all) {
	const page = await fresh("admin");
	await to(page, "/hosts");
	await fill(page, "#filter", "site = bern and ;");
	await page.waitForSelector(".selector.is-wrong .column mark");
	is("a mistake is shown at its column", await page.$eval(".selector .column mark", (e) => e.textContent), ";");
	page.seen.length = 0; // 400 is the answer.
	await fill(page, "#filter", "site = bern");
	ok("the count is shown while one types, and the address follows", await until(page, () => /^\d+ hosts$/.test(document.querySelector(".selector-count").textContent) && location.search.includes("site")));
	ok("the list is what matches", await until(page, () => {
		const rows = [...document.querySelectorAll(".grid tbody tr .labels")];
		return rows.length > 3 && rows.every((r) => r.textContent.includes("bern"));
	}));
	await page.reload();
	await until(page, () => document.querySelector("#filter")?.value === "site = bern");
	ok("the address holds the view", true);
	await to(page, "/hosts");
	await page.click(".chooser summary");
	await (await page.evaluateHandle(() => [...document.querySelectorAll(".chooser label")].find((l) => l.textContent === "Commit"))).click();
	ok("columns can be chosen", await until(page, () => [...document.querySelectorAll(".grid th")].some((t) => t.textContent === "Commit")));

	await to(page, "/hosts?selector=role%20%3D%20db");
	const n = all.filter((h) => h.labels.role === "db").length;
	await until(page, () => /\d+ hosts match/.test(document.querySelector(".sub")?.textContent));
	await click(page, "Act on all that match");
	await page.waitForSelector("dialog #ask-typed");
	const shown = Number((/Act on ([\d,]+) hosts/.exec(await text(page, "dialog h2")) || [])[1]);
	ok("a bulk act names how many", shown >= n);
	ok("it is not possible before the count is typed", await page.$eval("dialog footer button:last-child", (b) => b.disabled));
	await page.type("#ask-typed", String(shown + 1));
	ok("nor with another count", await page.$eval("dialog footer button:last-child", (b) => b.disabled));
	await fill(page, "#ask-typed", String(shown));
	await calls();
	await click(page, "Do it", "dialog");
	await closed(page);
	is("it calls the API right", (await calls("POST")).map((c) => [c.path, c.body]), [["/v1/hosts/bulk", { selector: "role = db", act: "order", expect: shown, verb: "check", argument: "" }]]);
	await to(page, "/hosts");
	await page.click(".grid tbody tr:not(.space) input");
	await page.click(".grid tbody tr:not(.space):nth-child(3) input");
	await click(page, "Act on them");
	await page.waitForSelector("#ask-typed");
	await page.type("#ask-typed", "2");
	await page.select("#ask-act", "hold");
	await click(page, "Do it", "dialog");
	await page.waitForSelector("dialog .form-error");
	ok("to hold needs a reason, and the dialog says so", /reason/.test(await text(page, "dialog .form-error")));
	await page.keyboard.press("Escape");
	await closed(page);
	// More than one selector has room for.
	await page.click(".grid th.pick input");
	await until(page, () => /^[\d,]+ selected$/.test(document.querySelector(".picked b")?.textContent));
	const chosen = parseInt(await text(page, ".picked b"), 10);
	await click(page, "Act on them");
	await page.waitForSelector("#ask-typed");
	await page.type("#ask-typed", String(chosen));
	await calls();
	await click(page, "Do it", "dialog");
	await closed(page);
	const sent = (await calls("POST")).filter((c) => c.path === "/v1/hosts/bulk").map((c) => c.body);
	is("many that were chosen one by one are all acted on", [chosen > 150, sent.reduce((sum, b) => sum + b.expect, 0) === chosen, sent.every((b) => b.selector.length <= 4096 && b.selector.split(" or ").length === b.expect)], [true, true, true]);
	is("hosts: no errors", page.seen, []);
	await page.close();
}

async function host(all) {
	const page = await fresh("admin");
	const h = all[12];
	await to(page, `/hosts/${h.id}`);
	is("'why not yet' marks the first condition that blocks", await page.$eval(".chain [aria-current=step] b", (e) => e.textContent), "window");
	await calls();
	await click(page, "Check now");
	await page.waitForSelector("dialog");
	await click(page, "Look for updates now", "dialog");
	await closed(page);
	is("an order calls the API right", (await calls("POST")).map((c) => [c.path, c.body]), [[`/v1/hosts/${h.id}/orders`, { verb: "check", argument: "" }]]);
	await click(page, "Edit labels");
	await page.waitForSelector("#ask-labels");
	await fill(page, "#ask-labels", "site=bern\nrack=7");
	await click(page, "Save", "dialog");
	await closed(page);
	const [call] = await calls("POST");
	is("labels: what is new is set, what is gone is removed", [call.body.set.rack, call.body.remove.sort()], ["7", ["channel", "role"]]);
	ok("the view follows by the stream", await until(page, () => /rack/.test(document.querySelector("main .labels").textContent)));
	await click(page, "More");
	await click(page, "Hold…");
	await page.waitForSelector("#ask-reason");
	await click(page, "Hold", "dialog");
	ok("hold without a reason is not sent", (await calls("POST")).length === 0 && Boolean(await page.$("dialog[open]")));
	await page.type("#ask-reason", "smells of smoke");
	await click(page, "Hold", "dialog");
	await closed(page);
	is("hold calls the API right", (await calls("POST")).map((c) => [c.path, c.body]), [[`/v1/hosts/${h.id}/hold`, { reason: "smells of smoke" }]]);
	ok("its reason is shown", await until(page, () => document.querySelector(".notice")?.textContent.includes("smells of smoke")));
	await click(page, "Release from hold");
	await page.waitForSelector("#ask-reason");
	await click(page, "Release", "dialog");
	await closed(page);
	ok("release-hold is called", (await calls("POST"))[0].path.endsWith("/release-hold"));
	await until(page, () => document.querySelector("main").textContent.includes("Check now"));
	await click(page, "More");
	await click(page, "Give a release by hand…");
	await page.waitForSelector("#ask-version");
	await page.select("#ask-version", "1.4.1");
	await click(page, "Give it", "dialog");
	await closed(page);
	is("a release by hand calls the API right", (await calls("POST")).map((c) => [c.path.slice(-8), c.body]), [["/release", { version: "1.4.1", verb: "update" }]]);
	await to(page, "/hosts/0123456789");
	ok("a host that is not there is said", /no such host/i.test(await text(page)));
	await page.close();
}

async function rollouts() {
	const page = await fresh("admin");
	await to(page, "/rollouts/new");
	await page.select("#new-release", "5");
	await page.type("#new-selector", "site = bern");
	ok("the dry run says the limits in words", await until(page, () => /at 16 hosts, the 3rd failure stops it/.test(document.querySelector("#preview")?.closest("section").textContent)));
	await page.type("#new-name", "a test");
	await page.select("#new-growth", "2");
	await page.type("#new-budgets", "site=10%, rack=1");
	await until(page, () => /Start with 4 hosts/.test(document.querySelector(".form-end button").textContent) && !document.querySelector(".form-end button").disabled && !document.querySelector(".is-stale"));
	await calls();
	await page.click(".form-end button");
	ok("a start leads to the rollout", await until(page, () => document.querySelector("h1")?.textContent === "a test"));
	const made = (await calls("POST")).find((c) => c.path === "/v1/rollouts")?.body;
	is("it calls the API right", [made?.release, made?.selector, made?.growth, made?.first, made?.budgets, made?.on_halt], [5, "site = bern", 2, 4, [{ label: "site", max: "10%" }, { label: "rack", max: 1 }], "hold"]);

	await to(page, "/rollouts/new");
	await page.select("#new-release", "5");
	await page.type("#new-selector", "site = basel");
	ok("another rollout of the same hosts is named", await until(page, () => /Another rollout has some of these hosts[\s\S]*spring \(1\.4\.1\)/.test(document.querySelector(".wider")?.innerText)));
	await shoot(page, "rollout-beside");
	ok("and keeps it from starting", await page.$eval(".form-end button", (b) => b.disabled));
	await page.click("#beside");
	await until(page, () => !document.querySelector(".form-end button").disabled);
	await calls();
	await page.click(".form-end button");
	await until(page, () => location.pathname === "/rollouts/n3w0r0ll0ut1");
	is("but when that is meant", (await calls("POST")).find((c) => c.path === "/v1/rollouts")?.body.beside, true);

	await to(page, "/rollouts/q7f2k9d3m1xa");
	await page.evaluate(() => (window.stays = true));
	const ring = () => page.$eval(".wall li:nth-last-child(3) .stones", (e) => e.getAttribute("aria-label"));
	ok("a ring says its outcomes", /21 confirmed, 13 offered/.test(await ring()));
	await mock("rollout", { id: "q7f2k9d3m1xa", change: { failures: 2, rings: [{ ring: 1, limit: 4, halts_at: 2, counts: { confirmed: 4 } }, { ring: 2, limit: 16, halts_at: 3, counts: { confirmed: 12 } }, { ring: 3, limit: 64, halts_at: 5, counts: { confirmed: 33, offered: 13, failed: 2 } }, { ring: 4, limit: 194, halts_at: 10, counts: { waiting: 130 } }] } });
	await calls();
	for (let i = 0; i < 20; i++) await mock("emit", { kind: "rollout.host", rollout: "q7f2k9d3m1xa", text: `confirmed, number ${i}`, data: { outcome: "confirmed", ring: 3 } });
	ok("the wall fills up live", await until(page, () => /33 confirmed, 13 offered, 2 failed/.test(document.querySelector(".wall li:nth-last-child(3) .stones").getAttribute("aria-label"))));
	ok("the failures against their limit too", /2 failures/.test(await text(page, ".gauge")));
	ok("each decision is added in words", await until(page, () => document.querySelector(".events").textContent.includes("confirmed, number 19")));
	const asked = (await calls("GET")).filter((c) => c.path === "/v1/rollouts/q7f2k9d3m1xa").length;
	ok(`twenty events are one or two questions (${asked})`, asked >= 1 && asked <= 2);
	ok("without loading the page again", await page.evaluate(() => window.stays));
	await click(page, "Pause");
	await page.waitForSelector("#ask-reason");
	await page.type("#ask-reason", "lunch");
	await calls();
	await click(page, "Pause", "dialog");
	await closed(page);
	is("pause calls the API right", (await calls("POST")).map((c) => [c.path, c.body]), [["/v1/rollouts/q7f2k9d3m1xa/pause", { reason: "lunch" }]]);
	ok("paused is shown with its reason", await until(page, () => /lunch/.test(document.querySelector(".notice")?.textContent)));
	await until(page, () => [...document.querySelectorAll("main button")].some((b) => b.textContent === "Resume"));
	await click(page, "Resume");
	await page.waitForSelector("#ask-reason");
	await click(page, "Resume", "dialog");
	ok("resume without a reason is not sent", (await calls("POST")).length === 0);
	await page.keyboard.press("Escape");
	await closed(page);
	await click(page, "Ledger");
	await page.waitForSelector(".ledger");
	await click(page, "Replay it");
	ok("a replay says whether it agrees", await until(page, () => /151 lines agree/.test(document.querySelector("main").textContent)));
	is("rollouts: no errors", page.seen, []);
	await page.close();
}

async function workloads(all) {
	const page = await fresh("admin");
	await to(page, "/assignments/edge-web");
	await until(page, () => /48|\d+\s*host/.test(document.querySelector("[aria-labelledby=preview] .big")?.innerText));
	ok("its values are there by name, and what is declared", (await page.$eval("#parameter-greeting", (e) => e.value)) === "grüezi" && Boolean(await page.$("#parameter-level[max='9']")) && Boolean(await page.$("select#parameter-mode")));
	await page.select("#assign-version", "2.0.0");
	ok("what may touch more is shown, change by change", await until(page, () => /\/dev\/ttyUSB0[\s\S]*wider/.test(document.querySelector(".wider")?.innerText)));
	page.seen.length = 0; // 409 is the answer.
	const last = () => page.$eval(".form-end button", (b) => b.disabled);
	ok("and nothing goes on so", await last());
	is("wider: names", await audit(page), []);
	is("wider: contrast", await contrast(page), []);
	await shoot(page, "assignment-wider-light");
	await page.setViewport({ width: 360, height: 740 });
	is("wider: 360 px", await wide(page), []);
	await page.setViewport({ width: 1280, height: 900 });
	await page.focus("#widen");
	await page.keyboard.press("Space");
	await page.waitForSelector("#widen-reason");
	ok("nor without a reason", await last());
	await page.type("#widen-reason", "the scale is wanted");
	await fill(page, "#assign-selector", "role = db");
	ok("how many hosts it is for is counted", await until(page, (n) => document.querySelector(".form-end button").textContent === `Give it to ${n} hosts at once`, all.whole.filter((h) => h.labels.role === "db").length));
	await fill(page, "#parameter-level", "3");
	await until(page, () => !document.querySelector(".is-stale") && !document.querySelector(".form-end button").disabled);
	await calls();
	await page.click(".form-end button");
	ok("a change leads to its workload", await until(page, () => document.querySelector("h1")?.textContent === "web"));
	const made = (await calls("PUT")).find((c) => !c.path.includes("dry_run"));
	is("it calls the API right", [made.path, made.body], ["/v1/assignments/edge-web", { version: "2.0.0", selector: "role = db", rank: 100, parameters: { greeting: "grüezi", level: 3 }, note: "the counters", expect: all.whole.filter((h) => h.labels.role === "db").length, widen: true, reason: "the scale is wanted" }]);
	page.seen.length = 0;
	await to(page, "/rollouts/new?assignment=canary-web&version=2.0.0");
	ok("a rollout asks the same", await until(page, () => /\/dev\/ttyUSB0/.test(document.querySelector(".wider")?.innerText)));
	page.seen.length = 0;
	await page.focus("#widen");
	await page.keyboard.press("Space");
	await page.type("#widen-reason", "the scale is wanted");
	await until(page, () => !document.querySelector(".is-stale") && !document.querySelector(".form-end button").disabled);
	ok("and keeps it in sight", Boolean(await page.$(".wider .touches")));
	await calls();
	await page.click(".form-end button");
	await until(page, () => !/new/.test(location.pathname));
	const spec = (await calls("POST")).find((c) => c.path === "/v1/rollouts").body;
	is("it calls the API right", [spec.assignment, spec.version, spec.widen, spec.reason, spec.release, spec.selector], ["canary-web", "2.0.0", true, "the scale is wanted", undefined, undefined]);

	const h = all[12];
	await to(page, `/hosts/${h.id}`);
	ok("a host says of its workloads what is not as wanted", await until(page, () => /2\.0\.0 failed here/.test(document.querySelector("[aria-labelledby=workloads]")?.innerText) && /untrusted|not of this fleet/.test(document.querySelector("[aria-labelledby=workloads]").innerText)));
	await page.click(".workload .menu button");
	await click(page, "Restart…");
	await page.waitForSelector("#ask-instance");
	await page.select("#ask-instance", "web@2");
	await calls();
	await click(page, "Restart", "dialog");
	await closed(page);
	is("restart calls the API right", (await calls("POST")).map((c) => [c.path, c.body]), [[`/v1/hosts/${h.id}/workloads/web`, { act: "restart", instance: "web@2" }]]);
	await click(page, "Why?");
	ok("why not is a chain", await until(page, () => document.querySelector(".workload .chain li.blocks")));
	await click(page, "Log");
	ok("its log is shown, as text", await until(page, () => /GET \/10 200/.test(document.querySelector(".logs pre")?.textContent) && document.querySelector(".logs pre").textContent.includes("<script>")));
	await mock("line", { text: "and one that comes now" });
	ok("and goes on live", await until(page, () => /comes now/.test(document.querySelector(".logs pre").textContent)));
	is("log: names", await audit(page), []);
	is("log: contrast", await contrast(page), []);
	await page.$eval(".logs", (e) => e.scrollIntoView({ block: "center" }));
	await shoot(page, "log-light");
	await page.setViewport({ width: 360, height: 740 });
	is("log: 360 px", await wide(page), []);
	await page.$eval(".logs", (e) => e.scrollIntoView({ block: "center" }));
	await shoot(page, "log-phone");
	await page.setViewport({ width: 1280, height: 900 });
	await click(page, "Stop");
	const open = async (n) => {
		for (let i = 0; i < 100; i++) if ((await mock("calls")).logs === n) return true;
		return false;
	};
	ok("to stop it ends the connection", await open(0));
	await click(page, "Follow");
	ok("and it can be followed again", (await open(1)) && (await until(page, () => /^Live/.test(document.querySelector(".logs-head").innerText))));
	await mock("line", { end: "the workload was removed" });
	ok("its end is said", await until(page, () => /Ended: the workload was removed/.test(document.querySelector(".logs-head").innerText)));
	await click(page, "Follow");
	await open(1);
	await to(page, "/workloads/web");
	ok("leaving ends it too", await open(0));
	await click(page, "Difference");
	await page.waitForSelector("#diff-with");
	await page.select("#diff-with", "1.1.0");
	ok("what another version may touch is compared", await until(page, () => /may touch more than 1\.1\.0/.test(document.querySelector("main").innerText)));
	is("workloads: no errors", page.seen, []);
	await page.close();
}

async function live(all) {
	const page = await fresh("admin");
	await to(page, "/hosts?selector=role%20%3D%20web");
	await until(page, () => document.querySelector(".link-live"));
	const h = all.find((x) => x.labels.role === "web" && x.state === "active" && x.name.startsWith("web"));
	await page.waitForSelector(`a[href='/hosts/${h.id}']`);
	await until(page, () => /host/.test(document.querySelector(".selector-count").textContent));
	await calls();
	await mock("emit", { kind: "host.report", host: h.id, text: "runs 9.9.9", data: { version: "9.9.9", health: "bad", to: "idle" } });
	ok("a host's row follows the stream", await until(page, (id) => {
		const row = document.querySelector(`a[href='/hosts/${id}']`)?.closest("tr").textContent;
		return row.includes("9.9.9") && row.includes("bad");
	}, h.id));
	is("without asking for anything", (await calls("GET")).map((c) => c.path), []);
	await mock("drop", { refuse: true });
	ok("a lost connection is said", await until(page, () => document.querySelector(".offline") && document.querySelector(".link-offline")));
	await shoot(page, "offline");
	is("the notice has contrast", await contrast(page), []);
	await mock("emit", { kind: "host.report", host: h.id, text: "runs 9.9.10", data: { version: "9.9.10", health: "good", to: "idle" } });
	await mock("fail", { path: "/v1/stream" });
	await page.click("#navigation .link");
	ok("it comes back, and what was missed is there", await until(page, (id) => !document.querySelector(".offline") && document.querySelector(`a[href='/hosts/${id}']`)?.closest("tr").textContent.includes("9.9.10"), h.id));
	const streams = (await mock("calls")).streams;
	is("there is one connection", streams, 1);
	page.seen.length = 0; // What was refused is in the console.
	await to(page, "/");
	await mock("emit", { kind: "host.back", host: h.id, text: "is back after a long walk" });
	ok("the overview's latest is added at its top", await until(page, () => document.querySelector(".events li")?.textContent.includes("long walk")));
	is("live: no errors", page.seen, []);
	const other = await fresh("noor");
	await to(other, "/hosts");
	const offered = (p, wanted) => until(p, (w) => document.querySelector(".link-live") && [...document.querySelectorAll("main button")].some((b) => b.textContent.startsWith("Act on")) === w, wanted);
	ok("an operator is offered acts", await offered(other, true));
	await mock("role", { name: "noor", role: "viewer" });
	ok("and not any more when that was taken away, without loading the page anew", await offered(other, false));
	await other.close();
	await page.close();
}

async function joining() {
	const page = await fresh("admin");
	await to(page, "/joining");
	await click(page, "New token");
	await page.waitForSelector("#ask-note");
	await page.type("#ask-note", "a test");
	await page.type("#ask-labels", "site=bern, canary");
	await calls();
	await click(page, "Make it", "dialog");
	await page.waitForSelector(".secret");
	is("a token calls the API right", (await calls("POST")).map((c) => c.body), [{ note: "a test", labels: { site: "bern", canary: "" }, uses: 1, expires_in: 86400, needs_approval: false }]);
	const shown = await text(page, "dialog");
	ok("its secret and the host document are shown", shown.includes("z9x8.5f1c0b7e2d9a4488") && shown.includes("token: z9x8.5f1c0b7e2d9a4488") && shown.includes("BEGIN CERTIFICATE"));
	is("the dialog has names", await audit(page), []);
	is("the dialog has contrast", await contrast(page), []);
	await shoot(page, "token");
	await page.keyboard.press("Escape");
	ok("what is shown once does not go by Escape", Boolean(await page.$("dialog[open] .secret")));
	await click(page, "Close", "dialog");
	await closed(page);
	ok("once only", !(await page.content()).includes("5f1c0b7e2d9a4488"));
	await click(page, "Approve");
	await page.waitForSelector("dialog .digest");
	await click(page, "Approve", "dialog");
	await closed(page);
	ok("approve is called", (await calls("POST")).some((c) => c.path.endsWith("/approve")));
	is("joining: no errors", page.seen, []);
	await page.close();
}

async function roles() {
	const page = await fresh("guest");
	for (const path of ["/hosts", "/rollouts", "/rollouts/q7f2k9d3m1xa", "/releases", "/channels", "/joining", "/locks", "/workloads", "/workloads?tab=assignments", "/workloads/web", "/assignments/edge-web", "/devices", "/devices?tab=modules", "/devices/press-7"]) {
		await within(page, path);
		const acts = await page.$$eval("main button, main a.button", (all) => all.map((b) => b.textContent.trim()).filter((t) => /^(New|Act on|Pause|Revert|Cancel|Resume|Approve|Revoke|Change|Remove|Roll out|Take the slot|Look for|Install|Add a file|Make|Assign|Save|Give|Log|Withdraw)($| )/.test(t)));
		is(`a viewer is offered no act at ${path}`, acts, []);
	}
	is("nor the places of admins", await page.$$eval("#navigation li a", (all) => all.map((a) => a.textContent).filter((t) => /Access|Audit/.test(t))), []);
	await to(page, "/audit");
	ok("who goes there is told", /for admins/.test(await text(page)));
	await page.close();
}

async function states() {
	const page = await fresh("admin");
	await mock("empty", { empty: true });
	for (const [path, words] of [["/", /No host has joined/], ["/hosts", /No host has joined/], ["/rollouts", /no rollout yet/], ["/releases", /no release yet/], ["/joining", /no join token/], ["/locks", /no group/], ["/workloads", /no workload yet/], ["/workloads?tab=assignments", /no assignment yet/], ["/assignments/new", /no workload to assign/], ["/devices", /no device yet/], ["/devices?tab=modules", /nothing to install/]]) {
		await (path === "/" ? to : within)(page, path);
		const main = await text(page);
		ok(`empty: ${path} says what to do`, words.test(main));
		if (path === "/") await shoot(page, "empty");
	}
	await mock("empty", { empty: false });
	await mock("fail", { path: "/v1/rollouts", status: 503 });
	await to(page, "/rollouts");
	ok("an error is said in the server's words", /locked by a long backup/.test(await text(page)));
	await mock("fail", { path: "/v1/rollouts" });
	await click(page, "Try again");
	ok("and can be tried again", await until(page, () => document.querySelector("main table")));
	await page.close();
}

async function many() {
	const page = await fresh();
	await login(page, big, "admin");
	page.seen.length = 0;
	await page.goto(`${big}/hosts`);
	await until(page, () => document.querySelectorAll(".grid tbody tr").length > 10);
	ok("100,000 hosts: how many there are is said", await until(page, () => /100,000/.test(document.querySelector(".sub")?.textContent)));
	for (let i = 0; i < 12; i++) {
		await page.$eval(".grid", (g) => (g.scrollTop = g.scrollHeight));
		await until(page, (n) => document.querySelector(".grid").scrollHeight / 34 > n, (i + 2) * 200 - 50);
	}
	const rows = await page.$$eval(".grid tbody tr:not(.space)", (r) => r.length);
	ok(`100,000 hosts: only those in sight are in the document (${rows})`, rows < 80);
	await page.$eval(".grid", (g) => (g.scrollTop = 34 * 1500));
	ok("100,000 hosts: any of those loaded can be scrolled to", await until(page, () => [...document.querySelectorAll(".grid tr[aria-rowindex]")].some((r) => Number(r.getAttribute("aria-rowindex")) === 1510)));
	is("100,000 hosts: no errors", page.seen.filter((s) => !/elsewhere/.test(s)), []);
	await page.close();
}

const all = (await mock("hosts")).hosts;
all.whole = (await mock("hosts", { all: true })).hosts;
const parts = { logIn, everyPage: () => everyPage(all), hostile: () => hostile(all), keyboard, hosts: () => hosts(all), host: () => host(all), rollouts, workloads: () => workloads(all), live: () => live(all), joining, roles, states, many };
const only = process.env.ASHLAR_PAGE_ONLY?.split(",");
for (const [name, run] of Object.entries(parts)) {
	if (only && !only.includes(name)) continue;
	try {
		await run();
	} catch (error) {
		is(`${name} runs to its end`, [error.stack], []);
	}
}
await browser.close();
summary();
