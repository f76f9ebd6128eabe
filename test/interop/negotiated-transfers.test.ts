// Files through our proxy between clients that agree on it in other ways than slixmpp does: by Jingle (XEP-0260), and as
// occupants of a room who do not know each other's addresses (XEP-0065 section 7).

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import xml, { type Element } from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Relay } from "../../src/relay.ts";
import { connectedRelay } from "./connected-relay.ts";
import { type Candidate, JingleParty } from "./jingle-party.ts";
import { needs } from "./needs.ts";
import {
  activate,
  bytestreams,
  connectTo,
  hashOf,
  type StreamHost,
  sendFile,
  streamHostAt,
  takeFile,
} from "./streamhosts.ts";
import { componentDomain, domain, password, roomsDomain, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const megabytes = 1_000_000;

describe.each(xmppServers)("through $name", ({ make, packages }) => {
  describe.runIf(needs(...packages))("and our proxy", { timeout: 120_000 }, () => {
    let server: XmppServer;
    let relay: Relay;
    let alice: JingleParty;
    let bob: JingleParty;
    let proxy: StreamHost;
    let nowhere: StreamHost;

    beforeAll(async () => {
      server = await make();
      await server.start();
      relay = await connectedRelay(server, { xmpp: { proxy65: { listen: ["socks5://127.0.0.1:0"] } } });
      const account = { service: server.clients, domain, password };
      alice = await JingleParty.login({ ...account, username: "alice", resource: "phone" });
      bob = await JingleParty.login({ ...account, username: "bob", resource: "desk" });
      proxy = await streamHostAt(alice.session, componentDomain);
      nowhere = { jid: alice.jid, host: "127.0.0.1", port: await closedPort() };
    });

    afterAll(async () => {
      await alice?.close();
      await bob?.close();
      await relay?.stop();
      await server?.discard();
    });

    const direct = (): Candidate => ({ ...nowhere, cid: "d1", type: "direct", priority: 126 * 65_536 });
    const proxied = (): Candidate => ({ ...proxy, cid: "p1", type: "proxy", priority: 10 * 65_536 });

    test.each([
      { offerer: "initiator", ofAlice: () => [direct(), proxied()], ofBob: () => [] },
      { offerer: "responder", ofAlice: () => [direct()], ofBob: () => [proxied()] },
    ])("100 MB come by Jingle as they went, through the proxy that the $offerer offers", async (offers) => {
      const taking = bob.take(offers.ofBob());
      const sent = await alice.offer(bob.jid, 100 * megabytes, offers.ofAlice());
      const taken = await taking;
      expect(taken.file).toEqual(sent.file);
      expect(taken.file.bytes).toBe(100 * megabytes);
      for (const { by } of [sent, taken]) expect(by).toEqual([offers.offerer, "proxy"]);
    });

    test("nobody but who offered it activates a stream", async () => {
      const sid = "one";
      const hash = hashOf(sid, alice.jid, bob.jid);
      const [one, other] = [await connectTo(proxy, hash), await connectTo(proxy, hash)];
      const byAnother = activate(bob.session, componentDomain, sid, alice.jid);
      await expect(byAnother).rejects.toMatchObject({ condition: "item-not-found" });
      await activate(alice.session, componentDomain, sid, bob.jid);
      const taking = takeFile(other);
      expect(await sendFile(one, megabytes)).toEqual(await taking);
      for (const socket of [one, other]) socket.destroy();
    });

    test("10 MB come from one occupant of a room to another, who do not know each other's addresses", async () => {
      const [room, sid] = [`room@${roomsDomain}`, "room"];
      await enter(alice, `${room}/Rter`);
      await alice.session.iqCaller.request(xml("iq", { type: "set", to: room }, asItIs()));
      await enter(bob, `${room}/Tget`);
      const target = new Promise<Target>((resolve) => {
        bob.session.iqCallee.set(bytestreams, "query", async ({ stanza }) => {
          const query = stanza.getChild("query", bytestreams);
          const { jid, host, port } = query?.getChild("streamhost")?.attrs ?? {};
          const socket = await connectTo({ host, port: Number(port) }, query?.attrs.dstaddr);
          resolve({ from: stanza.attrs.from, socket });
          return xml("query", { xmlns: bytestreams, sid }, xml("streamhost-used", { jid }));
        });
      });
      const dstaddr = hashOf(sid, alice.jid, `${room}/Tget`);
      const offer = xml(
        "query",
        { xmlns: bytestreams, sid, dstaddr },
        xml("streamhost", { ...proxy, port: String(proxy.port) }),
      );
      const reply = await alice.session.iqCaller.request(xml("iq", { type: "set", to: `${room}/Tget` }, offer));
      const { from, socket } = await target;
      expect([from, reply.attrs.from]).toEqual([`${room}/Rter`, `${room}/Tget`]);
      expect(reply.getChild("query", bytestreams)?.getChild("streamhost-used")?.attrs.jid).toBe(componentDomain);

      const own = await connectTo(proxy, dstaddr);
      await activate(alice.session, componentDomain, sid, `${room}/Tget`);
      const taking = takeFile(socket);
      const sent = await sendFile(own, 10 * megabytes);
      expect(await taking).toEqual(sent);
      for (const end of [own, socket]) end.destroy();
    });

    test("what is under way goes on while the server is stopped and started", async () => {
      const sid = "restart";
      const hash = hashOf(sid, alice.jid, bob.jid);
      const [one, other] = [await connectTo(proxy, hash), await connectTo(proxy, hash)];
      await activate(alice.session, componentDomain, sid, bob.jid);
      const taking = takeFile(other);
      const sending = sendFile(one, 60 * megabytes);
      await server.stop();
      await vi.waitFor(() => expect(relay.componentState()).not.toBe("online"));
      expect(await taking).toEqual(await sending);
      for (const end of [one, other]) end.destroy();
      await server.start();
      await vi.waitFor(() => expect(relay.componentState()).toBe("online"), { timeout: 30_000 });
    });
  });
});

interface Target {
  readonly from: string;
  readonly socket: Socket;
}

/** Resolves when the room has let him in (XEP-0045 section 7.2). */
async function enter({ session }: JingleParty, place: string): Promise<void> {
  const isThere = new Promise<void>((resolve) => {
    session.on("stanza", (stanza: Element) => {
      if (stanza.is("presence") && stanza.attrs.from === place) resolve();
    });
  });
  await session.send(xml("presence", { to: place }, xml("x", { xmlns: "http://jabber.org/protocol/muc" })));
  await isThere;
}

/** A new room is shut until its owner has said how it is to be (XEP-0045 section 10.1.2). */
function asItIs(): Element {
  return xml(
    "query",
    { xmlns: "http://jabber.org/protocol/muc#owner" },
    xml("x", { xmlns: "jabber:x:data", type: "submit" }),
  );
}

/** That nobody listens at. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
}
