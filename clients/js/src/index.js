import { Holder } from "./holder.js";
import { hold, Subscription } from "./subscription.js";

/** Tabs share a stream with tabs of the same version only. */
const VERSION = 1;
/** Not every browser says that a worker's script cannot be loaded. */
const PATIENCE = 20_000;

/** Connects this tab to a hub. See index.d.ts for the options. */
export function connect(url, options) {
  return new Hub(url, options);
}

/** The query parameters of what `subscribe` was given. */
function parameters(topics, generation) {
  const all = [topics].flat().map((topic) => {
    if (typeof topic === "string") return [generation === "0.x" ? "topic" : "match", topic];
    const [[type, pattern] = []] = Object.entries(topic ?? {});
    if (typeof pattern !== "string" || generation === "0.x") throw new TypeError(`not a topic: ${JSON.stringify(topic)}`);
    return [`match_${type}`, pattern];
  });
  if (all.length === 0) throw new TypeError("no topic");
  return all;
}

class Hub {
  /** @type {((loss: { requested: string, answered: string }) => void) | undefined} */
  onloss;
  onerror;
  onstate;
  state = "waiting";
  #options;
  #config;
  #storage;
  #cursors;
  #subscriptions = new Set();
  #channel;
  #name;
  #tab;
  #awake;
  #joining = false;
  #holder;
  #worker;
  #watching = false;
  #late;
  #noWorker = !globalThis.SharedWorker;
  #count = 0;
  #closed = new AbortController();

  constructor(url, options = {}) {
    const { generation = "1.0", identity = "", credentials = "same-origin", silence = 90_000, token } = options;
    if (!["1.0", "0.x"].includes(generation)) throw new TypeError(`generation: "1.0" or "0.x", not ${generation}`);
    const { href } = new URL(url, globalThis.location?.href);
    this.#options = options;
    this.#config = { version: VERSION, url: href, generation, identity, credentials, silence, token: !!token };
    this.#storage = `talaria ${href} ${identity}`;
    try {
      this.#cursors = JSON.parse(sessionStorage.getItem(this.#storage));
    } catch {}
    this.#cursors ??= {};
    this.#wake();
    const { signal } = this.#closed;
    const follow = (target, name, then) => target?.addEventListener?.(name, then, { signal });
    follow(globalThis.document, "freeze", () => this.#sleep());
    follow(globalThis.document, "resume", () => this.#wake());
    follow(globalThis, "pagehide", () => this.#sleep());
    follow(globalThis, "pageshow", () => this.#wake());
  }

  subscribe(topics, onUpdate, { when, lastEventId } = {}) {
    if (this.#closed.signal.aborted) throw new Error("the hub is closed");
    const matchers = parameters(topics, this.#config.generation);
    const id = `${++this.#count} ${Math.random()}`;
    const subscription = new Subscription(this.#inside, id, matchers, onUpdate, {
      when,
      cursor: lastEventId === undefined ? this.#cursors[matchers.join("\n")] : lastEventId || undefined,
    });
    this.#subscriptions.add(subscription);
    if (!this.#shared) subscription.alone();
    else if (this.#joining) this.#join(subscription);
    return {
      close: () => {
        if (!this.#subscriptions.delete(subscription)) return;
        subscription.leave();
        delete this.#cursors[subscription.key];
        this.#save();
        this.#channel?.postMessage({ do: "leave", id });
      },
    };
  }

  close() {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#sleep();
    this.#subscriptions.clear();
    this.#worker?.port.close();
  }

  get #shared() {
    return this.#options.share !== false && !!globalThis.BroadcastChannel;
  }

  /** What a subscription needs of its hub. */
  get #inside() {
    const { token } = this.#options;
    return {
      config: this.#config,
      token: token && ((refused) => token({ refused })),
      join: (subscription, caughtUp) => this.#join(subscription, caughtUp),
      save: () => this.#save(),
      tell: (what, value) => this.#tell(what, value),
    };
  }

  #tell(what, value) {
    if (what === "state") {
      if (this.state === value) return;
      this.state = value;
    }
    this[`on${what}`]?.(value);
  }

  /** The place of each subscription survives a reload of the tab. */
  #save() {
    for (const { key, cursor } of this.#subscriptions) if (cursor) this.#cursors[key] = cursor;
    try {
      if (this.#closed.signal.aborted) sessionStorage.removeItem(this.#storage);
      else sessionStorage.setItem(this.#storage, JSON.stringify(this.#cursors));
    } catch {}
  }

  #wake() {
    if (!this.#shared || this.#channel || this.#closed.signal.aborted) return;
    const tab = (this.#tab = `talaria ${Math.random()} ${Date.now()}`);
    const alone = this.#noWorker && !globalThis.navigator?.locks;
    const name = JSON.stringify({ ...this.#config, by: alone ? tab : this.#noWorker ? "tabs" : "worker" });
    this.#name = name;
    if (!this.#noWorker && !this.#startWorker()) return this.#wake();
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    const { signal } = (this.#awake = new AbortController());
    hold(tab, signal, () => this.#joinAll());
    if (this.#noWorker) hold(name, signal, () => (this.#holder = new Holder(name)));
  }

  /** The worker holds a lock while it lives. If it dies, every tab starts it again, and the browser runs it once. */
  #hasHolder() {
    clearTimeout(this.#late);
    this.#late = undefined;
    const { locks } = navigator;
    if (this.#watching || this.#noWorker || !locks) return;
    this.#watching = true;
    const dead = () => {
      this.#watching = false;
      this.#startWorker();
    };
    locks.request(this.#name, { signal: this.#awake.signal }, dead).catch(() => {});
  }

  #startWorker() {
    const options = { type: "module", name: this.#name };
    try {
      const { worker } = this.#options;
      this.#worker = worker
        ? new SharedWorker(worker, options)
        : new SharedWorker(new URL("./worker.js", import.meta.url), options);
    } catch {
      this.#noWorker = true;
      return false;
    }
    this.#worker.onerror = () => this.#replaceWorker();
    this.#late ??= setTimeout(() => this.#replaceWorker(), PATIENCE);
    return true;
  }

  #replaceWorker() {
    if (this.#noWorker || !this.#channel) return;
    this.#noWorker = true;
    this.#tell("error", { message: "the worker does not run; a tab takes its place" });
    this.#sleep();
    this.#wake();
  }

  #sleep() {
    if (!this.#channel) return;
    this.#save();
    for (const subscription of this.#subscriptions) {
      subscription.leave();
      this.#channel.postMessage({ do: "leave", id: subscription.id });
    }
    this.#joining = this.#watching = false;
    this.#awake.abort();
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#holder?.close();
    this.#holder = undefined;
    this.#channel.close();
    this.#channel = undefined;
    this.#tell("state", "waiting");
  }

  #joinAll() {
    this.#joining = true;
    this.#channel.postMessage({ do: "greet" });
    for (const subscription of this.#subscriptions) this.#join(subscription);
  }

  #join({ id, matchers, cursor }, caughtUp) {
    this.#channel?.postMessage({ do: "join", id, tab: this.#tab, matchers, cursor, caughtUp });
  }

  #hear({ say, to, ...what }) {
    if (!say) return;
    this.#hasHolder();
    const all = [...this.#subscriptions];
    const one = all.find(({ id }) => id === to);
    if (say === "update") {
      const joined = all.filter((subscription) => subscription.joined);
      for (const subscription of joined) subscription.deliver(what.update);
      if (joined.length) this.#save();
    } else if (say === "joined" && one) {
      if (one.join(what.updates, what.cursor)) this.#tell("loss", { requested: "", answered: "" });
      this.#save();
      this.#tell("state", what.state);
    } else if (say === "behind") one?.catchUp(`${this.#name} behind`);
    else if (say === "hello") {
      for (const subscription of all) subscription.leave();
      if (this.#joining) this.#joinAll();
    } else if (say === "ask" && to === this.#tab) this.#answer(what.refused);
    else if (say === "state" && all.some(({ joined }) => joined)) this.#tell("state", what.state);
    else if (say === "error") this.#tell("error", what.error);
    else if (say === "loss" && all.some(({ joined }) => joined)) this.#tell("loss", what.loss);
  }

  async #answer(refused) {
    const channel = this.#channel;
    try {
      const token = await this.#options.token({ refused });
      channel.postMessage({ do: "token", token });
    } catch (error) {
      if (channel === this.#channel) channel?.postMessage({ do: "token", error: String(error?.message ?? error) });
    }
  }
}
