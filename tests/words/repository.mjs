// The files of the repository, as text.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Files that hold the words of others, or none: recorded answers, data of tests, corpora, locks, planted faults. */
const OTHERS = [
  /(^|\/)(corpus|fixtures|data|proptest-regressions|node_modules)\//,
  /(^|\/)wire\/.*\.md$/,
  /(^|\/)(Cargo|package-lock)\.(lock|json)$/,
  /(^|\/)LICENSE/,
  /^tests\/words\/words\.test\.mjs$/,
];

/** Files that people write here. The others are data. */
const TEXT = /\.(rs|md|mjs|js|php|html|py|sh|toml|yml|yaml|patch)$|(^|\/)[A-Za-z][\w-]*$/;

export class Repository {
  #texts = new Map();

  /** `texts` replaces what lies on disk, for tests. */
  constructor(root, texts) {
    this.root = root;
    if (texts) this.#texts = new Map(Object.entries(texts));
    const all = texts ? Object.keys(texts) : listed(root);
    this.all = new Set(all);
    this.folders = new Set(all.flatMap((file) => foldersOf(file)));
    this.files = all.filter((file) => TEXT.test(file) && !OTHERS.some((other) => other.test(file)));
  }

  text(file) {
    if (!this.#texts.has(file)) this.#texts.set(file, readFileSync(join(this.root, file), "utf8"));
    return this.#texts.get(file);
  }

  has(path) {
    return this.all.has(path) || this.folders.has(path);
  }
}

/** What git tracks or would track. */
function listed(root) {
  const output = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const deleted = execFileSync("git", ["ls-files", "--deleted"], { cwd: root, encoding: "utf8" });
  const gone = new Set(deleted.split("\n"));
  return output.split("\n").filter((file) => file && !gone.has(file));
}

function foldersOf(file) {
  const parts = file.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/")).concat("");
}

/** The line of an offset, counted from 1. */
export function lineOf(text, offset) {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}
