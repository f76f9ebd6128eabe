# Two ICE agents of aioice that may reach each other by TURN only: A sends numbered datagrams, B echoes them.
# Arguments: udp, tcp or tls, the host and port of the TURN server, a name, a password, and how many. Prints a line of JSON.

import asyncio
import json
import struct
import sys

import aioice

transport, host, port, username, password, count = sys.argv[1:]
MESSAGE_BYTES = 500


async def open_agent(is_controlling):
    agent = aioice.Connection(
        ice_controlling=is_controlling,
        turn_server=(host, int(port)),
        turn_username=username,
        turn_password=password,
        turn_ssl=transport == "tls",
        turn_transport="udp" if transport == "udp" else "tcp",
        transport_policy=aioice.TransportPolicy.RELAY,
    )
    await agent.gather_candidates()
    return agent


async def tell(teller, told):
    for candidate in teller.local_candidates:
        await told.add_remote_candidate(candidate)
    await told.add_remote_candidate(None)
    told.remote_username = teller.local_username
    told.remote_password = teller.local_password


async def echo(agent):
    while True:
        await agent.send(await agent.recv())


async def main():
    a, b = await open_agent(True), await open_agent(False)
    await tell(a, b)
    await tell(b, a)
    await asyncio.gather(a.connect(), b.connect())
    echoing = asyncio.ensure_future(echo(b))
    echoed = 0
    # One at a time: ICE has no congestion control, and what a full socket loses would be nobody's fault.
    for number in range(int(count)):
        message = struct.pack("!I", number).ljust(MESSAGE_BYTES, b"x")
        await a.send(message)
        echoed += await asyncio.wait_for(a.recv(), 10) == message
    echoing.cancel()
    await asyncio.gather(a.close(), b.close())
    print(json.dumps({"sent": int(count), "echoed": echoed}))


asyncio.run(main())
