/** An update as the hub sent it. `type` is `message` unless the publisher chose another. */
export interface Update {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** A topic, or with Mercure 1.0 a pattern of a matcher type, such as `{ urlpattern: "https://example.com/books/:id" }`. */
export type Topic = string | { readonly [matchType: string]: string };

export interface Loss {
  /** The id after which updates were asked for; empty if the stream broke before its first update. */
  readonly requested: string;
  /** The id after which the hub began; `earliest` if it no longer knows the requested one. */
  readonly answered: string;
}

export interface Failure {
  /** The status of the hub's answer; none if there was no answer. */
  readonly status?: number;
  readonly message: string;
}

export interface Options {
  /** Which parameters the hub understands. Default: `1.0`. */
  generation?: "1.0" | "0.x";
  /**
   * Returns an access token. It is called before each connection, some time before the token's `exp`, and once more,
   * with `refused`, after the hub answered 401.
   */
  token?: (reason: { refused: boolean }) => string | undefined | Promise<string | undefined>;
  /** Who is signed in. Tabs with different identities share nothing. */
  identity?: string;
  /** As of `fetch`. `include` sends cookies to a hub of another origin. Default: `same-origin`. */
  credentials?: RequestCredentials;
  /** False gives each subscription a stream for itself, of its topics only. Default: true. */
  share?: boolean;
  /** Where `worker.js` is served, if that does not follow from the address of the module. */
  worker?: string | URL;
  /** After this silence in milliseconds the connection counts as dead; 0 is never. Default: 90,000. */
  silence?: number;
}

export interface SubscribeOptions {
  /** Whether an update is for this subscription. */
  when?: (update: Update) => boolean;
  /**
   * Begins after this id, such as that of the `Link` of the resource; `null` begins now. By default a subscription
   * goes on where that of the same topics in this tab stopped at a reload, else it begins now.
   */
  lastEventId?: string | null;
}

export interface Subscription {
  close(): void;
}

export interface Hub {
  /** `open` while the stream is. */
  readonly state: "waiting" | "open";
  onstate?: (state: "waiting" | "open") => void;
  /** Updates may be missing: fetch again what you show. */
  onloss?: (loss: Loss) => void;
  /** A connection failed. The module tries again by itself. */
  onerror?: (failure: Failure) => void;
  subscribe(topics: Topic | readonly Topic[], onUpdate: (update: Update) => void, options?: SubscribeOptions): Subscription;
  /** Ends all subscriptions of this object and frees what it holds. */
  close(): void;
}

export function connect(url: string | URL, options?: Options): Hub;
