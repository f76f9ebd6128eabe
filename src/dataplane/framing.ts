// Payload in the frame of the leg it leaves on (RFC 8656 sections 11.4 and 12.4).

import { randomBytes } from "node:crypto";
import type { Endpoint, Framing } from "../contract.ts";
import { writeChannelData } from "../stun/channel-data.ts";
import { encode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";

/** What fits the 16-bit length of a STUN message beside its other attributes: 24 bytes of address, 4 of DATA's header. */
const longestIndicatedBytes = 65_504;

/** `peer` is who sent the payload: an indication names it. Undefined if the frame cannot hold that much. */
export function frame(payload: Uint8Array, framing: Framing, peer: Endpoint): Uint8Array | undefined {
  if (framing === "bare") return payload;
  if (framing !== "indication") return writeChannelData(framing, payload);
  if (payload.length > longestIndicatedBytes) return undefined;
  return encode({
    class: "indication",
    method: Method.data,
    transactionId: randomBytes(12),
    attributes: { xorPeerAddress: [peer], data: payload },
  });
}
