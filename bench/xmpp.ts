// How many XEP-0215 questions one Prosody has answered in a second: by its own mod_external_services, and by our component
// behind it, asked in turn by as many clients.

import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { RawClient } from "../test/interop/raw-client.ts";
import { cpuSecondsOf } from "./cpu.ts";
import type { Plan } from "./plan.ts";
import { type Cell, type Report, spreadOf } from "./report.ts";
import { account, answering, startComponent, startProsody, whyNoProsody } from "./servers/prosody.ts";

const clientsEach = 20;
const question = "<services xmlns='urn:xmpp:extdisco:2'/>";
const patienceMillis = 20_000;

interface Contestant {
  readonly subject: string;
  readonly domain: string;
  readonly to: string;
  readonly clients: readonly RawClient[];
}

interface Run {
  readonly answers: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export async function xmpp(plan: Plan): Promise<Report> {
  const reason = whyNoProsody();
  if (reason) throw new Error(reason);
  const ports = { clients: await freePort(), components: await freePort() };
  const prosody = startProsody(plan.stage, ports);
  const sluice = startComponent(plan.stage, ports);
  const service = `xmpp://127.0.0.1:${ports.clients}`;
  const contestants: Contestant[] = [];
  for (const [subject, domain, to] of [
    ["mod_external_services", answering.own, answering.own],
    ["Sluice, delegated to", answering.delegating, answering.delegating],
    ["Sluice, asked itself", answering.delegating, `relay.${answering.delegating}`],
  ] as const) {
    const clients: RawClient[] = [];
    for (let number = 0; number < clientsEach; number++) {
      const resource = `${contestants.length}-${number}`;
      clients.push(await patiently(() => RawClient.login({ service, domain, ...account, resource })));
    }
    contestants.push({ subject, domain, to, clients });
    await patiently(() => isAnswered(clients[0], to));
  }

  const pids = [prosody.pid, sluice.pid];
  const runs = new Map<Contestant, Run[]>(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round < plan.repeats; round++) {
    for (const [index] of contestants.entries()) {
      const contestant = contestants[(index + round) % contestants.length];
      if (contestant) runs.get(contestant)?.push(await run(contestant, pids, plan.seconds));
    }
    plan.say(`xmpp ${round + 1}/${plan.repeats}`);
  }
  for (const { clients } of contestants) for (const client of clients) await client.drop();
  await sluice.stop();
  await prosody.stop();

  const cells = (value: (run: Run) => number) => [...runs].map(([{ subject }, each]) => cellOf(subject, each, value));
  return {
    benchmark: "xmpp",
    unit: "µs per answer",
    conditions: `one Prosody, ${clientsEach} clients that ask again when answered, ${plan.repeats} alternating runs of ${plan.seconds} s, median (lowest–highest)`,
    baseline: "mod_external_services",
    rows: [
      { name: "services, by the clock", cells: cells(({ seconds, answers }) => (seconds / answers) * 1e6) },
      {
        name: "services, CPU of Prosody and Sluice",
        cells: cells(({ cpuSeconds, answers }) => (cpuSeconds / answers) * 1e6),
      },
    ],
  };
}

function cellOf(subject: string, runs: readonly Run[], value: (run: Run) => number): Cell {
  const perSecond = spreadOf(runs.map(({ answers, seconds }) => answers / seconds));
  return { subject, value: spreadOf(runs.map(value)), beside: { perSecond } };
}

/** Each client asks, and asks again when it is answered, until time is up. */
async function run({ clients, to }: Contestant, pids: readonly number[], seconds: number): Promise<Run> {
  const cpuSeconds = () => pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  const [begun, charged] = [performance.now(), cpuSeconds()];
  let answers = 0;
  const asking = clients.map(async (client) => {
    while (performance.now() - begun < seconds * 1000) {
      const reply = await client.asks(to, question);
      if (reply.attrs.type !== "result") throw new Error(`not answered: ${reply}`);
      answers += 1;
    }
  });
  await Promise.all(asking);
  return { answers, seconds: (performance.now() - begun) / 1000, cpuSeconds: cpuSeconds() - charged };
}

async function isAnswered(client: RawClient | undefined, to: string): Promise<void> {
  const reply = await client?.asks(to, question);
  if (reply?.getChild("services")?.getChildren("service").length !== 3) throw new Error(`not yet answered: ${reply}`);
}

/** Tries until it works, as programs take a while to start. */
async function patiently<Result>(attempt: () => Promise<Result>): Promise<Result> {
  const end = performance.now() + patienceMillis;
  for (;;) {
    try {
      return await attempt();
    } catch (problem) {
      if (performance.now() > end) throw problem;
      await setTimeout(100);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await once(server.close(), "close");
  return port;
}
