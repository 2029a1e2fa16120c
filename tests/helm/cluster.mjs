// As much of a cluster's interface as `helm template --dry-run=server` asks: its version, its kinds, and secrets.

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SECRETS = /^\/api\/v1\/namespaces\/([^/]+)\/secrets\/([^/?]+)/;

export class Cluster {
  /** Starts it; `secrets` are objects by name. */
  static async start(secrets, version) {
    const cluster = new Cluster();
    const [major, minor] = version.split(".");
    const answers = {
      "/version": { major, minor, gitVersion: `v${version}` },
      "/api": { kind: "APIVersions", versions: ["v1"] },
      "/apis": { kind: "APIGroupList", apiVersion: "v1", groups: [] },
      "/api/v1": {
        ...{ kind: "APIResourceList", groupVersion: "v1" },
        resources: [{ name: "secrets", singularName: "", namespaced: true, kind: "Secret", verbs: ["get", "list"] }],
      },
    };
    cluster.server = createServer((request, answer) => {
      const path = request.url.split("?")[0];
      const secret = SECRETS.exec(path);
      const found = secret ? secrets[secret[2]] : answers[path];
      const missing = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 };
      answer.writeHead(found ? 200 : 404, { "Content-Type": "application/json" });
      answer.end(JSON.stringify(found ?? missing));
    });
    cluster.server.listen(0, "127.0.0.1");
    await once(cluster.server, "listening");
    cluster.folder = mkdtempSync(join(tmpdir(), "cluster-"));
    cluster.file = join(cluster.folder, "config");
    const server = `http://127.0.0.1:${cluster.server.address().port}`;
    const config = {
      ...{ apiVersion: "v1", kind: "Config", "current-context": "test" },
      clusters: [{ name: "test", cluster: { server } }],
      users: [{ name: "test", user: {} }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    };
    writeFileSync(cluster.file, JSON.stringify(config));
    return cluster;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
