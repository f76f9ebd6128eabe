// FINGERPRINT: the CRC-32 of what stands before it, XOR'ed with "STUN" (RFC 8489 section 14.7).

const mask = 0x5354554e;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The value for a FINGERPRINT attribute that begins at byte `at` of a message whose header is complete. */
export function fingerprintAt(message: Buffer, at: number): number {
  let crc = 0xffffffff;
  for (let i = 0; i < at; i++) crc = (crc >>> 8) ^ (table[(crc ^ (message[i] ?? 0)) & 0xff] ?? 0);
  return (~crc ^ mask) >>> 0;
}
