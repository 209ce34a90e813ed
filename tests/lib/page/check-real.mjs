// SPDX-License-Identifier: Apache-2.0
// check-real.mjs URL TOKEN DIRECTORY UPLOAD: the page against ashlar-fleetd itself: every view, and what an admin does on
// the first day, with hosts that join while one looks. UPLOAD is the server's content/ddi/upload.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { open } from "./browser.mjs";
import { watch, until, audit, contrast, wide, ok, is, summary, shoot } from "./tools.mjs";

const [url, token, directory, upload] = process.argv.slice(2);
const browser = await open();
const text = (page, selector = "main") => page.$eval(selector, (e) => e.innerText);
const closed = (page) => until(page, () => !document.querySelector("dialog"));

function post(path, body) {
	return new Promise((done, failed) => {
		const call = request(url + path, { method: "POST", rejectUnauthorized: false, headers: { "Content-Type": "application/json" } }, (answer) => {
			let all = "";
			answer.on("data", (part) => (all += part));
			answer.on("end", () => done({ status: answer.statusCode, body: JSON.parse(all || "{}") }));
		});
		call.on("error", failed);
		call.end(JSON.stringify(body));
	});
}

// As a device calls.
function fetchAs(path, options, body) {
	return new Promise((done, failed) => {
		const call = request(url + path, { rejectUnauthorized: false, ...options }, (answer) => {
			let all = "";
			answer.on("data", (part) => (all += part));
			answer.on("end", () => {
				let json = {};
				try {
					json = JSON.parse(all);
				} catch {
					// Some answers are empty.
				}
				done({ status: answer.statusCode, body: json });
			});
		});
		call.on("error", failed);
		call.end(body ? JSON.stringify(body) : undefined);
	});
}

// As ashlar-link joins.
function join(name, secret) {
	const key = `${directory}/${name}.key`, csr = `${directory}/${name}.csr`;
	execFileSync("openssl", ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=x", "-sha256"], { stdio: "ignore" });
	const instance = execFileSync("openssl", ["rand", "-hex", "16"]).toString().trim();
	return post("/v1/join", { token: secret, csr: readFileSync(csr, "utf8"), name, instance, facts: { cpus: 4, memory: 8589934592, arch: "amd64" } });
}

async function fresh() {
	const context = await browser.createBrowserContext();
	const page = await context.newPage();
	await page.setViewport({ width: 1280, height: 900 });
	await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }, { name: "prefers-color-scheme", value: "light" }]);
	watch(page, url);
	await page.goto(`${url}/`);
	await page.waitForSelector("#login-name");
	return page;
}
const to = async (page, path) => {
	await page.goto(url + path);
	if (!(await until(page, () => document.querySelector("main h1") && !document.querySelector(".loading")))) throw new Error(`${path} does not finish loading`);
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
const click = async (page, label, within = "main") => {
	const b = (await page.evaluateHandle((t, w) => [...document.querySelectorAll(`${w} button, ${w} a, ${w} summary`)].find((e) => e.textContent.trim() === t), label, within)).asElement();
	if (!b) throw new Error(`there is no '${label}' in ${within}: ${(await text(page, within)).slice(0, 300)}`);
	await b.click();
};
// The dialog's act; false, with the server's words, when it stays open.
const does = async (page, name, label) => {
	await click(page, label, "dialog");
	await until(page, () => !document.querySelector("dialog") || document.querySelector("dialog .form-error, dialog .secret"));
	const error = await page.$eval("dialog .form-error", (e) => e.innerText).catch(() => "");
	is(name, error, "");
	if (error) await page.keyboard.press("Escape");
};

// By the keyboard alone: Tab until it has the focus, then Enter.
async function press(page, label, within = "main") {
	for (let i = 0; i < 60; i++) {
		await page.keyboard.press("Tab");
		if (await page.evaluate((t, w) => document.activeElement.closest(w) !== null && document.activeElement.textContent.trim() === t, label, within)) return page.keyboard.press("Enter");
	}
	throw new Error(`Tab does not reach '${label}' in ${within}`);
}
const focused = (page, id) => until(page, (i) => document.activeElement?.id === i, id);

async function devices(page) {
	await page.evaluate(() => document.activeElement.blur());
	await page.keyboard.press("g");
	await page.keyboard.press("d");
	ok("g d leads to the devices, and there is none", await until(page, () => /There is no device yet/.test(document.querySelector("main").innerText)));
	await press(page, "New device");
	await focused(page, "ask-id");
	await page.keyboard.type("press-7");
	await page.keyboard.press("Enter");
	ok("a device is made by the keyboard, its token is shown", await until(page, () => /^[0-9a-f]{32}$/.test(document.querySelector("dialog .secret code")?.innerText)));
	const key = await text(page, "dialog .secret code");
	await press(page, "Close", "dialog");
	await closed(page);
	await to(page, "/devices?tab=modules");
	await press(page, "New module");
	await focused(page, "ask-name");
	await page.keyboard.type("firmware");
	await page.keyboard.press("Tab");
	await page.keyboard.type("2.1");
	await page.keyboard.press("Enter");
	await closed(page);
	ok("a module is made", await until(page, () => /no file so far/.test(document.querySelector(".channel")?.innerText)));
	writeFileSync(`${upload}/press.swu`, "thirteen byte");
	await press(page, "Add a file");
	await focused(page, "ask-filename");
	await page.keyboard.type("press.sw");
	await page.keyboard.press("Enter");
	ok("a file that is not there is said", await until(page, () => /press\.sw/.test(document.querySelector("dialog .form-error")?.innerText)));
	page.seen.length = 0;
	await page.focus("#ask-filename");
	await page.keyboard.press("End");
	await page.keyboard.type("u");
	await page.keyboard.press("Enter");
	await closed(page);
	ok("a file is added, with its size and digest", await until(page, () => /press\.swu[\s\S]*13 B/.test(document.querySelector(".channel table")?.innerText)));

	const ask = (path, more = {}) => fetchAs(path, { headers: { Authorization: `TargetToken ${key}`, Accept: "application/hal+json", ...more.headers }, method: more.method || "GET" }, more.body);
	is("the device asks with its token", (await ask("/DEFAULT/controller/v1/press-7")).status, 200);
	await to(page, "/devices/press-7");
	await press(page, "Install");
	await page.waitForSelector("#ask-modules");
	await page.focus("#ask-modules");
	await page.keyboard.press("Space");
	await page.select("#ask-kind", "soft");
	await shoot(page, "real-install");
	await press(page, "Install", "dialog");
	await closed(page);
	ok("an action is given, and shown", await until(page, () => /firmware[\s\S]*soft[\s\S]*running/.test(document.querySelector("table[aria-label=Actions]")?.innerText)));
	await page.click("table[aria-label=Actions] .menu button");
	await click(page, "Force…");
	await page.waitForSelector("#ask-reason");
	await does(page, "soft becomes forced", "Force");
	ok("and shown", await until(page, () => /forced/.test(document.querySelector("table[aria-label=Actions]")?.innerText)));
	const base = (await ask("/DEFAULT/controller/v1/press-7")).body;
	const at = new URL(base._links.deploymentBase.href);
	const deployment = (await ask(at.pathname + at.search)).body;
	is("the device is told the file and its digest", deployment.deployment.chunks[0].artifacts[0].filename, "press.swu");
	await page.click("table[aria-label=Actions] td.acts > button");
	await ask(`${at.pathname}/feedback`, { method: "POST", headers: { "Content-Type": "application/json" }, body: { id: deployment.id, status: { execution: "closed", result: { finished: "success" }, details: ["it presses again"] } } });
	ok("what the device says is shown without a question", await until(page, () => /finished/.test(document.querySelector("table[aria-label=Actions]")?.innerText) && /it presses again/.test(document.querySelector("[aria-labelledby=said]")?.innerText)));
	await shoot(page, "real-device");
	await click(page, "Install");
	await page.waitForSelector("#ask-modules");
	await page.click("#ask-modules");
	await does(page, "another is given", "Install");
	await until(page, () => document.querySelectorAll("table[aria-label=Actions] tbody tr").length === 2);
	await page.click("table[aria-label=Actions] .menu button");
	await click(page, "Cancel…");
	await page.waitForSelector("#ask-reason");
	await does(page, "and cancelled", "Cancel it");
	ok("which waits for the device", await until(page, () => /canceling/.test(document.querySelector("table[aria-label=Actions]")?.innerText)));
	is("devices: no error", page.seen, []);
}

// Out as a document, a change in it, a look, and in again.
async function transfer(page) {
	await to(page, "/access?tab=transfer");
	await click(page, "Show it");
	await page.waitForSelector("[aria-labelledby=export] pre");
	const yaml = await text(page, "[aria-labelledby=export] pre");
	ok("the export is shown, without a secret", /stable/.test(yaml) && /nights/.test(yaml) && !/argon2/.test(yaml));
	const put = (value) => page.$eval("#import-yaml", (e, v) => {
		e.value = v;
		e.dispatchEvent(new Event("input", { bubbles: true }));
	}, value);
	await put(yaml);
	await click(page, "What would it change?");
	ok("what was exported changes nothing", await until(page, () => /Nothing: the fleet is as/.test(document.querySelector("[aria-labelledby=would]")?.innerText)));
	await put("channels: [");
	await click(page, "What would it change?");
	ok("a document that is none is refused in words", await until(page, () => document.querySelector("[aria-labelledby=import] .form-error")?.innerText.length > 10));
	page.seen.length = 0;
	await put(yaml.replace("02:00-05:00", "03:00-06:00"));
	await click(page, "What would it change?");
	ok("a change is shown member by member before it is made", await until(page, () => /change[\s\S]*policy nights[\s\S]*- windows[\s\S]*02:00[\s\S]*\+ windows[\s\S]*03:00/.test(document.querySelector("[aria-labelledby=would]")?.innerText)));
	await shoot(page, "real-import");
	is("import: names", await audit(page), []);
	is("import: contrast", await contrast(page), []);
	await put(`${yaml}\n`);
	ok("a document that was changed since is not applied", await until(page, () => /look again/.test(document.querySelector("[aria-labelledby=would]")?.innerText) && document.querySelector("[aria-labelledby=would] button").disabled));
	await put(yaml.replace("02:00-05:00", "03:00-06:00"));
	await until(page, () => !document.querySelector("[aria-labelledby=would] button").disabled);
	await click(page, "Apply 1 change");
	await page.waitForSelector("#ask-typed");
	await page.type("#ask-typed", "1");
	await click(page, "Apply", "dialog");
	ok("it is applied", await until(page, () => /1 change was made/.test(document.querySelector("dialog")?.innerText)));
	await click(page, "Close", "dialog");
	await closed(page);
	await to(page, "/channels");
	ok("and so the policy is", /03:00-06:00/.test(await text(page)));
	is("import: no error", page.seen, []);
}

async function admin() {
	const page = await fresh();
	await click(page, "Use a token", ".login");
	await page.type("#login-token", token);
	await page.keyboard.press("Enter");
	ok("the first token logs in", await until(page, () => document.querySelector("#navigation")));
	page.seen.length = 0;
	ok("the stream is open", await until(page, () => document.querySelector(".link-live")));
	ok("an empty fleet says what to do", await until(page, () => /No host has joined/.test(document.querySelector("main").innerText)));

	await to(page, "/joining");
	await click(page, "New token");
	await page.waitForSelector("#ask-note");
	await page.type("#ask-note", "the first racks");
	await page.type("#ask-labels", "site=bern, channel=stable");
	await page.$eval("#ask-uses", (e) => (e.value = ""));
	await page.type("#ask-uses", "5");
	await page.click("#ask-needs_approval");
	await does(page, "a join token is made", "Make it");
	const secret = await text(page, ".secret code");
	ok("its host document has the secret and the fleet's CA", (await text(page, "dialog pre")).includes(secret) && /BEGIN CERTIFICATE/.test(await text(page, "dialog pre")));
	await click(page, "Close", "dialog");
	await closed(page);

	const names = ["web-bern-1", "web-bern-2"];
	const answers = [await join(names[0], secret), await join(names[1], secret)];
	is("hosts may ask to join with it", answers.map((a) => a.status), [202, 202]);
	ok("who waits is shown without a question", await until(page, () => document.querySelectorAll("table[aria-label='Hosts that wait'] tbody tr").length === 2));
	for (let i = 0; i < 2; i++) {
		await page.waitForSelector("table[aria-label='Hosts that wait'] button.primary");
		await page.click("table[aria-label='Hosts that wait'] button.primary");
		await page.waitForSelector("dialog");
		await does(page, `approved ${i + 1}`, "Approve");
		await until(page, (n) => document.querySelectorAll("table[aria-label='Hosts that wait'] tbody tr").length === n, 1 - i);
	}
	await shoot(page, "real-joining");

	await to(page, "/hosts");
	ok("they are among the hosts", await until(page, () => /web-bern-1/.test(document.querySelector(".grid")?.innerText)));
	await page.type("#filter", "site = bern and");
	ok("a selector's mistake is shown in the server's words", await until(page, () => /column \d+/.test(document.querySelector(".selector .form-error")?.innerText)));
	page.seen.length = 0;
	await page.type("#filter", " name = web-bern-2");
	ok("a selector counts", await until(page, () => document.querySelector(".selector-count").textContent === "1 host"));
	ok("and filters", await until(page, () => /web-bern-2/.test(document.querySelector(".grid")?.innerText) && !/web-bern-1/.test(document.querySelector(".grid").innerText)));

	const id = answers[0].body.id;
	await to(page, `/hosts/${id}`);
	ok("a host's page answers 'why not yet'", (await page.$$(".chain li")).length > 1);
	await click(page, "Check now");
	await page.waitForSelector("dialog");
	await does(page, "an order is given", "Look for updates now");
	ok("and shown", await until(page, () => /check/.test(document.querySelector("[aria-labelledby=orders]")?.innerText)));
	await click(page, "Edit labels");
	await page.waitForSelector("#ask-labels");
	await page.type("#ask-labels", "\nrack=7");
	await does(page, "labels are changed", "Save");
	ok("and shown", await until(page, () => /rack/.test(document.querySelector("main .labels").innerText)));
	await click(page, "More");
	await click(page, "Hold…");
	await page.waitForSelector("#ask-reason");
	await page.type("#ask-reason", "smells of smoke");
	await does(page, "it is held", "Hold");
	ok("and says why", await until(page, () => /smells of smoke/.test(document.querySelector(".notice")?.innerText)));
	await until(page, () => [...document.querySelectorAll("main button")].some((b) => b.textContent === "Release from hold"));
	await click(page, "Release from hold");
	await page.waitForSelector("#ask-reason");
	await does(page, "it is released", "Release");
	await shoot(page, "real-host");

	await to(page, "/hosts?selector=site%20%3D%20bern");
	await until(page, () => /2 hosts match/.test(document.querySelector(".sub")?.innerText));
	await click(page, "Act on all that match");
	await page.waitForSelector("#ask-typed");
	await page.type("#ask-typed", "2");
	await page.select("#ask-act", "labels");
	await page.waitForSelector("#ask-set");
	await page.type("#ask-set", "wave=1");
	await does(page, "a bulk act with its count", "Do it");
	ok("the rows follow", await until(page, () => /wave/.test(document.querySelector(".grid")?.innerText)));

	await to(page, "/channels");
	await click(page, "New channel");
	await page.waitForSelector("#ask-name");
	await page.type("#ask-name", "stable");
	await does(page, "a channel is made", "Save");
	ok("and shown", await until(page, () => /stable/.test(document.querySelector(".channel")?.innerText)));
	await click(page, "New policy");
	await page.waitForSelector("#ask-name");
	await page.type("#ask-name", "nights");
	await page.type("#ask-selector", "site = bern");
	await page.type("#ask-windows", "02:00-05:00 Europe/Zurich");
	await does(page, "a policy is made", "Save");
	ok("and shown", await until(page, () => /02:00-05:00/.test(document.querySelector("table[aria-label=Policies]")?.innerText)));

	await to(page, "/locks");
	await click(page, "New group");
	await page.waitForSelector("#ask-group");
	await page.type("#ask-group", "racks");
	await does(page, "a group of locks is made", "Save");
	ok("and shown", await until(page, () => /racks/i.test(document.querySelector("main").innerText)));

	await to(page, "/access");
	await click(page, "New operator");
	await page.waitForSelector("#ask-name");
	await page.type("#ask-name", "noor");
	await page.type("#ask-password", "correct horse battery");
	await page.select("#ask-role", "viewer");
	await does(page, "an operator is made", "Save");
	ok("and shown", await until(page, () => /noor/.test(document.querySelector("main table")?.innerText)));
	await to(page, "/access?tab=api-tokens");
	await click(page, "New API token");
	await page.waitForSelector("#ask-note");
	await page.type("#ask-note", "metrics");
	await does(page, "an API token is made", "Make it");
	ok("its secret is shown", Boolean(await page.$(".secret")));
	await click(page, "Close", "dialog");
	await closed(page);
	await to(page, "/access?tab=webhooks");
	await click(page, "New webhook");
	await page.waitForSelector("#ask-url");
	await page.type("#ask-url", "http://127.0.0.1:9/fleet");
	await page.type("#ask-kinds", "rollout.halted");
	await does(page, "a webhook is made", "Make it");
	await click(page, "Close", "dialog");
	await closed(page);

	await devices(page);
	await transfer(page);

	await to(page, "/hosts?by=site");
	ok("hosts are counted by a label", await until(page, () => /bern\s*2/.test(document.querySelector(".group-list")?.innerText)));

	await to(page, "/audit");
	await click(page, "Verify the chain");
	ok("the chain of the audit log holds", await until(page, () => /The chain holds/.test(document.querySelector(".notice")?.innerText)));
	ok("the newest is first, with its reason", /smells of smoke/.test(await text(page)));
	is("no error on the way", page.seen, []);

	const paths = ["/", "/hosts", `/hosts/${id}`, `/hosts/${id}?tab=history`, `/hosts/${id}?tab=journal`, `/hosts/${id}?tab=facts`, "/rollouts", "/rollouts/new", "/releases", "/channels", "/devices", "/devices?tab=modules", "/devices/press-7?action=1", "/joining", "/locks", "/access", "/access?tab=api-tokens", "/access?tab=webhooks", "/activity", "/audit"];
	for (const path of paths) {
		page.seen.length = 0;
		const problems = [];
		try {
			await page.setViewport({ width: 1280, height: 900 });
			await within(page, path);
			await shoot(page, `real${path.replace(id, "host").replace(/\W+/g, "-")}`);
			problems.push(...(await audit(page)), ...(await contrast(page)), ...(await page.$$eval("main .failure", (all) => all.map((e) => e.innerText))));
			await page.setViewport({ width: 360, height: 740 });
			problems.push(...(await wide(page)), ...page.seen);
		} catch (error) {
			problems.push(error.message);
		}
		is(`${path.replace(id, "HOST")}: no errors, nothing from elsewhere, names, contrast, 360 px`, problems, []);
	}
	return page;
}

async function viewer() {
	const page = await fresh();
	await page.type("#login-name", "noor");
	await page.type("#login-password", "correct horse battery");
	await page.keyboard.press("Enter");
	ok("the new operator logs in by name", await until(page, () => document.querySelector("#navigation")));
	await to(page, "/hosts");
	ok("a viewer sees hosts, and no act", !/Act on/.test(await text(page)));
	const change = async (old, next, again) => {
		for (const [id, value] of [["#ask-old", old], ["#ask-new", next], ["#ask-again", again]]) {
			await page.$eval(id, (e) => {
				e.value = "";
				e.dispatchEvent(new Event("input", { bubbles: true }));
			});
			await page.type(id, value);
		}
		await page.keyboard.press("Enter");
	};
	const refused = (words) => until(page, (w) => new RegExp(w).test(document.querySelector("dialog .form-error")?.innerText), words);
	await page.focus("[aria-label='Change your password']");
	await page.keyboard.press("Enter");
	await page.waitForSelector("#ask-old");
	await change("correct horse battery", "another horse battery", "another hose battery");
	ok("a new password is typed twice", await refused("twice the same"));
	await change("wrong horse battery", "another horse battery", "another horse battery");
	ok("the old one has to be right", await refused("old password is wrong"));
	is("own password: names", await audit(page), []);
	await change("correct horse battery", "another horse battery", "another horse battery");
	ok("one's own password is changed, and the session is over", await until(page, () => document.querySelector("#login-name") && !document.querySelector("dialog")));
	await page.type("#login-name", "noor");
	await page.type("#login-password", "another horse battery");
	await page.keyboard.press("Enter");
	ok("the new one logs in", await until(page, () => document.querySelector("#navigation")));
	await page.click("[aria-label='Log out']");
	await page.waitForSelector("#login-name");
	await page.reload();
	ok("after log-out the session is over", await until(page, () => document.querySelector("#login-name")));
}

for (const run of [admin, viewer]) {
	try {
		await run();
	} catch (error) {
		is(`${run.name} runs to its end`, [error.stack], []);
	}
}
await browser.close();
summary();
