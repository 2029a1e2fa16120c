// HTTP/3 in a browser. For QUIC, Chromium wants a root that it came with, or the hash of a key in the chain.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";

import { launch, openStreams } from "./chromium.mjs";
import { freePort, Hub } from "./hub.mjs";

const STREAMS = 200;
const run = promisify(execFile);

/** The hash of a certificate's key, as Chromium's switch wants it. */
async function keyHash(path) {
  const { publicKey } = new X509Certificate(await readFile(path));
  const key = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

test(`${STREAMS} streams of a page share one HTTP/3 connection`, { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  const hub = await Hub.startEncrypted(t, port, "anonymous\ntransport memory");
  const authority = `${hub.folder}/.local/share/caddy/pki/authorities/local`;
  const browser = await launch([
    "--enable-quic",
    `--origin-to-force-quic-on=localhost:${port}`,
    `--ignore-certificate-errors-spki-list=${await keyHash(`${authority}/intermediate.crt`)}`,
  ]);
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`https://localhost:${port}/`);
  const protocol = () => performance.getEntriesByType("navigation")[0].nextHopProtocol;
  assert.equal(await page.evaluate(protocol), "h3");
  await openStreams(page, hub.url, STREAMS);
  const token = hub.olderToken({ publish: ["*"] }, "publisher");
  const publish = ["-sS", "--cacert", `${authority}/root.crt`, "-H", `Authorization: Bearer ${token}`];
  const { stdout } = await run("curl", [...publish, "-d", "topic=all", "-d", "data=x", hub.url]);
  assert.match(stdout, /^urn:uuid:/);
  await page.waitForFunction((count) => window.seen.size === count, STREAMS);
});
