// Words: what docs/style.md rejects is not in comments, messages, pages or names of tests.

import { lineOf } from "./repository.mjs";

const STYLE = "docs/style.md";
const HEADING = "## Words that a check rejects";

/** Every rejected word of the files. */
export function rejectedWords(repository, files) {
  const patterns = readPatterns(repository.text(STYLE));
  return files
    .filter((file) => !file.endsWith(".patch"))
    .flatMap((file) => {
      const text = repository.text(file);
      const prose = proseOf(file, text);
      return patterns.flatMap(({ pattern, instead }) =>
        Array.from(prose.matchAll(pattern), (match) => ({
          file,
          line: lineOf(text, match.index),
          text: `"${match[0].replace(/\s+/g, " ")}": ${instead}`,
        })),
      );
    });
}

/** The patterns of the page's table. A page without any is a fault too. */
export function readPatterns(page) {
  const table = page.slice(page.indexOf(HEADING));
  const rows = Array.from(table.matchAll(/^\| `(.+?)` \| (.+) \|$/gm), ([, pattern, instead]) => {
    const words = pattern.replaceAll("\\|", "|").replaceAll(" ", "\\s+");
    return { pattern: new RegExp(`\\b(?:${words})\\b`, "gi"), instead };
  });
  if (!page.includes(HEADING) || rows.length === 0) throw new Error(`${STYLE} has no table of rejected words`);
  return rows;
}

/**
 * The text as it is read, each character at its offset: the marks of comments blanked, so that a
 * sentence goes on over lines, and the names of functions as words. Python's `is None` is code.
 */
function proseOf(file, text) {
  if (file === STYLE) return blankExamples(text);
  if (file.endsWith(".md")) return text;
  return text
    .replace(/^[ \t]*(?:\/\/[/!]?|#(?!\[)|\*)/gm, blank)
    .replace(/\\$/gm, " ")
    .replace(/\bis None\b/g, blank)
    .replace(/\bfn ([a-z0-9_]+)/g, (name) => name.replaceAll("_", " "));
}

/** The page of the rules shows what it rejects: in tables, quotation marks and code. */
function blankExamples(text) {
  return text.replace(/^\|.*$|"[^"\n]*"|`[^`\n]*`/gm, blank);
}

function blank(found) {
  return found.replace(/[^\n]/g, " ");
}
