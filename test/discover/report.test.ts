import { describe, expect, test } from "vitest";
import type { NatFindings, NatName } from "../../src/discover/nat.ts";
import { report } from "../../src/discover/report.ts";

const server = { address: "192.0.2.1", port: 3478 };
const local = { address: "10.0.0.2", port: 5000 };
const refused = { failure: "connect ECONNREFUSED 192.0.2.1:5349" };

describe("a report", () => {
  test("tells everything that was found, and what it means", () => {
    const mapped = { address: "203.0.113.7", port: 5000 };
    const text = report({
      server,
      udp: {
        nat: "port-restricted",
        local,
        mapped,
        mapping: "endpoint-independent",
        filtering: "address-and-port-dependent",
        hairpin: false,
        lifetime: { atLeastSeconds: 30, lessThanSeconds: 45 },
      },
      tcp: { mapped },
      tls: { mapped, certificate: "DEPTH_ZERO_SELF_SIGNED_CERT" },
    });
    expect(text).toBe(
      [
        "Server              192.0.2.1:3478",
        "Local address       10.0.0.2:5000",
        "Public address      203.0.113.7:5000",
        "NAT                 port-restricted cone",
        "  mapping           endpoint-independent",
        "  filtering         address and port-dependent",
        "  hairpin           no",
        "  binding lifetime  30 to 45 s",
        "Over TCP            203.0.113.7:5000",
        "Over TLS            203.0.113.7:5000, certificate DEPTH_ZERO_SELF_SIGNED_CERT",
        "",
        "Others reach this host once it has sent to them: direct calls work, except with those behind a symmetric NAT.",
        "",
      ].join("\n"),
    );
  });

  test("leaves out what was not found", () => {
    expect(report({ server, udp: { nat: "udp-blocked", local }, tcp: refused, tls: refused })).toBe(
      [
        "Server              192.0.2.1:3478",
        "Local address       10.0.0.2:5000",
        "NAT                 UDP is blocked",
        "Over TCP            connect ECONNREFUSED 192.0.2.1:5349",
        "Over TLS            connect ECONNREFUSED 192.0.2.1:5349",
        "",
        "Nothing comes back over UDP: calls need a relay over TCP or TLS.",
        "",
      ].join("\n"),
    );
  });

  test.each<[NatName, string]>([
    ["none", "none"],
    ["symmetric-firewall", "none, but a firewall (symmetric)"],
    ["full-cone", "full cone"],
    ["address-restricted", "address-restricted cone"],
    ["symmetric", "symmetric"],
    ["unknown", "unknown"],
  ])("calls %s by its old name, %s", (nat, name) => {
    expect(report({ server, udp: { nat, local }, tcp: refused, tls: refused })).toContain(
      `NAT                 ${name}\n`,
    );
  });

  test("puts IPv6 addresses in brackets, and says when a mapping outlived every trial", () => {
    const six = { address: "2001:db8::1", port: 3478 };
    const udp: NatFindings = { nat: "none", local: six, mapped: six };
    const text = report({
      server: six,
      udp: { ...udp, lifetime: { atLeastSeconds: 300 } },
      tcp: refused,
      tls: refused,
    });
    expect(text).toContain("[2001:db8::1]:3478");
    expect(text).toContain("300 s or more");
  });
});
