import { expect, onTestFinished, test } from "vitest";
import type { PlaneOptions } from "../../src/contract.ts";
import { choosePlane } from "../../src/dataplane/choose.ts";
import { obstacleToNative } from "./native-obstacle.ts";

const options: PlaneOptions = {
  relayAddresses: [],
  relayPorts: [50_000, 50_010],
  mayReach: () => false,
  now: () => 0,
  newSocketId: () => 1,
  randomBelow: () => 0,
  hand: () => {},
  report: () => {},
};

test("of all planes the native one is chosen where it is to be had, and else the reason is one line", () => {
  const { plane, whyNoBetter } = choosePlane("auto", options);
  onTestFinished(() => plane.close());
  const obstacle = obstacleToNative();
  expect([plane.name, whyNoBetter]).toEqual([obstacle ? "portable" : "native", obstacle?.message]);
  expect(whyNoBetter ?? "").not.toContain("\n");
});
