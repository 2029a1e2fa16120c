// The module of clients/js in Chromium: one stream for all tabs, of which nothing is lost or doubled.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./chromium.mjs";
import { freePort, Hub } from "./hub.mjs";
import { application, contextOf, numbers, received, tab, untilStreams, WAYS } from "./module/tabs.mjs";

const TOPIC = "https://example.com/books/1";
const OTHER = "https://example.com/books/2";
const TABS = 20;
const SHARED = ["SharedWorker", "a leading tab"];
const LIMIT = { timeout: 300_000 };
let browser, app;

before(async () => {
  [browser, app] = await Promise.all([launch(), application()]);
});

after(async () => {
  await browser?.close();
  app?.close();
});

const directives = (more = "") => `anonymous\nsubscriptions\ndrain_timeout 1s\ncors_origins ${app.origin}\n${more}`;
const start = async (t, more) => Hub.start(t, await freePort(), directives(more));
const setUp = (hub, more) => ({ url: hub.url, topics: [TOPIC], ...more });

/** Publishes `from` to `to` to the topic, one after the other. */
async function publish(hub, from, to, topic = TOPIC) {
  for (const number of numbers(from, to)) await hub.publish(topic, number);
}

/** Kills the process of a tab. */
async function crash(page) {
  const control = await page.context().newCDPSession(page);
  await Promise.race([control.send("Page.crash").catch(() => {}), page.waitForEvent("crash")]);
}

test("without the module the seventh tab hangs over HTTP/1.1", LIMIT, async (t) => {
  const hub = await start(t);
  const context = await contextOf(t, browser);
  const pages = await Promise.all(
    Array.from({ length: 7 }, async () => {
      const page = await context.newPage();
      await page.goto(`${app.origin}/empty`);
      await page.evaluate((url) => {
        window.seen = [];
        window.source = new EventSource(url);
        window.source.onmessage = ({ data }) => window.seen.push(data);
      }, hub.topic(TOPIC));
      return page;
    }),
  );
  const count = (expression) => Promise.all(pages.map((page) => page.evaluate(expression)));
  const sum = (each) => each.reduce((a, b) => a + b, 0);
  while (sum(await count(() => window.source.readyState)) < 6) await pages[0].waitForTimeout(20);
  await hub.publish(TOPIC, "1");
  while (sum(await count(() => window.seen.length)) < 6) await pages[0].waitForTimeout(20);
  assert.deepEqual((await count(() => window.source.readyState)).sort(), [0, 1, 1, 1, 1, 1, 1]);
  await untilStreams(hub, TOPIC, 6);
});

for (const way of SHARED) {
  test(`${TABS} tabs over HTTP/1.1 share one stream by ${way}, and each receives every update once`, LIMIT, async (t) => {
    const hub = await start(t);
    const context = await contextOf(t, browser, way);
    const pages = await Promise.all(Array.from({ length: TABS }, () => tab(context, app.origin, setUp(hub))));
    await untilStreams(hub, TOPIC, 1);
    await publish(hub, 1, 50);
    for (const page of pages) assert.deepEqual(await received(page, "50"), numbers(1, 50));
  });
}

for (const way of Object.keys(WAYS)) {
  test(`a tab that reloads misses nothing, by ${way}`, LIMIT, async (t) => {
    const hub = await start(t);
    const page = await tab(await contextOf(t, browser, way), app.origin, setUp(hub));
    await publish(hub, 1, 1);
    await received(page, "1");
    const url = page.url();
    await page.goto(`${app.origin}/empty`);
    await publish(hub, 2, 4);
    await page.goto(url);
    assert.deepEqual(await received(page, "4"), numbers(1, 4));
    const publishing = publish(hub, 5, 150);
    for (const _ of numbers(1, 3)) await page.reload();
    await publishing;
    assert.deepEqual(await received(page, "150"), numbers(1, 150));
  });
}

for (const way of SHARED) {
  test(`one of three tabs reloads and misses nothing, by ${way}`, LIMIT, async (t) => {
    const hub = await start(t);
    const context = await contextOf(t, browser, way);
    const pages = [];
    for (const _ of numbers(1, 3)) pages.push(await tab(context, app.origin, setUp(hub)));
    await publish(hub, 1, 1);
    for (const page of pages) await received(page, "1");
    const publishing = publish(hub, 2, 150);
    for (const page of [pages[1], pages[0], pages[1]]) await page.reload();
    await publishing;
    for (const page of pages) assert.deepEqual(await received(page, "150"), numbers(1, 150));
  });

  test(`a tab sleeps through more than is kept for it and misses nothing, by ${way}`, LIMIT, async (t) => {
    const hub = await start(t);
    const context = await contextOf(t, browser, way);
    const pages = [];
    for (const _ of numbers(1, 2)) pages.push(await tab(context, app.origin, setUp(hub)));
    await publish(hub, 1, 1);
    for (const page of pages) await received(page, "1");
    // The first tab leads, where one does.
    const control = await context.newCDPSession(pages[0]);
    await control.send("Page.setWebLifecycleState", { state: "frozen" });
    await publish(hub, 2, 700);
    assert.deepEqual(await received(pages[1], "700"), numbers(1, 700));
    await control.send("Page.setWebLifecycleState", { state: "active" });
    assert.deepEqual(await received(pages[0], "700"), numbers(1, 700));
    await publish(hub, 701, 702);
    for (const page of pages) assert.deepEqual(await received(page, "702"), numbers(1, 702));
  });

  test(`the tab dies that began the stream, by ${way}, and the others miss nothing`, LIMIT, async (t) => {
    const hub = await start(t);
    const context = await contextOf(t, browser, way);
    const pages = [];
    for (const _ of numbers(1, 4)) pages.push(await tab(context, app.origin, setUp(hub)));
    await publish(hub, 1, 1);
    for (const page of pages) await received(page, "1");
    const publishing = publish(hub, 2, 150);
    await crash(pages[0]);
    await pages[1].close();
    await publishing;
    for (const page of pages.slice(2)) assert.deepEqual(await received(page, "150"), numbers(1, 150));
    await untilStreams(hub, TOPIC, 1);
    // The topics of a tab that dies go with it.
    const other = await tab(context, app.origin, setUp(hub, { topics: [OTHER] }));
    await untilStreams(hub, OTHER, 1);
    await crash(other);
    await untilStreams(hub, OTHER, 0);
    await untilStreams(hub, TOPIC, 1);
  });

  for (const signal of ["SIGTERM", "SIGKILL"]) {
    test(`a hub restarts after ${signal}, and tabs that share by ${way} miss nothing`, LIMIT, async (t) => {
      const hub = await start(t);
      const context = await contextOf(t, browser, way);
      const pages = [];
      for (const _ of numbers(1, 3)) pages.push(await tab(context, app.origin, setUp(hub)));
      await publish(hub, 1, 20);
      hub.child.kill(signal);
      await hub.exited;
      const again = await hub.again(t, directives());
      await publish(again, 21, 40);
      for (const page of pages) assert.deepEqual(await received(page, "40"), numbers(1, 40));
      assert.deepEqual(await pages[0].evaluate(() => window.losses), []);
    });
  }

  test(`topics come and go while the stream runs, by ${way}, and nothing is lost or doubled`, LIMIT, async (t) => {
    const hub = await start(t);
    const context = await contextOf(t, browser, way);
    const [first, second] = [await tab(context, app.origin, setUp(hub)), await tab(context, app.origin, setUp(hub))];
    await publish(hub, 1, 1);
    await received(first, "1");
    const publishing = publish(hub, 2, 200);
    for (const number of numbers(1, 4)) {
      await second.evaluate((topic) => {
        window.others = [];
        window.other = window.hub.subscribe(topic, ({ data }) => window.others.push(data), {
          when: ({ data }) => data.startsWith("other"),
        });
      }, `${OTHER}-${number}`);
      await untilStreams(hub, `${OTHER}-${number}`, 1);
      await hub.publish(`${OTHER}-${number}`, `other ${number}`);
      await second.waitForFunction(() => window.others.length === 1);
      await second.evaluate(() => window.other.close());
    }
    await publishing;
    const own = (all) => all.filter((data) => !data.startsWith("other"));
    for (const page of [first, second]) assert.deepEqual(own(await received(page, "200")), numbers(1, 200));
    for (const number of numbers(1, 4)) {
      await untilStreams(hub, `${OTHER}-${number}`, 0);
    }
    await untilStreams(hub, TOPIC, 1);
  });
}

test("topics that the others gave up meanwhile are not missed by a tab that comes back", LIMIT, async (t) => {
  const hub = await start(t);
  const context = await contextOf(t, browser);
  const stays = await tab(context, app.origin, setUp(hub));
  const leaves = await tab(context, app.origin, setUp(hub, { topics: [OTHER] }));
  await publish(hub, 1, 1, OTHER);
  for (const page of [stays, leaves]) await received(page, "1");
  const url = leaves.url();
  await leaves.goto(`${app.origin}/empty`);
  await untilStreams(hub, OTHER, 0);
  await publish(hub, 2, 3, OTHER);
  await publish(hub, 4, 4);
  await received(stays, "4");
  await leaves.goto(url);
  await received(leaves, "3");
  await publish(hub, 5, 5, OTHER);
  assert.deepEqual(await received(stays, "5"), ["1", "4", "5"]);
  assert.deepEqual((await received(leaves, "5")).filter((data) => data !== "4"), ["1", "2", "3", "5"]);
});

test("a function that throws keeps no other from its updates", LIMIT, async (t) => {
  const hub = await start(t);
  const page = await tab(await contextOf(t, browser), app.origin, setUp(hub, { topics: [] }), false);
  await page.waitForFunction(() => window.hub);
  await page.evaluate((topic) => {
    window.reported = [];
    window.addEventListener("error", ({ message }) => window.reported.push(message));
    window.hub.subscribe(topic, () => JSON.parse("{"));
    window.hub.subscribe(topic, window.record);
  }, TOPIC);
  await page.waitForFunction(() => window.hub.state === "open");
  await publish(hub, 1, 2);
  assert.deepEqual(await received(page, "2"), ["1", "2"]);
  assert.equal(await page.evaluate(() => window.reported.length), 2);
});

test("a stream without a first update changes its topics and loses nothing", LIMIT, async (t) => {
  const hub = await start(t);
  const page = await tab(await contextOf(t, browser), app.origin, setUp(hub));
  const publishing = publish(hub, 1, 30);
  await page.evaluate((topic) => window.hub.subscribe(topic, () => {}), OTHER);
  await publishing;
  assert.deepEqual(await received(page, "30"), numbers(1, 30));
});

test("close ends the stream and frees locks and place", LIMIT, async (t) => {
  for (const way of SHARED) {
    const hub = await start(t);
    const page = await tab(await contextOf(t, browser, way), app.origin, setUp(hub));
    await publish(hub, 1, 1);
    await received(page, "1");
    await page.evaluate(() => window.hub.close());
    await untilStreams(hub, TOPIC, 0);
    const left = () => Object.keys(sessionStorage).filter((key) => key !== "seen");
    assert.deepEqual(await page.evaluate(left), []);
    // The worker keeps its lock: it lives as long as a tab that began it.
    const held = async () => (await navigator.locks.query()).held.length;
    assert.equal(await page.evaluate(held), way === "SharedWorker" ? 1 : 0);
  }
});
