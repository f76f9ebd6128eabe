import { describe, expect, test } from "vitest";
import { entity, now } from "./iq-table.ts";
import { readXml } from "./read-xml.ts";

const rate = { perSecond: 1, burst: 3 };
const ping = (from: string) =>
  readXml(`<iq type='get' id='q' from='${from}' to='relay.example.org'><ping xmlns='urn:xmpp:ping'/></iq>`);
const delegated = (asker: string, server = "example.org") =>
  readXml(`<iq type='set' id='q' from='${server}' to='relay.example.org'>
    <delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>
      <iq xmlns='jabber:client' type='get' id='i' from='${asker}' to='${server}'>
        <services xmlns='urn:xmpp:extdisco:2'/>
      </iq>
    </forwarded></delegation>
  </iq>`);

/** How many of ten are answered with a result, and what the others are answered with. */
function ten(stanzaOf: (from: string) => ReturnType<typeof ping>, from: string, us = entity({ rate }).entity) {
  const replies = Array.from({ length: 10 }, () => us.handle(now, { is: "stanza", stanza: stanzaOf(from) })).flat();
  return replies.map((reply) => innermost(reply).getChild("error")).map((error) => error?.getChildElements()[0]?.name);
}

function innermost(reply: ReturnType<typeof ping>) {
  return reply.getChild("delegation")?.getChild("forwarded")?.getChild("iq") ?? reply;
}

describe("an account that asks too much", () => {
  test("is told to wait, on all of its devices together", () => {
    const us = entity({ rate }).entity;
    const answers = ten(ping, "alice@example.org/phone", us);
    expect(answers).toEqual([...Array(3).fill(undefined), ...Array(7).fill("resource-constraint")]);
    expect(ten(ping, "alice@EXAMPLE.org/desk", us)).toEqual(Array(10).fill("resource-constraint"));
    expect(ten(ping, "bob@example.org/phone", us)).toContain(undefined);
  });

  test("is answered again after a while", () => {
    const us = entity({ rate }).entity;
    ten(ping, "alice@example.org/phone", us);
    const [reply] = us.handle(now + 1000, { is: "stanza", stanza: ping("alice@example.org/phone") });
    expect(reply?.attrs.type).toBe("result");
  });

  test("has an error of type wait (RFC 6120 section 8.3.2)", () => {
    const us = entity({ rate }).entity;
    ten(ping, "alice@example.org/phone", us);
    const [reply] = us.handle(now, { is: "stanza", stanza: ping("alice@example.org/phone") });
    expect(reply?.getChild("error")?.attrs.type).toBe("wait");
  });

  test("is counted, not its server that asks for it, and the server itself is not", () => {
    const us = entity({ rate }).entity;
    expect(ten(delegated, "alice@example.org/phone", us).filter((answer) => answer === undefined)).toHaveLength(3);
    expect(ten(delegated, "bob@example.org/phone", us).filter((answer) => answer === undefined)).toHaveLength(3);
    expect(ten(ping, "example.org", us)).toEqual(Array(10).fill(undefined));
  });

  test("has its presence and messages passed over in silence", () => {
    const us = entity({ rate }).entity;
    const envelope = "from='alice@example.org' to='relay.example.org'";
    const count = (stanza: string) => ten(() => readXml(stanza), "", us).length;
    expect(count(`<message ${envelope}><body>hello</body></message>`)).toBe(3);
    expect(count(`<presence type='probe' ${envelope}/>`)).toBe(0);
  });
});

test("another component's delegation is not asked about twice: the server is one of ours, or it is nobody", () => {
  const { entity: us, facts } = entity();
  for (const from of ["example.org", "elsewhere.example", "alice@example.org"]) {
    const stanza = readXml(`<message from='${from}' to='relay.example.org'>
      <delegation xmlns='urn:xmpp:delegation:2'><delegated namespace='urn:xmpp:extdisco:2'/></delegation></message>`);
    us.handle(now, { is: "stanza", stanza });
  }
  expect(facts).toEqual([{ fact: "delegated", domain: "example.org", namespaces: ["urn:xmpp:extdisco:2"] }]);
});

test("replies to nothing that we asked are counted, and never answered", () => {
  const { entity: us, facts } = entity();
  for (const type of ["result", "error"]) {
    const stanza = readXml(`<iq type='${type}' id='x' from='alice@example.org/x' to='relay.example.org'/>`);
    expect(us.handle(now, { is: "stanza", stanza })).toEqual([]);
  }
  expect(facts).toEqual(Array(2).fill({ fact: "stanza-dropped", why: "unexpected-reply" }));
});
