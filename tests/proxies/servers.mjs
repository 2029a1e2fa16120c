// The hub, and each proxy of docs/proxies.md in front of it. What is added to the files of the page belongs to the
// tests: ports of the loopback interface, folders that are removed afterwards, and compression of everything, which
// must not hold back events.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { freePort, keys, program } from "../browser/hub.mjs";
import { documented } from "./page.mjs";
import { Program } from "./program.mjs";

const isRoot = process.getuid() === 0;

/** The hub of the page, with `options` in its block. */
export class Hub {
  constructor(folder, port, options) {
    Object.assign(this, { folder: join(folder, "hub"), port, options });
    mkdirSync(this.folder);
    this.file = join(this.folder, "Caddyfile");
  }

  #write(more) {
    const site = documented("Behind a proxy", { ":3000": `:${this.port}`, "hub.example.com": "localhost" });
    const options = { ...this.options, ...more };
    const lines = Object.entries(options).map(([name, value]) => `        ${name} ${value}\n`);
    const text = site.replace("    mercure {\n", (begin) => begin + lines.join(""));
    writeFileSync(this.file, `{\n    admin off\n    persist_config off\n}\n${text}`);
  }

  async start() {
    this.#write({});
    this.program = new Program(program, ["run", "--config", this.file], this.folder, {
      MERCURE_PUBLISHER_JWT_KEY: keys.publisher,
      MERCURE_SUBSCRIBER_JWT_KEY: keys.subscriber,
    });
    await this.program.line(/listening/);
  }

  /** Puts other options in force while streams go on. */
  async reload(options) {
    this.#write(options);
    this.program.child.kill("SIGUSR1");
    await this.program.line(/reloaded because of SIGUSR1/);
  }

  stop() {
    return this.program.stop();
  }
}

/** Makes an authority and a certificate of it for `localhost`; returns the paths. */
function certify(folder) {
  const [root, certificate, key, both] = ["root.pem", "certificate.pem", "key.pem", "both.pem"].map((name) =>
    join(folder, name),
  );
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const openssl = (...options) => execFileSync("openssl", options, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  openssl("req", "-x509", ...ec, "-keyout", "root.key", "-out", root, "-subj", "/CN=authority of a test");
  openssl(
    ...["req", "-x509", ...ec, "-keyout", key, "-out", certificate, "-subj", "/CN=localhost"],
    ...["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-CA", root, "-CAkey", "root.key"],
  );
  writeFileSync(both, readFileSync(certificate, "utf8") + readFileSync(key, "utf8"), { mode: 0o600 });
  return { root, certificate, key, both };
}

const HUB = "127.0.0.1:3000";

function nginx({ folder, port, hub }) {
  const { root, certificate, key } = certify(folder);
  const file = join(folder, "nginx.conf");
  const site = documented("nginx", {
    [HUB]: hub,
    "listen 443": `listen 127.0.0.1:${port}`,
    "/etc/ssl/hub.example.com/fullchain.pem": certificate,
    "/etc/ssl/hub.example.com/key.pem": key,
    "hub.example.com": "localhost",
  });
  const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
  writeFileSync(
    file,
    `${isRoot ? "user root;" : ""}
daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
    access_log off;
    gzip on;
    gzip_types *;
    gzip_proxied any;
    gzip_min_length 1;
    ${folders.join("\n    ")}
${site}}
`,
  );
  return { program: new Program("nginx", ["-e", "stderr", "-c", file], folder), root };
}

function haproxy({ folder, port, hub }) {
  const { root, both } = certify(folder);
  const file = join(folder, "haproxy.cfg");
  const site = documented("HAProxy", {
    [HUB]: hub,
    "bind :443": `bind 127.0.0.1:${port}`,
    "/etc/haproxy/hub.example.com.pem": both,
  });
  const defaults = `defaults
    timeout connect 5000
    timeout client 50000
    timeout server 50000
    compression algo gzip
`;
  writeFileSync(file, `global\n    maxconn 1000\n${defaults}\n${site}`);
  return { program: new Program("haproxy", ["-db", "-f", file], folder), root };
}

function apache({ folder, port, hub }) {
  const { root, certificate, key } = certify(folder);
  const file = join(folder, "apache.conf");
  const site = documented("Apache", {
    [HUB]: hub,
    "*:443": `127.0.0.1:${port}`,
    "/etc/ssl/hub.example.com/fullchain.pem": certificate,
    "/etc/ssl/hub.example.com/key.pem": key,
    "hub.example.com": "localhost",
  });
  // What Debian enables from the start, and what the page says.
  const modules = ["mpm_event", "authz_core", "env", "filter", "deflate", "reqtimeout", "setenvif", "socache_shmcb"];
  const enabled = ["ssl", "http2", "headers", "proxy", "proxy_http"];
  const load = (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`;
  writeFileSync(
    file,
    `ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog "|$/bin/cat >&2"
ServerName localhost
${[...modules, ...enabled].map(load).join("\n")}
${isRoot ? "User www-data\nGroup www-data" : ""}
Listen 127.0.0.1:${port}
SetOutputFilter DEFLATE
${site}`,
  );
  return { program: new Program("apache2", ["-D", "FOREGROUND", "-f", file], folder), root };
}

const AUTHORITY = "caddy/pki/authorities/local/root.crt";
/** Of servers that certify themselves: nothing of the machine is changed. */
const GLOBAL = `{
    admin off
    skip_install_trust
    auto_https disable_redirects
    default_bind 127.0.0.1
}
`;

function caddy({ folder, port, hub }) {
  const file = join(folder, "Caddyfile");
  const site = documented("Caddy", { [HUB]: hub, "hub.example.com": `https://localhost:${port}` });
  writeFileSync(file, GLOBAL + site);
  const env = { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const options = ["run", "--config", file, "--adapter", "caddyfile"];
  return { program: new Program("caddy", options, folder, env), root: join(folder, AUTHORITY) };
}

function talaria({ folder, port, hub }) {
  const file = join(folder, "Caddyfile");
  const site = documented("This program", {
    [HUB]: hub,
    "hub.example.com": `https://localhost:${port}`,
    "www.example.com": `https://www.localhost:${port}`,
  });
  writeFileSync(file, GLOBAL + site);
  const env = {
    XDG_DATA_HOME: folder,
    MERCURE_PUBLISHER_JWT_KEY: keys.publisher,
    MERCURE_SUBSCRIBER_JWT_KEY: keys.subscriber,
  };
  return { program: new Program(program, ["run", "--config", file], folder, env), root: join(folder, AUTHORITY) };
}

/** Each proxy of the page, by its heading. */
export const proxies = { nginx, HAProxy: haproxy, Caddy: caddy, Apache: apache, "This program": talaria };

/** Starts a proxy in front of `hub`; `ask` is told of its port and certificates until it gets an answer. */
export async function startProxy(start, folder, hub, ask) {
  const inside = join(folder, "proxy");
  mkdirSync(inside, { mode: 0o755 });
  const port = await freePort();
  const { program, root } = start({ folder: inside, port, hub: `127.0.0.1:${hub.port}` });
  const proxy = { program, port, certificates: () => (existsSync(root) ? readFileSync(root) : undefined) };
  try {
    await ask(proxy);
  } catch (error) {
    await program.stop();
    throw error;
  }
  return proxy;
}
