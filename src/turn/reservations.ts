// Relay ports that are open and kept for a later Allocate of the same user, who names them by a token
// (RFC 8656 sections 7.2 and 18.10).

import { createHmac } from "node:crypto";
import { Calendar } from "../calendar.ts";
import type { Endpoint, Family, Millis, SocketId, Transport } from "../contract.ts";
import { count } from "../counts.ts";

/** Section 7.2 recommends at least 30 seconds. */
const reservationMillis = 30_000;
const tokenBytes = 8;

export interface Reservation {
  readonly token: Uint8Array;
  readonly relay: SocketId;
  readonly family: Family;
  readonly relayed: Endpoint;
  /** As quotas count it: nobody else can use the token. */
  readonly user: string;
  /** Of whoever reserved it: nobody comes by another to use the token, since a plane may serve that elsewhere. */
  readonly transport: Transport;
}

export class Reservations {
  readonly #secret: Uint8Array;
  readonly #byToken = new Map<string, Reservation>();
  readonly #ends = new Calendar<string>();
  readonly #perUser = new Map<string, number>();

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  get size(): number {
    return this.#byToken.size;
  }

  countOf(user: string): number {
    return this.#perUser.get(user) ?? 0;
  }

  add(now: Millis, of: Omit<Reservation, "token">): Reservation {
    const mac = createHmac("sha256", this.#secret).update(`reservation ${of.relay}`).digest();
    const reservation = { ...of, token: mac.subarray(0, tokenBytes) };
    const key = keyOf(reservation.token);
    this.#byToken.set(key, reservation);
    this.#ends.file(key, now + reservationMillis);
    count(this.#perUser, of.user, 1);
    return reservation;
  }

  find(token: Uint8Array, user: string, transport: Transport): Reservation | undefined {
    const reservation = this.#byToken.get(keyOf(token));
    return reservation?.user === user && reservation.transport === transport ? reservation : undefined;
  }

  /** Its port is somebody's now. */
  take({ token, user }: Reservation): void {
    const key = keyOf(token);
    if (!this.#byToken.delete(key)) return;
    this.#ends.strike(key);
    count(this.#perUser, user, -1);
  }

  /** Those whose time has run out, taken. */
  due(now: Millis): Reservation[] {
    const reservations = this.#ends.due(now).flatMap((key) => this.#byToken.get(key) ?? []);
    for (const reservation of reservations) this.take(reservation);
    return reservations;
  }
}

function keyOf(token: Uint8Array): string {
  return Buffer.from(token).toString("latin1");
}
