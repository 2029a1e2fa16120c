// deploy/compose/cluster and deploy/proxies: three nodes of one log behind HAProxy and nginx. Clients come through the
// proxies only; nodes and the primary are killed, and no client misses an update or gets one twice.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { within } from "../browser/hub.mjs";
import { startCluster, startProxies } from "./cluster.mjs";
import { AUDIENCE, Client } from "./client.mjs";
import { allLeave, numbers, publish, Reader, until } from "./reader.mjs";

const TOPIC = "https://example.com/books/1";
const READERS = 6;

let folder, cluster, proxies;
const started = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "talaria-cluster-"));
  cluster = await startCluster(folder, AUDIENCE, started);
  proxies = await startProxies(folder, cluster.all);
  for (const { port } of Object.values(proxies)) {
    await within("an answer of a proxy", until(async () => (await new Client({ port }).ask({ path: "/healthz" })).status === 200));
  }
});

after(async () => {
  allLeave();
  await Promise.all([...started, ...Object.values(proxies ?? {})].map(({ program }) => program?.stop()));
  rmSync(folder, { recursive: true, force: true });
});

for (const name of ["haproxy", "nginx"]) {
  test(`${name}: an update reaches the subscribers of all nodes`, async () => {
    const { port } = proxies[name];
    const topic = `${TOPIC}/${name}`;
    const readers = numbers(READERS).map(() => new Reader(port, topic));
    for (const number of numbers(30)) await publish(port, topic, number);
    for (const reader of readers) assert.deepEqual(await reader.finish("29"), numbers(30));
  });

  test(`${name}: a node is killed, and its clients go on at another`, async () => {
    const { port } = proxies[name];
    const topic = `${TOPIC}/${name}/killed`;
    const readers = numbers(READERS).map(() => new Reader(port, topic));
    await publish(port, topic, "0");
    await Promise.all(readers.map((reader) => within("the first update", until(async () => reader.all.length > 0))));
    const { hub1 } = cluster;
    const killed = hub1.kill();
    for (const number of numbers(40).slice(1)) await publish(port, topic, number);
    await killed;
    const moved = readers.filter(({ returns }) => returns > 0);
    assert.ok(moved.length > 0 && moved.length < READERS, `${moved.length} of ${READERS} clients had to move`);
    for (const reader of readers) assert.deepEqual([...new Set(await reader.finish("39"))], numbers(40));

    await hub1.start();
    const isAsked = async () => {
      await new Client({ port }).ask({ path: `/robots.txt?${name}` });
      return hub1.program.lines.some((line) => line.includes(`robots.txt?${name}`));
    };
    await within("the node that is back is asked again", until(isAsked));
  });
}

test("the primary is killed, and nothing that was acknowledged is lost", async () => {
  const topic = `${TOPIC}/failover`;
  const readers = Object.values(proxies).flatMap(({ port }) => numbers(3).map(() => new Reader(port, topic)));
  for (const number of numbers(10)) await publish(proxies.haproxy.port, topic, number);
  await cluster.redis1.kill();
  for (const number of numbers(20).slice(10)) await publish(proxies.nginx.port, topic, number);
  for (const reader of readers) {
    const all = await reader.finish("19");
    // An update whose answer was lost may be stored twice, since its publisher repeats it.
    assert.deepEqual([...new Set(all)], numbers(20));
    assert.equal(reader.returns, 0, "the stream stays open");
  }
});
