// What a requirement of an RFC is here: a sentence, where it stands, how strong it is, and a check against a live server.

import type { Bench } from "./bench.ts";

export type Level = "MUST" | "MUST NOT" | "SHOULD" | "SHOULD NOT" | "RECOMMENDED";

/** One entry. `says` is unique within its RFC and reads as a sentence about the server. */
export interface Requirement {
  readonly section: string;
  readonly level: Level;
  readonly says: string;
  /** Resolves with what was seen, in a few words. Rejects with an `Unmet` whose result says how. */
  readonly check: (bench: Bench) => Promise<string>;
}

export interface RequirementGroup {
  /** What the sections belong to, as in "RFC 8489". */
  readonly document: string;
  readonly requirements: readonly Requirement[];
  /** Is for a server that has been given a second address and port, which changes what others of these see. */
  readonly needsNatDiscovery?: boolean;
}

/** "not tried" is about the run (an option was not given), the others about the server. */
export type Result = "pass" | "fail" | "not supported" | "not tried";

/** Why a check did not pass. Anything else that a check throws is a failure too. */
export class Unmet extends Error {
  override readonly name = "Unmet";
  readonly result: Exclude<Result, "pass">;

  constructor(result: Exclude<Result, "pass">, why: string) {
    super(why);
    this.result = result;
  }
}

/** Fails the requirement unless `condition` holds. `why` tells what was seen instead. */
export function must(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Unmet("fail", why);
}

/** Ends a check: the server lawfully does not have the thing. */
export function notSupported(why: string): never {
  throw new Unmet("not supported", why);
}

/** Ends a check: this run was not given what the check needs. */
export function notTried(why: string): never {
  throw new Unmet("not tried", why);
}
