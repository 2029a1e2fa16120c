#!/usr/bin/env node
// How many idle subscribers a cluster of hubs on one Redis holds on this machine, and whether one update reaches all.
//
//   scripts/scale-out.mjs --subscribers 100000          of the release build
//   scripts/scale-out.mjs --subscribers 3000 --hubs 3   a look
//   TALARIA_BIN=… scripts/scale-out.mjs …               another build
//   REDIS_BIN=… scripts/scale-out.mjs …                 another server than the installed redis-server
//
// Starts a Redis, as many hubs as the limit of open files needs, and for each hub a process of clients with two
// separate addresses (127.0.0.2 and so on), because an address has no more than 28,000 ports. Then publishes three
// updates at the first hub: each subscriber has to receive them in this order, the first two once. All processes end with
// the script. Exits with 1 if a subscriber lost an update or its stream, or received one twice.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const PATH = '/.well-known/mercure';
const TOPIC = 'https://example.com/scale-out';
const AUDIENCE = `https://hub.example${PATH}`;
const MARKS = ['the-first-update', 'the-second-update', 'the-last-update'];
/** How long nothing may happen before the rest counts as lost, in seconds. */
const PATIENCE = 60;
/** The part of its files that a hub gives to the connections of one address: four fifths of those for connections. */
const SHARE = 0.7;

const now = () => Number(process.hrtime.bigint()) / 1e9;
const seconds = (value) => `${value.toFixed(2)} s`;

const children = [];
const folder = () => (folder.path ??= mkdtempSync(join(tmpdir(), 'scale-out-')));
const spawned = (child) => {
    children.push(child);
    return child;
};
/** Has a shell start a program that may open as many files as possible. */
const MANY_FILES = 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"';
/** Starts a program that logs to a file. */
const start = (name, program, args, environment) => {
    const log = openSync(join(folder(), `${name}.log`), 'a');
    const command = ['-c', MANY_FILES, program, ...args.map(String)];
    const child = spawned(spawn('sh', command, { env: environment, stdio: ['ignore', log, log] }));
    closeSync(log);
    return child;
};
const logged = (name) => readFileSync(join(folder(), `${name}.log`), 'utf8').split('\n').slice(-20).join('\n');
const freePort = () =>
    new Promise((resolve) => {
        const socket = createServer().listen(0, '127.0.0.1', () => {
            const { port } = socket.address();
            socket.close(() => resolve(port));
        });
    });
/** Asks until it is so. */
const until = async (what, child, name, isSo) => {
    for (let looks = 0; looks < 600; looks++) {
        if (child.exitCode !== null || child.signalCode !== null) break;
        if (await isSo().catch(() => false)) return;
        await pause(100);
    }
    throw new Error(`waited in vain for ${what}:\n${logged(name)}`);
};

const file = (path) => readFileSync(path, 'utf8');
const number = (text, pattern) => Number(pattern.exec(text)?.[1] ?? 0);
/** Processor time of processes in seconds, and their memory in bytes: resident, and with shared pages divided. */
const usage = (processes) => {
    const sum = { time: 0, rss: 0, pss: 0 };
    for (const { pid } of processes) {
        const fields = file(`/proc/${pid}/stat`).split(') ')[1].split(' ');
        sum.time += (Number(fields[11]) + Number(fields[12])) / 100;
        const memory = file(`/proc/${pid}/smaps_rollup`);
        sum.rss += number(memory, /^Rss:\s+(\d+)/m) * 1024;
        sum.pss += number(memory, /^Pss:\s+(\d+)/m) * 1024;
    }
    return sum;
};
/** Memory of the kernel in bytes, sockets of TCP, and processor time of the machine in seconds. */
const machine = () => {
    const memory = file('/proc/meminfo');
    const sockets = file('/proc/net/sockstat');
    const [user, nice, system, idle, wait, ...rest] = file('/proc/stat').split('\n')[0].split(/\s+/).slice(1).map(Number);
    const kilobytes = (name) => number(memory, new RegExp(`^${name}:\\s+(\\d+)`, 'm')) * 1024;
    return {
        slab: kilobytes('Slab'),
        unreclaimable: kilobytes('SUnreclaim'),
        available: kilobytes('MemAvailable'),
        buffers: number(sockets, /^TCP:.* mem (\d+)/m) * 4096,
        sockets: number(sockets, /^TCP: inuse (\d+)/m) + number(file('/proc/net/sockstat6'), /^TCP6: inuse (\d+)/m),
        busy: (user + nice + system + rest.slice(0, 2).reduce((sum, value) => sum + value, 0)) / 100,
        all: (user + nice + system + idle + wait + rest.slice(0, 2).reduce((sum, value) => sum + value, 0)) / 100,
    };
};

const KEY = 'a key of a measurement that is gone when it ends';
const token = () => {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const time = Math.floor(Date.now() / 1000);
    const details = [{
        type: 'https://mercure.rocks/authorization-detail', actions: ['publish'], topics: [{ match: '*' }],
    }];
    const claims = {
        iss: 'https://localhost', aud: AUDIENCE, sub: 'scale-out', client_id: 'scale-out', iat: time, exp: time + 86_400,
        jti: 'scale-out', authorization_details: details,
    };
    const text = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
};
/** Publishes an update; when it was sent, and when it was acknowledged. */
const publish = async (port, data) => {
    const headers = { authorization: `Bearer ${token()}`, 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams({ topic: TOPIC, data });
    const sent = now();
    const answer = await fetch(`http://127.0.0.1:${port}${PATH}`, { method: 'POST', headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the publish is refused: ${answer.status} ${text}`);
    return { sent, acknowledged: now() };
};

const startRedis = async () => {
    const port = await freePort();
    const flags = ['--port', port, '--bind', '127.0.0.1', '--dir', folder(), '--save', '', '--appendonly', 'yes'];
    const redis = start('redis', process.env.REDIS_BIN ?? 'redis-server', flags, process.env);
    const isUp = async () => {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.destroy();
        return true;
    };
    await until('Redis', redis, 'redis', isUp);
    return { redis, port };
};
const startHub = async (nth, redis) => {
    const name = `hub-${nth}`;
    const environment = {
        PATH: process.env.PATH, HOME: folder(), RUST_LOG: 'warn,talaria=info', TALARIA_LOG_FORMAT: 'console',
        NO_COLOR: '1', CADDY_ADMIN: 'off', SERVER_NAME: 'http://127.0.0.1:0', MERCURE_PUBLISHER_JWT_KEY: KEY, MERCURE_SUBSCRIBER_JWT_KEY: KEY,
        MERCURE_TRUSTED_ISSUERS: 'https://localhost',
        MERCURE_EXTRA_DIRECTIVES:
            `anonymous\nresource_identifier ${AUDIENCE}\ntransport redis {\naddress 127.0.0.1:${redis}\n}`,
    };
    const hub = start(name, process.env.TALARIA_BIN ?? 'target/release/talaria', ['run'], environment);
    const isReady = async () => {
        hub.port = number(file(join(folder(), `${name}.log`)), /listening address=\S*:(\d+)/);
        return (await fetch(`http://127.0.0.1:${hub.port}/healthz`)).ok;
    };
    await until(`hub ${nth}`, hub, name, isReady);
    return hub;
};
/** The address of a process of clients. */
const address = (nth) => `127.0.${Math.floor((nth + 2) / 250)}.${((nth + 2) % 250) + 1}`;
const startClients = async (nth) => {
    const program = fileURLToPath(new URL('scale-out-clients', import.meta.url));
    const child = spawned(spawn('sh', ['-c', MANY_FILES, program], { stdio: ['pipe', 'pipe', 'inherit'] }));
    child.sources = [address(2 * nth), address(2 * nth + 1)];
    child.stdin.on('error', () => {});
    const lines = createInterface({ input: child.stdout });
    const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(60_000) });
    if (line !== '{}') throw new Error(`the clients say ${line}`);
    child.found = { opened: 0, ended: 0, wrong: 0, received: [0, 0], last: [0, 0] };
    lines.on('line', (line) => { child.found = JSON.parse(line); });
    return child;
};
const sum = (groups, value) => groups.reduce((total, group) => total + value(group.found), 0);
/** Waits until all processes of clients have as many of something as they want, apart from streams that ended. */
const all = async (groups, count) => {
    const isAll = (group) => count(group.found) + group.found.ended >= group.wanted;
    let [before, end] = [-1, 0];
    while (!groups.every(isAll)) {
        if (groups.some((group) => group.exitCode !== null || group.signalCode !== null)) throw new Error('a process of clients has ended');
        const found = sum(groups, (found) => count(found) + found.ended);
        if (found !== before) [before, end] = [found, now() + PATIENCE];
        if (now() > end) return;
        await pause(20);
    }
};

/** What a part of the measurement took of the processors, and who took most. */
const busiest = (processes, before) => {
    const after = look(processes);
    const used = ['hubs', 'clients', 'redis'].map((name) => [name, after[name].time - before[name].time]);
    const whole = after.machine.all - before.machine.all;
    const taken = after.machine.busy - before.machine.busy;
    const busy = whole > 0 ? (100 * taken) / whole : 0;
    const own = used.reduce((total, [, time]) => total + time, 0);
    // The kernel's work for sockets that no process is charged with is among it.
    used.push(['others', Math.max(0, taken - own)]);
    const [first] = used.toSorted((one, other) => other[1] - one[1]);
    const parts = used.map(([name, time]) => `${name} ${seconds(time)}`).join(', ');
    const verdict = busy > 85 ? `the processors are the bottleneck, ${first[0]} take most` : `most: ${first[0]}`;
    return `${parts}; the machine is busy for ${busy.toFixed(0)} %: ${verdict}`;
};
const look = ({ hubs, groups, redis }) => ({
    hubs: usage(hubs), clients: usage(groups), redis: usage([redis]), machine: machine(),
});

const line = (name, text) => console.log(`${name.padEnd(34)} ${text}`);
const each = (bytes, count) => `${(bytes / count / 1024).toFixed(2)} KiB`;
const mebibytes = (bytes) => `${(bytes / (1 << 20)).toFixed(0)} MiB`;

async function measure({ subscribers, hubs: count }) {
    const limit = Number(/Max open files\s+\S+\s+(\d+)/.exec(file('/proc/self/limits'))?.[1] ?? 1024);
    const most = Math.floor(limit * SHARE);
    if (!(most > 0)) throw new Error(`a process may open ${limit} files only`);
    const nodes = Math.max(count, Math.ceil(subscribers / most));
    const { redis, port } = await startRedis();
    const hubs = [];
    for (let nth = 0; nth < nodes; nth++) hubs.push(await startHub(nth, port));
    const groups = await Promise.all(hubs.map((_, nth) => startClients(nth)));
    const processes = { hubs, groups, redis };
    line('hubs, processes of clients', `${nodes}, of at most ${Math.ceil(subscribers / nodes)} subscribers each`);

    const before = look(processes);
    const began = now();
    groups.forEach((group, nth) => {
        group.wanted = Math.floor(subscribers / nodes) + (nth < subscribers % nodes ? 1 : 0);
        const { port } = hubs[nth];
        const request = `GET ${PATH}?match=${encodeURIComponent(TOPIC)} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
        const order = { subscribers: group.wanted, port, sources: group.sources, request, marks: MARKS };
        group.stdin.write(`${JSON.stringify(order)}\n`);
    });
    await all(groups, (found) => found.opened);
    const opened = sum(groups, (found) => found.opened);
    const lasted = now() - began;
    line('subscribers open', `${opened} of ${subscribers} in ${seconds(lasted)}, ${(opened / lasted).toFixed(0)} a second`);
    line('  processor time', busiest(processes, before));
    if (opened === 0) throw new Error(`no stream opens:\n${logged('hub-0')}`);

    // What was needed only to open them is given back.
    await pause(3_000);
    const idle = look(processes);
    const grown = (value) => value(idle) - value(before);
    line('memory per subscriber: hubs', `${each(grown((at) => at.hubs.rss), opened)} resident, ` +
        `${each(grown((at) => at.hubs.pss), opened)} proportional; an empty hub ${mebibytes(before.hubs.pss / nodes)}`);
    line('  kernel, sockets of both ends', `${each(grown((at) => at.machine.slab), opened)} slab ` +
        `(${each(grown((at) => at.machine.unreclaimable), opened)} unreclaimable), ` +
        `${each(grown((at) => at.machine.buffers), opened)} TCP buffers, ` +
        `${(grown((at) => at.machine.sockets) / opened).toFixed(2)} sockets`);
    line('  clients', `${each(grown((at) => at.clients.pss), opened)}`);
    line('  of the machine, all of it', `${each(-grown((at) => at.machine.available), opened)}; ` +
        `${mebibytes(idle.machine.available)} are left`);

    let isRight = opened === subscribers;
    for (const [nth, mark] of MARKS.entries()) {
        const start = look(processes);
        const { sent, acknowledged } = await publish(hubs[0].port, mark);
        await all(groups, (found) => found.received[nth]);
        const received = sum(groups, (found) => found.received[nth]);
        const last = Math.max(...groups.map((group) => group.found.last[nth]));
        line(`update ${nth + 1} reaches`, `${received} of ${opened}, the last after ${seconds(last - sent)}, ` +
            `acknowledged after ${seconds(acknowledged - sent)}`);
        line('  processor time', busiest(processes, start));
        isRight &&= received === subscribers;
    }
    const [ended, wrong] = [sum(groups, (found) => found.ended), sum(groups, (found) => found.wrong)];
    line('streams that ended', String(ended));
    line('twice, out of order or refused', String(wrong));
    isRight &&= ended === 0 && wrong === 0;
    console.log(isRight ? 'none lost, none twice' : 'NOT all received each update once');
    return isRight;
}

async function main() {
    const { values } = parseArgs({
        options: { subscribers: { type: 'string', default: '10000' }, hubs: { type: 'string', default: '3' } },
    });
    const wanted = { subscribers: Number(values.subscribers), hubs: Number(values.hubs) };
    if (!Object.values(wanted).every((value) => Number.isInteger(value) && value > 0)) {
        throw new Error('--subscribers and --hubs take a number each');
    }
    const isRight = await measure(wanted);
    process.exitCode = isRight ? 0 : 1;
}

/** Ends all processes and removes what they wrote. */
async function clean() {
    await Promise.all(children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const end = once(child, 'exit');
        child.kill('SIGKILL');
        return end;
    }));
    if (folder.path) rmSync(folder.path, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => clean().then(() => process.exit(1)));
try {
    await main();
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
} finally {
    await clean();
}
