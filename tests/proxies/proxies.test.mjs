// Each proxy of docs/proxies.md, with the file of that page, in front of a hub. TALARIA_FULL=1: ten idle minutes.
// PROXY=nginx: that one alone.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { freePort, within } from "../browser/hub.mjs";
import { Client, token } from "./client.mjs";
import { Hub, proxies, startProxy } from "./servers.mjs";

const IS_FULL = process.env.TALARIA_FULL === "1";
/** The default of the hub, or one that lets five idle seconds have five heartbeats. */
const HEARTBEAT = IS_FULL ? 40 : 1;
const HEARTBEATS = IS_FULL ? 15 : 5;
const PROTOCOLS = ["HTTP/1.1", "HTTP/2"];
const TOPIC = "https://example.com/books/1";
const CLIENT = "127.0.0.5";
/** What a client gets that asks for a stream while the hub is away; the others get it when the hub is back. */
const AWAY = { nginx: 200, Apache: 503, "This program": 502 };

describe("proxies", { concurrency: Object.keys(proxies).length }, () => {
  for (const [name, start] of Object.entries(proxies)) {
    if ((process.env.PROXY ?? name) === name) describe(name, { concurrency: 1 }, () => inFront(name, start));
  }
});

function inFront(name, start) {
  let folder, hub, proxy, idle;

  const client = (protocol, from) => new Client({ port: proxy.port, ca: proxy.certificates(), protocol, from });
  const publish = async (...update) => {
    const { status, text } = await client("HTTP/1.1").publish(...update);
    assert.equal(status, 200, text);
    return text;
  };
  const subscribe = async (protocol, ...subscription) => {
    const stream = await client(protocol).subscribe(...subscription);
    assert.equal(stream.status, 200);
    return stream;
  };
  const bothSubscribe = (...subscription) => Promise.all(PROTOCOLS.map((each) => subscribe(each, ...subscription)));

  const begin = async () => {
    hub = new Hub(folder, await freePort(), {
      heartbeat: `${HEARTBEAT}s`,
      write_timeout: "0s",
      drain_timeout: "0s",
      transport: "memory",
    });
    await hub.start();
    proxy = await startProxy(start, folder, hub, (started) => within("an answer of the proxy", answers(started)));
    idle = await bothSubscribe(`${TOPIC}/idle`);
  };
  const finish = async () => {
    idle?.forEach((stream) => stream.close());
    await proxy?.program.stop();
    await hub?.program?.stop();
    rmSync(folder, { recursive: true, force: true });
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "talaria-proxies-"));
    try {
      await begin();
    } catch (error) {
      // Nothing else runs after a failure here.
      await finish();
      throw error;
    }
  });

  after(finish);

  test("an update reaches subscribers", async (t) => {
    const direct = new Client({ port: hub.port });
    const streams = [...(await bothSubscribe(TOPIC)), await direct.subscribe(TOPIC)];
    const delays = streams.map(() => []);
    for (let number = 0; number < 40; number += 1) {
      const began = performance.now();
      await publish(TOPIC, `update ${number}`);
      const received = await Promise.all(streams.map((stream) => stream.update(`update ${number}`)));
      // The first ones open connections.
      if (number >= 10) received.forEach(({ at }, index) => delays[index].push(at - began));
    }
    streams.forEach((stream) => stream.close());
    const shown = delays.map((all) => {
      const sorted = all.sort((one, other) => one - other);
      return `${sorted[sorted.length >> 1].toFixed(1)} ms, at most ${sorted.at(-1).toFixed(1)} ms`;
    });
    t.diagnostic(`${name}: HTTP/1.1 ${shown[0]}; HTTP/2 ${shown[1]}; subscribed without the proxy ${shown[2]}`);
  });

  test("compression holds no event back", async () => {
    const topic = `${TOPIC}/compressed`;
    await publish(topic, "what is compressed because it is long ".repeat(100));
    const headers = { "accept-encoding": "gzip, zstd, br, deflate" };
    // What is kept comes at once, in a long first part.
    const streams = await bothSubscribe(topic, headers, { last_event_id: "earliest" });
    for (const data of ["first", "second", "third"]) {
      await publish(topic, data);
      await Promise.all(streams.map((stream) => stream.update(data)));
    }
    for (const stream of streams) {
      assert.equal(stream.headers["content-encoding"], undefined);
      stream.close();
    }
  });

  test("a private update of 1 MB passes", async () => {
    const topic = `${TOPIC}/large`;
    const streams = await bothSubscribe(topic);
    const data = "0123456789".repeat(100_000);
    await publish(topic, data, { private: "on" });
    await Promise.all(streams.map((stream) => stream.update(data)));
    streams.forEach((stream) => stream.close());
  });

  test("the hub's log has the client's address, whatever the client says", async () => {
    const forged = { "x-forwarded-for": "198.51.100.9", forwarded: "for=198.51.100.9" };
    let number = 0;
    for (const headers of [{}, forged, { "x-forwarded-for": "198.51.100.9, 127.0.0.1" }]) {
      for (const protocol of PROTOCOLS) {
        number += 1;
        await client(protocol, CLIENT).ask({ path: `/robots.txt?${number}`, headers });
        const line = await hub.program.line(new RegExp(`request\\.uri="?/robots\\.txt\\?${number}["\\s]`));
        assert.match(line, /remote_ip=127\.0\.0\.1 .*client_ip=127\.0\.0\.5 /);
      }
    }
    const path = "/robots.txt?direct";
    await new Client({ port: hub.port, from: CLIENT }).ask({ path, headers: forged });
    const line = await hub.program.line(/request\.uri="?\/robots.txt\?direct["\s]/);
    assert.match(line, /remote_ip=127\.0\.0\.5 .*client_ip=127\.0\.0\.5 /, "a peer that is not the proxy");
  });

  test("the hub's origin is that of the client's request, whatever the client says", async () => {
    const publishFrom = (origin, headers) => {
      const cookie = `__Secure-mercure_access_token=${token("publisher")}`;
      const all = { authorization: undefined, cookie, origin, ...headers };
      for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
      return client("HTTP/2").ask({
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", ...all },
        body: `topic=${encodeURIComponent(TOPIC)}&data=by+cookie`,
      });
    };
    const own = await publishFrom(`https://localhost:${proxy.port}`);
    assert.equal(own.status, 200, own.text);
    const foreign = await publishFrom("https://evil.example", { "x-forwarded-host": "evil.example" });
    assert.equal(foreign.status, 400, foreign.text);
  });

  test("paths and methods pass as they are", async () => {
    const path = "/.well-known/mercure/subscriptions/a%2Fb%20c";
    await client("HTTP/2").ask({ path });
    await hub.program.line(/request\.uri="?\/.well-known\/mercure\/subscriptions\/a%2Fb%20c["\s]/);

    const answer = await client("HTTP/2").ask({
      method: "QUERY",
      path: "/.well-known/mercure",
      headers: { "content-type": "application/x-www-form-urlencoded", authorization: `Bearer ${token("subscriber")}` },
      body: "match_urlpattern=(",
    });
    assert.equal(answer.status, 400, answer.text);
    await hub.program.line(/method=QUERY .*status=400/);
  });

  const length = `${HEARTBEAT * HEARTBEATS} idle seconds`;
  test(`a stream outlives ${length}`, { timeout: (HEARTBEAT * HEARTBEATS + 60) * 1000 }, async () => {
    const seconds = HEARTBEAT * HEARTBEATS + 30;
    const beaten = ({ comments }) => comments > HEARTBEATS;
    await Promise.all(idle.map((stream) => stream.until(`${HEARTBEATS} heartbeats`, beaten, seconds)));
    await publish(`${TOPIC}/idle`, "after the silence");
    await Promise.all(idle.map((stream) => stream.update("after the silence")));
    idle.forEach((stream) => {
      assert.equal(stream.events.length, 1);
      stream.close();
    });
  });

  test("a stream that the hub rotates ends as a whole, and its client misses nothing", async () => {
    await hub.reload({ write_timeout: "1s" });
    const topic = `${TOPIC}/rotated`;
    const first = await publish(topic, "0");
    const readers = Promise.all(PROTOCOLS.map((protocol) => readThrough(protocol, topic, first)));
    let count = 1;
    let isDone = false;
    const publishing = (async () => {
      for (; !isDone; count += 1) {
        await publish(topic, `${count}`);
        await pause(10);
      }
    })();
    const received = await readers.finally(() => (isDone = true));
    await publishing;
    for (const numbers of received) {
      assert.deepEqual(numbers, Array.from({ length: numbers.length }, (_, index) => `${index + 1}`));
    }
  });

  /** Reads three streams or more to their ends, each from the last update of the one before; returns what they had. */
  async function readThrough(protocol, topic, first) {
    const numbers = [];
    let last = first;
    for (let round = 0; round < 3 || numbers.length === 0; round += 1) {
      const stream = await subscribe(protocol, topic, { "last-event-id": last });
      assert.equal(stream.headers["mercure-last-event-id"], last);
      assert.equal(await within("the stream to end", stream.ended), "complete");
      numbers.push(...stream.events.map(({ data }) => data));
      last = stream.events.at(-1)?.id ?? last;
    }
    return numbers;
  }

  test("a client is served again after a restart of the hub", async () => {
    await hub.stop();
    const status = AWAY[name];
    const asked = client("HTTP/2").subscribe(TOPIC);
    if (status) {
      const stream = await asked;
      assert.equal(stream.status, status);
      await within("the answer to end", stream.ended);
      assert.equal(stream.retry, status === 200 ? "3000" : undefined);
      const refused = await client("HTTP/1.1").publish(TOPIC, "to no hub");
      assert.ok(refused.status > 500, refused.text);
    } else {
      // So that the proxy has tried before the hub is back.
      await pause(200);
    }
    await hub.start();
    const stream = await (status ? subscribe("HTTP/2", TOPIC) : asked);
    assert.equal(stream.status, 200);
    await publish(TOPIC, "after the restart");
    await stream.update("after the restart");
    stream.close();
  });
}

/** Asks until the hub answers through the proxy. */
async function answers({ program, port, certificates }) {
  const gone = program.exited.then((code) => {
    throw new Error(`the proxy exited with ${code}:\n${program.lines.join("\n")}`);
  });
  gone.catch(() => {});
  const ask = async () => {
    for (;;) {
      const ca = certificates();
      const { status } = ca
        ? await new Client({ port, ca }).ask({ path: "/healthz" }).catch(() => ({ status: 0 }))
        : { status: 0 };
      if (status === 200) return;
      await pause(20);
    }
  };
  return Promise.race([ask(), gone]);
}
