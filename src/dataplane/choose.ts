// Which plane moves the packets: one by name, or the best that this machine can have.

import { type Dataplane, Unavailable } from "../contract.ts";
import { nativePlane } from "./native.ts";
import type { NativeOptions } from "./native-options.ts";
import { portablePlane } from "./portable.ts";
import type { StreamingPlaneOptions } from "./stream.ts";

export type PlaneName = "auto" | "native" | "portable";

export interface Choice {
  readonly plane: Dataplane;
  /** Why it is not a better one; undefined if it is the best, or was asked for by name. */
  readonly whyNoBetter: string | undefined;
}

/** Throws `Unavailable` when a plane asked for by name is not to be had. `auto` always finds one. */
export function choosePlane(name: PlaneName, options: StreamingPlaneOptions, native: NativeOptions = {}): Choice {
  if (name === "portable") return { plane: portablePlane(options), whyNoBetter: undefined };
  try {
    return { plane: nativePlane(options, native), whyNoBetter: undefined };
  } catch (error) {
    if (name === "native" || !(error instanceof Unavailable)) throw error;
    return { plane: portablePlane(options), whyNoBetter: error.message };
  }
}
