// The image as its users run it: the compose services of recipes and documentation, in the image's tree, as they
// are written and as a user without rights on a root that cannot be written. Run by ./test.
//
//   TALARIA_BIN=… node --test tests/image/image.test.mjs

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

import { exchangeByCurl, exchangeByVerbs, KEY } from "./clients.mjs";
import { service } from "./compose.mjs";
import { Container, Volume } from "./container.mjs";
import { lastStage, stage } from "./dockerfile.mjs";

const PATH = "/.well-known/mercure";
const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const recipe = (name) => file(`services/${name}.yaml`);
const example = (name) => file(`../../deploy/compose/${name}/compose.yaml`);

const SECRET = randomBytes(48).toString("base64");
const NAMES = ["MERCURE_PUBLISHER_JWT_KEY", "MERCURE_SUBSCRIBER_JWT_KEY", "MERCURE_JWT_SECRET", "CADDY_MERCURE_JWT_SECRET"];
const SECRETS = Object.fromEntries(NAMES.map((name) => [name, SECRET]));

/** Each service, where its clients find it, and what they speak; `variables` are those of the shell,
 * `inside` is the name by which the application publishes. */
const SERVICES = [
  { file: recipe("symfony-0.3"), name: "mercure", url: "https://localhost", generations: ["0.x"] },
  { file: recipe("symfony-0.2"), name: "mercure", url: "http://localhost", generations: ["0.x"] },
  { file: recipe("symfony-0.5"), name: "mercure", url: "https://localhost", generations: ["1.0"] },
  { file: recipe("api-platform"), name: "mercure", url: "https://localhost", generations: ["0.x"] },
  { file: recipe("documentation"), name: "plain", url: "https://localhost", generations: ["0.x", "1.0"] },
  { file: recipe("documentation"), name: "playground", url: "https://localhost", generations: ["0.x", "1.0"] },
  { file: recipe("documentation"), name: "rootless", url: "http://localhost", generations: ["0.x", "1.0"] },
  { file: recipe("documentation"), name: "action", url: "http://localhost:1337", generations: ["0.x", "1.0"] },
  { file: recipe("documentation"), name: "project", url: "http://localhost:3000", generations: ["0.x", "1.0"] },
  ...[
    { file: example("plain"), name: "hub", url: "https://localhost", generations: ["0.x", "1.0"] },
    { file: example("symfony"), name: "mercure", url: "https://localhost", inside: "mercure", generations: ["0.x", "1.0"] },
    { file: example("api-platform"), name: "mercure", url: "https://localhost:8443", inside: "mercure", generations: ["0.x"] },
    { file: example("laravel"), name: "mercure", url: "https://localhost", inside: "mercure", generations: ["1.0"] },
  ].map((service) => ({ ...service, variables: SECRETS, keys: { publisher: SECRET, subscriber: SECRET } })),
];

const program = process.env.TALARIA_BIN;
const trees = {};

before(() => {
  assert.ok(program, "TALARIA_BIN names the program");
  for (const variant of ["alpine", "minimal"]) {
    trees[variant] = mkdtempSync(join(tmpdir(), `image-${variant}-`));
    const options = variant === "minimal" ? ["--minimal"] : [];
    execFileSync(file("../../deploy/docker/tree"), [...options, program, trees[variant]], { stdio: "inherit" });
  }
});

after(() => Object.values(trees).forEach((tree) => rmSync(tree, { recursive: true, force: true })));

/** Starts a container of a service, as the engine does. */
function start(variant, written, changes = {}) {
  const image = stage(variant);
  const tree = trees[variant];
  const service = { ...written, ...changes };
  const mounts = {};
  for (const { target, file } of service.volumes) mounts[target] = file ?? new Volume({ tree, path: target });
  return new Container({
    tree,
    mounts,
    command: service.command ?? image.command,
    folder: image.folder,
    environment: { ...image.environment, ...service.environment },
    user: service.user ?? image.user,
    readOnly: service.readOnly,
    temporary: service.temporary,
    dropped: service.dropped,
  });
}

/** The same service for a user without rights. What Docker mounts for it: volumes, and a folder in memory. */
function asUser(written) {
  const named = written.volumes.map(({ target }) => target);
  const added = ["/data", "/config"].filter((target) => !named.includes(target)).map((target) => ({ target }));
  return { user: "1001:1001", readOnly: true, dropped: true, temporary: ["/tmp"], volumes: [...written.volumes, ...added] };
}

test("the last stage has what the official image has", () => {
  assert.equal(lastStage(), "alpine");
  const { environment, command, folder, ports, user, healthcheck } = stage("alpine");
  assert.equal(environment.XDG_CONFIG_HOME, "/config");
  assert.equal(environment.XDG_DATA_HOME, "/data");
  assert.deepEqual(command, ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]);
  assert.deepEqual([folder, ports, user], ["/srv", "80 443 443/udp 2019", "0:0"]);
  assert.deepEqual(healthcheck.command, ["wget", "-q", "--spider", "http://127.0.0.1:2019/mercure/health/ready"]);
  const options = ["--interval=30s", "--timeout=5s", "--start-period=60s", "--retries=5"];
  assert.deepEqual(healthcheck.options, options);

  const minimal = stage("minimal");
  assert.deepEqual(minimal.environment, environment);
  assert.deepEqual([minimal.command, minimal.folder, minimal.ports], [command, folder, ports]);
  assert.deepEqual(minimal.healthcheck.options, options);
});

for (const { file, name, url, inside, generations, variables, keys } of SERVICES) {
  const shown = `${file.split("/").slice(-2).join("/")}: ${name}`;
  for (const kind of ["as it is written", "as user 1001, on a root that cannot be written"]) {
    test(`${shown}, ${kind}`, async () => {
      const written = service(file, name, variables);
      const changes = kind === "as it is written" ? {} : asUser(written);
      const container = start("alpine", written, changes);
      const { healthcheck } = stage("alpine");
      await container.healthy(written.healthcheck ?? healthcheck.command);
      await container.healthy(healthcheck.command);
      for (const generation of generations) {
        await exchangeByCurl(container, `${url}${PATH}`, generation, { ...keys, inside });
      }
      assert.equal(await container.stop(), 0, container.lines.join("\n"));
    });
  }
}

test("the minimal image serves, and asks itself whether it can", async () => {
  const container = start("minimal", {
    environment: { SERVER_NAME: ":80", MERCURE_PUBLISHER_JWT_KEY: KEY, MERCURE_SUBSCRIBER_JWT_KEY: KEY },
    ...{ readOnly: true, dropped: true, volumes: [{ target: "/data" }, { target: "/config" }] },
  });
  await container.healthy(stage("minimal").healthcheck.command);
  for (const generation of ["0.x", "1.0"]) await exchangeByVerbs(container, `http://localhost${PATH}`, generation);
  assert.equal(await container.stop(), 0);
});

test("the image has the names and folders that commands of others use", async () => {
  const keys = { MERCURE_PUBLISHER_JWT_KEY: KEY, MERCURE_SUBSCRIBER_JWT_KEY: KEY };
  const container = start("alpine", { environment: { SERVER_NAME: ":80", ...keys }, volumes: [] });
  await container.healthy(["wget", "-q", "-O", "-", "http://localhost/healthz"]);
  for (const program of ["caddy", "/usr/bin/caddy", "mercure", "talaria"]) {
    const { status, output } = await container.run([program, "version"]);
    assert.equal(status, 0, output);
    assert.match(output, /^Talaria /);
  }
  for (const config of ["Caddyfile", "dev.Caddyfile", "Caddyfile.dev"]) {
    const { status, output } = await container.run(["caddy", "validate", "--config", `/etc/caddy/${config}`]);
    assert.equal(status, 0, output);
  }
  const { output } = await container.run(["stat", "-c", "%n %a", "/data/caddy", "/config/caddy"]);
  assert.equal(output, "/data/caddy 1777\n/config/caddy 1777\n");
  // The chart and scripts stop the hub by its admin endpoint (B-911).
  const stopped = await container.run(["wget", "-q", "-O", "-", "--post-data=", "http://127.0.0.1:2019/stop"]);
  assert.equal(stopped.status, 0, stopped.output);
  assert.equal(await container.exited, 0);
});

test("a token of the image's own verb is accepted", async () => {
  const container = start("alpine", { environment: { MERCURE_EXTRA_DIRECTIVES: "playground" }, volumes: [] });
  await container.healthy(["curl", "-f", "https://localhost/healthz"]);
  const minted = await container.run(["caddy", "mercure-token", "--dev"]);
  assert.equal(minted.status, 0, minted.output);
  const published = await container.run([
    ...["curl", "-fsS", "-H", `Authorization: Bearer ${minted.output.trim()}`, "-d", "topic=a", "-d", "data=b"],
    `https://localhost${PATH}`,
  ]);
  assert.match(published.output, /^urn:uuid:/);
  assert.equal(await container.stop(), 0);
});
