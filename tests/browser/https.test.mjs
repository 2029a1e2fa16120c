// A browser that was never started before opens https://localhost after the commands of docs/https.md, without any
// switch about certificates.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { fresh } from "./chromium.mjs";
import { freePort, Hub, program } from "./hub.mjs";

const TOPIC = "https://example.com/books/1";
const run = promisify(execFile);

/** Runs a verb of the program as the user whose home is that of the hub, and returns what it prints. */
async function talaria(hub, ...verb) {
  const env = { PATH: process.env.PATH, HOME: hub.folder };
  // A user who may not change the system's store gets an exit code that says so.
  const { stdout } = await run(program, verb, { env }).catch((error) => error);
  return stdout;
}

/** Opens the hub's site in a browser with a new profile and this home, and gives the page to `use`. */
async function open(hub, number, use) {
  const context = await fresh(join(hub.folder, `profile-${number}`), hub.folder);
  try {
    const page = await context.newPage();
    const answer = await page.goto(`https://localhost:${hub.port}/`);
    await use(page, answer);
  } finally {
    await context.close();
  }
}

test("Chromium opens https://localhost after `talaria trust`, and not before", { timeout: 180_000 }, async (t) => {
  const hub = await Hub.startEncrypted(t, await freePort(), "anonymous\ntransport memory");
  const refused = /ERR_CERT_AUTHORITY_INVALID/;
  await assert.rejects(open(hub, 1, assert.fail), refused);

  const said = await talaria(hub, "trust");
  t.after(() => talaria(hub, "untrust"));
  assert.match(said, /^added +\S+\/\.pki\/nssdb$/m);
  assert.match(await talaria(hub, "trust"), /^was there +\S+\/\.pki\/nssdb$/m);
  await open(hub, 2, async (page, answer) => {
    assert.equal(answer.status(), 200);
    await page.evaluate((url) => {
      window.seen = [];
      window.source = new EventSource(url);
      window.source.onmessage = ({ data }) => window.seen.push(data);
      return new Promise((resolve) => (window.source.onopen = resolve));
    }, hub.topic(TOPIC));
    const token = hub.olderToken({ publish: ["*"] }, "publisher");
    const root = `${hub.folder}/.local/share/caddy/pki/authorities/local/root.crt`;
    const publish = ["-fsS", "--cacert", root, "-H", `Authorization: Bearer ${token}`];
    await run("curl", [...publish, "-d", `topic=${TOPIC}`, "-d", "data=hello, https", hub.url]);
    await page.waitForFunction(() => window.seen.length === 1);
    assert.deepEqual(await page.evaluate(() => window.seen), ["hello, https"]);
  });

  assert.match(await talaria(hub, "untrust"), /^removed +\S+\/\.pki\/nssdb$/m);
  await assert.rejects(open(hub, 3, assert.fail), refused);
});
