// Connect: a stream connection from a relayed TCP address to a peer (RFC 6062 section 5.2). The answer comes when the peer
// has been reached, or not. And the connections that peers make (section 5.3).

import { createHash } from "node:crypto";
import { type Action, familyOf, type Input, type Millis } from "../../contract.ts";
import { encode } from "../../stun/message.ts";
import { Method } from "../../stun/methods.ts";
import type { Allocation } from "../allocation.ts";
import { conclude } from "../conclude.ts";
import type { PeerConnection } from "../peer-connections.ts";
import { type AuthenticRequest, grant, type Outcome, refuse } from "../request.ts";
import type { Turn } from "../turn.ts";

export function connect(request: AuthenticRequest, allocation: Allocation, turn: Turn): Outcome {
  const { now, message } = request;
  const { xorPeerAddress: [to] = [] } = message.attributes;
  if (to === undefined) return refuse(400);
  if (allocation.transport !== "tcp") return refuse(437);
  const relay = allocation.relayFor(familyOf(to.address), now);
  if (relay === undefined) return refuse(443);
  if (turn.connections.findTo(allocation, to)) return refuse(446);
  if (!turn.peers.mayPermit(to.address, to.port)) return refuse(403);
  const refusal = turn.connections.refusalOfOneMore(allocation);
  if (refusal) return refusal;

  const peer = turn.newSocketId();
  turn.connections.add(now, { peer, at: to, allocation, connect: request });
  return { postponed: [{ do: "connect", relay, peer, to }] };
}

type Connected = Extract<Input, { is: "peer-connected" }>;
type Failed = Extract<Input, { is: "peer-failed" }>;
type Arrival = Extract<Input, { is: "peer-arrived" }>;

export function peerConnected(now: Millis, { peer }: Connected, turn: Turn): Action[] {
  const connection = turn.connections.findByPeer(peer);
  if (!connection?.connect) return [{ do: "hang-up", via: peer }];
  const { connect: request, id } = connection;
  turn.connections.connected(connection, now);
  return conclude(request, grant({ connectionId: id }), turn, request.identity);
}

export function peerFailed({ peer }: Failed, turn: Turn): Action[] {
  const connection = turn.connections.findByPeer(peer);
  if (!connection) return [];
  turn.connections.remove(connection);
  const { connect: request } = connection;
  return request ? conclude(request, refuse(447), turn, request.identity) : [];
}

/** Nobody was reached, or nobody came for it, in time. It is forgotten already. */
export function giveUp({ peer, connect: request }: PeerConnection, turn: Turn): Action[] {
  const answer = request ? conclude(request, refuse(447), turn, request.identity) : [];
  return [{ do: "hang-up", via: peer }, ...answer];
}

/** Who has no permission is closed on, and the client hears nothing of it. */
export function peerArrived(now: Millis, { relay, via, peer, from }: Arrival, turn: Turn): Action[] {
  const allocation = turn.allocations.findByConnection(via);
  const isWelcome =
    allocation?.relayFor(familyOf(from.address), now) === relay &&
    allocation.isPermitted(from.address, now) &&
    turn.peers.mayPermit(from.address, from.port) &&
    !turn.connections.refusalOfOneMore(allocation);
  if (!isWelcome) return [{ do: "hang-up", via: peer }];
  const { id } = turn.connections.add(now, { peer, at: from, allocation, connect: undefined });
  const bytes = encode({
    class: "indication",
    method: Method.connectionAttempt,
    transactionId: createHash("sha256").update(`attempt ${id} ${peer}`).digest().subarray(0, 12),
    attributes: { xorPeerAddress: [from], connectionId: id },
  });
  return [{ do: "send", via, to: allocation.tuple.from, bytes }];
}
