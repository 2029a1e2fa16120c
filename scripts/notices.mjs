// Prints the licences of what the program is made of, for packages and archives.
//
//   node scripts/notices.mjs TARGET
//
// A package whose licence is not found is an error.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { packages, ROOT } from "./packages.mjs";

const IS_LICENCE = /^(licen[cs]e|copying|notice|unlicense|copyright)/i;

const [target] = process.argv.slice(2);
if (!target) {
  console.error("usage: node scripts/notices.mjs TARGET");
  process.exit(2);
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

/** The C library is a part of a static program. */
const MUSL = {
  name: "musl",
  version: "libc",
  license: "MIT",
  repository: "https://musl.libc.org",
  text: () => {
    const [, terms] = readFileSync(join(ROOT, "LICENSE-MIT"), "utf8").split(/^Copyright .*\n/m);
    return `Copyright © 2005-2020 Rich Felker, et al.\n${terms.trimEnd()}`;
  },
};

const all = packages(target).all.filter(({ source }) => source !== null);
if (target.endsWith("-musl")) all.push(MUSL);

/** Each text once, with the packages that it is for. */
const users = new Map();
for (const one of all) {
  for (const text of one.text ? [one.text()] : texts(one, all)) users.set(text, [...(users.get(text) ?? []), one]);
}

const line = "=".repeat(80);
console.log("Talaria is licensed as MIT OR Apache-2.0. It contains the following packages.\n");
for (const { name, version, license, repository } of all) {
  console.log(`${name} ${version}: ${license}${repository ? ` (${repository})` : ""}`);
}
for (const [text, of] of users) {
  console.log(`\n${line}\n${of.map(({ name, version }) => `${name} ${version}`).join(", ")}\n\n${text}`);
}
