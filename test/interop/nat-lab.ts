// NATs of every kind, built of network namespaces and nftables: clients behind them, a relay before them. Nothing of
// it is in the machine's own network.
//
//   client 10.0.n.2 ── 10.0.n.1 NAT 198.51.100.x ── relay 192.0.2.1 and 192.0.2.2

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { vi } from "vitest";
import type { Discovery } from "../../src/discover/discover.ts";
import { type Outcome, run } from "./program.ts";

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
export const server = { primary: "192.0.2.1", alternate: "192.0.2.2" };

/** The client's address, and the NAT's own outside. */
interface Place {
  readonly client: string;
  readonly outside: string;
}

/** A NAT and what is behind it, with the namespaces of both. */
interface Household extends Place {
  readonly nat: string;
  readonly inside: string;
}

/** As nftables does it. Ports stay as they are, but for the symmetric one. */
const rules = {
  none: () => "",
  "symmetric-firewall": () =>
    "table ip firewall { chain forward { type filter hook forward priority filter; iif wan ct state new drop; }; }",
  "full-cone": ({ client, outside }: Place) =>
    natTable(`ip saddr ${client} snat to ${outside}`, `ip daddr ${outside} dnat to ${client}`),
  "address-restricted": ({ client, outside }: Place) =>
    natTable(`oif wan snat to ${outside}`, `iif wan ip saddr . udp dport @contacted dnat to ${client}`),
  "port-restricted": () => natTable("oif wan masquerade"),
  symmetric: () => natTable("oif wan masquerade random,fully-random"),
} as const;

export type NatKind = keyof typeof rules;

function natTable(outgoing: string, incoming = ""): string {
  return `table ip nat {
    set contacted { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; }
    chain forward { type filter hook forward priority filter; iif lan add @contacted { ip daddr . udp sport }; }
    chain input { type filter hook input priority filter; iif wan drop; }
    chain incoming { type nat hook prerouting priority dstnat; ${incoming}; }
    chain outgoing { type nat hook postrouting priority srcnat; ${outgoing}; }
  }`;
}

export class NatLab {
  readonly #name = `sluice-${process.pid}`;
  /** The namespace of the relay. */
  readonly #outside = `${this.#name}-relay`;
  readonly #namespaces: string[] = [];
  #folder: string | undefined;
  #relay: ChildProcess | undefined;
  readonly #clients = new Map<NatKind, Household>();

  /** Resolves when the relay says that it listens. */
  async start(): Promise<void> {
    process.once("exit", this.#remove);
    this.#addNamespace("relay");
    for (const address of Object.values(server)) this.#ip(this.#outside, `addr add ${address}/32 dev lo`);
    this.#folder = mkdtempSync(join(tmpdir(), "sluice-nat-lab-"));
    const file = join(this.#folder, "sluice.yaml");
    writeFileSync(
      file,
      `listen: [udp://${server.primary}:3478, tcp://${server.primary}:3478]
relay-address: ${server.primary}
nat-discovery: { alternate-address: ${server.alternate} }
secret: rabbit
metrics: none
`,
    );
    const command = ["netns", "exec", this.#outside, process.execPath, program, "serve", "--config", file];
    const relay = spawn("ip", command, { stdio: ["ignore", "pipe", "inherit"] });
    this.#relay = relay;
    let output = "";
    relay.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    await vi.waitFor(() => {
      if (!output.includes('"relaying"')) throw new Error(`the relay does not listen: ${output}`);
    }, 15_000);
  }

  /** What `sluice discover` finds out behind a NAT of this kind. */
  async discoverBehind(kind: NatKind): Promise<Discovery> {
    const { output } = await this.runBehind(kind, process.execPath, [program, "discover", server.primary, "--json"]);
    return JSON.parse(output);
  }

  runBehind(kind: NatKind, name: string, args: readonly string[]): Promise<Outcome> {
    return run("ip", ["netns", "exec", this.behind(kind).inside, name, ...args]);
  }

  /** Before all NATs, where the relay is. */
  runOutside(name: string, args: readonly string[]): Promise<Outcome> {
    return run("ip", ["netns", "exec", this.#outside, name, ...args]);
  }

  /** The network behind a NAT of this kind. */
  behind(kind: NatKind): Household {
    return this.#clients.get(kind) ?? this.#addClient(kind);
  }

  /** Gives a NAT another outside address, as a provider does overnight, and returns that. */
  renumber(kind: NatKind): string {
    const { nat, client, outside: former } = this.behind(kind);
    const outside = "203.0.113.77";
    this.#ip(nat, `addr add ${outside}/32 dev wan`);
    this.#ip(this.#outside, `route add ${outside}/32 via ${former}`);
    this.#run("ip", ["netns", "exec", nat, "nft", "flush", "ruleset"]);
    this.#run("ip", ["netns", "exec", nat, "nft", rules[kind]({ client, outside })]);
    return outside;
  }

  async close(): Promise<void> {
    process.removeListener("exit", this.#remove);
    const ended = this.#relay && once(this.#relay, "exit");
    this.#remove();
    await ended;
  }

  #addClient(kind: NatKind): Household {
    const number = this.#clients.size;
    const [nat, inside] = [this.#addNamespace(`nat-${number}`), this.#addNamespace(`client-${number}`)];
    const [gateway, outside] = [`198.51.100.${number * 4 + 1}`, `198.51.100.${number * 4 + 2}`];
    const client = `10.0.${number}.2`;

    this.#ip(this.#outside, `link add nat${number} type veth peer name wan netns ${nat}`);
    this.#ip(this.#outside, `addr add ${gateway}/30 dev nat${number}`);
    this.#ip(this.#outside, `link set nat${number} up`);
    this.#ip(nat, `addr add ${outside}/30 dev wan`);
    this.#ip(nat, "link set wan up");
    this.#ip(nat, `route add default via ${gateway}`);

    this.#ip(nat, `link add lan type veth peer name eth0 netns ${inside}`);
    this.#ip(nat, `addr add 10.0.${number}.1/24 dev lan`);
    this.#ip(nat, "link set lan up");
    this.#ip(inside, `addr add ${client}/24 dev eth0`);
    this.#ip(inside, "link set eth0 up");
    this.#ip(inside, `route add default via 10.0.${number}.1`);

    this.#run("ip", ["netns", "exec", nat, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    // Of use only where nothing is translated.
    this.#ip(this.#outside, `route add ${client}/32 via ${outside}`);
    this.#run("ip", ["netns", "exec", nat, "nft", rules[kind]({ client, outside })]);
    const household = { nat, inside, client, outside };
    this.#clients.set(kind, household);
    return household;
  }

  #addNamespace(role: string): string {
    const namespace = `${this.#name}-${role}`;
    this.#run("ip", ["netns", "add", namespace]);
    this.#namespaces.push(namespace);
    this.#ip(namespace, "link set lo up");
    return namespace;
  }

  #ip(namespace: string, command: string): void {
    this.#run("ip", ["-n", namespace, ...command.split(" ")]);
  }

  #run(command: string, args: readonly string[]): void {
    execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  }

  readonly #remove = (): void => {
    this.#relay?.kill("SIGKILL");
    for (const namespace of this.#namespaces.splice(0)) this.#run("ip", ["netns", "delete", namespace]);
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  };
}
