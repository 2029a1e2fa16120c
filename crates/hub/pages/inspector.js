// Shows what a token says, and what the hub will say to it.

import { byId, element, visible, visibleLines } from "./dom.js";
import { judge } from "./token.js";

export class Inspector {
  #facts;
  #token = "";

  /** Takes up what the hub says of itself. */
  learn(facts) {
    this.#facts = facts;
    this.show(this.#token);
  }

  /** Judges a token, here and without asking the hub. */
  show(token) {
    this.#token = token;
    if (!this.#facts) return;
    byId("verdict").replaceChildren(...(token === "" ? this.#withoutToken() : this.#verdict(token)));
  }

  #withoutToken() {
    const text = this.#facts.anonymous
      ? "Without a token: public updates only, and nothing can be published."
      : "Without a token, this hub refuses you.";
    return [element("p", { className: "note", textContent: text })];
  }

  #verdict(token) {
    const now = Date.now() / 1000 + this.#facts.ahead;
    const { header, claims, generation, checks, roles } = judge(token, this.#facts, now);
    const role = ([name, { accepted, text }]) =>
      item(accepted, `As ${name}: ${accepted ? "accepted" : "refused"} – ${text}`);
    const parts = [element("ul", { className: "verdicts" }, ...Object.entries(roles).map(role))];
    if (generation) {
      const note = `A token of Mercure ${generation}. Only the hub can check its signature and whether it is revoked.`;
      parts.push(element("p", { className: "note", textContent: note }));
    }
    const examined = checks.map(({ name, good, text }) => item(good, `${name}: ${text}`));
    parts.push(element("details", { open: checks.some(({ good }) => !good) },
      element("summary", { textContent: "Checks" }), element("ul", {}, ...examined)));
    for (const [name, value] of [["Header", header], ["Claims", claims]]) {
      if (!value) continue;
      const text = visibleLines(JSON.stringify(value, null, 2));
      parts.push(element("details", {},
        element("summary", { textContent: name }), element("pre", { textContent: text, tabIndex: 0, ariaLabel: name })));
    }
    return parts;
  }
}

const item = (good, text) => element("li", { textContent: visible(text), data: { state: good ? "good" : "failed" } });
