// Shows that `tests/structure.mjs` finds planted violations, each with its files, and nothing else.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const CHECK = fileURLToPath(new URL("../structure.mjs", import.meta.url));

const manifest = (name, dependencies = "") => `[package]\nname = "${name}"\nedition = "2024"\n\n[dependencies]\n${dependencies}`;
const WORKSPACE = `[workspace]
members = ["crates/*"]
resolver = "3"

[workspace.dependencies]
hyper = "1"
talaria-protocol = { path = "crates/protocol" }
talaria-hub = { path = "crates/hub" }
talaria-server = { path = "crates/server" }
`;
const BASE = {
  "protocol/Cargo.toml": manifest("talaria-protocol"),
  "protocol/src/lib.rs": "pub mod topic;\n",
  "protocol/src/topic.rs": "pub struct Topic;\n",
  "hub/Cargo.toml": manifest("talaria-hub", "talaria-protocol.workspace = true\n\n[dev-dependencies]\ntalaria-server.workspace = true\n"),
  "hub/src/lib.rs": "mod access;\nmod embedded;\nmod engine;\nmod http;\nmod presence;\nmod hub;\npub use hub::Hub;\n",
  "hub/src/hub.rs": "use crate::http::publish;\npub struct Hub;\nfn call() { publish::publish() }\n",
  "hub/src/http.rs": "pub mod publish;\nmod answer;\npub use answer::Answer;\n",
  "hub/src/http/publish.rs": "use super::Answer;\nuse crate::engine::Router;\npub fn publish() {}\n",
  "hub/src/http/answer.rs": "use http::StatusCode;\npub struct Answer;\n",
  "hub/src/access.rs": "pub struct Token;\n",
  "hub/src/embedded.rs": "use crate::http::publish;\npub struct Updates;\n",
  "hub/src/presence.rs": "use crate::engine::Router;\n",
  "hub/src/engine.rs": "mod router;\nmod lane;\npub use router::Router;\n",
  "hub/src/engine/router.rs": "use super::lane::Lane;\npub struct Router;\n",
  "hub/src/engine/lane.rs": "pub struct Lane;\n",
  "server/Cargo.toml": manifest("talaria-server", "talaria-hub.workspace = true\n"),
  "server/src/lib.rs": "pub mod cli;\nmod serve;\n",
  "server/src/main.rs": "fn main() { talaria_server::cli::main() }\n",
  "server/src/cli.rs": "use crate::serve;\nuse talaria_bench::Args;\npub fn main() { serve::run() }\n",
  "server/src/serve.rs": "mod listen;\npub use listen::run;\n",
  "server/src/serve/listen.rs": "use talaria_hub::Hub;\npub fn run() {}\n",
};

/** The faults of a workspace: what stands in the files of `planted` replaces or joins the base's. */
function faults(planted) {
  const root = mkdtempSync(join(tmpdir(), "structure-"));
  try {
    for (const [path, text] of Object.entries({ ...BASE, ...planted })) {
      const file = join(root, "crates", path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    writeFileSync(join(root, "Cargo.toml"), WORKSPACE);
    const { stderr, stdout } = spawnSync(process.execPath, [CHECK, "--root", root], { encoding: "utf8" });
    assert.match(stdout, /^structure: \d+ crates/, stderr);
    return stderr.split("\n").filter((line) => line && !line.startsWith("there is no crate"));
  } finally {
    rmSync(root, { recursive: true });
  }
}

const append = (path, text) => ({ [path]: BASE[path] + text });

test("a workspace without violations has no faults", () => {
  assert.deepEqual(faults({}), []);
});

const CIRCLES = {
  "by use of crate": append("hub/src/engine/lane.rs", "use crate::engine::router::Router;\n"),
  "by a re-export in the parent": append("hub/src/engine/lane.rs", "use crate::engine::Router;\n"),
  "by super": append("hub/src/engine/lane.rs", "use super::router::Router;\n"),
  "by super and a re-export": append("hub/src/engine/lane.rs", "use super::Router;\n"),
  "by a nested tree": append("hub/src/engine/lane.rs", "use {crate::{engine::{self, Router as R}}, std::fmt};\n"),
  "by an inline path": append("hub/src/engine/lane.rs", "fn f(_: &crate::engine::Router) {}\n"),
  "by an inline path from the parent": append("hub/src/engine/lane.rs", "fn f() { super::router::Router::new() }\n"),
  "by an imported module": append("hub/src/engine/lane.rs", "use crate::engine;\nfn f() { engine::Router::new() }\n"),
  "by a glob": append("hub/src/engine/lane.rs", "use super::*;\n"),
  "by an inline module": append("hub/src/engine/lane.rs", "mod inner { use super::super::Router; }\n"),
  "by an attribute": append("hub/src/engine/lane.rs", "#[arg(value_parser = super::Router::parse)]\nstruct A;\n"),
};
for (const [name, planted] of Object.entries(CIRCLES)) {
  test(`a circle ${name} is named by its files`, () => {
    const [first, ...rest] = faults(planted);
    assert.equal(first, "talaria-hub: 2 files import each other: engine/lane.rs, engine/router.rs");
    assert.ok(rest.some((line) => line.includes("crates/hub/src/engine/lane.rs:2 imports engine/router.rs")
      || line.includes("crates/hub/src/engine/lane.rs:3 imports engine/router.rs")), rest.join("\n"));
  });
}

test("a circle of a parent and its child is named", () => {
  const planted = { ...append("hub/src/engine.rs", "pub struct Part;\n"), ...append("hub/src/engine/router.rs", "use super::Part;\n") };
  assert.equal(faults(planted)[0], "talaria-hub: 2 files import each other: engine.rs, engine/router.rs");
});

test("a circle of three files is named", () => {
  const planted = {
    "hub/src/engine.rs": `${BASE["hub/src/engine.rs"]}mod bell;\n`,
    "hub/src/engine/lane.rs": "use super::bell::Bell;\npub struct Lane;\n",
    "hub/src/engine/bell.rs": "use super::Router;\npub struct Bell;\n",
  };
  assert.equal(faults(planted)[0], "talaria-hub: 3 files import each other: engine/bell.rs, engine/lane.rs, engine/router.rs");
});

test("comments, strings, visibilities and tests are not imports", () => {
  const text = [
    "//! [`super::Router`]",
    "/* use super::Router; /* nested */ use super::Router; */",
    'const TEXT: &str = "use super::Router;";',
    'const RAW: &str = r#"" use super::Router;"#;',
    "const QUOTE: char = '\"'; fn lifetime<'a>(x: &'a str) {}",
    "pub(in crate::engine) struct Seat;",
    "#[cfg(test)]\nuse super::Router;",
    "#[cfg(test)]\nfn helper<A, B>() -> super::Router { super::Router }",
    "#[cfg(test)]\nmod tests {\n    use super::super::Router;\n}",
    "#[cfg(test)]\nmod more;",
  ].join("\n");
  const planted = { ...append("hub/src/engine/lane.rs", text), "hub/src/engine/lane/more.rs": "use crate::engine::Router;\n" };
  assert.deepEqual(faults(planted), []);
});

test("code after a test-only item counts", () => {
  const planted = append("hub/src/engine/lane.rs", "#[cfg(test)]\nmod tests;\nuse super::Router;\n");
  assert.match(faults({ ...planted, "hub/src/engine/lane/tests.rs": "" })[0], /lane\.rs, engine\/router\.rs$/);
});

const AGAINST = {
  "of crates": [
    { "protocol/Cargo.toml": manifest("talaria-protocol", "talaria-hub = { path = \"../hub\" }\n") },
    "talaria-protocol depends on talaria-hub, against the stated direction",
  ],
  "to a library": [
    { "config/Cargo.toml": manifest("talaria-config", "hyper = { workspace = true }\n"), "config/src/lib.rs": "" },
    "talaria-config depends on hyper, against the stated direction",
  ],
  "from the engine": [
    append("hub/src/engine/lane.rs", "use crate::access::Token;\n"),
    "crates/hub/src/engine/lane.rs:2 imports crate::access::Token: engine must not import access",
  ],
  "from the engine to the application's side": [
    append("hub/src/engine/lane.rs", "use crate::embedded::Updates;\n"),
    "crates/hub/src/engine/lane.rs:2 imports crate::embedded::Updates: engine must not import embedded",
  ],
  "from access to the application's side": [
    append("hub/src/access.rs", "use crate::embedded::Updates;\n"),
    "crates/hub/src/access.rs:2 imports crate::embedded::Updates: access must not import embedded",
  ],
  "from presence to the application's side": [
    append("hub/src/presence.rs", "use crate::embedded::Updates;\n"),
    "crates/hub/src/presence.rs:2 imports crate::embedded::Updates: presence must not import embedded",
  ],
  "from the tests of a black box": [
    {
      "conformance/Cargo.toml": `${manifest("talaria-conformance")}\n[dev-dependencies]\ntalaria-hub.workspace = true\n`,
      "conformance/src/lib.rs": "",
    },
    "talaria-conformance depends on talaria-hub, against the stated direction",
  ],
  "from the engine to a re-export": [
    append("hub/src/engine/lane.rs", "use crate::http::Answer;\n"),
    "crates/hub/src/engine/lane.rs:2 imports crate::http::Answer: engine must not import http",
  ],
  "from serve to cli": [
    append("server/src/serve.rs", "fn f() { crate::cli::main() }\n"),
    "crates/server/src/serve.rs:3 imports crate::cli::main: serve must not import cli",
  ],
  "from serve to the bench": [
    append("server/src/serve/listen.rs", "use talaria_bench::Args;\n"),
    "crates/server/src/serve/listen.rs:3 imports talaria_bench::Args: serve must not import talaria_bench",
  ],
  "of a crate without a rule": [
    { "new/Cargo.toml": manifest("talaria-new"), "new/src/lib.rs": "" },
    "talaria-new is not in the table of crates in tests/structure.mjs",
  ],
};
for (const [name, [planted, fault]] of Object.entries(AGAINST)) {
  test(`an import against the direction ${name} is named`, () => {
    const all = faults(planted);
    assert.ok(all.includes(fault), all.join("\n"));
  });
}

const DETOURS = {
  "#[path]": '#[path = "router.rs"]\nmod again;\n',
  "#[path] under a condition": '#[cfg_attr(unix, path = "router.rs")]\nmod again;\n',
  "include!": 'include!("router.rs");\n',
  "extern crate": "extern crate talaria_server as server;\n",
};
for (const [name, text] of Object.entries(DETOURS)) {
  test(`${name} is a fault`, () => {
    const what = name.split(" under")[0];
    const planted = { ...append("hub/src/engine/lane.rs", text), "hub/src/engine/lane/again.rs": "" };
    const fault = `crates/hub/src/engine/lane.rs:2 has ${what}, which this check does not follow`;
    assert.ok(faults(planted).includes(fault), faults(planted).join("\n"));
  });
}

test("attributes and macros of similar names are not faults", () => {
  const text = 'const A: &str = include_str!("a.txt");\n#[serde(path = "x")]\nextern "C" {}\n';
  assert.deepEqual(faults(append("hub/src/engine/lane.rs", text)), []);
});

test("a file that no `mod` reaches is a fault", () => {
  const planted = { "hub/src/engine/tests.rs": "fn f() {}\n", "hub/src/engine/note.md": "" };
  assert.deepEqual(faults(planted), ["crates/hub/src/engine/tests.rs is not reached by any `mod`"]);
});

const lines = (count) => "//\n".repeat(count);

test("a file with more than 400 lines is a fault, in tests and examples too", () => {
  const planted = (count) => ({
    "hub/src/access.rs": lines(count), "hub/tests/access.rs": lines(count), "hub/examples/a/main.rs": lines(count),
  });
  assert.deepEqual(faults(planted(400)), []);
  assert.deepEqual(faults(planted(401)), [
    "crates/hub/src/access.rs has 401 lines, more than 400",
    "crates/hub/tests/access.rs has 401 lines, more than 400",
    "crates/hub/examples/a/main.rs has 401 lines, more than 400",
  ]);
});

test("a function with more than 70 lines is a fault, in tests too", () => {
  const body = (count) => `fn long() {\n${lines(count - 2)}}\n`;
  const planted = (count) => ({ ...append("hub/src/access.rs", body(count)), "hub/tests/access.rs": body(count) });
  assert.deepEqual(faults(planted(70)), []);
  assert.deepEqual(faults(planted(71)), [
    "crates/hub/src/access.rs:2 long has 71 lines, more than 70",
    "crates/hub/tests/access.rs:1 long has 71 lines, more than 70",
  ]);
});

test("a folder that the rules name must exist", () => {
  const planted = { ...append("hub/src/lib.rs", ""), "hub/src/lib.rs": "mod access;\nmod http;\nmod presence;\n" };
  assert.ok(faults(planted).includes("talaria-hub has no folder src/engine, which tests/structure.mjs names"));
});
