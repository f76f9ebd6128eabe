// What has gone wrong in STUN and TURN servers before, named after where it was found. Not the letter of an RFC, but a
// server that fails here can be abused. The addresses of the run may be loopback, so only what no one may reach is tried.

import { restCredential, supportedOr } from "./bench.ts";
import { describe, expectError, expectSuccess } from "./client.ts";
import { must, notSupported, notTried, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const { attribute } = wire;

/** No unicast address of one machine, however liberal the configuration. */
const nobodys = ["0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255"];
const nobodys6 = ["::", "ff02::1", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "64:ff9b::7f00:1"];

async function allRefused(
  ask: (peer: wire.Endpoint) => Promise<wire.Reading>,
  addresses: readonly string[],
): Promise<string> {
  for (const address of addresses) {
    const reply = await ask({ address, port: 9 });
    must([400, 403, 443].includes(wire.errorCodeOf(reply)), `${address} is answered with ${describe(reply)}`);
  }
  return `${addresses.length} addresses refused`;
}

export const peers: readonly Requirement[] = [
  {
    section: "CVE-2020-26262",
    level: "MUST",
    says: "CreatePermission refuses unspecified, multicast and broadcast IPv4 addresses",
    check: async (bench) => {
      const { client } = await bench.allocation();
      return allRefused((peer) => client.createPermission(peer), nobodys);
    },
  },
  {
    section: "CVE-2020-26262",
    level: "MUST",
    says: "ChannelBind refuses unspecified, multicast and broadcast IPv4 addresses",
    check: async (bench) => {
      const { client } = await bench.allocation();
      return allRefused((peer) => client.bindChannel(0x4000, peer), nobodys);
    },
  },
  {
    section: "CVE-2026-27624",
    level: "MUST",
    says: "CreatePermission refuses unspecified and multicast IPv6 addresses, and IPv4 ones wrapped in IPv6",
    check: async (bench) => {
      const { client } = await bench.allocation6();
      return allRefused((peer) => client.createPermission(peer), nobodys6);
    },
  },
  {
    section: "CVE-2026-27624",
    level: "MUST",
    says: "ChannelBind refuses unspecified and multicast IPv6 addresses, and IPv4 ones wrapped in IPv6",
    check: async (bench) => {
      const { client } = await bench.allocation6();
      return allRefused((peer) => client.bindChannel(0x4000, peer), nobodys6);
    },
  },
  {
    section: "port 0",
    level: "MUST",
    says: "ChannelBind to port 0 is refused",
    check: async (bench) => {
      const [{ client }, peer] = [await bench.allocation(), await bench.peer()];
      return expectError(await client.bindChannel(0x4000, { ...peer.at, port: 0 }), 400, 403);
    },
  },
  {
    section: "loop",
    level: "MUST",
    says: "A relayed address does not reach the server's own listener (RFC 8656 section 21.1.7)",
    check: async (bench) => {
      const { server } = bench;
      if (server.address.includes(":")) notTried("needs a server on IPv4");
      const [{ client, relayed }, peer] = [await bench.allocation(), await bench.peer()];
      expectSuccess(await client.createPermission(peer.at));
      const own = await client.createPermission(server);
      if (wire.errorCodeOf(own) !== 0) return `the permission is refused: ${expectError(own, 403)}`;
      client.sendTo(server, wire.message(wire.method.binding));
      await client.mark();
      client.sendTo(peer.at, "there");
      await peer.expect("there");
      peer.send(relayed, "and back");
      const first = await client.next("the marker", ({ message }) => message?.type === 0x0017);
      const payload = first.message && wire.find(first.message, attribute.data)?.value;
      must(payload?.equals(Buffer.from("and back")), "the listener answered through the relay");
      return "the listener did not answer";
    },
  },
];

/** Usernames of the time-limited kind whose expiry is past, or is no time at all. */
function badRestNames(): string[] {
  const now = Math.floor(Date.now() / 1000);
  const times = [now - 1, now - 100_000, 0, -1, "", "1e99", "0x7fffffff", " ", "Infinity", "NaN", "٢٠٩٩", "99:99", "+"];
  return [...times.map((time) => `${time}:joe`), "joe", ":", "joe:joe"];
}

export const authentication: readonly Requirement[] = [
  {
    section: "nonce",
    level: "MUST",
    says: "A nonce given to one port is not valid for another",
    check: async (bench) => {
      const [one, other] = [await bench.client(), await bench.client()];
      const { nonce } = await one.challenge();
      await other.challenge();
      return expectError(await other.ask(wire.method.refresh, [], { nonce }), 438);
    },
  },
  {
    section: "nonce",
    level: "MUST",
    says: "A nonce with one bit changed anywhere is not valid",
    check: async (bench) => {
      const client = await bench.client();
      const { nonce } = await client.challenge();
      for (let at = 0; at < nonce.length; at++) {
        const changed = Buffer.from(nonce);
        changed[at] = (changed[at] ?? 0) ^ 1;
        const reply = await client.ask(wire.method.refresh, [], { nonce: changed });
        must(wire.errorCodeOf(reply) === 438, `byte ${at} changed: ${describe(reply)}`);
      }
      return `${nonce.length} changed nonces refused`;
    },
  },
  {
    section: "REST expiry",
    level: "MUST",
    says: "A shared-secret credential that has expired, or whose time is no number, is refused",
    check: async (bench) => {
      const secret = bench.subject.secret ?? notTried("needs --secret");
      const client = await bench.client();
      const names = badRestNames();
      for (const name of names) {
        const reply = await client.ask(wire.method.refresh, [], { credential: restCredential(secret, name) });
        must([400, 401, 441].includes(wire.errorCodeOf(reply)), `"${name}" is answered with ${describe(reply)}`);
      }
      return `${names.length} usernames refused`;
    },
  },
  {
    section: "names",
    level: "MUST",
    says: "Usernames of control characters, format strings, quotes and paths are unknown users and nothing else",
    check: async (bench) => {
      const client = await bench.client();
      const names = [
        "%n%n%s%p",
        "'; drop table users; --",
        "a\r\nb",
        "a\0b",
        "\u001b[31m",
        "../../etc/passwd",
        '"',
        "",
      ];
      for (const username of names) {
        const reply = await client.ask(wire.method.refresh, [], { credential: { username, password: "none" } });
        must([400, 401, 441].includes(wire.errorCodeOf(reply)), `${JSON.stringify(username)}: ${describe(reply)}`);
      }
      return `${names.length} names refused`;
    },
  },
  {
    section: "reservations",
    level: "MUST",
    says: "Reservation tokens are not to be guessed: they hold no port and no counter",
    check: async (bench) => {
      const tokens: Buffer[] = [];
      for (let i = 0; i < 4; i++) {
        const reply = await (await bench.client()).allocate(wire.evenPort(true));
        supportedOr(reply, "a reservation");
        const token = wire.find(reply, attribute.reservationToken)?.value ?? notSupported("no token was given");
        const [relayed] = wire.xorAddresses(reply, attribute.xorRelayedAddress);
        const port = Buffer.of((relayed?.port ?? 0) >> 8, ((relayed?.port ?? 0) + 1) & 255);
        must(!token.includes(port), `the token ${token.toString("hex")} holds the port 0x${port.toString("hex")}`);
        tokens.push(token);
      }
      const halves = new Set(tokens.flatMap((token) => [token.toString("hex", 0, 4), token.toString("hex", 4, 8)]));
      must(halves.size === 8, `tokens share halves: ${tokens.map((token) => token.toString("hex")).join(" ")}`);
      return "four tokens with nothing in common";
    },
  },
];

export const parsing: readonly Requirement[] = [
  {
    section: "CVE-2020-4067",
    level: "MUST",
    says: "The padding of ChannelData over TCP is zero and holds nobody's memory",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await bench.allocation({ transport: "tcp" }), await bench.peer()];
      expectSuccess(await client.bindChannel(0x4000, peer.at));
      for (const payload of [
        "a longer one, so that a reused buffer has something to show",
        "1",
        "12",
        "123",
        "12345",
      ]) {
        peer.send(relayed, payload);
        const { bytes } = await client.next("ChannelData", (frame) => frame.channelData !== undefined);
        const padding = bytes.subarray(4 + payload.length);
        must(
          padding.every((byte) => byte === 0),
          `padding ${padding.toString("hex")}`,
        );
      }
      return "zero";
    },
  },
  {
    section: "16-bit lengths",
    level: "MUST",
    says: "An attribute of 65,528 bytes over TCP is taken or refused, and does not put the stream out of step",
    check: async (bench) => {
      const client = await bench.client({ transport: "tcp" });
      const huge = wire.attributeOf(attribute.software, Buffer.alloc(65_528, "x"));
      client.send(wire.message(wire.method.binding, [huge]));
      const isEnded = client.connection.ended.then(() => "the server ended the connection");
      const isInStep = client.mark().then(() => "the next request was answered");
      const seen = await Promise.race([isEnded, isInStep]);
      await (await bench.client({ transport: "tcp" })).mark();
      return seen;
    },
  },
  {
    section: "other protocols",
    level: "MUST",
    says: "Datagrams that begin like DTLS, ZRTP, RTP or QUIC are not answered in STUN",
    check: async (bench) => {
      const client = await bench.client();
      await client.mark();
      for (const first of [16, 22, 63, 64, 80, 128, 144, 191, 192, 255]) {
        client.send(Buffer.concat([Buffer.of(first), wire.message(wire.method.binding).subarray(1)]));
      }
      await client.expectNothing();
      return "ten first bytes, no reply";
    },
  },
];

export const reflection: readonly Requirement[] = [
  {
    section: "reflection",
    level: "SHOULD",
    says: "The answer to a bare Binding request is at most 1.6 times as long",
    check: async (bench) => {
      const { length } = (await (await bench.client()).request(wire.method.binding)).bytes;
      must(length <= 1.6 * wire.headerBytes, `${length} bytes for ${wire.headerBytes}`);
      return `${length} bytes for ${wire.headerBytes}`;
    },
  },
  {
    section: "reflection",
    level: "SHOULD",
    says: "The 401 to the shortest Allocate is at most 2.5 times as long",
    check: async (bench) => {
      const { length } = (await (await bench.client()).askForChallenge()).reply.bytes;
      must(length <= 2.5 * 28, `${length} bytes for 28`);
      return `${length} bytes for 28`;
    },
  },
];
