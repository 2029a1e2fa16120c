// Containers without an engine: a tree of the image in namespaces of Linux, with what Docker and Kubernetes
// mount there. Needs root.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PATIENCE = 60_000;
/** What Docker leaves to root in a container. */
const CAPABILITIES =
  "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap"
    .split(",");
/** What becoming another user in the tree needs; that user then has none of it. */
const ENTERING = ["sys_chroot", "setuid", "setgid"];

const running = new Set();
const volumes = new Set();
process.on("exit", () => {
  running.forEach((one) => one.kill());
  volumes.forEach((place) => rmSync(place, { recursive: true, force: true }));
});

/** Waits for a promise, for a minute at most. */
export async function within(what, promise, limit = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A volume: what lies at its path in the image is there at first. `group` makes it one of Kubernetes. */
export class Volume {
  constructor({ tree, path, group }) {
    this.place = mkdtempSync(join(tmpdir(), "volume-"));
    volumes.add(this.place);
    const source = join(tree, path);
    if (group !== undefined) {
      chownSync(this.place, 0, group);
      chmodSync(this.place, 0o2777);
    } else if (existsSync(source)) {
      command("cp", ["-a", `${source}/.`, this.place]);
      const { mode, uid, gid } = statSync(source);
      chownSync(this.place, uid, gid);
      chmodSync(this.place, mode & 0o7777);
    }
  }
}

function command(program, options) {
  const { status, stderr } = spawnSync(program, options, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${options.join(" ")}: ${stderr}`);
}

const quoted = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;

export class Container {
  #waiting = new Set();

  /**
   * `user` is `uid:gid`; `mounts` are volumes and files of the host by their place; with `readOnly` the
   * image cannot be written; `dropped` takes every capability and the right to gain one.
   */
  constructor({ tree, command, folder = "/", environment = {}, user = "0:0", readOnly = false, dropped = false, mounts = {}, temporary = [] }) {
    this.environment = { PATH, HOME: "/", ...environment };
    [this.uid, this.gid = this.uid] = String(user).split(":");
    this.folder = folder;
    this.work = mkdtempSync(join(tmpdir(), "container-"));
    const script = this.#script({ tree, command, readOnly, dropped, mounts, temporary });
    this.lines = [];
    const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL"];
    // It ends with this process, however that ends.
    this.child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...namespaces, "sh", "-euc", script], {
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this);
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        running.delete(this);
        rmSync(this.work, { recursive: true, force: true });
        resolve(code ?? signal);
      });
      this.child.once("error", resolve);
    });
    for (const output of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: output }).on("line", (line) => {
        this.lines.push(line);
        for (const each of this.#waiting) each(line);
      });
    }
  }

  /** What becomes the first process: it mounts everything, and then is the program. */
  #script({ tree, command, readOnly, dropped, mounts, temporary }) {
    const space = join(this.work, "space");
    const root = join(space, "root");
    const at = (path) => join(root, path);
    const hosts = join(this.work, "hosts");
    mkdirSync(space);
    writeFileSync(hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
    const lines = [
      "mount --make-rprivate /",
      "ip link set lo up",
      // As Docker and containerd set it, so that every user may bind ports 80 and 443.
      "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start",
      `mount -t tmpfs tmpfs ${space}; mkdir ${root} ${space}/upper ${space}/work`,
      `mount -t overlay overlay -o lowerdir=${tree},upperdir=${space}/upper,workdir=${space}/work ${root}`,
      `mkdir -p ${["proc", "sys", "dev", "etc"].map(at).join(" ")}`,
      // What Docker puts into each container.
      `cp ${hosts} ${at("etc/hosts")}; : > ${at(".dockerenv")}`,
      `mount -t proc proc ${at("proc")}`,
      `mount -t tmpfs tmpfs ${at("dev")}`,
      ...["null", "zero", "full", "random", "urandom"].map((device) => `: > ${at(`dev/${device}`)}; mount --bind /dev/${device} ${at(`dev/${device}`)}`),
      `ln -s /proc/self/fd ${at("dev/fd")}`,
    ];
    for (const path of temporary) lines.push(`mkdir -p ${at(path)}; mount -t tmpfs -o mode=1777 tmpfs ${at(path)}`);
    for (const [path, source] of Object.entries(mounts)) {
      const place = source instanceof Volume ? source.place : source;
      const isFolder = statSync(place).isDirectory();
      const target = isFolder ? `mkdir -p ${at(path)}` : `mkdir -p ${at(dirname(path))}; [ -e ${at(path)} ] || : > ${at(path)}`;
      lines.push(`${target}; mount --bind ${place} ${at(path)}`);
    }
    if (readOnly) lines.push(`mount -o remount,ro ${root}`);
    const kept = dropped || this.uid !== "0" ? ENTERING : CAPABILITIES;
    const bounds = ["-all", ...kept.map((name) => `+${name}`)].join(",");
    lines.push(
      `exec setpriv --bounding-set=${bounds} ${dropped ? "--no-new-privs" : ""} ` +
        `unshare --root=${root} --wd=${this.folder} --setgid=${this.gid} --setuid=${this.uid} -- ${command.map(quoted).join(" ")}`,
    );
    return lines.join("\n");
  }

  /** The number of the first process outside, once it is the program. */
  async #first() {
    if (this.pid) return this.pid;
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline && this.child.exitCode === null) {
      const { stdout } = spawnSync("pgrep", ["-P", String(this.child.pid)], { encoding: "utf8" });
      const pid = stdout.trim();
      try {
        if (pid && readlinkSync(`/proc/${pid}/root`) !== "/") return (this.pid = pid);
      } catch {
        // It has ended; so has the container.
      }
      await pause(20);
    }
    throw new Error(`the container has ended:\n${this.lines.join("\n")}`);
  }

  /** Starts a command in the container, as its user. */
  async spawn(command, environment = {}) {
    const pid = await this.#first();
    const options = ["--target", pid, "--mount", "--net", "--pid", "--uts", "--ipc", "--root", `--wd=/proc/${pid}/cwd`];
    const child = spawn("nsenter", [...options, "--setgid", this.gid, "--setuid", this.uid, "--", ...command], {
      env: { ...this.environment, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add({ kill: () => child.kill("SIGKILL") });
    return child;
  }

  /** Runs a command to its end; resolves with its exit code and what it printed. */
  async run(command, environment) {
    const child = await this.spawn(command, environment);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    const status = await within(command.join(" "), new Promise((resolve) => child.once("close", resolve)));
    return { status, output };
  }

  /** Asks until the command succeeds, as an engine does, for as long as its start period. */
  async healthy(command, period = PATIENCE) {
    const deadline = Date.now() + period;
    for (;;) {
      const { status, output } = await this.run(command);
      if (status === 0) return;
      if (Date.now() > deadline) throw new Error(`${command.join(" ")}: ${output}\n${this.lines.slice(-40).join("\n")}`);
      await pause(250);
    }
  }

  /** Waits for a line of the log. */
  async line(pattern) {
    const known = this.lines.find((line) => pattern.test(line));
    if (known) return known;
    const gone = this.exited.then((code) => {
      throw new Error(`the container exited with ${code}:\n${this.lines.join("\n")}`);
    });
    const found = new Promise((resolve) => this.#waiting.add((line) => pattern.test(line) && resolve(line)));
    return within(`${pattern} in\n${this.lines.join("\n")}\n`, Promise.race([found, gone]));
  }

  /** Stops it as an engine does; resolves with the exit code. */
  async stop() {
    process.kill(Number(await this.#first()), "SIGTERM");
    return within("the end", this.exited, 10_000);
  }

  kill() {
    this.child.kill("SIGKILL");
  }
}
