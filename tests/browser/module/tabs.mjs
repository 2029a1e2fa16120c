// Tabs that use the module of clients/js, served with the strictest policy that it works under.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";

export const client = new URL("../../../clients/js/", import.meta.url);
const POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src http:";

/** Serves the module, tabs that use it, and `more` files by their path. */
export async function application(more = {}) {
  const files = {
    "/tab.js": () => readFile(new URL("tab.js", import.meta.url)),
    "/": () => '<!doctype html><title>tab</title><link rel="icon" href="data:,"><script type="module" src="/tab.js"></script>',
    "/empty": () => "<!doctype html><title>empty</title>",
    ...more,
  };
  const server = createServer(async ({ url }, answer) => {
    const { pathname } = new URL(url, "http://tab");
    const script = /\.js$/.test(pathname);
    answer.setHeader("content-type", `text/${script ? "javascript" : "html"}; charset=utf-8`);
    answer.setHeader("content-security-policy", POLICY);
    const [, name] = /^\/client\/([a-z]+\.js)$/.exec(pathname) ?? [];
    const read = name ? () => readFile(new URL(`src/${name}`, client)) : files[pathname];
    if (!read) return answer.writeHead(404).end();
    answer.end(await read());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, close: () => server.close().closeAllConnections() };
}

/** How tabs share the stream: the names are those of the tests. */
export const WAYS = {
  SharedWorker: undefined,
  "a leading tab": () => delete globalThis.SharedWorker,
  "a tab for itself": () => {
    delete globalThis.SharedWorker;
    delete Navigator.prototype.locks;
  },
};

/** A window without other tabs for the test `t`, whose tabs share in this way. */
export async function contextOf(t, browser, way = "SharedWorker") {
  const context = await browser.newContext();
  context.setDefaultTimeout(100_000);
  t.after(() => context.close());
  if (WAYS[way]) await context.addInitScript(WAYS[way]);
  return context;
}

/** Opens a tab with this set-up, and waits until its stream is open. */
export async function tab(context, origin, setUp, ready = true) {
  const page = await context.newPage();
  await page.goto(`${origin}/#${encodeURIComponent(JSON.stringify(setUp))}`);
  if (ready) await open(page);
  return page;
}

/** Waits until the tab is subscribed. */
export const open = (page) => page.waitForFunction(() => window.hub?.state === "open");

/** Waits until the tab received `data`, and returns everything that it received. */
export async function received(page, data) {
  await page.waitForFunction((data) => window.seen?.includes(data), data);
  return page.evaluate(() => window.seen);
}

/** What tabs receive of updates that are numbered. */
export const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

/** Waits until the hub lists `count` streams for a topic: one that moves on is there twice for a moment, or not at all. */
export async function untilStreams(hub, topic, count) {
  while ((await streams(hub, topic)) !== count) await setTimeout(20);
}

/** The streams that the hub lists for a topic. */
async function streams(hub, topic) {
  const token = hub.olderToken({ subscribe: ["*"] });
  const answer = await fetch(`${hub.url}/subscriptions`, { headers: { authorization: `Bearer ${token}` } });
  const { subscriptions } = await answer.json();
  return subscriptions.filter((each) => (each.match ?? each.topic) === topic).length;
}
