// MOBILITY-TICKET: which allocation its holder may move, sealed with a key of ours (RFC 8016 section 3.3).

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";

export interface MobilityTicket {
  /** The number of an allocation's `Roaming`. */
  readonly number: number;
  /** Which of its tickets this is. */
  readonly issue: number;
}

const cipher = "aes-256-gcm";
const nonceBytes = 12;
/** Six of the number and six of the issue. */
const plainBytes = 12;
const tagBytes = 16;

export class MobilityTickets {
  readonly #sealKey: Uint8Array;
  readonly #nonceKey: Uint8Array;

  /** `secret`: 16 random bytes or more, new with every start, as numbers begin again. */
  constructor(secret: Uint8Array) {
    this.#sealKey = createHmac("sha256", secret).update("mobility tickets").digest();
    this.#nonceKey = createHmac("sha256", secret).update("nonces of mobility tickets").digest();
  }

  /** 40 bytes, the same ones for the same ticket. */
  seal({ number, issue }: MobilityTicket): Uint8Array {
    const plain = Buffer.alloc(plainBytes);
    plain.writeUIntBE(number, 0, 6);
    plain.writeUIntBE(issue, 6, 6);
    // Different for every ticket, as it has to be, and tells nobody how many there were.
    const nonce = createHmac("sha256", this.#nonceKey).update(plain).digest().subarray(0, nonceBytes);
    const sealing = createCipheriv(cipher, this.#sealKey, nonce);
    return Buffer.concat([nonce, sealing.update(plain), sealing.final(), sealing.getAuthTag()]);
  }

  /** Undefined for what is not one of ours. */
  open(ticket: Uint8Array): MobilityTicket | undefined {
    if (ticket.length !== nonceBytes + plainBytes + tagBytes) return undefined;
    const opening = createDecipheriv(cipher, this.#sealKey, ticket.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    });
    opening.setAuthTag(ticket.subarray(nonceBytes + plainBytes));
    const plain = opening.update(ticket.subarray(nonceBytes, nonceBytes + plainBytes));
    try {
      opening.final();
    } catch {
      return undefined;
    }
    return { number: plain.readUIntBE(0, 6), issue: plain.readUIntBE(6, 6) };
  }
}
