// Media through the relay: CPU of the server a forwarded packet, as a ratio to coturn's in the same run.

import { Contest } from "./contest.ts";
import { audio, type Case, forwardingRow, video } from "./forwarding.ts";
import type { Plan } from "./plan.ts";
import { conditionsOf, type Report, type Row } from "./report.ts";

const severalClients = 100;
const several = { clients: severalClients } as const;

/** What is only tried with a hundred clients. */
export const casesForSeveral: readonly Case[] = [
  { ...audio, ...several, direction: "to-peer" },
  { ...audio, ...several, direction: "to-client" },
  { ...audio, ...several, direction: "echo" },
  { ...video, ...several, direction: "to-peer" },
  { ...video, ...several, direction: "to-client" },
  { ...audio, ...several, direction: "to-peer", framing: "indication" },
  { ...audio, ...several, direction: "to-client", framing: "indication" },
  { ...audio, ...several, direction: "relay-to-relay" },
];

function casesFor(clients: number): readonly Case[] {
  if (clients === severalClients) return casesForSeveral;
  return (["to-peer", "to-client", "echo"] as const).map((direction) => ({ ...audio, clients, direction }));
}

export async function relay(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan);
  const rows: Row[] = [];
  for (const each of plan.clients.flatMap(casesFor)) rows.push(await forwardingRow(contest, each, plan));
  await contest.close();
  return { benchmark: "relay", unit: "CPU µs per packet", conditions: conditionsOf(plan), baseline: "coturn", rows };
}
