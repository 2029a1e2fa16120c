// Each kind of fault is found, at its line, and nothing else is one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { brokenMarks } from "./marks.mjs";
import { rejectedWords } from "./prose.mjs";
import { Repository } from "./repository.mjs";

const FACT = '- <a id="b-356"></a>**B-356** The lines of an event come in this order.\n';
const STYLE =
  '# Language\n\nNot "nobody".\n\n## Words that a check rejects\n\n| Pattern | Write instead |\n|---|---|\n' +
  "| `nobody` | who does not |\n| `(?<!there )(is\\|are) no(?! longer)` | is not a |\n";

/** The faults of a file of a small repository, as `line: text`. */
function faults(file, text) {
  const repository = new Repository("", {
    "docs/behaviour.md": FACT,
    "docs/style.md": STYLE,
    "docs/adr/0016-matching.md": "# Matching\n\n## What follows, and why\n",
    "src/lib.rs": "",
    "tests/fixtures/recorded.md": "nobody, B-999",
    [file]: text,
  });
  const files = repository.files.filter((name) => name === file);
  return [...brokenMarks(repository, files), ...rejectedWords(repository, files)].map(
    ({ line, text: message }) => `${line}: ${message.split(":")[0]}`,
  );
}

test("a fact that the page does not have is a fault, at its line", () => {
  assert.deepEqual(faults("src/a.rs", "//! Events (B-356).\n\n/// Data (B-357).\n"), [
    "3: B-357 is not in docs/behaviour.md",
  ]);
});

test("both ends of a range are facts, and each of a list", () => {
  const missing = (number) => `1: B-${number} is not in docs/behaviour.md`;
  assert.deepEqual(faults("src/a.rs", "// Fields, B-356 to B-360\n"), [missing(360)]);
  assert.deepEqual(faults("src/a.rs", "// Fields, B-350..B-356\n"), [missing(350)]);
  assert.deepEqual(faults("src/a.rs", "// Fields, B-356–360\n"), [missing(360)]);
  assert.deepEqual(faults("src/a.rs", "// Fields: B-1, B-356, B-221b\n"), [missing(1), missing("221b")]);
  assert.deepEqual(faults("src/a.rs", "// Fields (B-356, 999)\n"), [missing(999)]);
  assert.deepEqual(faults("src/a.rs", "// Fields (B-356 and 998).\n"), [missing(998)]);
  assert.deepEqual(faults("src/a.rs", "// Fields (B-356, 1,000 at most), B-356, 404 answers\n"), []);
});

test("a decision without a page is a fault", () => {
  assert.deepEqual(faults("src/a.rs", "// Why: ADR 0016.\n// Not: ADR 0099.\n"), ["2: ADR 0099 is not in docs/adr"]);
  for (const mark of ["ADR-0099", "ADRs 0099", "ADRs-0099", "ADRs 0016 and 0099"]) {
    assert.deepEqual(faults("src/a.rs", `// Why: ${mark}.\n`), ["1: ADR 0099 is not in docs/adr"], mark);
  }
  assert.deepEqual(faults("docs/a.md", "ADRs [0016](adr/0016-matching.md) and 0098\n"), [
    "1: ADR 0098 is not in docs/adr",
  ]);
});

test("the design is never a mark, also over two lines", () => {
  const fault = (line) => `${line}: the design is not in the repository`;
  assert.deepEqual(faults("src/a.rs", "\n/// What is due (Design §7).\n"), [fault(2)]);
  assert.deepEqual(faults("src/a.rs", "//! Generations (design\n//! §6).\n"), [fault(1)]);
  assert.deepEqual(faults("clippy.toml", "# a parameter (design §2)\n"), [fault(1)]);
  assert.deepEqual(faults("src/a.rs", "// Tokens, as in section 3 of the design\n"), [fault(1)]);
  for (const mark of ["Issue 7: a caret", "as in issue #19", "issues 18 and 19", "since issue 19."]) {
    assert.deepEqual(faults("src/a.rs", `// The rule, ${mark}\n`), ["1: issues are not in the repository"], mark);
  }
  assert.deepEqual(faults("src/a.rs", '"have it issue 1.0 tokens"\n'), []);
});

test("a comment gives the reason first, and is not only a mark", () => {
  const fault = (line) => `${line}: the comment begins with a mark`;
  assert.deepEqual(faults("src/a.rs", "/// The order of lines (B-356).\n"), []);
  assert.deepEqual(faults("src/a.rs", "fn a() {}\n\n    /// B-356: the order of lines.\n"), [fault(3)]);
  const only = ["/// B-356.", "/// (B-356) The order.", "/// See B-356.", "// see ADR-0016", "/** B-356: the order. */"];
  for (const comment of [...only, "/**\n * The order.\n *\n * [B-356](x)"]) {
    const file = comment.startsWith("/**") ? "src/a.mjs" : "src/a.rs";
    assert.deepEqual(faults(file, `${comment}\n`), [fault(comment.split("\n").length)], comment);
  }
  assert.deepEqual(faults("src/a.rs", "/// The order of lines.\n/// See B-356.\n"), []);
  assert.deepEqual(faults("src/a.mjs", "/** The order of lines,\n * B-356. */\n"), []);
  assert.deepEqual(faults("src/a.rs", "/// The order.\n///\n/// B-356, as clients want it.\n"), [fault(3)]);
  assert.deepEqual(faults("src/a.rs", "/// The order of lines in an event (HTML standard;\n/// B-356).\n"), []);
});

test("a relative link leads to a file, and its anchor to a heading", () => {
  const page = [
    "[code](../src/lib.rs), [folder](../src), [elsewhere](https://example.com/x.md), [here](#links)",
    "[decision](adr/0016-matching.md#what-follows-and-why)",
    "[gone](gone.md)",
    "[no heading](adr/0016-matching.md#another)",
    "## Links",
    "`[code](is-not-a-link.md)`",
    "```\n[nor](this.md)\n```",
    "[as a reference]: gone.md",
  ];
  assert.deepEqual(faults("docs/a.md", page.join("\n")), [
    "3: the link leads to gone.md, which is not in the repository",
    "4: docs/adr/0016-matching.md has no anchor another",
    "10: the link leads to gone.md, which is not in the repository",
  ]);
  const gone = "1: the link leads to gone.md, which is not in the repository";
  for (const link of ['[x](gone.md "title")', "[x](<gone.md>)", '<a href="gone.md">x</a>', '<img src="gone.md">', '[x]: gone.md "title"']) {
    assert.deepEqual(faults("docs/a.md", `${link}\n`), [gone], link);
  }
  assert.deepEqual(faults("docs/a.md", '<a href="adr/0016-matching.md">x</a> [y](https://example.com "title")\n'), []);
  const comment = "//! [page](../docs/gone.md) and [`Type`](crate::Type)\nconst TEXT: &str = \"[x](limits.md)\";\n";
  assert.deepEqual(faults("src/a.rs", comment), ["1: the link leads to ../docs/gone.md, which is not in the repository"]);
});

test("a source file that a page or a comment names is there", () => {
  assert.deepEqual(faults("docs/a.md", "In `src/lib.rs`, `lib.rs` and `/data/mercure.db`.\n"), []);
  assert.deepEqual(faults("docs/a.md", "\nIn `src/gone.rs`.\n"), ["2: src/gone.rs is not in the repository"]);
  assert.deepEqual(faults("src/a.rs", "//! See `src/gone.rs`.\n"), ["1: src/gone.rs is not in the repository"]);
});

test("a rejected word is a fault in comments, messages, pages, scripts and names of tests", () => {
  assert.deepEqual(faults("src/a.rs", "/// Delays nobody.\n"), ['1: "nobody"']);
  assert.deepEqual(faults("src/a.rs", 'return Err("it is no number");\n'), ['1: "is no"']);
  assert.deepEqual(faults("src/a.rs", "#[test]\nfn a_slow_reader_delays_nobody() {}\n"), ['2: "nobody"']);
  assert.deepEqual(faults("docs/a.md", "# Page\n\nNobody reads it.\n"), ['3: "Nobody"']);
  assert.deepEqual(faults("tests/a.php", "<?php\n/** Nobody runs it. */\n"), ['2: "Nobody"']);
  assert.deepEqual(faults("src/a.html", "<p>Nobody reads it.</p>\n"), ['1: "Nobody"']);
  assert.deepEqual(faults("scripts/run", "#!/bin/sh\n# Nobody runs it.\n"), ['2: "Nobody"']);
});

test("a rejected phrase is found over the end of a line", () => {
  assert.deepEqual(faults("src/a.rs", "    /// What is\n    /// no number.\n"), ['1: "is no"']);
  assert.deepEqual(faults("src/a.rs", '    "what is \\\n     no number"\n'), ['1: "is no"']);
  assert.deepEqual(faults("docs/a.md", "What is\nno number.\n"), ['1: "is no"']);
});

test("what the patterns leave out, code and the words of others are fine", () => {
  assert.deepEqual(faults("src/a.rs", "// There is no room, and it is no longer there.\n"), []);
  assert.deepEqual(faults("src/a.rs", "if seat.is_no_one() { nobody_() }\n"), []);
  assert.deepEqual(faults("docs/style.md", STYLE), []);
  assert.deepEqual(faults("tests/fixtures/recorded.md", "nobody, B-999"), []);
});

test("a page without patterns is a fault, not an empty list", () => {
  assert.throws(() => faults("docs/style.md", "# Language\n"));
});
