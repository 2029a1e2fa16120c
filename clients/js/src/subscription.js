import { Stream } from "./stream.js";

/** How many ids of delivered updates a subscription remembers. */
const REMEMBERED = 1000;
/** A heartbeat this long after the beginning says that everything from before it was sent. */
const SETTLED = 5000;

/** Begins as soon as the lock is free, and holds it until the signal; at once where there are no locks. */
export function hold(lock, signal, begin) {
  const held = () =>
    new Promise((release) => {
      signal.addEventListener("abort", release);
      if (signal.aborted) release();
      else begin();
    });
  if (globalThis.navigator?.locks) navigator.locks.request(lock, { signal }, held).catch(() => {});
  else begin();
}

/** One call of `subscribe`: what it listens to, and how far it came. */
export class Subscription {
  joined = false;
  /** Whether it was joined at some time. */
  began = false;
  cursor;
  #seen = new Set();
  #hub;
  #onUpdate;
  #when;
  #own;
  #locked;
  #timer;

  constructor(hub, id, matchers, onUpdate, { when, cursor }) {
    Object.assign(this, { id, matchers, cursor, key: matchers.join("\n") });
    this.#hub = hub;
    this.#onUpdate = onUpdate;
    this.#when = when;
    if (cursor) this.#seen.add(cursor);
  }

  deliver(update) {
    const { id } = update;
    if (id) {
      if (this.#seen.has(id)) return;
      this.#seen.add(id);
      if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value);
      this.cursor = id;
    }
    try {
      if (!this.#when || this.#when(update)) this.#onUpdate(update);
    } catch (error) {
      reportError(error);
    }
  }

  /** The shared stream has everything after the cursor: these updates, and what follows. */
  join(updates, cursor) {
    this.leave();
    const unsure = this.began && !this.cursor;
    updates.forEach((update) => this.deliver(update));
    this.cursor ??= cursor;
    this.joined = this.began = true;
    return unsure;
  }

  leave() {
    this.joined = false;
    this.#own?.close();
    this.#own = undefined;
    this.#locked?.abort();
    this.#locked = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Has a stream for itself until the shared one has come to the same place; one tab at a time. */
  catchUp(lock) {
    if (this.#own) return;
    const own = this.#listenAlone((age) => age > SETTLED && this.#hub.join(this, true), () => this.#comeBack());
    const begin = () => {
      own.cursor = this.cursor;
      own.listen(this.matchers);
    };
    this.#locked = new AbortController();
    hold(lock, this.#locked.signal, begin);
  }

  /** Has a stream for itself. */
  alone() {
    const own = this.#listenAlone();
    own.cursor = this.cursor;
    own.listen(this.matchers);
  }

  #listenAlone(comment, then) {
    const { config, token, save, tell } = this.#hub;
    return (this.#own = new Stream(config, {
      token,
      comment,
      update: (update) => {
        this.deliver(update);
        save();
        then?.();
      },
      state: then ? undefined : (state) => tell("state", state),
      loss: (loss) => tell("loss", loss),
      error: (error) => tell("error", error),
    }));
  }

  #comeBack() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#hub.join(this);
    }, 20);
  }
}
