// How many transactions a second the TURN machine decides, without a socket in sight.

import type { Action, Endpoint, Input, Listener } from "../src/contract.ts";
import { longTermKey } from "../src/stun/keys.ts";
import { decode, encode } from "../src/stun/message.ts";
import { Method } from "../src/stun/methods.ts";
import { authenticator } from "../src/turn/credentials.ts";
import { peerPolicy } from "../src/turn/peer-policy.ts";
import { TurnServer } from "../src/turn/server.ts";
import type { Plan } from "./plan.ts";
import { type Report, spreadOf } from "./report.ts";
import { account, allocationLimit } from "./servers/place.ts";

type Request = Omit<Parameters<typeof encode>[0], "transactionId" | "class">;

const now = Date.UTC(2030, 0, 1);
const listener: Listener = { socket: 1, transport: "udp", at: { address: "198.51.100.1", port: 3478 } };
const key = longTermKey(account.username, account.realm, account.password);
/** Any address that the default policy lets through. */
const peer: Endpoint = { address: "8.8.8.8", port: 4000 };
const clientsPerRound = 2000;

const requests = {
  binding: { method: Method.binding, attributes: {} },
  allocate: { method: Method.allocate, attributes: { requestedTransport: 17 } },
  createPermission: { method: Method.createPermission, attributes: { xorPeerAddress: [peer] } },
  channelBind: { method: Method.channelBind, attributes: { channelNumber: 0x4000, xorPeerAddress: [peer] } },
  refresh: { method: Method.refresh, attributes: { lifetime: 600 } },
  release: { method: Method.refresh, attributes: { lifetime: 0 } },
} as const satisfies Readonly<Record<string, Request>>;

/** Name → what each of many clients asks in turn. With credentials except for the first two. */
const scripts: Readonly<Record<string, readonly Request[]>> = {
  Binding: [requests.binding],
  "Allocate without credentials (401)": [requests.allocate],
  Allocate: [requests.allocate],
  "Allocate, Refresh(0)": [requests.allocate, requests.release],
  "Allocate, CreatePermission, ChannelBind, Refresh(0)": [
    requests.allocate,
    requests.createPermission,
    requests.channelBind,
    requests.release,
  ],
  "Allocate, 10 × Refresh": [requests.allocate, ...Array.from({ length: 10 }, () => requests.refresh)],
  "Allocate, 10 × ChannelBind": [requests.allocate, ...Array.from({ length: 10 }, () => requests.channelBind)],
};
const scriptsWithoutCredentials = 2;

export async function machine(plan: Plan): Promise<Report> {
  return {
    benchmark: "machine",
    unit: "transactions per second",
    conditions: `one thread, ${clientsPerRound} clients a round, decoding and encoding included, median (lowest–highest)`,
    rows: Object.entries(scripts).map(([name, script], index) => {
      const hasCredentials = index >= scriptsWithoutCredentials;
      // The first round warms up.
      const rounds = Array.from({ length: plan.repeats + 1 }, () => transactionsPerSecond(script, hasCredentials));
      return { name, cells: [{ subject: "src/turn", value: spreadOf(rounds.slice(1)) }] };
    }),
  };
}

function transactionsPerSecond(script: readonly Request[], hasCredentials: boolean): number {
  const { turn, nonceFor } = newServer();
  let transactions = 0;
  const inputs = Array.from({ length: clientsPerRound }, (_, index) => {
    const client = { address: `9.${index >> 8}.${index & 255}.7`, port: 5000 };
    const nonce = hasCredentials ? nonceFor(client) : undefined;
    return script.map((request) => datagram(client, request, ++transactions, nonce));
  }).flat();
  const begun = performance.now();
  for (const input of inputs) answer(turn, turn.handle(now, input));
  return transactions / ((performance.now() - begun) / 1000);
}

/** Plays the dataplane, and sees to it that every transaction succeeds or is challenged. */
function answer(turn: TurnServer, actions: readonly Action[]): void {
  for (const action of actions) {
    if (action.do === "open-relay") {
      const at = { address: listener.at.address, port: 10_000 + action.relay };
      answer(turn, turn.handle(now, { is: "relay-opened", relay: action.relay, at }));
    }
    const isFailure = action.do === "report" && action.fact.fact === "answered" && ![0, 401].includes(action.fact.code);
    if (isFailure) throw new Error(`the machine refused: ${JSON.stringify(action.fact)}`);
  }
}

function datagram(from: Endpoint, request: Request, transaction: number, nonce: string | undefined): Input {
  const transactionId = new Uint8Array(12);
  new DataView(transactionId.buffer).setUint32(8, transaction);
  const credentials = nonce === undefined ? {} : { username: account.username, realm: account.realm, nonce };
  const draft = {
    ...request,
    class: "request",
    transactionId,
    attributes: { ...request.attributes, ...credentials },
  } as const;
  const bytes = encode(draft, nonce === undefined ? {} : { key });
  return { is: "datagram", on: listener, via: listener.socket, from, bytes };
}

function newServer() {
  let ids = listener.socket;
  const turn = new TurnServer({
    realm: account.realm,
    authenticate: authenticator({ users: new Map([[account.username, account.password]]), secrets: [] }),
    peers: peerPolicy({
      allow: [],
      deny: [],
      loopback: false,
      listeners: [listener.at],
      relayAddresses: [listener.at.address],
    }),
    families: [4],
    limits: {
      allocations: allocationLimit,
      allocationsPerUser: allocationLimit,
      allocationsPerAddress: allocationLimit,
      permissionsPerAllocation: 10,
      channelsPerAllocation: 10,
      peerConnections: 10,
      peerConnectionsPerUser: 10,
      peerConnectionsPerAllocation: 10,
    },
    nonceSecret: new Uint8Array(32),
    newSocketId: () => ++ids,
  });
  const nonceFor = (client: Endpoint) => {
    const challenge = turn.handle(now, datagram(client, requests.allocate, 0, undefined));
    const sent = challenge.find((action) => action.do === "send");
    const nonce = sent && decode(sent.bytes)?.attributes.nonce;
    if (nonce === undefined) throw new Error("the machine did not challenge");
    return nonce;
  };
  return { turn, nonceFor };
}
