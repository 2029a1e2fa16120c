// The operations view in Chromium: what it shows is what the metrics say, in light and dark and at phone width.
// With SCREENSHOTS=1 it also makes the picture of docs/operations-view.md.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch } from "./chromium.mjs";
import { Hub, keys, program, within } from "./hub.mjs";

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const IMAGES = new URL("../../docs/images/", import.meta.url);
const PLAIN = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>`;
const MARKUP = `\u202e\u0007${PLAIN}`;

/** A hub whose rule is the classic or the modern one, with the address of its admin listener. */
async function start(t, directives, issuer = {}) {
  const folder = mkdtempSync(join(tmpdir(), "talaria-operations-"));
  const child = spawn(program, ["run"], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      NO_COLOR: "1",
      RUST_LOG: "info",
      TALARIA_LOG_FORMAT: "console",
      SERVER_NAME: "http://127.0.0.1:0",
      CADDY_ADMIN: "localhost:0",
      MERCURE_PUBLISHER_JWT_KEY: keys.publisher,
      MERCURE_SUBSCRIBER_JWT_KEY: keys.subscriber,
      MERCURE_EXTRA_DIRECTIVES: directives,
      ...issuer,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const said = [];
  const found = { port: undefined, admin: undefined };
  await within(
    "the hub to listen",
    new Promise((resolve, reject) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        said.push(line);
        found.port ??= /listening address="?\S*:(\d+)/.exec(line)?.[1];
        found.admin ??= / admin="?127\.0\.0\.1:(\d+)/.exec(line)?.[1];
        if (found.port && found.admin) resolve();
      });
      child.on("exit", (code) => reject(new Error(`the hub exited with ${code}:\n${said.join("\n")}`)));
    }),
  );
  const hub = new Hub(Number(found.port), child, undefined, folder);
  return Object.assign(hub, { admin: `http://localhost:${found.admin}` });
}

/** The sum of the series of a name, as the metrics say it. */
async function metric(hub, name) {
  const page = await (await fetch(`${hub.admin}/metrics`)).text();
  const lines = page.split("\n").filter((line) => line.split(/[{ ]/)[0] === name);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** Opens the view, and fails at a message of the console or a request that leaves the origin. */
async function open(t, hub, options = {}) {
  const browser = await launch();
  t.after(() => browser.close());
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const faults = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`page: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${hub.admin}/`) && !url.startsWith("data:")) faults.push(`asked ${url}`);
  });
  await page.goto(`${hub.admin}/`);
  await turns(page, 1);
  return { page, faults };
}

/** Waits until the page has read the metrics this often from now on. */
async function turns(page, more) {
  const count = () => Number(document.documentElement.dataset.turns ?? 0);
  const now = await page.evaluate(count);
  await page.waitForFunction((least) => Number(document.documentElement.dataset.turns ?? 0) >= least, now + more);
}

/** The newest value of a series of a chart. */
const newest = (page, chart, series) =>
  page.textContent(`[data-chart="${chart}"] output[data-series="${series}"]`);

/** The cells of the row of a table that begins with a text. */
const row = (page, table, first) =>
  page.$$eval(
    `#${table} tbody tr`,
    (rows, first) => {
      const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent));
      return texts.find(([cell]) => cell === first);
    },
    first,
  );

async function subscribe(t, hub, topic) {
  const controller = new AbortController();
  t.after(() => controller.abort());
  const answer = await fetch(hub.topic(topic), { signal: controller.signal });
  assert.equal(answer.status, 200);
  const read = async () => {
    for await (const chunk of answer.body) void chunk;
  };
  // It ends with the test.
  read().catch(() => {});
}

/** Things that happen to a hub: streams, publishes, refusals. */
async function busy(t, hub) {
  for (let stream = 0; stream < 3; stream += 1) await subscribe(t, hub, "news");
  for (let update = 0; update < 5; update += 1) await hub.publish("news", `${update}`);
  for (let refusal = 0; refusal < 7; refusal += 1) await fetch(hub.url, { method: "POST" });
}

for (const [rule, variables] of [
  ["classic", {}],
  ["modern", { MERCURE_TRUSTED_ISSUERS: "https://localhost" }],
]) {
  test(`the view shows what the metrics say (${rule} rule)`, { timeout: 300_000 }, async (t) => {
    const hub = await start(t, "anonymous\nbusiest_topics", variables);
    const { page, faults } = await open(t, hub);
    await busy(t, hub);
    await turns(page, 2);
    assert.equal(await newest(page, "connections", "streams"), String(await metric(hub, "talaria_hub_streams")));
    assert.equal(await newest(page, "connections", "streams"), "3");
    const hubs = await row(page, "of-hubs", "default");
    assert.equal(hubs[1], "ready");
    assert.equal(hubs[2], "3");
    const newestPosition = await metric(hub, "talaria_history_newest_position");
    assert.equal(hubs[6], String(newestPosition));
    // The publishes were between two reads: one of the next two had them.
    const drawn = (chart) => page.$$eval(`[data-chart="${chart}"] polyline`, (lines) => lines.length);
    for (const chart of ["connections", "publishes", "deliveries", "publish-time", "delivery-time", "refusals", "processor"]) {
      assert.ok((await drawn(chart)) > 0, `${chart} has a line`);
    }
    const limit = await row(page, "of-limits", "max_streams");
    assert.deepEqual([limit[2], limit[3]], ["3", "250 k"]);
    const refused = await page.$$eval("#of-reasons tbody tr", (rows) =>
      rows.map((row) => [...row.cells].map((cell) => cell.textContent)),
    );
    const missing = refused.find(([, reason]) => reason === "no_token");
    assert.deepEqual(missing, ["refused by a hub", "no_token", "7", "7"]);
    const recent = await page.$$eval("#of-refusals tbody tr", (rows) =>
      rows.map((row) => [...row.cells].map((cell) => cell.textContent)),
    );
    const times = recent.filter((cells) => cells[3] === "no_token").map((cells) => Number(cells[4]));
    assert.equal(times.reduce((sum, one) => sum + one, 0), 7);
    const topic = await row(page, "of-topics", "default");
    assert.deepEqual(topic.slice(1, 4), ["news", "5", "5"]);
    assert.deepEqual(faults, []);
  });
}

test("rates are those of the counters", { timeout: 300_000 }, async (t) => {
  const hub = await start(t, "anonymous");
  const { page, faults } = await open(t, hub);
  await subscribe(t, hub, "news");
  // Publishes go on until the page has shown a rate of each and a percentile.
  let isDone = false;
  const shown = page
    .waitForFunction(() => {
      const value = (chart) => document.querySelector(`[data-chart="${chart}"] output`).textContent;
      const isTime = (chart) => /^[\d.]+ (µs|ms|s)$/.test(value(chart));
      const isMoving = (chart) => parseFloat(value(chart)) > 0;
      return isMoving("publishes") && isMoving("deliveries") && isTime("publish-time") && isTime("delivery-time");
    })
    .finally(() => (isDone = true));
  while (!isDone) await hub.publish("news", "x");
  await shown;
  assert.deepEqual(faults, []);
});

test("Pause stops the reads, a hidden tab too, and keys reach everything", { timeout: 300_000 }, async (t) => {
  const hub = await start(t, "anonymous");
  const { page, faults } = await open(t, hub);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the charts");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "pause");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#status").textContent === "Paused");
  assert.equal(await page.getAttribute("#pause", "aria-pressed"), "true");
  await page.keyboard.press("Enter");
  await turns(page, 1);
  assert.equal(await page.textContent("#status"), "Live");
  assert.deepEqual(faults, []);
});

test("the page says that a hub is gone", { timeout: 300_000 }, async (t) => {
  const hub = await start(t, "anonymous");
  const { page } = await open(t, hub);
  hub.child.kill("SIGKILL");
  await page.waitForFunction(() => document.querySelector("#status").dataset.kind === "broken");
  assert.match(await page.textContent("#status"), /^The hub does not answer/);
});

test("markup in topics, claims and reasons is text", { timeout: 300_000 }, async (t) => {
  const hub = await start(t, "anonymous\nbusiest_topics");
  // No topic may hold a control character.
  const topic = `https://example.com/${PLAIN}`;
  await hub.publish(topic, MARKUP);
  const head = Buffer.from(JSON.stringify({ alg: MARKUP, typ: "at+jwt" })).toString("base64url");
  const token = [head, ...hub.token.split(".").slice(1)].join(".");
  await fetch(hub.url, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  await fetch(hub.url, { method: "POST", headers: { authorization: `Bearer ${hub.token}`, "content-type": PLAIN } });
  const { page, faults } = await open(t, hub);
  assert.equal((await row(page, "of-topics", "default"))[1], topic);
  const sentences = await page.$$eval("#of-refusals tbody tr", (rows) => rows.map((row) => row.cells[5].textContent));
  assert.ok(sentences.some((sentence) => sentence.includes("\\u{202e}\\u{7}<img src=x")), `${sentences}`);
  const found = await page.evaluate(() => ({
    hurt: window.hurt,
    scripts: document.querySelectorAll("script:not([src])").length,
    images: document.images.length,
  }));
  assert.deepEqual(found, { hurt: undefined, scripts: 0, images: 0 });
  assert.deepEqual(faults, []);
});

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { colorScheme: "light", viewport: { width: 375, height: 740 }, isMobile: true }],
]) {
  test(`axe finds nothing serious, and nothing is cut off (${name})`, { timeout: 300_000 }, async (t) => {
    const hub = await start(t, "anonymous\nbusiest_topics");
    await busy(t, hub);
    const { page, faults } = await open(t, hub, options);
    await busy(t, hub);
    await turns(page, 2);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
    const { wide, width } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      width: document.documentElement.clientWidth,
    }));
    assert.ok(wide <= width, `${wide} > ${width}`);
    assert.deepEqual(faults, []);
    if (name === "light" && process.env.SCREENSHOTS) {
      mkdirSync(IMAGES, { recursive: true });
      // What a minute of traffic looks like.
      const until = performance.now() + 60_000;
      while (performance.now() < until) {
        await hub.publish(["news", "weather", "sport"][Math.floor(Math.random() * 3)], "x");
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
      }
      // Neither the date nor the folder of this run belongs in the picture.
      await page.evaluate(() => {
        for (const id of ["program", "storage"]) document.getElementById(id).hidden = true;
      });
      await page.screenshot({ path: fileURLToPath(new URL("operations-view.png", IMAGES)) });
    }
  });
}
