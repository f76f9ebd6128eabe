import { describe, expect, test } from "vitest";
import { type ServicePattern, servicesFor } from "../../src/xmpp/service-offers.ts";
import type { ExternalService } from "../../src/xmpp/xep0215-external-services.ts";
import { ask } from "./iq-table.ts";
import { readXml } from "./read-xml.ts";

const services: ExternalService[] = [
  { type: "stun", host: "relay.example.org", port: 3478 },
  { type: "turn", host: "192.0.2.1", port: 3478, transport: "udp" },
  { type: "turn", host: "2001:db8::1", port: 3478, transport: "udp" },
  { type: "turn", host: "relay.example.org", port: 3478, transport: "tcp" },
  { type: "turns", host: "relay.example.org", port: 443, transport: "tcp" },
  { type: "turns", host: "relay.example.org", port: 5349, transport: "udp" },
];

/** Which of the services, by number. */
function offered(...patterns: ServicePattern[]): number[] {
  return servicesFor("example.org", services, new Map([["example.org", patterns]])).map((service) =>
    services.indexOf(service),
  );
}

describe("a domain's users are told", () => {
  test.each<[string, ServicePattern[], number[]]>([
    ["STUN only", [{ type: "stun" }], [0]],
    ["what goes over UDP, DTLS with it", [{ transport: "udp" }], [0, 1, 2, 5]],
    ["TLS on 443", [{ type: "turns", port: 443 }], [4]],
    ["what can be reached by IPv6, and names can", [{ family: "ipv6" }], [0, 2, 3, 4, 5]],
    ["what can be reached by IPv4, and names can", [{ family: "ipv4" }], [0, 1, 3, 4, 5]],
    ["DTLS only", [{ type: "turns", transport: "udp" }], [5]],
    ["what fits one of several", [{ type: "stun" }, { port: 443 }], [0, 4]],
    ["everything, by a pattern of nothing", [{}], [0, 1, 2, 3, 4, 5]],
    ["nothing", [], []],
  ])("%s", (_, patterns, numbers) => {
    expect(offered(...patterns)).toEqual(numbers);
  });

  test("everything, where nothing is said of their domain", () => {
    expect(servicesFor("other.example", services, new Map([["example.org", []]]))).toEqual(services);
  });

  test("their own, also when their server asks for them, and have no credentials for others", () => {
    const offers = new Map([["example.org", [{ type: "stun" } as const]]]);
    const about = (payload: string) =>
      ask(
        readXml(`<iq type='set' id='o' from='example.org' to='relay.example.org'>
          <delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>
            <iq xmlns='jabber:client' type='get' id='i' from='alice@example.org/x' to='example.org'>${payload}</iq>
          </forwarded></delegation></iq>`),
        { offers },
      )
        .reply?.getChild("delegation")
        ?.getChild("forwarded")
        ?.getChild("iq");
    const all = about("<services xmlns='urn:xmpp:extdisco:2'/>")?.getChild("services")?.getChildren("service");
    expect(all?.map(({ attrs }) => attrs.type)).toEqual(["stun"]);
    const one = about(
      "<credentials xmlns='urn:xmpp:extdisco:2'><service type='turns' host='relay.example.org'/></credentials>",
    );
    expect(one?.getChild("error")?.getChild("item-not-found")).toBeDefined();
  });
});
