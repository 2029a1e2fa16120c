// The hub under test, which runs as a separate process, and what a backend does with it.

import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const program = process.env.TALARIA_BIN;
const HUB_PATH = "/.well-known/mercure";
export const keys = {
  publisher: "the key of the publishers, of 32 bytes or more",
  subscriber: "the key of the subscribers, of 32 bytes or more",
};

/** Waits for `promise` at most `seconds`, and fails with the name of `what` after that. */
export async function within(what, promise, seconds = 30) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${seconds} s in vain for: ${what}`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns a port on which no process listens, so that a hub can come back on it. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

export class Hub {
  /** As `start`, over HTTPS with a certificate of the local authority. */
  static async startEncrypted(t, port, directives) {
    const hub = await Hub.start(t, port, directives, `https://localhost:${port}`);
    return Object.assign(hub, { url: `https://localhost:${port}${HUB_PATH}` });
  }

  /**
   * Starts the hub on `port` of the loopback interface for the test `t`, and waits until it listens. `variables` take
   * precedence over those that are usual here.
   */
  static async start(
    t,
    port,
    directives,
    serverName = `http://127.0.0.1:${port}`,
    { variables = {}, folder = temporary() } = {},
  ) {
    const child = spawn(program, ["run"], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        NO_COLOR: "1",
        RUST_LOG: "info",
        TALARIA_LOG_FORMAT: "console",
        SERVER_NAME: serverName,
        GLOBAL_OPTIONS: "skip_install_trust\nauto_https disable_redirects",
        MERCURE_PUBLISHER_JWT_KEY: keys.publisher,
        MERCURE_SUBSCRIBER_JWT_KEY: keys.subscriber,
        MERCURE_EXTRA_DIRECTIVES: directives,
        ...variables,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    t.after(() => {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    });
    const said = [];
    const listening = new Promise((resolve, reject) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        said.push(line);
        if (line.includes("listening")) resolve();
      });
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`the hub exited with ${code}:\n${said.join("\n")}`)));
    });
    const exited = once(child, "exit");
    await within("the hub to listen", listening);
    return new Hub(port, child, exited, folder);
  }

  constructor(port, child, exited, folder) {
    Object.assign(this, { port, child, exited, folder });
    this.url = `http://127.0.0.1:${port}${HUB_PATH}`;
    this.token = sign({ aud: this.url, actions: ["publish"], match: "*" }, keys.publisher);
  }

  /** The subscription URL for one exact topic. */
  topic(topic) {
    return `${this.url}?${new URLSearchParams({ match: topic })}`;
  }

  /** A token of Mercure 0.x with this claim. */
  olderToken(claim, role = "subscriber") {
    return jws({ alg: "HS256", typ: "JWT" }, { mercure: claim }, keys[role]);
  }

  /** Publishes a private update and returns its id. */
  publishPrivately(topic, data) {
    return this.publish(topic, data, { private: "on" });
  }

  /** Publishes a public update and returns its id. */
  async publish(topic, data, more = {}) {
    const answer = await fetch(this.url, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}` },
      body: new URLSearchParams({ topic, data, ...more }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`publish: ${answer.status} ${text}`);
    return text;
  }

  /** Starts the hub again after it ended, with the history that it left. */
  again(t, directives) {
    return Hub.start(t, this.port, directives, undefined, { folder: this.folder });
  }

  /** Stops the hub as an orchestrator would, and returns its exit code. */
  async stop() {
    this.child.kill("SIGTERM");
    const [code] = await within("the hub to exit", this.exited);
    return code;
  }
}

const temporary = () => mkdtempSync(join(tmpdir(), "talaria-browser-"));

export function sign({ aud, actions, match, seconds = 3600 }, key) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: "https://localhost",
    aud,
    sub: "browser tests",
    client_id: "browser tests",
    iat: now,
    exp: now + seconds,
    jti: `urn:uuid:${randomUUID()}`,
    authorization_details: [
      { type: "https://mercure.rocks/authorization-detail", actions, topics: [{ match }] },
    ],
  };
  return jws({ alg: "HS256", typ: "at+jwt" }, claims, key);
}

/** Signs a token with this header and these claims. */
export function jws(header, claims, key) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}
