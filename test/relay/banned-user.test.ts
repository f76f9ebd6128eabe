// A user whom an administrator bans: told over XMPP that his credentials are void, given no others, and refused by TURN.

import { afterEach, beforeEach, expect, test } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { TurnClient } from "../cli/turn-client.ts";
import { FakeServer, type FakeStream } from "../component/fake-server.ts";

const us = "relay.example.org";
const phone = "alice@example.org/phone";
const services = "<services xmlns='urn:xmpp:extdisco:2'/>";

let server: FakeServer;
let relay: Relay;
let stream: FakeStream;

beforeEach(async () => {
  server = new FakeServer();
  await server.start();
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    secret: "a shared secret",
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    xmpp: { service: server.service, domain: us, secret: server.secret, administrators: ["bob@example.org"] },
  };
  const config = readConfig({ flags, env: {} });
  relay = await startRelay(config, { log: openLog(config.log, { write: () => {} }) });
  stream = await server.accept();
});

afterEach(async () => {
  await server.stop();
  await relay.stop();
});

async function says(from: string, type: "get" | "set", payload: string) {
  stream.send(`<iq type='${type}' id='q' from='${from}' to='${us}'>${payload}</iq>`);
  return await stream.next();
}

async function commands(session: string, form: string) {
  const command = `<command xmlns='http://jabber.org/protocol/commands' node='ban' ${session}>${form}</command>`;
  const reply = await says("bob@example.org/desk", "set", command);
  return `sessionid='${reply.getChild("command")?.attrs.sessionid}'`;
}

async function bansAlice(): Promise<void> {
  const field = (name: string, value: string) => `<field var='${name}'><value>${value}</value></field>`;
  const whom = `${field("kind", "jid")}${field("who", "alice@example.org")}${field("minutes", "60")}`;
  const session = await commands("action='execute'", "");
  await commands(`action='next' ${session}`, `<x xmlns='jabber:x:data' type='submit'>${whom}</x>`);
  stream.send(
    `<iq type='set' id='q' from='bob@example.org/desk' to='${us}'>
       <command xmlns='http://jabber.org/protocol/commands' node='ban' action='complete' ${session}/>
     </iq>`,
  );
}

test("a banned user's devices are told, he has no new credentials, and the old ones are refused", async () => {
  stream.send(`<presence from='${phone}' to='${us}'/>`);
  const offer = await says(phone, "get", services);
  const { port, username, password } = offer.getChild("services")?.getChildByAttr("type", "turn")?.attrs ?? {};
  const client = await TurnClient.open({ address: "127.0.0.1", port: Number(port) }, { username, password });
  expect(await client.allocate()).toMatchObject({ class: "success" });

  await bansAlice();
  const said = [await stream.next(), await stream.next()];
  const push = said.find(({ attrs }) => attrs.to === phone);
  expect(push?.attrs).toMatchObject({ type: "set", from: us });
  expect(push?.getChild("services")?.getChild("service")?.attrs).toMatchObject({ action: "delete", type: "turn" });

  expect((await says(phone, "get", services)).getChild("error")?.getChild("forbidden")).toBeDefined();
  expect(await client.allocate()).toMatchObject({ class: "error" });
  client.close();
});
