// The module of clients/js in Chromium: tokens, lost updates, both generations, identities, several places in the history.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./chromium.mjs";
import { freePort, Hub, keys, sign } from "./hub.mjs";
import { application, contextOf, numbers, received, tab, untilStreams, WAYS } from "./module/tabs.mjs";

const TOPIC = "https://example.com/books/1";
const LIMIT = { timeout: 300_000 };
let browser, app;

before(async () => {
  [browser, app] = await Promise.all([launch(), application()]);
});

after(async () => {
  await browser?.close();
  app?.close();
});

const directives = (more = "anonymous") => `subscriptions\ndrain_timeout 1s\ncors_origins ${app.origin}\n${more}`;
const start = async (t, more) => Hub.start(t, await freePort(), directives(more));

/** A token of a subscriber for a number of seconds. */
const mint = (hub, seconds = 3600) =>
  sign({ aud: hub.url, actions: ["subscribe"], match: TOPIC, seconds }, keys.subscriber);

for (const way of ["SharedWorker", "a leading tab"]) {
  test(`a new token comes before the old one expires, by ${way}`, LIMIT, async (t) => {
    const hub = await start(t, "");
    const context = await contextOf(t, browser, way);
    const asked = [];
    await context.exposeBinding("mint", ({ page }, refused) => {
      asked.push({ page, refused });
      return mint(hub, asked.length < 3 ? 20 : 3600);
    });
    const setUp = { url: hub.url, topics: [TOPIC], mints: true };
    const pages = [];
    for (const _ of numbers(1, 3)) pages.push(await tab(context, app.origin, setUp));
    let count = 0;
    while (asked.length < 3) await hub.publishPrivately(TOPIC, `${++count}`);
    await hub.publishPrivately(TOPIC, `${++count}`);
    for (const page of pages) assert.deepEqual(await received(page, `${count}`), numbers(1, count));
    assert.deepEqual(await pages[0].evaluate(() => window.failures), []);
    assert.ok(asked.every(({ refused }) => !refused));
  });
}

test("one of three tabs is asked for the token", LIMIT, async (t) => {
  const hub = await start(t, "");
  const context = await contextOf(t, browser);
  let asked = 0;
  await context.exposeBinding("mint", () => (asked++, mint(hub)));
  const pages = [];
  for (const _ of numbers(1, 3)) pages.push(await tab(context, app.origin, { url: hub.url, topics: [TOPIC], mints: true }));
  await hub.publishPrivately(TOPIC, "1");
  for (const page of pages) assert.deepEqual(await received(page, "1"), ["1"]);
  assert.equal(asked, 1);
});

test("a refused token is asked for once more, and then after a while", LIMIT, async (t) => {
  const hub = await start(t, "");
  const context = await contextOf(t, browser);
  const asked = [];
  await context.exposeBinding("mint", (_, refused) => {
    asked.push(refused);
    return asked.length < 3 ? hub.token.slice(0, -9) : mint(hub);
  });
  const page = await tab(context, app.origin, { url: hub.url, topics: [TOPIC], mints: true });
  assert.deepEqual(asked, [false, true, false]);
  const failures = await page.evaluate(() => window.failures);
  assert.deepEqual(failures.map(({ status }) => status), [401]);
  await hub.publishPrivately(TOPIC, "1");
  assert.deepEqual(await received(page, "1"), ["1"]);
});

for (const way of Object.keys(WAYS)) {
  test(`a hub that lost its history says so to every tab, by ${way}`, LIMIT, async (t) => {
    const hub = await start(t, "anonymous\ntransport memory");
    const context = await contextOf(t, browser, way);
    const setUp = { url: hub.url, topics: [TOPIC] };
    const pages = [];
    for (const _ of numbers(1, 3)) pages.push(await tab(context, app.origin, setUp));
    const requested = await hub.publish(TOPIC, "1");
    for (const page of pages) await received(page, "1");
    const away = pages.pop();
    const url = away.url();
    await away.goto(`${app.origin}/empty`);
    hub.child.kill("SIGKILL");
    await hub.exited;
    const again = await hub.again(t, directives("anonymous\ntransport memory"));
    await again.publish(TOPIC, "2");
    for (const page of pages) {
      assert.deepEqual(await received(page, "2"), ["1", "2"]);
      assert.deepEqual(await page.evaluate(() => window.losses), [{ requested, answered: "earliest" }]);
    }
    await away.goto(url);
    await away.waitForFunction(() => window.losses?.length === 1);
    assert.deepEqual(await away.evaluate(() => window.losses), [{ requested, answered: "earliest" }]);
    assert.deepEqual(await received(away, "2"), ["1", "2"]);
  });
}

test("a stream that breaks before its first update may have lost some", LIMIT, async (t) => {
  const hub = await start(t);
  const page = await tab(await contextOf(t, browser), app.origin, { url: hub.url, topics: [TOPIC] });
  await hub.stop();
  await hub.again(t, directives());
  await page.waitForFunction(() => window.losses.length === 1);
  assert.deepEqual(await page.evaluate(() => window.losses), [{ requested: "", answered: "" }]);
});

test("on the classic rule with topics of 0.x, and a token of 0.x", LIMIT, async (t) => {
  const hub = await start(t, "");
  const context = await contextOf(t, browser);
  const template = "https://example.com/books/{id}";
  await context.exposeBinding("mint", () => hub.olderToken({ subscribe: [template] }));
  const setUp = { url: hub.url, topics: [template], mints: true, options: { generation: "0.x" } };
  const page = await tab(context, app.origin, setUp);
  await hub.publishPrivately(TOPIC, "1");
  await received(page, "1");
  const url = page.url();
  await page.goto(`${app.origin}/empty`);
  await hub.publishPrivately(TOPIC, "2");
  await page.goto(url);
  await hub.publishPrivately(TOPIC, "3");
  assert.deepEqual(await received(page, "3"), ["1", "2", "3"]);
  assert.deepEqual(await page.evaluate(() => window.losses), []);
});

test("patterns, several topics, and a place of the history on the modern rule", LIMIT, async (t) => {
  const issuer = `issuer https://issuer.example {\npublisher {\njwt "${keys.publisher}" HS256\n}\nsubscriber {\njwt "${keys.subscriber}" HS256\n}\n}`;
  const hub = await start(t, `anonymous\n${issuer}`);
  await hub.publish(TOPIC, "0");
  const id = await hub.publish("https://example.com/other", "0");
  await hub.publish("https://example.com/books/2", "1");
  await hub.publish("https://example.com/exact", "2");
  const topics = [{ urlpattern: "https://example.com/books/:id" }, "https://example.com/exact"];
  const setUp = { url: hub.url, topics, subscribe: { lastEventId: id } };
  const page = await tab(await contextOf(t, browser), app.origin, setUp);
  await hub.publish("https://example.com/books/é", "3");
  assert.deepEqual(await received(page, "3"), ["1", "2", "3"]);
  assert.deepEqual(await page.evaluate(() => window.losses), []);
});

for (const way of ["SharedWorker", "a leading tab"]) {
  test(`a tab that begins earlier in the history joins the others, by ${way}`, LIMIT, async (t) => {
    const hub = await start(t, "anonymous\nheartbeat 6s");
    const ids = [];
    for (const number of numbers(1, 20)) ids.push(await hub.publish(TOPIC, number));
    const context = await contextOf(t, browser, way);
    const begin = (lastEventId) => ({ url: hub.url, topics: [TOPIC], subscribe: { lastEventId } });
    const first = await tab(context, app.origin, begin(ids[14]));
    assert.deepEqual(await received(first, "20"), numbers(16, 20));
    // It is published to all the time, so what a new tab gets for itself and what all get overlap.
    const publishing = (async () => {
      for (const number of numbers(21, 200)) await hub.publish(TOPIC, number);
    })();
    const second = await tab(context, app.origin, begin(ids[4]), false);
    const third = await tab(context, app.origin, begin(ids[9]), false);
    const last = await tab(context, app.origin, begin(ids[19]));
    await publishing;
    assert.deepEqual(await received(second, "200"), numbers(6, 200));
    assert.deepEqual(await received(third, "200"), numbers(11, 200));
    assert.deepEqual(await received(first, "200"), numbers(16, 200));
    assert.deepEqual(await received(last, "200"), numbers(21, 200));
    await untilStreams(hub, TOPIC, 1);
    // The stream has no update after this one, so a heartbeat tells the new tab that it has everything.
    const unknown = await hub.publish("https://example.com/other", "0");
    const quiet = await tab(context, app.origin, begin(unknown));
    await untilStreams(hub, TOPIC, 1);
    await hub.publish(TOPIC, "201");
    assert.deepEqual(await received(quiet, "201"), ["201"]);
    assert.deepEqual(await received(first, "201"), numbers(16, 201));
  });
}

test("on plain HTTP, where there are no locks, tabs share by a worker", LIMIT, async (t) => {
  const elsewhere = await launch(["--disable-quic", "--host-resolver-rules=MAP app.example 127.0.0.1"]);
  t.after(() => elsewhere.close());
  const origin = app.origin.replace("127.0.0.1", "app.example");
  const hub = await Hub.start(t, await freePort(), `anonymous\nsubscriptions\ncors_origins ${origin}`);
  const context = await contextOf(t, elsewhere);
  const pages = [];
  for (const _ of numbers(1, 3)) pages.push(await tab(context, origin, { url: hub.url, topics: [TOPIC] }));
  assert.equal(await pages[0].evaluate(() => "locks" in navigator), false);
  await untilStreams(hub, TOPIC, 1);
  await hub.publish(TOPIC, "1");
  for (const page of pages) await received(page, "1");
  const url = pages[0].url();
  await pages[0].goto(`${origin}/empty`);
  await hub.publish(TOPIC, "2");
  await pages[0].goto(url);
  await hub.publish(TOPIC, "3");
  for (const page of pages) assert.deepEqual(await received(page, "3"), ["1", "2", "3"]);
  await Promise.all(pages.slice(1).map((page) => page.evaluate(() => window.hub.close())));
  await pages[0].close();
  await untilStreams(hub, TOPIC, 0);
});

test("other identities, and subscriptions that do not share, have other streams", LIMIT, async (t) => {
  const hub = await start(t);
  const context = await contextOf(t, browser);
  const setUp = { url: hub.url, topics: [TOPIC] };
  const pages = [];
  for (const options of [{ identity: "ann" }, { identity: "ann" }, { identity: "bob" }, { share: false }]) {
    pages.push(await tab(context, app.origin, { ...setUp, options }));
  }
  await untilStreams(hub, TOPIC, 3);
  await pages[3].evaluate(() => window.hub.subscribe("https://example.com/other", window.record));
  await untilStreams(hub, "https://example.com/other", 1);
  await hub.publish(TOPIC, "1");
  for (const page of pages) assert.deepEqual(await received(page, "1"), ["1"]);
});

test("a worker that the policy or the network refuses is replaced by a leading tab", LIMIT, async (t) => {
  const hub = await start(t);
  const context = await contextOf(t, browser);
  const setUp = (worker) => ({ url: hub.url, topics: [TOPIC], options: { worker } });
  const pages = [];
  for (const worker of ["/none.js", "https://elsewhere.example/worker.js"]) {
    pages.push(await tab(context, app.origin, setUp(worker)));
  }
  await untilStreams(hub, TOPIC, 1);
  await hub.publish(TOPIC, "1");
  for (const page of pages) assert.deepEqual(await received(page, "1"), ["1"]);
});
