#!/usr/bin/env node
// What a log on Redis reaches, beside what redis-benchmark reaches with single XADDs in the same run.
//
//   scripts/redis-bench.mjs                          five rounds of the release build: four minutes
//   scripts/redis-bench.mjs --rounds 1 --seconds 1   a look
//   TALARIA_BIN=… scripts/redis-bench.mjs            another build
//   REDIS_BIN=… scripts/redis-bench.mjs              another server than the installed redis-server
//
// Starts its own servers, in a temporary folder, with an append-only file that is synced every second: one alone,
// and one with a replica, and hubs in front of it. In each round everything is measured once, so that other load of the machine falls on all
// alike. Compare ratios, not rates. Needs redis-benchmark (Debian: redis-tools).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { atLeast, atMost, Figures } from './bench/figures.mjs';
import { folder, freePort, hub, publish, run, start, talaria, within } from './bench/programs.mjs';

const { values: options } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const server = process.env.REDIS_BIN ?? 'redis-server';

const redis = async (name, flags) => {
    const port = await freePort();
    const log = join(folder, `${name}.log`);
    const args = [
        '--port', port, '--bind', '127.0.0.1', '--dir', folder, '--logfile', log, '--save', '', '--appendonly', 'yes',
        '--appendfsync', 'everysec', '--appenddirname', name, '--repl-diskless-sync-delay', '0', ...flags,
    ];
    start(server, args, { stdio: 'ignore' });
    for (let looks = 0; looks < 200; looks++) {
        const answer = await run('redis-cli', ['-p', port, 'INFO', 'replication']).catch(() => '');
        if (answer.includes('role:master') || answer.includes('master_link_status:up')) return port;
        await pause(50);
    }
    throw new Error(`${server} is not ready: ${readFileSync(log, 'utf8')}`);
};

// The rate of single XADDs of 100 bytes on 64 connections, each of which waits for its answer.
const bare = async (port, seconds) => {
    const requests = String(Math.max(20_000, 60_000 * seconds));
    const command = ['XADD', 'bare', '*', 'data', 'x'.repeat(100)];
    const csv = await run('redis-benchmark', ['-p', port, '-c', '64', '-n', requests, '--csv', ...command]);
    await run('redis-cli', ['-p', port, 'UNLINK', 'bare']);
    const row = csv.trim().split('\n').at(-1).split('","').map((cell) => cell.replaceAll('"', ''));
    return Number(row[1]);
};
const bench = async (port, ...args) => {
    const all = ['bench', 'transport', '--json', '--redis', `redis://127.0.0.1:${port}`, '--seconds', options.seconds];
    return JSON.parse(await run(talaria, [...all, ...args]));
};

const print = (figures, cases) => {
    console.log(`${''.padEnd(58)} median (range)`);
    figures.line('redis-benchmark XADD, 64 connections, per s', 'redis-benchmark', 0);
    for (const [name, , nodes, replicas, aim] of cases) {
        for (const publishers of nodes === 1 && replicas === 0 ? [1, 64, 256] : [64]) {
            figures.line(`${name}, ${publishers} publishers, updates/s`, `${name}, ${publishers}`, 0);
            figures.line('  acknowledged, p50 ms', `${name}, ${publishers}, ms`, 2);
        }
        figures.line('  64 publishers to redis-benchmark', `${name}, ratio`, 2, atLeast(aim));
    }
    figures.line('over HTTP, 64 publishers, in memory, updates/s', 'memory over HTTP', 0);
    figures.line('over HTTP, 64 publishers, on Redis, updates/s', 'redis over HTTP', 0);
    figures.line('  to memory', 'over HTTP, ratio', 2, atLeast(0.5));
    figures.line('bare XADD at 200/s, p50 ms', 'bare ms', 3);
    figures.line('acknowledged at 200/s, p50 ms', 'acknowledged ms', 3);
    figures.line('at another node at 200/s, p50 ms', 'received ms', 3);
    figures.line('  to a bare XADD', 'received, ratio', 2, atMost(5));
};

const measure = async () => {
    const alone = await redis('alone', []);
    const primary = await redis('primary', []);
    await redis('replica', ['--replicaof', '127.0.0.1', primary]);
    const figures = new Figures();
    const note = (name, value) => figures.note(name, value);
    const cases = [
        ['one node', alone, 1, 0, 0.8],
        ['three nodes together', alone, 3, 0, 0.5],
        ['one node, replicas 1', primary, 1, 1, 0.45],
        ['three nodes together, replicas 1', primary, 3, 1, 0.4],
    ];
    const inMemory = await hub('memory');
    const onRedis = await hub(`redis {\nurl redis://127.0.0.1:${alone}\n}`);
    for (let round = 0; round < Number(options.rounds); round++) {
        const xadd = await bare(alone, Number(options.seconds));
        note('redis-benchmark', xadd);
        for (const [name, port, nodes, replicas] of cases) {
            const publishers = nodes === 1 && replicas === 0 ? '1,64,256' : '64';
            const measured = await bench(
                port, '--nodes', nodes, '--replicas', replicas, '--publishers', publishers, '--rate', 0,
            );
            for (const rate of measured.rates) {
                note(`${name}, ${rate.publishers}`, rate.updates_per_s);
                note(`${name}, ${rate.publishers}, ms`, rate.acknowledged_p50_ms);
                if (rate.publishers === 64) note(`${name}, ratio`, rate.updates_per_s / xadd);
            }
        }
        const memory = await publish(inMemory.url, options.seconds);
        const shared = await publish(onRedis.url, options.seconds);
        note('memory over HTTP', memory);
        note('redis over HTTP', shared);
        note('over HTTP, ratio', shared / memory);
        const { latency } = await bench(alone, '--nodes', 2, '--publishers', 1);
        note('bare ms', latency.bare.p50_ms);
        note('acknowledged ms', latency.acknowledged.p50_ms);
        note('received ms', latency.received.p50_ms);
        note('received, ratio', latency.received.p50_ms / latency.bare.p50_ms);
    }
    print(figures, cases);
};

await within(measure);
