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

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const talaria = process.env.TALARIA_BIN ?? 'target/release/talaria';
const server = process.env.REDIS_BIN ?? 'redis-server';
const folder = mkdtempSync(join(tmpdir(), 'redis-bench-'));
const children = [];
const KEY = 'the key of a bench that measures and is gone, of 32 bytes or more';

const freePort = () =>
    new Promise((resolve) => {
        const socket = createServer().listen(0, '127.0.0.1', () => {
            const { port } = socket.address();
            socket.close(() => resolve(port));
        });
    });
// Runs a program to its end; its output, or a failure.
const run = async (program, args) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data) => { text += data; });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}`);
    return text;
};
const start = async (name, flags) => {
    const port = await freePort();
    const log = join(folder, `${name}.log`);
    const args = [
        '--port', port, '--bind', '127.0.0.1', '--dir', folder, '--logfile', log, '--save', '', '--appendonly', 'yes',
        '--appendfsync', 'everysec', '--appenddirname', name, '--repl-diskless-sync-delay', '0', ...flags,
    ];
    const child = spawn(server, args.map(String), { stdio: 'ignore' });
    children.push(child);
    for (let looks = 0; looks < 200; looks++) {
        const answer = await run('redis-cli', ['-p', String(port), 'INFO', 'replication']).catch(() => '');
        if (answer.includes('role:master') || answer.includes('master_link_status:up')) return port;
        await pause(50);
    }
    throw new Error(`${server} is not ready: ${readFileSync(log, 'utf8')}`);
};

// The rate of single XADDs of 100 bytes on 64 connections, each of which waits for its answer.
const bare = async (port, seconds) => {
    const requests = String(Math.max(20_000, 60_000 * seconds));
    const command = ['XADD', 'bare', '*', 'data', 'x'.repeat(100)];
    const csv = await run('redis-benchmark', ['-p', String(port), '-c', '64', '-n', requests, '--csv', ...command]);
    await run('redis-cli', ['-p', String(port), 'UNLINK', 'bare']);
    const row = csv.trim().split('\n').at(-1).split('","').map((cell) => cell.replaceAll('"', ''));
    return Number(row[1]);
};
const bench = async (port, ...args) => {
    const all = ['bench', 'transport', '--json', '--redis', `redis://127.0.0.1:${port}`, '--seconds', options.seconds];
    return JSON.parse(await run(talaria, [...all, ...args.map(String)]));
};

// A hub with this transport; its URL.
const hub = async (transport) => {
    const child = spawn(talaria, ['run'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
            HOME: mkdtempSync(join(folder, 'hub-')), NO_COLOR: '1', RUST_LOG: 'info', TALARIA_LOG_FORMAT: 'console',
            SERVER_NAME: 'http://127.0.0.1:0', CADDY_ADMIN: 'off', MERCURE_PUBLISHER_JWT_KEY: KEY, MERCURE_SUBSCRIBER_JWT_KEY: KEY,
            MERCURE_EXTRA_DIRECTIVES: `dispatch_timeout 0s\ntransport ${transport}`,
        },
    });
    children.push(child);
    let said = '';
    const stderr = child.stderr.setEncoding('utf8');
    for await (const text of stderr.iterator({ destroyOnReturn: false })) {
        said += text;
        const port = /listening address=\S*:(\d+)/.exec(said)?.[1];
        if (!port) continue;
        stderr.resume();
        return `http://127.0.0.1:${port}/.well-known/mercure`;
    }
    throw new Error(`the hub ended: ${said}`);
};
// The rate of publishing over HTTP with 64 connections, to one subscriber.
const publish = async (url) => {
    const args = ['--subscribers', '1', '--publishers', '64', '--window', '4096', '--duration', options.seconds];
    const key = join(folder, 'key');
    writeFileSync(key, KEY);
    const text = await run(talaria, ['bench', '--url', url, '--key-file', key, '--json', ...args]);
    return JSON.parse(text).hub.updates_per_s;
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const range = (values, digits) => {
    const shown = (value) => value.toFixed(digits);
    return `${shown(median(values))} (${shown(Math.min(...values))} to ${shown(Math.max(...values))})`;
};

const measure = async () => {
    const alone = await start('alone', []);
    const primary = await start('primary', []);
    await start('replica', ['--replicaof', '127.0.0.1', primary]);
    const found = new Map();
    const note = (name, value) => found.set(name, [...(found.get(name) ?? []), value]);
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
            const figures = await bench(
                port, '--nodes', nodes, '--replicas', replicas, '--publishers', publishers, '--rate', 0,
            );
            for (const rate of figures.rates) {
                note(`${name}, ${rate.publishers}`, rate.updates_per_s);
                note(`${name}, ${rate.publishers}, ms`, rate.acknowledged_p50_ms);
                if (rate.publishers === 64) note(`${name}, ratio`, rate.updates_per_s / xadd);
            }
        }
        const memory = await publish(inMemory);
        const shared = await publish(onRedis);
        note('memory over HTTP', memory);
        note('redis over HTTP', shared);
        note('over HTTP, ratio', shared / memory);
        const { latency } = await bench(alone, '--nodes', 2, '--publishers', 1);
        note('bare ms', latency.bare.p50_ms);
        note('acknowledged ms', latency.acknowledged.p50_ms);
        note('received ms', latency.received.p50_ms);
        note('received, ratio', latency.received.p50_ms / latency.bare.p50_ms);
    }
    const line = (name, text) => console.log(`${name.padEnd(46)} ${text}`);
    const verdict = (isMet, aim) => `${isMet ? 'meets' : 'MISSES'} ${aim}`;
    line('', 'median (range)');
    line('redis-benchmark XADD, 64 connections, per s', range(found.get('redis-benchmark'), 0));
    for (const [name, , nodes, replicas, aim] of cases) {
        for (const publishers of nodes === 1 && replicas === 0 ? [1, 64, 256] : [64]) {
            const label = `${name}, ${publishers} publishers`;
            line(`${label}, updates/s`, range(found.get(`${name}, ${publishers}`), 0));
            line('  acknowledged, p50 ms', range(found.get(`${name}, ${publishers}, ms`), 2));
        }
        const ratios = found.get(`${name}, ratio`);
        line('  64 publishers to redis-benchmark', `${range(ratios, 2)}: ${verdict(median(ratios) >= aim, `≥ ${aim}`)}`);
    }
    line('over HTTP, 64 publishers, in memory, updates/s', range(found.get('memory over HTTP'), 0));
    line('over HTTP, 64 publishers, on Redis, updates/s', range(found.get('redis over HTTP'), 0));
    const overHttp = found.get('over HTTP, ratio');
    line('  to memory', `${range(overHttp, 2)}: ${verdict(median(overHttp) >= 0.5, '≥ 0.5')}`);
    line('bare XADD at 200/s, p50 ms', range(found.get('bare ms'), 3));
    line('acknowledged at 200/s, p50 ms', range(found.get('acknowledged ms'), 3));
    line('at another node at 200/s, p50 ms', range(found.get('received ms'), 3));
    const ratios = found.get('received, ratio');
    line('  to a bare XADD', `${range(ratios, 2)}: ${verdict(median(ratios) <= 5, '≤ 5')}`);
};

try {
    await measure();
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
} finally {
    await Promise.all(children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const end = once(child, 'exit');
        child.kill('SIGKILL');
        return end;
    }));
    rmSync(folder, { recursive: true, force: true });
}
