// "Subscription": "The `EventSource` JavaScript interface MAY be used", and any other client of
// event streams. None of these clients knows Mercure.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";

import { EventSource } from "eventsource";

import { application, launch, listen, proxy } from "./chromium.mjs";
import { freePort, Hub, program, within } from "./hub.mjs";

const TOPIC = "https://example.com/books/1";
let browser, app;

before(async () => {
  [browser, app] = await Promise.all([launch(), application()]);
});

after(async () => {
  await browser?.close();
  app?.close();
});

const directives = () => `anonymous\ntransport memory\ndrain_timeout 1s\ncors_origins ${app.origin}`;

/** Starts a program that prints a stream, for the test `t`. */
function reader(t, command, args) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const lines = [];
  const interface_ = createInterface({ input: child.stdout });
  interface_.on("line", (line) => lines.push(line));
  const saying = async (text) => {
    while (!lines.some((line) => line.includes(text))) await once(interface_, "line");
  };
  return saying;
}

test("six tabs, npm eventsource, curl and talaria subscribe receive a public update", { timeout: 120_000 }, async (t) => {
  const hub = await Hub.start(t, await freePort(), directives());
  const url = hub.topic(TOPIC);
  const tabs = await Promise.all(Array.from({ length: 6 }, () => listen(browser, app.origin, url)));
  const source = new EventSource(url);
  await within("npm eventsource to open", once(source, "open"));
  const received = once(source, "message");
  const curl = reader(t, "curl", ["--no-buffer", "--silent", url]);
  // It does not say when it is connected, so it may begin with the update's replay.
  const own = reader(t, program, ["subscribe", hub.url, "--match", TOPIC, "--last-event-id", "earliest"]);
  await within("curl's first comment", curl(":"));
  const id = await hub.publish(TOPIC, "hello, tabs");
  for (const tab of tabs) {
    await tab.waitForFunction(() => window.seen.length === 1);
    assert.deepEqual(await tab.evaluate(() => window.seen), [{ data: "hello, tabs", lastEventId: id }]);
  }
  const [message] = await within("npm eventsource's message", received);
  assert.equal(message.data, "hello, tabs");
  assert.equal(message.lastEventId, id);
  await within("curl's update", curl("data: hello, tabs"));
  await within("talaria subscribe's update", own("hello, tabs"));

  source.close();
  await Promise.all(tabs.map((tab) => tab.close()));
  assert.equal(await hub.stop(), 0);
});

test("a page away for 1,000 updates resumes without gap or duplicate", { timeout: 120_000 }, async (t) => {
  const hub = await Hub.start(t, await freePort(), directives());
  const between = await proxy(t, hub);
  const page = await listen(browser, app.origin, between.through(hub.topic(TOPIC)));
  await hub.publish(TOPIC, "0");
  await page.waitForFunction(() => window.seen.length === 1);

  between.away();
  await page.waitForFunction(() => window.source.readyState === EventSource.CONNECTING);
  for (let number = 1; number <= 1000; number++) await hub.publish(TOPIC, `${number}`);
  await between.back();
  await page.waitForFunction(() => window.seen.length >= 1001);
  await hub.publish(TOPIC, "1001");
  await page.waitForFunction(() => window.seen.at(-1).data === "1001");

  const seen = await page.evaluate(() => window.seen.map(({ data }) => data));
  assert.deepEqual(seen, Array.from({ length: 1002 }, (_, number) => `${number}`));
  await page.close();
  assert.equal(await hub.stop(), 0);
});

test("a page comes back by itself when the hub drains and returns", { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  const first = await Hub.start(t, port, directives());
  const page = await listen(browser, app.origin, first.topic(TOPIC));
  await first.publish(TOPIC, "before");
  await page.waitForFunction(() => window.seen.length === 1);

  assert.equal(await first.stop(), 0);
  const second = await Hub.start(t, port, directives());
  await page.waitForFunction(() => window.opened === 2, undefined, { timeout: 60_000 });
  await second.publish(TOPIC, "after");
  await page.waitForFunction(() => window.seen.length === 2);
  assert.deepEqual(await page.evaluate(() => window.seen.map(({ data }) => data)), ["before", "after"]);
  await page.close();
  assert.equal(await second.stop(), 0);
});

// Clients of 0.x that send the token in the header, and each resume in another way (B-677, B-678).
const HEADER_CLIENTS = {
  "event-source-polyfill": async ({ url, token }) => {
    await import("/node_modules/event-source-polyfill/src/eventsource.js");
    const headers = { Authorization: `Bearer ${token}` };
    const source = new EventSourcePolyfill(url, { headers });
    source.onopen = () => window.opened++;
    source.onmessage = ({ data, lastEventId }) => window.seen.push({ data, lastEventId });
  },
  "@microsoft/fetch-event-source": async ({ url, token }) => {
    const { fetchEventSource } = await import("/node_modules/@microsoft/fetch-event-source/lib/esm/index.js");
    fetchEventSource(url, {
      headers: { Authorization: `Bearer ${token}` },
      openWhenHidden: true,
      onopen: async () => void window.opened++,
      onmessage: ({ data, id }) => window.seen.push({ data, lastEventId: id }),
      onclose: () => {
        throw new Error("come back");
      },
      onerror: () => 100,
    });
  },
};

for (const [name, open] of Object.entries(HEADER_CLIENTS)) {
  test(`npm ${name} receives a private update and resumes`, { timeout: 120_000 }, async (t) => {
    const hub = await Hub.start(t, await freePort(), directives());
    const between = await proxy(t, hub);
    const page = await browser.newPage();
    await page.goto(app.origin);
    await page.evaluate(() => ((window.seen = []), (window.opened = 0)));
    const topic = encodeURIComponent("https://example.com/books/{id}");
    const url = between.through(`${hub.url}?topic=${topic}`);
    await page.evaluate(open, { url, token: hub.olderToken({ subscribe: ["https://example.com/books/{id}"] }) });
    await page.waitForFunction(() => window.opened === 1);
    const first = await hub.publishPrivately(TOPIC, "1");
    await page.waitForFunction(() => window.seen.length === 1);
    assert.deepEqual(await page.evaluate(() => window.seen[0]), { data: "1", lastEventId: first });
    between.away();
    for (const data of ["2", "3"]) await hub.publishPrivately(TOPIC, data);
    await between.back();
    await page.waitForFunction(() => window.seen.length >= 3);
    assert.deepEqual(await page.evaluate(() => window.seen.map(({ data }) => data)), ["1", "2", "3"]);
    await page.close();
  });
}
