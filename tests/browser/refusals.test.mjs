// A browser gives up for good at any status but 200. Each refusal of a stream that is for now only has the form from
// which it comes back by itself, at the hub and through nginx (docs/limits.md).

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Client } from "../proxies/client.mjs";
import { Hub, proxies, startProxy } from "../proxies/servers.mjs";
import { application, launch } from "./chromium.mjs";
import { freePort, within } from "./hub.mjs";

const TOPIC = "https://example.com/books/1";
const PATH = `/.well-known/mercure?${new URLSearchParams({ match: TOPIC })}`;
let browser, app;

before(async () => {
  [browser, app] = await Promise.all([launch(), application()]);
});

after(async () => {
  await browser?.close();
  app?.close();
});

/** Opens a stream on a separate connection; `undefined` if it is refused. */
async function hold(hub) {
  const asked = request({ host: "127.0.0.1", port: hub.port, path: PATH, agent: false }).end();
  const [answer] = await within("an answer", once(asked, "response"));
  answer.resume();
  asked.on("error", () => {});
  answer.on("error", () => {});
  if (answer.statusCode === 200) return asked;
  asked.destroy();
  return undefined;
}

/** What has the hub refuse streams, and returns what lets it serve them again. */
const REFUSALS = {
  "too many streams": {
    options: { max_streams_per_address: "2" },
    limit: "max_streams_per_address",
    refuse: async (hub) => {
      const held = await hold(hub);
      return () => held.destroy();
    },
  },
  "too many new streams": {
    options: { max_stream_rate_per_address: "20/m 2" },
    limit: "max_stream_rate_per_address",
    // The rate lets the next one in by itself.
    refuse: async (hub) => {
      (await hold(hub)).destroy();
      return () => {};
    },
  },
  "too many connections": {
    options: { max_connections: "10" },
    limit: "max_connections",
    refuse: async (hub) => {
      const held = [];
      for (let one = await hold(hub); one; one = await hold(hub)) held.push(one);
      return () => held.forEach((one) => one.destroy());
    },
  },
  "too many new connections": {
    options: { max_connection_rate: "30/m 10" },
    limit: "max_connection_rate",
    refuse: async (hub) => {
      for (let one = await hold(hub); one; one = await hold(hub)) one.destroy();
      return () => {};
    },
  },
};

/** Starts a hub and nginx in front of it, for the test `t`. */
async function start(t, options) {
  const folder = mkdtempSync(join(tmpdir(), "talaria-refusals-"));
  const hub = new Hub(folder, await freePort(), {
    anonymous: "",
    transport: "memory",
    cors_origins: app.origin,
    drain_timeout: "0s",
    ...options,
  });
  let proxy;
  t.after(async () => {
    await proxy?.program.stop();
    await hub.program?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await hub.start();
  const answers = ({ port, certificates }) => new Client({ port, ca: certificates(), protocol: "HTTP/1.1" }).ask({ path: "/healthz" });
  proxy = await startProxy(proxies.nginx, folder, hub, (started) =>
    within("an answer of nginx", retried(() => answers(started))),
  );
  // It takes the connection to the hub that nginx has kept, so that the page needs another one.
  const client = new Client({ port: proxy.port, ca: proxy.certificates(), protocol: "HTTP/1.1" });
  const stream = await client.subscribe("https://example.com/other");
  assert.equal(stream.status, 200);
  t.after(() => stream.close());
  return { hub, proxy };
}

async function retried(attempt) {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const origins = {
  directly: ({ hub }) => `http://127.0.0.1:${hub.port}`,
  "through nginx": ({ proxy }) => `https://localhost:${proxy.port}`,
};

/** Opens a page that listens, on which errors of certificates do not count. */
async function listens(t, url) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(app.origin);
  await page.evaluate((url) => {
    window.seen = [];
    window.failed = 0;
    window.source = new EventSource(url);
    window.source.onerror = () => window.failed++;
    window.source.onmessage = ({ data }) => window.seen.push(data);
  }, url);
  return page;
}

/** Publishes until the page has an update: nothing tells when it is back. */
async function receives(page, proxy) {
  const client = new Client({ port: proxy.port, ca: proxy.certificates(), protocol: "HTTP/2" });
  const until = performance.now() + 60_000;
  while (!(await page.evaluate(() => window.seen.length))) {
    assert.ok(performance.now() < until, "the page did not come back");
    try {
      await client.publish(TOPIC, "again");
    } catch {
      // The hub refuses connections, too.
    }
    await page.waitForTimeout(200);
  }
}

for (const [way, originOf] of Object.entries(origins)) {
  for (const [name, { options, limit, refuse }] of Object.entries(REFUSALS)) {
    test(`${name}: a page comes back by itself, ${way}`, { timeout: 120_000 }, async (t) => {
      const started = await start(t, options);
      const release = await refuse(started.hub);
      const page = await listens(t, originOf(started) + PATH);
      await started.hub.program.line(new RegExp(`limit="${limit}"`));
      // The error is the end of the stream that says why, and not for good.
      await page.waitForFunction(() => window.failed >= 1);
      assert.notEqual(await page.evaluate(() => window.source.readyState), 2, "the page gave up");
      release();
      await receives(page, started.proxy);
      assert.equal(await page.evaluate(() => window.source.readyState), 1);
    });
  }

  test(`a restart of the hub: a page comes back by itself, ${way}`, { timeout: 120_000 }, async (t) => {
    const started = await start(t, {});
    const page = await listens(t, originOf(started) + PATH);
    await receives(page, started.proxy);
    await started.hub.stop();
    await page.waitForFunction(() => window.source.readyState === EventSource.CONNECTING);
    await started.hub.start();
    await page.evaluate(() => (window.seen = []));
    await receives(page, started.proxy);
  });
}
