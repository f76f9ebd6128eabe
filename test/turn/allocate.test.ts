import { describe, expect, test } from "vitest";
import { World } from "./world.ts";

const udp = { requestedTransport: 17 };

describe("Allocate", () => {
  test("is challenged, then gives a relayed address, the client's own and a lifetime", () => {
    const world = new World({ software: "Sluice" });
    const client = world.client();

    const challenge = client.asksBare("allocate", udp);
    expect(challenge).toMatchObject({ class: "error", attributes: { errorCode: { code: 401 }, realm: "example.org" } });
    client.nonce = challenge.attributes.nonce ?? "";

    const answer = client.asks("allocate", udp);
    expect(answer).toMatchObject({
      class: "success",
      attributes: {
        xorRelayedAddress: [{ address: "192.0.2.1", port: expect.any(Number) }],
        xorMappedAddress: { address: "198.51.100.7", port: 5000 },
        lifetime: 600,
        software: "Sluice",
      },
    });
    expect(world.relays.size).toBe(1);
  });
});
