// The packages that the program is made of, for the lists of licences and components.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PROGRAM = "talaria-server";

/** The program and every package in it for a target, without those of tests; `uses` has the ids of each one's. */
export function packages(target) {
  const options = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
  const text = execFileSync("cargo", options, { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 28 });
  const { packages, resolve } = JSON.parse(text);
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const uses = new Map();
  const program = packages.find(({ name }) => name === PROGRAM);
  const waiting = [program.id];
  while (waiting.length > 0) {
    const id = waiting.pop();
    if (uses.has(id)) continue;
    const used = nodes.get(id).deps.filter((dep) => dep.dep_kinds.some(({ kind }) => kind !== "dev"));
    uses.set(id, used.map((dep) => dep.pkg));
    waiting.push(...uses.get(id));
  }
  const found = packages.filter(({ id }) => uses.has(id));
  return { program, all: found.sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1)), uses };
}
