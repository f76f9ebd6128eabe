import { describe, expect, test } from "vitest";
import { nativePlane } from "../../src/dataplane/native.ts";
import { describePlane } from "./conformance.ts";
import { obstacleToNative } from "./native-obstacle.ts";
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
