import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Dependence, findNat, type NatFindings, type NatName } from "../../src/discover/nat.ts";
import { type Behaviour, primary, Simulation } from "./simulation.ts";

const independent = "endpoint-independent";
const address = "address-dependent";
const port = "address-and-port-dependent";

function find(behaviour: Behaviour): Promise<NatFindings> {
  const simulation = new Simulation(behaviour);
  return simulation.run(findNat(simulation.prober, primary));
}

const natted: readonly (readonly [Dependence, Dependence, NatName])[] = [
  [independent, independent, "full-cone"],
  [independent, address, "address-restricted"],
  [independent, port, "port-restricted"],
  [address, independent, "symmetric"],
  [address, address, "symmetric"],
  [address, port, "symmetric"],
  [port, independent, "symmetric"],
  [port, address, "symmetric"],
  [port, port, "symmetric"],
];

describe("a NAT", () => {
  test.each(natted)("with %s mapping and %s filtering is found to have them: %s", async (mapping, filtering, nat) => {
    const found = await find({ mapping, filtering });
    expect(found).toMatchObject({ nat, mapping, filtering, mapped: { address: "203.0.113.7" } });
    expect(found.local.address).toBe("10.0.0.2");
  });

  test.each([
    [independent, port],
    [port, independent],
  ] as const)(
    "that turns packets round is found to do so, with %s mapping and %s filtering",
    async (mapping, filtering) => {
      expect(await find({ mapping, filtering, hairpins: true })).toMatchObject({ hairpin: true });
      expect(await find({ mapping, filtering, hairpins: false })).toMatchObject({ hairpin: false });
    },
  );

  test.each([address, port] as const)(
    "with %s filtering that ports share is not taken for one that lets all in",
    async (filtering) => {
      const found = await find({ mapping: independent, filtering, sharesFilter: true });
      expect(found).toMatchObject({ mapping: independent, filtering });
    },
  );

  test("is told apart from none: then there is neither a mapping nor a way round", async () => {
    expect(await find({ filtering: independent })).toEqual({
      nat: "none",
      local: { address: "10.0.0.2", port: 40_000 },
      mapped: { address: "10.0.0.2", port: 40_000 },
      mapping: independent,
      filtering: independent,
      hairpin: undefined,
    });
  });

  test.each([address, port] as const)("that is none but filters, %s, is a firewall", async (filtering) => {
    expect(await find({ filtering })).toMatchObject({ nat: "symmetric-firewall", filtering });
  });
});

describe("a server", () => {
  test("that does not answer leaves nothing to find out", async () => {
    const found = await find({ mapping: independent, filtering: independent, loses: () => true });
    expect(found).toEqual({ nat: "udp-blocked", local: { address: "10.0.0.2", port: 40_000 } });
  });

  test("without a second address leaves the name open", async () => {
    const found = await find({ mapping: independent, filtering: independent, hairpins: true, helps: false });
    expect(found).toMatchObject({ nat: "unknown", mapped: { address: "203.0.113.7" }, hairpin: true });
    expect(found.mapping).toBeUndefined();
    expect(found.filtering).toBeUndefined();
  });
});

describe("a network", () => {
  /** One packet in eight, without a pattern that retransmissions could fall in step with. */
  const loses = (packet: number) => createHash("md5").update(`${packet}`).digest().readUInt8() < 32;

  test.each(natted)("that loses packets does not change what is found: %s mapping, %s filtering", async (...nat) => {
    const [mapping, filtering, name] = nat;
    expect(await find({ mapping, filtering, loses })).toMatchObject({ nat: name, mapping, filtering });
  });
});

describe("time", () => {
  test("passes for six seconds behind a NAT that answers are kept out by", async () => {
    const simulation = new Simulation({ mapping: independent, filtering: port });
    await simulation.run(findNat(simulation.prober, primary));
    expect(simulation.now).toBe(5500);
  });

  test("hardly passes where every question is answered", async () => {
    const simulation = new Simulation({ mapping: independent, filtering: independent, hairpins: true });
    await simulation.run(findNat(simulation.prober, primary));
    expect(simulation.now).toBe(0);
  });

  test("passes for 39.5 seconds and seven requests where UDP is blocked", async () => {
    const simulation = new Simulation({ filtering: port, loses: () => true });
    await simulation.run(findNat(simulation.prober, primary));
    expect(simulation.now).toBe(39_500);
    expect(simulation.packets).toBe(7);
  });
});
