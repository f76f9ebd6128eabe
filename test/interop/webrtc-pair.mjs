// Two WebRTC peers with one relay between them: A sends megabytes to B, B answers with their SHA-256.
// A program of its own, since an exception in a callback of node-datachannel ends the process.
// Arguments: turn host, turn port, username, password, megabytes. Prints one line of JSON.

import { createHash, randomBytes } from "node:crypto";
import nodeDataChannel from "node-datachannel";

const [host, port, username, password, megabytes] = process.argv.slice(2);
const chunkBytes = 16 * 1024;
const totalBytes = Number(megabytes) * 1024 * 1024;
const highWaterBytes = 512 * 1024;
const kept = []; // wrappers that are collected close their channels

const guard =
  (callback) =>
  (...values) => {
    try {
      callback(...values);
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  };

function peer(name, bindAddress) {
  const connection = new nodeDataChannel.PeerConnection(name, {
    iceServers: [{ hostname: host, port: Number(port), username, password, relayType: "TurnUdp" }],
    iceTransportPolicy: "relay",
    bindAddress,
  });
  kept.push(connection);
  return connection;
}

/** Candidates that come before the description they belong to would be refused. */
function connect(from, to) {
  const early = [];
  let isDescribed = false;
  from.onLocalDescription(
    guard((sdp, type) => {
      to.setRemoteDescription(sdp, type);
      isDescribed = true;
      for (const candidate of early) to.addRemoteCandidate(...candidate);
    }),
  );
  from.onLocalCandidate(
    guard((...candidate) => {
      if (isDescribed) to.addRemoteCandidate(...candidate);
      else early.push(candidate);
    }),
  );
}

const a = peer("a", "127.0.0.2");
const b = peer("b", "127.0.0.3");
connect(a, b);
connect(b, a);

b.onDataChannel(
  guard((channel) => {
    kept.push(channel);
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

const channel = a.createDataChannel("file");
kept.push(channel);
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
channel.onMessage(
  guard((answer) => {
    const pair = a.getSelectedCandidatePair();
    console.log(
      JSON.stringify({
        bytes: sent,
        isWhole: answer === sentHash.digest("hex"),
        local: pair?.local.type,
        remote: pair?.remote.type,
      }),
    );
    a.close();
    b.close();
    nodeDataChannel.cleanup();
    process.exit(0);
  }),
);
