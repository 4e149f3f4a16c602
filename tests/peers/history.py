"""slixmpp 1.17 as a device among others: archive (XEP-0313), carbons (XEP-0280); see foreign_clients.rs for what it does and says."""

import asyncio
import sys

from peer import say, until_over
from slixmpp import ClientXMPP


async def chat(host, port, ca, jid, password, after=None):
    client = ClientXMPP(jid, password)
    for plugin in ["xep_0030", "xep_0203", "xep_0280", "xep_0313", "xep_0359"]:
        client.register_plugin(plugin)
    client.ca_certs = ca
    client.enable_direct_tls = client.enable_plaintext = False
    over = asyncio.get_running_loop().create_future()

    def shown(how, message, stanza_id):
        if message["body"]:
            say("shown", how=how, id=stanza_id, body=message["body"], **{"from": str(message["from"])})

    def stamped(message):
        """The id that the own archive gave it (XEP-0359): the only one that is believed."""
        return next((e.get("id") for e in message.xml.iterfind("{urn:xmpp:sid:0}stanza-id") if e.get("by") == client.boundjid.bare), "")

    async def started(_):
        try:
            say("online", jid=str(client.boundjid))
            await client.get_roster()
            if after is not None:
                rsm = {"max": 3, "after": after} if after else {"max": 3}
                async for item in client.plugin["xep_0313"].iterate(jid=client.boundjid.bare, rsm=rsm):
                    shown("archived", item["mam_result"]["forwarded"]["stanza"], item["mam_result"]["id"])
            await client.plugin["xep_0280"].enable()
            client.send_presence()
            say("synchronised")
        except Exception as error:  # whatever it is, the test must read it
            over.done() or over.set_exception(error)

    def message(stanza):
        shown("delayed" if stanza["delay"]["stamp"] else "live", stanza, stamped(stanza))
        if stanza["body"].startswith("say "):
            client.send_message("bob@localhost", stanza["body"].removeprefix("say "), mtype="chat")
        elif stanza["body"] == "bye":
            over.done() or over.set_result(None)

    def carbon(kind):
        return lambda stanza: shown(kind, stanza[f"carbon_{kind}"], stamped(stanza[f"carbon_{kind}"]))

    client.add_event_handler("session_start", started)
    client.add_event_handler("message", message)
    for kind in ["received", "sent"]:
        client.add_event_handler(f"carbon_{kind}", carbon(kind))
    await until_over(client, host, port, over)


asyncio.run(chat(*sys.argv[1:]))
