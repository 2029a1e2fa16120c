// What the benches of a shared log start: programs that end with the script, in a temporary folder.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const talaria = process.env.TALARIA_BIN ?? 'target/release/talaria';
export const folder = mkdtempSync(join(tmpdir(), 'talaria-bench-'));
// The account of a server must be able to enter it.
chmodSync(folder, 0o755);
export const KEY = 'the key of a bench that measures and is gone, of 32 bytes or more';
const KEY_FILE = join(folder, 'key');
writeFileSync(KEY_FILE, KEY);

const children = [];

/** Starts a program that ends with the script. */
export const start = (program, args, options) => {
    const child = spawn(program, args.map(String), options);
    children.push(child);
    return child;
};
/** Ends a program that was started. */
export const stop = async (child, signal = 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, 'exit');
    child.kill(signal);
    await end;
};
/** Runs the measurement, and ends and removes everything afterwards. */
export const within = async (measure) => {
    try {
        await measure();
    } catch (error) {
        console.error(error.message);
        process.exitCode = 1;
    } finally {
        await Promise.all(children.map((child) => stop(child)));
        rmSync(folder, { recursive: true, force: true });
    }
};

export const freePort = () =>
    new Promise((resolve) => {
        const socket = createServer().listen(0, '127.0.0.1', () => {
            const { port } = socket.address();
            socket.close(() => resolve(port));
        });
    });
/** Runs a program to its end; its output, or a failure. */
export const run = async (program, args, options = {}) => {
    const child = spawn(program, args.map(String), { stdio: [options.input ? 'pipe' : 'ignore', 'pipe', 'pipe'], ...options });
    let text = '';
    let said = '';
    child.stdout.on('data', (data) => { text += data; });
    child.stderr.on('data', (data) => { said += data; });
    child.stdin?.end(options.input);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}: ${said.slice(0, 1_000)}`);
    return text;
};

/** A hub with this transport: its process and its URL. */
export const hub = async (transport) => {
    const child = start(talaria, ['run'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
            HOME: mkdtempSync(join(folder, 'hub-')), NO_COLOR: '1', RUST_LOG: 'info', TALARIA_LOG_FORMAT: 'console',
            SERVER_NAME: 'http://127.0.0.1:0', CADDY_ADMIN: 'off', MERCURE_PUBLISHER_JWT_KEY: KEY, MERCURE_SUBSCRIBER_JWT_KEY: KEY,
            MERCURE_EXTRA_DIRECTIVES: `dispatch_timeout 0s\ntransport ${transport}`,
        },
    });
    let said = '';
    const stderr = child.stderr.setEncoding('utf8');
    for await (const text of stderr.iterator({ destroyOnReturn: false })) {
        said += text;
        const port = /listening address=\S*:(\d+)/.exec(said)?.[1];
        if (!port) continue;
        stderr.resume();
        return { child, url: `http://127.0.0.1:${port}/.well-known/mercure` };
    }
    throw new Error(`the hub ended: ${said}`);
};
/** The rate of publishing over HTTP with 64 connections, to one subscriber. */
export const publish = async (url, seconds) => {
    const args = ['--subscribers', 1, '--publishers', 64, '--window', 4096, '--duration', seconds];
    const text = await run(talaria, ['bench', '--url', url, '--key-file', KEY_FILE, '--json', ...args]);
    return JSON.parse(text).hub.updates_per_s;
};

const ACCOUNT = 'talaria-test';
/** The numbers of an account for the server, which root cannot run; it is made if it is missing. */
const account = () => {
    if (process.getuid() !== 0) return undefined;
    const id = (option) => Number(execFileSync('id', [option, ACCOUNT], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    try {
        return [id('-u'), id('-g')];
    } catch {
        execFileSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', ACCOUNT]);
        return [id('-u'), id('-g')];
    }
};
/** Starts a PostgreSQL with these settings, and an empty database. */
export const postgres = async (settings) => {
    const programs = process.env.POSTGRES_BIN ?? execFileSync('pg_config', ['--bindir'], { encoding: 'utf8' }).trim();
    const program = (name) => join(programs, name);
    const place = join(folder, 'postgres');
    mkdirSync(place);
    const [uid, gid] = account() ?? [];
    if (uid !== undefined) chownSync(place, uid, gid);
    const identity = { uid, gid, cwd: place, env: { ...process.env, LC_ALL: 'C' } };
    await run(program('initdb'), ['-D', 'data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'], identity);
    const port = await freePort();
    const flags = { listen_addresses: '127.0.0.1', port, unix_socket_directories: place, ...settings };
    const args = Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = start(program('postgres'), ['-D', 'data', ...args], { ...identity, stdio: ['ignore', 'ignore', 'pipe'] });
    const log = join(folder, 'postgres.log');
    let said = '';
    const stderr = child.stderr.setEncoding('utf8');
    for await (const text of stderr.iterator({ destroyOnReturn: false })) {
        said += text;
        if (!said.includes('ready to accept connections')) continue;
        stderr.on('data', (more) => writeFileSync(log, more, { flag: 'a' }));
        const server = ['-h', '127.0.0.1', '-p', port, '-U', 'postgres'];
        return {
            log: () => readFileSync(log, 'utf8'),
            url: `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=disable`,
            /** Runs SQL; the rows, as text. */
            sql: (text) => run(program('psql'), [...server, '-qAtX', '-v', 'ON_ERROR_STOP=1'], { input: text }),
            /** Runs SQL again and again, until it is stopped. */
            watch: (text, seconds) => {
                const watcher = start(program('psql'), [...server, '-qAtX'], { stdio: ['pipe', 'pipe', 'inherit'] });
                watcher.stdin.write(`${text}\n\\watch ${seconds}\n`);
                return watcher;
            },
            /** The transactions a second that clients of `pgbench` reach with a script. */
            pgbench: async (script, clients, seconds) => {
                const file = join(folder, 'pgbench.sql');
                writeFileSync(file, script);
                const args = ['-n', '-M', 'prepared', '-c', clients, '-j', 2, '-T', seconds, '-f', file, 'postgres'];
                const text = await run(program('pgbench'), [...server, ...args]);
                return Number(/tps = ([\d.]+)/.exec(text)[1]);
            },
        };
    }
    throw new Error(`PostgreSQL ended: ${said}`);
};
