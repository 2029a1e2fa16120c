// Clients of the proxies, from any address of the loopback network, over HTTP/1.1 and HTTP/2.

import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import tls from "node:tls";

import { keys, sign, within } from "../browser/hub.mjs";

const HUB_PATH = "/.well-known/mercure";
/** The hub's name in tokens: the `resource_identifier` of the page, with the host of the tests. */
export const AUDIENCE = `https://localhost${HUB_PATH}`;

/** A token of the publishers or of the subscribers, for every topic. */
export function token(role) {
  const action = role === "publisher" ? "publish" : "subscribe";
  return sign({ aud: AUDIENCE, actions: [action], match: "*" }, keys[role]);
}

/** Sends a request of HTTP/1.1 on a separate connection. */
async function overHttp1({ port, ca }, { method, path, headers, body, from }) {
  const common = { host: "127.0.0.1", port, localAddress: from, method, path, headers, agent: false };
  const { request } = ca ? https : http;
  const sent = request(ca ? { ...common, ca, servername: "localhost" } : common);
  sent.end(body);
  const [answer] = await once(sent, "response");
  const isWhole = () => answer.complete && !answer.errored;
  return { status: answer.statusCode, headers: answer.headers, body: answer, isWhole, close: () => sent.destroy() };
}

/** Sends a request of HTTP/2 on a separate connection. */
async function overHttp2({ port, ca }, { method, path, headers, body, from }) {
  const socket = tls.connect({
    ...{ host: "127.0.0.1", port, localAddress: from, ca },
    ...{ servername: "localhost", ALPNProtocols: ["h2"] },
  });
  const session = http2.connect(`https://localhost:${port}`, { createConnection: () => socket });
  const failed = once(session, "error").then(([error]) => {
    throw error;
  });
  failed.catch(() => {});
  const { host, ...fields } = headers;
  const sent = session.request({ ":method": method, ":path": path, ":authority": host, ...fields });
  sent.on("close", () => session.close());
  sent.end(body);
  const [{ ":status": status, ...answered }] = await Promise.race([once(sent, "response"), failed]);
  const isWhole = () => sent.rstCode === 0 && !sent.aborted;
  return { status, headers: answered, body: sent, isWhole, close: () => session.destroy() };
}

/** A server, and who asks it: the address `from` and the version of HTTP. */
export class Client {
  constructor({ port, ca, protocol = "HTTP/1.1", from = "127.0.0.1" }) {
    Object.assign(this, { server: { port, ca }, protocol, from });
    this.host = `localhost:${port}`;
  }

  /** Sends a request; resolves when the head of the answer is there. */
  open({ method = "GET", path = HUB_PATH, headers = {}, body }) {
    const send = this.protocol === "HTTP/2" ? overHttp2 : overHttp1;
    const request = { method, path, headers: { host: this.host, ...headers }, body, from: this.from };
    return within(`an answer to ${method} ${path} over ${this.protocol}`, send(this.server, request));
  }

  /** Sends a request and reads the whole answer. */
  async ask(request) {
    const { status, headers, body } = await this.open(request);
    let text = "";
    body.setEncoding("utf8");
    const read = async () => {
      for await (const chunk of body) text += chunk;
    };
    await within("the whole answer", read());
    return { status, headers, text };
  }

  /** Publishes an update, with further `fields` and `headers`, and returns the answer. */
  publish(topic, data, fields = {}, headers = {}) {
    return this.ask({
      method: "POST",
      headers: {
        authorization: `Bearer ${token("publisher")}`,
        "content-type": "application/x-www-form-urlencoded",
        ...headers,
      },
      body: `${new URLSearchParams({ topic, data, ...fields })}`,
    });
  }

  /** Subscribes to one topic, with further `headers` and `parameters`. */
  async subscribe(topic, headers = {}, parameters = {}) {
    const answer = await this.open({
      path: `${HUB_PATH}?${new URLSearchParams({ ...parameters, match: topic })}`,
      headers: { authorization: `Bearer ${token("subscriber")}`, accept: "text/event-stream", ...headers },
    });
    return new Stream(answer);
  }
}

/** An event stream, as it comes. */
export class Stream {
  #rest = "";
  #waiting = new Set();

  constructor({ status, headers, body, isWhole, close }) {
    Object.assign(this, { status, headers, close, events: [], comments: 0, text: "" });
    body.setEncoding("utf8");
    body.on("data", (chunk) => this.#take(chunk));
    /** How it ended: "complete", or what went wrong. */
    this.ended = new Promise((resolve) => {
      let error;
      body.once("error", (fault) => (error = fault));
      body.once("close", () => resolve(isWhole() ? "complete" : `broken off: ${error}`));
    });
    this.ended.then((how) => {
      this.how = how;
      this.#look();
    });
  }

  #take(chunk) {
    const now = performance.now();
    const parts = (this.#rest + chunk).split("\n");
    this.#rest = parts.pop();
    for (const line of parts) {
      const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
      if (name === "") this.comments += 1;
      if (name === "id") this.id = value;
      if (name === "retry") this.retry = value;
      if (name === "data") this.data = value;
      if (line === "" && this.data !== undefined) {
        this.events.push({ id: this.id, data: this.data, at: now });
        this.data = undefined;
      }
    }
    this.#look();
  }

  #look() {
    for (const look of this.#waiting) look();
  }

  /** Waits until `condition` of this stream holds, and returns what it returned; fails if the stream ends before. */
  async until(what, condition, seconds) {
    let look;
    const met = new Promise((resolve, reject) => {
      look = () => {
        const found = condition(this);
        if (found) resolve(found);
        else if (this.how) reject(new Error(`the stream ended before ${what}: ${this.how}`));
      };
      this.#waiting.add(look);
      look();
    });
    try {
      return await within(what, met, seconds);
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** Waits for the update with this data. */
  update(data) {
    const shown = data.length > 40 ? `${data.length} bytes` : data;
    return this.until(`the update ${shown}`, () => this.events.find((event) => event.data === data));
  }
}
