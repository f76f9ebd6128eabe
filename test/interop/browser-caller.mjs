// One side of a call in a browser, which sees and hears the other only through TURN servers. browser.test.ts loads it
// into a page each, talks to `caller`, and carries what they say from one page to the other.

let connection;

/** Begins a call: resolves with the whole offer, candidates included. */
async function offer(iceServers) {
  await open(iceServers);
  await connection.setLocalDescription();
  return described();
}

/** Takes a call: resolves with the whole answer. */
async function answer(iceServers, sdp) {
  await open(iceServers);
  await connection.setRemoteDescription({ type: "offer", sdp });
  await connection.setLocalDescription();
  return described();
}

async function accept(sdp) {
  await connection.setRemoteDescription({ type: "answer", sdp });
}

/** What has come from the other side, and by which way, in the browser's own words. */
async function seen() {
  const stats = [...(await connection.getStats()).values()];
  const byId = new Map(stats.map((each) => [each.id, each]));
  const pair = byId.get(stats.find(({ type }) => type === "transport")?.selectedCandidatePairId);
  const [local, remote] = [byId.get(pair?.localCandidateId), byId.get(pair?.remoteCandidateId)];
  const inbound = (kind) => stats.find((each) => each.type === "inbound-rtp" && each.kind === kind);
  return {
    framesDecoded: inbound("video")?.framesDecoded ?? 0,
    // What the speaker played, without what it made up for packets that were missing.
    samplesHeard: (inbound("audio")?.totalSamplesReceived ?? 0) - (inbound("audio")?.concealedSamples ?? 0),
    local: local?.candidateType,
    transport: local?.relayProtocol,
    remote: remote?.candidateType,
  };
}

async function open(iceServers) {
  connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
  for (const track of media.getTracks()) connection.addTrack(track, media);
  // A track that nobody plays is not decoded.
  connection.addEventListener("track", ({ track }) => {
    const player = document.createElement(track.kind);
    player.autoplay = true;
    player.srcObject = new MediaStream([track]);
    document.body.append(player);
  });
}

async function described() {
  const isGathered = () => connection.iceGatheringState === "complete";
  while (!isGathered()) {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
}

globalThis.caller = { offer, answer, accept, seen };
