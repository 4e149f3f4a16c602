"""slixmpp 1.17: a client that answers; see foreign_clients.rs for what it does and says.

Trust: `ca_certs` names a file; the name in the certificate must be the JID's domain. PLAIN is not offered to a server without TLS."""

import asyncio
import sys

from peer import say, until_over
from slixmpp import ClientXMPP


async def chat(host, port, ca, jid, password):
    client = ClientXMPP(jid, password)
    client.ca_certs = ca
    client.enable_direct_tls = client.enable_plaintext = False
    over = asyncio.get_running_loop().create_future()

    async def started(_):
        tls = client.transport.get_extra_info("ssl_object")
        say("online", jid=str(client.boundjid), tls=tls.version())
        roster = await client.get_roster()
        for contact, item in roster["roster"]["items"].items():
            say("contact", jid=str(contact), subscription=item["subscription"])
        client.send_presence()

    def presence(stanza):
        say("presence", **{"from": str(stanza["from"]), "type": stanza.xml.get("type", "available"), "show": stanza["show"]})

    def message(stanza):
        say("message", **{"from": str(stanza["from"]), "body": stanza["body"]})
        if stanza["body"] == "bye":
            over.done() or over.set_result(None)
        else:
            client.send_message(stanza["from"], f"echo {stanza['body']}", mtype="chat")

    client.add_event_handler("session_start", started)
    client.add_event_handler("presence", presence)
    client.add_event_handler("message", message)
    await until_over(client, host, port, over)


asyncio.run(chat(*sys.argv[1:]))
