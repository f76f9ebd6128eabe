import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RelayPort, RelayPorts, retryTakenMillis } from "../../src/dataplane/relay-ports.ts";

const addresses = [{ bind: "192.0.2.1" }, { bind: "192.0.2.2", external: "203.0.113.1" }];

function drawAll(ports: RelayPorts, now = 0): RelayPort[] {
  const drawn: RelayPort[] = [];
  for (let next = ports.draw(now); next; next = ports.draw(now)) drawn.push(next);
  return drawn;
}

function keyOf({ address, port }: RelayPort): string {
  return `${address.bind} ${port}`;
}

/** What became of ports that were drawn and are not to be drawn again yet. */
type Gone = Map<string, "kept" | "set aside">;

const fates: readonly ((ports: RelayPorts, drawn: RelayPort, gone: Gone) => void)[] = [
  (ports, drawn) => ports.release(drawn),
  (_, drawn, gone) => gone.set(keyOf(drawn), "kept"),
  (ports, drawn, gone) => {
    ports.setAside(drawn, 0);
    gone.set(keyOf(drawn), "set aside");
  },
];

describe("the relay ports", () => {
  test("are every port of every address, both ends of the range included, each once", () => {
    const ports = new RelayPorts(addresses, [49_152, 49_154], () => 0);
    expect(ports.size).toBe(6);
    expect(drawAll(ports).map(keyOf).sort()).toEqual([
      "192.0.2.1 49152",
      "192.0.2.1 49153",
      "192.0.2.1 49154",
      "192.0.2.2 49152",
      "192.0.2.2 49153",
      "192.0.2.2 49154",
    ]);
  });

  test("come as chance has it: each of the free ones has one number to be drawn by", () => {
    const asked: number[] = [];
    const firsts = [0, 1, 2, 3, 4, 5].map((number) => {
      const ports = new RelayPorts(addresses, [1, 3], (below) => {
        asked.push(below);
        return number;
      });
      return ports.draw(0);
    });
    expect(new Set(firsts.map((first) => first && keyOf(first))).size).toBe(6);
    expect(asked).toEqual([6, 6, 6, 6, 6, 6]);
  });

  test("are never given twice, and come back unless they are kept", () => {
    const step = fc.record({ chance: fc.nat(999), fate: fc.constantFrom(...fates) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let luck = 0;
        const ports = new RelayPorts(addresses, [10, 19], (below) => luck % below);
        const gone: Gone = new Map();
        for (const { chance, fate } of steps) {
          luck = chance;
          const drawn = ports.draw(0);
          if (!drawn) break;
          expect(gone.has(keyOf(drawn))).toBe(false);
          fate(ports, drawn, gone);
        }
        const kept = [...gone.values()].filter((fate) => fate === "kept").length;
        expect(new Set(drawAll(ports, retryTakenMillis).map(keyOf)).size).toBe(ports.size - kept);
      }),
    );
  });

  test("of another program are tried again after a while, and not before", () => {
    const ports = new RelayPorts([{ bind: "192.0.2.1" }], [5, 5], () => 0);
    const [taken] = drawAll(ports);
    if (taken) ports.setAside(taken, 1000);
    expect(ports.draw(1000 + retryTakenMillis - 1)).toBeUndefined();
    expect(ports.draw(1000 + retryTakenMillis)).toEqual(taken);
  });

  test("are even where that is wished, with the one above free as long as there is such a pair", () => {
    const ports = new RelayPorts([{ bind: "192.0.2.1" }], [5, 10], () => 0);
    expect(ports.draw(0, 7)?.port).toBe(7);
    expect(ports.draw(0, "even")?.port).toBe(8);
    expect([ports.draw(0, "even")?.port, ports.draw(0, "even")?.port].sort()).toEqual([10, 6]);
    expect(ports.draw(0, "even")).toBeUndefined();
    expect(drawAll(ports).map(({ port }) => port)).toEqual(expect.arrayContaining([5, 9]));
  });

  test("are exactly what is wished, or none", () => {
    const ports = new RelayPorts(addresses, [1, 3], () => 0);
    const drawn = [ports.draw(0, 2), ports.draw(0, 2)];
    expect(drawn.map((each) => each && keyOf(each))).toEqual(["192.0.2.1 2", "192.0.2.2 2"]);
    for (const port of [2, 0, 4]) expect(ports.draw(0, port)).toBeUndefined();
    if (drawn[0]) ports.release(drawn[0]);
    expect(ports.draw(0, 2)?.address.bind).toBe("192.0.2.1");
  });

  test("agree with a plain set, whatever is wished, released and set aside", () => {
    const wish = fc.constantFrom(undefined, "even" as const, 1, 2, 3, 4);
    const step = fc.record({ chance: fc.nat(99), wish, fate: fc.constantFrom(...fates) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let luck = 0;
        const ports = new RelayPorts(addresses, [1, 4], (below) => luck % below);
        const gone: Gone = new Map();
        for (const { chance, wish, fate } of steps) {
          luck = chance;
          const drawn = ports.draw(0, wish);
          const free = addresses.flatMap((address) =>
            [1, 2, 3, 4].filter((port) => !gone.has(keyOf({ address, port }))),
          );
          const fits = (port: number) => wish === undefined || (wish === "even" ? port % 2 === 0 : port === wish);
          expect(drawn !== undefined).toBe(free.some(fits));
          if (!drawn) continue;
          expect(gone.has(keyOf(drawn))).toBe(false);
          expect(fits(drawn.port)).toBe(true);
          fate(ports, drawn, gone);
        }
      }),
    );
  });
});
