// Clients on TCP and TLS: frames in any segmentation, and what becomes of connections that read slowly, lie or end.

import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint, Input, Listener, SocketId } from "../../../src/contract.ts";
import type { Certificates } from "../../../src/dataplane/certificates.ts";
import { readChannelData } from "../../../src/stun/channel-data.ts";
import { decode, encode } from "../../../src/stun/message.ts";
import { Method } from "../../../src/stun/methods.ts";
import { pad } from "../../../src/stun/stream.ts";
import { needs } from "../../interop/needs.ts";
import { someCertificates } from "../certificate-files.ts";
import { anyPort, channelData, type Make, Rig, type TcpEnd, type UdpEnd, until } from "../rig.ts";

const channel = 0x4001;

/** A client whose connection the plane has named `via`, with one relay port, and one peer. */
interface Scene {
  readonly listener: Listener;
  readonly client: TcpEnd;
  readonly via: SocketId;
  readonly peer: UdpEnd;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

function stun(mark: number, dataBytes = 0): Buffer {
  const attributes = dataBytes > 0 ? { data: Buffer.alloc(dataBytes, mark) } : {};
  const transactionId = Buffer.alloc(12, mark);
  return Buffer.from(encode({ class: "request", method: Method.binding, transactionId, attributes }));
}

export function describeStreams(make: Make): void {
  const transports = ["tcp", ...(needs("openssl") ? (["tls"] as const) : [])] as const;
  describe.each(transports)("a stream connection over %s", (transport) => {
    let certificates: Certificates | undefined;
    let rig: Rig;
    beforeAll(async () => {
      if (transport === "tls") certificates = await someCertificates();
    });
    beforeEach(() => {
      rig = new Rig(make, { entrance: { certificates } });
    });
    afterEach(() => rig.close());

    async function nextDatagram(): Promise<Extract<Input, { is: "datagram" }>> {
      const input = await rig.handed.next();
      if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
      return input;
    }

    async function connection(listener: Listener): Promise<{ readonly client: TcpEnd; readonly via: SocketId }> {
      const client = await rig.tcp(listener);
      client.send(stun(0));
      const { on, via, from } = await nextDatagram();
      expect(on).toEqual(listener);
      expect(from).toEqual(client.at);
      return { client, via };
    }

    /** With a relay port for that client, or for another: then its packets may cross from thread to thread. */
    async function scene(isForClient = false): Promise<Scene> {
      const listener = await rig.listen(transport);
      const { client, via } = await connection(listener);
      const relay = await rig.openRelay(4, via, undefined, isForClient ? client.at : undefined);
      return { listener, client, via, peer: await rig.udp(), ...relay };
    }

    function bind({ via, client, relay, peer }: Scene, number = channel): void {
      rig.route(rig.leg(via, client.at, number), rig.leg(relay, peer.at));
    }

    test.each([4, 6] as const)("has a socket id of its own over IPv%d, and answers find it", async (family) => {
      const listener = await rig.listen(transport, family);
      const [one, other] = [await connection(listener), await connection(listener)];
      expect(new Set([listener.socket, one.via, other.via]).size).toBe(3);
      expect(rig.plane.counters().connections).toBe(2);
      for (const { client, via } of [other, one]) {
        rig.plane.perform({ do: "send", via, to: client.at, bytes: stun(via) });
        expect(Buffer.from(await client.next())).toEqual(stun(via));
      }
    });

    test("carries channels and permissions like a datagram does, padded to four bytes", async () => {
      const on = await scene();
      bind(on);
      on.client.send(pad(channelData(channel, "out")));
      expect((await on.peer.next()).toString()).toBe("out");
      on.peer.send("inner", on.at);
      expect(Buffer.from(await on.client.next())).toEqual(channelData(channel, "inner"));
      expect(Buffer.concat(on.client.chunks)).toEqual(Buffer.concat([channelData(channel, "inner"), Buffer.alloc(3)]));

      const other = await rig.udp("127.0.0.9");
      rig.route(rig.leg(on.via, on.client.at, "indication"), rig.leg(on.relay, anyPort(other.at)));
      other.send("indicated", on.at);
      expect(decode(await on.client.next())?.attributes.xorPeerAddress).toEqual([other.at]);
      await until(() => rig.relayedPackets === 3);
      expect(rig.plane.counters().relayed).toEqual([
        { transport, family: 4, direction: "to-peer", packets: 1, bytes: 3 },
        { transport, family: 4, direction: "to-client", packets: 2, bytes: 14 },
      ]);
    });

    test("carries nothing and everything a peer can send", async () => {
      const on = await scene();
      bind(on);
      for (const payload of [Buffer.alloc(0), Buffer.alloc(65_507, 7)]) {
        on.client.send(pad(channelData(channel, payload)));
        expect((await on.peer.next()).equals(payload)).toBe(true);
        on.peer.send(payload, on.at);
        expect(Buffer.from(await on.client.next()).equals(channelData(channel, payload))).toBe(true);
      }
    });

    test("gives the same frames however the stream is cut", async () => {
      const on = await scene();
      bind(on);
      const frame = fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map((bytes) => pad(channelData(channel, bytes))),
        fc.tuple(fc.nat(255), fc.nat(300)).map(([mark, dataBytes]) => stun(mark, dataBytes)),
      );
      const cuts = fc.array(fc.nat(999), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 12 }), cuts, async (frames, permille) => {
          const stream = Buffer.concat(frames);
          const ends = permille.map((each) => Math.floor((stream.length * each) / 1000)).sort((a, b) => a - b);
          let start = 0;
          for (const end of [...ends, stream.length]) {
            on.client.send(stream.subarray(start, end));
            await setImmediate();
            start = end;
          }
          for (const sent of frames) {
            const data = readChannelData(sent);
            if (data) expect(await on.peer.next()).toEqual(Buffer.from(data.payload));
            else expect(Buffer.from((await nextDatagram()).bytes)).toEqual(Buffer.from(sent));
          }
        }),
        { numRuns: 30 },
      );
    });

    test("drops ChannelData without a route, and goes on", async () => {
      const on = await scene();
      bind(on);
      on.client.send(pad(channelData(channel + 1, "not bound")));
      on.client.send(pad(channelData(channel, "bound")));
      expect((await on.peer.next()).toString()).toBe("bound");
      await rig.expectDropped("no-channel", 1);
    });

    test("does not use the routes of another connection from the same address", async () => {
      const on = await scene();
      bind(on);
      const { client, via } = await connection(on.listener);
      await rig.openRelay(4, via);
      client.send(pad(channelData(channel, "not mine")));
      client.send(stun(1));
      await nextDatagram();
      await rig.expectDropped("no-channel", 1);
    });

    test.each([
      ["TLS", Buffer.from("160301020001000001", "hex")],
      ["STUN without magic cookie", Buffer.alloc(20)],
      ["RTP", Buffer.from([0x80, 0, 0, 1, 0, 0, 0, 0])],
    ])("that turns to %s is closed", async (_, garbage) => {
      const { client, via } = await connection(await rig.listen(transport));
      client.send(garbage);
      await client.closed;
      expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
      expect(rig.plane.counters().connections).toBe(0);
    });

    describe("of somebody who has nothing here", () => {
      test("is closed when ChannelData begins", async () => {
        const { client, via } = await connection(await rig.listen(transport));
        client.send(channelData(channel, "").subarray(0, 1));
        await client.closed;
        expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
      });

      test("is closed when a message says that it is long, and takes any request", async () => {
        const { client, via } = await connection(await rig.listen(transport));
        client.send(stun(1, 4000));
        expect(Buffer.from((await nextDatagram()).bytes)).toEqual(stun(1, 4000));
        client.send(stun(1, 4200).subarray(0, 8));
        await client.closed;
        expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
      });
    });

    test("takes long frames as soon as it has a relay port, or is given another's", async () => {
      const on = await scene();
      on.client.send(stun(1, 60_000));
      await nextDatagram();
      const heir = await connection(on.listener);
      rig.plane.perform({ do: "assign-relay", relay: on.relay, via: heir.via });
      heir.client.send(stun(1, 60_000));
      await nextDatagram();
    });

    test("takes what was under way when it lost its relay port, but nothing long", async () => {
      const on = await scene();
      on.client.send(stun(1));
      await nextDatagram();
      rig.plane.perform({ do: "close-relay", relay: on.relay });
      await until(() => rig.facts.length > 0);
      on.client.send(pad(channelData(channel, Buffer.alloc(4096))));
      on.client.send(stun(1));
      await nextDatagram();
      await rig.expectDropped("no-channel", 1);
      on.client.send(channelData(channel, Buffer.alloc(4100)).subarray(0, 8));
      await on.client.closed;
      expect(await rig.handed.next()).toEqual({ is: "hung-up", via: on.via });
    });

    test("that ends is said to have hung up, its routes end, and writing to it is harmless", async () => {
      const on = await scene();
      bind(on);
      await on.client.close();
      expect(await rig.handed.next()).toEqual({ is: "hung-up", via: on.via });
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: stun(1) });
      on.peer.send("to nobody", on.at);
      await rig.expectDropped("no-permission", 1);
      const heir = await connection(on.listener);
      rig.route(rig.leg(heir.via, heir.client.at, channel), rig.leg(on.relay, on.peer.at));
      on.peer.send("to the heir", on.at);
      expect(Buffer.from(await heir.client.next())).toEqual(channelData(channel, "to the heir"));
      expect(rig.plane.counters().connections).toBe(1);
    });

    test("that ends behind a request gets the answer to that", async () => {
      const hand = (input: Input) => {
        if (input.is === "datagram")
          inner.plane.perform({ do: "send", via: input.via, to: input.from, bytes: stun(2) });
      };
      const inner = rig.keep(new Rig(make, { hand }));
      const client = await inner.tcp(await inner.listen("tcp"));
      client.socket.end(stun(1));
      expect(Buffer.from(await client.next())).toEqual(stun(2));
      await client.closed;
    });

    test("is hung up on when it has been silent for too long, unless there is a reason to be", async () => {
      const hour = 3_600_000;
      const listener = await rig.listen("tcp");
      const hungUp = async (via: SocketId) => expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
      // The time of threads begins when they hear of a connection, which they have when that of others has been answered.
      const newcomer = await rig.tcp(listener);
      // Those that are not to end before those that are, so that they would be heard of before.
      const routed = await scene();
      const joiner = await connection(listener);
      const owner = await connection(listener);
      const stranger = await connection(listener);
      rig.route(
        rig.leg(routed.via, routed.client.at, channel, rig.now + hour),
        rig.leg(routed.relay, routed.peer.at, "bare", rig.now + hour),
      );
      await rig.openRelay(4, owner.via);
      const { at: client } = joiner.client;
      const forPeers = rig.newSocketId();
      rig.plane.perform({ do: "open-relay", relay: forPeers, family: 4, via: joiner.via, client, transport: "tcp" });
      await rig.next("relay-opened");
      expect(rig.plane.counters().connections).toBe(5);

      rig.now += 30_000;
      await Promise.all([newcomer.closed, rig.next("hung-up")]);
      rig.now += 30_000;
      await Promise.all([stranger.client.closed, hungUp(stranger.via)]);
      rig.now += 14 * 60_000;
      await Promise.all([owner.client.closed, hungUp(owner.via)]);
      expect(rig.plane.counters().connections).toBe(2);
    });

    describe("whose client does not read", () => {
      const text = randomBytes(60_000);

      function packetsOf({ relay }: Scene): number {
        return rig.plane.usage(relay)?.toClient.packets ?? 0;
      }

      /**
       * Relays numbered packets to a client that does not read, until `enough` were given up. Returns how many. None crosses
       * between threads, where the newest is what is lost.
       */
      async function stuff(on: Scene, enough: number): Promise<number> {
        on.client.socket.pause();
        let sent = 0;
        while (rig.plane.counters().dropped.congested < enough) {
          const payload = Buffer.from(text);
          payload.writeUInt32BE(sent);
          on.peer.send(payload, on.at);
          sent += 1;
          await until(() => packetsOf(on) === sent);
        }
        return sent;
      }

      /** Which of them this is. */
      function numberOf(payload: Uint8Array): number {
        expect(Buffer.compare(payload.subarray(4), text.subarray(4))).toBe(0);
        return Buffer.from(payload).readUInt32BE();
      }

      test("loses its oldest media, which is counted, and keeps the newest, and every answer comes first", async () => {
        const on = await scene(true);
        bind(on);
        const sent = await stuff(on, 20);
        rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: stun(1) });
        rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: stun(2) });
        on.client.socket.resume();

        const numbers: number[] = [];
        const answers: Uint8Array[] = [];
        let lastBeforeAnswer = 0;
        while (numbers.at(-1) !== sent - 1) {
          const bytes = await on.client.next();
          const data = readChannelData(bytes);
          if (data) numbers.push(numberOf(data.payload));
          else answers.push(bytes);
          if (!data) lastBeforeAnswer = numbers.at(-1) ?? 0;
        }
        expect(answers.map((bytes) => Buffer.from(bytes))).toEqual([stun(1), stun(2)]);
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        expect(sent - numbers.length).toBe(rig.plane.counters().dropped.congested);
        // What the system has taken cannot be overtaken any more, and behind it is what was lost.
        expect(numbers).not.toContain(lastBeforeAnswer + 1);

        on.peer.send("flows again", on.at);
        expect(Buffer.from(await on.client.next())).toEqual(channelData(channel, "flows again"));
      });

      test("is hung up on when it asks on and on", async () => {
        const on = await scene(true);
        bind(on);
        await stuff(on, 1);
        await until(() => {
          rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: stun(1, 1000) });
          return rig.plane.counters().connections === 0;
        });
        expect(await rig.handed.next()).toEqual({ is: "hung-up", via: on.via });
      });

      test("is joined with another only behind what has been sent to it", async () => {
        const on = await scene(true);
        bind(on);
        await stuff(on, 1);
        const toBind = { class: "request", method: Method.connectionBind, attributes: {} } as const;
        const asks = Buffer.from(encode({ ...toBind, transactionId: Buffer.alloc(12) }));
        on.client.send(asks);
        await nextDatagram();
        // As a peer would be: two that are on TLS are never joined.
        const other = await rig.tcp(await rig.listen("tcp"));
        other.send(asks);
        const { via } = await nextDatagram();
        const joined = channelData(channel + 1, "joined");
        rig.plane.perform({ do: "join", streams: [on.via, via] });
        for (const each of [on.via, via])
          rig.plane.perform({ do: "send", via: each, to: on.client.at, bytes: stun(1) });
        other.send(pad(joined));
        on.client.socket.resume();
        const answers: Buffer[] = [];
        for (let frame = await on.client.next(); !joined.equals(frame); frame = await on.client.next()) {
          const data = readChannelData(frame);
          if (data) numberOf(data.payload);
          else answers.push(Buffer.from(frame));
        }
        expect(answers).toEqual([stun(1)]);
      });

      test("does not hold up others", async () => {
        const on = await scene(true);
        bind(on);
        await stuff(on, 1);
        const { client, via } = await connection(on.listener);
        const peer = await rig.udp();
        const { relay, at } = await rig.openRelay(4, via);
        bind({ ...on, client, via, peer, relay, at });
        peer.send("in time", at);
        expect(Buffer.from(await client.next())).toEqual(channelData(channel, "in time"));
      });
    });
  });
}
