import { describe, expect, test } from "vitest";
import { authenticator, mintCredential } from "../../src/turn/credentials.ts";

const now = 1_800_000_000_000;
const users = new Map([
  ["alice", "wonderland"],
  ["1900000000:dave", "static all the same"],
]);
const authenticate = authenticator({ users, secrets: ["new", "old"] });

describe("the authenticator", () => {
  test("knows static users, who do not expire", () => {
    expect(authenticate("alice", now)).toEqual([
      { user: "alice", password: "wonderland", until: Number.POSITIVE_INFINITY },
    ]);
    expect(authenticate("mallory", now)).toEqual([]);
  });

  test("knows what any of its secrets vouches for", () => {
    for (const secret of ["new", "old"]) {
      const { username, password } = mintCredential(secret, "carol", 1_900_000_000);
      expect(username).toBe("1900000000:carol");
      expect(authenticate(username, now)).toContainEqual({ user: "carol", password, until: 1_900_000_000_000 });
    }
    const { password } = mintCredential("another", "carol", 1_900_000_000);
    expect(authenticate("1900000000:carol", now).map((credential) => credential.password)).not.toContain(password);
  });

  test("makes the password that the REST draft says: HMAC-SHA1 of the name, in base64", () => {
    // printf %s 1433895918:ninefingers | openssl dgst -sha1 -hmac north -binary | base64
    expect(mintCredential("north", "ninefingers", 1_433_895_918).password).toBe("jy8hTxmOO7UtEKXqSkSlvakPVYA=");
  });

  test("tries a static user's password before the secrets where a name could be either", () => {
    expect(authenticate("1900000000:dave", now).map((credential) => credential.password)).toEqual([
      "static all the same",
      mintCredential("new", "dave", 1_900_000_000).password,
      mintCredential("old", "dave", 1_900_000_000).password,
    ]);
  });

  test("knows nobody without users and secrets", () => {
    const nobody = authenticator({ users: new Map(), secrets: [] });
    expect(nobody("alice", now)).toEqual([]);
    expect(nobody("1900000000:carol", now)).toEqual([]);
  });

  test("lets a name expire at its second", () => {
    expect(authenticate("1800000001:carol", now + 999)).toHaveLength(2);
    expect(authenticate("1800000001:carol", now + 1000)).toEqual([]);
  });

  test.each([
    ["1900000000:carol", "carol"],
    ["1900000000:carol:phone", "carol:phone"],
    ["1900000000:", "1900000000:"],
    ["1900000000", "1900000000"],
    ["1900000000:bob\nsecond line", "bob\nsecond line"],
    ["9999999999:carol", "carol"],
  ])("takes %j for the user %j", (username, user) => {
    expect(authenticate(username, now).map((credential) => credential.user)).toEqual([user, user]);
  });

  test.each([
    "carol",
    "carol:1900000000",
    "",
    ":carol",
    "0:carol",
    "1:carol",
    "1799999999:carol",
    "1800000000:carol",
    "-1900000000:carol",
    "+1900000000:carol",
    " 1900000000:carol",
    "1900000000 :carol",
    "1900000000.5:carol",
    "01900000000:carol",
    "0x713fb300:carol",
    "1e99:carol",
    "19e8:carol",
    "Infinity:carol",
    "NaN:carol",
    "1_900_000_000:carol",
    "19000000000:carol",
    "1900000000000:carol",
    "99999999999999999999999999:carol",
    "１９００００００００:carol",
    "١٩٠٠٠٠٠٠٠٠:carol",
    "1900000000\u0000:carol",
    "1900000000;carol",
  ])("refuses the name %j", (username) => {
    expect(authenticate(username, now)).toEqual([]);
  });
});
