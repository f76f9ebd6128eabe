// What the native plane answers by itself: Binding requests, and strangers who are to be challenged.

import { createHmac } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { bind, binding, describeNative, nextHandedUp, scene } from "./native-stage.ts";

function allocate(mark: number): Uint8Array {
  const attributes = { requestedTransport: 17 };
  return encode({ class: "request", method: Method.allocate, transactionId: Buffer.alloc(12, mark), attributes });
}

/** Which nonce it puts into its answer does not matter here. */
const challenge = {
  secret: new Uint8Array(32),
  answers: [
    {
      bytes: encode({
        class: "error",
        method: Method.allocate,
        transactionId: Buffer.alloc(12),
        attributes: { errorCode: { code: 401, reason: "" }, nonce: "A".repeat(15) },
      }),
      stampAt: 20 + 8 + 4,
      context: new Uint8Array(),
    },
  ],
} as const;

describeNative(({ rigOf }) => {
  test("answers a Binding request without the controller, and counts that", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    client.send(binding(1), listener.at);
    expect(decode(await client.next())).toMatchObject({
      class: "success",
      transactionId: Buffer.alloc(12, 1),
      attributes: { xorMappedAddress: client.at },
    });
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.counters().bindings).toBe(1);
  });

  test("answers no Binding request for as long as the controller is to have them all", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    rig.plane.perform({ do: "hand-up-bindings", until: rig.now + 1000 });
    client.send(binding(1), listener.at);
    expect(await nextHandedUp(rig)).toEqual(Buffer.from(binding(1)));
    rig.now += 1000;
    client.send(binding(2), listener.at);
    expect(decode(await client.next())).toMatchObject({ class: "success", transactionId: Buffer.alloc(12, 2) });
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("answers strangers at one network no more Binding requests than their share, and clients with routes all", async () => {
    const rig = rigOf({}, { replyRate: { repliesPerSecond: 5, burst: 5 } });
    const on = await scene(rig);
    bind(rig, on, on.peer.at);
    const [stranger, neighbour, other] = [await rig.udp(), await rig.udp("127.0.0.55"), await rig.udp("127.0.1.1")];
    for (let mark = 0; mark < 5; mark += 1) stranger.send(binding(mark), on.listener.at);
    for (let mark = 0; mark < 5; mark += 1) await stranger.next();
    neighbour.send(binding(5), on.listener.at);
    await rig.expectDropped("flooded", 1);
    for (const [mark, end] of [on.client, other].entries()) {
      end.send(binding(mark), on.listener.at);
      expect(decode(await end.next())).toMatchObject({ class: "success", transactionId: Buffer.alloc(12, mark) });
    }

    rig.now += 200;
    for (let mark = 6; mark < 8; mark += 1) neighbour.send(binding(mark), on.listener.at);
    expect(decode(await neighbour.next())).toMatchObject({ transactionId: Buffer.alloc(12, 6) });
    await rig.expectDropped("flooded", 2);
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("challenges strangers without the controller when told how, and no more when told that", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    rig.plane.perform({ do: "challenge", by: challenge });
    client.send(allocate(1), listener.at);
    const answer = decode(await client.next());
    expect(answer).toMatchObject({
      class: "error",
      transactionId: Buffer.alloc(12, 1),
      attributes: { errorCode: { code: 401 } },
    });
    const stamp = Buffer.from(answer?.attributes.nonce ?? "", "base64url");
    expect(stamp.readUInt32BE()).toBe(rig.now / 1000);
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.counters().challenges).toBe(1);
    rig.plane.perform({ do: "challenge", by: undefined });
    client.send(allocate(2), listener.at);
    expect(await nextHandedUp(rig)).toEqual(allocate(2));
  });

  test("hands up what it cannot write an answer to", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    const [answer] = challenge.answers;
    const tooLong = { ...answer, bytes: Buffer.concat([answer.bytes, Buffer.alloc(200)]) };
    rig.plane.perform({ do: "challenge", by: { ...challenge, answers: [tooLong] } });
    client.send(allocate(1), listener.at);
    expect(await nextHandedUp(rig)).toEqual(allocate(1));
  });

  test("makes an HMAC as node:crypto does", () => {
    const { hmac } = rigOf().plane.abilities;
    const text = fc.uint8Array({ maxLength: 300, size: "max" });
    fc.assert(
      fc.property(
        fc.constantFrom("sha1", "sha256"),
        text,
        fc.array(text, { maxLength: 3 }),
        (algorithm, key, parts) => {
          const expected = createHmac(algorithm, key).update(Buffer.concat(parts)).digest();
          expect(hmac?.(algorithm, key, ...parts)).toEqual(expected);
        },
      ),
    );
  });

  test("leaves it to the controller where not everybody may come in", () => {
    expect(rigOf().plane.abilities.challenges).toBe(true);
    expect(rigOf({ mayEnter: () => true }).plane.abilities.challenges).toBe(false);
  });

  test("a flood of strangers is answered within its share and does not reach the controller", async () => {
    const rig = rigOf({}, { replyRate: { repliesPerSecond: 5, burst: 5 } });
    const on = await scene(rig);
    bind(rig, on, on.peer.at);
    rig.plane.perform({ do: "challenge", by: challenge });
    for (let mark = 0; mark < 20; mark += 1) on.client.send(allocate(mark), on.listener.at);
    for (let mark = 0; mark < 5; mark += 1) await on.client.next();
    await rig.expectDropped("flooded", 15);
    expect(rig.handed.isEmpty).toBe(true);
  });
});
