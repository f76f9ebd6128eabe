// The header that a load balancer puts before a connection to say whose it is: the PROXY protocol, versions 1 and 2
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).

import type { Endpoint } from "../contract.ts";
import { formatAddress, parseAddress } from "../stun/address.ts";
import { canonicalAddress } from "./endpoint.ts";
import type { Judgement } from "./first-bytes.ts";

export interface ProxyHeader {
  /** Bytes that it takes. */
  readonly size: number;
  /** The client. Undefined where the proxy speaks for itself, or does not know. */
  readonly source?: Endpoint;
}

const signature1 = Buffer.from("PROXY ");
const signature2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
/** The longest that version 1 allows. */
const longest1 = 107;
const line1 = /^PROXY (?:UNKNOWN(?: .*)?|TCP([46]) (\S+) (\S+) (\d{1,5}) (\d{1,5}))$/;
const lead2 = 16;
/** Of addresses and what else stands in version 2: more than any balancer sends. */
const longestBody2 = 4096;

/** Reads the header that `bytes` begin with. */
export function judgeProxyHeader(bytes: Buffer): Judgement<ProxyHeader> {
  if (startsLike(bytes, signature2)) return bytes.length < lead2 ? "incomplete" : judgeVersion2(bytes);
  return startsLike(bytes, signature1) ? judgeVersion1(bytes) : "broken";
}

/** As far as there are bytes. */
function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.subarray(0, length).equals(signature.subarray(0, length));
}

function judgeVersion1(bytes: Buffer): Judgement<ProxyHeader> {
  const end = bytes.subarray(0, longest1).indexOf("\r\n");
  if (end < 0) return bytes.length < longest1 ? "incomplete" : "broken";
  const size = end + 2;
  const written = line1.exec(bytes.toString("latin1", 0, end));
  if (!written) return "broken";
  const [, family, from = "", to = "", ...ports] = written;
  if (family === undefined) return { size };
  const [source, target] = [parseAddress(from), parseAddress(to)];
  const addressBytes = family === "4" ? 4 : 16;
  const isWrong = source?.length !== addressBytes || target?.length !== addressBytes;
  if (isWrong || ports.some((port) => Number(port) > 65_535)) return "broken";
  return { size, source: endpoint(source, Number(ports[0])) };
}

const local = 0x20;
const proxied = 0x21;
/** By address family and protocol: bytes of an address. Any other than TCP is of no use here, and no address either. */
const addressBytesOf = new Map([
  [0x11, 4],
  [0x21, 16],
]);
const unspecified = 0x00;

function judgeVersion2(bytes: Buffer): Judgement<ProxyHeader> {
  const [command, kind, length] = [bytes.readUInt8(12), bytes.readUInt8(13), bytes.readUInt16BE(14)];
  if ((command !== local && command !== proxied) || length > longestBody2) return "broken";
  const size = lead2 + length;
  const addressBytes = addressBytesOf.get(kind);
  const isSilent = command === local || kind === unspecified;
  if (!isSilent && (addressBytes === undefined || length < 2 * addressBytes + 4)) return "broken";
  if (bytes.length < size) return "incomplete";
  if (isSilent || addressBytes === undefined) return { size };
  const source = bytes.subarray(lead2, lead2 + addressBytes);
  return { size, source: endpoint(source, bytes.readUInt16BE(lead2 + 2 * addressBytes)) };
}

function endpoint(address: Uint8Array, port: number): Endpoint {
  return { address: canonicalAddress(formatAddress(address)), port };
}
