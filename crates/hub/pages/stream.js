// A subscription: a stream that comes back where it ended.

import { Unsendable, fieldText, fieldValue, sentence } from "./hub.js";
import { Parser } from "./sse.js";

/** Refusals that end by themselves. */
const FOR_NOW = new Set([429, 502, 503, 504]);
const FIRST_WAIT = 2_000;
const LONGEST_WAIT = 30_000;

export class Stream {
  #stopping = new AbortController();
  #wait = FIRST_WAIT;
  #failures = 0;

  /**
   * Opens a stream of `url`. `lastEventId` is `undefined` for none. `on` has `opened` (what the hub says to the last
   * event id), `event`, `waiting` (why, and how long in ms) and `failed` (why it is given up).
   */
  constructor(access, url, lastEventId, on) {
    Object.assign(this, { access, url, lastEventId, on });
    this.#run();
  }

  stop() {
    this.#stopping.abort();
  }

  async #run() {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let why;
      let wait;
      try {
        const response = await this.#ask(signal);
        if (response.ok) {
          why = (await this.#read(response)) || "The stream ended";
        } else {
          why = await sentence(response);
          if (!FOR_NOW.has(response.status)) return this.on.failed(why);
          wait = Number(response.headers.get("Retry-After")) * 1000 || undefined;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Unsendable) return this.on.failed(error.message);
        why = "The hub cannot be reached, or the connection broke";
      }
      if (signal.aborted) return;
      wait ??= Math.min(LONGEST_WAIT, this.#wait * 2 ** this.#failures);
      this.#failures = Math.min(this.#failures + 1, 10);
      this.on.waiting(why, wait);
      await pause(wait, signal);
    }
  }

  async #ask(signal) {
    const headers = { Accept: "text/event-stream" };
    if (this.lastEventId !== undefined) headers["Last-Event-ID"] = fieldValue(this.lastEventId);
    const response = await this.access.ask(this.url, { headers, signal });
    const type = response.headers.get("Content-Type") ?? "";
    if (response.ok && !type.startsWith("text/event-stream")) {
      throw new Unsendable(`This is not an event stream, but ${type || "without a type"}: ${response.status}`);
    }
    return response;
  }

  /** Reads the stream to its end, and returns what the hub said last. */
  async #read(response) {
    const cursor = response.headers.get("Mercure-Last-Event-ID") ?? response.headers.get("Last-Event-ID");
    this.on.opened(cursor === null ? undefined : fieldText(cursor), this.lastEventId);
    const parser = new Parser((event, isEmpty) => {
      this.#failures = 0;
      if (event.retry !== undefined) this.#wait = Math.min(event.retry, LONGEST_WAIT);
      if (isEmpty) return;
      if (event.id !== "") this.lastEventId = event.id;
      this.on.event(event);
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) parser.feed(part.value);
    return parser.comment;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
