// `sluice serve` when the XMPP server will not have its component.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { FakeServer } from "../component/fake-server.ts";
import { newFolder, startSluice } from "./sluice-process.ts";

async function refused(whenRefused: "retry" | "exit") {
  const server = new FakeServer();
  await server.start();
  onTestFinished(() => server.stop());
  const file = join(newFolder(), "sluice.yaml");
  writeFileSync(
    file,
    `listen: ["udp://127.0.0.1:0"]
metrics: none
secret: shared
xmpp: { service: "${server.service}", domain: relay.example.org, secret: wrong, when-refused: ${whenRefused} }
`,
  );
  const sluice = startSluice(["serve", "--config", file]);
  await server.accept();
  return sluice;
}

describe("a component with a wrong secret", () => {
  test("ends the relay with a clear message, where the operator wants that", async () => {
    const sluice = await refused("exit");
    expect(await sluice.ended).toBe(69);
    expect(sluice.stderr()).toMatch(/^the XMPP server refuses us: not-authorized.*secret is not the one/m);
    expect(sluice.stdout()).toMatch(/"msg":"stopped"/);
  });

  test("is said to the operator at the level of errors, and the relay goes on", async () => {
    const sluice = await refused("retry");
    await sluice.printed(/"level":"error".*not-authorized.*secret is not the one.*component-refused/);
    sluice.kill("SIGTERM");
    expect(await sluice.ended).toBe(0);
  });
});
