// `sluice discover` behind real NATs, and the relay that it asks, both as an operator runs them.

import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type NatKind, NatLab, server } from "./nat-lab.ts";
import { needs, needsNetworkNamespaces } from "./needs.ts";
import { debianStun } from "./program.ts";

const isPossible = needs("iproute2", "nftables") && needsNetworkNamespaces();
const hasStun = needs("stun-client");

const independent = "endpoint-independent";
const address = "address-dependent";
const port = "address-and-port-dependent";

describe.runIf(isPossible)("sluice discover names the NAT right", { concurrent: true, timeout: 60_000 }, () => {
  const lab = new NatLab();

  beforeAll(async () => {
    expect(inject("buildFaults")).toBe("");
    await lab.start();
  });

  afterAll(() => lab.close());

  test.for<[NatKind, object]>([
    ["none", { mapping: independent, filtering: independent }],
    ["symmetric-firewall", { mapping: independent, filtering: port }],
  ])("where there is none: %s", async ([nat, behaviour], { expect }) => {
    const { udp, tcp } = await lab.discoverBehind(nat);
    expect(udp).toMatchObject({ nat, mapped: udp.local, ...behaviour });
    expect(tcp.mapped?.address).toBe(udp.local.address);
  });

  test.for<[NatKind, object]>([
    ["full-cone", { mapping: independent, filtering: independent, hairpin: true }],
    ["address-restricted", { mapping: independent, filtering: address, hairpin: false }],
    ["port-restricted", { mapping: independent, filtering: port, hairpin: false }],
    ["symmetric", { mapping: port, filtering: port, hairpin: false }],
  ])("behind %s", async ([nat, behaviour], { expect }) => {
    const { udp, tcp, tls } = await lab.discoverBehind(nat);
    expect(udp).toMatchObject({ nat, ...behaviour });
    expect(udp.local.address).toMatch(/^10\.0\./);
    expect(udp.mapped?.address).toMatch(/^198\.51\.100\./);
    expect(tcp.mapped?.address).toBe(udp.mapped?.address);
    expect(tls.failure).toContain("ECONNREFUSED");
  });

  test.runIf(hasStun).for<[NatKind, string]>([
    ["none", "Primary: Open"],
    ["symmetric-firewall", "Primary: Firewall"],
    ["full-cone", "Independent Mapping, Independent Filter"],
    ["address-restricted", "Independent Mapping, Address Dependent Filter"],
    ["port-restricted", "Independent Mapping, Port Dependent Filter"],
    ["symmetric", "Dependent Mapping"],
  ])("and so does Debian's stun: %s", async ([nat, name], { expect }) => {
    const { output } = await lab.runBehind(nat, debianStun, [server.primary]);
    expect(output).toContain(name);
  });
});
