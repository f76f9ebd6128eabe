// The SOCKS5 proxy for bytestreams (XEP-0065): its listeners, its machine beside the TURN server's, and where clients find
// it.

import type { Config } from "../config/config.ts";
import type { Action, Dataplane, Input, Listener, Machine, Millis, RelayAddress } from "../contract.ts";
import { BytestreamsProxy, type StreamView } from "../socks5/bytestreams-proxy.ts";
import { hostOf } from "../stun/address.ts";
import type { ActivationFailure, StreamHost } from "../xmpp/xep0065-bytestreams.ts";
import { doorsOf } from "./doors.ts";

export interface Bytestreams {
  readonly machine: BytestreamsProxy;
  /** Those that are open. */
  streams(): readonly StreamView[];
  /** `bytes` since the start. */
  load(): { readonly open: number; readonly waiting: number; readonly bytes: number };
  /** Now: external addresses can change. */
  hosts(): readonly StreamHost[];
  activate(now: Millis, hash: string, user: string): ActivationFailure | undefined;
}

export interface BytestreamsParts {
  readonly plane: Dataplane;
  readonly listeners: readonly Listener[];
  /** Listeners that take SOCKS5 and nothing else. */
  readonly proxies: readonly Listener[];
  readonly relayAddresses: readonly RelayAddress[];
  readonly isBanned: (address: string, now: Millis) => boolean;
}

/** Undefined where there are to be none. */
export function openBytestreams(xmpp: Config["xmpp"], parts: BytestreamsParts): Bytestreams | undefined {
  if (!xmpp?.proxy65) return undefined;
  const {
    host,
    proxy65: { quota },
  } = xmpp;
  const { plane, relayAddresses, isBanned } = parts;
  const listeners = [...parts.proxies, ...sharedListeners(parts.listeners)];
  const machine = new BytestreamsProxy(quota, { hostOf, usageOf: (stream) => plane.usage(stream), isBanned });
  return {
    machine,
    streams: () => machine.streams(),
    load: () => ({ open: machine.streams().length, waiting: machine.waiting, bytes: machine.bytes }),
    hosts() {
      const hosts = doorsOf(listeners, relayAddresses).map((door) => ({ host: host ?? door.host, port: door.port }));
      return [...new Map(hosts.map((each) => [JSON.stringify(each), each])).values()];
    },
    activate(now, hash, user) {
      const activation = machine.activate(now, hash, user);
      if ("failed" in activation) return activation.failed;
      for (const action of activation.actions) plane.perform(action);
      return undefined;
    },
  };
}

/** Whoever listens for TCP and TLS takes SOCKS5, too. Such a listener stands there once for each transport. */
function sharedListeners(listeners: readonly Listener[]): Listener[] {
  const shared = listeners.filter(({ socket }, index) => listeners.findIndex((each) => each.socket === socket) < index);
  return shared.map((listener) => ({ ...listener, transport: "tcp" }));
}

const sharedInputs: ReadonlySet<Input["is"]> = new Set(["hung-up", "parted", "ordered", "ticked"]);

/** What is of SOCKS5 is for the proxy; ends of connections, orders and the time are for both, and a ban is TURN's to keep. */
export function sharedMachine(turn: Machine, proxy: Machine): Machine {
  const isForProxy = (input: Input) => input.is === "datagram" && input.on.protocol === "socks5";
  return {
    handle(now: Millis, input: Input): Action[] {
      if (isForProxy(input)) return proxy.handle(now, input);
      return sharedInputs.has(input.is)
        ? [...turn.handle(now, input), ...proxy.handle(now, input)]
        : turn.handle(now, input);
    },
  };
}
