// WebRTC peer A sends megabytes to B, B answers with their SHA-256.
// Arguments: the ICE server of both, as JSON; megabytes. Prints one line of JSON.

import { createHash, randomBytes } from "node:crypto";
import { finish, guard, keep, openPair } from "./webrtc-pair.mjs";

const [server, megabytes] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const chunkBytes = 16 * 1024;
const totalBytes = megabytes * 1024 * 1024;
const highWaterBytes = 512 * 1024;

const pair = openPair(server, server);

pair.b.onDataChannel(
  guard((channel) => {
    keep(channel);
    const hash = createHash("sha256");
    let received = 0;
    channel.onMessage(
      guard((message) => {
        hash.update(message);
        received += message.length;
        if (received === totalBytes) channel.sendMessage(hash.digest("hex"));
      }),
    );
  }),
);

const channel = keep(pair.a.createDataChannel("file"));
const sentHash = createHash("sha256");
let sent = 0;

function pump() {
  while (sent < totalBytes && channel.bufferedAmount() < highWaterBytes) {
    const chunk = randomBytes(Math.min(chunkBytes, totalBytes - sent));
    sentHash.update(chunk);
    sent += chunk.length;
    channel.sendMessageBinary(chunk);
  }
}

channel.setBufferedAmountLowThreshold(highWaterBytes / 2);
channel.onBufferedAmountLow(guard(pump));
channel.onOpen(guard(pump));
channel.onMessage(guard((answer) => finish(pair, { bytes: sent, isWhole: answer === sentHash.digest("hex") })));
