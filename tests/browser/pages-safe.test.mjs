// The page of a hub: what others write is text there, it is usable by everyone, and a flood does not fill it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./chromium.mjs";
import { jws, sign, within } from "./hub.mjs";
import { LOOKS, RULES, TOPIC, lists, openDebugger, openPage, publish, reads, shown, startHub, subscribe, violations } from "./page.mjs";

const limits = { timeout: 300_000 };
const MARKUP = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
const DETAIL = "https://mercure.rocks/authorization-detail";
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const look of Object.keys(LOOKS)) {
  for (const [kind, rule] of [["playground", "classic"], ["debugger", "modern"]]) {
    test(`axe finds nothing in a ${kind}, ${look}`, limits, async (t) => {
      const hub = await startHub(t, `${kind}\nanonymous\nsubscriptions\ntransport memory`, rule);
      // Axe adds elements to the page, which its policy forbids.
      const page = await openDebugger(t, browser, hub, look, { bypassCSP: true });
      assert.deepEqual(await violations(page), []);
      const token = sign({ aud: hub.url, actions: ["publish", "subscribe"], match: "*" }, hub.key);
      await page.fill("#token", token);
      await subscribe(page, TOPIC);
      await page.click("#watch");
      await publish(page, { data: '{"a":[1,2]}', type: "added" });
      await lists(page, 1);
      for (const summary of await page.$$("summary")) await summary.click();
      await page.click("#discover button");
      await reads(page, "#active", TOPIC);
      assert.deepEqual(await violations(page), []);
      const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.ok(!isWide, "nothing is beside the screen");
      await page.fill("#token", `${token}X`);
      await page.click("#subscribe button[type=submit]");
      await reads(page, "#connection", "Refused");
      assert.deepEqual(await violations(page), []);
    });
  }
}

test("the theme follows the system, or what is chosen", limits, async (t) => {
  const hub = await startHub(t, "debugger\nanonymous\ntransport memory");
  const page = await openDebugger(t, browser, hub, "dark, wide");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.selectOption("#theme", "light");
  const light = await ground();
  assert.notEqual(light, dark);
  await page.emulateMedia({ colorScheme: "light" });
  await page.selectOption("#theme", "dark");
  assert.equal(await ground(), dark);
  await page.selectOption("#theme", "");
  assert.equal(await ground(), light);
});

test("the keyboard reaches every control", limits, async (t) => {
  const hub = await startHub(t, "playground\ntransport memory");
  const page = await openDebugger(t, browser, hub);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the updates");
  await page.keyboard.press("Enter");
  assert.ok(page.url().endsWith("#updates"));
  await page.focus("#topics");
  for (let tab = 0; tab < 2; tab += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await reads(page, "#connection", "Connected");
  const unreachable = await page.$$eval("button, input, textarea, select, summary, a", (all) =>
    all.filter((one) => one.tabIndex < 0).map((one) => one.outerHTML),
  );
  assert.deepEqual(unreachable, []);
});

for (const rule of Object.keys(RULES)) {
  test(`markup and controls are text everywhere, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub);
    await page.click("#watch");
    await reads(page, "#active-said", "active");
    const topic = `urn:${MARKUP}`;
    await subscribe(page, topic);
    await reads(page, "#active", MARKUP);
    const data = `${MARKUP}\u001b[31mred\u202edesrever\u0085\u200b`;
    await publish(page, { topics: topic, data, type: MARKUP, id: `urn:${MARKUP}` });
    await lists(page, 1);
    const [update] = await shown(page);
    assert.equal(update.data, `${MARKUP}␛[31mred\\u{202E}desrever\\u{85}\\u{200B}`);
    assert.deepEqual([update.id, update.type], [`urn:${MARKUP}`, MARKUP]);
    await page.click("#list summary");
    assert.equal(await page.textContent("#list pre"), update.data);
    await page.fill("#last-event-id", `urn:${MARKUP}`);
    await subscribe(page, topic);

    const claims = { iss: MARKUP, aud: [MARKUP], sub: MARKUP, exp: 1, nbf: MARKUP, [MARKUP]: MARKUP };
    const details = [{ type: DETAIL, actions: ["subscribe"], topics: [{ match: MARKUP }] }];
    for (const more of [{ authorization_details: details }, { mercure: { publish: [MARKUP] } }]) {
      await page.fill("#token", jws({ alg: MARKUP, typ: `${MARKUP}\u202e` }, { ...claims, ...more }, hub.key));
      await reads(page, "#verdict", MARKUP);
    }
    await page.fill("#url", `/playground/${encodeURIComponent(MARKUP)}?body=${encodeURIComponent(MARKUP)}`);
    await page.click("#discover button");
    await reads(page, "#discovered pre", MARKUP);
    await page.fill("#url", `//${MARKUP}`);
    await page.click("#discover button");
    await page.fill("#publish-topics", topic);
    await page.click("#publish button[type=submit]");
    await reads(page, "#publish-said", "401");
    assert.equal(await page.evaluate(() => document.querySelectorAll("body img:not([src='icon.svg']), body script").length), 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  });

  test(`the inspector says what the hub says, ${rule}`, limits, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory", rule);
    const page = await openDebugger(t, browser, hub);
    for (const [name, token] of Object.entries(tokens(hub))) {
      const headers = { authorization: `Bearer ${token}` };
      const body = new URLSearchParams({ topic: "a" });
      const published = await fetch(hub.url, { method: "POST", headers, body });
      const read = await fetch(`${hub.url}?match=a`, { method: "HEAD", headers });
      await page.fill("#token", token);
      const verdicts = await page.$$eval(".verdicts li", (all) => all.map((one) => one.textContent));
      const said = (role) => verdicts.find((one) => one.startsWith(`As ${role}`));
      const isAccepted = (role) => said(role).startsWith(`As ${role}: accepted`);
      assert.equal(isAccepted("publisher"), published.ok, `${name}: ${published.status}, ${said("publisher")}`);
      assert.equal(isAccepted("subscriber"), read.ok, `${name}: ${read.status}, ${said("subscriber")}`);
    }
  });
}

/** Tokens that hubs accept or refuse for all kinds of reasons but the signature. */
function tokens(hub) {
  const now = Math.floor(Date.now() / 1000);
  const details = (more = {}) => [{ type: DETAIL, actions: ["publish", "subscribe"], topics: [{ match: "*" }], ...more }];
  const good = { iss: "https://localhost", aud: hub.url, sub: "s", client_id: "c", iat: now, exp: now + 3600, jti: "j" };
  const modern = (claims, header = {}) =>
    jws({ alg: "HS256", typ: "at+jwt", ...header }, { ...good, authorization_details: details(), ...claims }, hub.key);
  const older = (claims, header = {}) => jws({ alg: "HS256", typ: "JWT", ...header }, claims, hub.key);
  const grant = { mercure: { publish: ["*"], subscribe: ["*"] } };
  return {
    "good": modern({}),
    "typ of JWT": modern({}, { typ: "JWT" }),
    "typ in capitals": modern({}, { typ: "application/AT+JWT" }),
    "typ missing": modern({}, { typ: undefined }),
    "alg of another key": modern({}, { alg: "HS512" }),
    "alg none": modern({}, { alg: "none" }),
    "crit": modern({}, { crit: ["x"] }),
    "iss unknown": modern({ iss: "https://other.example" }),
    "iss missing": modern({ iss: undefined }),
    "aud of another hub": modern({ aud: "https://other.example/.well-known/mercure" }),
    "aud missing": modern({ aud: undefined }),
    "aud among others": modern({ aud: ["https://other.example", hub.url] }),
    "aud of a number": modern({ aud: [1] }),
    "exp missing": modern({ exp: undefined }),
    "exp passed": modern({ exp: now - 10 }),
    "exp of a string": modern({ exp: `${now + 3600}` }),
    "nbf ahead": modern({ nbf: now + 600 }),
    "no details": modern({ authorization_details: [] }),
    "details of another kind": modern({ authorization_details: [{ type: "x" }] }),
    "subscribe only": modern({ authorization_details: details({ actions: ["subscribe"] }) }),
    "publish only": modern({ authorization_details: details({ actions: ["publish"] }) }),
    "actions empty": modern({ authorization_details: details({ actions: [] }) }),
    "topics of strings": modern({ authorization_details: details({ topics: ["*"] }) }),
    "match_type unknown": modern({ authorization_details: details({ topics: [{ match: "a", match_type: "regexp" }] }) }),
    "0.x": older(grant),
    "0.x with an unknown iss": older({ ...grant, iss: "https://other.example" }),
    "0.x that expired": older({ ...grant, exp: now - 10 }),
    "0.x with exp of a string": older({ ...grant, exp: `${now + 3600}` }),
    "0.x under its other name": older({ "https://mercure.rocks/": grant.mercure }),
    "0.x without publish": older({ mercure: { subscribe: ["*"] } }),
    "0.x of objects": older({ mercure: { publish: [{ match: "*" }], subscribe: [{ match: "*" }] } }),
    "0.x of a string": older({ mercure: "publish" }),
    "0.x of numbers": older({ mercure: { publish: [1] } }),
    "without any claim": older({}),
    "a nested list of details": modern({ authorization_details: "[]" }),
    "two parts": modern({}).split(".").slice(0, 2).join("."),
    "claims of no JSON": `${modern({}).split(".")[0]}.${Buffer.from("[]").toString("base64url")}.${"A".repeat(43)}`,
  };
}

const SECONDS = Number(process.env.FLOOD_SECONDS ?? 10);
const RATE = 1000;

test(`${RATE} updates a second for ${SECONDS} s neither fill the page nor stop it`, { timeout: (SECONDS + 240) * 1000 }, async (t) => {
  const hub = await startHub(t, "playground\ntransport memory");
  const page = await openDebugger(t, browser, hub);
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    return (await session.send("Runtime.getHeapUsage")).usedSize;
  };
  await subscribe(page, TOPIC);
  const token = await page.inputValue("#token");
  const rounds = SECONDS * 10;
  let number = 0;
  let early;
  for (let round = 0; round < rounds; round += 1) {
    const next = new Promise((resolve) => setTimeout(resolve, 100));
    await batch(hub.url, token, number, RATE / 10);
    number += RATE / 10;
    if (round === Math.floor(rounds / 4)) early = await heap();
    if (round === Math.floor(rounds / 2)) {
      await page.fill("#search", `"number":${number - 1},`);
      await lists(page, 1);
      await page.fill("#search", "");
    }
    await next;
  }
  const received = () => reads(page, "#counts", `${number.toLocaleString("en-US")} received, 500 shown`);
  await within("every update", received(), 120);
  await lists(page, 500);
  const [newest] = await shown(page);
  assert.ok(newest.data.includes(`"number":${number - 1},`), newest.data);
  const late = await heap();
  assert.ok(late < early + (4 << 20), `the heap grew from ${early} to ${late} bytes`);
});

/** Publishes `count` updates in one request. */
async function batch(url, token, first, count) {
  const update = (_, index) => JSON.stringify({ topic: [TOPIC], data: JSON.stringify({ number: first + index, text: "x".repeat(200) }) });
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/x-ndjson" },
    body: Array.from({ length: count }, update).join("\n"),
  });
  assert.equal(response.status, 200, await response.text());
}
