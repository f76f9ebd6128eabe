import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/global-setup.ts",
    pool: "forks",
    // Tests wait for other programs more than they compute: on two cores, one worker would take twice as long.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // @xmpp/client uses the WebSocket of Node, which Node 20 keeps behind this.
    execArgv: ["--experimental-websocket"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    coverage: { provider: "v8", include: ["src/**"] },
  },
});
