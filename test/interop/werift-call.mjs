// Two peers of werift, WebRTC in TypeScript, that may reach each other by TURN only: A sends numbered messages, B echoes them.
// Arguments: the URL of the TURN server, a name, a password, and how many. Prints one line of JSON.

import { RTCPeerConnection } from "werift";

const [urls, username, credential, count] = process.argv.slice(2);
const messageBytes = 500;

function openPeer() {
  return new RTCPeerConnection({ iceServers: [{ urls, username, credential }], iceTransportPolicy: "relay" });
}

const [a, b] = [openPeer(), openPeer()];

b.onDataChannel.subscribe((channel) => {
  channel.onMessage.subscribe((message) => channel.send(message));
});

const channel = a.createDataChannel("echo");
const echoed = new Set();
const isEchoed = new Promise((resolve) => {
  channel.onMessage.subscribe((message) => {
    echoed.add(message.readUInt32BE());
    if (echoed.size === Number(count)) resolve();
  });
});

await a.setLocalDescription(await a.createOffer());
await b.setRemoteDescription(a.localDescription);
await b.setLocalDescription(await b.createAnswer());
await a.setRemoteDescription(b.localDescription);
if (channel.readyState !== "open") {
  await new Promise((resolve) => channel.stateChanged.subscribe((state) => state === "open" && resolve()));
}

for (let number = 0; number < Number(count); number += 1) {
  const message = Buffer.alloc(messageBytes);
  message.writeUInt32BE(number);
  channel.send(message);
}
await isEchoed;
console.log(JSON.stringify({ sent: Number(count), echoed: echoed.size }));
await Promise.all([a.close(), b.close()]);
process.exit(0);
