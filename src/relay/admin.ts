// What the operator watches: metrics and health pages.

import { startAdmin } from "../admin/http.ts";
import { type Metrics, openMetrics } from "../admin/metrics.ts";
import { version } from "../cli/version.ts";
import type { Component } from "../component/component.ts";
import type { Health } from "../component/connection.ts";
import { findingText, isWrong } from "../component/server-look.ts";
import type { Config } from "../config/config.ts";
import type { HttpListener } from "../http-listener.ts";
import type { Drain } from "./drain.ts";
import type { ExternalAddresses } from "./external-addresses.ts";
import { type Moves, moved, onFreePort } from "./free-port.ts";
import type { Media } from "./media.ts";

export interface Admin extends HttpListener {
  readonly metrics: Metrics;
}

interface AdminParts {
  readonly media: Media;
  readonly addresses: Pick<ExternalAddresses, "checks">;
  /** There is none yet while it is being opened, and none after a drain has begun. */
  readonly component: () => Component | undefined;
  /** Undefined where there is to be none. */
  readonly componentState: () => string | undefined;
  readonly moves: Moves;
  readonly drain: Pick<Drain, "isUnderWay">;
  readonly isStopping: () => boolean;
}

const componentStates: readonly string[] = ["connecting", "online", "offline", "refused"] satisfies Health["state"][];

export async function openAdmin(
  config: Config,
  { media, addresses, component, componentState, moves, drain, isStopping }: AdminParts,
): Promise<Admin | undefined> {
  const { metrics: at, xmpp } = config;
  if (at === "none") return undefined;
  const { plane, listeners, bytestreams, certificates } = media;
  const metrics = openMetrics({
    version: version(),
    plane: plane.name,
    counters: () => plane.counters(),
    addressChecks: addresses.checks,
    isDraining: () => drain.isUnderWay,
    complaints: moves.log.complaints,
    certifiedUntil: certificates && (() => Math.min(...certificates.certificates.map(({ until }) => until))),
    bytestreams: bytestreams && (() => bytestreams.load()),
    component: xmpp && { states: componentStates, state: () => componentState() ?? "" },
  });
  const readiness = () => ({
    isReady: !drain.isUnderWay && !isStopping(),
    lines: [
      `listeners ${listeners.length}`,
      `component ${componentState() ?? "none"}`,
      ...(drain.isUnderWay ? [`draining, relay ports ${plane.counters().relays}`] : []),
    ],
  });
  const look = async () => {
    const findings = (await component()?.check()) ?? [{ wrong: "there is no component", advice: "wait a moment" }];
    const lines = [`component ${xmpp?.domain} ${componentState()}`, ...findings.map(findingText)];
    return { isWell: !findings.some(isWrong), lines };
  };
  const server = await onFreePort(`metrics port ${at.port}`, moves, (offset) =>
    startAdmin({ at: moved(at, offset), metrics, readiness, xmpp: xmpp && look }),
  );
  return { ...server, metrics };
}
