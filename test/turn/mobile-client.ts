// Clients that may come back from elsewhere (RFC 8016), and where the server takes them to be.

import type { Action } from "../../src/contract.ts";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { type Client, peer, World, type WorldOptions } from "./world.ts";

export const wantsTicket = { mobilityTicket: new Uint8Array() };
export const channelNumber = 0x4001;
export const home = "198.51.100.7";
export const away = "203.0.113.9";

export function worldOf(options: WorldOptions = {}): World {
  return new World({
    mobility: true,
    abilities: { movesAmong: [["udp", "dtls", "tcp", "tls"]], dontFragment: [] },
    ...options,
  });
}

/** A client with a ticket and a channel to `peer`. */
export function mobileClient(
  world: World,
  client: Client = world.client(home),
): { client: Client; ticket: Uint8Array } {
  const answer = client.asks("allocate", { requestedTransport: 17, ...wantsTicket });
  client.asks("channelBind", { channelNumber, xorPeerAddress: [peer] });
  return { client, ticket: ticketOf(answer) };
}

export function ticketOf({ attributes }: ReturnType<Client["asks"]>): Uint8Array {
  if (!attributes.mobilityTicket) throw new Error("no ticket");
  return attributes.mobilityTicket;
}

export function sendsData(client: Client, text = "data", number = channelNumber): Action[] {
  return client.world.hears({ is: "datagram", ...client.tuple, bytes: writeChannelData(number, Buffer.from(text)) });
}

/** Where the plane sends what `peer` sends. */
export function clientsOfRoutes(world: World): unknown[] {
  return [...new Set(world.routes.map(([{ socket, peer }]) => `${socket} ${peer.address} ${peer.port}`))];
}

export function placeOf({ tuple: { via, from } }: Client): string {
  return `${via} ${from.address} ${from.port}`;
}
