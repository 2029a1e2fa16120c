// deploy/compose/postgres: three nodes of one log on a PostgreSQL with a synchronous standby, behind the proxies. Clients
// come through the proxies only; the primary is killed, and no client misses an update that was acknowledged.

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { within } from "../browser/hub.mjs";
import { startCluster, startProxies } from "./cluster.mjs";
import { AUDIENCE, Client } from "./client.mjs";
import { allLeave, numbers, publish, Reader, until } from "./reader.mjs";

const TOPIC = "https://example.com/books/1";

let folder, cluster, proxies;
const started = [];

before(async () => {
  // The account of the servers must be able to enter it.
  folder = mkdtempSync(join(tmpdir(), "talaria-postgres-"));
  chmodSync(folder, 0o755);
  cluster = await startCluster(folder, AUDIENCE, started, "postgres");
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

test("an update reaches the subscribers of all nodes, also one that is published by SQL", async () => {
  const { port } = proxies.haproxy;
  const readers = numbers(6).map(() => new Reader(port, TOPIC));
  for (const number of numbers(10)) await publish(port, TOPIC, number);
  const call = `SELECT talaria.publish(ARRAY['${TOPIC}'], 'by SQL')`;
  cluster.postgres1.run("psql", "--username", "postgres", "--dbname", "hub", "--command", call);
  for (const reader of readers) assert.deepEqual(await reader.finish("by SQL"), [...numbers(10), "by SQL"]);
});

test("the primary is killed, the standby promoted, and nothing that was acknowledged is lost", async () => {
  const topic = `${TOPIC}/failover`;
  const readers = Object.values(proxies).flatMap(({ port }) => numbers(3).map(() => new Reader(port, topic)));
  for (const number of numbers(10)) await publish(proxies.haproxy.port, topic, number);
  await cluster.postgres1.kill();
  // What the compose file says.
  const { postgres2 } = cluster;
  postgres2.run("pg_ctl", "promote");
  const sql = ["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"].flatMap((text) => ["--command", text]);
  postgres2.run("psql", "--username", "postgres", ...sql);
  for (const number of numbers(20).slice(10)) await publish(proxies.nginx.port, topic, number);
  for (const reader of readers) {
    const all = await reader.finish("19");
    // An update whose answer was lost may be stored twice, since its publisher repeats it.
    assert.deepEqual([...new Set(all)], numbers(20));
    assert.equal(reader.returns, 0, "the stream stays open");
  }
});
