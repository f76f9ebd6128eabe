import xml from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import { capabilitiesNode, verificationString } from "../../src/xmpp/xep0115-capabilities.ts";
import { ask } from "./iq-table.ts";

const features = ["disco#info", "disco#items", "muc", "caps"].map((name) => `http://jabber.org/protocol/${name}`);

describe("the verification string", () => {
  test("is that of the example in section 5.2", () => {
    const identities = [{ category: "client", type: "pc", name: "Exodus 0.9.1" }];
    expect(verificationString({ identities, features })).toBe("QgayPKawpkPSDYmwT/WM94uAlu0=");
  });

  // Computed with OpenSSL from the text that section 5.3 spells out, with one language: ours has no other.
  test("counts forms, their fields and the values in order", () => {
    const identities = [{ category: "client", type: "pc", name: "Psi 0.11" }];
    const type = "urn:xmpp:dataforms:softwareinfo";
    const fields = [
      { name: "software", values: ["Psi"] },
      { name: "os_version", values: ["10.5.1"] },
      { name: "ip_version", values: ["ipv6", "ipv4"] },
    ];
    const once = verificationString({ identities, features, forms: [{ type, fields }] });
    expect(once).toBe("effegVrQPmOPK8rANwQJA2mNZWI=");
    const turned = { identities, features: [...features].reverse(), forms: [{ type, fields: [...fields].reverse() }] };
    expect(verificationString(turned)).toBe(once);
  });

  test("sorts by octets, not by UTF-16", () => {
    const one = verificationString({ features: ["\u{1f600}", "\u{ff5e}"] });
    expect(one).toBe(verificationString({ features: ["\u{ff5e}", "\u{1f600}"] }));
    expect(one).toBe("XhWoSAi5cguDGtJ5nhA8P0X+HL4=");
  });

  test("leads to what it stands for", () => {
    const stanza = xml("presence", { type: "probe", from: "alice@example.org", to: "relay.example.org" });
    const { node, ver } = ask(stanza).reply?.getChild("c")?.attrs ?? {};
    const reply = info(`${node}#${ver}`);
    expect(reply?.attrs.type).toBe("result");
    expect(String(reply)).toBe(String(info(undefined)).replace('disco#info"', `disco#info" node="${node}#${ver}"`));
    expect(info(`${node}#anything`)?.attrs.type).toBe("error");
    expect(capabilitiesNode({})).not.toBe(`${node}#${ver}`);
  });
});

function info(node: string | undefined) {
  const query = xml("query", { xmlns: "http://jabber.org/protocol/disco#info", node });
  return ask(xml("iq", { type: "get", id: "q1", from: "alice@example.org/phone", to: "relay.example.org" }, query))
    .reply;
}
