// Servers side by side, each with a load generator of its own, measured in turn: what the machine's neighbours do then
// falls on all of them alike.

import { audio } from "./forwarding.ts";
import { LoadGenerator } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import type { ClientTransport } from "./servers/place.ts";
import { canServe, type Server, type ServerName, startServer } from "./servers/server.ts";

export interface Contestant {
  readonly name: ServerName;
  readonly server: Server;
  readonly load: LoadGenerator;
}

export class Contest {
  readonly contestants: readonly Contestant[];
  readonly #plan: Plan;

  private constructor(plan: Plan, contestants: readonly Contestant[]) {
    this.#plan = plan;
    this.contestants = contestants;
  }

  /** `transport` is what clients come by. A server that gives up is left out. */
  static async open(plan: Plan, names = plan.servers, transport: ClientTransport = "udp"): Promise<Contest> {
    const { stage, topology } = plan;
    const contestants: Contestant[] = [];
    for (const name of names) {
      if (!canServe(name, transport)) {
        plan.say(`without ${name}, which serves no clients over ${transport}`);
        continue;
      }
      const server = await startServer(name, stage, topology, transport);
      const load = new LoadGenerator(stage, topology, server, transport);
      const isGone = server.program.gone.then(() => false);
      const isUp = await Promise.race([load.allocate(1).then(() => true), isGone]);
      if (!isUp) {
        plan.say(`without ${name}: ${server.program.lastWords()}`);
        await load.stop();
        continue;
      }
      // Not counted: what compiles itself while it runs has to run first.
      await load.forward({ ...audio, clients: 1, direction: "echo", seconds: plan.seconds });
      contestants.push({ name, server, load });
    }
    if (contestants.length === 0) throw new Error("no server started");
    return new Contest(plan, contestants);
  }

  /** Each contestant once, for nothing. One that fails will do so again where it counts. */
  async warmUp(run: (contestant: Contestant) => Promise<unknown>): Promise<void> {
    for (const contestant of this.contestants) {
      await run(contestant).catch((problem) => {
        if (this.#plan.stage.isClosed) throw problem;
      });
    }
  }

  /** Each contestant once a round, each round begun by another. A contestant that fails once is left out: no values. */
  async inTurn<Result>(
    what: string,
    run: (contestant: Contestant) => Promise<Result>,
  ): Promise<Map<ServerName, Result[]>> {
    const results = new Map<ServerName, Result[]>(this.contestants.map(({ name }) => [name, []]));
    for (let round = 0; round < this.#plan.repeats; round++) {
      for (const contestant of this.#startingWith(round)) {
        const { name } = contestant;
        try {
          results.get(name)?.push(await run(contestant));
        } catch (problem) {
          if (this.#plan.stage.isClosed) throw problem;
          this.#plan.say(`${what}: ${problem instanceof Error ? problem.message : problem}`);
          results.delete(name);
        }
      }
    }
    this.#plan.say(what);
    return results;
  }

  #startingWith(round: number): readonly Contestant[] {
    const first = round % this.contestants.length;
    return [...this.contestants.slice(first), ...this.contestants.slice(0, first)];
  }

  async close(): Promise<void> {
    for (const { load, server } of this.contestants) {
      await load.stop();
      await server.program.stop();
    }
  }
}
