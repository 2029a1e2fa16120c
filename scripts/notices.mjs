// Prints the licences of what the program is made of, for packages and archives.
//
//   node scripts/notices.mjs [TARGET…]
//
// Without a target it is for x86_64-unknown-linux-gnu. A package whose licence is not found is an error.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PROGRAM = "talaria-server";
const IS_LICENCE = /^(licen[cs]e|copying|notice|unlicense|copyright)/i;

/** The packages of the program for a target, without those of tests. */
function packages(target) {
  const options = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
  const text = execFileSync("cargo", options, { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 28 });
  const { packages, resolve } = JSON.parse(text);
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const found = new Set();
  const waiting = packages.filter(({ name }) => name === PROGRAM).map(({ id }) => id);
  while (waiting.length > 0) {
    const id = waiting.pop();
    if (found.has(id)) continue;
    found.add(id);
    const used = nodes.get(id).deps.filter((dep) => dep.dep_kinds.some(({ kind }) => kind !== "dev"));
    waiting.push(...used.map((dep) => dep.pkg));
  }
  return packages.filter(({ id, source }) => source !== null && found.has(id));
}

/** The texts that a package brings. */
function ownTexts({ manifest_path }) {
  const folder = dirname(manifest_path);
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile() && IS_LICENCE.test(entry.name));
  return names.map(({ name }) => readFileSync(join(folder, name), "utf8").trim());
}

/** The texts of a package; of its sister from the same repository, or the general one, if it brings none. */
function texts(one, all) {
  const own = ownTexts(one);
  if (own.length > 0) return own;
  const sister = all.find((other) => other.repository === one.repository && ownTexts(other).length > 0);
  if (one.repository && sister) return ownTexts(sister);
  if (/\bApache-2\.0\b/.test(one.license)) return [readFileSync(join(ROOT, "LICENSE-APACHE"), "utf8").trim()];
  throw new Error(`${one.name} ${one.version} (${one.license}) brings no text of its licence`);
}

const targets = process.argv.length > 2 ? process.argv.slice(2) : ["x86_64-unknown-linux-gnu"];
const all = new Map(targets.flatMap((target) => packages(target).map((one) => [one.id, one])));
const sorted = [...all.values()].sort((a, b) => (a.name + a.version < b.name + b.version ? -1 : 1));

/** Each text once, with the packages that it is for. */
const users = new Map();
for (const one of sorted) {
  for (const text of texts(one, sorted)) users.set(text, [...(users.get(text) ?? []), one]);
}

const line = "=".repeat(80);
console.log("Talaria is licensed as MIT OR Apache-2.0. It contains the following packages.\n");
for (const { name, version, license, repository } of sorted) {
  console.log(`${name} ${version}: ${license}${repository ? ` (${repository})` : ""}`);
}
for (const [text, of] of users) {
  console.log(`\n${line}\n${of.map(({ name, version }) => `${name} ${version}`).join(", ")}\n\n${text}`);
}
