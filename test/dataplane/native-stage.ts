// The native plane in every way that it can run, and what its tests begin with.

import { afterEach, describe } from "vitest";
import type { Endpoint, Listener, PlaneOptions, SocketId } from "../../src/contract.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import type { NativeOptions } from "../../src/dataplane/native-options.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { anyPort, Rig, type UdpEnd } from "./rig.ts";

export const channel = 0x4001;

export type Ways = Required<Pick<NativeOptions, "threads" | "byRing">>;

export interface Stage {
  readonly ways: Ways;
  rigOf(options?: Partial<PlaneOptions>, native?: NativeOptions): Rig;
  /** Closed when the test is over. */
  keep(rig: Rig): Rig;
}

/** Nothing where there is no native plane: native.test.ts says why. */
export function describeNative(tests: (stage: Stage) => void): void {
  // Where the kernel has no io_uring, what is to go by it goes by calls as well.
  describe.runIf(obstacleToNative() === undefined).each<Ways>([
    { threads: 1, byRing: true },
    { threads: 2, byRing: true },
    { threads: 2, byRing: false },
  ])("on $threads threads, by io_uring: $byRing", (ways) => {
    describe("the native plane", () => {
      const rigs: Rig[] = [];
      afterEach(async () => {
        await Promise.all(rigs.splice(0).map((rig) => rig.close()));
      });
      const keep = (rig: Rig) => {
        rigs.push(rig);
        return rig;
      };
      tests({
        ways,
        keep,
        rigOf: (options = {}, native = {}) =>
          keep(new Rig((given, clock) => nativePlane(given, { ...ways, clock, ...native }), options)),
      });
    });
  });
}

/** A client with a relay port, and a peer. */
export interface Scene {
  readonly listener: Listener;
  readonly client: UdpEnd;
  readonly peer: UdpEnd;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

export function binding(mark: number): Uint8Array {
  return encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12, mark), attributes: {} });
}

export async function scene(rig: Rig): Promise<Scene> {
  const [listener, client, peer] = [await rig.listen("udp"), await rig.udp(), await rig.udp("127.0.0.9")];
  const relay = rig.newSocketId();
  rig.plane.perform({ do: "open-relay", relay, family: 4, via: listener.socket, client: client.at });
  const input = await rig.handed.next();
  if (input.is !== "relay-opened") throw new Error(`handed ${JSON.stringify(input)}`);
  return { listener, client, peer, relay, at: input.at };
}

export function permit(rig: Rig, { listener, client, relay }: Scene, peer: Endpoint): void {
  rig.route(rig.leg(listener.socket, client.at, "indication"), rig.leg(relay, anyPort(peer)));
}

export function bind(rig: Rig, { listener, client, relay }: Scene, peer: Endpoint): void {
  rig.route(rig.leg(listener.socket, client.at, channel), rig.leg(relay, peer));
}

export function packetsOf(rig: Rig, relay: SocketId): number {
  return rig.plane.usage(relay)?.toPeer.packets ?? 0;
}

export async function nextHandedUp(rig: Rig): Promise<Buffer> {
  const input = await rig.handed.next();
  if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
  return Buffer.from(input.bytes);
}
