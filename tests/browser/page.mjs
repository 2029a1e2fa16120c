// The page of a hub, opened as a visitor would, under a watch over all that it asks and says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { Hub, freePort } from "./hub.mjs";

const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const KEY = "one key of publishers and subscribers, of 32 bytes or more";

export const TOPIC = "https://example.com/books/1";

/** The rules under which the page is tested, with the variables that choose them. */
export const RULES = { classic: {}, modern: { MERCURE_TRUSTED_ISSUERS: "https://localhost" } };

/** The looks in which the page is tested. */
export const LOOKS = {
  "light, wide": { colorScheme: "light", viewport: { width: 1280, height: 1400 } },
  "dark, wide": { colorScheme: "dark", viewport: { width: 1280, height: 1400 } },
  "light, phone": { colorScheme: "light", viewport: { width: 390, height: 844 } },
  "dark, phone": { colorScheme: "dark", viewport: { width: 390, height: 844 } },
};

/** Starts a hub with these directives, whose two roles have one key. */
export async function startHub(t, directives, rule = "classic") {
  const variables = { MERCURE_PUBLISHER_JWT_KEY: KEY, MERCURE_SUBSCRIBER_JWT_KEY: KEY, ...RULES[rule] };
  const port = await freePort();
  const hub = await Hub.start(t, port, directives, `http://127.0.0.1:${port}`, { variables });
  return Object.assign(hub, { key: KEY });
}

/**
 * Opens the page at `path` of a hub, in a new browser context that ends with the test `t`. The test fails if the
 * page asks another origin, writes an error to the console, throws, or needs more than its width.
 */
export async function openPage(t, browser, url, look = "light, wide", options = {}) {
  const context = await browser.newContext({ ...LOOKS[look], permissions: ["clipboard-read", "clipboard-write"], ...options });
  // What a page does takes long on a machine that has much else to do.
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const faults = [];
  const asked = [];
  const { origin } = new URL(url);
  context.on("request", (request) => {
    asked.push(request);
    if (new URL(request.url()).origin !== origin) faults.push(`asked ${request.url()}`);
  });
  page.on("pageerror", (error) => faults.push(`threw ${error.stack}`));
  page.on("console", (message) => {
    // The browser itself writes a line for each status that is an error, and for a broken connection.
    const isOfBrowser = message.text().startsWith("Failed to load resource") || message.text().startsWith("net::ERR");
    if (["error", "warning"].includes(message.type()) && !isOfBrowser) faults.push(`wrote ${message.text()}`);
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });
  await page.goto(url);
  await page.waitForSelector("html[data-ready]");
  return Object.assign(page, { asked });
}

/** Opens the page of a playground or debugger. */
export const openDebugger = (t, browser, hub, look, options) => openPage(t, browser, `${hub.url}/debug/`, look, options);

/** Waits until the text of a place contains `words`, and returns it. */
export async function reads(page, selector, words) {
  await page.waitForFunction(([selector, words]) => document.querySelector(selector)?.textContent.includes(words), [selector, words]);
  return page.textContent(selector);
}

/** Subscribes by the form. */
export async function subscribe(page, topics, matcher = "match") {
  await page.check(`input[name="matcher"][value="${matcher}"]`);
  await page.fill("#topics", topics);
  await page.click("#subscribe button[type=submit]");
  await reads(page, "#connection", "Connected");
}

/** Publishes by the form, and returns the ids. */
export async function publish(page, { topics = TOPIC, data = "", ...fields }) {
  await page.fill("#publish-topics", topics);
  await page.fill("#data", data);
  for (const name of ["id", "type", "retry"]) await page.fill(`#${name}`, fields[name] ?? "");
  await page.setChecked("#private", fields.private ?? false);
  await page.click("#publish button[type=submit]");
  const said = await reads(page, "#publish-said", "Published");
  return said.split("\n").map((line) => line.replace("Published ", ""));
}

/** What the list shows, the newest first. */
export const shown = (page) =>
  page.$$eval("#list > li", (rows) =>
    rows.map((row) => ({
      id: row.querySelector(".event-id").textContent,
      type: row.querySelector(".event").textContent,
      data: row.querySelector(".preview").textContent,
    })),
  );

/** Waits until the list shows `count` updates. */
export const lists = (page, count) =>
  page.waitForFunction((count) => document.querySelectorAll("#list > li").length === count, count);

/** The violations that axe finds. */
export async function violations(page) {
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
