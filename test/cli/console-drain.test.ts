// An administrator drains a relay from an XMPP client.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Element } from "@xmpp/xml";
import { expect, onTestFinished, test } from "vitest";
import { FakeServer, type FakeStream } from "../component/fake-server.ts";
import { newFolder, startSluice } from "./sluice-process.ts";

async function runs(stream: FakeStream, session = ""): Promise<Element> {
  const command = `<command xmlns='http://jabber.org/protocol/commands' node='drain'${session}/>`;
  stream.send(`<iq type='set' id='d' from='admin@example.org/desk' to='relay.example.org'>${command}</iq>`);
  const reply = await stream.next();
  return reply.getChild("command") ?? reply;
}

test("a relay that is drained from the console answers, goes offline there, and ends with its last allocation", async () => {
  const server = new FakeServer();
  await server.start();
  onTestFinished(() => server.stop());
  const file = join(newFolder(), "sluice.yaml");
  const xmpp = `service: "${server.service}", domain: relay.example.org, secret: ${server.secret}`;
  writeFileSync(
    file,
    `listen: ["udp://127.0.0.1:0"]
metrics: none
secret: shared
xmpp: { ${xmpp}, administrators: [Admin@example.org] }
`,
  );
  const sluice = startSluice(["serve", "--config", file]);
  const stream = await server.accept();
  const asked = await runs(stream);
  expect(asked.attrs.status).toBe("executing");
  const done = await runs(stream, ` action='complete' sessionid='${asked.attrs.sessionid}'`);
  expect(done.getChildText("note")).toBe("It drains. Allocations left: 0.");
  await stream.farewell;
  stream.send("</stream:stream>");
  expect(await sluice.ended).toBe(0);
  expect(sluice.stdout()).toContain('"msg":"drained"');
});
