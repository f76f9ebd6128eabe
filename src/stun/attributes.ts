// The table of STUN attributes: a row for each that the IANA registry names, or named once (RFC 8489 section 18.3).
// The type of a message's attributes is computed from it; to know one more attribute, add a row.

import type { Codec } from "./codecs.ts";
import * as codecs from "./codecs.ts";

interface Row<Value> {
  readonly type: number;
  /** As the registry spells it. */
  readonly name: string;
  readonly codec: Codec<Value>;
  readonly repeats: false;
}

interface RepeatingRow<Value> extends Omit<Row<Value>, "repeats"> {
  readonly repeats: true;
}

function row<Value>(type: number, name: string, codec: Codec<Value>): Row<Value> {
  return { type, name, codec, repeats: false };
}

/** For an attribute whose every occurrence counts; of the others only the first does (RFC 8489 section 14). */
function repeatingRow<Value>(type: number, name: string, codec: Codec<Value>): RepeatingRow<Value> {
  return { type, name, codec, repeats: true };
}

export const attributeTable = {
  mappedAddress: row(0x0001, "MAPPED-ADDRESS", codecs.endpoint),
  responseAddress: row(0x0002, "RESPONSE-ADDRESS", codecs.endpoint),
  changeRequest: row(0x0003, "CHANGE-REQUEST", codecs.changeRequest),
  sourceAddress: row(0x0004, "SOURCE-ADDRESS", codecs.endpoint),
  changedAddress: row(0x0005, "CHANGED-ADDRESS", codecs.endpoint),
  username: row(0x0006, "USERNAME", codecs.text),
  password: row(0x0007, "PASSWORD", codecs.text),
  messageIntegrity: row(0x0008, "MESSAGE-INTEGRITY", codecs.opaqueOf(20)),
  errorCode: row(0x0009, "ERROR-CODE", codecs.errorReason),
  unknownAttributes: row(0x000a, "UNKNOWN-ATTRIBUTES", codecs.uint16List),
  reflectedFrom: row(0x000b, "REFLECTED-FROM", codecs.endpoint),
  channelNumber: row(0x000c, "CHANNEL-NUMBER", codecs.uint16),
  lifetime: row(0x000d, "LIFETIME", codecs.uint32),
  bandwidth: row(0x0010, "BANDWIDTH", codecs.uint32),
  xorPeerAddress: repeatingRow(0x0012, "XOR-PEER-ADDRESS", codecs.xorEndpoint),
  data: row(0x0013, "DATA", codecs.opaque),
  realm: row(0x0014, "REALM", codecs.text),
  nonce: row(0x0015, "NONCE", codecs.text),
  xorRelayedAddress: repeatingRow(0x0016, "XOR-RELAYED-ADDRESS", codecs.xorEndpoint),
  requestedAddressFamily: row(0x0017, "REQUESTED-ADDRESS-FAMILY", codecs.family),
  evenPort: row(0x0018, "EVEN-PORT", codecs.evenPort),
  requestedTransport: row(0x0019, "REQUESTED-TRANSPORT", codecs.protocol),
  dontFragment: row(0x001a, "DONT-FRAGMENT", codecs.flag),
  accessToken: row(0x001b, "ACCESS-TOKEN", codecs.opaque),
  messageIntegritySha256: row(0x001c, "MESSAGE-INTEGRITY-SHA256", codecs.opaqueOf(16, 32)),
  passwordAlgorithm: row(0x001d, "PASSWORD-ALGORITHM", codecs.passwordAlgorithm),
  userhash: row(0x001e, "USERHASH", codecs.opaqueOf(32)),
  xorMappedAddress: row(0x0020, "XOR-MAPPED-ADDRESS", codecs.xorEndpoint),
  timerVal: row(0x0021, "TIMER-VAL", codecs.uint32),
  reservationToken: row(0x0022, "RESERVATION-TOKEN", codecs.opaqueOf(8)),
  priority: row(0x0024, "PRIORITY", codecs.uint32),
  useCandidate: row(0x0025, "USE-CANDIDATE", codecs.flag),
  padding: row(0x0026, "PADDING", codecs.opaque),
  responsePort: row(0x0027, "RESPONSE-PORT", codecs.responsePort),
  connectionId: row(0x002a, "CONNECTION-ID", codecs.uint32),

  additionalAddressFamily: row(0x8000, "ADDITIONAL-ADDRESS-FAMILY", codecs.family),
  addressErrorCode: row(0x8001, "ADDRESS-ERROR-CODE", codecs.familyErrorReason),
  passwordAlgorithms: row(0x8002, "PASSWORD-ALGORITHMS", codecs.passwordAlgorithms),
  alternateDomain: row(0x8003, "ALTERNATE-DOMAIN", codecs.text),
  icmp: row(0x8004, "ICMP", codecs.icmp),
  software: row(0x8022, "SOFTWARE", codecs.text),
  alternateServer: repeatingRow(0x8023, "ALTERNATE-SERVER", codecs.endpoint),
  transactionTransmitCounter: row(0x8025, "TRANSACTION_TRANSMIT_COUNTER", codecs.transmitCounter),
  cacheTimeout: row(0x8027, "CACHE-TIMEOUT", codecs.uint32),
  fingerprint: row(0x8028, "FINGERPRINT", codecs.uint32),
  iceControlled: row(0x8029, "ICE-CONTROLLED", codecs.uint64),
  iceControlling: row(0x802a, "ICE-CONTROLLING", codecs.uint64),
  responseOrigin: row(0x802b, "RESPONSE-ORIGIN", codecs.endpoint),
  otherAddress: row(0x802c, "OTHER-ADDRESS", codecs.endpoint),
  ecnCheckStun: row(0x802d, "ECN-CHECK STUN", codecs.uint32),
  thirdPartyAuthorization: row(0x802e, "THIRD-PARTY-AUTHORIZATION", codecs.text),
  mobilityTicket: row(0x8030, "MOBILITY-TICKET", codecs.opaque),
  ciscoStunFlowdata: row(0xc000, "CISCO-STUN-FLOWDATA", codecs.opaque),
  enfFlowDescription: row(0xc001, "ENF-FLOW-DESCRIPTION", codecs.opaque),
  enfNetworkStatus: row(0xc002, "ENF-NETWORK-STATUS", codecs.opaque),
  googNetworkInfo: row(0xc057, "GOOG-NETWORK-INFO", codecs.opaque),
  googLastIceCheckReceived: row(0xc058, "GOOG-LAST-ICE-CHECK-RECEIVED", codecs.opaque),
  googMiscInfo: row(0xc059, "GOOG-MISC-INFO", codecs.opaque),
  googObsolete1: row(0xc05a, "GOOG-OBSOLETE-1", codecs.opaque),
  googConnectionId: row(0xc05b, "GOOG-CONNECTION-ID", codecs.opaque),
  googDelta: row(0xc05c, "GOOG-DELTA", codecs.opaque),
  googDeltaAck: row(0xc05d, "GOOG-DELTA-ACK", codecs.opaque),
  googMessageIntegrity32: row(0xc060, "GOOG-MESSAGE-INTEGRITY-32", codecs.opaque),
  dtlsInStun: row(0xc070, "DTLS-IN-STUN", codecs.opaque),
  dtlsInStunAcknowledgement: row(0xc071, "DTLS-IN-STUN-ACKNOWLEDGEMENT", codecs.opaque),
} as const;

type Table = typeof attributeTable;

export type AttributeKey = keyof Table;

type ValueOf<R> = R extends RepeatingRow<infer Value> ? readonly Value[] : R extends Row<infer Value> ? Value : never;

/** What a message carries, by name in camel case. The order of the keys is the order on the wire. */
export type Attributes = { readonly [Key in AttributeKey]?: ValueOf<Table[Key]> | undefined };

/** A row with its key, for code that goes over messages and does not care which value is of which type. */
export interface KeyedRow {
  readonly key: AttributeKey;
  readonly type: number;
  readonly codec: Codec<unknown>;
  readonly repeats: boolean;
}

const rows = Object.entries(attributeTable).map(([key, row]) => ({ ...row, key }) as KeyedRow);
const rowsByType: ReadonlyMap<number, KeyedRow> = new Map(rows.map((row) => [row.type, row]));
const rowsByKey: ReadonlyMap<string, KeyedRow> = new Map(rows.map((row) => [row.key, row]));

export function rowOfType(type: number): KeyedRow | undefined {
  return rowsByType.get(type);
}

export function rowOfKey(key: string): KeyedRow | undefined {
  return rowsByKey.get(key);
}
