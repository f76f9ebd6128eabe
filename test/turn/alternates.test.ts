import { describe, expect, test } from "vitest";
import type { Transport } from "../../src/contract.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { decode, encode, type Message } from "../../src/stun/message.ts";
import { type AlternateServer, type AlternatesOptions, parseAlternateDoors } from "../../src/turn/alternates.ts";
import { authenticator } from "../../src/turn/credentials.ts";
import { offeredAlgorithms } from "../../src/turn/password-algorithms.ts";
import { type Client, codeOf, peer, secret, tcpListener, udpListener, users, World } from "./world.ts";

const udp = { requestedTransport: 17 };

function server(address: string, options: Partial<AlternateServer> & { urls?: readonly string[] } = {}) {
  const { urls = [`udp://${address}:3478`, `tcp://${address}:3478`, `tls://${address}:5349`], ...others } = options;
  return { at: urls.flatMap((url) => parseAlternateDoors(url) ?? []), weight: 1, ...others };
}

const one = server("203.0.113.1");

function worldWith(alternates: Partial<AlternatesOptions>, limits: { allocations?: number } = {}): World {
  const isOurs = ({ address, port }: { address: string; port: number }) =>
    [udpListener, tcpListener].some(({ at }) => at.address === address && at.port === port);
  return new World({ alternates: { servers: [one], when: "draining", isOurs, ...alternates }, limits });
}

function drain(world: World): void {
  expect(world.hears({ is: "ordered", order: { order: "drain" } })).toEqual([]);
}

/** Asks for an allocation with credentials, with a nonce that it has from elsewhere. */
function allocates(client: Client): Message {
  client.nonce ||= client.asksBare("refresh", { lifetime: 0, software: "a client" }).attributes.nonce ?? "";
  return client.asks("allocate", udp);
}

/** Where a client is sent, in order; nothing if it is not. */
function sentTo(answer: Message): readonly string[] {
  const { alternateServer = [] } = answer.attributes;
  expect(codeOf(answer) === 300).toBe(alternateServer.length > 0);
  return alternateServer.map(({ address, port }) => `${address} ${port}`);
}

describe("while a relay drains", () => {
  test("a new allocation is sent elsewhere, with the integrity of who asked, and nothing is opened for it", () => {
    const world = worldWith({});
    const client = world.client();
    drain(world);
    const answer = allocates(client);
    expect(sentTo(answer)).toEqual(["203.0.113.1 3478"]);
    expect(answer.attributes.errorCode?.reason).toBe("Try Alternate");
    expect(world.actions.map((action) => action.do)).toEqual(["send"]);
    expect(world.server.allocations()).toEqual([]);
  });

  test("where there is no alternate it is refused with 508", () => {
    const world = worldWith({ servers: [] });
    drain(world);
    expect(codeOf(allocates(world.client()))).toBe(508);
  });

  test("an allocation that is there goes on: refreshed, with new permissions, and its Allocate said again", () => {
    const world = worldWith({});
    const client = world.client();
    client.fetchNonce();
    const allocate = client.sign(client.request("allocate", udp));
    const [first] = client.sends(allocate);
    drain(world);
    expect(client.sends(allocate)).toEqual([first]);
    expect(codeOf(allocates(client))).toBe(437);
    for (let passed = 0; passed < 3600; passed += 300) {
      world.passes(300);
      client.nonce = "";
      expect(codeOf(client.asks("refresh"))).toBe(0);
      expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(0);
    }
    expect(world.server.allocations()).toHaveLength(1);
    client.asks("refresh", { lifetime: 0 });
    expect(codeOf(allocates(client))).toBe(300);
  });

  test("a port that was reserved before is had all the same", () => {
    const world = worldWith({});
    const first = world.client();
    const { reservationToken } = first.asks("allocate", { ...udp, evenPort: { reservesNext: true } }).attributes;
    drain(world);
    const second = world.client("198.51.100.7", { port: 9 });
    const challenge = second.asksBare("allocate", { ...udp, reservationToken });
    expect(codeOf(challenge)).toBe(401);
    second.nonce = challenge.attributes.nonce ?? "";
    expect(codeOf(second.asks("allocate", { ...udp, reservationToken }))).toBe(0);
  });

  test("Binding requests are answered as ever (RFC 8489 section 12)", () => {
    const world = worldWith({ when: "always" });
    drain(world);
    expect(codeOf(world.client().asksBare("binding"))).toBe(0);
  });
});

describe("a client that has shown nothing yet", () => {
  const both = server("203.0.113.1", { urls: ["udp://203.0.113.1:3478", "udp://[2001:db8::1]:3478"] });

  test.each(["198.51.100.7", "2001:db8:7::7"])(
    "is sent elsewhere from %s at its first word, in few bytes",
    (address) => {
      const world = worldWith({ servers: [both] });
      drain(world);
      const client = world.client(address);
      const request = encode(client.request("allocate", udp));
      const [answer = new Uint8Array()] = client.sends(request);
      expect(decode(answer)?.attributes).toMatchObject({ errorCode: { code: 300, reason: "" } });
      expect(decode(answer)?.attributes.alternateServer).toHaveLength(2);
      expect(request.length).toBe(28);
      expect(answer.length).toBe(64);
    },
  );

  test("is asked for credentials where there is an allocation to be had, or no alternate", () => {
    expect(codeOf(worldWith({ when: "full" }).client().asksBare("allocate", udp))).toBe(401);
    const world = worldWith({ servers: [] });
    drain(world);
    expect(codeOf(world.client().asksBare("allocate", udp))).toBe(401);
  });

  test("is sent elsewhere where all allocations are taken", () => {
    const world = worldWith({ when: "full" }, { allocations: 1 });
    world.client("198.51.100.1").allocates();
    expect(codeOf(world.client("198.51.100.2").asksBare("allocate", udp))).toBe(300);
    expect(codeOf(world.client("198.51.100.2").asksBare("refresh", { lifetime: 0 }))).toBe(401);
  });

  test("counts against the reply budget of its network", () => {
    const world = new World({
      alternates: { servers: [both], when: "always", isOurs: () => false },
      replyRate: { repliesPerSecond: 1, burst: 3 },
    });
    const client = world.client();
    const answers = Array.from({ length: 10 }, () => client.sends(encode(client.request("allocate", udp))).length);
    expect(answers.filter((count) => count > 0)).toHaveLength(3);
  });
});

describe("a client that shows credentials", () => {
  test("is not sent elsewhere with a wrong password", () => {
    const client = worldWith({ when: "always" }).client();
    client.nonce = client.asksBare("refresh", { lifetime: 0, software: "a client" }).attributes.nonce ?? "";
    client.password = "wrong";
    expect(codeOf(client.hearsBack(client.sign(client.request("allocate", udp))))).toBe(401);
  });

  test("is answered with the protection that its request had, SHA-256 if that was used", () => {
    const world = worldWith({ when: "always" });
    const client = world.client("198.51.100.7", { transport: "tls" });
    client.nonce = client.asksBare("refresh", { lifetime: 0 }).attributes.nonce ?? "";
    const choice = { passwordAlgorithms: offeredAlgorithms, passwordAlgorithm: offeredAlgorithms[1] };
    const request = client.sign(client.request("allocate", udp), { algorithm: "sha256" }, choice);
    const [answer = new Uint8Array()] = client.sends(request);
    expect(decode(answer)?.attributes.errorCode?.code).toBe(300);
    expect(isIntact(answer, client.key, "sha256")).toBe(true);
  });
});

describe("an alternate is named", () => {
  const both = server("203.0.113.1", {
    urls: ["udp://[2001:db8::1]:3478", "udp://203.0.113.1:3479", "tcp://203.0.113.1:3480", "any://203.0.113.2:443"],
  });

  test.each<[string, Transport, readonly string[]]>([
    ["198.51.100.7", "udp", ["203.0.113.1 3479", "2001:db8::1 3478"]],
    ["2001:db8:7::7", "udp", ["2001:db8::1 3478", "203.0.113.1 3479"]],
    ["198.51.100.7", "tcp", ["203.0.113.1 3480"]],
    ["198.51.100.7", "tls", ["203.0.113.2 443"]],
    ["2001:db8:7::7", "tls", []],
  ])("to %s over %s by its own transport, first of its family: %j", (address, transport, expected) => {
    const world = worldWith({ servers: [both], when: "always" });
    expect(sentTo(allocates(world.client(address, { transport })))).toEqual(expected);
  });

  test.each<[Transport, string | undefined]>([
    ["tls", "relay2.example.org"],
    ["tcp", undefined],
    ["udp", undefined],
  ])("over %s with the name in its certificate as %s", (transport, expected) => {
    const world = worldWith({ servers: [server("203.0.113.1", { name: "relay2.example.org" })], when: "always" });
    const { alternateDomain } = allocates(world.client("198.51.100.7", { transport })).attributes;
    expect(alternateDomain).toBe(expected);
  });

  test("but never ourselves, also if only one of its addresses is ours", () => {
    const ours = server("192.0.2.1", { weight: 1000 });
    const alsoOurs = server("203.0.113.9", { urls: ["udp://203.0.113.9:3478", "tcp://192.0.2.1:3478"], weight: 1000 });
    const world = worldWith({ servers: [ours, one, alsoOurs], when: "always" });
    for (let host = 1; host < 50; host++) {
      expect(sentTo(allocates(world.client(`198.51.100.${host}`)))).toEqual(["203.0.113.1 3478"]);
    }
  });

  test("by weight: three of four clients go to a server with three times the weight, and each always to the same", () => {
    const world = worldWith({ servers: [one, server("203.0.113.3", { weight: 3 })], when: "always" });
    let heavy = 0;
    for (let host = 0; host < 400; host++) {
      const client = world.client(`198.51.${host >> 8}.${host & 255}`);
      const first = sentTo(allocates(client));
      if (first[0] === "203.0.113.3 3478") heavy += 1;
      expect(sentTo(allocates(world.client(client.tuple.from.address, { port: 9 })))).toEqual(first);
    }
    expect(heavy).toBeGreaterThan(260);
    expect(heavy).toBeLessThan(340);
  });
});

describe("a relay that is full", () => {
  test.each<[AlternatesOptions["when"], number]>([
    ["draining", 508],
    ["full", 300],
    ["always", 300],
  ])("and sends clients elsewhere when %s answers %i", (when, code) => {
    const world = worldWith({ when }, { allocations: 1 });
    if (when !== "always") world.client("198.51.100.1").allocates();
    expect(codeOf(allocates(world.client("198.51.100.2")))).toBe(code);
  });

  test("of relay ports is full, too", () => {
    const world = worldWith({ when: "full" });
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    const [relay = 0] = world.opening;
    const actions = world.hears({ is: "relay-failed", relay, why: "exhausted" });
    const codes = actions.flatMap((action) =>
      action.do === "send" ? [decode(action.bytes)?.attributes.errorCode?.code] : [],
    );
    expect(codes).toEqual([300]);
    expect(world.server.allocations()).toEqual([]);
  });

  test("lets nobody pass his own quota by it", () => {
    const world = new World({
      alternates: { servers: [one], when: "full", isOurs: () => false },
      limits: { allocationsPerUser: 1 },
    });
    world.client("198.51.100.1").allocates();
    expect(codeOf(allocates(world.client("198.51.100.2")))).toBe(486);
  });
});

describe("a user whom somebody wants elsewhere", () => {
  function worldOf(alternate: AlternateServer): World {
    const known = authenticator({ users, secrets: [secret] });
    return new World({
      authenticate: (name, now) => known(name, now).map((credential) => ({ ...credential, alternate })),
      alternates: { servers: [one], when: "draining", isOurs: ({ address }) => address === "192.0.2.1" },
    });
  }

  test("is sent there, before any other", () => {
    const world = worldOf(server("203.0.113.77"));
    expect(sentTo(allocates(world.client()))).toEqual(["203.0.113.77 3478"]);
    drain(world);
    expect(sentTo(allocates(world.client()))).toEqual(["203.0.113.77 3478"]);
  });

  test.each([
    ["we are it", server("192.0.2.1")],
    ["it cannot be reached from there", server("", { urls: ["udp://[2001:db8::7]:3478", "tcp://203.0.113.77:1"] })],
  ])("is served here where %s; and while we drain sent to another", (_, alternate) => {
    const world = worldOf(alternate);
    world.client().allocates();
    drain(world);
    expect(sentTo(allocates(world.client("198.51.100.8")))).toEqual(["203.0.113.1 3478"]);
  });
});

test.each([
  ["udp://203.0.113.1:3478", ["udp"]],
  ["any://[2001:db8::1]:443", ["tcp", "tls"]],
  ["udp://203.0.113.1:0", undefined],
  ["udp://0.0.0.0:3478", undefined],
  ["tcp://[::]:3478", undefined],
  ["http://203.0.113.1:3478", undefined],
  ["udp://relay.example.org:3478", undefined],
])("%s is an alternate for %j", (url, transports) => {
  expect(parseAlternateDoors(url)?.map(({ transport }) => transport)).toEqual(transports);
});
