// Other servers that clients are sent to for a new allocation (RFC 8489 section 10, RFC 8656 section 7.2 step 11): at the
// first word, or, with integrity, when they have shown their credentials. The answer to a stranger is 64 bytes at most.

import { createHmac } from "node:crypto";
import { type Endpoint, familyOf, type Transport } from "../contract.ts";
import type { Attributes } from "../stun/attributes.ts";
import { parseEndpointUrl } from "../stun/endpoint-url.ts";
import { type AuthenticRequest, type Refusal, type Request, refuse } from "./request.ts";

export interface AlternateServer {
  /** Where it is to be reached. */
  readonly at: readonly AlternateDoor[];
  /** What its certificate is for, where that is not the name that clients ask ours for. */
  readonly name?: string | undefined;
  /** Its share of the clients, beside those of the others. */
  readonly weight: number;
}

export interface AlternateDoor {
  readonly transport: Transport;
  readonly at: Endpoint;
}

/** When there is nothing to be had here: while we drain; also with all allocations taken; or whatever there is. */
export type RedirectWhen = "draining" | "full" | "always";

export interface AlternatesOptions {
  readonly servers: readonly AlternateServer[];
  readonly when: RedirectWhen;
  /** Whether this is where we listen ourselves. */
  readonly isOurs: (at: Endpoint) => boolean;
}

export const noAlternates: AlternatesOptions = { servers: [], when: "full", isOurs: () => false };

export class Alternates {
  readonly #options: AlternatesOptions;
  readonly #key: Uint8Array;
  #isDraining = false;

  /** `key`: 16 random bytes or more. */
  constructor(options: AlternatesOptions, key: Uint8Array) {
    this.#options = { ...options, servers: options.servers.filter((server) => !isOneOfUs(server, options)) };
    this.#key = key;
  }

  /** Whether there is anywhere to go. */
  get exist(): boolean {
    return this.#options.servers.length > 0;
  }

  /** From now on there is no new allocation to be had. */
  drain(): void {
    this.#isDraining = true;
  }

  /**
   * Where a client that has shown nothing yet is to go, if it is known already that there is nothing here for it. Browsers
   * follow only then: they take a nonce along, and take a 438 of the alternate for its last word.
   */
  refusalOfStranger(request: Request, isFull: boolean): Refusal | undefined {
    const { when } = this.#options;
    const isDue = this.#isDraining || when === "always" || (when === "full" && isFull);
    return isDue ? this.#redirection(request) : undefined;
  }

  /** Why a new allocation is not to be had here, whatever it would be. */
  refusalOf(request: AuthenticRequest): Refusal | undefined {
    const wished = this.#redirectionAsWished(request);
    if (wished) return wished;
    if (this.#isDraining) return this.#redirection(request) ?? refuse(508);
    return this.#options.when === "always" ? this.#redirection(request) : undefined;
  }

  /** What to say to who would have had one, were there any left. */
  refusalForCapacity(request: Request): Refusal {
    return (this.#options.when === "draining" ? undefined : this.#redirection(request)) ?? refuse(508);
  }

  /** To the server that this user is to have. */
  #redirectionAsWished(request: AuthenticRequest): Refusal | undefined {
    const { alternate } = request.identity.credential;
    return alternate && !isOneOfUs(alternate, this.#options) ? redirection(request, alternate) : undefined;
  }

  /**
   * Each client always to the same server, for as long as that is in the list: rendezvous hashing, by which a weight of
   * two gets twice the clients that a weight of one does.
   */
  #redirection(request: Request): Refusal | undefined {
    let best: { readonly refusal: Refusal; readonly score: number } | undefined;
    for (const server of this.#options.servers) {
      const refusal = redirection(request, server);
      if (!refusal) continue;
      const score = -Math.log(this.#fractionOf(request, server)) / server.weight;
      if (!best || score < best.score) best = { refusal, score };
    }
    return best?.refusal;
  }

  /** More than 0 and less than 1, even among clients. */
  #fractionOf({ tuple }: Request, { at, name }: AlternateServer): number {
    const hash = createHmac("sha256", this.#key)
      .update(JSON.stringify([tuple.from.address, at, name]))
      .digest();
    return (hash.readUIntBE(0, 6) + 0.5) / 2 ** 48;
  }
}

/** If it is to be reached by the transport and from the family of the client. */
function redirection({ tuple }: Request, { at, name }: AlternateServer): Refusal | undefined {
  const { transport } = tuple.on;
  const reachable = at.filter((door) => door.transport === transport).map((door) => door.at);
  const family = familyOf(tuple.from.address);
  const first = reachable.find(({ address }) => familyOf(address) === family);
  if (!first) return undefined;
  const other = reachable.find(({ address }) => familyOf(address) !== family);
  const attributes: Attributes = {
    alternateServer: other ? [first, other] : [first],
    // Clients of RFC 5389 pass over it.
    alternateDomain: transport === "tls" || transport === "dtls" ? name : undefined,
  };
  return refuse(300, attributes);
}

/** With one of its doors ours, all of them are. */
function isOneOfUs({ at }: AlternateServer, { isOurs }: AlternatesOptions): boolean {
  return at.some((door) => isOurs(door.at));
}

/** Reads `udp://ADDRESS:PORT`, and so on; any:// is TCP and TLS on one port. Undefined for what nobody can connect to. */
export function parseAlternateDoors(text: string): readonly AlternateDoor[] | undefined {
  const url = parseEndpointUrl(text);
  if (!url || url.at.port === 0 || url.at.address === "0.0.0.0" || url.at.address === "::") return undefined;
  return transportsOf.get(url.scheme)?.map((transport) => ({ transport, at: url.at }));
}

const transportsOf: ReadonlyMap<string, readonly Transport[]> = new Map([
  ["udp", ["udp"]],
  ["tcp", ["tcp"]],
  ["tls", ["tls"]],
  ["dtls", ["dtls"]],
  ["any", ["tcp", "tls"]],
]);
