import { Stream } from "./stream.js";

/** How many updates, and characters of them, are kept for subscriptions that come back. */
const KEPT = { updates: 500, characters: 1 << 20 };
/** The topics of a tab stay this long after it, because a reload brings them back. */
const LINGER = 5000;
/** Several subscriptions that begin together make one request. */
const GATHER = 20;
/** A tab that does not answer in this time is not asked for the token any more. */
const PATIENCE = 5000;

/**
 * Holds the one stream of a browser, in a SharedWorker or in the tab that leads. It speaks with the tabs by a
 * BroadcastChannel whose name is also the configuration, as JSON.
 */
export class Holder {
  #channel;
  #config;
  #clients = new Map();
  #tabs = new Map();
  #stream;
  #union = new Map();
  #state = "waiting";
  #timer;
  #asking;
  #answer;
  // The updates of the stream are numbered. `#ring` has the last ones by id, `#floor` is the number before them, and
  // `#since` says after which number the stream has all updates of a matcher.
  #sequence = 0;
  #floor = 0;
  #ring = new Map();
  #characters = 0;
  #since = new Map();

  constructor(name) {
    this.#config = JSON.parse(name);
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => {
      if (data.do === "join") this.#join(data);
      else if (data.do === "leave") this.#leave(data.id);
      else if (data.do === "greet") this.#say("state", { state: this.#state });
      else if (data.do === "token") this.#answer?.(data);
    };
    this.#say("hello");
  }

  close() {
    this.#channel.close();
    this.#stop();
    clearTimeout(this.#timer);
    for (const { timer } of this.#clients.values()) clearTimeout(timer);
    for (const watch of this.#tabs.values()) watch.abort();
  }

  #say(say, what) {
    this.#channel.postMessage({ say, ...what });
  }

  #join({ id, tab, matchers, cursor, caughtUp }) {
    const { timer, mark } = this.#clients.get(id) ?? {};
    clearTimeout(timer);
    this.#clients.set(id, { tab, matchers, cursor, caughtUp, mark, joined: false });
    this.#watch(tab);
    this.#plan();
    this.#admit(id);
  }

  #leave(id) {
    const client = this.#clients.get(id);
    if (!client || client.timer) return;
    client.joined = false;
    client.timer = setTimeout(() => {
      this.#clients.delete(id);
      this.#plan();
    }, LINGER);
  }

  /** A tab holds a lock while it lives. */
  #watch(tab) {
    if (!navigator.locks || this.#tabs.has(tab)) return;
    const watch = new AbortController();
    this.#tabs.set(tab, watch);
    const dead = () => {
      this.#tabs.delete(tab);
      for (const [id, client] of this.#clients) if (client.tab === tab) this.#leave(id);
    };
    navigator.locks.request(tab, { signal: watch.signal }, dead).catch(() => {});
  }

  #plan() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#apply();
    }, GATHER);
  }

  #apply() {
    const clients = [...this.#clients.values()];
    const union = new Map(clients.flatMap(({ matchers }) => matchers.map((each) => [String(each), each])));
    const same = union.size === this.#union.size && [...union.keys()].every((key) => this.#union.has(key));
    this.#union = union;
    if (same) return;
    if (union.size === 0) return this.#stop();
    if (!this.#stream) {
      this.#stream = new Stream(this.#config, this.#handlers());
      this.#stream.cursor = clients.find(({ cursor }) => cursor)?.cursor;
      this.#anchor(this.#stream.cursor);
    }
    for (const key of this.#since.keys()) if (!union.has(key)) this.#since.delete(key);
    this.#stream.listen([...union.values()]);
  }

  #stop() {
    this.#stream?.close();
    this.#stream = undefined;
    this.#state = "waiting";
    clearTimeout(this.#asking);
    this.#since.clear();
    this.#anchor();
  }

  #handlers() {
    return {
      token: this.#config.token ? (refused) => this.#token(refused) : undefined,
      update: (update) => this.#receive(update),
      state: (state) => {
        this.#say("state", { state: (this.#state = state) });
        if (state === "open") this.#opened();
      },
      error: (error) => this.#say("error", { error }),
      loss: (loss) => {
        this.#anchor(loss.answered);
        for (const key of this.#since.keys()) this.#since.set(key, this.#sequence);
        this.#say("loss", { loss });
      },
    };
  }

  /** Forgets what was before the cursor, where the stream begins. */
  #anchor(cursor) {
    this.#ring.clear();
    this.#characters = 0;
    this.#floor = ++this.#sequence;
    if (cursor) this.#ring.set(cursor, { number: this.#sequence });
  }

  /** The stream has the whole union of the matchers now, after the last update. */
  #opened() {
    for (const key of this.#union.keys()) if (!this.#since.has(key)) this.#since.set(key, this.#sequence);
    for (const id of this.#clients.keys()) this.#admit(id);
  }

  #receive(update) {
    if (this.#ring.has(update.id)) return;
    this.#ring.set(update.id || Symbol(), { number: ++this.#sequence, update });
    this.#characters += update.data.length;
    for (const [id, { number, update: old }] of this.#ring) {
      if (this.#ring.size <= KEPT.updates && (this.#characters <= KEPT.characters || this.#ring.size === 1)) break;
      this.#ring.delete(id);
      this.#characters -= old?.data.length ?? 0;
      this.#floor = number;
    }
    this.#say("update", { update });
    for (const [id, { joined, cursor }] of this.#clients) if (!joined && cursor === update.id) this.#admit(id);
  }

  /** Lets a subscription have the updates of the stream, if the stream has everything after its cursor. */
  #admit(id) {
    const client = this.#clients.get(id);
    if (client.joined || client.timer) return;
    const since = Math.max(...client.matchers.map((each) => this.#since.get(String(each)) ?? Infinity));
    if (since === Infinity) return;
    let from = client.cursor ? this.#ring.get(client.cursor)?.number : this.#sequence;
    if (client.caughtUp) from ??= client.mark;
    if (!(from >= since && from >= this.#floor)) {
      client.mark ??= this.#sequence;
      this.#say("behind", { to: id });
      return;
    }
    client.joined = true;
    const missed = [...this.#ring.values()].filter(({ number, update }) => update && number > from);
    const updates = missed.map(({ update }) => update);
    this.#say("joined", { to: id, updates, cursor: this.#stream.cursor, state: this.#state });
  }

  /** Asks one tab after the other for a token. */
  #token(refused) {
    clearTimeout(this.#asking);
    return new Promise((resolve, reject) => {
      let turn = 0;
      const ask = () => {
        const tabs = [...new Set(Array.from(this.#clients.values(), ({ tab }) => tab))];
        this.#say("ask", { to: tabs[turn++ % tabs.length], refused });
        this.#asking = setTimeout(ask, PATIENCE);
      };
      this.#answer = ({ token, error }) => {
        clearTimeout(this.#asking);
        if (error) reject(new Error(error));
        else resolve(token);
      };
      ask();
    });
  }
}
