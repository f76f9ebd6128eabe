// A relay whose event loop stands still for as long as its parent says, in milliseconds. Its configuration is its argument,
// in JSON.

import { readConfig } from "../../dist/config/config.js";
import { startRelay } from "../../dist/relay.js";

const relay = await startRelay(readConfig({ flags: JSON.parse(process.argv[2]) }));

process.on("message", (standstillMillis) => {
  process.send("blocked", () => {
    const outcome = Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, standstillMillis);
    process.send(outcome === "timed-out" ? "free" : outcome);
  });
});
process.on("disconnect", () => relay.stop());
process.send(relay.listeners[0].at.port);
