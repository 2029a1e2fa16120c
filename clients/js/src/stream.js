import { parser } from "./parser.js";

const LONGEST_WAIT = 30_000;
const LEAST_RETRY = 100;
/** Longer timers end at once. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** A stream that lasted this long did not fail at the start. */
const STABLE = 10_000;
/** Where there is no cursor, the earlier stream goes on this long beside its successor. */
const OVERLAP = 1000;

/** The milliseconds until a JWT expires, if it says when. */
function life(token) {
  try {
    const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(claims)).exp * 1000 - Date.now();
  } catch {
    return NaN;
  }
}

/** What `Retry-After` says, in milliseconds. */
function retryAfter(text) {
  if (!text) return 0;
  return Math.max(0, /^\d+$/.test(text) ? text * 1000 : Date.parse(text) - Date.now() || 0);
}

// Header fields are bytes; ids are UTF-8.
const toField = (id) => String.fromCharCode(...new TextEncoder().encode(id));
const fromField = (text) => text && new TextDecoder().decode(Uint8Array.from(text, (each) => each.charCodeAt(0)));

/** One subscription at the hub that comes back after the last update until it is closed. */
export class Stream {
  /** The id after which the stream goes on. */
  cursor;
  #config;
  #on;
  #matchers;
  #live;
  #next;
  #runs = new Set();
  #timer;
  #refresh;
  #failures = 0;
  #retry = 1000;
  #opened = false;
  #online = () => this.#matchers && !this.#next && !this.#live && this.#connect();

  /**
   * @param config `url`, `generation`, `credentials`, `silence`
   * @param on `update`, `loss`, `error`, and optionally `token`, `state`, `comment`
   */
  constructor(config, on) {
    this.#config = config;
    this.#on = on;
    globalThis.addEventListener?.("online", this.#online);
  }

  /** Listens to these matchers, `[parameter, value]` each, from the cursor on. */
  listen(matchers) {
    this.#matchers = matchers;
    this.#failures = 0;
    this.#connect();
  }

  close() {
    this.#on = undefined;
    globalThis.removeEventListener?.("online", this.#online);
    clearTimeout(this.#timer);
    clearTimeout(this.#refresh);
    this.#runs.forEach((run) => this.#drop(run));
  }

  #drop(run) {
    run.gone = true;
    clearTimeout(run.late);
    run.abort();
    this.#runs.delete(run);
    if (this.#live === run) this.#live = undefined;
    if (this.#next === run) this.#next = undefined;
  }

  async #connect(refused = false) {
    clearTimeout(this.#timer);
    clearTimeout(this.#refresh);
    if (this.#next) this.#drop(this.#next);
    const run = (this.#next = new AbortController());
    this.#runs.add(run);
    let after = 0;
    try {
      const token = await this.#on.token?.(refused);
      if (run.gone) return;
      // After a cursor the hub repeats what is missing, so the streams need not overlap.
      if (this.cursor && this.#live) {
        this.#drop(this.#live);
        this.#on.state?.("waiting");
      }
      const answer = await this.#ask(run, token, this.cursor);
      if (run.gone) return;
      if (answer.status === 401 && token && !refused) return this.#connect(true);
      if (!answer.ok || !answer.headers.get("content-type")?.startsWith("text/event-stream")) {
        after = retryAfter(answer.headers.get("retry-after"));
        const text = (await answer.text()).slice(0, 500).trim();
        throw Object.assign(new Error(`${answer.status} ${text}`), { status: answer.status });
      }
      this.#open(run, answer, token);
      await this.#read(run, answer.body);
    } catch (error) {
      if (!run.gone) this.#on.error({ status: error?.status, message: String(error?.message ?? error) });
    }
    clearTimeout(run.late);
    if (!run.gone) this.#again(run, after);
  }

  #ask(run, token, cursor) {
    const { url, generation, credentials } = this.#config;
    const target = new URL(url);
    for (const [name, value] of this.#matchers) target.searchParams.append(name, value);
    const headers = { accept: "text/event-stream" };
    if (token) headers.authorization = `Bearer ${token}`;
    run.cursor = cursor;
    if (cursor && this.#opened) headers["last-event-id"] = toField(cursor);
    else if (cursor) target.searchParams.set(generation === "0.x" ? "lastEventID" : "last_event_id", cursor);
    this.#hear(run);
    return fetch(target, { headers, credentials, cache: "no-store", signal: run.signal });
  }

  /** Heartbeats break each silence, so a longer one is a dead connection. */
  #hear(run) {
    const { silence } = this.#config;
    clearTimeout(run.late);
    if (silence) run.late = setTimeout(() => run.abort(new Error(`silence of ${silence} ms`)), silence);
  }

  #open(run, { headers }, token) {
    run.since = Date.now();
    const earlier = this.#live;
    this.#live = run;
    this.#next = undefined;
    if (earlier) setTimeout(() => this.#drop(earlier), OVERLAP);
    const answered = fromField(headers.get("mercure-last-event-id") ?? headers.get("last-event-id"));
    if (run.cursor && answered && answered !== run.cursor) {
      this.cursor = answered;
      this.#on.loss({ requested: run.cursor, answered });
    } else if (!run.cursor && this.#opened && !earlier) {
      this.#on.loss({ requested: "", answered: "" });
    }
    this.#opened = true;
    const left = life(token);
    const lead = Math.min(60_000, left / 5);
    if (left > 2000) this.#refresh = setTimeout(() => this.#connect(), Math.min(left - lead, LONGEST_TIMER));
    this.#on.state?.("open");
  }

  async #read(run, body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const feed = parser({
      event: ({ id, type, data }) => {
        if (run.gone) return;
        if (id) this.cursor = id;
        if (data !== undefined) this.#on.update({ id, type, data });
      },
      comment: () => run.gone || this.#on.comment?.(Date.now() - run.since),
      retry: (ms) => (this.#retry = Math.max(ms, LEAST_RETRY)),
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done || run.gone) return;
      this.#hear(run);
      feed(decoder.decode(value, { stream: true }));
    }
  }

  #again(run, after) {
    const needed = run === this.#live || run === this.#next;
    this.#drop(run);
    if (!needed || this.#next) return;
    if (Date.now() - run.since > STABLE) this.#failures = 0;
    const base = Math.min(this.#retry * 2 ** this.#failures++, Math.max(LONGEST_WAIT, this.#retry));
    const wait = (after || base / 2) + (Math.random() * Math.max(base, after)) / 2;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), Math.min(wait, LONGEST_TIMER));
    if (!this.#live) this.#on.state?.("waiting");
  }
}
