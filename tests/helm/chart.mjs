// The chart, rendered as a release of it would be.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { yaml } from "../image/compose.mjs";

export const CHART = fileURLToPath(new URL("../../deploy/helm/talaria", import.meta.url));
export const VERSION = "1.37.0";

const run = promisify(execFile);
const helm = process.env.HELM ?? "helm";

/** Runs helm; rejects with what it says. */
export async function call(options, environment = {}) {
  const { stdout, stderr } = await run(helm, options, { env: { ...process.env, ...environment }, maxBuffer: 1 << 26 });
  return { stdout, stderr };
}

/** The text of every object of a release with the values of these files. */
export async function text(name, values = [], options = [], environment = {}) {
  const files = values.flatMap((file) => ["--values", fileURLToPath(new URL(`values/${file}.yaml`, import.meta.url))]);
  return (await call(["template", name, CHART, ...files, ...options], environment)).stdout;
}

/** The objects, by kind and name. */
export async function objects(...parameters) {
  const all = yaml(await text(...parameters)).filter((object) => object !== null);
  return {
    all,
    one(kind, name) {
      const found = all.filter((object) => object.kind === kind && (name === undefined || object.metadata.name === name));
      if (found.length !== 1) throw new Error(`${found.length} objects of the kind ${kind}`);
      return found[0];
    },
    has: (kind) => all.some((object) => object.kind === kind),
  };
}

/** The texts of a secret. */
export function decoded(secret) {
  const entries = Object.entries(secret.data ?? {});
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
}

/** The variables of a container, as Kubernetes resolves them; `secrets` are those that the chart did not make. */
export function variables(container, rendered, secrets = {}) {
  const environment = {};
  for (const { name, value, valueFrom } of container.env) {
    if (value !== undefined) {
      environment[name] = value;
      continue;
    }
    const { secretKeyRef, configMapKeyRef } = valueFrom;
    const reference = secretKeyRef ?? configMapKeyRef;
    const data = configMapKeyRef
      ? rendered.one("ConfigMap", reference.name).data
      : (secrets[reference.name] ?? decoded(rendered.one("Secret", reference.name)));
    if (data[reference.key] !== undefined) environment[name] = data[reference.key];
    else if (!reference.optional) throw new Error(`${name}: ${reference.name} has no ${reference.key}`);
  }
  return environment;
}
