# A slixmpp client that sends files through a SOCKS5 proxy which it finds by itself, or takes them. Arguments: JID, password,
# host and port of its server. Says "online", then reads a line of JSON at a time:
# {"send": bytes, "to": JID, "offer": whether to offer the file first (XEP-0096), "stopAfter": bytes}
#   is answered with what was sent: {"bytes": …, "sha256": …}, or with {"error": …}.
# {"take": true} is answered when a stream has ended, with what came by it.

import asyncio
import hashlib
import json
import os
import sys

from slixmpp import ClientXMPP
from slixmpp.exceptions import XMPPError
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import StanzaPath

jid, password, host, port = sys.argv[1:]
chunk = 256 * 1024


class Taken:
    def __init__(self, client):
        self.ended = asyncio.Queue()
        self.clear()
        client.add_event_handler("socks5_data", self.data)
        client.add_event_handler("socks5_closed", self.closed)

    def clear(self):
        self.bytes, self.hash = 0, hashlib.sha256()

    def data(self, data):
        self.bytes += len(data)
        self.hash.update(data)

    def closed(self, _):
        self.ended.put_nowait({"bytes": self.bytes, "sha256": self.hash.hexdigest()})
        self.clear()


async def main():
    client = ClientXMPP(jid, password)
    for plugin in ("xep_0030", "xep_0065", "xep_0095", "xep_0096"):
        client.register_plugin(plugin)
    client["xep_0065"].auto_accept = True
    # It forgets to wait for what its own handler does.
    offers = client["xep_0095"]
    client.remove_handler("SI Request")
    client.register_handler(CoroutineCallback("SI Request", StanzaPath("iq@type=set/si"), offers._handle_request))
    client["feature_mechanisms"].unencrypted_plain = True
    taken = Taken(client)
    started = client.loop.create_future()
    client.add_event_handler("session_start", lambda _: started.set_result(None))
    client.add_event_handler("failed_auth", lambda _: sys.exit("not let in"))

    async def accept(iq):
        await offers.accept(iq["from"], iq["si"]["id"])

    client.add_event_handler("si_request", accept)
    client.connect((host, int(port)), force_starttls=False, disable_starttls=True)
    await started
    print(json.dumps("online"), flush=True)
    while line := await client.loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        answer = await send(client, order) if "send" in order else await taken.ended.get()
        print(json.dumps(answer), flush=True)
    await client.disconnect()


async def send(client, order):
    sid = os.urandom(8).hex()
    try:
        if order["offer"]:
            await client["xep_0096"].request_file_transfer(
                order["to"],
                sid=sid,
                name="a file",
                size=order["send"],
                # As mappings: it cannot read its own defaults.
                methods=[{"label": "", "value": "http://jabber.org/protocol/bytestreams"}],
            )
        stream = await client["xep_0065"].handshake(order["to"], sid=sid)
    except XMPPError as error:
        return {"error": [error.etype, error.condition]}
    digest, sent = hashlib.sha256(), 0
    while sent < order["send"]:
        data = os.urandom(min(chunk, order["send"] - sent))
        await stream.write(data)
        digest.update(data)
        sent += len(data)
        if sent >= order.get("stopAfter", order["send"] + 1):
            stream.transport.abort()
            return {"bytes": sent, "sha256": ""}
    stream.transport.close()
    return {"bytes": sent, "sha256": digest.hexdigest()}


asyncio.get_event_loop().run_until_complete(main())
