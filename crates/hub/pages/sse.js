// The event stream format of the HTML standard, as text arrives.

export class Parser {
  /** The last comment since the last event: hubs say there why a stream ends. */
  comment = "";
  #text = "";
  #data = [];
  #type = "";
  #id = "";
  #retry;
  #isFirst = true;
  #onEvent;

  /** `onEvent` gets each event: its id, type, data, and the reconnection time that it sets, if it does. */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  /** Reads the next part of the stream. */
  feed(text) {
    this.#text += text;
    if (this.#isFirst && this.#text) {
      this.#isFirst = false;
      if (this.#text.startsWith("\ufeff")) this.#text = this.#text.slice(1);
    }
    let start = 0;
    const end = /\r\n|\r|\n/g;
    for (let found = end.exec(this.#text); found; found = end.exec(this.#text)) {
      // A line feed may follow in the next part.
      if (found[0] === "\r" && end.lastIndex === this.#text.length) break;
      this.#line(this.#text.slice(start, found.index));
      start = end.lastIndex;
    }
    this.#text = this.#text.slice(start);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) {
      this.comment = line.slice(1).trim() || this.comment;
      return;
    }
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#retry = Number(value);
  }

  #dispatch() {
    const event = { id: this.#id, type: this.#type, data: this.#data.join("\n"), retry: this.#retry };
    const isEmpty = this.#data.length === 0;
    this.#data = [];
    this.#type = "";
    this.#retry = undefined;
    // What has no data sets the reconnection time, and is not shown.
    if (!isEmpty) this.comment = "";
    if (!isEmpty || event.retry !== undefined) this.#onEvent(event, isEmpty);
  }
}
