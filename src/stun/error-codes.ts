// The IANA registry of STUN error codes and the reason phrases it recommends (RFC 8489 section 14.8, RFC 8656
// section 19, RFC 6062 section 6.3, RFC 8016 section 5, RFC 8445 section 16.1).

export const reasonPhrases = {
  300: "Try Alternate",
  400: "Bad Request",
  401: "Unauthenticated",
  403: "Forbidden",
  405: "Mobility Forbidden",
  420: "Unknown Attribute",
  437: "Allocation Mismatch",
  438: "Stale Nonce",
  440: "Address Family not Supported",
  441: "Wrong Credentials",
  442: "Unsupported Transport Protocol",
  443: "Peer Address Family Mismatch",
  446: "Connection Already Exists",
  447: "Connection Timeout or Failure",
  486: "Allocation Quota Reached",
  487: "Role Conflict",
  500: "Server Error",
  508: "Insufficient Capacity",
} as const;

export type ErrorCode = keyof typeof reasonPhrases;
