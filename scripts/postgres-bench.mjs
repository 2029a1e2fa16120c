#!/usr/bin/env node
// What a log on PostgreSQL reaches, beside what pgbench reaches with single-row inserts in the same run; and what
// publishing by SQL costs an application.
//
//   scripts/postgres-bench.mjs                          five rounds of the release build: six minutes
//   scripts/postgres-bench.mjs --rounds 1 --seconds 1   a look
//   TALARIA_BIN=… scripts/postgres-bench.mjs            another build
//   POSTGRES_BIN=… scripts/postgres-bench.mjs           the folder of another server than the installed one
//
// Starts its own server in a temporary folder, with the settings that it has by default except for connections and the
// sizes of buffers and WAL, and hubs in front of it. In each round everything is measured once, so that other load of
// the machine falls on all alike. Compare ratios, not rates.

import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { atLeast, atMost, Figures, neverOver } from './bench/figures.mjs';
import { hub, postgres, publish, run, stop, talaria, within } from './bench/programs.mjs';

const { values: options } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const seconds = Number(options.seconds);
const CLIENTS = 64;
/** How much longer the outbox is filled while hubs empty it, so that a backlog would show. */
const LONGER = 5;
/** How many seconds nodes take to know of each other: a third of a lease, and some more. */
const KNOWN = 6;

const DATA = 'x'.repeat(100);
const TOPIC = 'https://example.com/topics/1';
const BARE = `INSERT INTO bare VALUES ('${DATA}');`;
/** What an application does in a transaction, with and without an update. */
const transaction = (update) => `BEGIN;\nINSERT INTO orders (total) VALUES (42);\n${update}\nCOMMIT;`;
// pgbench would take what follows a colon for a variable.
const COLUMNS = '(topics, data, private, id, type, retry)';
const PLAIN = `INSERT INTO plain ${COLUMNS} VALUES (ARRAY['${TOPIC}'], '${DATA}', false, 'urn-uuid-' || gen_random_uuid(), NULL, NULL);`;
const PUBLISH = `SELECT talaria.publish(ARRAY['${TOPIC}'], '${DATA}');`;
const TABLES = `
    CREATE TABLE bare (data text NOT NULL);
    CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total integer NOT NULL);
    CREATE TABLE plain (LIKE talaria.outbox INCLUDING ALL);
`;

const server = () => postgres({ max_connections: 200, shared_buffers: '256MB', max_wal_size: '4GB' });
const bench = async (url, seconds, ...args) => {
    const all = ['bench', 'transport', '--json', '--postgres', url, '--seconds', seconds, ...args];
    return JSON.parse(await run(talaria, all));
};

/** The rates of publishers of a number of nodes. */
const rates = async (figures, { url }, bare) => {
    for (const [nodes, publishers] of [[1, '1,64,256'], [3, '64']]) {
        const measured = await bench(url, seconds, '--nodes', nodes, '--publishers', publishers, '--rate', 0);
        for (const rate of measured.rates) {
            figures.note(`${nodes} nodes, ${rate.publishers}`, rate.updates_per_s);
            figures.note(`${nodes} nodes, ${rate.publishers}, ms`, rate.acknowledged_p50_ms);
            if (rate.publishers === CLIENTS) figures.note(`${nodes} nodes, ratio`, rate.updates_per_s / bare);
        }
    }
};

/** Publishing over HTTP, in memory and on PostgreSQL. */
const overHttp = async (figures, { url }) => {
    const rate = async (transport) => {
        const { child, url } = await hub(transport);
        const rate = await publish(url, seconds);
        await stop(child, 'SIGTERM');
        return rate;
    };
    const memory = await rate('memory');
    const shared = await rate(`postgres {\nurl ${url}\n}`);
    figures.note('memory over HTTP', memory);
    figures.note('postgres over HTTP', shared);
    figures.note('over HTTP, ratio', shared / memory);
};

const latency = async (figures, { url }) => {
    const { latency } = await bench(url, Math.max(seconds, KNOWN), '--nodes', 2, '--publishers', 1);
    figures.note('bare ms', latency.bare.p50_ms);
    figures.note('acknowledged ms', latency.acknowledged.p50_ms);
    figures.note('received ms', latency.received.p50_ms);
    figures.note('received, ratio', latency.received.p50_ms / latency.bare.p50_ms);
};

/** Publishing by SQL without hubs, and with three that move what is published; and how far these are behind. */
const outbox = async (figures, database) => {
    const empty = () => database.sql('TRUNCATE plain, orders, talaria.outbox;');
    await empty();
    const alone = await database.pgbench(PLAIN, CLIENTS, seconds);
    const published = await database.pgbench(PUBLISH, CLIENTS, seconds);
    figures.note('a call, ratio', published / alone);
    await empty();
    const plain = await database.pgbench(transaction(PLAIN), CLIENTS, seconds);
    const stopped = await database.pgbench(transaction(PUBLISH), CLIENTS, seconds);
    await empty();
    const hubs = [];
    for (let nth = 0; nth < 3; nth++) hubs.push(await hub(`postgres {\nurl ${database.url}\nsize 100000\n}`));
    const oldest = 'SELECT coalesce(extract(epoch FROM clock_timestamp() - (SELECT at FROM talaria.outbox ORDER BY k LIMIT 1)), 0)';
    const watcher = database.watch(oldest, 0.05);
    let behind = 0;
    let text = '';
    watcher.stdout.on('data', (data) => {
        const lines = (text + data).split('\n');
        text = lines.pop();
        behind = Math.max(behind, ...lines.map(Number));
    });
    const moved = await database.pgbench(transaction(PUBLISH), CLIENTS, seconds * LONGER);
    // What is left is behind, too.
    for (let looks = 0; looks < 600 && (await database.sql('SELECT FROM talaria.outbox LIMIT 1')) !== ''; looks++) await pause(50);
    await stop(watcher);
    await Promise.all(hubs.map(({ child }) => stop(child, 'SIGTERM')));
    figures.note('plain', plain);
    figures.note('hubs stopped', stopped);
    figures.note('hubs stopped, ratio', stopped / plain);
    figures.note('hubs', moved);
    figures.note('hubs, ratio', moved / plain);
    figures.note('behind', behind);
};

const print = (figures) => {
    console.log(`${''.padEnd(58)} median (range)`);
    figures.line('single-row inserts by pgbench, 64 clients, per s', 'bare', 0);
    for (const [nodes, name, all, aim] of [[1, 'one node', [1, 64, 256], 1.5], [3, 'three nodes together', [64], 0.5]]) {
        for (const publishers of all) {
            figures.line(`${name}, ${publishers} publishers, updates/s`, `${nodes} nodes, ${publishers}`, 0);
            figures.line('  acknowledged, p50 ms', `${nodes} nodes, ${publishers}, ms`, 2);
        }
        figures.line('  64 publishers to pgbench', `${nodes} nodes, ratio`, 2, atLeast(aim));
    }
    figures.line('over HTTP, 64 publishers, in memory, updates/s', 'memory over HTTP', 0);
    figures.line('over HTTP, 64 publishers, on PostgreSQL, updates/s', 'postgres over HTTP', 0);
    figures.line('  to memory', 'over HTTP, ratio', 2, atLeast(0.35));
    figures.line('bare insert at 200/s, p50 ms', 'bare ms', 3);
    figures.line('acknowledged at 200/s, p50 ms', 'acknowledged ms', 3);
    figures.line('at another node at 200/s, p50 ms', 'received ms', 3);
    figures.line('  to a bare insert', 'received, ratio', 2, atMost(5));
    figures.line('transactions with a plain insert, 64 clients, per s', 'plain', 0);
    figures.line('transactions that publish, hubs stopped, per s', 'hubs stopped', 0);
    figures.line('  to a plain insert', 'hubs stopped, ratio', 2, atLeast(0.95));
    figures.line('  the call alone to the insert alone', 'a call, ratio', 2);
    figures.line('transactions that publish, three hubs, per s', 'hubs', 0);
    figures.line('  to a plain insert', 'hubs, ratio', 2, atLeast(0.4));
    figures.line('  the furthest that the log is behind, s', 'behind', 2, neverOver(2));
};

await within(async () => {
    const database = await server();
    await database.sql(await run(talaria, ['postgres', 'schema', 'postgres']));
    await database.sql(TABLES);
    const figures = new Figures();
    for (let round = 0; round < Number(options.rounds); round++) {
        const bare = await database.pgbench(BARE, CLIENTS, seconds);
        await database.sql('TRUNCATE bare');
        figures.note('bare', bare);
        await rates(figures, database, bare);
        await overHttp(figures, database);
        await latency(figures, database);
        await outbox(figures, database);
    }
    print(figures);
});
