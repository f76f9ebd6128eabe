# Two WebRTC peers of aiortc that are told of each other's relayed candidates only: A sends numbered messages over a data
# channel, B echoes them. Arguments: the URL of the TURN server, a name, a password, and how many. Prints a line of JSON.

import asyncio
import json
import struct
import sys

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

url, username, password, count = sys.argv[1:]
MESSAGE_BYTES = 500


def open_peer():
    server = RTCIceServer(urls=url, username=username, credential=password)
    return RTCPeerConnection(RTCConfiguration(iceServers=[server]))


def relayed_only(description):
    lines = description.sdp.split("\r\n")
    kept = [line for line in lines if not line.startswith("a=candidate:") or " typ relay " in line + " "]
    return RTCSessionDescription(sdp="\r\n".join(kept), type=description.type)


async def main():
    a, b = open_peer(), open_peer()
    channel = a.createDataChannel("echo")
    is_open, is_echoed = asyncio.Event(), asyncio.Event()
    echoed = set()

    @b.on("datachannel")
    def on_datachannel(other):
        other.on("message", other.send)

    @channel.on("open")
    def on_open():
        is_open.set()

    @channel.on("message")
    def on_message(message):
        echoed.add(struct.unpack("!I", message[:4])[0])
        if len(echoed) == int(count):
            is_echoed.set()

    await a.setLocalDescription(await a.createOffer())
    await b.setRemoteDescription(relayed_only(a.localDescription))
    await b.setLocalDescription(await b.createAnswer())
    await a.setRemoteDescription(relayed_only(b.localDescription))
    await asyncio.wait_for(is_open.wait(), 20)
    for number in range(int(count)):
        channel.send(struct.pack("!I", number).ljust(MESSAGE_BYTES, b"x"))
    await asyncio.wait_for(is_echoed.wait(), 20)
    await asyncio.gather(a.close(), b.close())
    print(json.dumps({"sent": int(count), "echoed": len(echoed)}))


asyncio.run(main())
