// Prints the components of the program for a target, in the format CycloneDX.
//
//   node scripts/sbom.mjs TARGET

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { packages, ROOT } from "./packages.mjs";

const [target] = process.argv.slice(2);
if (!target) {
  console.error("usage: node scripts/sbom.mjs TARGET");
  process.exit(2);
}

/** The checksum of each package of the registry. */
function checksums() {
  const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
  const entries = lock.matchAll(/^name = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"$/gm);
  return new Map(Array.from(entries, ([, name, version, sum]) => [`${name} ${version}`, sum]));
}

const { program, all, uses } = packages(target);
const sums = checksums();
const reference = ({ name, version }) => `pkg:cargo/${name}@${version}`;
const references = new Map(all.map((one) => [one.id, reference(one)]));

function component(one) {
  const sum = sums.get(`${one.name} ${one.version}`);
  return {
    type: "library",
    "bom-ref": reference(one),
    name: one.name,
    version: one.version,
    ...(one.description && { description: one.description.trim() }),
    ...(sum && { hashes: [{ alg: "SHA-256", content: sum }] }),
    // An older way to write an alternative.
    licenses: [{ expression: one.license.replaceAll("/", " OR ") }],
    purl: reference(one),
    ...(one.repository && { externalReferences: [{ type: "vcs", url: one.repository }] }),
  };
}

const bom = {
  $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: {
    component: { ...component(program), type: "application", name: "talaria" },
    properties: [{ name: "cdx:rustc:target", value: target }],
  },
  components: all.filter((one) => one !== program).map(component),
  dependencies: all.map((one) => ({
    ref: reference(one),
    dependsOn: [...new Set(uses.get(one.id).map((id) => references.get(id)))].sort(),
  })),
};
console.log(JSON.stringify(bom, null, 2));
