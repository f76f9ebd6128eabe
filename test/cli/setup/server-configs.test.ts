import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { changeEjabberdConfig, ejabberdConflicts, ejabberdLines } from "../../../src/cli/setup/ejabberd-config.ts";
import { changeProsodyConfig, prosodyConflicts, prosodyLines } from "../../../src/cli/setup/prosody-config.ts";

const place = {
  domain: "relay.example.org",
  hosts: ["example.org"],
  secret: 'ge"heim\\',
  address: "127.0.0.1",
  port: 5347,
};

describe("Prosody's configuration", () => {
  const lua = `-- VirtualHost "example.org" is further down
modules_enabled = { "roster" }

VirtualHost "other.example"
  modules_enabled = { "ping" }

  VirtualHost 'example.org'
  enabled = true --[[ modules_enabled = {
  } ]]

Component "conference.example.org" "muc"
`;

  test("gets what is missing, in lines that are marked, and everything else stays", () => {
    const changed = changeProsodyConfig(lua, place).split("\n");
    const isMarked = (line: string) => line.endsWith(" -- sluice setup");
    expect(`${changed.filter((line) => !isMarked(line)).join("\n")}`).toBe(lua);
    expect(changed.filter(isMarked).map((line) => line.replace(" -- sluice setup", ""))).toEqual([
      '  modules_enabled = { "delegation", "privilege" }',
      "  delegations = {",
      '    ["urn:xmpp:extdisco:2"] = { jid = "relay.example.org" };',
      '    ["urn:xmpp:extdisco:1"] = { jid = "relay.example.org" };',
      "  }",
      "  privileged_entities = {",
      '    ["relay.example.org"] = { iq = { ["urn:xmpp:extdisco:2"] = "set"; ["urn:xmpp:extdisco:1"] = "set" } };',
      "  }",
      'Component "relay.example.org"',
      '  component_secret = "ge\\"heim\\\\"',
      '  modules_enabled = { "delegation", "privilege" }',
    ]);
    expect(changed.indexOf('  modules_enabled = { "delegation", "privilege" } -- sluice setup')).toBe(
      changed.indexOf("  VirtualHost 'example.org'") + 1,
    );
  });

  test.each([
    ["on one line", 'VirtualHost "example.org"\n  modules_enabled = { "a", "b" }\n'],
    ["on many", 'VirtualHost "example.org"\n  modules_enabled = {\n    "a";\n  }\n  delegations = {\n  }\n'],
    [
      "beside others' privileges",
      'VirtualHost "example.org"\n  modules_enabled = { "a" }\n  privileged_entities = { ["pubsub"] = {} }\n',
    ],
  ])("keeps the modules of a host that has some, %s, and is the same after a second change", (_, before) => {
    const once = changeProsodyConfig(before, place);
    expect(once.match(/modules_enabled/g)).toHaveLength(2);
    expect(once).toMatch(/modules_enabled = \{\n {4}"delegation"; -- sluice setup\n {4}"privilege"; -- sluice setup\n/);
    expect(once.match(/delegations = /g)).toHaveLength(1);
    expect(once.match(/privileged_entities = /g)).toHaveLength(1);
    expect(changeProsodyConfig(once, place)).toBe(once);
    const moved = changeProsodyConfig(once, { ...place, domain: "turn.example.org", secret: "new" });
    expect(moved).not.toMatch(/relay\.example\.org|geheim/);
  });

  test("says where components connect, before any host, where that is not usual", () => {
    const changed = changeProsodyConfig('VirtualHost "example.org"\n', { ...place, address: "10.0.0.5", port: 5348 });
    expect(changed.split("\n").slice(0, 3)).toEqual([
      "component_ports = { 5348 } -- sluice setup",
      'component_interfaces = { "10.0.0.5" } -- sluice setup',
      'VirtualHost "example.org"',
    ]);
    const own = 'component_ports = { 5348 }\ncomponent_interfaces = { "*" }\nVirtualHost "example.org"\n';
    expect(changeProsodyConfig(own, { ...place, address: "10.0.0.5", port: 5348 })).toMatch(
      /^component_ports = { 5348 }\n/,
    );
  });

  test.each([
    ["has no such host", 'VirtualHost "example.orgy"\n', 'it has no VirtualHost "example.org"'],
    ["has the component", 'VirtualHost "example.org"\nComponent "relay.example.org"\n', "already"],
    ["delegates elsewhere", 'VirtualHost "example.org"\n delegations = { ["urn:xmpp:extdisco:2"] = {} }\n', "already"],
    ["has settings in braces", 'VirtualHost "example.org" { enabled = true }\n', "in braces"],
  ])("is left alone when it %s", (_, before, why) => {
    expect(() => changeProsodyConfig(before, place)).toThrow(why);
  });

  test("is said to be in the way where another module answers, but not in comments", () => {
    expect(prosodyConflicts('modules_enabled = { "turn_external"; -- "external_services"\n}')).toEqual([
      "turn_external",
    ]);
  });
});

describe("ejabberd's configuration", () => {
  const yaml = `# top
hosts:
  - example.org # ours
listen:
  - port: 5222
    module: ejabberd_c2s
modules:
  mod_ping: {} # pings
`;

  test("gets what is missing, and everything else stays", () => {
    const changed = changeEjabberdConfig(yaml, place);
    const kept = yaml.split("\n").filter((line) => line !== "");
    expect(changed.split("\n")).toEqual(expect.arrayContaining(kept));
    expect(changed).toContain("port: 5347\n    ip: 127.0.0.1\n    module: ejabberd_service");
    expect(changeEjabberdConfig(changed, place)).toBe(changed);
  });

  test("gives a listener for components one more, and says it when the port is for something else", () => {
    const others =
      "listen:\n  - port: 5347\n    module: ejabberd_service\n    hosts:\n      irc.example.org:\n        password: x\n";
    const changed = changeEjabberdConfig(others, place);
    expect(changed.match(/ejabberd_service/g)).toHaveLength(1);
    expect(changed).toMatch(/irc\.example\.org:\n {8}password: x\n {6}relay\.example\.org:\n {8}password: ge"heim\\/);
    expect(() => changeEjabberdConfig("listen:\n  - port: 5347\n    module: ejabberd_c2s\n", place)).toThrow("5347");
    expect(() => changeEjabberdConfig("listen: [", place)).toThrow();
  });

  test("is said to be in the way where another module answers", () => {
    expect(ejabberdConflicts("modules:\n  mod_stun_disco: {}\n")).toEqual(["mod_stun_disco"]);
    expect(ejabberdConflicts(yaml)).toEqual([]);
  });
});

test("the README shows what setup prints", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const shown = { ...place, secret: "…" };
  expect(readme).toContain(`\`\`\`lua\n${prosodyLines(shown)}\`\`\``);
  expect(readme).toContain(`\`\`\`yaml\n${ejabberdLines(shown)}\`\`\``);
});
