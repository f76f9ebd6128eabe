// ConnectionBind: the client's half of a connection to a peer, on a stream connection of its own. Behind the answer there
// is no STUN any more (RFC 6062 section 5.4).

import { type AuthenticRequest, grant, isOnStream, type Outcome, refuse } from "../request.ts";
import type { Turn } from "../turn.ts";

export function connectionBind({ message, tuple, identity }: AuthenticRequest, turn: Turn): Outcome {
  const { connectionId } = message.attributes;
  // A connection that carries an allocation would carry two things at once.
  if (!isOnStream(tuple) || connectionId === undefined || turn.allocations.find(tuple)) return refuse(400);
  const connection = turn.connections.findPending(connectionId);
  if (!connection || turn.allocations.find(connection.allocation.tuple) !== connection.allocation) return refuse(400);
  if (connection.allocation.username !== identity.username) return refuse(441);
  turn.connections.bind(connection);
  return grant({}, [{ do: "join", streams: [tuple.via, connection.peer] }]);
}
