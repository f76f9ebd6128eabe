import { describe, expect, test } from "vitest";
import { readDelegated } from "../../src/xmpp/xep0355-delegation.ts";
import { readXml } from "./read-xml.ts";

describe("what a server says that it delegates", () => {
  test.each([1, 2])("is read in version %i of the namespace", (version) => {
    const message = `<message from='Example.org' to='relay.example.org' id='12345'>
      <delegation xmlns='urn:xmpp:delegation:${version}'>
        <delegated namespace='urn:xmpp:mam:2'><attribute name='node'/></delegated>
        <delegated namespace='urn:xmpp:extdisco:2'/>
        <delegated xmlns='urn:example:foreign' namespace='urn:example:other'/>
      </delegation>
    </message>`;
    const namespaces = ["urn:xmpp:mam:2", "urn:xmpp:extdisco:2"];
    expect(readDelegated(readXml(message))).toEqual({ domain: "example.org", namespaces });
  });

  test.each([
    "<message from='example.org'><body>hello</body></message>",
    "<message from='example.org'><delegation xmlns='urn:xmpp:delegation:3'/></message>",
    "<message from='alice@example.org'><delegation xmlns='urn:xmpp:delegation:2'/></message>",
    "<message from='example.org/x'><delegation xmlns='urn:xmpp:delegation:2'/></message>",
    "<message><delegation xmlns='urn:xmpp:delegation:2'/></message>",
  ])("is not in %s", (message) => {
    expect(readDelegated(readXml(message))).toBeUndefined();
  });
});
