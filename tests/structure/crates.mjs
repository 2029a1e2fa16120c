// The crates of a workspace: their files as trees of modules, and what each file imports.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { detours, functions, markTests, modules, tokens } from "./rust.mjs";

/** Reads every crate of a workspace. */
export function crates(root) {
  const found = metadata(root).packages.map((each) => new Crate(each));
  for (const crate of found) crate.findImports();
  return found;
}

/** A package: its name, its dependencies, its files with their lengths, and the imports between them. */
class Crate {
  /** Reads a package as `cargo metadata` describes it. */
  constructor({ name, manifest_path: manifest, dependencies, targets }) {
    this.folder = dirname(manifest);
    this.name = name;
    const namesOf = (all) => new Set(all.map((each) => each.name));
    this.dependencies = namesOf(dependencies.filter(({ kind }) => kind !== "dev"));
    this.testDependencies = namesOf(dependencies.filter(({ kind }) => kind === "dev"));
    /** By path below `src`: lines, functions, detours, and whether the file is compiled for tests only. */
    this.files = new Map();
    /** `{ from, to, line, path }`, files below `src`; of the imports of one file from another, the first. */
    this.imports = [];
    /** `{ from, crate, line, path }`: names that come from outside of the package. */
    this.outside = [];
    const rootsOf = (kinds) =>
      targets
        .filter(({ kind }) => kind.some((each) => kinds.includes(each)))
        .map(({ src_path: path }) => this.readModule(relative(this.source, path), dirname(path), undefined, false));
    [this.library] = rootsOf(["lib", "rlib", "dylib", "cdylib", "staticlib", "proc-macro"]);
    this.roots = [this.library, ...rootsOf(["bin"])].filter(Boolean);
  }

  get source() {
    return join(this.folder, "src");
  }

  /** The files below `src` that no `mod` reaches, so that neither the compiler nor this check reads them. */
  orphans() {
    if (!existsSync(this.source)) return [];
    const all = readdirSync(this.source, { recursive: true }).filter((name) => name.endsWith(".rs"));
    return all.filter((name) => !this.files.has(name)).sort();
  }

  readModule(file, folder, parent, test) {
    const source = readFileSync(join(this.source, file), "utf8");
    const all = tokens(source);
    markTests(all);
    const lines = source.split("\n").length - 1;
    this.files.set(file, { lines, functions: functions(all), detours: detours(all), test });
    return this.attach(modules(all), file, folder, parent, test);
  }

  /** Gives a module its place, and reads the files of the modules that it declares. */
  attach(module, file, folder, parent, test) {
    Object.assign(module, { file, parent, test, children: new Map() });
    module.root = parent?.root ?? module;
    for (const inner of module.inline) {
      const child = this.attach(inner, file, join(folder, inner.name), module, test || inner.test);
      module.children.set(inner.name, child);
    }
    for (const { name, test: isTest } of module.declared) {
      const path = [join(folder, `${name}.rs`), join(folder, name, "mod.rs")].find(existsSync);
      if (!path) throw new Error(`${join(this.source, file)} declares \`mod ${name};\`, which has no file`);
      const below = relative(this.source, path);
      module.children.set(name, this.readModule(below, join(folder, name), module, test || Boolean(isTest)));
    }
    return module;
  }

  findImports() {
    const known = new Set();
    for (const module of this.roots.flatMap(withDescendants)) {
      if (module.test) continue;
      const leaves = [...module.uses.filter((leaf) => !leaf.test), ...module.paths];
      for (const leaf of leaves) {
        const { files, outside } = this.resolve(module, leaf);
        for (const to of files) {
          const key = `${module.file} ${to}`;
          if (to === module.file || known.has(key)) continue;
          known.add(key);
          this.imports.push({ from: module.file, to, line: leaf.line, path: leaf.path.join("::") });
        }
        if (outside) this.outside.push({ from: module.file, crate: outside, line: leaf.line, path: leaf.path.join("::") });
      }
    }
  }

  /** The files that define what a leaf names; for a name from another crate, that crate. */
  resolve(module, { path, glob }) {
    const seen = new Set();
    const { modules, files, outside } = this.walk(module, path, seen);
    if (!glob) return { files, outside };
    const reached = new Set(files);
    for (const each of modules) {
      if (each.items.size > 0) reached.add(each.file);
      for (const leaf of each.uses.filter((leaf) => leaf.isPublic && !leaf.test)) {
        for (const file of this.walk(each, leaf.path, seen).files) reached.add(file);
      }
    }
    return { files: [...reached], outside };
  }

  walk(module, path, seen) {
    let [first, ...rest] = path;
    let at;
    if (first === "crate") at = found([module.root]);
    else if (first === "self") at = found([module]);
    else if (first === "super") {
      at = found([module.parent]);
      while (rest[0] === "super") at = found([(rest.shift(), at.modules[0].parent)]);
    } else if (first === "::") return found([], [], rest[0]);
    else if (first === "Self") return found();
    else at = this.look(module, first, seen);
    if (at.modules.length + at.files.length === 0) {
      if (first === this.name.replaceAll("-", "_") && this.library) at = found([this.library]);
      else return found([], [], at.outside ?? first);
    }
    for (const name of rest) {
      // What follows a type is a variant or an associated item, in the type's file.
      if (at.modules.length === 0) break;
      const next = at.modules.map((each) => [each, this.look(each, name, seen)]);
      at = found(
        next.flatMap(([, { modules }]) => modules),
        // A name that no line defines comes from a macro in that file.
        next.flatMap(([each, { modules, files, outside }]) =>
          modules.length + files.length > 0 || outside ? files : [each.file],
        ),
        next.map(([, { outside }]) => outside).find(Boolean),
      );
    }
    return at;
  }

  /** What a name means inside a module: modules, the files that define it, or a crate. */
  look(module, name, seen) {
    const key = `${module.file} ${module.name} ${name}`;
    if (!module || seen.has(key)) return found();
    seen.add(key);
    const all = found();
    const add = ({ modules, files, outside }) => {
      all.modules.push(...modules);
      all.files.push(...files);
      all.outside ??= outside;
    };
    if (module.children.has(name)) add(found([module.children.get(name)]));
    if (module.items.has(name)) add(found([], [module.file]));
    const uses = module.uses.filter((leaf) => !leaf.test);
    for (const leaf of uses) if (leaf.name === name) add(this.walk(module, leaf.path, seen));
    if (all.modules.length + all.files.length === 0) {
      for (const leaf of uses.filter((leaf) => leaf.glob)) {
        for (const each of this.walk(module, leaf.path, seen).modules) add(this.look(each, name, seen));
      }
    }
    seen.delete(key);
    return all;
  }
}

const found = (modules = [], files = [], outside = undefined) => ({
  modules: [...new Set(modules)],
  files: [...new Set(files)],
  outside,
});

function withDescendants(module) {
  return [module, ...[...module.children.values()].flatMap(withDescendants)];
}

/** What cargo says of the packages of a workspace. */
function metadata(root) {
  const options = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
  const text = execFileSync("cargo", [...options, "--manifest-path", join(root, "Cargo.toml")], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return JSON.parse(text);
}
