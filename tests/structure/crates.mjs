// The crates of a workspace: their files as trees of modules, and what each file imports.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { functions, markTests, modules, tokens } from "./rust.mjs";

/** Reads every crate below `crates/` of a workspace. */
export function crates(root) {
  const found = readdirSync(join(root, "crates"))
    .map((name) => join(root, "crates", name))
    .filter((folder) => existsSync(join(folder, "Cargo.toml")))
    .map((folder) => new Crate(folder));
  for (const crate of found) crate.findImports();
  return found;
}

/** A package: its name, its dependencies, its files with their lengths, and the imports between them. */
class Crate {
  constructor(folder) {
    this.folder = folder;
    const manifest = readFileSync(join(folder, "Cargo.toml"), "utf8");
    this.name = manifest.match(/^name = "([^"]+)"/m)[1];
    this.dependencies = dependencies(manifest);
    /** By path below `src`: lines, functions, and whether the file is compiled for tests only. */
    this.files = new Map();
    /** `{ from, to, line, path }`, files below `src`; of the imports of one file from another, the first. */
    this.imports = [];
    /** `{ from, crate, line, path }`: names that come from outside of the package. */
    this.outside = [];
    this.library = this.readRoot("lib.rs");
    const bins = existsSync(join(folder, "src/bin")) ? readdirSync(join(folder, "src/bin")) : [];
    const roots = ["main.rs", ...bins.filter((name) => name.endsWith(".rs")).map((name) => `bin/${name}`)];
    this.roots = [this.library, ...roots.map((name) => this.readRoot(name))].filter(Boolean);
  }

  readRoot(name) {
    if (!existsSync(join(this.folder, "src", name))) return undefined;
    return this.readModule(name, join(this.folder, "src"), undefined, false);
  }

  readModule(file, folder, parent, test) {
    const source = readFileSync(join(this.folder, "src", file), "utf8");
    const all = tokens(source);
    markTests(all);
    this.files.set(file, { lines: source.split("\n").length - 1, functions: functions(all), test });
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
      if (!path) throw new Error(`${join(this.folder, "src", file)} declares \`mod ${name};\`, which has no file`);
      const below = relative(join(this.folder, "src"), path);
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

/** The packages that a manifest depends on, other than for tests. */
function dependencies(manifest) {
  const names = new Set();
  let isRead = false;
  for (const line of manifest.split("\n")) {
    const section = line.match(/^\[(.+)\]/)?.[1];
    if (section) {
      isRead = /^(target\..*\.)?(build-)?dependencies$/.test(section);
      const single = section.match(/^(?:target\..*\.)?(?:build-)?dependencies\.([\w-]+)$/)?.[1];
      if (single) names.add(single);
    } else if (isRead) {
      const name = line.match(/^([\w-]+)(?:\.workspace)?\s*=/)?.[1];
      if (name) names.add(line.match(/\bpackage = "([^"]+)"/)?.[1] ?? name);
    }
  }
  return names;
}
