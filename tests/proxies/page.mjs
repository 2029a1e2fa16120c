// The files that docs/proxies.md shows. The tests run these, so that the page is what was tested.

import { readFileSync } from "node:fs";

const PAGE = readFileSync(new URL("../../docs/proxies.md", import.meta.url), "utf8");

/** Returns the first block of code below the heading `title`, with each key of `replacements` replaced by its value. */
export function documented(title, replacements) {
  const [, section] = PAGE.split(new RegExp(`^#+ ${title}$`, "m"));
  const block = section && /^```\w+\n([^]*?)^```$/m.exec(section);
  if (!block) throw new Error(`docs/proxies.md has no block below "${title}"`);
  let text = block[1];
  for (const [from, to] of Object.entries(replacements)) {
    // The page has changed, and would be tested with the address of someone else.
    if (!text.includes(from)) throw new Error(`docs/proxies.md: the block of "${title}" does not contain ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}
