// A native plane that sends by a relay port of its own and prints the ICMP error that comes for each packet. Its argument,
// in JSON: the address to relay from, whether to use io_uring, and the packets.

import { nativePlane } from "../../dist/dataplane/native.js";

const { bind, byRing, packets } = JSON.parse(process.argv[2]);
const relay = 1;
let heard = () => {};
let lastId = relay;

const plane = nativePlane(
  {
    relayAddresses: [{ bind }],
    relayPorts: [40_000, 60_000],
    mayReach: () => true,
    now: () => Date.now(),
    newSocketId: () => {
      lastId += 1;
      return lastId;
    },
    randomBelow: (below) => Math.floor(Math.random() * below),
    hand: (input) => heard(input),
    report: () => {},
  },
  { threads: 1, byRing },
);

async function next(act) {
  const input = new Promise((resolve) => {
    heard = resolve;
  });
  act();
  return await input;
}

const family = bind.includes(":") ? 6 : 4;
await next(() => plane.perform({ do: "open-relay", relay, family, via: 0, client: { address: bind, port: 9 } }));
const errors = [];
for (const { to, bytes, dontFragment } of packets) {
  const send = { do: "send", via: relay, to, bytes: new Uint8Array(bytes), dontFragment };
  const { peer, type, code, data } = await next(() => plane.perform(send));
  errors.push({ peer, type, code, data });
}
process.stdout.write(JSON.stringify(errors));
await plane.close();
