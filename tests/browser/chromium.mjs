// Headless Chromium, and pages on another origin that listen with EventSource.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";

import { chromium } from "playwright-core";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** The switches keep the browser from calling home and let it run as root. */
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts the browser, without HTTP/3 unless its switches for QUIC say otherwise. */
export function launch(quic = ["--disable-quic"]) {
  return chromium.launch({ executablePath, args: [...args, ...quic] });
}

/** Starts the browser as a user whose home is `home`, with a profile that does not exist yet. */
export function fresh(profile, home) {
  const env = { PATH: process.env.PATH, HOME: home };
  return chromium.launchPersistentContext(profile, { executablePath, args: [...args, "--disable-quic"], env });
}

/** Opens streams from a page, which counts those that are open in `opened` and keeps what each received in `seen`. */
export async function openStreams(page, url, count) {
  await page.evaluate(
    ([url, count]) => {
      window.opened = 0;
      window.seen = new Set();
      for (let number = 0; number < count; number++) {
        const source = new EventSource(`${url}?match=${number}&match=all`);
        source.onopen = () => window.opened++;
        source.onmessage = ({ data }) => window.seen.add(`${number} ${data}`);
      }
    },
    [url, count],
  );
  await page.waitForFunction((count) => window.opened === count, count);
}

/** Serves one empty page and the npm packages here, on another origin than the hub's. */
export async function application() {
  const server = createServer(async (asked, answer) => {
    if (asked.url.startsWith("/node_modules/")) {
      // Packages import their modules without the extension.
      const path = asked.url.endsWith(".js") ? asked.url : `${asked.url}.js`;
      answer.setHeader("content-type", "text/javascript; charset=utf-8");
      answer.end(await readFile(new URL(`.${path}`, import.meta.url)));
      return;
    }
    answer.setHeader("content-type", "text/html; charset=utf-8");
    answer.end("<!doctype html><title>application</title>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, close: () => server.close().closeAllConnections() };
}

/** A reverse proxy in front of `hub` for the test `t`, which can go away and come back. */
export async function proxy(t, hub) {
  const server = createServer((asked, answer) => {
    const headers = { ...asked.headers, host: `127.0.0.1:${hub.port}` };
    const { method, url } = asked;
    const passed = request({ host: "127.0.0.1", port: hub.port, method, path: url, headers });
    passed.on("response", (response) => {
      answer.writeHead(response.statusCode, response.headers);
      answer.flushHeaders();
      response.pipe(answer);
      response.on("error", () => answer.destroy());
    });
    passed.on("error", () => answer.destroy());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
  const listen = async (port) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address();
  return {
    through: (url) => url.replace(`:${hub.port}/`, `:${port}/`),
    away: () => server.close().closeAllConnections(),
    back: () => listen(port),
  };
}

/** Opens a page that listens to `url`; `window.seen` collects, `window.opened` counts. */
export async function listen(browser, origin, url) {
  const page = await browser.newPage();
  await page.goto(origin);
  await page.evaluate((url) => {
    window.seen = [];
    window.opened = 0;
    window.source = new EventSource(url);
    window.source.onopen = () => window.opened++;
    window.source.onmessage = ({ data, lastEventId }) => window.seen.push({ data, lastEventId });
  }, url);
  await page.waitForFunction(() => window.opened === 1);
  return page;
}
