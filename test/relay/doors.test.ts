// Listeners as clients, the XMPP server and the peer policy are told of them.

import { expect, test } from "vitest";
import type { Listener, Transport } from "../../src/contract.ts";
import { asMet, doorsOf, endpointsOf, servicesOf, urisOf } from "../../src/relay/doors.ts";

function listener(transport: Transport, address: string, port = 3478): Listener {
  return { socket: 1, transport, at: { address, port } };
}

const natted = [{ bind: "10.0.0.5", external: "203.0.113.5" }, { bind: "2001:db8::5" }];

test("a wildcard listener is offered where relay ports are, as the world sees them, and each place once", () => {
  const listeners = [
    listener("udp", "0.0.0.0"),
    listener("tcp", "::"),
    listener("udp", "10.0.0.5"),
    listener("udp", "10.0.0.6"),
  ];
  expect(doorsOf(listeners, natted).map(({ transport, host }) => `${transport} ${host}`)).toEqual([
    "udp 203.0.113.5",
    "tcp 2001:db8::5",
    "udp 10.0.0.6",
  ]);
});

test("a wildcard listener of a family without relay addresses is offered nowhere", () => {
  expect(doorsOf([listener("udp", "::")], [{ bind: "10.0.0.5" }])).toEqual([]);
});

test("XEP-0215 hears of STUN over UDP without a transport, and of TURN with one, each once", () => {
  const door = { host: "turn.example.org", port: 3478 };
  expect(
    servicesOf([
      { transport: "udp", ...door },
      { transport: "tcp", ...door },
      { transport: "udp", ...door },
    ]),
  ).toEqual([
    { type: "stun", ...door },
    { type: "turn", ...door, transport: "udp" },
    { type: "turn", ...door, transport: "tcp" },
  ]);
});

test("who connects over TLS is given a name to check, and XEP-0215 calls it turns", () => {
  const listeners = [listener("tls", "0.0.0.0", 5349), listener("tls", "::", 5349)];
  const door = { host: "relay.example.org", port: 5349 };
  expect(doorsOf(listeners, natted, "relay.example.org")).toEqual([{ transport: "tls", ...door }]);
  expect(doorsOf(listeners, natted).map(({ host }) => host)).toEqual(["203.0.113.5", "2001:db8::5"]);
  expect(servicesOf([{ transport: "tls", ...door }])).toEqual([{ type: "turns", ...door, transport: "tcp" }]);
  expect(servicesOf([{ transport: "dtls", ...door }])).toEqual([{ type: "turns", ...door, transport: "udp" }]);
  expect(doorsOf([listener("dtls", "0.0.0.0", 5349)], natted, "relay.example.org")[0]?.host).toBe("relay.example.org");
});

test("a listener for any stream is one of TCP and one of TLS", () => {
  const any = listener("tcp", "192.0.2.1", 443);
  expect(asMet("any", any)).toEqual([any, { ...any, transport: "tls" }]);
  expect(asMet("tcp", any)).toEqual([any]);
});

test("a listener is met at every address it takes, inside and outside of a NAT", () => {
  const machine = ["127.0.0.1", "10.0.0.5", "::1"];
  const addresses = (at: Listener) => endpointsOf(at, natted, machine).map(({ address }) => address);
  expect(addresses(listener("udp", "0.0.0.0"))).toEqual(["0.0.0.0", "127.0.0.1", "10.0.0.5", "203.0.113.5"]);
  expect(addresses(listener("udp", "::"))).toEqual(["::", "::1"]);
  expect(addresses(listener("udp", "10.0.0.5"))).toEqual(["10.0.0.5", "203.0.113.5"]);
});

test("a URI names host, port and transport, an IPv6 address in brackets, TLS in its scheme, and DTLS last", () => {
  const doors = [
    { transport: "udp", host: "turn.example.org", port: 3478 },
    { transport: "dtls", host: "turn.example.org", port: 5349 },
    { transport: "tcp", host: "2001:db8::5", port: 3478 },
    { transport: "tcp", host: "turn.example.org", port: 3478 },
    { transport: "tls", host: "turn.example.org", port: 5349 },
  ] as const;
  expect(urisOf(doors, true)).toEqual([
    "turn:turn.example.org:3478?transport=udp",
    "turn:[2001:db8::5]:3478?transport=tcp",
    "turn:turn.example.org:3478?transport=tcp",
    "turns:turn.example.org:5349?transport=tcp",
    "turns:turn.example.org:5349?transport=udp",
  ]);
  expect(urisOf(doors, false), "where nothing is relayed").toEqual([
    "stun:turn.example.org:3478",
    "stun:[2001:db8::5]:3478",
    "stuns:turn.example.org:5349",
  ]);
});
