// `sluice discover HOST[:PORT]`: what kind of NAT stands between this machine and a server, and how to get through.

import { isIPv6 } from "node:net";
import { Command, InvalidArgumentError, Option } from "commander";
import { Unavailable } from "../contract.ts";
import { discover } from "../discover/discover.ts";
import { report } from "../discover/report.ts";
import { telling } from "./failures.ts";

interface Flags {
  readonly json: boolean;
  readonly lifetime: boolean;
  readonly family?: "4" | "6";
  readonly tlsPort: number;
}

const defaultPort = 3478;
const defaultTlsPort = 5349;

export function discoverCommand(): Command {
  return new Command("discover")
    .summary("find out what kind of NAT this machine is behind")
    .description(
      "Asks a STUN server for the public address of this machine, and over UDP for the behaviour of the NAT before it. " +
        "For the latter the server needs two addresses (RFC 5780).",
    )
    .argument("<host[:port]>", "the server, an IPv6 address with a port in brackets", parsePlace)
    .option("--json", "print what was found as JSON", false)
    .option("--lifetime", "find out how long the NAT keeps an unused mapping; takes five minutes", false)
    .addOption(new Option("--family <family>", "use IPv4 or IPv6").choices(["4", "6"]))
    .option("--tls-port <port>", "where the server takes TLS", parsePort, defaultTlsPort)
    .action((place: Place, flags: Flags) => telling(() => run(place, flags)));
}

async function run(place: Place, { json, lifetime, family, tlsPort }: Flags): Promise<void> {
  const found = await discover({
    ...place,
    tlsPort,
    family: family === undefined ? undefined : family === "4" ? 4 : 6,
    asksLifetime: lifetime,
  });
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : report(found));
  const isReached = [found.udp, found.tcp, found.tls].some(({ mapped }) => mapped);
  if (!isReached) throw new Unavailable(`${place.host} does not answer`);
}

interface Place {
  readonly host: string;
  readonly port: number;
}

/** An IPv6 address without a port may stand by itself. */
function parsePlace(written: string): Place {
  if (isIPv6(written)) return { host: written, port: defaultPort };
  const { v6, host = v6, port } = /^(?:\[(?<v6>.+)\]|(?<host>[^:]+))(?::(?<port>.*))?$/.exec(written)?.groups ?? {};
  if (host === undefined) throw new InvalidArgumentError("expected HOST, HOST:PORT or [IPV6]:PORT");
  return { host, port: port === undefined ? defaultPort : parsePort(port) };
}

function parsePort(written: string): number {
  const port = Number(written);
  if (!/^\d+$/.test(written) || port < 1 || port > 65_535) throw new InvalidArgumentError("expected a port");
  return port;
}
