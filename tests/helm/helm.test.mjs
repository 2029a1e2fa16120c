// The chart: its objects are valid, take the values of the existing hub's chart, and what they start is a hub.
// Run by ./test.
//
//   TALARIA_BIN=… HELM=… KUBECONFORM=… KUBERNETES_SCHEMAS=… node --test tests/helm/helm.test.mjs

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

import { exchangeByCurl } from "../image/clients.mjs";
import { Container, Volume } from "../image/container.mjs";
import { stage } from "../image/dockerfile.mjs";
import { call, CHART, decoded, objects, text, variables, VERSION } from "./chart.mjs";
import { Cluster } from "./cluster.mjs";

const KUBE = ["--kube-version", VERSION];
/** Kinds of other projects, whose schemas no package registry has. */
const FOREIGN = "ServiceMonitor,HTTPRoute,CiliumNetworkPolicy,postgresql.cnpg.io/v1/Cluster";
/** The values for three nodes, which docs/cluster.md names. */
const NODES = "../../../deploy/helm/cluster";
/** Those that docs/postgresql.md names. */
const NODES_ON_POSTGRES = "../../../deploy/helm/postgres";
const FILES = [[], ["existing"], ["production"], ["everything"], [NODES], [NODES_ON_POSTGRES]];

let folder;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "helm-"));
  execFileSync(fileURLToPath(new URL("../../deploy/docker/tree", import.meta.url)), [process.env.TALARIA_BIN, join(folder, "tree")]);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** The schemas of the PyPI package kubernetes-validate, which lead to each other as files here. */
function schemas() {
  const source = join(process.env.KUBERNETES_SCHEMAS, `v${VERSION}-local-strict`);
  const place = mkdtempSync(join(folder, "schemas-"));
  const isKind = /^(_definitions|(configmap|pod|secret|service|serviceaccount|persistentvolumeclaim)-v1|\w+-(apps|autoscaling|networking|policy)-v\d)\.json$/;
  for (const name of readdirSync(source).filter((name) => isKind.test(name))) {
    const text = readFileSync(join(source, name), "utf8").replaceAll("/api/_definitions.json", "_definitions.json");
    const { $id, ...schema } = JSON.parse(text);
    writeFileSync(join(place, name), JSON.stringify(schema));
  }
  return `${place}/{{ .ResourceKind }}{{ .KindSuffix }}.json`;
}

test("the chart has no faults that helm finds", async () => {
  await call(["lint", "--strict", ...KUBE, CHART]);
});

test("every object is one that Kubernetes knows", async () => {
  const location = schemas();
  for (const values of FILES) {
    const rendered = await text("mercure", values, KUBE);
    const options = ["-strict", "-summary", "-kubernetes-version", VERSION, "-schema-location", location, "-skip", FOREIGN];
    const { status, stdout } = spawnSync(process.env.KUBECONFORM ?? "kubeconform", options, { input: rendered, encoding: "utf8" });
    assert.equal(status, 0, `${values}: ${stdout}`);
    assert.match(stdout, /Valid: [1-9]/);
  }
  const wrong = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n";
  const options = ["-strict", "-kubernetes-version", VERSION, "-schema-location", location];
  assert.equal(spawnSync(process.env.KUBECONFORM ?? "kubeconform", options, { input: wrong }).status, 1);
});

/** Starts what a workload describes, as the kubelet does. */
function start(workload, rendered, secrets) {
  const { spec } = workload.spec.template;
  const [container] = spec.containers;
  const image = stage("alpine");
  const tree = join(folder, "tree");
  const { fsGroup } = spec.securityContext;
  const mounts = {};
  for (const { name, mountPath } of container.volumeMounts) {
    if (["data", "config", "tmp"].includes(name)) mounts[mountPath] = new Volume({ tree, path: mountPath, group: fsGroup });
  }
  const { runAsUser, runAsGroup, readOnlyRootFilesystem, capabilities } = container.securityContext;
  assert.deepEqual(capabilities, { drop: ["ALL"] });
  return new Container({
    tree,
    mounts,
    command: container.command ?? image.command,
    folder: image.folder,
    environment: { ...image.environment, KUBERNETES_SERVICE_HOST: "10.0.0.1", ...variables(container, rendered, secrets) },
    user: `${runAsUser}:${runAsGroup}`,
    readOnly: readOnlyRootFilesystem,
    dropped: true,
  });
}

async function serves(workload, rendered, secrets, keys) {
  const [container] = workload.spec.template.spec.containers;
  const hub = start(workload, rendered, secrets);
  for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
    await hub.healthy(probe.exec.command);
  }
  const environment = variables(container, rendered, secrets);
  const url = `http://localhost${environment.SERVER_NAME}/.well-known/mercure`.replace(":80/", "/");
  for (const generation of ["0.x", "1.0"]) {
    await exchangeByCurl(hub, url, generation, keys);
  }
  return hub;
}

test("what the existing chart's values give starts, is asked by its probes, serves and ends", async () => {
  const rendered = await objects("mercure", ["existing"], KUBE);
  const workload = rendered.one("Deployment");
  const secret = decoded(rendered.one("Secret"));
  const keys = { publisher: secret["publisher-jwt-key"], subscriber: secret["subscriber-jwt-key"] };
  const hub = await serves(workload, rendered, {}, keys);
  // The chart's own test asks for the welcome page.
  const [asking] = rendered.one("Pod").spec.containers;
  await hub.healthy(asking.command.map((word) => word.replace("mercure-talaria", "localhost")));
  const { preStop } = workload.spec.template.spec.containers[0].lifecycle;
  assert.deepEqual(preStop, { sleep: { seconds: 5 } });
  assert.equal(await hub.stop(), 0, hub.lines.join("\n"));
});

test("a production file with a secret of two keys serves", async () => {
  const rendered = await objects("mercure", ["production"], KUBE);
  assert.equal(rendered.has("Secret"), false);
  const key = "0123456789abcdef0123456789abcdef";
  const secrets = { "mercure-jwt": { "publisher-jwt-key": key, "subscriber-jwt-key": key } };
  const workload = rendered.one("Deployment");
  assert.equal(workload.spec.strategy.type, "Recreate");
  const hub = await serves(workload, rendered, secrets, { publisher: key, subscriber: key });
  assert.equal(await hub.stop(), 0);
  const { template } = workload.spec;
  assert.equal(template.metadata.labels.team, "push");
  assert.equal(template.spec.topologySpreadConstraints[0].labelSelector.matchLabels["app.kubernetes.io/instance"], "mercure");
  assert.equal(rendered.one("PersistentVolumeClaim").spec.storageClassName, "fast");
  assert.equal(rendered.one("Ingress").spec.rules[0].http.paths[0].path, "/");
});

test("a file that is given takes the place of the image's, and another admin port is the hub's too", async () => {
  const rendered = await objects("talaria", ["everything"], KUBE);
  const workload = rendered.one("StatefulSet");
  const [container] = workload.spec.template.spec.containers;
  const environment = variables(container, rendered);
  assert.equal(environment.CADDY_ADMIN, "0.0.0.0:2020");
  assert.equal(environment.MERCURE_TRUSTED_ISSUERS, "https://app.example.com");
  assert.ok(container.readinessProbe.exec.command.at(-1).endsWith(":2020/mercure/health/ready"));
  const mount = container.volumeMounts.find(({ mountPath }) => mountPath === "/etc/caddy/Caddyfile");
  assert.equal(mount.subPath, "Caddyfile");
  const file = rendered.one("ConfigMap", "talaria").data.Caddyfile;
  const child = spawnSync(process.env.TALARIA_BIN, ["validate", "--config", "-"], { input: file, env: environment, encoding: "utf8" });
  assert.equal(child.status, 0, child.stderr);
  assert.equal(workload.spec.volumeClaimTemplates[0].metadata.name, "data");
  assert.equal(rendered.one("Service", workload.spec.serviceName).spec.clusterIP, "None");
  assert.equal(rendered.one("PodDisruptionBudget").spec.minAvailable, 1);
  assert.deepEqual(rendered.one("HTTPRoute").spec.rules[0].timeouts, { request: "0s" });
  assert.equal(rendered.one("HorizontalPodAutoscaler").spec.scaleTargetRef.kind, "StatefulSet");
  assert.equal(rendered.one("ServiceMonitor").metadata.labels.release, "prometheus");
});

test("two pods never have one history open", async () => {
  const rolling = ["--set", "persistence.enabled=true,updateStrategy.type=RollingUpdate"];
  const { spec } = (await objects("a", [], [...KUBE, ...rolling])).one("Deployment");
  assert.deepEqual(spec.strategy.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
  const { spec: plain } = (await objects("a", [], KUBE)).one("Deployment");
  assert.deepEqual(plain.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
});

test("development opens the hub, and an older cluster sleeps by a command", async () => {
  const options = ["--set", "dev=true,extraDirectives=cors_origins https://a.example", "--kube-version", "1.29.0"];
  const rendered = await objects("a", [], options);
  assert.equal(decoded(rendered.one("Secret"))["extra-directives"], "playground\ncors_origins https://a.example");
  const [container] = rendered.one("Deployment").spec.template.spec.containers;
  assert.deepEqual(container.lifecycle.preStop, { exec: { command: ["sleep", "5"] } });
  await assert.rejects(objects("a", [], [...KUBE, "--set", "kind=DaemonSet"]), /write Deployment or StatefulSet/);
});

test("random keys stay at an upgrade, and other keys take their place", async () => {
  const first = (await objects("a", [], KUBE)).one("Secret");
  const keys = decoded(first);
  assert.equal(keys["publisher-jwt-key"].length, 48);
  assert.notEqual(keys["publisher-jwt-key"], keys["subscriber-jwt-key"]);
  const cluster = await Cluster.start({ [first.metadata.name]: first }, VERSION);
  try {
    const upgrade = (options) => objects("a", [], [...KUBE, "--is-upgrade", "--dry-run=server", ...options], { KUBECONFIG: cluster.file });
    const again = await upgrade([]);
    assert.deepEqual(decoded(again.one("Secret")), keys);
    const changed = await upgrade(["--set", "publisherJwtKey=mine"]);
    const { "publisher-jwt-key": publisher, "subscriber-jwt-key": subscriber } = decoded(changed.one("Secret"));
    assert.deepEqual([publisher, subscriber], ["mine", keys["subscriber-jwt-key"]]);
    const checksum = (rendered) => rendered.one("Deployment").spec.template.metadata.annotations["checksum/secret"];
    assert.notEqual(checksum(changed), checksum(again));
  } finally {
    cluster.stop();
  }
});

test("a release of the existing chart is upgraded in place: its names, labels and claim stay", async () => {
  const options = [...KUBE, "--set", "nameOverride=mercure,persistence.enabled=true"];
  const rendered = await objects("mercure", ["existing"], options);
  const workload = rendered.one("Deployment");
  assert.equal(workload.metadata.name, "mercure");
  const selected = { "app.kubernetes.io/name": "mercure", "app.kubernetes.io/instance": "mercure" };
  assert.deepEqual(workload.spec.selector.matchLabels, selected);
  for (const kind of ["Secret", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount", "Service"]) {
    assert.equal(rendered.one(kind).metadata.name, "mercure");
  }
});

/** What a container's script writes before it starts the server, on a host of this name. */
function settings(container, host) {
  const place = mkdtempSync(join(folder, "settings-"));
  const instead = (name, text) => writeFileSync(join(place, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  instead("hostname", `echo ${host}`);
  instead("redis-server", 'cat "$1"');
  const [shell, option, script] = container.command;
  const env = { PATH: `${place}:${process.env.PATH}`, REDIS_PASSWORD: "s3cret" };
  return execFileSync(shell, [option, script.replaceAll("/data", place)], { env, encoding: "utf8" });
}

test("three nodes share a log, whose servers and Sentinels find each other", async () => {
  const rendered = await objects("hub", [NODES], KUBE);
  const workload = rendered.one("Deployment");
  assert.equal(workload.spec.replicas, 3);
  const [container] = workload.spec.template.spec.containers;
  // All nodes lose Redis at once, and must not leave the service for that.
  assert.match(container.readinessProbe.exec.command.at(-1), /\/mercure\/health\/live$/);
  const environment = variables(container, rendered, { "hub-redis": { password: "s3cret" } });
  const child = spawnSync(process.env.TALARIA_BIN, ["validate"], { env: environment, encoding: "utf8" });
  assert.equal(child.status, 0, child.stderr);

  const { spec } = rendered.one("StatefulSet", "hub-redis");
  const [redis, sentinel] = spec.template.spec.containers;
  const hosts = Array.from({ length: spec.replicas }, (_, number) => `hub-redis-${number}.${spec.serviceName}`);
  for (const host of hosts) assert.ok(environment.MERCURE_EXTRA_DIRECTIVES.includes(`${host}:26379`), host);
  const [primary, replica] = ["hub-redis-0", "hub-redis-1"].map((host) => settings(redis, host));
  assert.doesNotMatch(primary, /replicaof/);
  assert.match(replica, /^replicaof hub-redis-0\.hub-redis 6379$/m);
  assert.match(replica, /^replica-announce-ip hub-redis-1\.hub-redis$/m);
  assert.match(replica, /^masterauth s3cret$/m);
  assert.match(settings(sentinel, "hub-redis-2"), /^sentinel announce-ip hub-redis-2\.hub-redis$/m);
});

test("three nodes share a log in PostgreSQL, with the names and the secret of its operator", async () => {
  const rendered = await objects("hub", [NODES_ON_POSTGRES], KUBE);
  const workload = rendered.one("Deployment");
  assert.equal(workload.spec.replicas, 3);
  const [container] = workload.spec.template.spec.containers;
  assert.match(container.readinessProbe.exec.command.at(-1), /\/mercure\/health\/live$/);
  const { metadata, spec } = rendered.one("Cluster");
  // CloudNativePG names the service of the primary, and the secret of the owner, after the cluster.
  const environment = variables(container, rendered, { [`${metadata.name}-app`]: { password: "s3cret" } });
  const { database, owner } = spec.bootstrap.initdb;
  assert.ok(environment.MERCURE_EXTRA_DIRECTIVES.includes(`postgres://${owner}@${metadata.name}-rw/${database}?`));
  const child = spawnSync(process.env.TALARIA_BIN, ["validate"], { env: environment, encoding: "utf8" });
  assert.equal(child.status, 0, child.stderr);
});
