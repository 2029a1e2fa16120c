// The servers of deploy/compose/postgres, run as the image of PostgreSQL runs them. PostgreSQL refuses to run as root, so
// an account of the tests runs it.

import { execFileSync } from "node:child_process";
import { appendFileSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { service, yaml } from "../image/compose.mjs";
import { placed } from "./addresses.mjs";
import { Program } from "./program.mjs";

const ACCOUNT = "talaria-test";
const BASE = "/usr/lib/postgresql";

/** Where the programs of the newest installed version are. */
const programs = () => join(BASE, readdirSync(BASE).sort((a, b) => Number(a) - Number(b)).at(-1), "bin");

/** The numbers of the account, which is made if it is missing; none if the tests do not run as root. */
function account() {
  if (process.getuid() !== 0) return undefined;
  const id = (option) => Number(execFileSync("id", [option, ACCOUNT], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return [id("-u"), id("-g")];
  } catch {
    execFileSync("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]);
    return [id("-u"), id("-g")];
  }
}

export class Server {
  constructor(file, name, folder, all, variables) {
    const { command, environment } = service(file, name, variables);
    Object.assign(this, { name, command, all, folder: join(folder, name), owner: account() });
    mkdirSync(this.folder);
    if (this.owner) chownSync(this.folder, ...this.owner);
    this.data = join(this.folder, "data");
    this.roles = yaml(readFileSync(file, "utf8"))[0].configs.roles.content.replaceAll("$$", "$");
    const path = `${programs()}:${process.env.PATH}`;
    this.environment = { ...environment, PGDATA: this.data, PGHOST: this.folder, PATH: path, LC_ALL: "C" };
  }

  /** A command of the account. */
  #own(command) {
    const [user, group] = this.owner ?? [];
    return this.owner ? ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups", ...command] : command;
  }

  /** Runs a command to its end; returns what it prints. */
  run(...command) {
    const [program, ...options] = this.#own(command);
    return execFileSync(program, options, { encoding: "utf8", cwd: this.folder, env: this.environment });
  }

  #serve(command, host) {
    const listening = `-c listen_addresses=${host} -c unix_socket_directories=${this.folder}`;
    const [program, ...options] = this.#own(["sh", "-c", `${command} ${listening}`]);
    this.program = new Program(program, options, this.folder, this.environment);
    return this.program.line(/database system is ready to accept/);
  }

  async start() {
    const address = this.all[this.name];
    if (this.command) {
      await this.#serve(placed(this.command[0], this.all).trimEnd(), address);
      return;
    }
    if (!existsSync(this.data)) {
      const password = join(this.folder, "password");
      writeFileSync(password, this.environment.POSTGRES_PASSWORD);
      this.run("initdb", "--username", "postgres", "--auth-local", "trust", "--pwfile", password, "--encoding", "UTF8", "--no-sync");
      appendFileSync(join(this.data, "pg_hba.conf"), "host all all all scram-sha-256\n");
      // As the image does: the scripts run before other machines may connect.
      await this.#serve("exec postgres", "");
      this.run("sh", "-c", this.roles);
      await this.program.stop();
    }
    await this.#serve("exec postgres", address);
  }

  kill() {
    this.program.signal("SIGKILL");
    return this.program.exited;
  }
}
