// WebRTC peer A sends numbered messages to B as a microphone sends sound, and B echoes them: neither retransmitted nor
// in order, so that a packet lost is a message lost.
// Arguments: the ICE servers of A and of B, each as JSON. Prints "open" when they talk and, when its input has ended, one
// line of JSON: how many messages were sent, echoed and lost.

import { once } from "node:events";
import { finish, guard, isSettled, keep, openPair } from "./webrtc-pair.mjs";

const [serverOfA, serverOfB] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const paceMilliseconds = 20;
const messageBytes = 160;
/** After this long, an echo that is still missing is lost. */
const patienceMilliseconds = 5000;

const pair = openPair(serverOfA, serverOfB);
const { a, b } = pair;

b.onDataChannel(
  guard((channel) => {
    keep(channel);
    channel.onMessage(guard((message) => channel.sendMessageBinary(message)));
  }),
);

const channel = keep(a.createDataChannel("call", { unordered: true, maxRetransmits: 0 }));
const missing = new Set();
let sent = 0;
let echoed = 0;
let isEnding = false;

function speak() {
  const message = Buffer.alloc(messageBytes);
  message.writeUInt32BE(sent);
  missing.add(sent);
  sent += 1;
  channel.sendMessageBinary(message);
}

function hear(message) {
  if (missing.delete(message.readUInt32BE())) echoed += 1;
  if (isEnding && missing.size === 0) report();
}

function report() {
  finish(pair, { sent, echoed, lost: missing.size });
}

channel.onMessage(guard(hear));
const isOpen = new Promise((resolve) => channel.onOpen(resolve));
await Promise.all([isOpen, isSettled(a), isSettled(b)]);
const microphone = setInterval(guard(speak), paceMilliseconds);
console.log("open");

await once(process.stdin.resume(), "end");
clearInterval(microphone);
isEnding = true;
if (missing.size === 0) report();
else setTimeout(report, patienceMilliseconds);
