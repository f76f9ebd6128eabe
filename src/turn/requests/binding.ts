// Binding: what the client's address looks like from here (RFC 8489 section 6.3.1; RFC 3489 section 8.1 for clients
// without a magic cookie, which get neither SOURCE-ADDRESS nor CHANGED-ADDRESS: we have no second address to name).

import { attributeTable } from "../../stun/attributes.ts";
import { grant, type Outcome, type Request, refuse } from "../request.ts";
import { unknownAttributes } from "../unknown-attributes.ts";

export function binding({ message, tuple }: Request): Outcome {
  const unknown = unknownAttributes(message).filter((type) => !(type === changeRequestType && asksNoChange(message)));
  if (unknown.length > 0) return refuse(420, { unknownAttributes: unknown });
  return grant(message.classic ? { mappedAddress: tuple.from } : { xorMappedAddress: tuple.from });
}

const changeRequestType = attributeTable.changeRequest.type;

/** Classic clients send CHANGE-REQUEST also when they want none. */
function asksNoChange({ attributes: { changeRequest } }: Request["message"]): boolean {
  return changeRequest !== undefined && !changeRequest.changesAddress && !changeRequest.changesPort;
}
