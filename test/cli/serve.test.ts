// `sluice serve` as an operator meets it: the first run, flags, ports that are taken, and the end.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { authenticator } from "../../src/turn/credentials.ts";
import { makeCertificate } from "../dataplane/certificate-files.ts";
import { needs } from "../interop/needs.ts";
import { newFolder, startOnTerminal, startSluice } from "./sluice-process.ts";
import { TurnClient } from "./turn-client.ts";

const loopbackPort = ["--listen", "udp://127.0.0.1:0", "--metrics", "http://127.0.0.1:0"];
const greeted = /To decide all this yourself/;

/** What the first run prints, read as somebody who pastes it would. */
function pasted(printed: string) {
  const find = (pattern: RegExp) => pattern.exec(printed)?.[1] ?? "";
  return {
    port: Number(find(/^ {2}udp:\/\/(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)/m)),
    username: find(/^ {2}username: +(\S+)$/m),
    password: find(/^ {2}credential: (\S+)$/m),
    prosodySecret: find(/turn_external_secret = "(.+)"/),
    ejabberdSecret: find(/^ {4}secret: "(.+)"/m),
  };
}

async function client(port: number, who = { username: "nobody", password: "nothing" }): Promise<TurnClient> {
  const opened = await TurnClient.open({ address: "127.0.0.1", port }, who);
  onTestFinished(() => opened.close());
  return opened;
}

describe("the first run", () => {
  test("needs nothing, prints what to paste where, and lets in who pasted it, and nobody else", async () => {
    const state = newFolder();
    const sluice = startSluice(["serve", "--greeting", "--metrics", "http://127.0.0.1:0"], {
      STATE_DIRECTORY: join(state, "sluice"),
    });
    await sluice.printed(greeted);
    const printed = sluice.output();
    const { port, username, password, prosodySecret, ejabberdSecret } = pasted(printed);

    expect(printed).toMatch(/^ {2}udp:\/\/0\.0\.0\.0:\d+.*\n {2}tcp:\/\/0\.0\.0\.0:\d+/m);
    expect(printed).toMatch(/^ {2}turn:[^ ]+:\d+\?transport=udp$/m);
    expect(printed).toMatch(/^ {2}turn:[^ ]+:\d+\?transport=tcp$/m);
    expect(printed).toMatch(/^Metrics: http:\/\/127\.0\.0\.1:\d+\/metrics$/m);
    const hours = (Number(username.split(":")[0]) * 1000 - Date.now()) / 3_600_000;
    expect(hours).toBeCloseTo(24, 1);

    const kept = join(state, "sluice", "secret");
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(statSync(join(state, "sluice")).mode & 0o777).toBe(0o700);
    expect([prosodySecret, ejabberdSecret]).toEqual(Array(2).fill(readFileSync(kept, "utf8").trim()));

    const invited = await client(port, { username, password });
    expect(await invited.allocate()).toMatchObject({ class: "success" });
    const ourselves = { xorPeerAddress: [{ address: "127.0.0.1", port: 9 }] };
    expect(await invited.ask("createPermission", ourselves)).toMatchObject({
      attributes: { errorCode: { code: 403 } },
    });
    const stranger = await client(port, { username, password: "guessed" });
    expect(await stranger.allocate()).toMatchObject({ attributes: { errorCode: { code: 401 } } });
  });

  test("takes the next free port when 3478 is taken, and says so", async () => {
    // Who has it already may be about to end. If somebody keeps it, it is as taken as can be.
    const occupied = async () => {
      const occupant = createSocket("udp4");
      onTestFinished(() => void occupant.close());
      occupant.bind({ address: "127.0.0.1", port: 3478, exclusive: true });
      await once(occupant, "listening");
    };
    await vi.waitFor(occupied, { timeout: 5000 }).catch(() => undefined);
    const sluice = startSluice(["serve", "--greeting", "--loopback"]);
    await sluice.printed(greeted, /port 3478 is taken/, /udp:\/\/0\.0\.0\.0:\d+ \(since port 3478 is taken\)/);
    const { port } = pasted(sluice.output());
    expect(port).not.toBe(3478);
    const someone = await client(port);
    expect(await someone.ask("binding")).toMatchObject({ class: "success" });
  });

  test("keeps the secret from one start to the next", async () => {
    const env = { STATE_DIRECTORY: newFolder() };
    const secrets: string[] = [];
    for (let start = 0; start < 2; start += 1) {
      const sluice = startSluice(["serve", "--greeting", ...loopbackPort], env);
      await sluice.printed(greeted);
      secrets.push(pasted(sluice.output()).prosodySecret);
      sluice.kill("SIGTERM");
      expect(await sluice.ended).toBe(0);
    }
    expect(secrets[0]).toMatch(/^.{40,}$/);
    expect(secrets[1]).toBe(secrets[0]);
  });

  test("prints no secret and no credential where there is no terminal, and what is logged is JSON to the last line", async () => {
    const state = newFolder();
    const sluice = startSluice(["serve", ...loopbackPort], { STATE_DIRECTORY: state });
    await sluice.printed(/"msg":"metrics"/, /--greeting prints it/);
    const secret = readFileSync(join(state, "secret"), "utf8").trim();
    sluice.kill("SIGTERM");
    expect(await sluice.ended).toBe(0);
    expect(sluice.output()).not.toContain(secret);
    expect(sluice.output()).not.toMatch(/credential: |turn_external_secret/);
    for (const line of sluice.stdout().trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("msg");
  });

  test("prints what to paste on a terminal, unasked", async () => {
    const sluice = startOnTerminal(["serve", ...loopbackPort]);
    await sluice.printed(greeted);
    expect(sluice.output()).toMatch(/turn_external_secret = ".+"/);
    expect(sluice.output()).not.toContain("--greeting prints it");
  });

  test("prints what to paste on the terminal that is left, where the log goes elsewhere", async () => {
    const log = join(newFolder(), "log");
    const sluice = startOnTerminal(["serve", ...loopbackPort], ` > ${log}`);
    await sluice.printed(greeted);
    expect(readFileSync(log, "utf8")).not.toContain("turn_external_secret");
  });

  test("ends with 69 when others may read the secret", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "secret"), "seen-by-all\n");
    chmodSync(join(folder, "secret"), 0o644);
    const sluice = startSluice(["serve", ...loopbackPort], { STATE_DIRECTORY: folder });
    expect(await sluice.ended).toBe(69);
    expect(sluice.stderr()).toContain(`others may read ${join(folder, "secret")} (mode 0644)`);
    expect(sluice.stdout()).not.toContain("seen-by-all");
  });

  test("says loudly that loopback peers are allowed, and relays on loopback", async () => {
    const sluice = startSluice(["serve", "--greeting", ...loopbackPort, "--loopback"]);
    await sluice.printed(greeted, /"level":"warn".*LOOPBACK PEERS ARE ALLOWED/);
    expect(sluice.output()).toMatch(/^LOOPBACK PEERS ARE ALLOWED/m);
    expect(sluice.output()).toMatch(/relays on 127\.0\.0\.1/);
    const { port, ...who } = pasted(sluice.output());
    const invited = await client(port, who);
    await invited.allocate();
    const peer = { xorPeerAddress: [{ address: "127.0.0.1", port: 9 }] };
    expect(await invited.ask("createPermission", peer)).toMatchObject({ class: "success" });
  });
});

describe.runIf(needs("openssl"))("a certificate", () => {
  const tlsOf = (certificate: string, key: string) => [
    ...[
      "serve",
      "--greeting",
      "--listen",
      "udp://127.0.0.1:0",
      "--listen",
      "tls://127.0.0.1:0",
      "--metrics",
      "none",
      "--loopback",
    ],
    ...["--tls-certificate", certificate, "--tls-key", key],
  ];

  test("makes a turns: URI, and lines to paste", async () => {
    const { certificate, key } = makeCertificate(newFolder(), ["relay.example.org"]);
    const sluice = startSluice(tlsOf(certificate, key));
    await sluice.printed(greeted);
    const port = /^ {2}tls:\/\/127\.0\.0\.1:(\d+)$/m.exec(sluice.output())?.[1];
    expect(sluice.output()).toContain(`\n  turns:relay.example.org:${port}?transport=tcp\n`);
    expect(sluice.output()).toContain(`\n  turn_external_host = "relay.example.org"\n`);
    expect(sluice.output()).toContain(`\n  turn_external_tls_port = ${port}\n`);
    expect(sluice.output()).toContain(`{ type: turns, host: "relay.example.org", port: ${port}, transport: tcp,`);
  });

  test("is read anew on SIGHUP, and a broken one is told of while the old one stays", async () => {
    const folder = newFolder();
    const { certificate, key } = makeCertificate(folder, ["old.example.org"]);
    const sluice = startSluice(tlsOf(certificate, key));
    await sluice.printed(greeted, /"names":"old\.example\.org"/);
    const port = Number(/tls:\/\/127\.0\.0\.1:(\d+)/.exec(sluice.output())?.[1]);
    const shown = () =>
      new Promise((resolve, reject) => {
        const client = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
          resolve(client.getPeerCertificate().subject.CN);
          client.destroy();
        }).on("error", reject);
      });
    makeCertificate(folder, ["new.example.org"]);
    sluice.kill("SIGHUP");
    await sluice.printed(/"names":"new\.example\.org"/);
    expect(await shown()).toBe("new.example.org");
    writeFileSync(certificate, "broken");
    sluice.kill("SIGHUP");
    await sluice.printed(/"level":"error".*the old one stays/);
    expect(await shown()).toBe("new.example.org");
  });
});

describe("the lists of peers", () => {
  test("are read anew on SIGHUP, and a broken file is told of while the former ones stay", async () => {
    const file = join(newFolder(), "sluice.yaml");
    const rest = "listen: [udp://127.0.0.1:0]\nmetrics: none\nloopback: true\nuser: { alice: a }\n";
    writeFileSync(file, rest);
    const sluice = startSluice(["serve", "--config", file]);
    await sluice.printed(/"transport":"udp","at":"127\.0\.0\.1:\d+","msg":"listening"/);
    const port = Number(/"at":"127\.0\.0\.1:(\d+)"/.exec(sluice.output())?.[1]);
    const alice = await client(port, { username: "alice", password: "a" });
    await alice.allocate();
    const permission = async () =>
      (await alice.ask("createPermission", { xorPeerAddress: [{ address: "127.0.0.2", port: 9 }] }))?.class;
    expect(await permission()).toBe("success");
    writeFileSync(file, `${rest}peers: { deny: [127.0.0.2/32] }\n`);
    sluice.kill("SIGHUP");
    await sluice.printed(/"denied":1,"msg":"peers read"/);
    expect(await permission()).toBe("error");
    writeFileSync(file, `${rest}peers: { deny: [everybody] }\n`);
    sluice.kill("SIGHUP");
    await sluice.printed(/"level":"error".*stay as they were/);
    expect(await permission()).toBe("error");
  });
});

describe("flags", () => {
  test("are all taken", async () => {
    const sluice = startSluice([
      ...["serve", "--greeting", "--listen", "udp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"],
      ...["--user", "alice:with:colons", "--user", "bob:b", "--secret", "shared", "--realm", "example.org"],
      ...["--relay-address", "127.0.0.1", "--relay-ports", "50000-50100", "--dataplane", "portable"],
      ...["--metrics", "http://127.0.0.1:0", "--loopback"],
    ]);
    await sluice.printed(greeted);
    const { port, ...minted } = pasted(sluice.output());
    expect(sluice.output()).toMatch(/relays on 127\.0\.0\.1, UDP ports 50000-50100\./);
    const [expected] = authenticator({ users: new Map(), secrets: ["shared"] })(minted.username, Date.now());
    expect(minted.password).toBe(expected?.password);

    for (const who of [minted, { username: "alice", password: "with:colons" }, { username: "bob", password: "b" }]) {
      const invited = await client(port, who);
      const answer = await invited.allocate();
      expect(answer?.class).toBe("success");
      const relayed = answer?.attributes.xorRelayedAddress?.[0];
      expect(relayed?.address).toBe("127.0.0.1");
      expect(relayed?.port).toBeGreaterThanOrEqual(50_000);
      expect(relayed?.port).toBeLessThanOrEqual(50_100);
    }
  });

  test("win over the file, and with a file nothing is greeted", async () => {
    const file = join(newFolder(), "sluice.yaml");
    writeFileSync(file, "listen: [udp://127.0.0.1:0]\nmetrics: none\nrealm: of-the-file\nuser: { alice: a }\n");
    const sluice = startSluice(["serve", "--greeting", "--config", file, "--realm", "of-the-flag"]);
    await sluice.printed(/"transport":"udp","at":"127\.0\.0\.1:\d+","msg":"listening"/);
    const port = Number(/"at":"127\.0\.0\.1:(\d+)"/.exec(sluice.output())?.[1]);
    const someone = await client(port);
    expect((await someone.ask("allocate", { requestedTransport: 17 }))?.attributes.realm).toBe("of-the-flag");
    for (const line of sluice.output().trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("msg");
  });

  test("that are wrong end it with 78, all named at once", async () => {
    const sluice = startSluice(["serve", "--listen", "http://x", "--relay-ports", "9-1", "--metrics", "there"]);
    expect(await sluice.ended).toBe(78);
    expect(sluice.stderr().match(/^--[\w-]+: expected/gm)).toEqual([
      "--listen: expected",
      "--relay-ports: expected",
      "--metrics: expected",
    ]);
  });

  test("with half a user end it with 78", async () => {
    const sluice = startSluice(["serve", "--user", "alice"]);
    expect(await sluice.ended).toBe(78);
    expect(sluice.stderr()).toBe("--user: expected name:password\n");
  });
});

describe("a port that was asked for and is taken", () => {
  test("ends it with 69 and names the port", async () => {
    const occupant = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void occupant.close());
    await once(occupant, "listening");
    const { port } = occupant.address() as { port: number };
    const sluice = startSluice(["serve", "--listen", `tcp://127.0.0.1:${port}`]);
    expect(await sluice.ended).toBe(69);
    expect(sluice.stderr()).toMatch(
      new RegExp(`^cannot listen on tcp 127.0.0.1 port ${port}: .*EADDRINUSE.* \\(another program has it\\)\n$`),
    );
  });

  test("is named when it is the one for metrics, too", async () => {
    const occupant = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void occupant.close());
    await once(occupant, "listening");
    const { port } = occupant.address() as { port: number };
    const listen = ["--listen", "udp://127.0.0.1:0", "--metrics", `http://127.0.0.1:${port}`];
    const sluice = startSluice(["serve", ...listen]);
    expect(await sluice.ended).toBe(69);
    expect(sluice.stderr()).toMatch(new RegExp(`^cannot serve metrics on 127.0.0.1 port ${port}: .*EADDRINUSE`));
  });
});

describe("a reader of the output who goes away", () => {
  test("does not stop it, nor keep it from stopping", async () => {
    const sluice = startSluice(["serve", "--greeting", ...loopbackPort, "--user", "alice:a", "--loopback"]);
    await sluice.printed(greeted);
    sluice.stopReading();
    const { port, ...who } = pasted(sluice.output());
    const invited = await client(port, who);
    expect(await invited.allocate()).toMatchObject({ class: "success" });
    expect(await invited.ask("refresh", { lifetime: 0 })).toMatchObject({ class: "success" });
    sluice.kill("SIGTERM");
    expect(await sluice.ended).toBe(0);
  });
});

describe("a signal", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s stops it cleanly, with an allocation open", async (signal) => {
    const sluice = startSluice(["serve", "--greeting", ...loopbackPort, "--user", "alice:a", "--loopback"]);
    await sluice.printed(greeted);
    const { port, ...who } = pasted(sluice.output());
    const invited = await client(port, who);
    expect(await invited.allocate()).toMatchObject({ class: "success" });
    sluice.kill(signal);
    expect(await sluice.ended).toBe(0);
    expect(sluice.stdout()).toMatch(/"msg":"stopping".*"msg":"stopped"/s);
  });
});
