import { describe, expect, test } from "vitest";
import { canonicalAddress, receivedAddress } from "../../src/dataplane/endpoint.ts";

describe("an address that Node names", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::192.0.2.1", "::c000:201"],
    ["fe80::1%eth0", "fe80::1"],
    ["::", "::"],
  ])("%s is %s", (text, address) => {
    expect(receivedAddress(text)).toBe(address);
    expect(canonicalAddress(text)).toBe(address);
  });

  test("becomes canonical however a person wrote it", () => {
    expect(canonicalAddress("2001:DB8:0:0:0:0:0:1")).toBe("2001:db8::1");
    expect(canonicalAddress("::FFFF:C000:0201")).toBe("192.0.2.1");
  });
});
