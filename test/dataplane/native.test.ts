import { describe, expect, test } from "vitest";
import { nativePlane } from "../../src/dataplane/native.ts";
import { loadAddon } from "../../src/dataplane/native-addon.ts";
import { describePlane } from "./conformance.ts";
import { Rig } from "./rig.ts";

const obstacle = obstacleToNative();

if (obstacle !== undefined) {
  test(`the native plane says why it cannot be had: ${obstacle.message}`, () => {
    expect(() => new Rig((options) => nativePlane(options))).toThrow(obstacle.message);
  });
} else {
  describe.each([1, 2])("on %d threads", (threads) => {
    describePlane("the native plane", (options, clock) =>
      nativePlane(options, { threads, takesShortcuts: false, clock }),
    );
  });
}

function obstacleToNative(): Error | undefined {
  try {
    loadAddon();
    return undefined;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}
