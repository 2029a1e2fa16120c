// The form that subscribes.

import { byId, lines, say } from "./dom.js";
import { hubUrl } from "./hub.js";
import { Stream } from "./stream.js";

export class Subscription {
  #stream;

  /** `onEvent` gets each event. */
  constructor(access, onEvent) {
    Object.assign(this, { access, onEvent });
    byId("subscribe").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.#open();
    });
    byId("unsubscribe").addEventListener("click", () => this.#close("Not connected"));
  }

  #open() {
    const topics = lines(byId("topics").value);
    if (topics.length === 0) return this.#refuse("Name at least one topic; * stands for every topic.");
    const matcher = document.querySelector('input[name="matcher"]:checked').value;
    const query = new URLSearchParams(topics.map((topic) => [matcher, topic]));
    this.#stream?.stop();
    this.#say("", "");
    this.#show("Connecting", "waiting");
    byId("unsubscribe").disabled = false;
    this.#stream = new Stream(this.access, `${hubUrl}?${query}`, byId("last-event-id").value || undefined, {
      opened: (cursor, asked) => this.#opened(cursor, asked),
      event: this.onEvent,
      waiting: (why, wait) => {
        this.#show(`Reconnecting in ${Math.ceil(wait / 1000)} s`, "waiting");
        this.#say(why, "failed");
      },
      failed: (why) => {
        this.#close("Refused", "failed");
        this.#say(why, "failed");
      },
    });
  }

  /** Says what became of the last event id. */
  #opened(cursor, asked) {
    this.#show("Connected", "open");
    if (asked === undefined || cursor === undefined) return this.#say("", "");
    if (cursor === asked) return this.#say("The hub goes on after the last event id.", "good");
    if (cursor === "earliest") {
      return this.#say("The hub does not know the last event id: updates may be missing or come again.", "failed");
    }
    this.#say(`The hub goes on after ${cursor}.`, "failed");
  }

  #refuse(why) {
    this.#say(why, "failed");
    byId("topics").focus();
  }

  #close(text, state = "") {
    this.#stream?.stop();
    this.#stream = undefined;
    byId("unsubscribe").disabled = true;
    this.#say("", "");
    this.#show(text, state);
  }

  #say(text, state) {
    say(byId("subscribe-said"), text, state);
  }

  #show(text, state) {
    say(byId("connection"), text, state);
  }
}
