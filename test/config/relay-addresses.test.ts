// Which addresses the relay binds when nobody says.

import type { NetworkInterfaceInfo } from "node:os";
import { expect, test } from "vitest";
import { detectRelayAddresses } from "../../src/config/relay-addresses.ts";

const loopback = ["127.0.0.1", "::1"];

function detect(addresses: readonly string[], isLoopback = false) {
  const infos = addresses.map((address) => ({ address }) as NetworkInterfaceInfo);
  const { addresses: found, warnings } = detectRelayAddresses(isLoopback, {
    lo: infos.slice(0, 1),
    eth0: infos.slice(1),
  });
  return { bind: found.map(({ bind }) => bind), warnings };
}

test("public addresses are taken before private ones, one a family", () => {
  const { bind, warnings } = detect([...loopback, "10.0.0.5", "8.8.8.8", "9.9.9.9", "fd00::1", "2a00:1450::1"]);
  expect(bind).toEqual(["8.8.8.8", "2a00:1450::1"]);
  expect(warnings).toEqual([]);
});

test("a private address is left out where there is a public one, of whichever family", () => {
  expect(detect([...loopback, "8.8.8.8", "fd00::1"]).bind).toEqual(["8.8.8.8"]);
});

test("a private address works, with a warning about NATs", () => {
  const { bind, warnings } = detect([...loopback, "169.254.3.4", "fe80::1", "192.168.1.5"]);
  expect(bind).toEqual(["192.168.1.5"]);
  expect(warnings).toEqual([
    expect.stringContaining('relay-address: { bind: "192.168.1.5", external: PUBLIC-ADDRESS }'),
  ]);
});

test("loopback is taken when there is nothing else, with a warning", () => {
  const { bind, warnings } = detect(loopback);
  expect(bind).toEqual(loopback);
  expect(warnings).toEqual([expect.stringContaining("loopback addresses only")]);
});

test("loopback is taken when it is asked for, whatever else there is", () => {
  expect(detect([...loopback, "8.8.8.8"], true)).toEqual({ bind: loopback, warnings: [] });
});
