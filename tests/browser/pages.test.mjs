// Every control of the debugger and the playground does what it says, against a running hub (docs/debugger.md).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { launch, proxy } from "./chromium.mjs";
import { within } from "./hub.mjs";
import { RULES, TOPIC, lists, openDebugger, openPage, publish, reads, shown, startHub, subscribe } from "./page.mjs";

const run = promisify(execFile);
const OTHER = "https://example.com/books/2";
const limits = { timeout: 300_000 };
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const rule of Object.keys(RULES)) {
  const look = { classic: "light, wide", modern: "dark, phone" }[rule];

  test(`a visitor of a ${rule} playground subscribes and publishes without typing`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openPage(t, browser, new URL("/", hub.url).href, look);
    assert.equal(page.url(), `${hub.url}/debug/`);
    assert.equal(await page.title(), "Playground · Talaria");
    assert.ok(await page.isVisible("#banner"));
    await page.click("#subscribe button[type=submit]");
    await reads(page, "#connection", "Connected");
    await page.click("#publish button[type=submit]");
    await reads(page, "#publish-said", "Published");
    await lists(page, 1);
    const [update] = await shown(page);
    assert.match(update.data, /The Odyssey/);
    const token = await page.inputValue("#token");
    await page.click("#token-new");
    await page.waitForFunction((token) => document.querySelector("#token").value !== token, token);
  });

  test(`matchers, last event id and the end of a subscription, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub, look);
    assert.equal(await page.isVisible("#selector"), rule === "classic");
    await page.fill("#topics", "");
    await page.click("#subscribe button[type=submit]");
    await reads(page, "#subscribe-said", "at least one topic");

    await subscribe(page, `${TOPIC}\n\nurn:other\n`);
    const ids = await publish(page, { topics: `${TOPIC}\nurn:other\n${OTHER}`, data: "first" });
    await lists(page, 1);
    await page.selectOption("#lines", "each");
    const each = await publish(page, { topics: `${TOPIC}\nurn:other\n${OTHER}`, data: "each" });
    assert.equal(each.length, 3);
    await lists(page, 3);
    assert.deepEqual((await shown(page)).map(({ id }) => id), [each[1], each[0], ids[0]]);

    await page.click("#clear");
    await lists(page, 0);
    await page.fill("#last-event-id", "earliest");
    await subscribe(page, "https://example.com/books/:id", "match_urlpattern");
    await lists(page, 3);
    if (rule === "classic") {
      await subscribe(page, "https://example.com/{kind}/1", "topic");
      await lists(page, 5);
    }

    // The oldest of the list, after which the reader goes on.
    await page.click("#list > li:last-child summary");
    await page.click("#list > li:last-child [data-action=resume]");
    assert.equal(await page.inputValue("#last-event-id"), ids[0]);
    await page.click("#clear");
    await subscribe(page, TOPIC);
    await reads(page, "#subscribe-said", "goes on after the last event id");
    await lists(page, 1);
    await page.fill("#last-event-id", "never heard of");
    await subscribe(page, TOPIC);
    await reads(page, "#subscribe-said", "does not know the last event id");

    await page.click("#unsubscribe");
    await reads(page, "#connection", "Not connected");
    assert.ok(await page.isDisabled("#unsubscribe"));
  });

  test(`the list is searched, paused, opened and copied from, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub, look);
    await subscribe(page, TOPIC);
    const data = '{"long":12345678901234567890,"list":[1,{}],"text":"a\\"b"}';
    const [id] = await publish(page, { data, type: "added", retry: "2500", id: "urn:one" });
    await lists(page, 1);
    assert.equal(id, "urn:one");
    await page.click("#list summary");
    const opened = await page.textContent("#list pre");
    assert.equal(opened, '{\n  "long": 12345678901234567890,\n  "list": [\n    1,\n    {}\n  ],\n  "text": "a\\"b"\n}');
    const facts = await page.textContent("#list dl");
    for (const words of ["urn:one", "added", "2500 ms", "57 B"]) assert.ok(facts.includes(words), facts);
    for (const [action, text] of [["data", data], ["id", "urn:one"]]) {
      await page.click(`[data-action=${action}]`);
      await reads(page, `[data-action=${action}]`, "Copied");
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
    }
    await page.click("#list summary");
    await page.waitForSelector("#list pre", { state: "detached" });

    await publish(page, { data: "Needle" });
    await lists(page, 2);
    await page.fill("#search", "needle");
    await lists(page, 1);
    await publish(page, { data: "hay" });
    await publish(page, { data: "another needle" });
    await lists(page, 2);
    await page.fill("#search", "");
    await lists(page, 4);

    await page.click("#pause");
    await publish(page, { data: "meanwhile" });
    await reads(page, "#counts", "5 received, 4 shown, more have come since");
    await page.click("#pause");
    await lists(page, 5);
    await page.click("#clear");
    await reads(page, "#counts", "No update yet");
  });

  test(`the forms send what they say, and curl the same, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub, look);
    await subscribe(page, TOPIC);
    const token = await page.inputValue("#token");
    const data = "it's \"quoted\" $HOME `id` \\ \n\ttwo lines\u0001";
    await publish(page, { data, type: "a b", id: "urn:x'y", private: true });
    await lists(page, 1);
    const command = await page.evaluate(async () => {
      document.querySelector("#publish details").open = true;
      document.querySelector("#curl-copy").click();
      await new Promise((resolve) => setTimeout(resolve, 0));
      return navigator.clipboard.readText();
    });
    assert.ok(command.includes("$TOKEN") && !command.includes(token), command);
    const { stdout } = await run("bash", ["-c", command], { env: { PATH: process.env.PATH, TOKEN: token } });
    assert.equal(stdout.trim(), "urn:x'y");
    await lists(page, 2);
    const [one, other] = await shown(page);
    assert.deepEqual(one, other);
    assert.ok(one.data.includes("␊␉two lines␁"), one.data);

    // What only a token may read does not come without one, and what the hub refuses is in its words.
    await page.click("#token-clear");
    await subscribe(page, TOPIC);
    await page.click("#publish button[type=submit]");
    const refused = await reads(page, "#publish-said", "401");
    assert.ok(refused.length > "401: ".length, refused);
    await page.fill("#token", token);
    await publish(page, { data: "hidden", private: true });
    await publish(page, { data: "public" });
    await lists(page, 3);
    await page.fill("#retry", "soon");
    await page.click("#publish button[type=submit]");
    assert.match(await reads(page, "#publish-said", "400"), /retry/);
    await page.fill("#publish-topics", "");
    await page.click("#publish button[type=submit]");
    await reads(page, "#publish-said", "at least one topic");
    // A stream that is refused is given up.
    await page.fill("#token", `${token.slice(0, -4)}AAAA`);
    await page.click("#subscribe button[type=submit]");
    await reads(page, "#connection", "Refused");
    await reads(page, "#subscribe-said", "401 invalid_token");
  });

  test(`a token goes by header or cookie, to the hub alone, and stays nowhere, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub, look);
    const token = await page.inputValue("#token");
    for (const carrier of ["header", "cookie"]) {
      await page.check(`input[name="carrier"][value="${carrier}"]`);
      await subscribe(page, TOPIC);
      await publish(page, { data: carrier, private: true });
      await reads(page, "#list > li:first-child .preview", carrier);
      const sent = [];
      for (const request of page.asked) {
        const headers = await request.allHeaders();
        assert.ok(!request.url().includes(token) && !(headers.referer ?? "").includes(token));
        const { pathname } = new URL(request.url());
        if (headers.authorization?.includes(token) || headers.cookie?.includes(token)) sent.push(pathname);
      }
      assert.deepEqual([...new Set(sent)], ["/.well-known/mercure"]);
      page.asked.length = 0;
    }
    await page.click("#discover button");
    await reads(page, "#discovered", "Its hub is");
    const kept = await page.evaluate(async () => ({
      local: localStorage.length,
      session: sessionStorage.length,
      databases: (await indexedDB.databases()).length,
      caches: (await caches.keys()).length,
      cookie: document.cookie,
      url: location.href,
    }));
    assert.deepEqual(kept, { local: 0, session: 0, databases: 0, caches: 0, cookie: "", url: `${hub.url}/debug/` });
    assert.deepEqual(await page.context().cookies(), []);
    await page.fill("#token", `${token}X`);
    await page.reload();
    await page.waitForSelector("html[data-ready]");
    assert.notEqual(await page.inputValue("#token"), `${token}X`);
  });

  test(`a resource leads to its hub and topic, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub, look);
    await page.click("#discover button");
    const said = await reads(page, "#discovered", `Its hub is ${hub.url}`);
    assert.ok(said.includes("application/ld+json") && said.includes('"title": "The Odyssey"'), said);
    await page.click("#discovered .buttons button");
    assert.match(await page.inputValue("#topics"), /^http:\/\/127\.0\.0\.1:\d+\/playground\/books\/1\.jsonld\?body=/);
    await page.fill("#url", "/robots.txt");
    await page.click("#discover button");
    await reads(page, "#discovered", "It names no Mercure hub.");
    await page.fill("#url", "https://example.com/");
    await page.click("#discover button");
    await reads(page, "#discovered", "Only URLs of");
  });

  test(`the table of active subscriptions follows them, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub, look);
    const rows = () => page.$$eval("#active tr", (all) => all.map((row) => row.children[0].textContent).sort());
    const has = async (topics) => {
      const expected = ["/.well-known/mercure/subscriptions/*", ...topics].sort();
      await page.waitForFunction((count) => document.querySelectorAll("#active tr").length === count, expected.length);
      assert.deepEqual(await rows(), expected);
    };
    const older = await fetch(`${hub.url}?match=${encodeURIComponent("urn:before")}`);
    await page.click("#watch");
    await has(["urn:before"]);
    const parameter = rule === "classic" ? "topic" : "match";
    const newer = await fetch(`${hub.url}?${parameter}=${encodeURIComponent("urn:after")}`);
    await has(["urn:before", "urn:after"]);
    await subscribe(page, TOPIC);
    await has(["urn:before", "urn:after", TOPIC]);
    assert.ok((await page.textContent("#active")).includes('{"playground":true}'));
    await older.body.cancel();
    await has(["urn:after", TOPIC]);
    await newer.body.cancel();
    await has([TOPIC]);
    await page.click("#watch");
    await reads(page, "#active-said", "Stopped");
    assert.deepEqual(await rows(), []);
    await page.click("#token-clear");
    await page.click("#watch");
    await reads(page, "#active-said", "401");
  });
}

test("a stream comes back where it broke", limits, async (t) => {
  const hub = await startHub(t, "playground\ntransport memory");
  const between = await proxy(t, hub);
  const page = await openPage(t, browser, between.through(`${hub.url}/debug/`));
  await subscribe(page, TOPIC);
  await publish(page, { data: "before" });
  await lists(page, 1);
  await within("the proxy to go away", between.away());
  await reads(page, "#connection", "Reconnecting");
  hub.token = await page.inputValue("#token");
  await hub.publish(TOPIC, "meanwhile");
  await between.back();
  await reads(page, "#connection", "Connected");
  await lists(page, 2);
  assert.deepEqual((await shown(page)).map(({ data }) => data), ["meanwhile", "before"]);
});

test("why a hub ends a stream, or has no room for one, is shown in its words", limits, async (t) => {
  const hub = await startHub(t, "playground\ntransport memory\nmax_streams_per_address 1");
  const page = await openDebugger(t, browser, hub);
  const held = await fetch(`${hub.url}?match=a`);
  await page.click("#subscribe button[type=submit]");
  await reads(page, "#subscribe-said", "max_streams_per_address");
  await reads(page, "#connection", "Reconnecting");
  await held.body.cancel();
  await reads(page, "#connection", "Connected");
});

test("a debugger is not a playground, and says what it cannot do", limits, async (t) => {
  const hub = await startHub(t, "debugger\ntransport memory", "modern");
  const page = await openDebugger(t, browser, hub);
  assert.equal(await page.title(), "Debugger · Talaria");
  for (const hidden of ["#banner", "#token-new", "#selector", "#trouble"]) assert.ok(await page.isHidden(hidden), hidden);
  assert.ok(await page.isDisabled("#watch"));
  await reads(page, "#active-said", "`subscriptions` is off");
  await reads(page, "#verdict", "this hub refuses you");
  await page.fill("#topics", TOPIC);
  await page.click("#subscribe button[type=submit]");
  await reads(page, "#subscribe-said", "401");
});

test("the page is where files of 0.x have it", limits, async (t) => {
  const hub = await startHub(t, "demo\nanonymous\ntransport memory");
  const page = await openPage(t, browser, `${hub.url}/ui/`);
  await subscribe(page, TOPIC, "topic");
  await page.click("#discover button");
  await reads(page, "#discovered", "Its hub is");
});
