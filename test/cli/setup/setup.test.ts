import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { newFolder, startSluice } from "../sluice-process.ts";

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { ended, stdout, stderr } = startSluice(["setup", ...args], env);
  const code = await ended;
  return { code, stdout: stdout(), stderr: stderr() };
}

describe("sluice setup", () => {
  test("makes a secret of its own, keeps it, and prints the lines of both sides", async () => {
    const env = { STATE_DIRECTORY: newFolder() };
    const { code, stdout } = await run(["prosody", "--domain", "Relay.Example.org"], env);
    expect(code).toBe(0);
    const kept = join(env.STATE_DIRECTORY, "component-secret");
    const secret = readFileSync(kept, "utf8").trim();
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(stdout).toContain(`component_secret = "${secret}"`);
    expect(stdout).toContain(`domain: relay.example.org\n  secret: { file: "${kept}" }\n`);
    expect((await run(["ejabberd", "--domain", "relay.example.org"], env)).stdout).toContain(`password: ${secret}`);
  });

  test("takes what our configuration says", async () => {
    const file = join(newFolder(), "sluice.yaml");
    writeFileSync(
      file,
      'xmpp: { domain: turn.example.org, secret: s, service: "xmpp://[::1]:5350", domains: [a.example, b.example] }',
    );
    const { stdout } = await run(["prosody", "--config", file]);
    expect(stdout).toMatch(/component_ports = \{ 5350 \}\nVirtualHost "a\.example"[\s\S]*VirtualHost "b\.example"/);
    expect(stdout).toContain('Component "turn.example.org"\n  component_secret = "s"');
    expect(stdout).not.toContain("For Sluice");
    expect((await run(["ejabberd", "--config", file])).stdout).toContain("- port: 5350\n    ip: ::1");
  });

  test("leaves a file alone that it cannot change safely, and says why", async () => {
    const file = join(newFolder(), "prosody.cfg.lua");
    writeFileSync(file, 'VirtualHost "elsewhere.example"\n');
    const { code, stderr } = await run(["prosody", "--domain", "relay.example.org", "--write", file]);
    expect(code).toBe(78);
    expect(stderr).toContain(`${file}: it has no VirtualHost "example.org": change it by hand`);
    expect(readFileSync(file, "utf8")).toBe('VirtualHost "elsewhere.example"\n');
    expect((await run(["prosody", "--domain", "relay.example.org", "--write", "/nowhere/x"])).code).toBe(69);
  });

  test("needs a domain", async () => {
    const { code, stderr } = await run(["prosody"]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/^--domain: is missing/);
    expect(await run(["prosody", "--domain", "not a domain"])).toMatchObject({
      code: 78,
      stdout: "",
      stderr: '--domain: "not a domain" is no domain\n',
    });
  });
});
