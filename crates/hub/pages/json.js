// JSON for readers.

/** Beyond this, indentation would take more room than the text. */
const DEPTH = 64;

/**
 * The text with indentation, if it is a JSON object or array. Numbers and names stay as they are written: a value that
 * was parsed would have lost long numbers and repeated names.
 */
export function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const out = [];
  let depth = 0;
  let before = "";
  const line = () => out.push(`\n${"  ".repeat(depth)}`);
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs)) {
    const closes = part === "}" || part === "]";
    const opened = before === "{" || before === "[";
    if (closes) depth -= 1;
    if (depth > DEPTH) return undefined;
    if (closes ? !opened : opened || before === ",") line();
    out.push(part === ":" ? ": " : part);
    if (part === "{" || part === "[") depth += 1;
    before = part;
  }
  return out.join("");
}
