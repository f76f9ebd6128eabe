// C4: attributes whose length is near the end of what 16 bits hold, where sums and paddings wrap around.

import { expect, test } from "vitest";
import { brokenList, decode, encode } from "../../src/stun/message.ts";
import { describe as shown } from "../conformance/client.ts";
import * as wire from "../conformance/wire.ts";
import { openVictim } from "./victim.ts";

/** The longest that fits into a message; those after it cannot. */
const longestBytes = 65_528;
const lengths = [longestBytes, 65_529, 65_531, 65_532, 65_533, 65_534, 65_535];
const { software } = wire.attribute;

/** A Binding request with room for `longestBytes`, whose one attribute says that it is of `length`. */
function claiming(length: number): Buffer {
  const message = wire.message(wire.method.binding, [wire.attributeOf(software, Buffer.alloc(longestBytes, "x"))]);
  message.writeUInt16BE(length, wire.headerBytes + 2);
  return message;
}

/** The same in a message that is as short as can be. */
function claimingInLittle(length: number): Buffer {
  const message = wire.message(wire.method.binding, [wire.attributeOf(software, "1234")]);
  message.writeUInt16BE(length, wire.headerBytes + 2);
  return message;
}

test.for(lengths)("C4: the codec takes an attribute of %i bytes for what it is", (length) => {
  const fits = length === longestBytes;
  expect(decode(claiming(length))?.malformed.includes(brokenList)).toBe(!fits);
  expect(decode(claimingInLittle(length))?.malformed).toContain(brokenList);
});

test("C4: the codec writes no attribute that its length could not say", () => {
  const message = (bytes: number) =>
    encode({
      class: "indication",
      method: wire.method.data,
      transactionId: Buffer.alloc(12),
      attributes: { data: Buffer.alloc(bytes) },
    });
  expect(decode(message(longestBytes))?.attributes.data).toHaveLength(longestBytes);
  for (const length of lengths.slice(1)) expect(() => message(length)).toThrow();
});

test.for(["portable", "auto"])(
  "C4: such attributes over TCP put no stream out of step on the plane %s",
  async (dataplane) => {
    const { bench } = await openVictim({ listen: ["tcp://127.0.0.1:0"], dataplane });
    const { client } = await bench.allocation({ transport: "tcp" });
    for (const length of lengths) {
      for (const message of [claiming(length), claimingInLittle(length)]) {
        const reply = await client.transact(message);
        const isWhole = length === longestBytes && message.length > longestBytes;
        expect(shown(reply), `${length} in ${message.length}`).toMatch(isWhole ? /^success/ : /^400/);
      }
    }
    await client.mark();
  },
);

test("C4: such attributes from who has no allocation end his connection and nobody else's", async () => {
  const { bench } = await openVictim({ listen: ["tcp://127.0.0.1:0"] });
  const other = await bench.client({ transport: "tcp" });
  for (const length of lengths) {
    const client = await bench.client({ transport: "tcp" });
    client.send(claiming(length));
    await client.connection.ended;
    await other.mark();
  }
});
