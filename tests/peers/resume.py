"""slixmpp 1.17 with stream management (XEP-0198) that cuts its own connection; see foreign_clients.rs for what it does and says."""

import asyncio
import sys

from peer import say, until_over
from slixmpp import ClientXMPP


async def chat(host, port, ca, jid, password):
    client = ClientXMPP(jid, password)
    client.register_plugin("xep_0198")
    client.ca_certs = ca
    client.enable_direct_tls = client.enable_plaintext = False
    over = asyncio.get_running_loop().create_future()
    rest = []

    def send(lines, to):
        for line in lines:
            client.send_message(to, line, mtype="chat")

    def cut():
        client.transport.abort()

    def enabled(_):
        # from here on the session is resumable; nobody is told of it before
        client.send_presence()
        say("online", jid=str(client.boundjid))

    def resumed(_):
        say("resumed")
        send(*(rest.pop() if rest else ([], None)))

    def message(stanza):
        body = stanza["body"]
        say("message", **{"from": str(stanza["from"]), "body": body})
        if body == "cut":
            cut()
        elif body.startswith("burst "):
            lines = [f"answer {number}" for number in range(int(body.split()[1]))]
            half = len(lines) // 2
            rest.append((lines[half:], stanza["from"]))
            send(lines[:half], stanza["from"])
            cut()
        elif body == "bye":
            over.done() or over.set_result(None)

    client.add_event_handler("sm_enabled", enabled)
    client.add_event_handler("session_resumed", resumed)
    client.add_event_handler("message", message)
    client.add_event_handler("disconnected", lambda _: over.done() or client.connect(host, int(port)))
    await until_over(client, host, port, over, ["failed_all_auth", "ssl_invalid_chain", "connection_failed", "stream_error", "sm_failed"])


asyncio.run(chat(*sys.argv[1:]))
