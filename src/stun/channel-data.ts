// ChannelData (RFC 8656 sections 12.4 to 12.6): two bytes of channel number, two of length, then the payload.

export const firstChannel = 0x4000;
/** RFC 8656 ends at 0x4fff; RFC 5766 clients choose from all that the first two bits leave (section 11). */
export const lastChannel = 0x7fff;

const headerBytes = 4;

export interface ChannelData {
  readonly channel: number;
  readonly payload: Uint8Array;
}

/** Undefined for anything else. What follows the payload is padding. Does not copy. */
export function readChannelData(bytes: Uint8Array): ChannelData | undefined {
  if (bytes.length < headerBytes) return undefined;
  const channel = uint16(bytes, 0);
  const end = headerBytes + uint16(bytes, 2);
  if (channel < firstChannel || channel > lastChannel || end > bytes.length) return undefined;
  return { channel, payload: bytes.subarray(headerBytes, end) };
}

/** Without padding, as UDP allows; a stream needs `pad`. */
export function writeChannelData(channel: number, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(headerBytes + payload.length);
  bytes.writeUInt16BE(channel, 0);
  bytes.writeUInt16BE(payload.length, 2);
  bytes.set(payload, headerBytes);
  return bytes;
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
