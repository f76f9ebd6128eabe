// What the operator's signals ask of a relay: SIGINT to stop, SIGUSR2 to drain, SIGTERM the one or the other.

export interface Orders {
  readonly drain: Promise<void>;
  readonly stop: Promise<void>;
}

/** Hears every signal from now on. A second SIGTERM stops in any case. */
export function ordersBySignal(onSigterm: "stop" | "drain"): Orders {
  return {
    drain: new Promise((resolve) => {
      process.once("SIGUSR2", () => resolve());
      if (onSigterm === "drain") process.once("SIGTERM", () => resolve());
    }),
    stop: new Promise((resolve) => {
      process.once("SIGINT", () => resolve());
      let drains = onSigterm === "drain";
      process.on("SIGTERM", () => {
        if (!drains) resolve();
        drains = false;
      });
    }),
  };
}
