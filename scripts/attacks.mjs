// The tables of scripts/attacks: what honest clients notice during each attack, and what one connection, stream,
// matcher or visit costs.
//
//   node scripts/attacks.mjs FOLDER SECONDS
//
// FOLDER has attack-NUMBER.json, .name, .error and .metrics (pages of metrics) for each attack, and cost-NAME.json for each cost, as
// `talaria bench attack --json` and `talaria bench cost` print them. SECONDS is how long each attack took. The
// exit code is 1 if something could not be measured.

import { readdirSync, readFileSync } from 'node:fs';

const [folder, seconds] = process.argv.slice(2);
if (!seconds) {
    console.error('usage: node scripts/attacks.mjs FOLDER SECONDS');
    process.exit(2);
}
const text = (name) => readFileSync(`${folder}/${name}`, 'utf8').trim();
const files = (start) => readdirSync(folder).filter((name) => name.startsWith(start) && name.endsWith('.json')).sort();
const shown = (value, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits) : '-');
const print = (rows, left = 1) => {
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i] ?? '').length)));
    for (const row of rows) {
        const cells = row.map((cell, i) => (i < left ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])));
        console.log(cells.join('  ').trimEnd());
    }
};

// The limits of which a tenth or more was used, with the most that a page of the metrics shows, and the most memory.
const limits = (pages) => {
    const most = new Map();
    for (const [, name, limit, value] of pages.matchAll(/^talaria_limit_(used|bound)\{[^}]*limit="(\w+)"\} (\S+)$/gm)) {
        const key = `${name} ${limit}`;
        most.set(key, Math.max(most.get(key) ?? 0, Number(value)));
    }
    const used = [...most.keys()].filter((key) => key.startsWith('used ')).map((key) => key.slice('used '.length));
    const memory = [...pages.matchAll(/^process_resident_memory_bytes (\S+)$/gm)].map(([, bytes]) => Number(bytes));
    const shown = used
        .map((limit) => [limit, most.get(`used ${limit}`), most.get(`bound ${limit}`)])
        .filter(([, value, bound]) => value >= bound / 10)
        .map(([limit, value, bound]) => `${limit} ${Math.round(value)} of ${bound}`);
    return [`${memory.length} pages`, `memory ${Math.round(Math.max(0, ...memory) / 2 ** 20)} MiB`, ...shown].join(', ');
};

let failed = false;
const seen = [];
const rows = [[
    'attack', 'addresses', 'publishes/s', 'p99 ms', 'delivery p99 ms', 'resumes/s', 'p99 ms', 'failed',
    'memory MiB: before, most, after', 'healthz worst ms', 'attackers: accepted, refused, broken',
    'lost+doubled', 'verdict',
]];
const problems = [];
for (const file of files('attack-')) {
    const [label, addresses] = text(file.replace('.json', '.name')).split('\n');
    const error = text(file.replace('.json', '.error'));
    const row = text(file) ? JSON.parse(text(file)) : undefined;
    if (!row) {
        failed = true;
        rows.push([label, addresses, ...Array(10).fill('-'), 'not measured']);
        problems.push(`${label}, ${addresses}: ${error || 'it did not end'}`);
        continue;
    }
    const { attack, attackers, memory_mib: memory } = row;
    const beside = (name, digits) =>
        `${shown(attack[name], digits)} (${shown(row['attack/alone'][name], 2)}, ${shown(row['attack/harmless'][name], 2)})`;
    rows.push([
        label, addresses, beside('publish_rate'), beside('publish_p99_ms'), beside('delivery_p99_ms'),
        beside('resume_rate'), beside('resume_p99_ms'), `${attack.publish_failed}, ${attack.resume_failed}`,
        [memory.before, memory.most, memory.after].map((each) => shown(each, 0)).join(', '),
        `${shown(attack.healthz_worst_ms, 0)}${attack.healthz_failed ? `, ${attack.healthz_failed} failed` : ''}`,
        `${attackers.accepted}, ${attackers.refused}, ${attackers.broken}`,
        `${row.lost}+${row.doubled}`, row.verdict,
    ]);
    seen.push(`${label}, ${addresses}: ${limits(text(file.replace('.json', '.metrics')))}`);
    for (const why of [row.first_end, attack.first_failure]) {
        if (why) problems.push(`${label}, ${addresses}: ${why}`);
    }
}
if (rows.length > 1) {
    console.log(`\nHonest clients during ${seconds} s of attack by a process at nice 19 (in brackets: ratios to no attackers, and to harmless ones):\n`);
    print(rows, 2);
    console.log('\nholds: at least 0.75 of each rate, and at most 5 times each p99, without attackers; holds*: only of those with harmless attackers');
    for (const problem of problems) console.log(problem);
    console.log('\nThe most that the metrics showed meanwhile:\n');
    for (const line of seen) console.log(line);
}
const costs = [['', 'bytes each', 'µs of the hub per publish']];
for (const file of files('cost-')) {
    const cost = text(file) ? JSON.parse(text(file)) : undefined;
    failed ||= !cost;
    const name = file.slice('cost-'.length, -'.json'.length);
    costs.push([`${cost?.count ?? ''} × ${name}`, shown(cost?.bytes_each, 0), shown(cost?.cpu_us_per_update)]);
}
if (costs.length > 1) {
    console.log('');
    print(costs);
}
process.exit(failed ? 1 : 0);
