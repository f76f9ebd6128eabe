import { expect, onTestFinished, test } from "vitest";
import { type PlaneOptions, Unavailable } from "../../src/contract.ts";
import { choosePlane } from "../../src/dataplane/choose.ts";

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

test("a plane that limits no traffic is not chosen where traffic is limited, and the reason is one line", () => {
  const { plane, whyNoBetter } = choosePlane("auto", options, { limitsTraffic: true });
  onTestFinished(() => plane.close());
  expect(plane.name).toBe("portable");
  expect(whyNoBetter).toMatch(/^the native plane limits no traffic.*$/);
  expect(() => choosePlane("native", options, { limitsTraffic: true })).toThrow(Unavailable);
});
