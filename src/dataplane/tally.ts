// What a plane counts: payload relayed, by client transport, relay family and direction, and drops by their reason.

import type { DropReason, Family, PlaneCounters, Traffic, Transport } from "../contract.ts";

type Direction = PlaneCounters["relayed"][number]["direction"];

/** One growing count of packets and payload bytes. */
export class Meter implements Traffic {
  packets = 0;
  bytes = 0;

  add(bytes: number, packets = 1): void {
    this.packets += packets;
    this.bytes += bytes;
  }
}

interface Row {
  readonly transport: Transport;
  readonly family: Family;
  readonly direction: Direction;
  readonly meter: Meter;
}

export class Tally {
  readonly #rows: Row[] = [];
  readonly #dropped: Record<DropReason, number> = {
    "forbidden-client": 0,
    "no-channel": 0,
    "no-permission": 0,
    "forbidden-peer": 0,
    malformed: 0,
    limited: 0,
    congested: 0,
    flooded: 0,
  };

  /** The one meter of this combination. Keep it: finding it is not for every packet. */
  meter(transport: Transport, family: Family, direction: Direction): Meter {
    const known = this.#rows.find(
      (row) => row.transport === transport && row.family === family && row.direction === direction,
    );
    if (known) return known.meter;
    const meter = new Meter();
    this.#rows.push({ transport, family, direction, meter });
    return meter;
  }

  drop(reason: DropReason): void {
    this.#dropped[reason] += 1;
  }

  counters(): Pick<PlaneCounters, "relayed" | "dropped"> {
    const relayed = this.#rows
      .filter(({ meter }) => meter.packets > 0)
      .map(({ meter, ...row }) => ({ ...row, packets: meter.packets, bytes: meter.bytes }));
    return { relayed, dropped: { ...this.#dropped } };
  }
}
