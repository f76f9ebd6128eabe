import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Listener, SocketId } from "../../src/contract.ts";
import { type StreamLimits, Streams, streamLimits } from "../../src/dataplane/stream.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { Inbox, type TcpEnd, tcpEnd, until } from "./rig.ts";

const message = encode({
  class: "request",
  method: Method.binding,
  transactionId: Buffer.alloc(12),
  attributes: {},
});

describe("the stream connections", () => {
  let now = 0;
  let inUse: SocketId | undefined;
  let received: Inbox<SocketId>;
  let hungUp: Inbox<SocketId>;
  let streams: Streams;
  const clients: TcpEnd[] = [];

  async function listen(limits: Partial<StreamLimits> = {}): Promise<Listener> {
    let lastId = 0;
    streams = new Streams({
      limits: { ...streamLimits, ...limits },
      now: () => now,
      newSocketId: () => {
        lastId += 1;
        return lastId;
      },
      isInUse: (connection) => connection === inUse,
      receive: ({ id }) => received.put(id),
      hungUp: (id) => hungUp.put(id),
      lost: () => {},
    });
    return streams.listen(0, "tcp", { address: "127.0.0.1", port: 0 });
  }

  beforeEach(() => {
    now = 1000;
    inUse = undefined;
    received = new Inbox();
    hungUp = new Inbox();
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await streams.close();
  });

  async function connect(listener: Listener): Promise<TcpEnd> {
    const client = await tcpEnd(listener);
    clients.push(client);
    return client;
  }

  test("may take a while to send their first frame, but not for ever", async () => {
    const client = await connect(await listen());
    client.send(message.subarray(0, -1));
    await until(() => streams.size === 1);
    now += streamLimits.firstFrameMillis - 1;
    streams.sweep(now);
    expect(client.socket.closed).toBe(false);
    client.send(message.subarray(-1));
    const id = await received.next();
    now += 1;
    streams.sweep(now);
    expect(streams.connection(id)).toBeDefined();

    const idler = await connect({ ...(await streams.listen(0, "tcp", { address: "127.0.0.1", port: 0 })) });
    await until(() => streams.size === 2);
    now += streamLimits.firstFrameMillis;
    streams.sweep(now);
    await idler.closed;
    expect(await hungUp.next()).toBe(id + 1);
    expect(streams.size).toBe(1);
  });

  test("of who has nothing here end after a minute of silence", async () => {
    const client = await connect(await listen());
    client.send(message);
    const id = await received.next();
    const relay = 99;
    streams.connection(id)?.gain(relay);
    now += streamLimits.strangerIdleMillis;
    streams.sweep(now);
    client.send(message);
    expect(await received.next()).toBe(id);
    streams.connection(id)?.lose(relay);
    now += streamLimits.strangerIdleMillis - 1;
    streams.sweep(now);
    client.send(message);
    expect(await received.next()).toBe(id);
    now += streamLimits.strangerIdleMillis;
    streams.sweep(now);
    expect(await hungUp.next()).toBe(id);
    await client.closed;
  });

  test("may be silent as long as a route runs over them, and a while without", async () => {
    const client = await connect(await listen());
    client.send(message);
    const id = await received.next();
    streams.connection(id)?.gain(99);
    inUse = id;
    now += streamLimits.idleMillis;
    streams.sweep(now);
    inUse = undefined;
    client.send(message);
    expect(await received.next()).toBe(id);
    now += streamLimits.idleMillis - 1;
    streams.sweep(now);
    client.send(message);
    expect(await received.next()).toBe(id);
    now += streamLimits.idleMillis;
    streams.sweep(now);
    expect(await hungUp.next()).toBe(id);
    await client.closed;
  });

  test("are at most so many from one address, and one that ends makes room", async () => {
    const listener = await listen({ connectionsPerHost: 2 });
    const [first] = [await connect(listener), await connect(listener)];
    await until(() => streams.size === 2);
    await (await connect(listener)).closed;
    expect(streams.size).toBe(2);
    await first.close();
    await hungUp.next();
    (await connect(listener)).send(message);
    await received.next();
    expect(streams.size).toBe(2);
  });

  test("are at most so many in total, over all listeners", async () => {
    const listener = await listen({ connections: 1 });
    const other = await streams.listen(0, "tcp", { address: "::1", port: 0 });
    await connect(listener);
    await until(() => streams.size === 1);
    await (await connect(other)).closed;
    expect(streams.size).toBe(1);
  });

  test("end when their client has no more to say", async () => {
    const client = await connect(await listen());
    client.send(message);
    const id = await received.next();
    client.socket.end();
    expect(await hungUp.next()).toBe(id);
  });

  test("end when their client resets them", async () => {
    const client = await connect(await listen());
    client.send(message);
    const id = await received.next();
    const [closed] = [once(client.socket, "close"), client.socket.resetAndDestroy()];
    await closed;
    expect(await hungUp.next()).toBe(id);
  });
});
