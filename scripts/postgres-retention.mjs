#!/usr/bin/env node
// Whether retention keeps up with a log on PostgreSQL, how large the table becomes, and how long publishes wait for it.
//
//   scripts/postgres-retention.mjs                        1,000,000 updates, kept at 100,000, of the release build
//   scripts/postgres-retention.mjs --updates 10000000     ten times as many
//   scripts/postgres-retention.mjs --updates 100000 --kept 100000 --seconds 120
//                                                         a log that is full, and turned over by what arrives
//   TALARIA_BIN=… POSTGRES_BIN=… scripts/postgres-retention.mjs
//                                                         another build, another server
//
// Fills a log by SQL, then publishes --rate updates a second at a hub: first one that keeps all, for a comparison, then
// one that keeps --kept updates, until the rest is deleted and for --seconds after it.

import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { hub, postgres, stop, within } from './bench/programs.mjs';
import { Publisher } from './bench/publisher.mjs';

const { values: options } = parseArgs({
    options: {
        updates: { type: 'string', default: '1000000' },
        kept: { type: 'string' },
        rate: { type: 'string', default: '1000' },
        seconds: { type: 'string', default: '60' },
    },
});
const updates = Number(options.updates);
const kept = Number(options.kept ?? updates / 10);
const rate = Number(options.rate);

const FILL = `
    INSERT INTO talaria.log (position, at, updates, events, batch, node, entry, private, by_hub, is_indexed, run_before, topics, data)
    SELECT (1::bigint << 32) + n, now(), n, 0, n, '00000000-0000-0000-0000-000000000001', 0, false, false, true,
        CASE WHEN n = 1 THEN 0 END, ARRAY['https://example.com/topics/1'], repeat('x', 100)
    FROM generate_series(1, ${updates}) n;
    VACUUM ANALYZE talaria.log;
`;
/** The bytes of the table with its indexes, those of the table alone, and how far the log goes. */
const STATE = `
    SELECT pg_total_relation_size('talaria.log'), pg_relation_size('talaria.log'),
        (SELECT updates FROM talaria.log ORDER BY position DESC LIMIT 1)
            - (SELECT updates FROM talaria.log, talaria.state WHERE position > floor ORDER BY position LIMIT 1) + 1
`;

const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const line = (title, text) => console.log(`${title.padEnd(58)} ${text}`);
const judged = (isMet, aim) => `: ${isMet ? 'meets' : 'MISSES'} ${aim}`;
const told = ({ count, p50, p99, p999, longest }) =>
    `${[p50, p99, p999, longest].map((ms) => ms.toFixed(1)).join(' / ')} of ${count}`;

const measure = async () => {
    const database = await postgres({ shared_buffers: '256MB', max_wal_size: '4GB' });
    const state = async () => {
        const [all, table, length] = (await database.sql(STATE)).split('|').map(Number);
        return { all, table, length };
    };
    const on = (size) => hub(`postgres {\nurl ${database.url}\n${size}\n}`);
    // The first hub makes the tables.
    await stop((await on('')).child, 'SIGTERM');
    await database.sql(FILL);
    const filled = await state();
    const row = { all: filled.all / updates, table: filled.table / updates };
    line(`${updates} updates, table with indexes, and alone`, `${mebibytes(filled.all)}, ${mebibytes(filled.table)}`);

    const keepsAll = await on('');
    const compared = new Publisher(keepsAll.url, rate);
    await pause(20_000);
    line('kept all: publish p50 / p99 / p99.9 / longest, ms', told(await compared.stop()));
    await stop(keepsAll.child, 'SIGTERM');

    const before = await state();
    const keeps = await on(`size ${kept}`);
    const publisher = new Publisher(keeps.url, rate);
    const begun = Date.now();
    let longest = 0;
    let greatest = before.all;
    const look = async () => {
        await pause(500);
        const now = await state();
        greatest = Math.max(greatest, now.all);
        return now;
    };
    while ((await look()).length > kept + 3 * rate);
    const cut = (Date.now() - begun) / 1_000;
    line(`until ${kept} are left, s`, cut.toFixed(1));
    for (const end = Date.now() + Number(options.seconds) * 1_000; Date.now() < end;) {
        longest = Math.max(longest, (await look()).length);
    }
    const took = await publisher.stop();
    const after = await state();
    line(`kept ${kept}: publish p50 / p99 / p99.9 / longest, ms`, `${told(took)}${judged(took.longest <= 100, '≤ 100')}`);
    line('the longest that the log was afterwards', String(longest));
    line('its table with indexes, at most and at the end', `${mebibytes(greatest)}, ${mebibytes(after.all)}`);
    const live = row.all * after.length;
    const ratio = after.all / live;
    line('  to its live size', `${ratio.toFixed(2)} of ${mebibytes(live)}${judged(ratio <= 2, '≤ 2')}`);
    line('  the table alone', (after.table / (row.table * after.length)).toFixed(2));
    line('  at most, to what was there before', (greatest / before.all).toFixed(2));
    line('vacuums by the hub, by the server', (await database.sql(`
        SELECT vacuum_count || ', ' || autovacuum_count FROM pg_stat_user_tables WHERE relid = 'talaria.log'::regclass`)).trim());
};

await within(measure);
