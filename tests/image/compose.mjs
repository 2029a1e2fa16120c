// Services of compose files, as an engine reads them.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The documents of a YAML text. */
export function yaml(text) {
  const program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin)), default=str))";
  return JSON.parse(execFileSync("python3", ["-c", program], { input: text, encoding: "utf8", maxBuffer: 1 << 26 }));
}

/** Puts the variables of the shell into each text: `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`. */
function interpolated(value, variables) {
  if (Array.isArray(value)) return value.map((one) => interpolated(one, variables));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, interpolated(one, variables)]));
  }
  if (typeof value !== "string") return value;
  return value.replace(/\$(?:(\$)|\{(\w+)(?:(:?[-?])([^}]*))?\})/g, (_, dollar, name, operator, word) => {
    if (dollar) return "$";
    const given = variables[name];
    const isMissing = given === undefined || (operator?.startsWith(":") && given === "");
    if (!isMissing) return given;
    if (operator?.endsWith("?")) throw new Error(`${name}: ${word}`);
    return operator ? word : "";
  });
}

/** Words of a command that is one text. */
function words(command) {
  if (Array.isArray(command)) return command;
  return Array.from(command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g), ([, double, single, plain]) => double ?? single ?? plain);
}

/** The service of this name in a compose file. */
export function service(file, name, variables = {}) {
  const [document] = yaml(readFileSync(file, "utf8"));
  const written = interpolated(document.services[name], variables);
  if (!written) throw new Error(`${file} has no service ${name}`);
  const environment = Array.isArray(written.environment)
    ? Object.fromEntries(written.environment.map((line) => line.split(/=(.*)/s).slice(0, 2)))
    : Object.fromEntries(Object.entries(written.environment ?? {}).map(([key, value]) => [key, String(value ?? "")]));
  const test = written.healthcheck?.test;
  return {
    environment,
    image: written.image,
    command: written.command && words(written.command),
    user: written.user,
    readOnly: written.read_only ?? false,
    temporary: [written.tmpfs ?? []].flat(),
    dropped: written.cap_drop?.includes("ALL") ?? false,
    // A path of the host, or the name of a volume.
    volumes: (written.volumes ?? []).map((volume) => {
      const [source, target] = volume.split(":");
      return { target, file: /^[./]/.test(source) ? resolve(dirname(file), source) : undefined };
    }),
    healthcheck: test && (test[0] === "CMD" ? test.slice(1) : ["sh", "-c", test[0] === "CMD-SHELL" ? test[1] : words(test).join(" ")]),
  };
}
