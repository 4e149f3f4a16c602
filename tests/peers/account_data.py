"""slixmpp clients keep and read what an account keeps on the server: private data, vCards and avatars, last activity, time, contact addresses, blocks."""

import asyncio
import hashlib

from slixmpp import JID
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ElementBase

from payloads import PHOTO
from peer import Client, main, say


class Prefs(ElementBase):
    name = plugin_attrib = "prefs"
    namespace = "urn:example:prefs"
    interfaces = sub_interfaces = {"nick"}


async def refused(condition, answer):
    try:
        await answer
    except IqError as error:
        assert error.condition == condition, error
    else:
        raise AssertionError(f"no {condition}")


async def account_data(server):
    alice, bob = Client(server, 0), Client(server, 1)
    for client in (alice, bob):
        client.auto_authorize = client.auto_subscribe = None
        for plugin in ["xep_0012", "xep_0030", "xep_0049", "xep_0054", "xep_0092", "xep_0115", "xep_0128", "xep_0153", "xep_0191", "xep_0199", "xep_0202"]:
            client.register_plugin(plugin)
        client["xep_0049"].register(Prefs)
        await client.log_in()
        await client.get_roster()
        client.send_presence()
        await client.until("own presence", lambda name, s, me=client.boundjid: name == "presence_available" and s["from"] == me)
    a, b = alice.boundjid.bare, bob.boundjid.bare

    def sees(client, who, kind):
        return client.until(f"{kind} of {who}", lambda name, s: name == f"presence_{kind}" and s["from"].bare == who)

    for one, other in ((alice, bob), (bob, alice)):
        one.send_presence_subscription(pto=other.boundjid.bare, ptype="subscribe")
        await sees(other, one.boundjid.bare, "subscribe")
        other.send_presence_subscription(pto=one.boundjid.bare, ptype="subscribed")
        await sees(one, other.boundjid.bare, "available")

    prefs = Prefs()
    prefs["nick"] = "Hamlet & Co"
    await alice["xep_0049"].store(prefs)
    kept = await alice["xep_0049"].retrieve("prefs")
    assert kept["private"]["prefs"]["nick"] == "Hamlet & Co", kept
    say("private data")

    await refused("service-unavailable", bob["xep_0054"].get_vcard(JID(a), cached=False))
    bob.history.clear()
    await alice["xep_0153"].set_avatar(avatar=PHOTO, mtype="image/png")
    hash = hashlib.sha1(PHOTO).hexdigest()
    await bob.until("alice's photo", lambda name, s: name == "presence_available" and s["from"].bare == a and s["vcard_temp_update"]["photo"] == hash)
    vcard = (await bob["xep_0054"].get_vcard(JID(a), cached=False))["vcard_temp"]
    assert vcard["PHOTO"]["BINVAL"] == PHOTO, vcard
    say("avatar")

    uptime = await alice["xep_0012"].get_last_activity(JID("localhost"))
    assert uptime["last_activity"]["seconds"] >= 0
    assert (await alice["xep_0012"].get_last_activity(JID(b)))["last_activity"]["seconds"] == 0
    time = (await alice["xep_0202"].get_entity_time(JID("localhost"))).xml.find("{urn:xmpp:time}time")
    # slixmpp reads its own form of the time only, without the zone that the XEP demands.
    assert time.find("{urn:xmpp:time}utc").text.endswith("Z") and time.find("{urn:xmpp:time}tzo").text == "+00:00", time
    assert (await alice["xep_0092"].get_version(JID("localhost")))["software_version"]["name"] == "campanile"
    assert await alice["xep_0199"].ping(JID("localhost")) >= 0
    say("activity, time, version")

    info = (await alice["xep_0030"].get_info(JID("localhost")))["disco_info"]
    assert ("server", "im", None, "campanile") in info["identities"], info
    for feature in ["vcard-temp", "jabber:iq:private", "jabber:iq:last", "urn:xmpp:time", "urn:xmpp:blocking", "http://jabber.org/protocol/caps"]:
        assert feature in info["features"], feature
    assert "mailto:abuse@localhost" in str(info), info
    # XEP-0115 among the stream features: the client has asked for that name, computed it from the answer, and found both the same.
    known = await alice["xep_0115"].get_caps(JID("localhost"))
    assert known is not None and "urn:xmpp:blocking" in known["features"], known
    items = (await alice["xep_0030"].get_items(JID(b)))["disco_items"]["items"]
    assert {item[0] for item in items} == {str(bob.boundjid)}, items
    say("discovery")

    alice.history.clear()
    bob.history.clear()
    pushed = asyncio.get_running_loop().create_future()
    alice.add_event_handler("blocked", lambda iq: pushed.done() or pushed.set_result(iq))
    await alice["xep_0191"].get_blocked()
    await alice["xep_0191"].block(JID(b))
    assert b in str(await asyncio.wait_for(pushed, 30))
    await sees(bob, a, "unavailable")
    bob.send_message(mto=a, mbody="let me in")
    error = await bob.until("the error", lambda name, s: name == "message_error" and s["from"].bare == a)
    assert error["error"]["condition"] == "service-unavailable", error
    await refused("service-unavailable", bob["xep_0054"].get_vcard(JID(a), cached=False))
    alice.send_message(mto=b, mbody="no")
    error = await alice.until("the error", lambda name, s: name == "message_error" and s["from"].bare == b)
    assert error["error"]["condition"] == "not-acceptable", error
    bob.history.clear()
    await alice["xep_0191"].unblock(JID(b))
    await sees(bob, a, "available")
    say("blocking")

    bob.send_presence(ptype="unavailable", pstatus="gone fishing")
    await sees(alice, b, "unavailable")
    await bob.disconnect()
    activity = await alice["xep_0012"].get_last_activity(JID(b))
    seconds, status = activity["last_activity"]["seconds"], activity["last_activity"]["status"]
    assert status == "gone fishing" or (seconds == 0 and status == ""), activity
    say("left")
    await alice.disconnect()


main(account_data)
