// What the release makes of a built program: archives that unpack and run, checksums, licences, the formula, and
// the workflow itself. Run by ./test.
//
//   TALARIA_BIN=… node --test tests/release/release.test.mjs

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

const built = process.env.TALARIA_BIN;
const script = (name) => fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));
const page = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const [, VERSION] = page("Cargo.toml").match(/^\[workspace\.package\]\nversion = "(.*)"/m);

let folder;
let program;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "release-"));
  program = join(folder, "talaria");
  execFileSync("strip", ["-o", program, built]);
  execFileSync(script("package-files"), [program, join(folder, "files")]);
});

after(() => rmSync(folder, { recursive: true, force: true }));

const archive = (target) =>
  execFileSync(script("package-archive"), [target, program, join(folder, "files"), join(folder, "dist")], { encoding: "utf8" }).trim();

test("an archive unpacks, runs and has what belongs to the program", () => {
  const file = archive("x86_64-unknown-linux-gnu");
  assert.ok(file.endsWith(`/talaria-${VERSION}-x86_64-unknown-linux-gnu.tar.gz`), file);
  const [sum, name] = readFileSync(`${file}.sha256`, "utf8").trim().split(/\s+/);
  const content = readFileSync(file);
  assert.equal(sum, createHash("sha256").update(content).digest("hex"));
  assert.ok(file.endsWith(name));
  assert.deepEqual(readFileSync(archive("x86_64-unknown-linux-gnu")), content, "it is the same again");

  execFileSync("tar", ["-xzf", file, "-C", folder]);
  const unpacked = join(folder, name.replace(".tar.gz", ""));
  const found = readdirSync(unpacked).sort();
  assert.deepEqual(found, [
    ...["CHANGELOG.md", "Caddyfile", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "THIRD-PARTY-NOTICES.txt"],
    ...["completions", "dev.Caddyfile", "man", "talaria", "talaria.service"],
  ]);
  assert.ok(readdirSync(join(unpacked, "man")).includes("talaria-run.1"));
  assert.equal(readdirSync(join(unpacked, "completions")).length, 5);
  // As with the existing hub's archive, the file beside the program is used by itself (B-878).
  const key = "a secret of more than thirty-two bytes";
  const env = { SERVER_NAME: ":3000", MERCURE_PUBLISHER_JWT_KEY: key, MERCURE_SUBSCRIBER_JWT_KEY: key };
  const { status, stdout, stderr } = spawnSync("./talaria", ["validate"], { cwd: unpacked, env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /Caddyfile/);
});

test("an archive for Windows is one that Windows unpacks", () => {
  const file = archive("x86_64-pc-windows-msvc");
  const names = execFileSync("python3", ["-m", "zipfile", "--list", file], { encoding: "utf8" });
  assert.match(names, /THIRD-PARTY-NOTICES\.txt/);
  assert.doesNotMatch(names, /talaria\.service/);
});

test("the licences of every package are there", () => {
  const text = readFileSync(join(folder, "files/THIRD-PARTY-NOTICES.txt"), "utf8");
  for (const name of ["aws-lc-sys", "hyper", "mimalloc", "rustls", "tokio"]) {
    assert.match(text, new RegExp(`^${name} [0-9.]+: .*`, "m"));
  }
  assert.match(text, /Permission is hereby granted/);
  assert.doesNotMatch(text, /^talaria-/m);
  // What only tests use is not in the program.
  assert.doesNotMatch(text, /^(proptest|loom|tempfile) /m);
});

test("the components are listed as CycloneDX has it, with their checksums", () => {
  archive("x86_64-unknown-linux-gnu");
  const file = join(folder, "dist", `talaria-${VERSION}-x86_64-unknown-linux-gnu.cdx.json`);
  const { components, dependencies, metadata } = JSON.parse(readFileSync(file, "utf8"));
  assert.equal(metadata.component.version, VERSION);
  const hyper = components.find(({ name }) => name === "hyper");
  assert.match(hyper.hashes[0].content, /^[0-9a-f]{64}$/);
  assert.match(hyper.purl, /^pkg:cargo\/hyper@1\./);
  const program = dependencies.find(({ ref }) => ref === metadata.component["bom-ref"]);
  assert.ok(program.dependsOn.includes(hyper.purl));
  assert.ok(components.every(({ name }) => name !== "proptest"), "what only tests use is not in the program");
  const validate = `
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))`;
  const { status, stderr } = spawnSync(process.env.PYTHON ?? "python3", ["-c", validate, file], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("the formula has the checksum of each archive that it names", () => {
  const dist = join(folder, "dist");
  const targets = ["aarch64-apple-darwin", "x86_64-apple-darwin", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"];
  targets.forEach((target, index) => {
    const sum = String(index).repeat(64);
    writeFileSync(join(dist, `talaria-${VERSION}-${target}.tar.gz.sha256`), `${sum}  talaria.tar.gz\n`);
  });
  const formula = execFileSync(script("package-formula"), [dist], { encoding: "utf8" });
  assert.match(formula, new RegExp(`^  version "${VERSION}"$`, "m"));
  targets.forEach((_, index) => assert.ok(formula.includes(`sha256 "${String(index).repeat(64)}"`)));
  assert.doesNotMatch(formula, /SHA256:|VERSION/);
  rmSync(join(dist, `talaria-${VERSION}-aarch64-apple-darwin.tar.gz.sha256`));
  assert.notEqual(spawnSync(script("package-formula"), [dist]).status, 0, "without a checksum there is no formula");
});

test("systemd finds no fault in the unit, and little that the hub could do", () => {
  const unit = join(folder, "talaria.service");
  // It looks for the program.
  writeFileSync(unit, page("deploy/systemd/talaria.service").replaceAll("/usr/bin/talaria", program));
  const verified = spawnSync("systemd-analyze", ["verify", "--man=no", unit], { encoding: "utf8" });
  assert.deepEqual(verified.stderr.split("\n").filter((line) => line.includes("talaria")), []);
  assert.equal(verified.status, 0);
  const options = ["security", "--no-pager", "--offline=true", "--threshold=20", unit];
  const judged = spawnSync("systemd-analyze", options, { encoding: "utf8" });
  assert.equal(judged.status, 0, judged.stdout);
  // The page shows its main lines.
  const [, shown] = page("docs/operating.md").match(/```ini\n(\[Service\]\n[^]*?)```/);
  const written = page("deploy/systemd/talaria.service").split("\n");
  for (const line of shown.trim().split("\n")) assert.ok(written.includes(line), line);
});

test("versions of chart and package are those of the workspace", () => {
  assert.match(page("deploy/helm/talaria/Chart.yaml"), new RegExp(`^version: ${VERSION}\nappVersion: ${VERSION}$`, "m"));
  assert.match(page("deploy/debian/changelog"), new RegExp(`^talaria \\(${VERSION}-1\\) `));
});

test("the crates that are published can be packaged, with their licences", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const options = { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 };
  const { packages } = JSON.parse(execFileSync("cargo", ["metadata", "--format-version", "1", "--no-deps", "--locked"], options));
  const published = packages.filter(({ publish }) => publish === null || publish.length > 0).map(({ name }) => name);
  assert.deepEqual(published.sort(), ["talaria-boltdb", "talaria-hub", "talaria-protocol", "talaria-transport"]);
  const place = join(folder, "crates");
  const wanted = published.flatMap((name) => ["--package", name]);
  execFileSync("cargo", ["package", "--quiet", "--no-verify", "--allow-dirty", "--target-dir", place, ...wanted], options);
  for (const name of published) {
    const crate = join(place, "package", `${name}-${VERSION}.crate`);
    const content = execFileSync("tar", ["-tzf", crate], options);
    for (const file of ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/lib.rs"]) {
      assert.ok(content.includes(`${name}-${VERSION}/${file}\n`), `${name}: ${file}`);
    }
  }
});

test("the workflows have no mistakes", () => {
  const workflows = fileURLToPath(new URL("../../.github/workflows/", import.meta.url));
  const files = readdirSync(workflows).map((name) => join(workflows, name));
  const { status, stdout } = spawnSync("actionlint", files, { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

test("a program that is installed needs no library but those of the system", () => {
  assert.ok(statSync(program).size > 0);
  const { stdout } = spawnSync("ldd", [program], { encoding: "utf8" });
  const known = /linux-vdso|ld-linux|libc\.so|libm\.so|libgcc_s|statically linked|not a dynamic/;
  const others = stdout.split("\n").filter((line) => line.trim() && !known.test(line));
  assert.deepEqual(others, []);
});
