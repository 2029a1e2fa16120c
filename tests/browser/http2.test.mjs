// "The connection SHOULD use HTTP version 2 or higher": over HTTP/1.1 a browser opens six.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { application, launch, openStreams } from "./chromium.mjs";
import { freePort, Hub } from "./hub.mjs";

const STREAMS = 200;
const run = promisify(execFile);
let browser, app;

before(async () => {
  [browser, app] = await Promise.all([launch(), application()]);
});

after(async () => {
  await browser?.close();
  app?.close();
});

/** The connections to a port that are established, as the kernel lists them. */
async function connections(port) {
  const { stdout } = await run("cat", ["/proc/net/tcp", "/proc/net/tcp6"]);
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  const established = (line) => line.split(/\s+/)[4] === "01";
  return stdout.split("\n").filter((line) => line.slice(0, 60).includes(local) && established(line)).length;
}

test(`${STREAMS} streams of a page share one HTTP/2 connection`, { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  const hub = await Hub.startEncrypted(t, port, `anonymous\ntransport memory\ncors_origins ${app.origin}`);
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(app.origin);
  await openStreams(page, hub.url, STREAMS);
  // Each end of a connection is in the list, and browsers open some that they do not need.
  const ends = await connections(port);
  assert.ok(ends < 20, `${ends} ends of connections`);
  const token = hub.olderToken({ publish: ["*"] }, "publisher");
  const root = `${hub.folder}/.local/share/caddy/pki/authorities/local/root.crt`;
  const publish = ["-sS", "--http2", "--cacert", root, "-H", `Authorization: Bearer ${token}`];
  const { stdout } = await run("curl", [...publish, "-w", " %{http_version}", "-d", "topic=all", "-d", "data=x", hub.url]);
  assert.match(stdout, /^urn:uuid:\S+ 2$/);
  await page.waitForFunction((count) => window.seen.size === count, STREAMS);
  await context.close();
});
