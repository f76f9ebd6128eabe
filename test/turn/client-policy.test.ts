import { describe, expect, test } from "vitest";
import { clientPolicy } from "../../src/turn/client-policy.ts";

describe("clients", () => {
  test("are not asked about where everybody may come in", () => {
    expect(clientPolicy({ allow: [], deny: [] })).toBeUndefined();
  });

  test.each([
    ["192.0.2.7", true],
    ["192.0.3.7", false],
    ["192.0.2.66", false],
    ["2001:db8::7", true],
    ["2001:db9::7", false],
    ["::ffff:192.0.2.7", false],
    ["192.0.2.7%eth0", false],
  ])("from %s: %s, where some are allowed and some of those denied", (address, may) => {
    const mayEnter = clientPolicy({ allow: ["192.0.2.0/24", "2001:db8::/32"], deny: ["192.0.2.64/26"] });
    expect(mayEnter?.(address)).toBe(may);
  });

  test("are everybody but those denied, where none are allowed by name", () => {
    const mayEnter = clientPolicy({ allow: [], deny: ["192.0.2.64/26", "2001:db8:bad::/48"] });
    expect(["192.0.2.1", "192.0.2.64", "2001:db8::1", "2001:db8:bad::1"].map((each) => mayEnter?.(each))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});
