// The relay with an XMPP server beside it: what one hears of the other.

import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Element } from "@xmpp/xml";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { FakeServer, type FakeStream } from "../component/fake-server.ts";

const domain = "relay.example.org";
const alice = "alice@example.org/phone";
const bob = "bob@example.org/pc";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

async function start(flags: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const server = new FakeServer();
  await server.start();
  const given = {
    listen: ["udp://127.0.0.1:0"],
    secret: "a shared secret",
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
    xmpp: { service: server.service, domain, secret: server.secret, ...more },
    ...flags,
  };
  const relay = await startRelay(readConfig({ flags: given, env: {} }));
  onTestFinished(async () => {
    await server.stop();
    await relay.stop();
  });
  return { relay, stream: await server.accept() };
}

/** What comes next and is like this. */
async function next(stream: FakeStream, isLikeThis: (element: Element) => boolean): Promise<Element> {
  for (;;) {
    const element = await stream.next();
    if (isLikeThis(element)) return element;
  }
}

/** A STUN server behind a NAT of which a test says what it makes of us. */
async function stunServer() {
  const says = { address: "1.2.3.4" };
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  onTestFinished(() => void socket.close());
  await once(socket, "listening");
  socket.on("message", (bytes, { port, address }) => {
    const request = decode(bytes);
    if (!request) return;
    const attributes = { xorMappedAddress: { address: says.address, port } };
    const { method, transactionId } = request;
    socket.send(encode({ class: "success", method, transactionId, attributes }), port, address);
  });
  return { says, uri: `stun:127.0.0.1:${socket.address().port}` };
}

async function waitingAtProxy(port: number, hash: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  onTestFinished(() => void socket.destroy());
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, "data");
  socket.write(Buffer.from(`\x05\x01\x00\x03\x28${hash}\x00\x00`, "latin1"));
  await once(socket, "data");
  return socket;
}

/** Two who exchange a file, as the proxy has told them that they can. */
async function transfer(stream: FakeStream): Promise<readonly [Socket, Socket]> {
  const iq = (type: string, id: string, query: string) =>
    `<iq type='${type}' id='${id}' from='${alice}' to='${domain}'>${query}</iq>`;
  const bytestreams = "http://jabber.org/protocol/bytestreams";
  stream.send(iq("get", "where", `<query xmlns='${bytestreams}'/>`));
  const where = await next(stream, ({ attrs }) => attrs.id === "where");
  const port = Number(where.getChild("query")?.getChild("streamhost")?.attrs.port);
  const hash = createHash("sha1").update(`session${alice}${bob}`).digest("hex");
  const ends = [await waitingAtProxy(port, hash), await waitingAtProxy(port, hash)] as const;
  stream.send(iq("set", "begin", `<query xmlns='${bytestreams}' sid='session'><activate>${bob}</activate></query>`));
  expect((await next(stream, ({ attrs }) => attrs.id === "begin")).attrs.type).toBe("result");
  return ends;
}

async function isDrainedInSeconds(relay: Relay): Promise<boolean> {
  let isDrained = false;
  void relay.drained.then(() => {
    isDrained = true;
  });
  await vi.advanceTimersByTimeAsync(5000);
  return isDrained;
}

describe("a relay with an XMPP server", () => {
  test("sends who asked for services their new place when its external address changes", async () => {
    const { says, uri } = await stunServer();
    const { relay, stream } = await start({ "relay-address": { bind: "127.0.0.1", external: uri } });
    stream.send(`<presence from='${alice}' to='${domain}'/>`);
    stream.send(`<iq type='get' id='q' from='${alice}' to='${domain}'><services xmlns='urn:xmpp:extdisco:2'/></iq>`);
    const hostsIn = (element: Element) =>
      element.getChild("services", "urn:xmpp:extdisco:2")?.getChildren("service") ?? [];
    const answer = hostsIn(await next(stream, ({ attrs }) => attrs.id === "q"));
    expect(new Set(answer.map(({ attrs }) => attrs.host))).toEqual(new Set(["1.2.3.4"]));

    says.address = "1.2.3.5";
    await relay.reload();
    await vi.advanceTimersByTimeAsync(1000);
    const pushed = hostsIn(await next(stream, ({ attrs }) => attrs.type === "set"));
    const hosts = (action: string) =>
      new Set(pushed.filter(({ attrs }) => attrs.action === action).map(({ attrs }) => attrs.host));
    expect([hosts("delete"), hosts("add")]).toEqual([new Set(["1.2.3.4"]), new Set(["1.2.3.5"])]);
  });

  test("drains no sooner than the last file has been transferred", async () => {
    const { relay, stream } = await start({}, { proxy65: { listen: ["socks5://127.0.0.1:0"] } });
    const [one, other] = await transfer(stream);
    relay.drain();
    expect(await isDrainedInSeconds(relay)).toBe(false);
    one.write("the rest");
    expect(String((await once(other, "data"))[0])).toBe("the rest");
    one.destroy();
    await once(other, "close");
    await vi.waitFor(async () => expect(await isDrainedInSeconds(relay)).toBe(true));
  });
});
