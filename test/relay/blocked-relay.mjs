// A relay whose event loop stands still for five seconds at its parent's word. Its configuration is its argument, in JSON.

import { readConfig } from "../../dist/config/config.js";
import { startRelay } from "../../dist/relay.js";

const standstillMillis = 5000;

const relay = await startRelay(readConfig({ flags: JSON.parse(process.argv[2]) }));

process.on("message", () => {
  process.send("blocked", () => {
    const outcome = Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, standstillMillis);
    process.send(outcome === "timed-out" ? "free" : outcome);
  });
});
process.on("disconnect", () => relay.stop());
process.send(relay.listeners[0].at.port);
