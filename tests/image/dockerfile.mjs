// What a stage of the Dockerfile says about its containers.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const DOCKERFILE = fileURLToPath(new URL("../../deploy/docker/Dockerfile", import.meta.url));

/** Environment, command, health check, user, folder and ports of the stage with this name. */
export function stage(name, text = readFileSync(DOCKERFILE, "utf8")) {
  const lines = text.replace(/^#.*\n/gm, "").replace(/\\\n\s*/g, " ").split("\n");
  const begin = lines.findIndex((line) => line.startsWith("FROM ") && line.endsWith(` AS ${name}`));
  if (begin === -1) throw new Error(`the Dockerfile has no stage ${name}`);
  const rest = lines.slice(begin + 1);
  const end = rest.findIndex((line) => line.startsWith("FROM "));
  const instructions = rest.slice(0, end === -1 ? undefined : end).filter((line) => line.trim() !== "");

  const image = { environment: {}, user: "0:0" };
  for (const line of instructions) {
    const [, instruction, value] = line.match(/^(\w+) (.*)$/);
    if (instruction === "ENV") {
      for (const [, variable, content] of value.matchAll(/(\w+)=(\S+)/g)) image.environment[variable] = content;
    } else if (instruction === "CMD") image.command = JSON.parse(value);
    else if (instruction === "WORKDIR") image.folder = value;
    else if (instruction === "USER") image.user = value;
    else if (instruction === "EXPOSE") image.ports = value;
    else if (instruction === "HEALTHCHECK") {
      const [, options, command] = value.match(/^(.*?) CMD (.*)$/);
      image.healthcheck = { options: options.trim().split(/\s+/), command: JSON.parse(command) };
    }
  }
  return image;
}

/** The last stage, which is built unless another one is named. */
export function lastStage(text = readFileSync(DOCKERFILE, "utf8")) {
  return [...text.matchAll(/^FROM .* AS (\S+)$/gm)].at(-1)[1];
}
