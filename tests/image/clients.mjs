// Publishers and subscribers in a container.

import { createHmac, randomUUID } from "node:crypto";

import { within } from "./container.mjs";

/** The key that every recipe has. */
export const KEY = "!ChangeThisMercureHubJWTSecretKey!";
const TOPIC = "https://example.com/books/1";

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function signed(header, claims, key) {
  const text = `${encoded({ alg: "HS256", ...header })}.${encoded(claims)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

/** Tokens for every topic, as a publisher and subscriber of each generation has them (B-671, B-1002). */
export const generations = {
  "0.x": {
    token: (_, { publisher = KEY }) => signed({ typ: "JWT" }, { mercure: { publish: ["*"], subscribe: ["*"] } }, publisher),
    query: `topic=${encodeURIComponent(TOPIC)}`,
  },
  "1.0": {
    token(url, { publisher = KEY, issuer = "https://localhost" }) {
      const detail = (action) => ({
        type: "https://mercure.rocks/authorization-detail",
        actions: [action],
        topics: [{ match: "*" }],
      });
      const claims = {
        ...{ iss: issuer, aud: url, sub: "app", client_id: "app", jti: `urn:uuid:${randomUUID()}`, exp: 4102444800 },
        authorization_details: [detail("publish"), detail("subscribe")],
      };
      return signed({ typ: "at+jwt" }, claims, publisher);
    },
    query: `match=${encodeURIComponent(TOPIC)}`,
  },
};

/** A subscriber listens, a publisher publishes, and the subscriber receives: all with `curl` in the container. */
export async function exchangeByCurl(container, url, generation, keys = {}) {
  const { token, query } = generations[generation];
  const field = (key) => `Authorization: Bearer ${token(url, { ...keys, publisher: key })}`;
  const subscriber = await container.spawn(["curl", "-fsSN", "-H", field(keys.subscriber ?? KEY), `${url}?${query}`]);
  const text = `update ${randomUUID()}`;
  await listening(subscriber, /^:/m);
  const published = await container.run([
    ...["curl", "-fsS", "-H", field(keys.publisher ?? KEY), "-d", `topic=${TOPIC}`],
    ...["--data-urlencode", `data=${text}`, "-d", "private=on"],
    // Where the application is another container, it knows the hub by its name there.
    ...(keys.inside ? ["--resolve", `${keys.inside}:80:127.0.0.1`, `http://${keys.inside}/.well-known/mercure`] : [url]),
  ]);
  if (published.status !== 0 || !published.output.startsWith("urn:uuid:")) throw new Error(published.output);
  await listening(subscriber, new RegExp(`^data: ${text}$`, "m"));
  subscriber.kill();
}

/** The same with the program's verbs, for an image that has nothing else. */
export async function exchangeByVerbs(container, url, generation) {
  const environment = { TALARIA_TOKEN: generations[generation].token(url, {}) };
  const text = `update ${randomUUID()}`;
  const topic = `${TOPIC}/${randomUUID()}`;
  const options = ["--match", topic, "--last-event-id", "earliest", "--count", "1"];
  const published = await container.run(["talaria", "publish", url, "--topic", topic, "--data", text, "--private"], environment);
  if (published.status !== 0) throw new Error(published.output);
  const received = await container.run(["talaria", "subscribe", url, ...options], environment);
  if (received.status !== 0 || !received.output.includes(text)) throw new Error(`${received.status}: ${received.output}`);
}

const heard = new WeakMap();

/** Waits until the output of a process fits. */
async function listening(child, pattern) {
  if (!heard.has(child)) {
    const state = { text: "" };
    heard.set(child, state);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        state.text += text;
        state.wake?.();
      });
    }
    child.once("close", () => {
      state.ended = true;
      state.wake?.();
    });
  }
  const state = heard.get(child);
  const wait = async () => {
    while (!pattern.test(state.text)) {
      if (state.ended) throw new Error(`the subscriber ended: ${state.text}`);
      await new Promise((resolve) => (state.wake = resolve));
    }
  };
  await within(`${pattern} in ${state.text}`, wait());
}
