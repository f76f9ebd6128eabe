// One client with one relay port, and one peer: what tests of routes begin with.

import { expect } from "vitest";
import type { Endpoint, Family, Leg, Listener, SocketId, Transport } from "../../../src/contract.ts";
import { anyPort, loopback, type Rig, type UdpEnd } from "../rig.ts";

export const channel = 0x4001;

/** A client's socket, or what stands for one. */
export type ClientEnd = Pick<UdpEnd, "at" | "send" | "next" | "nextFrom" | "close">;

/** What clients are on. */
export interface Clients {
  readonly transport: Transport;
  /** The most that one packet carries; at least nothing, or one byte. */
  readonly bytes: readonly [least: 0 | 1, most: number];
  /** A client, and what it is to the controller. Nothing that it sent on its way in is left. */
  join(rig: Rig, listener: Listener, family: Family): Promise<{ readonly client: ClientEnd; readonly via: SocketId }>;
}

export const onUdp: Clients = {
  transport: "udp",
  bytes: [0, 65_507],
  join: async (rig, { socket }, family) => ({ client: await rig.udp(loopback[family]), via: socket }),
};

export interface Scene {
  readonly rig: Rig;
  readonly listener: Listener;
  readonly via: SocketId;
  readonly client: ClientEnd;
  readonly peer: UdpEnd;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

export async function openScene(rig: Rig, clients: Clients, family: Family = 4): Promise<Scene> {
  const listener = await rig.listen(clients.transport, family);
  const { client, via } = await clients.join(rig, listener, family);
  const { relay, at } = await rig.openRelay(family, via);
  return { rig, listener, via, client, peer: await rig.udp(loopback[family]), relay, at };
}

export function channelLegs({ rig, via, client, peer, relay }: Scene, number = channel): [Leg, Leg] {
  return [rig.leg(via, client.at, number), rig.leg(relay, peer.at)];
}

export function permissionLegs({ rig, via, client, peer, relay }: Scene): [Leg, Leg] {
  return [rig.leg(via, client.at, "indication"), rig.leg(relay, anyPort(peer.at))];
}

/** Says so if anything went to this peer before: a marker sent now is what arrives first. */
export async function expectNothingBefore({ rig, peer }: Scene): Promise<void> {
  const other = await rig.udp(peer.at.address);
  other.send("marker", peer.at);
  expect((await peer.next()).toString()).toBe("marker");
}
