# A slixmpp client that runs ad-hoc commands as it is told. Arguments: JID, password, host and port of its server, JID of
# whoever has the commands. Reads a line of JSON at a time and answers it with one: {"list": true}, or
# {"run": node, "steps": [{"action": …, "fields": {…}}, …]} with the steps after the first.

import asyncio
import json
import sys

from slixmpp import ClientXMPP

jid, password, host, port, responder = sys.argv[1:]
namespace = "{http://jabber.org/protocol/commands}"


async def main():
    client = ClientXMPP(jid, password)
    for plugin in ("xep_0030", "xep_0004", "xep_0050"):
        client.register_plugin(plugin)
    client["feature_mechanisms"].unencrypted_plain = True
    started = client.loop.create_future()
    client.add_event_handler("session_start", lambda _: started.set_result(None))
    client.add_event_handler("failed_auth", lambda _: sys.exit("not let in"))
    client.connect((host, int(port)), force_starttls=False, disable_starttls=True)
    await started
    print(json.dumps("online"), flush=True)
    while line := await client.loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        answer = await listed(client) if "list" in order else await run(client, order["run"], order["steps"])
        print(json.dumps(answer), flush=True)
    await client.disconnect()


async def listed(client):
    reply = await client["xep_0050"].get_commands(responder)
    return [[node, name] for _, node, name in reply["disco_items"]["items"]]


async def run(client, node, steps):
    commands = client["xep_0050"]
    replies = asyncio.Queue()
    session = {name: lambda iq, _: replies.put_nowait(read(iq)) for name in ("next", "error")}
    commands.start_command(responder, node, session)
    said = [await asyncio.wait_for(replies.get(), 10)]
    for step in steps:
        if "fields" in step:
            session["payload"] = client["xep_0004"].make_form(ftype="submit")
            for name, value in step["fields"].items():
                session["payload"].add_field(var=name, value=value)
        else:
            session.pop("payload", None)
        if step["action"] == "cancel":
            commands.cancel_command(session)
        elif step["action"] == "complete":
            commands.complete_command(session)
        else:
            commands.continue_command(session, direction=step["action"])
        said.append(await asyncio.wait_for(replies.get(), 10))
    return said


def read(iq):
    if iq["type"] == "error":
        conditions = [child.tag.split("}")[1] for child in iq["error"].xml if not child.tag.endswith("}text")]
        return {"error": [iq["error"]["type"], *conditions]}
    command, form = iq["command"], iq["command"]["form"]
    return {
        "status": command["status"],
        "actions": sorted(command["actions"]),
        "notes": [text for _, text in command["notes"]],
        "fields": {field["label"]: field["value"] for field in form.get_fields().values()},
        "rows": [list(item.values()) for item in form.get_items()],
    }


asyncio.get_event_loop().run_until_complete(main())
