// RFC 8656 section 8: refreshing and deleting an allocation.

import { expectError, expectSuccess } from "./client.ts";
import { must, type Requirement } from "./requirement.ts";
import { secondsOf } from "./rfc8656-section7.ts";
import * as wire from "./wire.ts";

export const refreshes: readonly Requirement[] = [
  {
    section: "8.2",
    level: "MUST",
    says: "Refresh without LIFETIME sets the default lifetime and tells it",
    check: async (bench) => {
      const { client } = await bench.allocation({ with: [wire.lifetime(900)] });
      const seconds = secondsOf(await client.refresh());
      must(seconds === 600, `${seconds} s`);
      return `${seconds} s`;
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "Refresh with a LIFETIME below the default sets the default",
    check: async (bench) => {
      const seconds = secondsOf(await (await bench.allocation()).client.refresh(wire.lifetime(1)));
      must(seconds === 600, `${seconds} s for 1`);
      return `${seconds} s for 1`;
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "Refresh with a LIFETIME above the default is granted up to the server's greatest",
    check: async (bench) => {
      const seconds = secondsOf(await (await bench.allocation()).client.refresh(wire.lifetime(777)));
      must(seconds >= 600 && seconds <= 777, `${seconds} s for 777`);
      return `${seconds} s for 777`;
    },
  },
  {
    section: "8.2",
    level: "RECOMMENDED",
    says: "Refresh grants no LIFETIME above 3600 seconds",
    check: async (bench) => {
      const seconds = secondsOf(await (await bench.allocation()).client.refresh(wire.lifetime(0xffffffff)));
      must(seconds <= 3600, `${seconds} s for 4294967295`);
      return `${seconds} s for 4294967295`;
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "Refresh with LIFETIME 0 succeeds with LIFETIME 0, and the allocation is gone",
    check: async (bench) => {
      const { client } = await bench.allocation();
      const seconds = secondsOf(await client.refresh(wire.lifetime(0)));
      must(seconds === 0, `LIFETIME ${seconds}`);
      return expectError(await client.refresh(), 437);
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "A five-tuple whose allocation was deleted may allocate again",
    check: async (bench) => {
      const { client } = await bench.allocation();
      secondsOf(await client.refresh(wire.lifetime(0)));
      return expectSuccess(await client.allocate());
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "Permissions and channels end with the allocation, and a new one of the five-tuple has none",
    check: async (bench) => {
      const [{ client }, peer] = [await bench.allocation(), await bench.peer()];
      expectSuccess(await client.bindChannel(0x4000, peer.at));
      secondsOf(await client.refresh(wire.lifetime(0)));
      expectSuccess(await client.allocate());
      client.sendOn(0x4000, "on the old channel");
      client.sendTo(peer.at, "by the old permission");
      expectSuccess(await client.createPermission(peer.at));
      client.sendTo(peer.at, "by the new one");
      await peer.expect("by the new one");
      return "nothing relayed before a new permission";
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "Refresh with the REQUESTED-ADDRESS-FAMILY of the allocation succeeds",
    check: async (bench) => {
      const { client } = await bench.allocation();
      return `${secondsOf(await client.refresh(wire.requestedAddressFamily(1)))} s`;
    },
  },
  {
    section: "8.2",
    level: "MUST",
    says: "Refresh with another REQUESTED-ADDRESS-FAMILY than the allocation's is answered with 443",
    check: async (bench) =>
      expectError(await (await bench.allocation()).client.refresh(wire.requestedAddressFamily(2)), 443),
  },
];
