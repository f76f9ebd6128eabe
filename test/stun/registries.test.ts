// Holds our tables against the IANA "STUN Parameters" registries: attributes, error codes, methods.

import { describe, expect, test } from "vitest";
import { attributeTable, rowOfType } from "../../src/stun/attributes.ts";
import { reasonPhrases } from "../../src/stun/error-codes.ts";
import { Method } from "../../src/stun/methods.ts";

/** Every name of the registry of attributes, those included that it keeps as "Reserved; was …". */
const registeredAttributes = new Map([
  [0x0001, "MAPPED-ADDRESS"],
  [0x0002, "RESPONSE-ADDRESS"],
  [0x0003, "CHANGE-REQUEST"],
  [0x0004, "SOURCE-ADDRESS"],
  [0x0005, "CHANGED-ADDRESS"],
  [0x0006, "USERNAME"],
  [0x0007, "PASSWORD"],
  [0x0008, "MESSAGE-INTEGRITY"],
  [0x0009, "ERROR-CODE"],
  [0x000a, "UNKNOWN-ATTRIBUTES"],
  [0x000b, "REFLECTED-FROM"],
  [0x000c, "CHANNEL-NUMBER"],
  [0x000d, "LIFETIME"],
  [0x0010, "BANDWIDTH"],
  [0x0012, "XOR-PEER-ADDRESS"],
  [0x0013, "DATA"],
  [0x0014, "REALM"],
  [0x0015, "NONCE"],
  [0x0016, "XOR-RELAYED-ADDRESS"],
  [0x0017, "REQUESTED-ADDRESS-FAMILY"],
  [0x0018, "EVEN-PORT"],
  [0x0019, "REQUESTED-TRANSPORT"],
  [0x001a, "DONT-FRAGMENT"],
  [0x001b, "ACCESS-TOKEN"],
  [0x001c, "MESSAGE-INTEGRITY-SHA256"],
  [0x001d, "PASSWORD-ALGORITHM"],
  [0x001e, "USERHASH"],
  [0x0020, "XOR-MAPPED-ADDRESS"],
  [0x0021, "TIMER-VAL"],
  [0x0022, "RESERVATION-TOKEN"],
  [0x0024, "PRIORITY"],
  [0x0025, "USE-CANDIDATE"],
  [0x0026, "PADDING"],
  [0x0027, "RESPONSE-PORT"],
  [0x002a, "CONNECTION-ID"],
  [0x8000, "ADDITIONAL-ADDRESS-FAMILY"],
  [0x8001, "ADDRESS-ERROR-CODE"],
  [0x8002, "PASSWORD-ALGORITHMS"],
  [0x8003, "ALTERNATE-DOMAIN"],
  [0x8004, "ICMP"],
  [0x8022, "SOFTWARE"],
  [0x8023, "ALTERNATE-SERVER"],
  [0x8025, "TRANSACTION_TRANSMIT_COUNTER"],
  [0x8027, "CACHE-TIMEOUT"],
  [0x8028, "FINGERPRINT"],
  [0x8029, "ICE-CONTROLLED"],
  [0x802a, "ICE-CONTROLLING"],
  [0x802b, "RESPONSE-ORIGIN"],
  [0x802c, "OTHER-ADDRESS"],
  [0x802d, "ECN-CHECK STUN"],
  [0x802e, "THIRD-PARTY-AUTHORIZATION"],
  [0x8030, "MOBILITY-TICKET"],
  [0xc000, "CISCO-STUN-FLOWDATA"],
  [0xc001, "ENF-FLOW-DESCRIPTION"],
  [0xc002, "ENF-NETWORK-STATUS"],
  [0xc057, "GOOG-NETWORK-INFO"],
  [0xc058, "GOOG-LAST-ICE-CHECK-RECEIVED"],
  [0xc059, "GOOG-MISC-INFO"],
  [0xc05a, "GOOG-OBSOLETE-1"],
  [0xc05b, "GOOG-CONNECTION-ID"],
  [0xc05c, "GOOG-DELTA"],
  [0xc05d, "GOOG-DELTA-ACK"],
  [0xc060, "GOOG-MESSAGE-INTEGRITY-32"],
  [0xc070, "DTLS-IN-STUN"],
  [0xc071, "DTLS-IN-STUN-ACKNOWLEDGEMENT"],
]);

const registeredErrorCodes = {
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
};

const registeredMethods = {
  Binding: 0x001,
  Allocate: 0x003,
  Refresh: 0x004,
  Send: 0x006,
  Data: 0x007,
  CreatePermission: 0x008,
  ChannelBind: 0x009,
  Connect: 0x00a,
  ConnectionBind: 0x00b,
  ConnectionAttempt: 0x00c,
};

function camelCase(name: string): string {
  return name.toLowerCase().replace(/[-_ ]([a-z0-9])/g, (_, first: string) => first.toUpperCase());
}

describe("the attribute table", () => {
  test("has a row for every registered attribute and no other", () => {
    const rows = Object.values(attributeTable).map(({ type, name }) => [type, name]);
    expect(rows).toEqual([...registeredAttributes]);
  });

  test("names each key after its attribute", () => {
    for (const [key, { name }] of Object.entries(attributeTable)) expect(key).toBe(camelCase(name));
  });

  test("is found by type, for all 65,536 of them", () => {
    const found = new Map<number, string>();
    for (let type = 0; type <= 0xffff; type++) {
      const row = rowOfType(type);
      if (row) found.set(type, attributeTable[row.key].name);
    }
    expect(found).toEqual(registeredAttributes);
  });
});

test("the error codes and their phrases are the registered ones", () => {
  expect(reasonPhrases).toEqual(registeredErrorCodes);
});

test("the methods are the registered ones", () => {
  const named = Object.fromEntries(
    Object.entries(registeredMethods).map(([name, method]) => [name.charAt(0).toLowerCase() + name.slice(1), method]),
  );
  expect(Method).toEqual(named);
});
