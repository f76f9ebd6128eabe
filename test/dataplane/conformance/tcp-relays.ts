// Relayed TCP addresses: connections from and to peers, and joining them to those of clients (RFC 6062).

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint, Listener, SocketId, TrafficLimit } from "../../../src/contract.ts";
import type { Certificates } from "../../../src/dataplane/certificates.ts";
import { encode } from "../../../src/stun/message.ts";
import { Method } from "../../../src/stun/methods.ts";
import { needs } from "../../interop/needs.ts";
import { someCertificates } from "../certificate-files.ts";
import { connectTo, type Make, Rig, until } from "../rig.ts";
import { ByteStream, request } from "./byte-stream.ts";

export function describeTcpRelays(make: Make, transports: readonly ("tcp" | "tls")[]): void {
  const possible = transports.filter((transport) => transport === "tcp" || needs("openssl"));
  describe.each(possible)("a relayed TCP address of a client on %s", (transport) => {
    let certificates: Certificates | undefined;
    let rig: Rig;
    beforeAll(async () => {
      if (transport === "tls") certificates = await someCertificates();
    });
    beforeEach(() => {
      rig = new Rig(make, { entrance: { certificates } });
    });
    afterEach(() => rig.close());

    async function streamTo(
      listener: Pick<Listener, "at" | "transport">,
      localAddress = "127.0.0.1",
    ): Promise<ByteStream> {
      const { socket, carrier } = await connectTo(listener, { localAddress, allowHalfOpen: true });
      return rig.keep(new ByteStream(socket, carrier));
    }

    /** A client whose ConnectionBind has been handed up. */
    async function binding(
      behind: string | Buffer = "",
    ): Promise<{ readonly client: ByteStream; readonly via: SocketId }> {
      const client = await streamTo(await rig.listen(transport));
      client.socket.write(Buffer.concat([request(Method.connectionBind), Buffer.from(behind)]));
      return { client, via: (await rig.next("datagram")).via };
    }

    /** For the client of a control connection. */
    async function opened(limits: readonly TrafficLimit[] = []) {
      const control = await streamTo(await rig.listen(transport));
      control.socket.write(request(Method.allocate));
      const { via, from: client } = await rig.next("datagram");
      const relay = rig.newSocketId();
      rig.plane.perform({ do: "open-relay", relay, family: 4, via, client, transport: "tcp", limits });
      return { control, via, relay, at: (await rig.next("relay-opened")).at };
    }

    async function peerServer(): Promise<{ server: Server; at: Endpoint; next: () => Promise<ByteStream> }> {
      const accepted: ByteStream[] = [];
      const server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(rig.keep(new ByteStream(socket))));
      server.listen(0, "127.0.0.2");
      await once(server, "listening");
      rig.keep({ close: async () => void server.close() });
      const bound = server.address();
      const port = typeof bound === "object" && bound ? bound.port : 0;
      const nextStream = async () => {
        await until(() => accepted.length > 0);
        return accepted.shift() as ByteStream;
      };
      return { server, at: { address: "127.0.0.2", port }, next: nextStream };
    }

    async function connected(relay: SocketId, to: Endpoint): Promise<SocketId> {
      const peer = rig.newSocketId();
      rig.plane.perform({ do: "connect", relay, peer, to });
      expect(await rig.next("peer-connected")).toEqual({ is: "peer-connected", peer });
      return peer;
    }

    function join(client: SocketId, peer: SocketId): void {
      rig.plane.perform({ do: "join", streams: [client, peer] });
      rig.plane.perform({ do: "send", via: client, to: { address: "", port: 0 }, bytes: request(0x10b) });
    }

    const answerBytes = request(0x10b).length;

    /** A client and a peer that are joined. */
    async function joined(limits?: readonly TrafficLimit[]) {
      const [{ relay, at, control, via: controlVia }, peers] = [await opened(limits), await peerServer()];
      const peer = await connected(relay, peers.at);
      const far = await peers.next();
      const { client, via } = await binding();
      join(via, peer);
      await client.take(answerBytes);
      return { relay, at, control, controlVia, peer, via, near: client, far };
    }

    test("connects from its own port, and carries what comes both ways, counted", async () => {
      const { near, far, at, relay } = await joined();
      expect([far.socket.remoteAddress, far.socket.remotePort]).toEqual([at.address, at.port]);
      near.socket.write("to the peer");
      expect(await far.take(11)).toBe("to the peer");
      far.socket.write("back");
      expect(await near.take(4)).toBe("back");
      expect(rig.plane.usage(relay)?.toPeer.bytes).toBe(11);
      expect(rig.plane.usage(relay)?.toClient.bytes).toBe(4);
      expect(rig.plane.counters().relayed).toMatchObject([
        { transport, family: 4, direction: "to-peer", bytes: 11 },
        { transport, family: 4, direction: "to-client", bytes: 4 },
      ]);
      expect(rig.plane.counters().relays).toBe(1);
    });

    test("tells of who connects, and keeps what they say until it is joined, behind the answer", async () => {
      const { relay, at, via: control } = await opened();
      const far = await streamTo({ at, transport: "tcp" }, "127.0.0.7");
      far.socket.write("early");
      const { localPort: port = 0 } = far.socket;
      const arrived = await rig.next("peer-arrived");
      expect(arrived).toMatchObject({ relay, via: control, from: { address: "127.0.0.7", port } });
      const { client, via } = await binding();
      join(via, arrived.peer);
      expect((await client.take(answerBytes)) === request(0x10b).toString("latin1")).toBe(true);
      expect(await client.take(5)).toBe("early");
    });

    test("takes what comes right behind a ConnectionBind for the peer's, however long the answer takes", async () => {
      const [{ relay }, peers] = [await opened(), await peerServer()];
      const peer = await connected(relay, peers.at);
      const far = await peers.next();
      const words = "GET / HTTP/1.1\r\n";
      const { client, via } = await binding(words);
      client.socket.write("and more");
      join(via, peer);
      expect(await far.take(words.length + 8)).toBe(`${words}and more`);
    });

    test("goes on with frames when a ConnectionBind is refused", async () => {
      const { client, via } = await binding(request(Method.binding, 5));
      rig.plane.perform({ do: "send", via, to: { address: "", port: 0 }, bytes: request(0x11b) });
      expect(Buffer.from((await rig.next("datagram")).bytes)).toEqual(request(Method.binding, 5));
      await client.take(answerBytes);
      client.socket.write(request(Method.binding, 6));
      expect(Buffer.from((await rig.next("datagram")).bytes)).toEqual(request(Method.binding, 6));
    });

    test("goes on with frames behind a ConnectionBind that is broken and gets no answer", async () => {
      const client = await streamTo(await rig.listen(transport));
      const [method, transactionId] = [Method.connectionBind, Buffer.alloc(12)];
      const broken = Buffer.from(
        encode({ class: "request", method, transactionId, attributes: {} }, { fingerprint: true }),
      );
      broken[broken.length - 1] = ~(broken.at(-1) ?? 0);
      client.socket.write(Buffer.concat([broken, request(Method.binding, 5)]));
      for (const frame of [broken, request(Method.binding, 5)])
        expect(Buffer.from((await rig.next("datagram")).bytes)).toEqual(frame);
    });

    test.each(["near", "far"] as const)("lets the %s end finish, and the other one go on", async (first) => {
      const streams = await joined();
      const [one, other] = first === "near" ? [streams.near, streams.far] : [streams.far, streams.near];
      one.socket.end("last words");
      expect(await other.take(10)).toBe("last words");
      await until(() => other.hasEnded);
      other.socket.write("still there");
      expect(await one.take(11)).toBe("still there");
      other.socket.end();
      await Promise.all([one.closed, other.closed]);
      const gone = [await rig.next("hung-up"), await rig.next("hung-up")].map(({ via }) => via);
      expect(new Set(gone)).toEqual(new Set([streams.via, streams.peer]));
    });

    test.each(["near", "far"] as const)("breaks off when the %s end does", async (first) => {
      const streams = await joined();
      const [one, other] = first === "near" ? [streams.near, streams.far] : [streams.far, streams.near];
      one.break();
      await other.closed;
    });

    test("says what two joined connections have carried so far, by either of them, until they part", async () => {
      const { near, far, via, peer } = await joined();
      near.socket.write("to the peer");
      await far.take(11);
      far.socket.write("back");
      await near.take(4);
      for (const socket of [via, peer]) {
        expect(rig.plane.usage(socket)).toMatchObject({ toPeer: { bytes: 11 }, toClient: { bytes: 4 } });
      }
      far.break();
      await near.closed;
      await until(() => rig.plane.usage(via) === undefined);
    });

    test("breaks both of a pair off when one of them is hung up: neither takes it for the end", async () => {
      const { near, far, via } = await joined();
      near.socket.write("all of it?");
      await far.take(10);
      rig.plane.perform({ do: "hang-up", via });
      await Promise.all([near.closed, far.closed]);
      expect([near.hasEnded, far.hasEnded]).toEqual([false, false]);
    });

    test.each(["near", "far"] as const)(
      "takes no more from the %s end than the other does, and loses nothing",
      async (from) => {
        const { near, far, relay } = await joined();
        const [one, other] = from === "near" ? [near, far] : [far, near];
        const passed = () => rig.plane.usage(relay)?.[from === "near" ? "toPeer" : "toClient"].bytes ?? 0;
        other.socket.pause();
        const sent = randomBytes(40_000_000);
        one.socket.write(sent);
        let [before, stillTurns] = [0, 0];
        await until(() => {
          const now = passed();
          stillTurns = now === before && now > 0 ? stillTurns + 1 : 0;
          before = now;
          return stillTurns === 200;
        });
        expect(passed()).toBeLessThan(sent.length / 2);
        const hash = createHash("sha256");
        let got = 0;
        other.socket.removeAllListeners("data").on("data", (chunk) => {
          hash.update(chunk);
          got += chunk.length;
        });
        other.socket.resume();
        await until(() => got === sent.length);
        expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
      },
    );

    test("holds a stream to its limit without losing any of it", async () => {
      const { near, far, relay } = await joined([{ bucket: "all", bytesPerSecond: 1000 }]);
      near.socket.write("a".repeat(1500));
      await far.take(1500);
      await new Promise((resolve) => near.socket.write("b".repeat(500), resolve));
      expect(rig.plane.usage(relay)?.toPeer.bytes).toBe(1500);
      rig.now += 400;
      near.socket.write("c");
      expect(far.isEmpty).toBe(true);
      rig.now += 1000;
      expect(await far.take(500)).toBe("b".repeat(500));
    });

    test("sends what a limit holds back before it passes the end on", async () => {
      const { near, far } = await joined([{ bucket: "all", bytesPerSecond: 1000 }]);
      near.socket.write("a".repeat(1500));
      await far.take(1500);
      near.socket.end("b".repeat(500));
      await until(() => near.socket.writableFinished);
      // Whoever connects now is heard of after the end has been.
      await binding();
      rig.now += 2000;
      expect(await far.take(500)).toBe("b".repeat(500));
      await until(() => far.hasEnded);
    });

    test("passes on that a peer had ended before it was joined", async () => {
      const [{ relay }, peers] = [await opened(), await peerServer()];
      const peer = await connected(relay, peers.at);
      (await peers.next()).socket.end();
      const { client, via } = await binding();
      join(via, peer);
      await client.take(answerBytes);
      await until(() => client.hasEnded);
    });

    test("says that a peer could not be reached, because nobody is there or nobody may go there", async () => {
      const [{ relay }, peers] = [await opened(), await peerServer()];
      rig.mayReach = ({ address }) => address !== "127.0.0.3";
      peers.server.close();
      await once(peers.server, "close");
      for (const to of [peers.at, { address: "127.0.0.3", port: peers.at.port }]) {
        const peer = rig.newSocketId();
        rig.plane.perform({ do: "connect", relay, peer, to });
        expect(await rig.next("peer-failed")).toEqual({ is: "peer-failed", peer });
      }
      expect(rig.asked).toContainEqual({ address: "127.0.0.3", port: peers.at.port });
    });

    test("connects many times from one port, and can still be connected to", async () => {
      const { relay, at } = await opened();
      const servers = await Promise.all(Array.from({ length: 10 }, () => peerServer()));
      for (const peers of servers) {
        await connected(relay, peers.at);
        expect((await peers.next()).socket.remotePort).toBe(at.port);
      }
      await streamTo({ at, transport: "tcp" });
      await rig.next("peer-arrived");
    });

    test("joins two of our own clients without leaving the process, whatever policy says of that", async () => {
      rig.mayReach = () => false;
      const [here, there] = [await opened(), await opened()];
      const peer = rig.newSocketId();
      rig.plane.perform({ do: "connect", relay: here.relay, peer, to: there.at });
      await rig.next("peer-connected");
      const arrived = await rig.next("peer-arrived");
      expect(arrived).toMatchObject({ relay: there.relay, via: there.via, from: here.at });
      const [one, other] = [await binding("hello"), await binding()];
      join(one.via, peer);
      join(other.via, arrived.peer);
      await Promise.all([one.client.take(answerBytes), other.client.take(answerBytes)]);
      expect(await other.client.take(5)).toBe("hello");
      other.client.socket.end("and bye");
      expect(await one.client.take(7)).toBe("and bye");
      await until(() => one.client.hasEnded);
      one.client.break();
      await other.client.closed;
      expect(rig.asked).toEqual([]);
    });

    test("takes everything with it when it is closed", async () => {
      const { near, far, relay, at } = await joined();
      rig.plane.perform({ do: "close-relay", relay });
      await Promise.all([near.closed, far.closed]);
      const again = connect({ host: at.address, port: at.port });
      expect(await once(again, "error")).toMatchObject([{ code: "ECONNREFUSED" }]);
      await until(() => rig.facts.length > 0);
      expect(rig.facts).toMatchObject([{ fact: "relay-closed", relay }]);
    });

    test("hangs up on a peer that is not wanted, and on who is to be joined with nobody", async () => {
      const { at } = await opened();
      const far = await streamTo({ at, transport: "tcp" });
      const { peer } = await rig.next("peer-arrived");
      rig.plane.perform({ do: "hang-up", via: peer });
      await far.closed;
      expect(await rig.next("hung-up")).toEqual({ is: "hung-up", via: peer });
      const { client, via } = await binding();
      rig.plane.perform({ do: "join", streams: [via, peer] });
      await until(() => client.hasEnded);
      const told = [await rig.handed.next(), await rig.handed.next()];
      expect(told).toContainEqual({ is: "hung-up", via });
      expect(told).toContainEqual(expect.objectContaining({ is: "parted", streams: [via, peer] }));
    });
  });
}
