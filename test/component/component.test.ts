import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type ComponentFact, type ComponentOptions, startComponent } from "../../src/component/component.ts";
import { FakeServer } from "./fake-server.ts";

let server: FakeServer;

beforeEach(async () => {
  server = new FakeServer();
  await server.start();
});

afterEach(() => server.stop());

async function component(options: Partial<ComponentOptions> = {}) {
  const facts: ComponentFact[] = [];
  const component = startComponent({
    service: server.service,
    domain: "relay.example.org",
    secret: server.secret,
    services: () => [
      { type: "stun", host: "relay.example.org", port: 3478 },
      { type: "turn", host: "relay.example.org", port: 3478, transport: "udp" },
    ],
    userKey: "user key",
    mint: (user, now) => ({ username: user, password: "minted", expires: now }),
    version: "1.2.3",
    report: (fact) => facts.push(fact),
    ...options,
  });
  const stream = await server.accept();
  onTestFinished(async () => {
    await server.stop();
    await component.stop();
  });
  return { component, facts, stream };
}

function services(from: string, to = "relay.example.org"): string {
  return `<iq type='get' id='q' from='${from}' to='${to}'><services xmlns='urn:xmpp:extdisco:2'/></iq>`;
}

describe("the component", () => {
  test("answers users of its parent domain, when no domains are given", async () => {
    const { stream } = await component();
    stream.send(services("alice@example.org/phone"));
    expect((await stream.next()).attrs).toMatchObject({ type: "result", id: "q", to: "alice@example.org/phone" });
    stream.send(services("mallory@elsewhere.example/x"));
    expect((await stream.next()).getChild("error")?.getChild("forbidden")).toBeDefined();
  });

  test("answers users of the domains that are given, and no others", async () => {
    const { stream } = await component({ domains: ["Users.Example"] });
    stream.send(services("alice@users.example/phone"));
    expect((await stream.next()).attrs.type).toBe("result");
    stream.send(services("alice@example.org/phone"));
    expect((await stream.next()).getChild("error")?.getChild("forbidden")).toBeDefined();
  });

  test.each(["bob@relay.example.org", "relay.example.org/x"])("does not answer for %s", async (to) => {
    const { stream } = await component();
    stream.send(services("alice@example.org/phone", to));
    const reply = await stream.next();
    expect(reply.attrs.from).toBe(to);
    expect(reply.getChild("error")?.getChild("service-unavailable")).toBeDefined();
  });

  test("survives a mint that throws", async () => {
    const mint = () => {
      throw new Error("no secret");
    };
    const { facts, stream } = await component({ mint });
    stream.send(services("alice@example.org/phone"));
    expect((await stream.next()).getChild("error")?.getChild("internal-server-error")).toBeDefined();
    expect(facts.map(({ fact }) => fact)).toContain("iq-handler-failed");
    await stream.settled();
  });

  test("lets people know that nobody reads here, and whom it serves that it is there", async () => {
    const { stream } = await component();
    stream.send("<message from='alice@example.org' to='relay.example.org'><body>hello</body></message>");
    expect((await stream.next()).getChild("error")?.getChild("service-unavailable")).toBeDefined();
    stream.send("<presence from='alice@example.org' to='relay.example.org' type='subscribe'/>");
    expect((await stream.next()).attrs).toMatchObject({ type: "subscribed", to: "alice@example.org" });
    expect((await stream.next()).getChild("c", "http://jabber.org/protocol/caps")).toBeDefined();
    await stream.settled();
  });

  test("believes only its own servers that they delegate", async () => {
    const { facts, stream } = await component();
    for (const from of ["elsewhere.example", "example.org/x", "example.org"]) {
      stream.send(
        `<message type='headline' from='${from}' to='relay.example.org'>
           <delegation xmlns='urn:xmpp:delegation:2'><delegated namespace='urn:xmpp:extdisco:2'/></delegation>
         </message>`,
      );
    }
    await stream.settled();
    expect(facts.filter(({ fact }) => fact === "delegated")).toEqual([
      { fact: "delegated", domain: "example.org", namespaces: ["urn:xmpp:extdisco:2"] },
    ]);
  });

  test("never puts a user's JID into a fact", async () => {
    const { facts, stream } = await component();
    for (const from of ["alice@example.org/phone", "mallory@elsewhere.example/x"]) {
      stream.send(services(from));
      await stream.next();
      stream.send(`<iq type='result' id='unasked' from='${from}' to='relay.example.org'/>`);
      stream.send(`<iq type='set' from='${from}' to='relay.example.org'/>`);
      await stream.next();
    }
    expect(facts.length).toBeGreaterThan(6);
    expect(JSON.stringify(facts)).not.toMatch(/alice|mallory|phone/);
  });
});

describe("an offer", () => {
  const hosts = (options: Partial<ComponentOptions>, ...hosts: string[]) =>
    offered({
      ...options,
      services: () => hosts.map((host) => ({ type: "turn", host, port: 3478, transport: "udp" })),
    });

  async function offered(options: Partial<ComponentOptions>) {
    const { facts, stream } = await component(options);
    stream.send(services("alice@example.org/phone"));
    const list = (await stream.next()).getChild("services")?.getChildren("service") ?? [];
    const withheld = facts.flatMap((fact) => (fact.fact === "service-withheld" ? [fact.host] : []));
    return { offered: list.map((service) => service.attrs.host), withheld };
  }

  const reachable = ["turn.example.org", "8.8.8.8", "2001:4860:4860::8888"];
  const closed = ["127.0.0.1", "::1", "10.0.0.5", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "localhost"];
  const impossible = ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:0.0.0.0"];

  test("that clients cannot reach is withheld, and the operator is told", async () => {
    expect(await hosts({}, ...reachable, ...closed, ...impossible)).toEqual({
      offered: reachable,
      withheld: [...closed, ...impossible],
    });
  });

  test("of a private address can be allowed, but not that of no address", async () => {
    expect(await hosts({ allowPrivate: true }, ...reachable, ...closed, ...impossible)).toEqual({
      offered: [...reachable, ...closed],
      withheld: impossible,
    });
  });

  test("of the proxy for files is treated alike", async () => {
    const hosts = () => ["8.8.8.8", "10.0.0.5"].map((host) => ({ host, port: 7777 }));
    const { facts, stream } = await component({ bytestreams: { hosts, activate: () => undefined } });
    stream.send(
      "<iq type='get' id='q' from='alice@example.org/phone' to='relay.example.org'>" +
        "<query xmlns='http://jabber.org/protocol/bytestreams'/></iq>",
    );
    const told = (await stream.next()).getChild("query")?.getChildren("streamhost") ?? [];
    expect(told.map(({ attrs }) => attrs.host)).toEqual(["8.8.8.8"]);
    expect(facts).toContainEqual({ fact: "service-withheld", host: "10.0.0.5" });
  });

  test("that is withheld is told once, however many services are there", async () => {
    expect((await hosts({}, "127.0.0.1", "127.0.0.1")).withheld).toEqual(["127.0.0.1"]);
  });
});

test("who is there is told of other services within seconds, over the stream that there is", async () => {
  const place = { host: "8.8.8.8" };
  const { component: running, stream } = await component({
    services: () => [{ type: "turn", host: place.host, port: 3478, transport: "udp" }],
    mint: (user, now) => ({ username: user, password: "minted", expires: now + 3_600_000 }),
  });
  stream.send("<presence from='alice@example.org/phone' to='relay.example.org'/>");
  stream.send(services("alice@example.org/phone"));
  await stream.next();
  running.renewServices();
  place.host = "9.9.9.9";
  running.renewServices();
  const pushed = (await stream.next()).getChild("services")?.getChildren("service") ?? [];
  expect(pushed.map(({ attrs }) => [attrs.action, attrs.host])).toEqual([
    ["add", "9.9.9.9"],
    ["delete", "8.8.8.8"],
  ]);
  expect(running.state().state).toBe("online");
});

test("a fault of ours costs what was being done, and neither the stream nor the process", async () => {
  let minted = 0;
  const error = new Error("ours");
  const { facts, stream } = await component({
    mint(user, now) {
      minted += 1;
      if (minted > 1) throw error;
      return { username: user, password: "minted", expires: now + 1 };
    },
  });
  stream.send("<presence from='alice@example.org/phone' to='relay.example.org'/>");
  stream.send(services("alice@example.org/phone"));
  await stream.next();
  // The push that is due.
  await vi.waitFor(() => expect(facts).toContainEqual({ fact: "fault-of-ours", error }), { timeout: 5000 });
  stream.send(services("alice@example.org/phone"));
  expect((await stream.next()).getChild("error")?.getChild("internal-server-error")).toBeDefined();
});

test("a component's state tells how it is", async () => {
  const { component: running } = await component();
  await vi.waitFor(() => expect(running.state()).toEqual({ state: "online", reason: "" }));
  await server.stop();
  await vi.waitFor(() => expect(running.state().state).not.toBe("online"));
});
