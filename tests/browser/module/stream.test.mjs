// The connections of clients/js on a clock that the test moves, against answers that the test gives.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Stream } from "../../../clients/js/src/stream.js";

const CONFIG = { url: "https://hub.example/.well-known/mercure", generation: "1.0", silence: 90_000 };
const MATCHERS = [["match", "https://example.com/1"]];
let requests, said, stream;

/** Lets everything go on that does not wait for the clock. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Moves the clock until this many requests were made, and returns how far; fails after an hour. */
async function until(count) {
  for (let ms = 0; ms <= 3_600_000; ms += 50) {
    await settle();
    if (requests.length >= count) return ms;
    mock.timers.tick(50);
  }
  throw new Error(`${requests.length} requests, not ${count}`);
}

/** A stream that the test writes to. */
function opened(headers = {}) {
  let controller;
  const body = new ReadableStream({ start: (each) => (controller = each) });
  const answer = new Response(body, { headers: { "content-type": "text/event-stream", ...headers } });
  return {
    answer,
    write: (text) => controller.enqueue(new TextEncoder().encode(text)),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
  };
}

const refusal = (status, headers = {}) => new Response("why", { status, headers });

/** Starts a stream to which `answers` are given one after the other; the last one has no end. */
function start(answers, config = {}, token = undefined) {
  mock.method(globalThis, "fetch", (url, { headers, signal }) => {
    requests.push({ url: new URL(url), headers, signal });
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => {
        reject(signal.reason);
        answer?.fail?.(signal.reason);
      });
      if (answer instanceof Error) reject(answer);
      else if (answer) resolve(answer.answer ?? answer);
    });
  });
  const on = Object.fromEntries(["update", "loss", "error", "state"].map((name) => [name, (what) => said.push([name, what])]));
  stream = new Stream({ ...CONFIG, ...config }, { ...on, token });
  return stream;
}

const told = (name) => said.filter(([each]) => each === name).map(([, what]) => what);

beforeEach(() => {
  [requests, said] = [[], []];
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_700_000_000_000 });
});

afterEach(() => {
  stream.close();
  mock.timers.reset();
  mock.restoreAll();
});

test("Retry-After in seconds and as a date is the least wait", async () => {
  const date = new Date(1_700_000_000_000 + 120_000).toUTCString();
  for (const after of ["30", date]) {
    requests = [];
    start([refusal(429, { "retry-after": after }), undefined]).listen(MATCHERS);
    const waited = await until(2);
    assert.ok(waited >= 30_000 && waited <= 180_100, `${waited}`);
    stream.close();
  }
  assert.deepEqual(told("error").map(({ status }) => status), [429, 429]);
  assert.match(told("error")[0].message, /^429 why$/);
});

test("the wait doubles to a bound, and is random", async () => {
  start([new Error("no network")]).listen(MATCHERS);
  await until(1);
  for (const base of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    const waited = await until(requests.length + 1);
    assert.ok(waited >= base / 2 && waited <= base + 100, `${waited} of ${base}`);
  }
  const random = mock.method(Math, "random", () => 0);
  await until(requests.length + 1);
  const least = await until(requests.length + 1);
  random.mock.mockImplementation(() => 1);
  await until(requests.length + 1);
  const most = await until(requests.length + 1);
  assert.ok(most > least + 10_000, `${least} to ${most}`);
});

test("retry of the stream is followed, and a stream that lasted begins anew", async () => {
  const one = opened();
  start([one, undefined]).listen(MATCHERS);
  await until(1);
  one.write("retry: 5000\n\nid: a\ndata: 1\n\n");
  await settle();
  one.end();
  const waited = await until(2);
  assert.ok(waited >= 2500 && waited <= 5100, `${waited}`);
  assert.equal(requests[1].headers["last-event-id"], "a");
  assert.deepEqual(told("error"), []);
});

test("a retry of 0 or of years makes no storm of requests", async () => {
  for (const retry of ["0", "9".repeat(20)]) {
    requests = [];
    const one = opened();
    start([one, undefined]).listen(MATCHERS);
    await until(1);
    one.write(`retry: ${retry}\n`);
    await settle();
    one.end();
    await settle();
    mock.timers.tick(49);
    await settle();
    assert.equal(requests.length, 1, retry);
    stream.close();
  }
});

test("a silence longer than heartbeats allow ends the connection", async () => {
  const one = opened();
  start([one, undefined]).listen(MATCHERS);
  await until(1);
  for (const _ of [1, 2, 3]) {
    mock.timers.tick(80_000);
    one.write(":\n");
    await settle();
  }
  assert.equal(requests.length, 1);
  mock.timers.tick(90_000);
  await until(2);
  assert.match(told("error")[0].message, /silence/);
});

test("a token is renewed before it expires, and a refused one once", async () => {
  const asked = [];
  const expiry = () => Math.floor(Date.now() / 1000) + 600;
  const token = async (refused) => {
    asked.push(refused);
    return `e30.${Buffer.from(JSON.stringify({ exp: expiry(), sub: "é" })).toString("base64url")}.${asked.length}`;
  };
  start([refusal(401), opened(), opened(), undefined], { silence: 0 }, token).listen(MATCHERS);
  await until(2);
  assert.deepEqual(asked, [false, true]);
  const waited = await until(3);
  assert.ok(waited >= 500_000 && waited <= 590_000, `${waited}`);
  assert.match(requests[2].headers.authorization, /^Bearer e30\..*\.3$/);
  assert.deepEqual(told("error"), []);
});

for (const [generation, parameter, field] of [
  ["1.0", "last_event_id", "mercure-last-event-id"],
  ["0.x", "lastEventID", "last-event-id"],
]) {
  test(`${generation}: asks by query first and by header later, and learns of loss`, async () => {
    const one = opened({ [field]: "earliest" });
    const two = opened({ [field]: Buffer.from("é1").toString("latin1") });
    start([one, two, undefined], { generation });
    stream.cursor = "a";
    stream.listen(MATCHERS);
    await until(1);
    assert.equal(requests[0].url.searchParams.get(parameter), "a");
    assert.equal(requests[0].url.searchParams.get("match"), "https://example.com/1");
    await settle();
    assert.deepEqual(told("loss"), [{ requested: "a", answered: "earliest" }]);
    one.write("id: é1\ndata: 1\n\n");
    await settle();
    one.fail(new Error("broken"));
    await until(2);
    await settle();
    assert.equal(Buffer.from(requests[1].headers["last-event-id"], "latin1").toString(), "é1");
    assert.equal(told("loss").length, 1);
    assert.deepEqual(told("update"), [{ id: "é1", type: "message", data: "1" }]);
  });
}

test("a change of topics goes on after the last update", async () => {
  const one = opened();
  start([one, undefined]).listen(MATCHERS);
  await until(1);
  one.write("id: a\ndata: 1\n\nid: b\ndata: 2");
  await settle();
  stream.listen([["match", "2"]]);
  await until(2);
  assert.ok(requests[0].signal.aborted);
  assert.equal(requests[1].headers["last-event-id"], "a");
  assert.equal(requests[1].url.search, "?match=2");
});

test("without an update the earlier stream overlaps the new one", async () => {
  const [one, two] = [opened(), opened()];
  start([one, two]).listen(MATCHERS);
  await until(1);
  stream.listen([["match", "2"]]);
  await until(2);
  await settle();
  one.write("id: a\ndata: 1\n\n");
  await settle();
  assert.equal(told("update").length, 1);
  assert.ok(!requests[0].signal.aborted);
  mock.timers.tick(1000);
  assert.ok(requests[0].signal.aborted);
  assert.deepEqual(told("loss"), []);
});

test("close ends connections and timers", async () => {
  start([new Error("no network")]).listen(MATCHERS);
  await until(1);
  stream.close();
  mock.timers.tick(3_600_000);
  await settle();
  assert.equal(requests.length, 1);
});
