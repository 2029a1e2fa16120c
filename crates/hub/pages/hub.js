// The hub that serves this page: what it says of itself, and how it is asked.

/** The hub's URL. The page lies one folder below it. */
export const hubUrl = new URL("..", document.baseURI).href.replace(/\/$/, "");

/** What holds if the hub does not say it. */
const UNKNOWN = {
  playground: false,
  anonymous: false,
  subscriptions: false,
  cookieName: "mercure_access_token",
  cookieNames: [],
  rule: "modern",
  generations: ["1.0"],
  audiences: [hubUrl],
  issuers: [],
  maxTokenBytes: 65536,
  maxTokenLifetime: null,
  publishUngranted: false,
  resources: null,
  time: Date.now() / 1000,
};

/** Reads what the hub says of itself. `ahead` is how far its clock is ahead of this one's, in seconds. */
export async function loadFacts() {
  const response = await fetch("config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(await sentence(response));
  const facts = { ...UNKNOWN, ...(await response.json()) };
  return { ...facts, ahead: facts.time - Date.now() / 1000 };
}

/** The token and how it is sent. Only fields of this object and of the form hold the token. */
export class Access {
  token = "";
  carrier = "header";
  cookieName = UNKNOWN.cookieName;
  #asking = 0;

  /** Chooses the first cookie of the hub that a page may set here: `__Secure-` needs TLS. */
  learn(facts) {
    const isSettable = (name) => location.protocol === "https:" || !name.startsWith("__Secure-");
    const names = [...facts.cookieNames, facts.cookieName];
    this.cookieName = names.find(isSettable) ?? facts.cookieName;
  }

  /** Asks the hub, with the token if there is one. */
  async ask(url, { headers = {}, ...options } = {}) {
    const isCookie = this.carrier === "cookie";
    const asked = new Headers(headers);
    if (this.token && !/^[\w.~+/=-]+$/.test(this.token)) {
      throw new Unsendable("The token has characters that no token has, such as spaces; paste the bare token.");
    }
    if (this.token && !isCookie) asked.set("Authorization", `Bearer ${this.token}`);
    if (isCookie) this.#setCookie();
    try {
      const credentials = isCookie ? "same-origin" : "omit";
      return await fetch(url, { ...options, headers: asked, credentials, cache: "no-store" });
    } finally {
      if (isCookie) this.#removeCookie();
    }
  }

  /** The cookie lives while a request is answered. Without a token, the browser's own cookie is sent. */
  #setCookie() {
    this.#asking += 1;
    if (this.token) document.cookie = this.#cookie(this.token, "");
  }

  #removeCookie() {
    this.#asking -= 1;
    if (this.#asking === 0 && this.token) document.cookie = this.#cookie("", "; Max-Age=0");
  }

  #cookie(value, more) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    return `${this.cookieName}=${value}; Path=${new URL(hubUrl).pathname}; SameSite=Strict${secure}${more}`;
  }
}

/** A request that cannot be sent, so that trying again does not help. */
export class Unsendable extends Error {}

/** The value of a field as a browser sends it: a header holds bytes, and this one's are UTF-8. */
export function fieldValue(text) {
  if (/[\0\r\n]/.test(text)) throw new Unsendable("The last event id has characters that no header may have.");
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** The text of a field whose bytes are UTF-8. */
export function fieldText(value) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(value, (char) => char.charCodeAt(0)));
  } catch {
    return value;
  }
}

/** Why the hub refuses, in its own words. */
export async function sentence(response) {
  const text = (await response.text().catch(() => "")).trim().slice(0, 1000);
  const code = /error="(\w+)"/.exec(response.headers.get("WWW-Authenticate") ?? "")?.[1];
  const status = code ? `${response.status} ${code}` : `${response.status}`;
  return `${status}: ${text || response.statusText || "no reason given"}`;
}
