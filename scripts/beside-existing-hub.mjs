#!/usr/bin/env node
// What the existing hub and this one take for the same work, on the same machine in the same run.
//
//   node scripts/beside-existing-hub.mjs PATH         PATH is the existing hub's program, version 0.24
//   TALARIA_BIN=… node scripts/beside-existing-hub.mjs PATH
//
// Both read the same Caddyfile and keep updates on disk. They take turns, three times; each figure is the median.
// The clients speak Mercure 0.x over HTTP/1.1, which both understand. Measure a release build on an idle machine.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const [existing] = process.argv.slice(2);
if (!existing) {
    console.error('usage: node scripts/beside-existing-hub.mjs PATH');
    process.exit(2);
}
const talaria = process.env.TALARIA_BIN ?? 'target/release/talaria';
const ROUNDS = 3;
const SUBSCRIBERS = 1000;
const UPDATES = 100;
const KEY = 'a key of a measurement that is gone when it ends';
const PATH = '/.well-known/mercure';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ mercure: { publish: ['*'] } })}`;
const token = `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
const form = `topic=${encodeURIComponent('https://example.com/1')}&data=${'x'.repeat(100)}`;
const PUBLISH =
    `POST ${PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n` +
    `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`;
const SUBSCRIBE = `GET ${PATH}?topic=${encodeURIComponent('https://example.com/1')} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const freePort = () =>
    new Promise((resolve) => {
        const server = createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });

/** Resident memory of a process in bytes, and its processor time in microseconds. */
function usage(pid) {
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1] * 1024;
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return { resident, time: (Number(fields[11]) + Number(fields[12])) * 10_000 };
}

/** A connection that counts how often `mark` comes. */
function connection(port, request, mark) {
    const socket = connect(port, '127.0.0.1');
    const state = { socket, count: 0, tail: '', reached: () => {} };
    socket.on('error', (error) => {
        throw error;
    });
    socket.on('data', (bytes) => {
        const all = state.tail + bytes.toString('latin1');
        state.count += all.split(mark).length - 1;
        // A mark that is split over two reads is counted with the second.
        state.tail = all.slice(Math.max(all.lastIndexOf(mark) + mark.length, all.length - mark.length + 1));
        state.reached();
    });
    socket.write(request);
    return state;
}

/** Waits until a count is reached. */
const reach = (state, count) =>
    new Promise((resolve) => {
        state.reached = () => state.count >= count && resolve();
        state.reached();
    });

/** Starts a hub in a new folder. */
async function start(program) {
    const folder = mkdtempSync(join(tmpdir(), 'beside-'));
    const port = await freePort();
    writeFileSync(
        join(folder, 'Caddyfile'),
        `{\n    admin off\n    auto_https off\n}\nhttp://127.0.0.1:${port} {\n    mercure {\n` +
            `        transport bolt {\n            path ${folder}/mercure.db\n        }\n` +
            `        publisher_jwt "${KEY}"\n        subscriber_jwt "${KEY}"\n        anonymous\n    }\n}\n`,
    );
    const environment = { PATH: process.env.PATH, HOME: folder };
    const child = spawn(program, ['run', '--config', join(folder, 'Caddyfile')], {
        cwd: folder,
        env: environment,
        stdio: 'ignore',
    });
    for (let tries = 0; ; tries += 1) {
        const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
        if (answer?.ok) break;
        if (tries > 300) throw new Error(`${program} does not start`);
        await pause(100);
    }
    const end = async () => {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
        rmSync(folder, { recursive: true });
    };
    return { port, pid: child.pid, end };
}

/** Updates a second that this number of publishers store, one after another each. */
async function published({ port }, publishers, each) {
    const begin = performance.now();
    const work = Array.from({ length: publishers }, async () => {
        const state = connection(port, '', 'HTTP/1.1 200');
        for (let number = 1; number <= each; number += 1) {
            state.socket.write(PUBLISH);
            await reach(state, number);
        }
        state.socket.destroy();
    });
    await Promise.all(work);
    return (publishers * each * 1000) / (performance.now() - begin);
}

/** The figures of one round. */
async function measure(program) {
    const hub = await start(program);
    const before = usage(hub.pid);
    const subscribers = Array.from({ length: SUBSCRIBERS }, () => connection(hub.port, SUBSCRIBE, 'data: x'));
    await Promise.all(
        subscribers.map((one) => new Promise((resolve) => one.socket.once('data', resolve))),
    );
    const idle = usage(hub.pid);
    const publisher = connection(hub.port, '', 'HTTP/1.1 200');
    for (let number = 1; number <= UPDATES; number += 1) {
        publisher.socket.write(PUBLISH);
        await Promise.all([reach(publisher, number), ...subscribers.map((one) => reach(one, number))]);
    }
    const busy = usage(hub.pid);
    for (const { socket } of [publisher, ...subscribers]) socket.destroy();
    const one = await published(hub, 1, 500);
    const many = await published(hub, 64, 100);
    await hub.end();
    return {
        'memory without clients, MB': before.resident / 1e6,
        'memory of an idle subscriber, KB': (idle.resident - before.resident) / SUBSCRIBERS / 1e3,
        'processor time of a delivery, µs': (busy.time - idle.time) / SUBSCRIBERS / UPDATES,
        'stored updates a second, 1 publisher': one,
        'stored updates a second, 64 publishers': many,
    };
}

const programs = { 'existing hub': existing, Talaria: talaria };
const rounds = { 'existing hub': [], Talaria: [] };
for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, program] of Object.entries(programs)) rounds[name].push(await measure(program));
}
console.log(`${''.padEnd(42)}${'existing hub'.padStart(14)}${'Talaria'.padStart(14)}`);
for (const figure of Object.keys(rounds.Talaria[0])) {
    const shown = Object.values(rounds).map((each) => {
        const value = median(each.map((round) => round[figure]));
        return (value < 100 ? value.toFixed(1) : value.toFixed(0)).padStart(14);
    });
    console.log(figure.padEnd(42) + shown.join(''));
}
process.exit(0);
