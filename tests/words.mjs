#!/usr/bin/env node
// Checks every file of the repository for marks that do not resolve and for words that
// docs/style.md rejects.
//
//   node tests/words.mjs [PATH…]            each fault with file and line; exit code 1 if any
//   node tests/words.mjs --count [PATH…]    how many faults each folder has
//
// PATH restricts the files to those below it, relative to the repository. `node --test
// tests/words/words.test.mjs` shows that each kind of fault is found.

import { fileURLToPath } from "node:url";
import { Repository } from "./words/repository.mjs";
import { brokenMarks } from "./words/marks.mjs";
import { rejectedWords } from "./words/prose.mjs";

const repository = new Repository(fileURLToPath(new URL("..", import.meta.url)));
const options = process.argv.slice(2);
const paths = options.filter((option) => !option.startsWith("--"));
const files = repository.files.filter(
  (file) => paths.length === 0 || paths.some((path) => `${file}/`.startsWith(`${path.replace(/\/$/, "")}/`)),
);

const kinds = { marks: brokenMarks(repository, files), words: rejectedWords(repository, files) };
if (options.includes("--count")) {
  count(kinds);
} else {
  const faults = Object.values(kinds).flat();
  faults.sort((one, other) => (one.file === other.file ? one.line - other.line : one.file < other.file ? -1 : 1));
  for (const { file, line, text } of faults) console.error(`${file}:${line}: ${text}`);
}
console.log(
  `${files.length} files, ${kinds.marks.length} faulty marks, ${kinds.words.length} words that docs/style.md rejects`,
);
process.exit(kinds.marks.length + kinds.words.length === 0 ? 0 : 1);

/** Prints how many faults of each kind a folder has, down to the folders of a crate. */
function count(kinds) {
  const folders = new Map();
  for (const [kind, faults] of Object.entries(kinds)) {
    for (const { file } of faults) {
      const folder = file.split("/").slice(0, -1).slice(0, 4).join("/") || ".";
      const row = folders.get(folder) ?? { marks: 0, words: 0 };
      row[kind] += 1;
      folders.set(folder, row);
    }
  }
  console.log("marks words");
  for (const [folder, { marks, words }] of [...folders].sort()) {
    console.log(`${String(marks).padStart(5)} ${String(words).padStart(5)} ${folder}`);
  }
}
