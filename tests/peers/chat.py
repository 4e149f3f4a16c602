"""Two slixmpp clients log in and write to each other."""

from peer import Client, main, say


async def chat(server):
    alice, bob = Client(server, 0), Client(server, 1)
    for client in (alice, bob):
        for plugin in ("xep_0030", "xep_0199"):
            client.register_plugin(plugin)
        await client.log_in()
        client.send_presence()
    await bob.until("own presence", lambda name, s: name == "presence_available" and s["from"] == bob.boundjid)
    lines = ["Wherefore art thou, Romeo?", "<b>&amp; \"quotes\" 'too'</b>", "Zürich · 日本語 · 🔔", "x" * 20000]
    for line in lines:
        alice.send_message(bob.boundjid.bare, line, mtype="chat")
    for line in lines:
        got = await bob.until(f"“{line[:30]}”", lambda name, s: name == "message" and s["body"] == line)
        assert got["from"] == alice.boundjid, got
    # RFC 6120 §10.1: in the order they were sent.
    order = [s["body"] for name, s in bob.history if name == "message"]
    assert order == lines, order
    bob.send_message(alice.boundjid.full, "to your full address", mtype="chat")
    await alice.until("an answer", lambda name, s: name == "message" and s["body"] == "to your full address")
    say("chatted", lines=len(lines))
    ping = await alice.plugin["xep_0199"].ping(alice.boundjid.host)
    info = await alice.plugin["xep_0030"].get_info(jid=alice.boundjid.host)
    say("server", ping_ms=round(1000 * ping, 2), features=sorted(info["disco_info"]["features"]))
    bob.send_message(f"nobody@{bob.boundjid.host}", "is anybody there?", mtype="groupchat")  # what would not be kept for one who is away
    await bob.until("an error", lambda name, s: name == "message_error" and s["error"]["condition"] == "service-unavailable")
    for client in (alice, bob):
        await client.disconnect()


main(chat)
