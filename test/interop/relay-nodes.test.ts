// A Jingle client without TURN asks for a channel (XEP-0278) through a real server, and media flows through every plane,
// between the two that it is for and nobody else.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type Client, client } from "@xmpp/client";
import xml, { type Element } from "@xmpp/xml";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import type { Relay } from "../../src/relay.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { connectedRelay } from "./connected-relay.ts";
import { needs } from "./needs.ts";
import { componentDomain, domain, otherDomain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const nodes = "http://jabber.org/protocol/jinglenodes";
const planes = obstacleToNative() ? ["portable"] : ["portable", "native"];

/** RTP of one stream; the text after the header tells packets apart. */
function rtp(ssrc: number, text: string): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = 0;
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, Buffer.from(text)]);
}

/** A UDP socket that keeps what it hears. */
class End {
  readonly #socket: Socket;
  readonly heard: { readonly text: string; readonly port: number }[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes, { port }) => this.heard.push({ text: bytes.subarray(12).toString(), port }));
  }

  static async open(address: string): Promise<End> {
    const socket = createSocket("udp4").bind(0, address);
    await once(socket, "listening");
    return new End(socket);
  }

  send(to: Endpoint, bytes: Buffer): void {
    this.#socket.send(bytes, to.port, to.address);
  }

  hears(text: string, port: number): Promise<void> {
    return vi.waitFor(() => expect(this.heard).toContainEqual({ text, port }));
  }

  close(): void {
    this.#socket.close();
  }
}

describe.each(xmppServers)("relay nodes on $name", ({ make, packages }) => {
  describe.runIf(needs(...packages)).each(planes)("over the %s plane", (dataplane) => {
    let server: XmppServer;
    let relay: Relay;
    let alice: Client;
    const ends: End[] = [];

    beforeAll(async () => {
      server = await make();
      await server.start();
      relay = await connectedRelay(server, { xmpp: { "relay-nodes": { "channels-per-user": 3 } }, dataplane });
      alice = await login("alice", domain);
    });

    afterEach(() => {
      for (const end of ends.splice(0)) end.close();
    });

    afterAll(async () => {
      await alice?.stop();
      await relay?.stop();
      await server?.discard();
    });

    async function login(username: string, domain: string): Promise<Client> {
      const session = client({ service: server.clients, domain, username, password });
      session.on("error", () => {});
      await session.start();
      return session;
    }

    function ask(asker: Client, payload: Element): Promise<Element> {
      return asker.iqCaller.request(xml("iq", { type: "get", to: componentDomain }, payload), 10_000);
    }

    async function channel(): Promise<{ local: Endpoint; remote: Endpoint; attrs: Record<string, string> }> {
      const reply = await ask(alice, xml("channel", { xmlns: `${nodes}#channel`, protocol: "udp" }));
      const attrs = reply.getChild("channel", `${nodes}#channel`)?.attrs ?? {};
      const { host: address, localport, remoteport } = attrs;
      return { local: { address, port: Number(localport) }, remote: { address, port: Number(remoteport) }, attrs };
    }

    async function end(address: string): Promise<End> {
      const opened = await End.open(address);
      ends.push(opened);
      return opened;
    }

    /** Both sides have sent, and so have each other. */
    async function call(local: Endpoint, remote: Endpoint) {
      const [caller, callee] = [await end("127.0.0.2"), await end("127.0.0.3")];
      caller.send(local, rtp(1, "first"));
      await vi.waitFor(async () => {
        callee.send(remote, rtp(2, "hello"));
        await vi.waitFor(() => expect(caller.heard).toContainEqual({ text: "hello", port: local.port }), 100);
      });
      return { caller, callee };
    }

    const next = ({ address, port }: Endpoint) => ({ address, port: port + 1 });

    test("are found, and answer who is served", async () => {
      const services = await ask(alice, xml("services", { xmlns: nodes }));
      const attrs = services.getChild("services", nodes)?.getChild("relay")?.attrs;
      expect(attrs).toMatchObject({ policy: "public", address: componentDomain, protocol: "udp" });
      const mallory = await login("mallory", otherDomain);
      const refused = ask(mallory, xml("channel", { xmlns: `${nodes}#channel`, protocol: "udp" }));
      await expect(refused).rejects.toMatchObject({ condition: "forbidden" });
      await mallory.stop();
    });

    test("carry RTP and RTCP both ways, and nothing of a third, who gets nothing of it either", async () => {
      const { local, remote, attrs } = await channel();
      expect(attrs).toMatchObject({ protocol: "udp", maxkbps: "2000", expire: "60" });
      const { caller, callee } = await call(local, remote);
      caller.send(local, rtp(1, "from the caller"));
      await callee.hears("from the caller", remote.port);
      callee.send(remote, rtp(2, "from the callee"));
      await caller.hears("from the callee", local.port);
      await call(next(local), next(remote));

      const thief = await end("127.0.0.66");
      for (let n = 0; n < 20; n++) {
        thief.send(local, rtp(99, "stolen"));
        thief.send(remote, rtp(99, "stolen"));
      }
      caller.send(local, rtp(1, "still here"));
      await callee.hears("still here", remote.port);
      callee.send(remote, rtp(2, "so am I"));
      await caller.hears("so am I", local.port);
      expect(thief.heard).toEqual([]);
      for (const { heard } of [caller, callee]) expect(heard.map(({ text }) => text)).not.toContain("stolen");
    });

    test("follow a party whose stream comes from another address", async () => {
      const { local, remote } = await channel();
      const { callee } = await call(local, remote);
      const elsewhere = await end("127.0.0.4");
      for (const text of ["one", "two", "three"]) elsewhere.send(local, rtp(1, text));
      await callee.hears("three", remote.port);
      callee.send(remote, rtp(2, "welcome"));
      await elsewhere.hears("welcome", local.port);
    });

    test("are so many for each user", async () => {
      await channel();
      const refused = ask(alice, xml("channel", { xmlns: `${nodes}#channel`, protocol: "udp" }));
      await expect(refused).rejects.toMatchObject({ condition: "resource-constraint" });
    });
  });
});
