// The table of scripts/acceptance-bench: the figures of its measurements, and which targets they meet.
//
//   node scripts/acceptance-bench.mjs FOLDER
//
// FOLDER has a file NAME.json for each measurement, as `talaria bench --json` prints it. A missing or empty
// file is a measurement that failed; its figures are shown as `-`.

import { existsSync, readFileSync } from 'node:fs';

const [folder] = process.argv.slice(2);
if (!folder) {
    console.error('usage: node scripts/acceptance-bench.mjs FOLDER');
    process.exit(2);
}
const read = (name) => {
    const path = `${folder}/${name}.json`;
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    return text.trim() ? JSON.parse(text) : undefined;
};
const shown = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : '-');
const row = (cells) =>
    console.log(cells.map((cell, i) => (i ? String(cell).padStart(15) : cell.padEnd(28))).join(''));
const target = (text, met) => console.log(`${text}: target ${met ? 'met' : 'NOT met'}`);

console.log('');
row(['subscribers, topics, load', 'deliveries/s', 'µs/delivery', 'floor µs', 'hub/floor', 'bytes/idle', 'p99 ms']);
for (const subscribers of [1000, 5000]) {
    for (const topics of ['one', 'own']) {
        for (const load of ['closed', 'rate']) {
            const figures = read(`${topics}-${subscribers}-${load}`);
            const { hub, floor } = figures ?? {};
            row([
                `${subscribers} ${topics === 'one' ? 'one topic' : 'own topics'}, ${load}`,
                shown(hub?.deliveries_per_s, 0),
                shown(hub?.cpu_us_per_delivery),
                shown(floor?.cpu_us_per_delivery),
                shown(figures?.['hub/floor']?.cpu_us_per_delivery),
                shown(hub?.rss_bytes_per_idle_subscriber, 0),
                shown(hub?.delivery_p99_ms),
            ]);
        }
    }
}
console.log('');
const neighbours = read('neighbours');
const ratio = neighbours?.['hub+stalled/hub']?.publish_p99_ms;
target(
    `1,000 readers and 500 stalled: publisher p99 ${shown(neighbours?.['hub+stalled']?.publish_p99_ms)} ms, ` +
        `without stalled ${shown(neighbours?.hub?.publish_p99_ms)} ms, ratio ${shown(ratio)} of 1.5 allowed`,
    ratio <= 1.5,
);
const stalled = read('stalled')?.['hub+stalled'];
const [tenth, end] = [stalled?.stalled_bytes_tenth, stalled?.stalled_bytes_end];
target(
    `10 readers and 500 stalled: ${shown(tenth / 1024, 1)} KiB per stalled socket after a tenth of ` +
        `${stalled?.updates ?? '-'} updates, ${shown(end / 1024, 1)} KiB at the end, of 128 allowed`,
    Math.max(tenth, end) <= 128 * 1024,
);
target(`… grown by ${shown((end - tenth) / 1024, 1)} KiB per stalled socket since, of 4 allowed`, end - tenth <= 4096);
const [one, many, memory] = ['durable-1', 'durable-64', 'memory-64'].map(
    (name) => read(name)?.hub?.updates_per_s,
);
target(
    `durable publishing over HTTP: ${shown(one, 0)} updates/s with 1 publisher, ${shown(many, 0)} with 64, ` +
        `${shown(memory, 0)} with 64 in memory: ${shown(many / one, 1)} times one, ${shown(many / memory)} of memory`,
    many >= 10 * one || many >= 0.8 * memory,
);
