// Clients of a cluster that come back by themselves, and what they publish.

import { setTimeout as pause } from "node:timers/promises";

import { within } from "../browser/hub.mjs";
import { Client } from "./client.mjs";

const PATIENCE = 60;

/** Asks until it is so; what fails is asked again. */
export async function until(isSo) {
  while (!(await isSo().catch(() => false))) await pause(50);
}

/** Publishes until the update is acknowledged. Its id keeps what is repeated recognizable. */
export function publish(port, topic, data) {
  const publishing = until(async () => {
    const { status } = await new Client({ port }).publish(topic, data);
    return status === 200;
  });
  return within(`the update ${data} is acknowledged`, publishing, PATIENCE);
}

const reading = new Set();

/** Has all clients leave. */
export const allLeave = () => reading.forEach((reader) => reader.leave());

/** A client that comes back as browsers do, with the id that it received last. */
export class Reader {
  constructor(port, topic) {
    Object.assign(this, { port, topic, received: [], returns: -1, isOver: false });
    reading.add(this);
    this.reading = this.#read();
  }

  async #read() {
    let last = "earliest";
    while (!this.isOver) {
      const stream = await new Client({ port: this.port }).subscribe(this.topic, { "last-event-id": last }).catch(() => undefined);
      if (stream?.status !== 200 || !stream.headers["mercure-last-event-id"]) {
        stream?.close();
        await pause(50);
        continue;
      }
      this.returns += 1;
      this.stream = stream;
      await stream.ended;
      this.received.push(...stream.events.map(({ data }) => data));
      last = stream.events.at(-1)?.id ?? last;
    }
  }

  get all() {
    return [...this.received, ...(this.stream?.how ? [] : (this.stream?.events ?? []).map(({ data }) => data))];
  }

  /** Waits for an update, and leaves. */
  async finish(data) {
    await within(`the update ${data}`, until(async () => this.all.includes(data)), PATIENCE);
    const { all } = this;
    this.leave();
    await this.reading;
    return all;
  }

  leave() {
    this.isOver = true;
    this.stream?.close();
  }
}

/** 0, 1 … as texts. */
export const numbers = (count) => Array.from({ length: count }, (_, number) => `${number}`);
