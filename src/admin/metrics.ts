// What Prometheus reads. Every label has few values, known beforehand: nothing that a client sends becomes one.

import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type Fact, familyOf, type Millis, type PlaneCounters } from "../contract.ts";
import { reasonPhrases } from "../stun/error-codes.ts";
import { Method } from "../stun/methods.ts";
import type { AnyFact } from "./masking.ts";

export interface MetricsSources {
  readonly version: string;
  readonly plane: string;
  readonly counters: () => PlaneCounters;
  readonly isDraining: () => boolean;
  /** How often STUN servers were asked for the external address, by what came of it. It goes on changing. */
  readonly addressChecks: Readonly<Record<string, number>>;
  /** Lines of the log by level. They go on changing. */
  readonly complaints: Readonly<Record<string, number>>;
  /** When the first of the certificates ends; undefined without any. */
  readonly certifiedUntil?: (() => Millis) | undefined;
  /** Of the connection to the XMPP server, and the states there are; none without a component. */
  readonly component?: { readonly states: readonly string[]; readonly state: () => string } | undefined;
  /** Of the proxy for file transfers, as it is now; `bytes` since the start. None without one. */
  readonly bytestreams?:
    | (() => { readonly open: number; readonly waiting: number; readonly bytes: number })
    | undefined;
}

export interface Metrics {
  count(fact: Fact): void;
  /** A stanza of the XMPP component answered, dropped and so on: counted by its name alone. */
  countXmpp(fact: AnyFact): void;
  /** In the text format of Prometheus. */
  read(): Promise<string>;
  readonly contentType: string;
}

export function openMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerPlane(registry, sources.counters);
  registerAbout(registry, sources);
  registerCounted(
    registry,
    {
      name: "sluice_external_address_checks_total",
      help: "How often STUN servers were asked what our external address is, by outcome.",
      label: "outcome",
    },
    sources.addressChecks,
  );
  registerCounted(
    registry,
    { name: "sluice_log_lines_total", help: "What there was to complain about, by level.", label: "level" },
    sources.complaints,
  );
  const { certifiedUntil } = sources;
  if (certifiedUntil) {
    const help = "When the first of the certificates ends, in Unix seconds.";
    gauge(registry, "sluice_certificate_expiry_timestamp_seconds", help, () => certifiedUntil() / 1000);
  }
  gauge(registry, "sluice_draining", "1 while no new allocations are made, before the end; else 0.", () =>
    Number(sources.isDraining()),
  );
  if (sources.bytestreams) registerBytestreams(registry, sources.bytestreams);
  const xmpp = new Counter({
    name: "sluice_xmpp_facts_total",
    help: "What happened at the connection to the XMPP server, by kind.",
    labelNames: ["fact"],
    registers: [registry],
  });
  return {
    count: factCounter(registry, sources.counters),
    countXmpp: ({ fact }) => xmpp.inc({ fact }),
    read: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Reads the plane's own counters when asked: counting costs the packets nothing. */
function registerPlane(registry: Registry, counters: () => PlaneCounters): void {
  const registers = [registry];
  const labelNames = ["transport", "family", "direction"] as const;
  for (const unit of ["packets", "bytes"] as const) {
    new Counter({
      name: `sluice_relayed_${unit}_total`,
      help: `Payload relayed, in ${unit}, by the client's transport, the relay's family and the direction.`,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { transport, family, direction, [unit]: amount } of counters().relayed) {
          this.inc({ transport, family: `ipv${family}`, direction }, amount);
        }
      },
    });
  }
  new Counter({
    name: "sluice_dropped_packets_total",
    help: "Packets that went no further, by reason.",
    labelNames: ["reason"],
    registers,
    collect() {
      this.reset();
      for (const [reason, amount] of Object.entries(counters().dropped)) this.inc({ reason }, amount);
    },
  });
  gauge(registry, "sluice_relay_ports", "Relay ports open now.", () => counters().relays);
  gauge(registry, "sluice_connections", "Stream connections of clients open now.", () => counters().connections);
}

/** One that others count, by one label. */
function registerCounted(
  registry: Registry,
  { name, help, label }: { readonly name: string; readonly help: string; readonly label: string },
  counted: Readonly<Record<string, number>>,
): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, amount] of Object.entries(counted)) this.inc({ [label]: value }, amount);
    },
  });
}

function registerBytestreams(registry: Registry, now: NonNullable<MetricsSources["bytestreams"]>): void {
  gauge(registry, "sluice_bytestreams", "File transfers through the SOCKS5 proxy open now.", () => now().open);
  gauge(registry, "sluice_bytestreams_waiting", "Connections to the SOCKS5 proxy that wait to be activated.", () => {
    return now().waiting;
  });
  new Counter({
    name: "sluice_bytestream_bytes_total",
    help: "Bytes carried by the SOCKS5 proxy, both ways together.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(now().bytes);
    },
  });
}

function registerAbout(registry: Registry, { version, plane, component }: MetricsSources): void {
  new Gauge({
    name: "sluice_build_info",
    help: "1, with the version and the dataplane in use as labels.",
    labelNames: ["version", "dataplane"],
    registers: [registry],
  }).set({ version, dataplane: plane }, 1);
  if (!component) return;
  new Gauge({
    name: "sluice_component_state",
    help: "1 for the state that the connection to the XMPP server is in.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const now = component.state();
      for (const state of component.states) this.set({ state }, state === now ? 1 : 0);
    },
  });
}

function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}

/** As the RFCs write them. */
const methodNames: ReadonlySet<string> = new Set(
  Object.keys(Method).map((name) => name.charAt(0).toUpperCase() + name.slice(1)),
);

function methodLabel(method: string): string {
  return methodNames.has(method) ? method : "other";
}

function factCounter(registry: Registry, counters: () => PlaneCounters): (fact: Fact) => void {
  const registers = [registry];
  const counted = { Binding: 0, Allocate: 0 };
  const answers = new Counter({
    name: "sluice_answers_total",
    help: "Requests answered, by method, error code (0 for success) and the client's transport.",
    labelNames: ["method", "code", "transport"],
    registers,
    collect() {
      // Those of the plane, which reports no facts of them.
      const { bindings = 0, challenges = 0 } = counters();
      const more = (method: keyof typeof counted, code: string, now: number) => {
        if (now > counted[method]) this.inc({ method, code, transport: "udp" }, now - counted[method]);
        counted[method] = now;
      };
      more("Binding", "0", bindings);
      more("Allocate", "401", challenges);
    },
  });
  const wrong = new Counter({
    name: "sluice_wrong_credentials_total",
    help: "Requests with a wrong name or password, or one that has expired, by the client's transport.",
    labelNames: ["transport"],
    registers,
  });
  const unanswered = new Counter({
    name: "sluice_unanswered_requests_total",
    help: "Requests of strangers whose network has had too many replies already, by method.",
    labelNames: ["method"],
    registers,
  });
  const opened = new Counter({
    name: "sluice_allocations_opened_total",
    help: "Allocations made, by the client's transport and the family of the relayed address.",
    labelNames: ["transport", "family"],
    registers,
  });
  const closed = new Counter({
    name: "sluice_allocations_closed_total",
    help: "Allocations ended, by reason.",
    labelNames: ["reason"],
    registers,
  });
  const allocations = new Gauge({ name: "sluice_allocations", help: "Allocations alive now.", registers });
  allocations.set(0);

  const bytestreams = new Counter({
    name: "sluice_bytestreams_closed_total",
    help: "File transfers through the SOCKS5 proxy that have ended, by reason.",
    labelNames: ["reason"],
    registers,
  });
  const channels = new Gauge({ name: "sluice_relay_channels", help: "Relay channels (XEP-0278) open now.", registers });
  channels.set(0);

  return (fact) => {
    switch (fact.fact) {
      case "unanswered":
        unanswered.inc({ method: methodLabel(fact.method) });
        break;
      case "answered":
        answers.inc({ method: methodLabel(fact.method), code: codeLabel(fact.code), transport: fact.transport });
        if (fact.claimed !== undefined) wrong.inc({ transport: fact.transport });
        break;
      case "allocation-opened":
        opened.inc({ transport: fact.transport, family: `ipv${familyOf(fact.relayed.address)}` });
        allocations.inc();
        break;
      case "allocation-closed":
        closed.inc({ reason: fact.why });
        allocations.dec();
        break;
      case "bytestream-closed":
        bytestreams.inc({ reason: fact.why });
        break;
      case "channel-opened":
        channels.inc();
        break;
      case "channel-closed":
        channels.dec();
        break;
    }
  };
}

function codeLabel(code: number): string {
  return code === 0 || code in reasonPhrases ? String(code) : "other";
}
