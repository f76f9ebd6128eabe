import { describe, expect, test } from "vitest";
import type { Action, TrafficLimit } from "../../src/contract.ts";
import { type Client, World } from "./world.ts";

const rates = {
  perAllocation: { bitsPerSecond: 8000 },
  perUser: { packetsPerSecond: 100 },
  inTotal: { bitsPerSecond: 80_000, packetsPerSecond: 1000 },
};
const udp = { requestedTransport: 17 };

/** Of each relay port that the request opens. */
function limitsOf(client: Client, attributes = {}): (readonly TrafficLimit[] | undefined)[] {
  client.fetchNonce();
  const bytes = client.sign(client.request("allocate", { ...udp, ...attributes }));
  const actions: Action[] = client.world.hears({ is: "datagram", ...client.tuple, bytes });
  return actions.flatMap((action) => (action.do === "open-relay" ? [action.limits] : []));
}

function bucketsOf(limits: readonly TrafficLimit[] | undefined): string[] {
  return limits?.map(({ bucket }) => bucket) ?? [];
}

describe("a relay port is opened with limits", () => {
  test("on its allocation, its user and everyone together, in bytes", () => {
    expect(limitsOf(new World({ rates }).client())).toEqual([
      [
        { bucket: "allocation 101", bytesPerSecond: 1000 },
        { bucket: "user alice", packetsPerSecond: 100 },
        { bucket: "total", bytesPerSecond: 10_000, packetsPerSecond: 1000 },
      ],
    ]);
  });

  test("that allocations of one user share, but for each one's own", () => {
    const world = new World({ rates });
    const clients = [
      world.client("198.51.100.1"),
      world.client("198.51.100.2"),
      world.client("198.51.100.3", { user: "bob" }),
    ];
    const [one, two, three] = clients.map((client) => bucketsOf(limitsOf(client)[0]));
    expect(one?.[0]).not.toBe(two?.[0]);
    expect(one?.slice(1)).toEqual(two?.slice(1));
    expect(three?.slice(1)).toEqual(["user bob", "total"]);
  });

  test("that both ports of a dual allocation share, but not one that is reserved", () => {
    const world = new World({ rates });
    const [four, six] = limitsOf(world.client("198.51.100.1"), { additionalAddressFamily: 6 }).map(bucketsOf);
    expect(four).toEqual(six);
    const [even, next] = limitsOf(world.client("198.51.100.2"), { evenPort: { reservesNext: true } }).map(bucketsOf);
    expect(even?.[0]).not.toBe(next?.[0]);
    expect(next).toHaveLength(3);
  });

  test("only where there are any", () => {
    expect(limitsOf(new World().client())).toEqual([[]]);
    expect(limitsOf(new World({ rates: { perUser: {} } }).client())).toEqual([[]]);
  });
});
