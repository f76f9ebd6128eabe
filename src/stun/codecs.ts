// How the values of attributes are laid out, each kind once. A codec works in place on the whole message: bytes 4 to 19
// of it (magic cookie and transaction id) are what XOR addresses are masked with (RFC 8489 section 14.2).

import assert from "node:assert";
import { type Endpoint, type Family, familyOf } from "../contract.ts";
import { formatAddress, parseAddress } from "./address.ts";
import { putUint16, putUint32, uint16At, uint32At } from "./integers.ts";

export interface Codec<Value> {
  /** The value in bytes `at` to `at + length` of `message`, which has them; undefined if they are none. */
  read(message: Buffer, at: number, length: number): Value | undefined;
  /** Bytes of the value, without padding. */
  size(value: Value): number;
  /** Writes `size` bytes at `at`, where there are zeros. */
  write(message: Buffer, at: number, value: Value): void;
}

/** RFC 8489 sections 14.8 to 14.14: what a receiver must take. USERNAME has the same limit in section 14.3. */
const longestTextBytes = 763;
const maskAt = 4;

export const text: Codec<string> = {
  read(message, at, length) {
    return length > longestTextBytes ? undefined : readUtf8(message, at, at + length);
  },
  size(value) {
    const length = Buffer.byteLength(value);
    assert(length <= longestTextBytes, "text too long for a STUN attribute");
    return length;
  },
  write(message, at, value) {
    message.write(value, at);
  },
};

export const opaque: Codec<Uint8Array> = {
  read: (message, at, length) => message.subarray(at, at + length),
  size: (value) => value.length,
  write: (message, at, value) => message.set(value, at),
};

/** Opaque bytes of one of the lengths from `least` to `most`, in steps of four. */
export function opaqueOf(least: number, most = least): Codec<Uint8Array> {
  const fits = (length: number) => length >= least && length <= most && (length - least) % 4 === 0;
  return {
    read: (message, at, length) => (fits(length) ? message.subarray(at, at + length) : undefined),
    size(value) {
      assert(fits(value.length), `attribute of ${value.length} bytes`);
      return value.length;
    },
    write: opaque.write,
  };
}

/** Present or not: it has no value. */
export const flag: Codec<true> = {
  read: (_message, _at, length) => (length === 0 ? true : undefined),
  size: () => 0,
  write: () => {},
};

/** Codecs of values that always take the same number of bytes. */
function fixed<Value>(
  bytes: number,
  read: (message: Buffer, at: number) => Value | undefined,
  write: (message: Buffer, at: number, value: Value) => void,
): Codec<Value> {
  return {
    read: (message, at, length) => (length === bytes ? read(message, at) : undefined),
    size: () => bytes,
    write,
  };
}

export const uint32 = fixed(
  4,
  (message, at) => uint32At(message, at),
  (message, at, value) => putUint32(message, at, value),
);

export const uint64 = fixed(
  8,
  (message, at) => message.readBigUInt64BE(at),
  (message, at, value: bigint) => message.writeBigUInt64BE(value, at),
);

/** CHANNEL-NUMBER: two bytes of number, two reserved. */
export const uint16 = fixed(
  4,
  (message, at) => uint16At(message, at),
  (message, at, value) => putUint16(message, at, value),
);

/** RFC 5780 section 7.5 lets one read that its two bytes of padding do not count in the length. */
export const responsePort: Codec<number> = {
  ...uint16,
  read: (message, at, length) => (length === 2 || length === 4 ? uint16At(message, at) : undefined),
};

/** REQUESTED-TRANSPORT: an IP protocol number and three reserved bytes. */
export const protocol = fixed(
  4,
  (message, at) => message.readUInt8(at),
  (message, at, value) => message.writeUInt8(value, at),
);

/** A family of which we know no more than that it is not IPv4 or IPv6 is answered otherwise than a malformed one. */
export const family = fixed<Family | "unknown">(
  4,
  (message, at) => familyOfCode(message.readUInt8(at)) ?? "unknown",
  (message, at, value) => {
    assert(value !== "unknown", "an address family to send");
    message.writeUInt8(codeOfFamily(value), at);
  },
);

export interface EvenPort {
  /** Whether the next higher port is to be reserved as well. */
  readonly reservesNext: boolean;
}

export const evenPort = fixed<EvenPort>(
  1,
  (message, at) => ({ reservesNext: message.readUInt8(at) >= 0x80 }),
  (message, at, value) => message.writeUInt8(value.reservesNext ? 0x80 : 0, at),
);

export interface ChangeRequest {
  readonly changesAddress: boolean;
  readonly changesPort: boolean;
}

export const changeRequest = fixed<ChangeRequest>(
  4,
  (message, at) => {
    const bits = message.readUInt8(at + 3);
    return { changesAddress: (bits & 4) !== 0, changesPort: (bits & 2) !== 0 };
  },
  (message, at, value) => message.writeUInt8((value.changesAddress ? 4 : 0) | (value.changesPort ? 2 : 0), at + 3),
);

export interface Icmp {
  readonly type: number;
  readonly code: number;
  /** The next hop's MTU where the type has one, else 0. */
  readonly data: number;
}

export const icmp = fixed<Icmp>(
  8,
  (message, at) => ({
    type: message.readUInt8(at + 2),
    code: message.readUInt8(at + 3),
    data: uint32At(message, at + 4),
  }),
  (message, at, value) => {
    message.writeUInt8(value.type, at + 2);
    message.writeUInt8(value.code, at + 3);
    putUint32(message, at + 4, value.data);
  },
);

export interface TransmitCounter {
  readonly requests: number;
  readonly responses: number;
}

/** RFC 7982 section 3.1. */
export const transmitCounter = fixed<TransmitCounter>(
  4,
  (message, at) => ({ requests: message.readUInt8(at + 2), responses: message.readUInt8(at + 3) }),
  (message, at, value) => {
    message.writeUInt8(value.requests, at + 2);
    message.writeUInt8(value.responses, at + 3);
  },
);

export interface ErrorReason {
  /** 300 to 699. */
  readonly code: number;
  readonly reason: string;
}

export const errorReason: Codec<ErrorReason> = {
  read(message, at, length) {
    if (length < 4) return undefined;
    const hundreds = message.readUInt8(at + 2) & 7;
    const rest = message.readUInt8(at + 3);
    const reason = text.read(message, at + 4, length - 4);
    if (hundreds < 3 || hundreds > 6 || rest > 99 || reason === undefined) return undefined;
    return { code: hundreds * 100 + rest, reason };
  },
  size: (value) => 4 + text.size(value.reason),
  write(message, at, value) {
    assert(value.code >= 300 && value.code <= 699, `error code ${value.code}`);
    message.writeUInt8(Math.trunc(value.code / 100), at + 2);
    message.writeUInt8(value.code % 100, at + 3);
    text.write(message, at + 4, value.reason);
  },
};

export interface FamilyErrorReason extends ErrorReason {
  readonly family: Family;
}

/** ADDRESS-ERROR-CODE: an ERROR-CODE with a family in its first byte. */
export const familyErrorReason: Codec<FamilyErrorReason> = {
  read(message, at, length) {
    const error = errorReason.read(message, at, length);
    const family = error && familyOfCode(message.readUInt8(at));
    return family && { family, ...error };
  },
  size: errorReason.size,
  write(message, at, value) {
    message.writeUInt8(codeOfFamily(value.family), at);
    errorReason.write(message, at, value);
  },
};

export const uint16List: Codec<readonly number[]> = {
  read(message, at, length) {
    if (length % 2 !== 0) return undefined;
    const values: number[] = [];
    for (let i = at; i < at + length; i += 2) values.push(uint16At(message, i));
    return values;
  },
  size: (values) => values.length * 2,
  write(message, at, values) {
    for (const [i, value] of values.entries()) putUint16(message, at + i * 2, value);
  },
};

export interface PasswordAlgorithm {
  /** 1 is MD5, 2 is SHA-256 (RFC 8489 section 18.5). */
  readonly algorithm: number;
  readonly parameters: Uint8Array;
}

export const passwordAlgorithms: Codec<readonly PasswordAlgorithm[]> = {
  read(message, at, length) {
    const end = at + length;
    const values: PasswordAlgorithm[] = [];
    for (let i = at; i < end; ) {
      if (i + 4 > end) return undefined;
      const parametersAt = i + 4;
      const parametersEnd = parametersAt + uint16At(message, i + 2);
      if (parametersEnd > end) return undefined;
      values.push({
        algorithm: uint16At(message, i),
        parameters: message.subarray(parametersAt, parametersEnd),
      });
      i = at + padded(parametersEnd - at);
    }
    return values;
  },
  size: (values) => values.reduce((sum, value) => sum + 4 + padded(value.parameters.length), 0),
  write(message, at, values) {
    let i = at;
    for (const { algorithm, parameters } of values) {
      putUint16(message, i, algorithm);
      putUint16(message, i + 2, parameters.length);
      message.set(parameters, i + 4);
      i += 4 + padded(parameters.length);
    }
  },
};

export const passwordAlgorithm: Codec<PasswordAlgorithm> = {
  read(message, at, length) {
    const values = passwordAlgorithms.read(message, at, length);
    return values?.length === 1 ? values[0] : undefined;
  },
  size: (value) => passwordAlgorithms.size([value]),
  write: (message, at, value) => passwordAlgorithms.write(message, at, [value]),
};

export const endpoint: Codec<Endpoint> = {
  read(message, at, length) {
    if (!isEndpoint(message, at, length)) return undefined;
    return { address: formatAddress(message.subarray(at + 4, at + length)), port: uint16At(message, at + 2) };
  },
  size: (value) => (familyOf(value.address) === 4 ? 8 : 20),
  write(message, at, value) {
    const address = parseAddress(value.address);
    assert(address, `not an IP address: ${value.address}`);
    message.writeUInt8(codeOfFamily(address.length === 4 ? 4 : 6), at + 1);
    putUint16(message, at + 2, value.port);
    message.set(address, at + 4);
  },
};

export const xorEndpoint: Codec<Endpoint> = {
  read(message, at, length) {
    if (!isEndpoint(message, at, length)) return undefined;
    const address = Buffer.allocUnsafe(length - 4);
    for (let i = 0; i < address.length; i++) address[i] = (message[at + 4 + i] ?? 0) ^ (message[maskAt + i] ?? 0);
    const port = uint16At(message, at + 2) ^ uint16At(message, maskAt);
    return { address: formatAddress(address), port };
  },
  size: endpoint.size,
  write(message, at, value) {
    endpoint.write(message, at, value);
    const length = endpoint.size(value);
    putUint16(message, at + 2, value.port ^ uint16At(message, maskAt));
    for (let i = 0; i < length - 4; i++) {
      message[at + 4 + i] = (message[at + 4 + i] ?? 0) ^ (message[maskAt + i] ?? 0);
    }
  },
};

/** Attributes, and password parameters within them, end on a multiple of four bytes. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

function isEndpoint(message: Buffer, at: number, length: number): boolean {
  if (length !== 8 && length !== 20) return false;
  return familyOfCode(message.readUInt8(at + 1)) === (length === 8 ? 4 : 6);
}

function familyOfCode(code: number): Family | undefined {
  if (code === 1) return 4;
  return code === 2 ? 6 : undefined;
}

function codeOfFamily(family: Family): number {
  return family === 4 ? 1 : 2;
}

function readUtf8(message: Buffer, at: number, end: number): string | undefined {
  const value = message.toString("utf8", at, end);
  // Node puts U+FFFD for what is not UTF-8: only where one shows does it have to be told from one that was sent.
  if (!value.includes("\ufffd")) return value;
  return Buffer.from(value).equals(message.subarray(at, end)) ? value : undefined;
}
