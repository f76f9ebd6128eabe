// Relay ports that hand up what no route takes, and routes between two of them.

import { afterEach, describe, expect, test } from "vitest";
import { type Make, Rig, until } from "../rig.ts";

export function describeStrays(make: Make): void {
  let rig: Rig;

  async function openHandingUp() {
    const relay = rig.newSocketId();
    const client = { address: "0.0.0.0", port: 0 };
    rig.plane.perform({ do: "open-relay", relay, family: 4, via: relay, client, port: "even", handsUp: true });
    const input = await rig.handed.next();
    if (input.is !== "relay-opened" || input.relay !== relay) throw new Error(`handed ${JSON.stringify(input)}`);
    return { relay, at: input.at };
  }

  describe("a relay port that hands up", () => {
    afterEach(() => rig.close());

    test("hands up what comes to it, whatever it is, with where it came from", async () => {
      rig = new Rig(make);
      const { relay, at } = await openHandingUp();
      const end = await rig.udp();
      end.send("anything", at);
      const stray = await rig.handed.next();
      expect(stray).toMatchObject({ is: "stray", relay, from: end.at });
      expect(stray.is === "stray" && Buffer.from(stray.bytes).toString()).toBe("anything");
      rig.plane.perform({ do: "send", via: relay, to: end.at, bytes: Buffer.from("answer") });
      expect(await end.nextFrom()).toEqual({ bytes: Buffer.from("answer"), from: at });
    });

    test("carries a route to another one, both ways, and hands up no packet of it until it ends", async () => {
      rig = new Rig(make);
      const [one, other] = [await openHandingUp(), await openHandingUp()];
      const [left, right, third] = [await rig.udp(), await rig.udp(), await rig.udp()];
      const legs = [rig.leg(one.relay, left.at), rig.leg(other.relay, right.at)] as const;
      rig.route(...legs);
      left.send("to the right", one.at);
      expect(await right.nextFrom()).toEqual({ bytes: Buffer.from("to the right"), from: other.at });
      right.send("to the left", other.at);
      expect(await left.nextFrom()).toEqual({ bytes: Buffer.from("to the left"), from: one.at });
      expect(rig.plane.usage(other.relay)?.toPeer.packets).toBe(1);
      expect(rig.plane.usage(other.relay)?.toClient.packets).toBe(1);
      third.send("of a third", one.at);
      expect(await rig.handed.next()).toMatchObject({ is: "stray", from: third.at });

      rig.now += 60_000;
      left.send("late", one.at);
      expect(await rig.handed.next()).toMatchObject({ is: "stray", relay: one.relay, from: left.at });
    });

    test("hands up nothing of who may not come in, and sends nothing to where it may not", async () => {
      rig = new Rig(make, { mayEnter: () => false });
      const [one, other] = [await openHandingUp(), await openHandingUp()];
      const [left, right] = [await rig.udp(), await rig.udp()];
      left.send("anything", one.at);
      await rig.expectDropped("forbidden-client", 1);
      rig.mayReach = () => false;
      rig.route(rig.leg(one.relay, left.at), rig.leg(other.relay, right.at));
      left.send("to the right", one.at);
      await rig.expectDropped("forbidden-peer", 1);
    });

    test("hears what another relay port of ours sends to it, and that one what comes of it", async () => {
      rig = new Rig(make);
      const listener = await rig.listen("udp");
      const { relay, at } = await rig.openRelay(4, listener.socket);
      const handing = await openHandingUp();
      rig.plane.perform({ do: "send", via: relay, to: handing.at, bytes: Buffer.from("inside") });
      expect(await rig.handed.next()).toMatchObject({ is: "stray", relay: handing.relay, from: at });
    });

    test("is closed, with its routes", async () => {
      rig = new Rig(make);
      const [one, other] = [await openHandingUp(), await openHandingUp()];
      const [left, right] = [await rig.udp(), await rig.udp()];
      rig.route(rig.leg(one.relay, left.at), rig.leg(other.relay, right.at));
      rig.plane.perform({ do: "close-relay", relay: one.relay });
      await until(() => rig.facts.some((fact) => fact.fact === "relay-closed" && fact.relay === one.relay));
      right.send("to the left", other.at);
      expect(await rig.handed.next()).toMatchObject({ is: "stray", relay: other.relay });
    });
  });

  test("a relay port that does not hand up drops what no route takes", async () => {
    rig = new Rig(make);
    const { at } = await rig.openRelay();
    (await rig.udp()).send("anything", at);
    await rig.expectDropped("no-permission", 1);
    await rig.close();
  });
}
