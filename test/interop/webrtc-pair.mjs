// Two WebRTC peers in this process, each behind a TURN server of its own, and each at a loopback address of its own.
// For programs that tests start, since an exception in a callback of node-datachannel ends the process.

import nodeDataChannel from "node-datachannel";

const kept = []; // wrappers that are collected close their channels

/** Keeps a channel or connection for as long as the process lives. */
export function keep(wrapper) {
  kept.push(wrapper);
  return wrapper;
}

/** A callback whose exceptions end the process with their story told. */
export function guard(callback) {
  return (...values) => {
    try {
      callback(...values);
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  };
}

/** Of two ICE servers, `{ hostname, port, username, password }`, the two peers, connected as soon as A makes a channel. */
export function openPair(serverOfA, serverOfB) {
  const a = openPeer("a", "127.0.0.2", serverOfA);
  const b = openPeer("b", "127.0.0.3", serverOfB);
  connect(a, b);
  connect(b, a);
  return { a, b };
}

/** Resolves when this peer has chosen its path for good. */
export function isSettled(peer) {
  return new Promise((resolve) => {
    peer.onIceStateChange(
      guard((state) => {
        if (state === "completed") resolve();
      }),
    );
  });
}

/** Says how it went, in one line of JSON, and ends the process. */
export function finish({ a, b }, outcome) {
  const pair = a.getSelectedCandidatePair();
  console.log(JSON.stringify({ ...outcome, local: pair?.local.type, remote: pair?.remote.type }));
  a.close();
  b.close();
  nodeDataChannel.cleanup();
  process.exit(0);
}

function openPeer(name, bindAddress, server) {
  const connection = new nodeDataChannel.PeerConnection(name, {
    iceServers: [{ ...server, relayType: "TurnUdp" }],
    iceTransportPolicy: "relay",
    bindAddress,
  });
  connection.onStateChange(
    guard((state) => {
      if (state === "failed") throw new Error(`the connection of ${name} failed`);
    }),
  );
  return keep(connection);
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
