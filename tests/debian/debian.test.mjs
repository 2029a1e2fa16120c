// The Debian package on a machine to throw away, under systemd: it installs, starts, serves, reloads, is
// upgraded, removed and purged. Run by ./test --full.
//
//   DEB=… node --test tests/debian/debian.test.mjs

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { basename } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { exchangeByCurl } from "../image/clients.mjs";
import { Machine } from "./machine.mjs";

const URL = "http://127.0.0.1:3000/.well-known/mercure";
const FILE = "/etc/talaria/Caddyfile";
const deb = process.env.DEB;

/** It is not a package of Debian's archive. */
const OTHERS = ["--suppress-tags", "initial-upload-closes-no-bugs"];
/** Files of this name, without those of tests and of the tree that is tested. */
const CHECKOUT = fileURLToPath(new globalThis.URL("../..", import.meta.url)).replace(/\/$/, "");
const FOUND = `find / -xdev ( -path ${CHECKOUT} -o -path /proc -o -path /root -o -path /tmp -o -path /package -o -path /var/cache/man ) -prune -o -iname *talaria* -print`;

let machine;
let keys;
let unpackaged;

before(async () => {
  machine = await Machine.boot(deb);
  unpackaged = (await machine.run(FOUND.split(" "))).output;
});

after(() => machine?.end());

const install = () => machine.shell(`dpkg --force-confold --install /package/${basename(deb)}`);
const state = async (property) => (await machine.shell(`systemctl show talaria --value --property=${property}`)).trim();

/** Changes the configuration file, as `sed` does. */
const edit = (expression) => machine.shell(`sed -i '${expression}' ${FILE}`);

test("lintian has no complaint", () => {
  const { stdout } = spawnSync("lintian", ["--fail-on", "none", "--allow-root", ...OTHERS, deb], { encoding: "utf8" });
  assert.equal(stdout, "");
});

test("it installs, makes keys, and runs at once as a user without rights", async () => {
  await install();
  assert.equal(await state("ActiveState"), "active", await machine.shell("journalctl --no-pager --unit talaria"));
  assert.equal(await state("StatusText"), "Serving on 127.0.0.1:3000");
  assert.equal(await machine.shell("systemctl is-enabled talaria"), "enabled\n");
  assert.equal(await machine.shell('stat --format "%a %U %G" /etc/talaria/env'), "640 root talaria\n");
  const pid = await state("MainPID");
  assert.equal(await machine.shell(`ps -o user=,comm= -p ${pid}`), "talaria  talaria\n");
  assert.equal(await state("LimitNOFILE"), "1048576");
  const written = await machine.shell("cat /etc/talaria/env");
  const [, publisher, subscriber] = written.match(/PUBLISHER_JWT_KEY=(\S+)\n.*SUBSCRIBER_JWT_KEY=(\S+)/);
  assert.notEqual(publisher, subscriber);
  keys = { publisher, subscriber };
  for (const generation of ["0.x", "1.0"]) await exchangeByCurl(machine, URL, generation, keys);
});

test("systemd finds no fault in the unit, and little that the hub could do", async () => {
  const unit = "/lib/systemd/system/talaria.service";
  assert.equal(await machine.shell(`systemd-analyze verify ${unit} 2>&1 | grep talaria || true`), "");
  const said = await machine.shell(`systemd-analyze security --no-pager --threshold=20 talaria`);
  assert.match(said, /Overall exposure level for talaria\.service: [01]\.\d/);
});

test("a changed file is reloaded, and a wrong one changes nothing", async () => {
  const anonymous = () => machine.run(["curl", "-sS", "-o", "/dev/null", "-m", "1", "-w", "%{http_code}", `${URL}?match=*`]);
  assert.match((await anonymous()).output, /401/);
  await edit("s/# anonymous/anonymous/");
  await machine.shell("systemctl reload talaria");
  assert.match((await anonymous()).output, /200/);
  await edit("s/anonymous/anonimous/");
  const { status } = await machine.run(["systemctl", "reload", "talaria"]);
  assert.equal(status, 1);
  assert.match((await anonymous()).output, /200/);
  await edit("s/anonimous/anonymous/");
  assert.equal(await state("ActiveState"), "active");
});

test("port 80 needs no root", async () => {
  await edit("s/^:3000/:80/");
  await machine.shell("systemctl restart talaria");
  assert.equal(await state("StatusText"), "Serving on 127.0.0.1:80");
  await edit("s/^:80/:3000/");
  await machine.shell("systemctl restart talaria");
});

test("an upgrade keeps keys, file and history", async () => {
  const before = await state("MainPID");
  await install();
  assert.notEqual(await state("MainPID"), before);
  const written = await machine.shell("cat /etc/talaria/env");
  assert.ok(written.includes(keys.publisher));
  assert.match(await machine.shell(`cat ${FILE}`), /^\t\tanonymous$/m);
  // The updates of the tests above are private, and this one is not.
  const token = await machine.shell(
    `. /etc/talaria/env; talaria token --key "$MERCURE_PUBLISHER_JWT_KEY" --iss https://localhost --aud ${URL} --publish '*'`,
  );
  const publish = (data) => machine.shell(`TALARIA_TOKEN=${token.trim()} talaria publish ${URL} --topic upgrade --data ${data}`);
  await publish("before");
  await install();
  const read = `curl -sS -N -m 1 '${URL}?match=upgrade&last_event_id=earliest' || true`;
  assert.match(await machine.shell(read), /^data: before$/m);
  await exchangeByCurl(machine, URL, "1.0", keys);
});

test("manual pages and completions are where shells look", async () => {
  assert.match(await machine.shell("zcat /usr/share/man/man1/talaria-reload.1.gz"), /talaria\\-reload|talaria-reload/);
  await machine.shell("bash -nc '. /usr/share/bash-completion/completions/talaria'");
  await machine.shell("test -s /usr/share/zsh/vendor-completions/_talaria");
  await machine.shell("test -s /usr/share/fish/vendor_completions.d/talaria.fish");
  assert.match(await machine.shell("cat /usr/share/doc/talaria/THIRD-PARTY-NOTICES.txt"), /^aws-lc-sys /m);
});

test("it is removed, and purged without a trace but the user", async () => {
  await machine.shell("dpkg --remove talaria");
  assert.equal(await state("ActiveState"), "inactive");
  await machine.shell("! [ -e /usr/bin/talaria ] && [ -e /etc/talaria/env ] && [ -d /var/lib/talaria ]");
  await machine.shell("dpkg --purge talaria");
  assert.equal((await machine.run(FOUND.split(" "))).output, unpackaged);
  const { status } = await machine.run(["systemctl", "status", "talaria"]);
  assert.equal(status, 4, "the unit is gone");
});
