// Marks: what a comment or a page points to must be in this repository.

import { posix } from "node:path";
import { lineOf } from "./repository.mjs";

const FACTS = "docs/behaviour.md";

/** Every mark of the files that does not resolve. */
export function brokenMarks(repository, files) {
  const facts = anchorsOf(repository, FACTS);
  return files.flatMap((file) => {
    const text = repository.text(file);
    return [
      ...citations(file, text, facts),
      ...decisions(repository, file, text),
      ...designs(file, text),
      ...links(repository, file, text),
      ...marksFirst(file, text),
      ...namedFiles(repository, file, text),
    ].map(({ offset, text: message }) => ({ file, line: lineOf(text, offset), text: message }));
  });
}

/** `B-nnn`, both ends of a range (`B-601 to B-660`, `B-601..660`, `B-601–660`), and each of a list (`B-356, 357`). */
function* citations(file, text, facts) {
  const range = String.raw`(?: to |\.\.=?|–)\d+[a-z]?\b`;
  // A number that a word follows counts something else: "B-356, 404 answers".
  const further = String.raw`(?:, | and |, and )\d{3,4}[a-z]?\b(?![,.]?\d|-\w| \w)`;
  const list = new RegExp(String.raw`\bB-\d+[a-z]?\b(?:${range}|${further})*`, "g");
  for (const match of text.matchAll(list)) {
    for (const [number] of match[0].matchAll(/\d+[a-z]?/g)) {
      if (!facts.has(`b-${number}`)) {
        yield { offset: match.index, text: `B-${number} is not in ${FACTS}` };
      }
    }
  }
}

/** `ADR 0016`, `ADR-0016`, `ADRs 0013 and 0014`, and the same as links. */
function* decisions(repository, file, text) {
  const number = String.raw`\[?(\d{4})(?:\]\([^)]*\))?`;
  const list = new RegExp(String.raw`\bADRs?[ -]${number}(?:(?:, | and | to |, and )${number})*`, "g");
  for (const match of text.matchAll(list)) {
    const plain = match[0].replace(/\]\([^)]*\)/g, "");
    for (const [digits] of plain.matchAll(/\d{4}/g)) {
      const found = [...repository.all].some((path) => path.startsWith(`docs/adr/${digits}-`));
      if (!found) yield { offset: match.index, text: `ADR ${digits} is not in docs/adr` };
    }
  }
}

/** The design and the issues are not part of the repository; a decision or the reason itself is. */
function* designs(file, text) {
  for (const match of text.matchAll(/\bdesign,?\s+(?:(?:\/\/[/!]?|#)\s*)?§/gi)) {
    yield { offset: match.index, text: "the design is not in the repository: write the ADR or the reason" };
  }
  for (const match of text.matchAll(/\bsections?\s+[\d.]+\s+of\s+the\s+design\b/gi)) {
    yield { offset: match.index, text: "the design is not in the repository: write the ADR or the reason" };
  }
  for (const match of text.matchAll(/\bissues? #?\d+\b(?!\.\d)/gi)) {
    yield { offset: match.index, text: "issues are not in the repository: write the reason" };
  }
}

/** A source file that a page or a comment names in backticks, by its path or the end of it. */
function* namedFiles(repository, file, text) {
  for (const match of text.matchAll(/`((?:[\w.-]+\/)+[\w-]+\.(?:rs|mjs))`/g)) {
    const path = posix.normalize(match[1]).replace(/^(\.\.\/)+/, "");
    const found = [...repository.all].some((known) => known === path || known.endsWith(`/${path}`));
    if (!found) yield { offset: match.index, text: `${match[1]} is not in the repository` };
  }
}

/** The reason comes first and the mark last; a comment that is only a mark has no reason. */
function* marksFirst(file, text) {
  if (file.endsWith(".md") || file.endsWith(".patch")) return;
  const mark = String.raw`[(\[]*(?:(?:see|cf\.)[ \t]+)?[(\[]*(?:B-\d|ADRs?[ -]\d|Design \u00a7)`;
  const paragraph = new RegExp(String.raw`(?<=^|\n)[ \t]*(\/\/[/!]?|#|\/\*\*?|\*)[ \t]+${mark}`, "gi");
  for (const match of text.matchAll(paragraph)) {
    const before = text.slice(0, match.index).split("\n").at(-2)?.trim() ?? "";
    const isWritten = (opening) => before.startsWith(opening) && before.length > opening.length;
    const continues = isWritten(match[1]) || (match[1] === "*" && isWritten("/**"));
    if (!continues) yield { offset: match.index, text: "the comment begins with a mark: give the reason first" };
  }
}

/** Relative links in Markdown, also as HTML, and in doc comments if they lead to a file. */
function* links(repository, file, text) {
  const isPage = file.endsWith(".md");
  if (!isPage && !file.endsWith(".rs")) return;
  const prose = isPage ? withoutCode(text) : text.replace(/^(?![ \t]*\/\/[/!]).*$/gm, blank);
  const title = String.raw`(?:\s+(?:"[^"]*"|'[^']*'))?`;
  const kinds = [
    new RegExp(String.raw`\]\(<?([^()\s<>]+)>?${title}\)`, "g"),
    new RegExp(String.raw`^\[[^\]]+\]: (\S+?)${title}$`, "gm"),
    /<(?:a|img)\s[^>]*?\b(?:href|src)=["']([^"']+)["']/g,
  ];
  const found = kinds.flatMap((kind) => [...prose.matchAll(kind)]);
  for (const match of found) {
    const target = match[1];
    if (/^[a-z]+:/.test(target) || (!isPage && !/^\.\.?\/|\.md\b/.test(target))) continue;
    const [path, anchor] = target.split("#");
    const resolved = path === "" ? file : posix.normalize(posix.join(posix.dirname(file), path)).replace(/\/$/, "");
    if (!repository.has(resolved)) {
      yield { offset: match.index, text: `the link leads to ${target}, which is not in the repository` };
    } else if (anchor && resolved.endsWith(".md") && !anchorsOf(repository, resolved).has(anchor)) {
      yield { offset: match.index, text: `${resolved} has no anchor ${anchor}` };
    }
  }
}

const anchors = new WeakMap();

/** The anchors of a page: its headings, as forges name them, and `<a id>`. */
function anchorsOf(repository, file) {
  if (!anchors.has(repository)) anchors.set(repository, new Map());
  const pages = anchors.get(repository);
  if (pages.has(file)) return pages.get(file);
  const found = new Set();
  pages.set(file, found);
  if (!repository.has(file)) return found;
  const text = withoutFences(repository.text(file));
  for (const [, id] of text.matchAll(/<a id="([^"]+)">/g)) found.add(id);
  for (const [, heading] of text.matchAll(/^#{1,6} (.*)$/gm)) {
    const name = heading
      .replace(/\]\([^)]*\)/g, "")
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-");
    let unique = name;
    for (let count = 1; found.has(unique); count += 1) unique = `${name}-${count}`;
    found.add(unique);
  }
  return found;
}

/** The text with blocks of code blanked, so that offsets stay. */
function withoutFences(text) {
  return text.replace(/^( *)(```+|~~~+)[^]*?^\1\2 *$/gm, blank);
}

function withoutCode(text) {
  return withoutFences(text).replace(/(`+)[^`\n]+?\1/g, blank);
}

function blank(code) {
  return code.replace(/[^\n]/g, " ");
}
