// The client's side of SOCKS5 bytestreams (XEP-0065): finds a proxy, connects to a streamhost, asks for activation, and
// sends and takes what a file is made of.

import { strict as assert } from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Client } from "@xmpp/client";
import xml from "@xmpp/xml";

export const bytestreams = "http://jabber.org/protocol/bytestreams";

export interface StreamHost {
  readonly jid: string;
  readonly host: string;
  readonly port: number;
}

export interface Carried {
  readonly bytes: number;
  readonly sha256: string;
}

const chunkBytes = 256 * 1024;
const replyBytes = 47;

/** DST.ADDR: the requester is who offers the streamhost. */
export function hashOf(sid: string, requester: string, target: string): string {
  return createHash("sha1").update(`${sid}${requester}${target}`).digest("hex");
}

/** Where the proxy at `jid` is to be reached. */
export async function streamHostAt(session: Client, jid: string): Promise<StreamHost> {
  const reply = await session.iqCaller.request(
    xml("iq", { type: "get", to: jid }, xml("query", { xmlns: bytestreams })),
  );
  const { host, port } = reply.getChild("query", bytestreams)?.getChild("streamhost")?.attrs ?? assert.fail();
  return { jid, host, port: Number(port) };
}

/** Rejects when nobody is there, or with the streamhost's refusal. */
export async function connectTo({ host, port }: Pick<StreamHost, "host" | "port">, hash: string): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, "connect");
  socket.write(Uint8Array.of(5, 1, 0));
  assert.deepEqual([...(await take(socket, 2))], [5, 0]);
  const asked = Buffer.from(`\x05\x01\x00\x03\x28${hash}\x00\x00`, "latin1");
  socket.write(asked);
  const reply = await take(socket, replyBytes);
  assert.deepEqual([...reply.subarray(0, 3)], [5, 0, 0]);
  assert.deepEqual(reply.subarray(3), asked.subarray(3));
  return socket;
}

export async function activate(session: Client, jid: string, sid: string, target: string): Promise<void> {
  const query = xml("query", { xmlns: bytestreams, sid }, xml("activate", {}, target));
  await session.iqCaller.request(xml("iq", { type: "set", to: jid }, query));
}

/** Random bytes, and then the end of this direction. */
export async function sendFile(socket: Socket, bytes: number): Promise<Carried> {
  const digest = createHash("sha256");
  await pipeline(Readable.from(chunksOf(bytes, (chunk) => digest.update(chunk))), socket, { end: true });
  return { bytes, sha256: digest.digest("hex") };
}

export async function takeFile(socket: Socket): Promise<Carried> {
  const digest = createHash("sha256");
  let bytes = 0;
  for await (const chunk of socket) {
    bytes += chunk.length;
    digest.update(chunk);
  }
  return { bytes, sha256: digest.digest("hex") };
}

function* chunksOf(bytes: number, seen: (chunk: Uint8Array) => void): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= chunkBytes) {
    const chunk = randomBytes(Math.min(chunkBytes, left));
    seen(chunk);
    yield chunk;
  }
}

async function take(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const taken: Buffer | null = socket.read(bytes);
    if (taken?.length === bytes) return taken;
    if (taken || socket.readableEnded) throw new Error("the streamhost hung up");
    await once(socket, "readable", { signal: AbortSignal.timeout(10_000) });
  }
}
