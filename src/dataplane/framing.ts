// Payload in the frame of the leg it leaves on (RFC 8656 sections 11.4 and 12.4).

import { randomFillSync } from "node:crypto";
import type { Endpoint, Framing } from "../contract.ts";
import { writeChannelData } from "../stun/channel-data.ts";
import { encode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";

/** What fits the 16-bit length of a STUN message beside its other attributes: 24 bytes of address, 4 of DATA's header. */
const longestIndicatedBytes = 65_504;

const idBytes = 12;
/** Transaction ids made at once: asking for randomness costs more than all the rest of an indication. */
const idsAtOnce = 256;

export class Framer {
  readonly #ids = Buffer.alloc(idBytes * idsAtOnce);
  #used = this.#ids.length;

  /** `peer` is who sent the payload: an indication names it. Undefined if the frame cannot hold that much. */
  frame(payload: Uint8Array, framing: Framing, peer: Endpoint): Uint8Array | undefined {
    if (framing === "bare") return payload;
    if (framing !== "indication") return writeChannelData(framing, payload);
    if (payload.length > longestIndicatedBytes) return undefined;
    return encode({
      class: "indication",
      method: Method.data,
      transactionId: this.#nextId(),
      attributes: { xorPeerAddress: [peer], data: payload },
    });
  }

  #nextId(): Uint8Array {
    if (this.#used === this.#ids.length) {
      randomFillSync(this.#ids);
      this.#used = 0;
    }
    this.#used += idBytes;
    return this.#ids.subarray(this.#used - idBytes, this.#used);
  }
}
