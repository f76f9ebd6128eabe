// Whether tests of the native plane can run on this machine.

import { loadAddon } from "../../src/dataplane/native-addon.ts";

/** What the native plane says when it cannot be had; undefined where it can. With CI set it is thrown: nothing is left out there. */
export function obstacleToNative(): Error | undefined {
  try {
    loadAddon();
    return undefined;
  } catch (error) {
    if (error instanceof Error && !process.env.CI) return error;
    throw error;
  }
}
