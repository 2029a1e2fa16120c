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

const REFUSED = /ERR_CERT_AUTHORITY_INVALID/;
const DATABASE = "\\S+/\\.?(local/share/)?pki/nssdb";

/** Whether a verb tells this of the database of Chromium. */
const tells = (said, what) => assert.match(said, new RegExp(`^${what} +${DATABASE}$`, "m"));

for (const wasStarted of [false, true]) {
  const when = wasStarted ? "a browser that was started before" : "a browser that was never started";
  test(`${when} opens https://localhost after \`talaria trust\``, { timeout: 180_000 }, async (t) => {
    let hub;
    // Before the hub's folder, with the root in it, is removed.
    t.after(() => hub && talaria(hub, "untrust"));
    hub = await Hub.startEncrypted(t, await freePort(), "anonymous\ntransport memory");
    // The database of a new user is where the browser made it, or where the verb does.
    if (wasStarted) await assert.rejects(open(hub, 1, assert.fail), REFUSED);

    tells(await talaria(hub, "trust"), "added");
    tells(await talaria(hub, "trust"), "was there");
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

    tells(await talaria(hub, "untrust"), "removed");
    await assert.rejects(open(hub, 3, assert.fail), REFUSED);
  });
}
