// A program under test: a hub, or a proxy in front of it.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { within } from "../browser/hub.mjs";

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const running = new Set();
process.on("exit", () => running.forEach((program) => program.signal("SIGKILL")));

export class Program {
  #waiting = new Set();

  /** Starts the program in `folder`, which is also its home. */
  constructor(command, options, folder, env = {}) {
    this.lines = [];
    // In a separate process group, because some proxies have workers.
    this.child = spawn(command, options, {
      cwd: folder,
      detached: true,
      env: { PATH, HOME: folder, NO_COLOR: "1", RUST_LOG: "info", TALARIA_LOG_FORMAT: "console", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this);
    this.exited = new Promise((resolve) => {
      this.child.once("exit", resolve);
      this.child.once("error", (error) => {
        this.#take(String(error));
        resolve(error);
      });
    });
    for (const output of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: output }).on("line", (line) => this.#take(line));
    }
  }

  #take(line) {
    this.lines.push(line);
    for (const each of this.#waiting) each(line);
  }

  /** Waits for a line of the log that fits, from the line with the number `from` on, and returns it. */
  async line(pattern, from = 0) {
    const known = this.lines.slice(from).find((line) => pattern.test(line));
    if (known) return known;
    let take;
    const found = new Promise((resolve) => {
      take = (line) => pattern.test(line) && resolve(line);
      this.#waiting.add(take);
    });
    const gone = this.exited.then((code) => {
      throw new Error(`the program exited with ${code}`);
    });
    try {
      return await within(`the line ${pattern}`, Promise.race([found, gone]));
    } catch (error) {
      throw new Error(`${error.message}; the log:\n${this.lines.join("\n")}`);
    } finally {
      this.#waiting.delete(take);
      gone.catch(() => {});
    }
  }

  /** Sends a signal to the program and its workers. */
  signal(name) {
    try {
      process.kill(-this.child.pid, name);
    } catch {
      // It is gone.
    }
  }

  async stop() {
    this.signal("SIGTERM");
    await within("the program to exit", this.exited, 8).catch(() => {});
    this.signal("SIGKILL");
    running.delete(this);
  }
}
