// The clusters of deploy/compose/cluster and deploy/compose/postgres, without an engine: each service is a process with an
// address of the loopback network in place of its name, and the proxies of deploy/proxies stand in front of the nodes.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort, keys, program } from "../browser/hub.mjs";
import { service } from "../image/compose.mjs";
import { addresses, placed } from "./addresses.mjs";
import { Server } from "./postgres.mjs";
import { Program } from "./program.mjs";

const file = (path) => fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url));

/** A service of the compose file. */
export class Service {
  constructor(path, name, folder, all, variables) {
    Object.assign(this, { name, address: all[name], all, folder: join(folder, name) });
    mkdirSync(this.folder);
    this.written = service(path, name, variables);
  }

  start() {
    const { command, environment } = this.written;
    if (this.name.startsWith("hub")) {
      this.program = new Program(program, ["run"], this.folder, {
        ...environment,
        CADDY_SERVER_EXTRA_DIRECTIVES: "log",
        GLOBAL_OPTIONS: `default_bind ${this.address}\nadmin off\npersist_config off`,
        MERCURE_EXTRA_DIRECTIVES: placed(environment.MERCURE_EXTRA_DIRECTIVES, this.all),
      });
      return this.program.line(/listening/);
    }
    const [shell, option, script] = command;
    const bound = ["--bind", this.address, "--bind-source-addr", this.address].join(" ");
    const text = placed(script.replaceAll("$(hostname)", this.name), this.all)
      .replaceAll("/data", this.folder)
      .replace(/^exec redis-server \S+/m, (start) => `${start} ${bound}`);
    this.program = new Program(shell, [option, text], this.folder, environment);
    return this.program.line(/Ready to accept connections|Sentinel ID is/);
  }

  kill() {
    this.program.signal("SIGKILL");
    return this.program.exited;
  }
}

const NODES = ["hub1", "hub2", "hub3"];
const CLUSTERS = {
  cluster: ["redis1", "redis2", "redis3", "sentinel1", "sentinel2", "sentinel3", ...NODES],
  postgres: ["postgres1", "postgres2", ...NODES],
};

/** Starts all services of a compose file; `started` is told of each, so that it can be stopped. */
export async function startCluster(folder, url, started, kind = "cluster") {
  const all = addresses();
  const variables = {
    MERCURE_PUBLISHER_JWT_KEY: keys.publisher,
    MERCURE_SUBSCRIBER_JWT_KEY: keys.subscriber,
    REDIS_PASSWORD: "s3cret",
    POSTGRES_PASSWORD: "s3cret",
    HUB_URL: url,
  };
  const cluster = { all };
  const path = file(`compose/${kind}/compose.yaml`);
  for (const name of CLUSTERS[kind]) {
    const Kind = name.startsWith("postgres") ? Server : Service;
    cluster[name] = new Kind(path, name, folder, all, variables);
    started.push(cluster[name]);
    await cluster[name].start();
  }
  return cluster;
}

function haproxy(folder, port, all) {
  const text = placed(readFileSync(file("proxies/haproxy.cfg"), "utf8"), all).replace("bind :80", `bind 127.0.0.1:${port}`);
  const path = join(folder, "haproxy.cfg");
  writeFileSync(path, `global\n    maxconn 1000\n${text}`);
  return new Program("haproxy", ["-db", "-f", path], folder);
}

function nginx(folder, port, all) {
  const site = placed(readFileSync(file("proxies/nginx.conf"), "utf8"), all).replace("listen 80", `listen 127.0.0.1:${port}`);
  const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
  const path = join(folder, "nginx.conf");
  writeFileSync(
    path,
    `${process.getuid() === 0 ? "user root;" : ""}
daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
    access_log off;
    ${folders.join("\n    ")}
${site}}
`,
  );
  return new Program("nginx", ["-e", "stderr", "-c", path], folder);
}

/** Starts each proxy in front of the nodes. */
export async function startProxies(folder, all) {
  const proxies = {};
  for (const [name, start] of Object.entries({ haproxy, nginx })) {
    const inside = join(folder, name);
    mkdirSync(inside);
    const port = await freePort();
    proxies[name] = { program: start(inside, port, all), port };
  }
  return proxies;
}
