// The addresses that the world sees relay ports at, where STUN servers are to say: asked at the start, and again and again.
// A relay port keeps the one that it was opened with.

import type { Log } from "../admin/log.ts";
import type { ConfiguredRelayAddress } from "../config/config.ts";
import { type RelayAddress, Unavailable } from "../contract.ts";
import type { Sighting, StunServer } from "../discover/external-address.ts";

export type AskExternalAddress = (
  bind: string,
  servers: readonly StunServer[],
) => Promise<readonly (Sighting | undefined)[]>;

export type CheckOutcome = "same" | "changed" | "silent" | "disagreement";

interface Asked {
  readonly bind: string;
  readonly servers: readonly StunServer[];
  external: string;
  /** What there was to complain about last, so that it is said once. */
  outcome: CheckOutcome;
}

export interface ExternalAddressesOptions {
  readonly ask: AskExternalAddress;
  readonly log: Pick<Log, "info" | "warn" | "error">;
}

export class ExternalAddresses {
  /** The external address of one may change. */
  readonly relayAddresses: readonly RelayAddress[];
  /** How often it came to what, since the start. */
  readonly checks: Record<CheckOutcome, number> = { same: 0, changed: 0, silent: 0, disagreement: 0 };
  readonly #options: ExternalAddressesOptions;
  readonly #asked: readonly Asked[];
  #watch: NodeJS.Timeout | undefined;

  private constructor(
    relayAddresses: readonly RelayAddress[],
    asked: readonly Asked[],
    options: ExternalAddressesOptions,
  ) {
    this.relayAddresses = relayAddresses;
    this.#asked = asked;
    this.#options = options;
  }

  /** Rejects with `Unavailable` where the servers name no address that most of those who answer agree on. */
  static async find(
    configured: readonly ConfiguredRelayAddress[],
    options: ExternalAddressesOptions,
  ): Promise<ExternalAddresses> {
    const found = await Promise.all(configured.map((address) => findOne(address, options)));
    const asked = found.flatMap((each) => each.asked ?? []);
    return new ExternalAddresses(
      found.map(({ relayAddress }) => relayAddress),
      asked,
      options,
    );
  }

  /** `changed` is told after each check that brought another address. */
  watch(everySeconds: number, changed: () => void): void {
    if (this.#asked.length === 0) return;
    this.#watch = setInterval(() => void this.check(changed), everySeconds * 1000).unref();
  }

  stop(): void {
    clearInterval(this.#watch);
  }

  /** Never rejects. */
  async check(changed: () => void): Promise<void> {
    const outcomes = await Promise.all(this.#asked.map((asked) => this.#checkOne(asked)));
    if (outcomes.includes("changed")) changed();
  }

  async #checkOne(asked: Asked): Promise<CheckOutcome> {
    const { bind, servers, external } = asked;
    const sightings = await this.#options.ask(bind, servers).catch(() => []);
    // Whoever can silence some servers and answer for another shall not move us: it takes most of all there are.
    const address = agreed(sightings, servers.length);
    const outcome = outcomeOf(sightings, address, external);
    this.checks[outcome] += 1;
    if (outcome === "changed")
      this.#options.log.warn("the external address has changed", { from: external, to: address });
    if (outcome !== asked.outcome) this.#tell(outcome, external);
    asked.external = address ?? external;
    asked.outcome = outcome;
    return outcome;
  }

  #tell(outcome: CheckOutcome, external: string): void {
    const { log } = this.#options;
    if (outcome === "silent") log.warn("no STUN server says what our external address is: it stays", { external });
    if (outcome === "disagreement")
      log.warn("STUN servers do not agree on our external address: it stays", { external });
  }
}

async function findOne(
  { bind, external }: ConfiguredRelayAddress,
  { ask, log }: ExternalAddressesOptions,
): Promise<{ relayAddress: RelayAddress; asked?: Asked }> {
  if (external === undefined) return { relayAddress: { bind } };
  if (typeof external === "string") return { relayAddress: { bind, external } };
  const servers = external;
  const sightings = await ask(bind, servers).catch((cause) => {
    throw new Unavailable(`cannot ask from ${bind}, the bind of relay-address: ${cause.message}`, { cause });
  });
  const answers = sightings.filter((sighting) => sighting !== undefined);
  const address = agreed(sightings, answers.length);
  if (address === undefined) throw new Unavailable(whyNot(bind, servers, answers));
  if (answers.some(({ keepsPort }) => !keepsPort)) {
    log.warn("THE NAT CHANGES PORTS: peers will not reach relay ports unless it forwards them as they are", { bind });
  }
  const asked: Asked = { bind, servers, external: address, outcome: "same" };
  const relayAddress = {
    bind,
    get external() {
      return asked.external;
    },
  };
  return { relayAddress, asked };
}

/** The address that more than half of `voters` name. */
export function agreed(sightings: readonly (Sighting | undefined)[], voters: number): string | undefined {
  const addresses = sightings.flatMap((sighting) => sighting?.address ?? []);
  return addresses.find((address) => 2 * addresses.filter((other) => other === address).length > voters);
}

function outcomeOf(
  sightings: readonly (Sighting | undefined)[],
  address: string | undefined,
  external: string,
): CheckOutcome {
  if (address !== undefined) return address === external ? "same" : "changed";
  const named = sightings.flatMap((sighting) => sighting?.address ?? []);
  if (named.length === 0) return "silent";
  return named.every((each) => each === external) ? "same" : "disagreement";
}

function whyNot(bind: string, servers: readonly StunServer[], answers: readonly Sighting[]): string {
  const asked = servers.map(({ host, port }) => `${host}:${port}`).join(", ");
  const what =
    answers.length === 0
      ? `no STUN server answers (${asked})`
      : `STUN servers do not agree (${answers.map(({ address }) => address).join(", ")})`;
  return `cannot find the external address of ${bind}: ${what}. Is UDP let out? Else write it: external: ADDRESS`;
}
