// Reads Rust source as far as imports and lengths need it: tokens, modules, `use` trees, paths.

const WORD = /(?:r#)?[A-Za-z_]\w*/y;
const SKIP = /\s+|\/\/[^\n]*/y;
const RAW_STRING = /(?:b|c)?r(#*)"/y;
const STRING = /[bc]?"(?:[^"\\]|\\[^])*"/y;
// A lifetime has no closing quote after its first character.
const CHARACTER = /b?'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|[^\n]))'/y;
const LIFETIME = /'[A-Za-z_]\w*/y;
const NUMBER = /\d\w*/y;

/** The tokens of a source text, without comments. Literals are kept as `""`, since no rule reads them. */
export function tokens(source) {
  const found = [];
  let at = 0;
  let line = 1;
  const take = (pattern) => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const push = (text, length) => {
    found.push({ text, line });
    move(length);
  };
  const move = (length) => {
    for (let i = at; i < at + length; i++) if (source[i] === "\n") line++;
    at += length;
  };
  while (at < source.length) {
    const raw = take(RAW_STRING);
    let text;
    if ((text = take(SKIP))) move(text.length);
    else if (source.startsWith("/*", at)) move(blockComment(source, at));
    else if (raw) push('""', rawString(source, at, raw));
    else if ((text = take(STRING) ?? take(CHARACTER))) push('""', text.length);
    else if ((text = take(LIFETIME))) push("'", text.length);
    else if ((text = take(WORD))) push(text.replace(/^r#/, ""), text.length);
    else if ((text = take(NUMBER))) push("0", text.length);
    else if (source.startsWith("::", at)) push("::", 2);
    else push(source[at], 1);
  }
  return found;
}

function blockComment(source, start) {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    if (source.startsWith("/*", at)) (depth++, at++);
    else if (source.startsWith("*/", at)) (depth--, at++);
    if (depth === 0) return at + 1 - start;
  }
  return source.length - start;
}

function rawString(source, start, opening) {
  const closing = `"${"#".repeat(opening.split("#").length - 1)}`;
  const end = source.indexOf(closing, start + opening.length);
  return (end < 0 ? source.length : end + closing.length) - start;
}

const OPEN = new Set(["(", "[", "{"]);
const CLOSE = new Set([")", "]", "}"]);
const ITEM = new Set(
  "fn mod use struct enum union trait impl type const static async unsafe extern macro_rules let".split(" "),
);

/** The index after the bracket that closes the one at `start`. */
export function afterGroup(all, start) {
  let depth = 0;
  for (let at = start; at < all.length; at++) {
    if (OPEN.has(all[at].text)) depth++;
    else if (CLOSE.has(all[at].text) && --depth === 0) return at + 1;
  }
  return all.length;
}

/** The index after the item, field, variant or statement that begins at `start`. */
function afterItem(all, start) {
  let at = start;
  while (all[at]?.text === "#") at = afterGroup(all, at + 1);
  if (all[at]?.text === "pub") at += all[at + 1]?.text === "(" ? afterGroup(all, at + 1) - at : 1;
  const isItem = ITEM.has(all[at]?.text) && all[at + 1]?.text !== ":";
  while (at < all.length) {
    const { text } = all[at];
    if (CLOSE.has(text)) return at;
    if (text === ";" || (text === "," && !isItem)) return at + 1;
    if (OPEN.has(text)) {
      at = afterGroup(all, at);
      if (text === "{") return at;
    } else at++;
  }
  return at;
}

/** Whether the attribute whose `[` is at `start` compiles its item for tests only. */
function isTestOnly(all, start) {
  const attribute = all.slice(start + 1, afterGroup(all, start) - 1).map(({ text }) => text);
  if (attribute.join("") === "test") return true;
  if (attribute[0] !== "cfg") return false;
  return attribute.includes("test") && !attribute.includes("any") && !attribute.includes("not");
}

/** Marks what is compiled for tests only with `test: true`. */
export function markTests(all) {
  for (let at = 0; at + 1 < all.length; at++) {
    if (all[at].text !== "#") continue;
    const isInner = all[at + 1].text === "!";
    const bracket = isInner ? at + 2 : at + 1;
    if (all[bracket]?.text !== "[" || !isTestOnly(all, bracket)) continue;
    const end = isInner ? all.length : afterItem(all, at);
    for (let i = at; i < end; i++) all[i].test = true;
  }
}

/** The leaves of the `use` tree that begins at `start`: paths, the names that they bind, and globs. */
export function useTree(all, start) {
  const leaves = [];
  const tree = (at, prefix) => {
    const path = [...prefix];
    // A leading `::` is the list of crates, not a module.
    if (all[at].text === "::" && path.length === 0) path.push("::");
    for (;;) {
      const { text } = all[at];
      if (text === "{") {
        at++;
        while (all[at].text !== "}") {
          at = tree(at, path);
          if (all[at].text === ",") at++;
        }
        return at + 1;
      }
      if (text === "*") {
        leaves.push({ path, glob: true, line: all[at].line });
        return at + 1;
      }
      if (text === "::") at++;
      else if (text === "," || text === "}" || text === ";") return at;
      else {
        path.push(text);
        at++;
        if (all[at].text === "::") continue;
        const { line } = all[at - 1];
        if (path.length > 1 && path.at(-1) === "self") path.pop();
        let name = path.at(-1);
        if (all[at].text === "as") {
          name = all[at + 1].text;
          at += 2;
        }
        leaves.push({ path, name, line });
        return at;
      }
    }
  };
  const end = tree(start, []);
  return { leaves, end };
}

const NAMED = new Set("fn struct enum union trait type const static".split(" "));

/**
 * The modules of one file: the file's own, and those written inside it. Each has the names that it
 * defines, its `use` leaves, the paths in its code, and the modules that it declares in other files.
 */
export function modules(all) {
  const top = empty("");
  read(all, 0, all.length, top);
  return top;
}

function empty(name) {
  return { name, items: new Set(), uses: [], paths: [], inline: [], declared: [] };
}

function read(all, start, end, module) {
  let depth = 0;
  for (let at = start; at < end; at++) {
    const { text, test, line } = all[at];
    const next = all[at + 1]?.text;
    const isName = /^[A-Za-z_]/.test(next ?? "");
    if (OPEN.has(text)) depth++;
    else if (CLOSE.has(text)) depth--;
    else if (text === "pub" && next === "(") {
      at = afterGroup(all, at + 1) - 1;
    } else if (text === "mod" && all[at + 2]?.text === ";") {
      module.declared.push({ name: next, test });
      at += 2;
    } else if (text === "mod" && all[at + 2]?.text === "{") {
      const inner = empty(next);
      const after = afterGroup(all, at + 2);
      inner.test = test;
      read(all, at + 3, after - 1, inner);
      module.inline.push(inner);
      at = after - 1;
    } else if (text === "use" && next !== "<") {
      const before = all[at - 1]?.text;
      const isPublic = before === "pub" || before === ")";
      const { leaves, end: after } = useTree(all, at + 1);
      for (const leaf of leaves) module.uses.push({ ...leaf, test, isPublic });
      at = after;
    } else if (NAMED.has(text) && isName && depth === 0) {
      if (!test) module.items.add(next === "mut" || next === "fn" ? all[at + 2].text : next);
      at++;
    } else if (text === "macro_rules" && next === "!") {
      if (!test) module.items.add(all[at + 2].text);
      at += 2;
    } else if (/^[A-Za-z_]/.test(text) && next === "::" && all[at - 1]?.text !== "::") {
      const path = [text];
      while (all[at + 1]?.text === "::" && /^[A-Za-z_]/.test(all[at + 2]?.text ?? "")) {
        path.push(all[at + 2].text);
        at += 2;
      }
      if (path.length > 1 && !test) module.paths.push({ path, line });
    }
  }
}

/**
 * Ways to reach a file or a crate other than by `mod` and `use`, which the check does not follow: `#[path]`, also
 * in `cfg_attr`, `include!`, and `extern crate`.
 */
export function detours(all) {
  const found = [];
  for (let at = 0; at + 2 < all.length; at++) {
    const { text, line } = all[at];
    const next = all[at + 1].text;
    if (text === "#" && next === "[") {
      const attribute = all.slice(at + 2, afterGroup(all, at + 1) - 1).map((each) => each.text);
      const isPath = (each, i) => each === "path" && attribute[i + 1] === "=";
      if (attribute[0] === "path" || (attribute[0] === "cfg_attr" && attribute.some(isPath))) {
        found.push({ line, what: "#[path]" });
      }
    } else if (text === "include" && next === "!") found.push({ line, what: "include!" });
    else if (text === "extern" && next === "crate") found.push({ line, what: "extern crate" });
  }
  return found;
}

/** The functions of a file: name, line and length in lines, from `fn` to the closing brace. */
export function functions(all) {
  const found = [];
  for (let at = 0; at + 1 < all.length; at++) {
    if (all[at].text !== "fn" || !/^[A-Za-z_]/.test(all[at + 1].text)) continue;
    let body = at + 2;
    while (body < all.length && all[body].text !== "{" && all[body].text !== ";") {
      body = OPEN.has(all[body].text) ? afterGroup(all, body) : body + 1;
    }
    if (all[body]?.text !== "{") continue;
    const last = all[afterGroup(all, body) - 1];
    found.push({ name: all[at + 1].text, line: all[at].line, lines: last.line - all[at].line + 1, test: all[at].test });
  }
  return found;
}
