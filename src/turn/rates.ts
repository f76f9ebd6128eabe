// How much may be relayed: for each allocation, for each user, and for everyone together.

import type { SocketId, TrafficLimit } from "../contract.ts";

/** Of payload, in each direction by itself. */
export interface Rate {
  readonly bitsPerSecond?: number;
  readonly packetsPerSecond?: number;
}

/** None where nothing is said. */
export interface Rates {
  readonly perAllocation?: Rate;
  readonly perUser?: Rate;
  readonly inTotal?: Rate;
}

/** What a relay port is opened with. `allocation` names one by its first relay port. */
export function limitsOf({ perAllocation, perUser, inTotal }: Rates, allocation: SocketId, user: string) {
  return [
    ...limitOf(`allocation ${allocation}`, perAllocation),
    ...limitOf(`user ${user}`, perUser),
    ...limitOf("total", inTotal),
  ];
}

function limitOf(bucket: string, { bitsPerSecond, packetsPerSecond }: Rate = {}): TrafficLimit[] {
  if (bitsPerSecond === undefined && packetsPerSecond === undefined) return [];
  return [{ bucket, bytesPerSecond: bitsPerSecond && bitsPerSecond / 8, packetsPerSecond }];
}
