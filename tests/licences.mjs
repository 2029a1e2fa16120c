// Every package comes from crates.io or the workspace, under licences that deny.toml allows.

import { readFileSync } from "node:fs";

const rules = readFileSync(new URL("../deny.toml", import.meta.url), "utf8");
const list = rules.match(/^allow = \[([^\]]*)\]/m)[1];
const allowed = new Set(Array.from(list.matchAll(/"([^"]+)"/g), ([, name]) => name));

/** Whether the SPDX expression can be met; `OR` binds weaker than `AND`, parentheses weakest. */
function met(expression) {
  const words = expression.replaceAll("/", " OR ").match(/[()]|[^\s()]+/g);
  const either = () => {
    let value = both();
    while (words[0] === "OR") value = (words.shift(), both()) || value;
    return value;
  };
  const both = () => {
    let value = one();
    while (words[0] === "AND") value = (words.shift(), one()) && value;
    return value;
  };
  const one = () => {
    if (words[0] === "(") {
      words.shift();
      const value = either();
      words.shift();
      return value;
    }
    let name = words.shift();
    if (words[0] === "WITH") name += ` ${words.shift()} ${words.shift()}`;
    return allowed.has(name);
  };
  return either();
}

const { packages } = JSON.parse(readFileSync(0, "utf8"));
const faults = packages.flatMap(({ name, version, license, source }) => {
  const faults = [];
  if (source !== null && source !== "registry+https://github.com/rust-lang/crates.io-index") {
    faults.push(`${name} ${version} comes from ${source}`);
  }
  if (!license || !met(license)) faults.push(`${name} ${version} has the licence ${license}`);
  return faults;
});
for (const fault of faults) console.error(fault);
console.log(`${packages.length} packages, ${faults.length} of them against deny.toml`);
process.exit(faults.length === 0 ? 0 : 1);
