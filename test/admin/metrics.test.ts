// What Prometheus reads: right numbers, and labels of few values.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type MetricsSources, openMetrics } from "../../src/admin/metrics.ts";
import type { Endpoint, Fact, PlaneCounters } from "../../src/contract.ts";

const client: Endpoint = { address: "203.0.113.77", port: 5555 };

const counters: PlaneCounters = {
  relayed: [
    { transport: "udp", family: 4, direction: "to-peer", packets: 3, bytes: 300 },
    { transport: "tcp", family: 6, direction: "to-client", packets: 2, bytes: 20 },
  ],
  dropped: {
    "forbidden-client": 7,
    "no-channel": 1,
    "no-permission": 2,
    "forbidden-peer": 3,
    malformed: 4,
    limited: 8,
    congested: 5,
    flooded: 6,
  },
  relays: 7,
  connections: 8,
};

function open(sources: Partial<MetricsSources> = {}) {
  return openMetrics({
    version: "1.2.3",
    plane: "portable",
    counters: () => counters,
    isDraining: () => false,
    addressChecks: { same: 3, changed: 1 },
    complaints: { warn: 2, error: 1 },
    ...sources,
  });
}

function answered(method: string, code: number): Extract<Fact, { fact: "answered" }> {
  return { fact: "answered", method, code, transport: "udp", client };
}

describe("metrics", () => {
  test("show what the plane counted, as it is when they are read", async () => {
    let relays = 1;
    const metrics = open({ counters: () => ({ ...counters, relays }) });
    expect(await metrics.read()).toContain("sluice_relay_ports 1\n");
    relays = 2;
    const text = await metrics.read();
    expect(text).toContain("sluice_relay_ports 2\n");
    expect(text).toContain("sluice_connections 8\n");
    expect(text).toContain('sluice_relayed_packets_total{transport="udp",family="ipv4",direction="to-peer"} 3\n');
    expect(text).toContain('sluice_relayed_bytes_total{transport="tcp",family="ipv6",direction="to-client"} 20\n');
    expect(text).toContain('sluice_dropped_packets_total{reason="forbidden-peer"} 3\n');
    expect(text).toContain('sluice_dropped_packets_total{reason="forbidden-client"} 7\n');
    expect(text).toContain('sluice_dropped_packets_total{reason="limited"} 8\n');
  });

  test("count facts", async () => {
    const metrics = open();
    metrics.count(answered("Allocate", 401));
    metrics.count(answered("Allocate", 401));
    metrics.count(answered("CreatePermission", 0));
    metrics.count({ ...answered("Refresh", 401), claimed: "alice" });
    metrics.count({ fact: "unanswered", method: "Binding", client });
    for (const relay of [1, 2]) {
      metrics.count({
        fact: "allocation-opened",
        relay,
        user: "alice",
        transport: "tcp",
        client,
        relayed: { address: "2001:db8::1", port: 50_000 },
      });
    }
    metrics.count({ fact: "allocation-closed", relay: 1, user: "alice", why: "expired" });
    const text = await metrics.read();
    expect(text).toContain('sluice_wrong_credentials_total{transport="udp"} 1\n');
    expect(text).toContain('sluice_unanswered_requests_total{method="Binding"} 1\n');
    expect(text).toContain('sluice_answers_total{method="Allocate",code="401",transport="udp"} 2\n');
    expect(text).toContain('sluice_answers_total{method="CreatePermission",code="0",transport="udp"} 1\n');
    expect(text).toContain('sluice_allocations_opened_total{transport="tcp",family="ipv6"} 2\n');
    expect(text).toContain('sluice_allocations_closed_total{reason="expired"} 1\n');
    expect(text).toContain("sluice_allocations 1\n");
  });

  test("show the proxy for file transfers where there is one, and relay channels", async () => {
    const load = { open: 2, waiting: 3, bytes: 4000 };
    const metrics = open({ bytestreams: () => load });
    const usage = { toPeer: { packets: 1, bytes: 1 }, toClient: { packets: 0, bytes: 0 } };
    metrics.count({ fact: "bytestream-closed", user: "alice", why: "over-quota", usage });
    for (const fact of ["channel-opened", "channel-opened", "channel-closed"] as const) {
      metrics.count({ fact, user: "alice" });
    }
    const text = await metrics.read();
    expect(text).toContain("sluice_bytestreams 2\n");
    expect(text).toContain("sluice_bytestreams_waiting 3\n");
    expect(text).toContain("sluice_bytestream_bytes_total 4000\n");
    expect(text).toContain('sluice_bytestreams_closed_total{reason="over-quota"} 1\n');
    expect(text).toContain("sluice_relay_channels 1\n");
    expect(await open().read()).not.toContain("sluice_bytestreams ");
  });

  test("count Binding requests that the plane answered by itself with those that the machine did", async () => {
    let bindings = 2;
    const metrics = open({ counters: () => ({ ...counters, bindings }) });
    metrics.count(answered("Binding", 0));
    expect(await metrics.read()).toContain('sluice_answers_total{method="Binding",code="0",transport="udp"} 3\n');
    bindings = 5;
    expect(await metrics.read()).toContain('sluice_answers_total{method="Binding",code="0",transport="udp"} 6\n');
  });

  test("count 401s of the plane with those of the machine", async () => {
    const metrics = open({ counters: () => ({ ...counters, challenges: 4 }) });
    metrics.count(answered("Allocate", 401));
    expect(await metrics.read()).toContain('sluice_answers_total{method="Allocate",code="401",transport="udp"} 5\n');
  });

  test("show the state of the component", async () => {
    let state = "offline";
    const metrics = open({ component: { states: ["online", "offline"], state: () => state } });
    metrics.countXmpp({ fact: "credentials-issued" });
    expect(await metrics.read()).toContain('sluice_component_state{state="offline"} 1\n');
    state = "online";
    const text = await metrics.read();
    expect(text).toContain('sluice_component_state{state="offline"} 0\n');
    expect(text).toContain('sluice_component_state{state="online"} 1\n');
    expect(text).toContain('sluice_xmpp_facts_total{fact="credentials-issued"} 1\n');
  });

  test("show when the first certificate ends, and what there was to complain about", async () => {
    let until = 1_800_000_000_000;
    const metrics = open({ certifiedUntil: () => until });
    until += 5000;
    const text = await metrics.read();
    expect(text).toContain("sluice_certificate_expiry_timestamp_seconds 1800000005\n");
    expect(text).toContain('sluice_log_lines_total{level="error"} 1\n');
    expect(await open().read()).not.toContain("sluice_certificate");
  });

  test("are all explained to operators, and no others are", async () => {
    const operations = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const load = { open: 0, waiting: 0, bytes: 0 };
    const component = { states: ["online"], state: () => "online" };
    const text = await open({ certifiedUntil: () => 0, bytestreams: () => load, component }).read();
    const names = (all: string, of: RegExp) => [...new Set([...all.matchAll(of)].map(([, name]) => name))].sort();
    expect(names(operations, /\b(sluice_\w+)/g)).toEqual(names(text, /^# HELP (sluice_\w+)/gm));
  });

  test("have those of the process, too", async () => {
    expect(await open().read()).toMatch(/^process_resident_memory_bytes \d+/m);
  });

  test("stay few and nameless, whatever comes", async () => {
    const metrics = open();
    for (let code = 0; code < 1000; code += 1) metrics.count(answered(`method ${code}`, code));
    metrics.count({ fact: "allocation-opened", relay: 1, user: "alice", transport: "udp", client, relayed: client });
    const text = await metrics.read();
    const answers = text.split("\n").filter((line) => line.startsWith("sluice_answers_total"));
    expect(answers.length).toBeLessThan(30);
    expect(answers).toContainEqual(expect.stringContaining('method="other",code="other"'));
    expect(text).not.toContain("alice");
    expect(text).not.toContain(client.address);
  });
});
