import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Unavailable } from "../../src/contract.ts";
import { ExternalAddresses } from "../../src/relay/external-addresses.ts";

const bind = "10.0.0.5";
const servers = ["a", "b", "c"].map((host) => ({ host, port: 3478 }));

/** Servers that say what the test says; an empty text is silence. */
function world(...first: string[]) {
  const lines: string[] = [];
  const state = { answers: first, keepsPort: true };
  const note = (text: string, fields = {}) => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const find = () =>
    ExternalAddresses.find([{ bind, external: servers.slice(0, first.length) }, { bind: "2001:db8::5" }], {
      ask: async () =>
        state.answers.map((address) => (address === "" ? undefined : { address, keepsPort: state.keepsPort })),
      log: { info: note, warn: note, error: note },
    });
  return { state, lines, find };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("at the start the external address is", () => {
  test.each([
    [["203.0.113.1"], "203.0.113.1"],
    [["203.0.113.1", "203.0.113.1", "203.0.113.9"], "203.0.113.1"],
    [["", "", "203.0.113.1"], "203.0.113.1"],
  ])("of %j what most of those who answer name", async (answers, expected) => {
    const { relayAddresses } = await world(...answers).find();
    expect(relayAddresses.map(({ bind, external }) => [bind, external])).toEqual([
      [bind, expected],
      ["2001:db8::5", undefined],
    ]);
  });

  test.each([
    [["", ""], "no STUN server answers (a:3478, b:3478)"],
    [["203.0.113.1", "203.0.113.2"], "STUN servers do not agree (203.0.113.1, 203.0.113.2)"],
    [["203.0.113.1", "203.0.113.2", ""], "do not agree"],
  ])("not to be had of %j, which says why, and what to do", async (answers, why) => {
    const failed = world(...answers).find();
    await expect(failed).rejects.toThrow(Unavailable);
    await expect(failed).rejects.toThrow(why);
    await expect(failed).rejects.toThrow("external: ADDRESS");
  });

  test("not to be asked for from an address that this machine has not", async () => {
    const log = { info() {}, warn() {}, error() {} };
    const ask = () => Promise.reject(new Error("bind EADDRNOTAVAIL 10.0.0.5"));
    const failed = ExternalAddresses.find([{ bind, external: servers }], { ask, log });
    await expect(failed).rejects.toThrow("cannot ask from 10.0.0.5, the bind of relay-address: bind EADDRNOTAVAIL");
  });

  test("told of with a warning where the NAT changes ports", async () => {
    const { state, lines, find } = world("203.0.113.1");
    state.keepsPort = false;
    await find();
    expect(lines).toEqual([expect.stringContaining("THE NAT CHANGES PORTS")]);
  });
});

describe("afterwards", () => {
  async function started(...answers: string[]) {
    const { state, lines, find } = world(...answers);
    const addresses = await find();
    const changed = vi.fn();
    addresses.watch(300, changed);
    const check = async (...next: string[]) => {
      state.answers = next;
      await vi.advanceTimersByTimeAsync(300_000);
      return addresses.relayAddresses[0]?.external;
    };
    return { addresses, lines, changed, check };
  }

  test("another address counts when more than half of all servers name it, and is logged", async () => {
    const { addresses, lines, changed, check } = await started("203.0.113.1", "203.0.113.1", "203.0.113.1");
    expect(await check("203.0.113.2", "203.0.113.2", "")).toBe("203.0.113.2");
    expect(changed).toHaveBeenCalledTimes(1);
    expect(lines).toEqual(['the external address has changed {"from":"203.0.113.1","to":"203.0.113.2"}']);
    expect(await check("203.0.113.2", "203.0.113.2", "203.0.113.2")).toBe("203.0.113.2");
    expect(changed).toHaveBeenCalledTimes(1);
    expect(addresses.checks).toEqual({ same: 1, changed: 1, silent: 0, disagreement: 0 });
  });

  test("it stays as it is while they disagree, or too few of them answer, which is told once", async () => {
    const { addresses, lines, changed, check } = await started("203.0.113.1", "203.0.113.1", "203.0.113.1");
    expect(await check("203.0.113.2", "", "")).toBe("203.0.113.1");
    expect(await check("203.0.113.2", "203.0.113.3", "203.0.113.1")).toBe("203.0.113.1");
    expect(await check("", "", "")).toBe("203.0.113.1");
    expect(await check("", "", "")).toBe("203.0.113.1");
    expect(await check("203.0.113.1", "", "")).toBe("203.0.113.1");
    expect(changed).not.toHaveBeenCalled();
    expect(lines).toEqual([
      'STUN servers do not agree on our external address: it stays {"external":"203.0.113.1"}',
      'no STUN server says what our external address is: it stays {"external":"203.0.113.1"}',
    ]);
    expect(addresses.checks).toEqual({ same: 1, changed: 0, silent: 2, disagreement: 2 });
  });

  test("nothing is asked where all is written down, nor after the end", async () => {
    const { addresses } = await started("203.0.113.1");
    addresses.stop();
    expect(vi.getTimerCount()).toBe(0);
    const log = { info() {}, warn() {}, error() {} };
    const ask = () => Promise.reject(new Error("asked"));
    const written = await ExternalAddresses.find([{ bind, external: "203.0.113.1" }], { ask, log });
    written.watch(300, () => {});
    expect(vi.getTimerCount()).toBe(0);
    expect(written.relayAddresses).toEqual([{ bind, external: "203.0.113.1" }]);
  });
});
