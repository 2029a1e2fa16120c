// How long files and functions are.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { functions, tokens } from "./rust.mjs";

/** Of each file of a crate: where it is, its lines and functions, and whether it is for tests only. */
export function files(crate) {
  const program = [...crate.files].map(([name, file]) => ({ place: join(crate.folder, "src", name), ...file }));
  return [...program, ...["tests", "examples", "benches"].flatMap((name) => below(join(crate.folder, name)))];
}

function below(folder) {
  let names;
  try {
    names = readdirSync(folder, { recursive: true });
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(".rs"))
    .map((name) => {
      const place = join(folder, name);
      const source = readFileSync(place, "utf8");
      return { place, lines: source.split("\n").length - 1, functions: functions(tokens(source)), test: true };
    });
}

/** The value below which the given part of the numbers lies. */
export function percentile(numbers, part) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}
