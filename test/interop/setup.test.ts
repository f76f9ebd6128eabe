// `sluice setup` on real servers that know nothing of us: what it writes is what they run with, and what it says of them
// afterwards is how they are.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Connection } from "../../src/component/connection.ts";
import { checkServer } from "../../src/component/server-check.ts";
import type { Finding } from "../../src/component/server-look.ts";
import { startSluice } from "../cli/sluice-process.ts";
import { connectedRelay } from "./connected-relay.ts";
import { needs } from "./needs.ts";
import { freePorts } from "./server-process.ts";
import { componentDomain, componentSecret, domain, otherDomain, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

describe.each(xmppServers)("sluice setup on $name", ({ name, make, packages }) => {
  describe.runIf(needs(...packages))("that knows nothing of us", () => {
    let server: XmppServer;
    let ours: string;

    beforeAll(async () => {
      server = await make({ knowsUs: false });
      ours = join(dirname(server.config), "sluice.yaml");
      writeFileSync(
        ours,
        `secret: shared
xmpp: { service: "${server.components}", domain: ${componentDomain}, secret: "${componentSecret}" }
`,
      );
    });

    afterAll(() => server?.discard());

    const pushes =
      name === "Prosody"
        ? `ok     ${domain} passes new credentials on to its users`
        : expect.stringMatching(`^lacks  ${domain} does not let us push`);
    const worksWell = [
      `ok     ${domain} answers service discovery`,
      `ok     ${domain} delegates urn:xmpp:extdisco:2`,
      `ok     ${domain} offers urn:xmpp:extdisco:2, and answers it through us`,
      pushes,
      "",
    ];

    async function setup(...args: string[]) {
      const { ended, stdout, stderr } = startSluice(["setup", name.toLowerCase(), "--config", ours, ...args]);
      return { code: await ended, stdout: stdout(), stderr: stderr() };
    }

    function check(changes: { domain?: string; secret?: string; hosts?: string[] } = {}): Promise<Finding[]> {
      const options = { domain: componentDomain, secret: componentSecret, hosts: [domain], ...changes };
      return checkServer({ service: server.components, ...options });
    }

    test("says that the port is closed while the server does not run", async () => {
      const { code, stdout } = await setup("--check");
      expect(code).toBe(69);
      expect(stdout).toMatch(/^WRONG {2}no connection to xmpp:.*ECONNREFUSED.*does the server run/);
    });

    test("writes what is needed, keeps what was, and does nothing the second time", { timeout: 60_000 }, async () => {
      const before = readFileSync(server.config, "utf8");
      const { mode } = statSync(server.config);
      const { code, stdout } = await setup("--write", server.config);
      expect(code).toBe(0);
      const backup = /in (\S+\.bak)\.$/m.exec(stdout)?.[1] ?? "";
      expect(readFileSync(backup, "utf8")).toBe(before);
      expect(statSync(server.config).mode).toBe(mode);
      const after = readFileSync(server.config, "utf8");
      expect(after).toContain(componentSecret);
      expect((await setup("--write", server.config)).stdout).toContain("has it all already");
      expect(readFileSync(server.config, "utf8")).toBe(after);
    });

    test("finds that the server works with it", { timeout: 60_000 }, async () => {
      await server.start();
      const { stdout, code } = await setup("--check");
      expect(stdout.split("\n")).toEqual([
        `ok     connected to ${server.components} as ${componentDomain}`,
        ...worksWell,
      ]);
      expect(code).toBe(0);
    });

    test("finds the same by way of a relay that runs, which goes on", { timeout: 60_000 }, async () => {
      const [port = 0] = await freePorts(1);
      writeFileSync(ours, `${readFileSync(ours, "utf8")}metrics: "http://127.0.0.1:${port}"\n`);
      const relay = await connectedRelay(server, { xmpp: {}, metrics: `http://127.0.0.1:${port}` });
      onTestFinished(() => relay.stop());
      const { stdout, code } = await setup("--check");
      expect(stdout.split("\n")).toEqual(["ok     the relay runs, and its component is online", ...worksWell]);
      expect(code).toBe(0);
      expect(relay.componentState()).toBe("online");
    });

    test("finds a wrong secret", async () => {
      const [only, ...more] = await check({ secret: "another" });
      expect(only).toMatchObject({
        wrong: expect.stringContaining("not-authorized"),
        advice: expect.stringMatching(/secret/),
      });
      expect(more).toEqual([]);
    });

    test("finds a component that is not configured there", async () => {
      const [only] = await check({ domain: "other.example.test" });
      expect(only).toMatchObject({ wrong: expect.stringContaining("the server refuses other.example.test") });
    });

    test("finds a host that is not there, and one that delegates nothing to us", async () => {
      const findings = await check({ hosts: ["nowhere.invalid", otherDomain] });
      expect(findings).toContainEqual(expect.objectContaining({ wrong: "nowhere.invalid does not answer" }));
      if (name === "Prosody") {
        const wrong = `${otherDomain} does not delegate urn:xmpp:extdisco:2`;
        expect(findings).toContainEqual({ wrong, advice: expect.stringContaining("not loaded") });
      }
    });

    test("finds that somebody else has the name, where only one may have it", async () => {
      const options = { service: server.components, domain: componentDomain, secret: componentSecret, server: domain };
      const other = new Connection({ ...options, receive: () => [], report: () => {} });
      other.start();
      await vi.waitFor(() => expect(other.state()).toMatchObject({ state: "online" }));
      const [only] = await check();
      await other.stop();
      const taken = { wrong: expect.stringContaining("conflict"), advice: expect.stringContaining("stop it") };
      // ejabberd lets both in, and gives either the answers of the other.
      expect(only).toMatchObject(name === "Prosody" ? taken : { well: expect.stringContaining("connected") });
    });

    test("finds that the module is not there, or that it delegates to nobody", { timeout: 60_000 }, async () => {
      await server.stop();
      const written = readFileSync(server.config, "utf8");
      writeFileSync(server.config, withoutDelegation(written));
      await server.start();
      const found = await check();
      writeFileSync(server.config, written);
      const wrong = `${domain} does not delegate urn:xmpp:extdisco:2`;
      expect(found.at(-1)).toMatchObject({ wrong, advice: expect.stringContaining("module") });
    });

    test("finds a module that answers in our place", async () => {
      await server.stop();
      writeFileSync(server.config, withAnotherAnswer(readFileSync(server.config, "utf8")));
      const { stdout } = await setup("--write", server.config);
      expect(stdout).toMatch(/^Remove (external_services|mod_stun_disco) there/m);
    });

    function withoutDelegation(written: string): string {
      if (name === "ejabberd") return written.replace(/\n {2}mod_delegation:[\s\S]*?(?=\n\S|\n*$)/, "\n");
      return written.replaceAll('"delegation"', '"time"');
    }

    function withAnotherAnswer(written: string): string {
      if (name === "ejabberd") return written.replace("modules:", "modules:\n  mod_stun_disco: {}");
      return written.replace("modules_enabled = {", 'modules_enabled = { "external_services",');
    }
  });
});
