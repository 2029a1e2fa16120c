// The structure that ARCHITECTURE.md states: fails if files of a crate import each other in a circle, if an
// import runs against the stated direction, if a file is not reached by `mod` alone, or if a file or a
// function is too long.
//
//   node tests/structure.mjs             the check
//   node tests/structure.mjs --imports   the check, with every import of each circle
//   node tests/structure.mjs --numbers   the check, and how long files and functions are
//   node tests/structure.mjs --root DIR  the check of another workspace
//   node --test tests/structure/planted.test.mjs   that the check fails on planted violations
//
// `use` and paths in code count as imports of the file that defines the name: the check follows a
// re-export to that file. The re-export is an import by its own file, too. `mod x;`, code for tests only,
// and examples do not count.

import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { circles, shortest, within } from "./structure/circles.mjs";
import { crates } from "./structure/crates.mjs";
import { files, percentile } from "./structure/sizes.mjs";

/** Which crates of the workspace each crate may depend on. */
const CRATES = {
  "talaria-protocol": [],
  "talaria-transport": ["talaria-protocol"],
  "talaria-boltdb": ["talaria-protocol"],
  "talaria-redis": ["talaria-transport", "talaria-protocol"],
  "talaria-postgres": ["talaria-transport", "talaria-protocol"],
  "talaria-hub": ["talaria-transport", "talaria-protocol"],
  "talaria-config": ["talaria-hub", "talaria-transport", "talaria-protocol"],
  "talaria-bench": ["talaria-hub", "talaria-postgres", "talaria-redis", "talaria-transport", "talaria-protocol"],
  "talaria-server": [
    "talaria-config", "talaria-bench", "talaria-hub", "talaria-boltdb", "talaria-postgres", "talaria-redis",
    "talaria-transport", "talaria-protocol",
  ],
  "talaria-conformance": [],
  "talaria-fuzzing": ["talaria-server", "talaria-config", "talaria-hub", "talaria-boltdb", "talaria-transport", "talaria-protocol"],
};

/** The crates whose tests may not depend on others either: they see a hub only by its URL. */
const BLACK_BOXES = new Set(["talaria-conformance"]);

/** Which other libraries a crate must not depend on. */
const LIBRARIES = {
  "talaria-protocol": ["tokio", "hyper", "axum", "http"],
  "talaria-transport": ["hyper", "axum", "http"],
  "talaria-boltdb": ["hyper", "axum", "http"],
  "talaria-redis": ["hyper", "axum", "http"],
  "talaria-postgres": ["hyper", "axum", "http"],
  "talaria-config": ["tokio", "hyper", "axum"],
};

/** What the files of a folder (or of a file of its name) must not import: folders of the crate, or crates. */
const FOLDERS = {
  "talaria-server": {
    serve: ["cli", "talaria_bench"],
  },
  "talaria-hub": {
    engine: ["http", "embedded", "access", "presence"],
    access: ["http", "embedded"],
    presence: ["http", "embedded"],
  },
};

/** The most lines of a file and of a function, tests and examples included. */
const LONGEST = { file: 400, function: 70 };

const { values: options } = parseArgs({
  options: {
    root: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
    imports: { type: "boolean", default: false },
    numbers: { type: "boolean", default: false },
  },
});
const shown = (path) => relative(options.root, path);
const at = (crate, { from, line }) => `${shown(join(crate.folder, "src", from))}:${line}`;

function circleFaults(crate) {
  return circles(crate.imports).map((group) => {
    const lines = [`${crate.name}: ${group.length} files import each other: ${group.join(", ")}`];
    const steps = options.imports ? within(crate.imports, group) : shortest(crate.imports, group);
    lines.push(options.imports ? "  its imports:" : `  its shortest circle, of ${steps.length}:`);
    for (const step of steps) lines.push(`    ${at(crate, step)} imports ${step.to} (${step.path})`);
    return lines.join("\n");
  });
}

function crateFaults(crate, names) {
  const allowed = CRATES[crate.name];
  if (!allowed) return [`${crate.name} is not in the table of crates in tests/structure.mjs`];
  const banned = new Set(LIBRARIES[crate.name] ?? []);
  const tests = BLACK_BOXES.has(crate.name) ? crate.testDependencies : [];
  return [...crate.dependencies, ...tests]
    .filter((name) => banned.has(name) || (names.has(name) && !allowed.includes(name)))
    .map((name) => `${crate.name} depends on ${name}, against the stated direction`);
}

function folderFaults(crate) {
  const isIn = (file, folder) => file === `${folder}.rs` || file.startsWith(`${folder}/`);
  return Object.entries(FOLDERS[crate.name] ?? {}).flatMap(([folder, banned]) => {
    const all = [...crate.files.keys()];
    const missing = [folder, ...banned.filter((name) => !name.startsWith("talaria_"))]
      .filter((name) => !all.some((file) => isIn(file, name)))
      .map((name) => `${crate.name} has no folder src/${name}, which tests/structure.mjs names`);
    const inside = crate.imports.filter(({ from, to }) => isIn(from, folder) && banned.some((name) => isIn(to, name)));
    const isBanned = (name) => name.startsWith("talaria_") && banned.includes(name);
    const outside = crate.outside.filter(({ from, crate: name }) => isIn(from, folder) && isBanned(name));
    const target = ({ to, crate: name }) => name ?? to.split("/")[0].replace(/\.rs$/, "");
    return [
      ...missing,
      ...[...inside, ...outside].map(
        (each) => `${at(crate, each)} imports ${each.path}: ${folder} must not import ${target(each)}`,
      ),
    ];
  });
}

function reachFaults(crate) {
  const place = (file) => shown(join(crate.source, file));
  const detours = [...crate.files].flatMap(([file, each]) =>
    each.detours.map(({ line, what }) => `${place(file)}:${line} has ${what}, which this check does not follow`),
  );
  const orphans = crate.orphans().map((file) => `${place(file)} is not reached by any \`mod\``);
  return [...detours, ...orphans];
}

function lengthFaults(crate) {
  return files(crate).flatMap(({ place, lines, functions }) => [
    ...(lines > LONGEST.file ? [`${shown(place)} has ${lines} lines, more than ${LONGEST.file}`] : []),
    ...functions
      .filter((each) => each.lines > LONGEST.function)
      .map((each) => `${shown(place)}:${each.line} ${each.name} has ${each.lines} lines, more than ${LONGEST.function}`),
  ]);
}

function row(cells) {
  console.log(cells.map((cell, i) => (i ? String(cell).padStart(10) : cell.padEnd(24))).join(""));
}

function printNumbers(all) {
  row(["", "files", "lines", "in circles", "median", "p90", "longest", "functions", "median", "p90", "longest"]);
  const sizes = (name, found, inCircles) => {
    const lines = found.map((file) => file.lines);
    const lengths = found.flatMap((file) => file.functions).map((each) => each.lines);
    const of = (numbers) => [percentile(numbers, 0.5), percentile(numbers, 0.9), percentile(numbers, 1)];
    const total = lines.reduce((a, b) => a + b, 0);
    row([name, lines.length, total, inCircles, ...of(lines), lengths.length, ...of(lengths)]);
  };
  const every = all.flatMap(files);
  // Files compiled for tests only, and test functions inside others, are counted apart.
  const isProgram = (file) => !file.test;
  const programOf = (found) =>
    found.filter(isProgram).map((file) => ({ ...file, functions: file.functions.filter((each) => !each.test) }));
  const inCircles = (crate) => circles(crate.imports).flat().length;
  for (const crate of all) sizes(crate.name, programOf(files(crate)), inCircles(crate));
  const program = programOf(every);
  sizes("all", program, all.map(inCircles).reduce((a, b) => a + b, 0));
  sizes("tests and examples", every.filter((file) => !isProgram(file)), "");

  const longest = (found, limit) => found.filter((each) => each.lines >= limit).sort((a, b) => b.lines - a.lines);
  const functionsOf = (found) =>
    found.flatMap((file) => file.functions.map((each) => ({ ...each, place: `${shown(file.place)}:${each.line} ${each.name}` })));
  for (const file of longest(every, LONGEST.file)) console.log(`${file.lines} lines: ${shown(file.place)}`);
  for (const each of longest(functionsOf(every), LONGEST.function)) console.log(`${each.lines} lines: ${each.place}`);
}

const all = crates(options.root);
const names = new Set(all.map(({ name }) => name));
const faults = [
  ...all.flatMap((crate) => [
    ...circleFaults(crate), ...crateFaults(crate, names), ...folderFaults(crate),
    ...reachFaults(crate), ...lengthFaults(crate),
  ]),
  ...Object.keys(CRATES)
    .filter((name) => !names.has(name))
    .map((name) => `there is no crate ${name}, which tests/structure.mjs names`),
];
for (const fault of faults) console.error(fault);
if (options.numbers) printNumbers(all);
console.log(`structure: ${all.length} crates, ${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
