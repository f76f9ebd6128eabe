// Administrators and users run the console's commands with slixmpp, through a real server, while a TURN client is served.

import { client as xmppClient } from "@xmpp/client";
import xml from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Relay } from "../../src/relay.ts";
import { TurnClient } from "../cli/turn-client.ts";
import { connectedRelay } from "./connected-relay.ts";
import { needs } from "./needs.ts";
import { SlixmppClient } from "./slixmpp.ts";
import { componentDomain, domain, otherDomain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const administrator = `bob@${domain}`;

describe.each(xmppServers)("the console on $name", ({ make, packages }) => {
  describe.runIf(needs(...packages, "python3-slixmpp"))("with slixmpp", () => {
    let server: XmppServer;
    let relay: Relay;
    let admin: SlixmppClient;
    let alice: SlixmppClient;
    let turn: TurnClient | undefined;
    const lines: string[] = [];

    beforeAll(async () => {
      server = await make();
      await server.start();
      relay = await connectedRelay(server, {
        xmpp: { administrators: [administrator] },
        write: (line) => void lines.push(line),
      });
      admin = await SlixmppClient.open(server.clients, `${administrator}/desk`, componentDomain);
      alice = await SlixmppClient.open(server.clients, `alice@${domain}/phone`, componentDomain);
    });

    afterAll(async () => {
      turn?.close();
      await alice?.close();
      await admin?.close();
      await relay?.stop();
      await server?.discard();
    });

    /** A TURN client with the credentials that alice gets over XMPP. */
    async function turnOfAlice(): Promise<TurnClient> {
      const session = xmppClient({ service: server.clients, domain, username: "alice", password });
      session.on("error", () => {});
      await session.start();
      const asked = xml("iq", { type: "get", to: domain }, xml("services", { xmlns: "urn:xmpp:extdisco:2" }));
      const reply = await session.iqCaller.request(asked, 10_000);
      await session.stop();
      const {
        port,
        username,
        password: credential,
      } = reply.getChild("services")?.getChildByAttr("type", "turn")?.attrs ?? {};
      turn?.close();
      turn = await TurnClient.open({ address: "127.0.0.1", port: Number(port) }, { username, password: credential });
      return turn;
    }

    test("is found by service discovery, by each as much as he may run", async () => {
      const own = ["last-call", "my-relays"];
      expect((await alice.commands()).map(([node]) => node).sort()).toEqual(own);
      const all = (await admin.commands()).map(([node]) => node);
      expect(all).toEqual(expect.arrayContaining([...own, "status", "allocations", "close", "ban", "credentials"]));
    });

    test("tells administrators how the relay is, and nobody else", async () => {
      const [told] = await admin.run("status");
      expect(told).toMatchObject({ status: "completed", fields: { Allocations: "0", Bans: "0" } });
      expect(await alice.run("status")).toEqual([{ error: ["cancel", "forbidden"] }]);
      const mallory = await SlixmppClient.open(server.clients, `mallory@${otherDomain}/x`, componentDomain);
      expect(await mallory.commands()).toEqual([]);
      expect(await mallory.run("last-call")).toEqual([{ error: ["cancel", "forbidden"] }]);
      await mallory.close();
    });

    test("shows a live allocation, closes it, and lets its user know", async () => {
      expect((await alice.run("last-call"))[0]?.notes?.[0]).toContain("has not heard of you");
      const client = await turnOfAlice();
      expect((await alice.run("last-call"))[0]?.notes?.[0]).toContain("never came with them");
      expect((await client.allocate())?.attributes.errorCode).toBeUndefined();
      expect((await alice.run("my-relays"))[0]?.notes).toEqual(["1 in use."]);

      const fields = { user: `alice@${domain}`, addresses: "0" };
      const [, page] = await admin.run("allocations", { action: "next", fields });
      const [number = "", , transport, place] = page?.rows?.[0] ?? [];
      expect([transport, place]).toEqual(["udp", "127.0.0.0/24"]);
      const steps = await admin.run("close", { action: "next", fields: { number } }, { action: "complete" });
      expect(steps.map(({ status }) => status)).toEqual(["executing", "executing", "completed"]);
      expect((await client.ask("refresh"))?.attributes.errorCode?.code).toBe(437);
      expect((await alice.run("my-relays"))[0]?.notes).toEqual(["None."]);
      const [told] = await alice.run("last-call");
      expect(told?.notes?.[0]).toContain("closed by an administrator");
    });

    test("bans a user for a while, and lifts the ban", async () => {
      const client = await turnOfAlice();
      const fields = { kind: "jid", who: `alice@${domain}`, minutes: "5" };
      const steps = await admin.run(
        "ban",
        { action: "next", fields },
        { action: "prev" },
        { action: "next", fields },
        { action: "complete" },
      );
      expect(steps.map(({ status }) => status)).toEqual([
        "executing",
        "executing",
        "executing",
        "executing",
        "completed",
      ]);
      expect((await client.allocate())?.attributes.errorCode?.code).toBe(403);
      expect((await alice.run("last-call"))[0]?.notes?.[0]).toContain("shut out for a while");

      const [asked] = await admin.run("lift-ban", { action: "cancel" });
      expect(asked).toMatchObject({ status: "executing", actions: ["complete"] });
      const [status] = await admin.run("status");
      expect(status?.fields?.Bans).toBe("1");
      const bans = await admin.run("lift-ban", { action: "complete", fields: { ban: "user nobody" } });
      expect(bans[1]).toEqual({ error: ["modify", "bad-request", "bad-payload"] });
    });

    test("makes credentials for somebody, which the relay takes", async () => {
      const fields = { jid: `carol@${domain}`, hours: "1" };
      const [, made] = await admin.run("credentials", { action: "complete", fields });
      const { Username: username = "", Credential: credential = "" } = made?.fields ?? {};
      const at = relay.listeners[0]?.at ?? { address: "", port: 0 };
      const carol = await TurnClient.open(at, { username, password: credential });
      expect((await carol.allocate())?.attributes.errorCode).toBeUndefined();
      carol.close();
    });

    test("leaves a trace in the log of what administrators did, without a JID", () => {
      const run = lines.filter((line) => line.includes('"command-run"'));
      expect(run.filter((line) => line.includes('"what":"close"'))).toHaveLength(1);
      expect(lines.join("\n")).not.toMatch(/alice|bob@|mallory/);
    });
  });
});
