// What it costs to read and write the messages that a relay sees most.

import type { Endpoint } from "../src/contract.ts";
import { readChannelData, writeChannelData } from "../src/stun/channel-data.ts";
import { isIntact } from "../src/stun/integrity.ts";
import { longTermKey } from "../src/stun/keys.ts";
import { decode, encode } from "../src/stun/message.ts";
import { Method } from "../src/stun/methods.ts";
import type { Plan } from "./plan.ts";
import type { Report } from "./report.ts";
import { nanosecondsPerCall } from "./timing.ts";

const transactionId = Uint8Array.from({ length: 12 }, (_, i) => i);
const key = longTermKey("1893456000:juliet", "sluice", "secret");
const address: Endpoint = { address: "203.0.113.7", port: 40_001 };

const bindingAnswer = {
  class: "success",
  method: Method.binding,
  transactionId,
  attributes: { xorMappedAddress: address },
} as const;
const allocateRequest = {
  class: "request",
  method: Method.allocate,
  transactionId,
  attributes: {
    requestedTransport: 17,
    lifetime: 600,
    username: "1893456000:juliet",
    realm: "sluice",
    nonce: "66d0e6f1a1b2c3d4e5f60718",
  },
} as const;

export async function codec(plan: Plan): Promise<Report> {
  const bindingRequest = encode({ class: "request", method: Method.binding, transactionId, attributes: {} });
  const bindingSuccess = encode(bindingAnswer, { fingerprint: true });
  const allocate = encode(allocateRequest, { key });
  const audio = new Uint8Array(172);
  const video = new Uint8Array(1200);
  const sendAudio = encode({
    class: "indication",
    method: Method.send,
    transactionId,
    attributes: { xorPeerAddress: [address], data: audio },
  });
  const channelVideo = writeChannelData(0x4000, video);

  const calls: Readonly<Record<string, () => unknown>> = {
    "decode Binding request, 20 bytes": () => decode(bindingRequest),
    "decode Binding success with FINGERPRINT": () => decode(bindingSuccess),
    "decode Allocate with credentials": () => decode(allocate),
    "check its MESSAGE-INTEGRITY": () => isIntact(allocate, key),
    "decode Send indication, 172 bytes of DATA": () => decode(sendAudio),
    "encode Binding success": () => encode(bindingAnswer),
    "encode Binding success with FINGERPRINT": () => encode(bindingAnswer, { fingerprint: true }),
    "encode Allocate with MESSAGE-INTEGRITY": () => encode(allocateRequest, { key }),
    "read ChannelData, 1,200 bytes": () => readChannelData(channelVideo),
    "write ChannelData, 1,200 bytes": () => writeChannelData(0x4000, video),
  };
  return {
    benchmark: "codec",
    unit: "ns per call",
    conditions: `one thread, ${plan.repeats} rounds, median (lowest–highest)`,
    rows: Object.entries(calls).map(([name, call]) => ({
      name,
      cells: [{ subject: "src/stun", value: nanosecondsPerCall(call, plan.repeats, plan.seconds / 5) }],
    })),
  };
}
