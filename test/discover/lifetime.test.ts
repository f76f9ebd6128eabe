import { describe, expect, test } from "vitest";
import { findLifetime, type Lifetime } from "../../src/discover/lifetime.ts";
import { type Behaviour, primary, Simulation } from "./simulation.ts";

const nat: Behaviour = { mapping: "endpoint-independent", filtering: "address-and-port-dependent" };

async function find(behaviour: Behaviour) {
  const simulation = new Simulation(behaviour);
  const lifetime = await simulation.run(findLifetime(simulation.prober, primary, simulation.sleep));
  return { lifetime, seconds: simulation.now / 1000 };
}

describe("the lifetime of a mapping", () => {
  test.each<[number, Lifetime]>([
    [5, { atLeastSeconds: 0, lessThanSeconds: 10 }],
    [25, { atLeastSeconds: 20, lessThanSeconds: 30 }],
    [31, { atLeastSeconds: 30, lessThanSeconds: 45 }],
    [121, { atLeastSeconds: 120, lessThanSeconds: 180 }],
    [299, { atLeastSeconds: 240, lessThanSeconds: 300 }],
    [301, { atLeastSeconds: 300 }],
  ])("of %i seconds is found, in five minutes", async (lifetimeSeconds, lifetime) => {
    const found = await find({ ...nat, lifetimeSeconds });
    expect(found.lifetime).toEqual(lifetime);
    expect(found.seconds).toBeLessThan(310);
  });

  test("is found where a mapping stands for one address and port only", async () => {
    const found = await find({ ...nat, mapping: "address-and-port-dependent", lifetimeSeconds: 70 });
    expect(found.lifetime).toEqual({ atLeastSeconds: 60, lessThanSeconds: 90 });
  });

  test("stays unknown when the server answers to no other port", async () => {
    expect((await find({ ...nat, helps: false })).lifetime).toBeUndefined();
  });

  test("stays unknown when the server does not answer", async () => {
    expect((await find({ ...nat, loses: () => true })).lifetime).toBeUndefined();
  });
});
