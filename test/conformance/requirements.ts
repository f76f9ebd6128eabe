// Every requirement, in the order of the documents. A new one is an entry in the file of its section.

import * as holes from "./known-holes.ts";
import type { RequirementGroup } from "./requirement.ts";
import * as discovery from "./rfc5780.ts";
import * as turnTcp from "./rfc6062.ts";
import * as algorithms from "./rfc8489-algorithms.ts";
import * as stun5 from "./rfc8489-section5.ts";
import * as stun6 from "./rfc8489-section6.ts";
import * as stun9 from "./rfc8489-section9.ts";
import * as stun12 from "./rfc8489-section12.ts";
import * as turn5 from "./rfc8656-section5.ts";
import * as turn7 from "./rfc8656-section7.ts";
import * as turn7options from "./rfc8656-section7-options.ts";
import * as turn8 from "./rfc8656-section8.ts";
import * as turn9 from "./rfc8656-section9.ts";
import * as turn11 from "./rfc8656-section11.ts";
import * as turn12 from "./rfc8656-section12.ts";

export const requirementGroups: readonly RequirementGroup[] = [
  {
    document: "RFC 8489",
    requirements: [
      stun5.section5,
      stun6.sending,
      stun6.receiving,
      stun6.requests,
      stun12.addresses,
      stun12.basicServer,
      stun9.challenge,
      stun9.integrityOfResponses,
      stun9.coverage,
      algorithms.nonceCookie,
      algorithms.passwordAlgorithms,
      algorithms.sha256Integrity,
      algorithms.bareSha256,
      algorithms.userhash,
      algorithms.allocationWithSha256,
    ].flat(),
  },
  {
    document: "RFC 8656",
    requirements: [
      turn5.credentials,
      turn5.fiveTuples,
      turn5.software,
      turn5.transports,
      turn5.retransmissions,
      turn5.quotas,
      turn7.checks,
      turn7.response,
      turn7.lifetimes,
      turn7options.families,
      turn7options.dual,
      turn7options.ports,
      turn7options.fragmentation,
      turn8.refreshes,
      turn9.permissions,
      turn9.createPermission,
      turn11.sendIndications,
      turn11.dataIndications,
      turn11.icmp,
      turn12.channelBind,
      turn12.channelData,
      turn12.channelDataOverTcp,
    ].flat(),
  },
  {
    document: "RFC 6062",
    requirements: [turnTcp.allocations, turnTcp.connects, turnTcp.attempts, turnTcp.binds].flat(),
  },
  { document: "RFC 5780", requirements: discovery.discoveries, needsNatDiscovery: true },
  {
    document: "Known holes",
    requirements: [holes.peers, holes.authentication, holes.parsing, holes.reflection].flat(),
  },
];
