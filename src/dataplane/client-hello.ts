// What the first message of a TLS handshake asks for, read without answering it: the name of the server (RFC 6066 section
// 3) and the applications (RFC 7301). All versions of TLS to this day begin alike (RFC 8446 section 4.1.2).

import type { Judgement } from "./first-bytes.ts";

export interface ClientHello {
  /** None of it is taken off the stream: it is for whoever answers it. */
  readonly size: 0;
  readonly name?: string;
  readonly applications: readonly string[];
}

/** Of a whole first message with the headers of its records. Clients with post-quantum keys send about 2000. */
const longest = 20_000;
const handshakeRecord = 0x16;
const clientHello = 0x01;
const recordHeaderBytes = 5;
const messageHeaderBytes = 4;
const versionAndRandomBytes = 34;
const extensions = { serverName: 0, applications: 16 };

/** `bytes` are the beginning of a connection. The message may come in several records, and these in any pieces. */
export function judgeClientHello(bytes: Buffer): Judgement<ClientHello> {
  const { message, mayGrow } = gather(bytes);
  const more = mayGrow && bytes.length < longest ? "incomplete" : "broken";
  if (message.length < messageHeaderBytes) return more;
  if (message[0] !== clientHello) return "broken";
  const size = messageHeaderBytes + message.readUIntBE(1, 3);
  return message.length < size ? more : (readHello(message.subarray(messageHeaderBytes, size)) ?? "broken");
}

/** What the handshake records at the beginning carry, and whether more of it can follow. */
function gather(bytes: Buffer): { readonly message: Buffer; readonly mayGrow: boolean } {
  const fragments: Buffer[] = [];
  let at = 0;
  while (bytes[at] === handshakeRecord && bytes.length >= at + recordHeaderBytes) {
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return { message: Buffer.concat(fragments), mayGrow: false };
    fragments.push(bytes.subarray(at + recordHeaderBytes, at + recordHeaderBytes + length));
    at += recordHeaderBytes + length;
  }
  return { message: Buffer.concat(fragments), mayGrow: at >= bytes.length || bytes[at] === handshakeRecord };
}

function readHello(message: Buffer): ClientHello | undefined {
  const reader = new Reader(message);
  reader.take(versionAndRandomBytes);
  const [session, suites, compressions] = [reader.vector(1), reader.vector(2), reader.vector(1)];
  if (!session || !suites || !compressions) return undefined;
  if (reader.isAtEnd) return { size: 0, applications: [] };
  const list = new Reader(reader.vector(2));
  let name: string | undefined;
  let applications: string[] = [];
  while (!list.isAtEnd) {
    const type = list.take(2)?.readUInt16BE();
    const body = list.vector(2);
    if (type === undefined || !body) return undefined;
    if (type === extensions.serverName) name = nameIn(body);
    if (type === extensions.applications) applications = applicationsIn(body);
  }
  return { size: 0, applications, ...(name !== undefined && { name }) };
}

/** The first one: clients send one, of the only kind that there is. */
function nameIn(body: Buffer): string | undefined {
  const list = new Reader(new Reader(body).vector(2));
  list.take(1);
  return list.vector(2)?.toString("latin1");
}

function applicationsIn(body: Buffer): string[] {
  const list = new Reader(new Reader(body).vector(2));
  const names: string[] = [];
  for (let name = list.vector(1); name; name = list.vector(1)) names.push(name.toString("latin1"));
  return names;
}

/** Answers `undefined` from where the bytes do not suffice. */
class Reader {
  #rest: Buffer | undefined;

  constructor(bytes: Buffer | undefined) {
    this.#rest = bytes;
  }

  get isAtEnd(): boolean {
    return this.#rest?.length === 0;
  }

  take(size: number): Buffer | undefined {
    const taken = this.#rest?.subarray(0, size);
    this.#rest = taken?.length === size ? this.#rest?.subarray(size) : undefined;
    return this.#rest && taken;
  }

  /** Bytes behind their own length. */
  vector(lengthBytes: 1 | 2): Buffer | undefined {
    const length = this.take(lengthBytes)?.readUIntBE(0, lengthBytes);
    return length === undefined ? undefined : this.take(length);
  }
}
