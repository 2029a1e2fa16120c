// A machine to throw away: this one's files under a layer in memory, with systemd as its first process, in
// namespaces of Linux. Needs root.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PATIENCE = 120_000;
const SYSTEMD = "/lib/systemd/systemd";

const BOOT = `
mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
# Services of this machine do not start, and packages may start theirs.
rm -f etc/systemd/system/*.wants/* usr/sbin/policy-rc.d
mkdir -p package old
cp "$package" package/
pivot_root . old
umount -l /old
exec env -i container=docker PATH="$PATH" ${SYSTEMD} --system --unit=multi-user.target
`;

export class Machine {
  /** Boots it; the file `deb` lies in its folder /package. */
  static async boot(deb) {
    const machine = new Machine();
    machine.work = mkdtempSync(join(tmpdir(), "machine-"));
    const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=KILL"];
    // It ends with this process, however that ends.
    machine.child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...namespaces, "bash", "-euc", BOOT], {
      env: { PATH, work: machine.work, package: deb },
      stdio: ["ignore", "ignore", "pipe"],
    });
    machine.said = "";
    machine.child.stderr.setEncoding("utf8").on("data", (text) => (machine.said += text));
    process.on("exit", () => machine.end());
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline && machine.child.exitCode === null) {
      const { stdout } = spawnSync("pgrep", ["-P", String(machine.child.pid)], { encoding: "utf8" });
      machine.pid = stdout.trim();
      if (machine.pid) {
        const { stdout } = spawnSync("ps", ["-o", "args=", "-p", machine.pid], { encoding: "utf8" });
        if (stdout.startsWith(SYSTEMD) && (await machine.run(["systemctl", "is-system-running", "--wait"])).output) return machine;
      }
      await pause(100);
    }
    throw new Error(`the machine does not start: ${machine.said}`);
  }

  /** Starts a command as its root. */
  async spawn(command, environment = {}) {
    const options = ["--target", this.pid, "--mount", "--net", "--pid", "--uts", "--ipc", "--root", "--wd=/proc/1"];
    return spawn("nsenter", [...options, "--", "env", "--chdir=/", ...command], {
      env: { PATH, LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** Runs a command to its end; resolves with its exit code and what it printed. */
  async run(command, environment) {
    const child = await this.spawn(command, environment);
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    const status = await new Promise((resolve) => child.once("close", resolve));
    clearTimeout(timer);
    return { status, output };
  }

  /** Runs a line of the shell, which must succeed; resolves with what it printed. */
  async shell(line) {
    const { status, output } = await this.run(["sh", "-c", line]);
    if (status !== 0) throw new Error(`${line}: ${status}: ${output}`);
    return output;
  }

  end() {
    this.child.kill("SIGKILL");
    rmSync(this.work, { recursive: true, force: true });
  }
}
