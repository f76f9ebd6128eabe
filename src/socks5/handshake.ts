// The handshake of SOCKS5 as bytestreams have it: the client's greeting, then its request to connect to what is no address
// but a hash (RFC 1928 sections 3 to 6, XEP-0065 section 9.2). What comes behind it is none of ours.

const version = 5;
/** Version, command, reserved, type of address, and its length where it is a name. */
const requestLeadBytes = 5;
const portBytes = 2;
const addressBytes: ReadonlyMap<number, number> = new Map([
  [0x01, 4],
  [0x04, 16],
]);
const nameType = 0x03;
const connectCommand = 0x01;
const noAuthentication = 0x00;
const hashOfStream = /^[0-9a-f]{40}$/i;

/** RFC 1928 section 6. */
const replies = {
  done: 0x00,
  failed: 0x01,
  "not allowed": 0x02,
  "command not supported": 0x07,
  "address type not supported": 0x08,
} as const;

export type ReplyCode = keyof typeof replies;

/** Cuts a stream into the two messages, one at a time, and throws away what comes behind them (XEP-0065 section 9.1). */
export class HandshakeCutter {
  #held = Buffer.alloc(0);
  #messages = 0;
  #isBroken = false;

  /** Whether the stream brought something else. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  add(chunk: Uint8Array): void {
    if (this.#messages < 2 && !this.#isBroken) this.#held = Buffer.concat([this.#held, chunk]);
  }

  next(): Uint8Array | undefined {
    if (this.#messages === 2 || this.#isBroken || this.#held.length === 0) return undefined;
    this.#isBroken = this.#held[0] !== version;
    const size = this.#isBroken ? undefined : sizeOf(this.#held, this.#messages === 0);
    if (size === undefined || this.#held.length < size) return undefined;
    const message = this.#held.subarray(0, size);
    this.#messages += 1;
    this.#held = this.#messages === 2 ? Buffer.alloc(0) : this.#held.subarray(size);
    return message;
  }

  /** Nothing: what has come behind the handshake was said to nobody. */
  takeRest(): Uint8Array {
    return new Uint8Array();
  }
}

/** Of the message that begins here; undefined while that is not known. */
function sizeOf(bytes: Buffer, isGreeting: boolean): number | undefined {
  if (isGreeting) return bytes.length < 2 ? undefined : 2 + bytes.readUInt8(1);
  if (bytes.length < requestLeadBytes) return undefined;
  const type = bytes.readUInt8(3);
  const name = type === nameType ? 1 + bytes.readUInt8(4) : 0;
  // Of an unknown type nobody knows the length: what has come is all that is needed to refuse it.
  const address = addressBytes.get(type) ?? name;
  return address === 0 ? requestLeadBytes : requestLeadBytes - 1 + address + portBytes;
}

/** Whether the client would go without authentication. Others than that we have none. */
export function offersNoAuthentication(greeting: Uint8Array): boolean {
  return greeting.subarray(2).includes(noAuthentication);
}

export function writeMethod(isAcceptable: boolean): Uint8Array {
  return Uint8Array.of(version, isAcceptable ? noAuthentication : 0xff);
}

/** The hash in lower case, or why the request cannot be met. */
export function readRequest(request: Uint8Array): { readonly hash: string } | { readonly refused: ReplyCode } {
  const bytes = Buffer.from(request.buffer, request.byteOffset, request.length);
  if (bytes[1] !== connectCommand) return { refused: "command not supported" };
  if (bytes[3] !== nameType) return { refused: "address type not supported" };
  const name = bytes.toString("latin1", requestLeadBytes, bytes.length - portBytes);
  const port = bytes.readUInt16BE(bytes.length - portBytes);
  if (!hashOfStream.test(name) || port !== 0) return { refused: "not allowed" };
  return { hash: name.toLowerCase() };
}

/** What the client asked for comes back as the bound address (XEP-0065 section 5.3.2). */
export function writeReply(request: Uint8Array, code: ReplyCode): Uint8Array {
  const isNamed = request[3] === nameType;
  const address = isNamed ? request.subarray(3) : Uint8Array.of(0x01, 0, 0, 0, 0, 0, 0);
  return Buffer.concat([Uint8Array.of(version, replies[code], 0), address]);
}
