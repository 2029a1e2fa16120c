// Unmodified libraries of Mercure 0.x, against a hub that is started with the two key variables.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { freePort, Hub, keys } from "./hub.mjs";

const run = promisify(execFile);
const TOPIC = "https://example.com/books/1";

/** What the hub has for this token, as lines of JSON. */
async function stored(hub, token, count) {
  const url = `${hub.url}?${new URLSearchParams({ topic: TOPIC, lastEventID: "earliest" })}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(30_000) });
  assert.equal(answer.status, 200);
  let text = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.match(/^data/gm)?.length === count && text.endsWith("\n\n")) break;
  }
  return text;
}

test("PyPI mercure-publisher publishes", { timeout: 120_000 }, async (t) => {
  const hub = await Hub.start(t, await freePort(), "transport memory");
  const script = fileURLToPath(new URL("libraries/application.py", import.meta.url));
  const { stdout } = await run(process.env.PYTHON, [script, hub.url, keys.publisher, TOPIC]);
  const [first, second] = stdout.trim().split("\n");
  assert.match(first, /^urn:uuid:/);
  assert.equal(second, "urn:x:python");
  const text = await stored(hub, hub.olderToken({ subscribe: [TOPIC] }), 2);
  assert.ok(text.includes(`event: book\nretry: 5000\nid: ${first}\ndata: {"from": "Python"}\n\n`), text);
  assert.ok(text.includes("id: urn:x:python\ndata: asynchronous\n\n"), text);
});

test("crates.io mercure publishes, and its token opens the update", { timeout: 120_000 }, async (t) => {
  const hub = await Hub.start(t, await freePort(), "transport memory");
  const { stdout } = await run(process.env.MERCURE_CRATE, [hub.url, keys.publisher, keys.subscriber, TOPIC]);
  const [id, token] = stdout.trim().split("\n");
  const text = await stored(hub, token, 1);
  assert.ok(text.includes(`id: ${id}\ndata: from Rust\n\n`), text);
});

