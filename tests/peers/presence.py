"""Two slixmpp clients become contacts, see each other come and go, and part (RFC 6121 §2, §3, §4)."""

from peer import Client, main, say


async def presence(server):
    alice, bob = Client(server, 0), Client(server, 1)
    for client in (alice, bob):
        client.auto_authorize = client.auto_subscribe = None
        await client.log_in()
        await client.get_roster()
        client.send_presence()
        await client.until("own presence", lambda name, s, me=client.boundjid: name == "presence_available" and s["from"] == me)
    a, b = alice.boundjid.bare, bob.boundjid.bare

    def item(client, jid, **wanted):
        def matches(name, stanza):
            found = name == "roster_update" and stanza["roster"]["items"].get(jid)
            return found and all(found[key] == value for key, value in wanted.items())
        return client.until(f"{jid} in the roster with {wanted}", matches)

    def sees(client, who, kind):
        return client.until(f"{kind} of {who}", lambda name, s: name == f"presence_{kind}" and s["from"].bare == who)

    await alice.update_roster(b, name="Bob", groups=["Friends"])
    await item(alice, b, subscription="none", name="Bob")
    alice.send_presence_subscription(pto=b, ptype="subscribe")
    await item(alice, b, ask="subscribe")
    await sees(bob, a, "subscribe")
    bob.send_presence_subscription(pto=a, ptype="subscribed")
    await sees(alice, b, "subscribed")
    await item(alice, b, subscription="to")
    await item(bob, a, subscription="from")
    await sees(alice, b, "available")
    assert not [s for name, s in bob.history if name == "presence_available" and s["from"].bare == a], "bob sees alice before she allowed it"
    bob.send_presence_subscription(pto=a, ptype="subscribe")
    await sees(alice, b, "subscribe")
    alice.send_presence_subscription(pto=b, ptype="subscribed")
    await item(alice, b, subscription="both")
    await item(bob, a, subscription="both")
    await sees(bob, a, "available")
    say("contacts")

    bob.send_presence(pshow="dnd", pstatus="in a call")
    await alice.until("bob's status", lambda name, s: name == "presence_available" and s["from"] == bob.boundjid and s["show"] == "dnd" and s["status"] == "in a call")
    await bob.disconnect()
    await sees(alice, b, "unavailable")
    say("saw bob leave")
    alice.history.clear()

    # A new session sees at once who is there, and is seen; the roster has outlived the session.
    again = Client(server, 1)
    again.auto_authorize = again.auto_subscribe = None
    await again.log_in()
    roster = await again.get_roster()
    assert roster["roster"]["items"][a]["subscription"] == "both", roster
    again.send_presence()
    await sees(again, a, "available")
    await alice.until("bob again", lambda name, s: name == "presence_available" and s["from"] == again.boundjid and s["show"] == "")
    say("saw bob return")

    for client in (alice, again):
        client.history.clear()
    again.send_presence_subscription(pto=a, ptype="unsubscribed")
    await item(alice, b, subscription="from")
    await sees(alice, b, "unsubscribed")
    await sees(alice, b, "unavailable")
    again.del_roster_item(a)
    await item(again, a, subscription="remove")
    await item(alice, b, subscription="none")
    for client in (alice, again):
        await client.disconnect()


main(presence)
