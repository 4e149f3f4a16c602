"""XEP-0163 and what rests on it, by slixmpp: bob publishes from his desk, alice is his contact, carol is not; see pep_clients.rs.

Each device shows interest (+notify, told by XEP-0115) in what its plugins read, and in nothing else."""

import hashlib
from xml.etree import ElementTree as ET

from slixmpp import JID
from slixmpp.plugins.base import PLUGIN_REGISTRY
from slixmpp.plugins.xep_0048 import Bookmarks
from slixmpp.plugins.xep_0402.stanza import Conference
from slixmpp.xmlstream import ElementBase

from payloads import PAYLOADS, PHOTO, bundle, canonical
from peer import main, run
from pubsub_peer import Subscriber, become_contacts, config, form, refused, values

# It names itself as what it depends on, and slixmpp would register it for ever.
PLUGIN_REGISTRY["xep_0402"].dependencies = {"xep_0060", "xep_0163"}

TUNE, MOOD, ACTIVITY, LOCATION, NICK = (f"http://jabber.org/protocol/{name}" for name in ["tune", "mood", "activity", "geoloc", "nick"])
GAMING, REACHABILITY, VCARD, DISPLAYED = "urn:xmpp:gaming:0", "urn:xmpp:reach:0", "urn:xmpp:vcard4", "urn:xmpp:mds:displayed:0"
METADATA, DATA = "urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data"
BOOKMARKS, OLD_BOOKMARKS = "urn:xmpp:bookmarks:1", "storage:bookmarks"
DIARY = "urn:example:diary"
HASH = hashlib.sha1(PHOTO).hexdigest()


class Scene:
    """The devices, each with what it is interested in."""

    def __init__(self, server):
        self.server = server
        # what a device does without being interested
        quiet = ["xep_0049", "xep_0054", "xep_0115", "xep_0163"]
        everything = ["xep_0080", "xep_0084", "xep_0107", "xep_0108", "xep_0118", "xep_0152", "xep_0172", "xep_0196", "xep_0292"]
        self.quiet = quiet
        self.bob = Subscriber(server, 1, "desk", [*quiet, *everything, "xep_0048", "xep_0222", "xep_0223", "xep_0402", "xep_0490"])
        self.phone = Subscriber(server, 1, "phone", [*quiet, "xep_0048", "xep_0402", "xep_0490"])
        self.phone["xep_0163"].add_interest([BOOKMARKS, DIARY])
        self.alice = Subscriber(server, 0, "home", [*quiet, *everything])
        self.tablet = Subscriber(server, 0, "tablet", [*quiet, "xep_0107"])
        self.carol = Subscriber(server, 2, "home", [*quiet, *everything])
        self.everyone = [self.bob, self.phone, self.alice, self.tablet, self.carol]

    async def begin(self):
        await self.bob.enter()
        before = await Subscriber(self.server, 0, "before", self.quiet).enter()
        await become_contacts(before, self.bob, "Friends")
        await before.disconnect()
        for node, name in [(TUNE, "tune"), (MOOD, "mood")]:
            await self.publish(node, f"<{name} xmlns='{node}'/>")
        await self.publish(DIARY, f"<entry xmlns='{DIARY}'/>", id="today", options=private())
        for client in self.everyone[1:]:
            await client.enter()
        # who comes online gets the last item of what interests it, as soon as the server knows that
        self.last = [await client.told(self.bob.bare, node, "item")
                     for client, node in [(self.alice, TUNE), (self.alice, MOOD), (self.tablet, MOOD), (self.phone, DIARY)]]

    async def end(self):
        for client in self.everyone:
            await client.disconnect()

    async def publish(self, node, payload, id="current", **more):
        return await self.bob["xep_0060"].publish(None, node, id=id, payload=ET.fromstring(payload), **more)

    async def ids(self, client, node, **which):
        answer = await client["xep_0060"].get_items(self.bob.bare, node, **which)
        return [item["id"] for item in answer["pubsub"]["items"]]


def private(**more):
    """What XEP-0223 asks for."""
    return form("publish-options", persist_items=True, access_model="whitelist", **more)


def clear(*clients):
    for client in clients:
        client.history = [(name, s) for name, s in client.history if name != "stanza"]


async def discovery(s):
    for client, jid in [(s.bob, s.bob.bare), (s.alice, s.bob.bare)]:
        info = (await client["xep_0030"].get_info(JID(jid), cached=False))["disco_info"]
        assert any(identity[:2] == ("pubsub", "pep") for identity in info["identities"]), info
        missing = {f"http://jabber.org/protocol/pubsub#{feature}" for feature in [
            "access-presence", "auto-create", "auto-subscribe", "config-node", "create-and-configure", "create-nodes", "filtered-notifications",
            "last-published", "persistent-items", "publish", "publish-options", "retrieve-items", "subscribe", "multi-items"]} - set(info["features"])
        assert not missing, missing
    items = (await s.alice["xep_0060"].get_nodes(JID(s.bob.bare)))["disco_items"]["items"]
    nodes = {node for _, node, _ in items}
    # XEP-0060 §5.2: who may not read a node does not see it
    assert TUNE in nodes and DIARY not in nodes, items
    assert DIARY in {node for _, node, _ in (await s.bob["xep_0060"].get_nodes(JID(s.bob.bare)))["disco_items"]["items"]}


async def last_items(s):
    """§4.3.3: they came when the devices came online."""
    assert [item.get("id") for _, item in s.last] == ["current", "current", "current", "today"]
    for message, _ in s.last:
        assert (message["from"], message["type"]) == (s.bob.bare, "headline"), message
        assert message.xml.find("{urn:xmpp:delay}delay") is not None, message


async def filtered(s):
    """XEP-0163 §4.3.2: a device is told of what interests it, on each of both sides."""
    clear(*s.everyone)
    await s.bob["xep_0118"].publish_tune(artist="Yes", length=686, source="Yessongs", title="Heart of the Sunrise & <more>", track="3")
    for client in (s.alice, s.bob):
        message, item = await client.told(s.bob.bare, TUNE, "item")
        assert (message["from"], message["type"], message["to"]) == (s.bob.bare, "headline", client.boundjid), message
        assert item[0].findtext(f"{{{TUNE}}}title") == "Heart of the Sunrise & <more>", message
        assert client is s.bob or message.xml.find("{urn:xmpp:delay}delay") is None, message
    await s.bob["xep_0107"].publish_mood("annoyed", "curse my nurse!")
    for client in (s.alice, s.tablet, s.bob):
        message, item = await client.told(s.bob.bare, MOOD, "item")
        assert item[0].find(f"{{{MOOD}}}annoyed") is not None, message
    for client, nodes in [(s.tablet, [TUNE]), (s.phone, [TUNE, MOOD]), (s.carol, [TUNE, MOOD]), (s.alice, [TUNE, MOOD])]:
        for node in nodes:
            await client.saw_nothing_of(node, s.bob)
    # presence access: carol may not ask either
    await refused("not-authorized", s.carol["xep_0060"].get_items(s.bob.bare, TUNE), "presence-subscription-required")
    await refused("not-authorized", s.carol["xep_0060"].subscribe(s.bob.bare, TUNE), "presence-subscription-required")
    await refused("forbidden", s.alice["xep_0060"].publish(s.bob.bare, TUNE, id="current", payload=ET.fromstring(f"<tune xmlns='{TUNE}'/>")))
    assert await s.ids(s.alice, TUNE) == ["current"]
    await s.bob["xep_0118"].stop()
    _, item = await s.alice.told(s.bob.bare, TUNE, "item")
    assert len(item[0]) == 0, item
    await s.bob["xep_0107"].stop()
    await s.tablet.told(s.bob.bare, MOOD, "item")


async def events(s):
    """What each plugin publishes, as alice's plugin of the same name reads it."""
    clear(*s.everyone)
    bob = s.bob

    def heard(name, read):
        async def check(*expected):
            message = await s.alice.take(name, lambda kind, stanza: kind == name)
            assert read(message["pubsub_event"]["items"]["item"]) == expected, message
        s.alice.add_event_handler(name, lambda message: s.alice._happened(name, message))
        return check

    activity = heard("user_activity_publish", lambda item: (item["activity"]["value"], item["activity"]["text"]))
    await bob["xep_0108"].publish_activity("relaxing", "partying", "My nurse's birthday!")
    await activity(("relaxing", "partying"), "My nurse's birthday!")
    location = heard("user_location_publish", lambda item: (item["geoloc"]["lat"], item["geoloc"]["lon"], item["geoloc"]["locality"]))
    await bob["xep_0080"].publish_location(lat=45.44, lon=12.33, locality="Venezia", accuracy=20)
    await location(45.44, 12.33, "Venezia")
    gaming = heard("user_gaming_publish", lambda item: (item["gaming"]["name"], item["gaming"]["level"]))
    await bob["xep_0196"].publish_gaming(name="World of Warcraft", level="30")
    await gaming("World of Warcraft", "30")
    nick = heard("user_nick_publish", lambda item: (item["nick"]["nick"],))
    await bob["xep_0172"].publish_nick("Bob 🎺 & Co")
    await nick("Bob 🎺 & Co")
    reach = heard("reachability_publish", lambda item: tuple(address["uri"] for address in item["reach"]["addresses"]))
    await bob["xep_0152"].publish_reachability([{"uri": "tel:+1-303-555-1212"}, {"uri": "sip:romeo@sip.example", "desc": "Home"}])
    await reach("tel:+1-303-555-1212", "sip:romeo@sip.example")
    vcard = heard("vcard4_publish", lambda item: (item["vcard"]["full_name"],))
    await bob["xep_0292"].publish_vcard(full_name="Bob Roberts", given="Bob", surname="Roberts", nickname="bob", email="bob@localhost", note="hi")
    await vcard("Bob Roberts")
    card = await s.alice["xep_0292"].retrieve_vcard(JID(bob.bare))
    assert card["pubsub"]["items"]["item"]["vcard"]["surname"] == "Roberts", card
    for plugin, node in [("xep_0108", ACTIVITY), ("xep_0080", LOCATION), ("xep_0196", GAMING), ("xep_0172", NICK), ("xep_0152", REACHABILITY)]:
        clear(s.alice)
        await bob[plugin].stop()
        await s.alice.told(bob.bare, node, "item")
        assert await s.ids(s.alice, node) == ["current"], node


async def interest(s):
    """§4.3.2: interest that comes and goes while a device is online."""
    clear(*s.everyone)
    chatting = next((node, id, payload) for node, id, payload in PAYLOADS if node == "urn:xmpp:chatting:0")
    await s.publish(chatting[0], chatting[2], chatting[1])
    await s.tablet.saw_nothing_of(chatting[0], s.bob)
    s.tablet["xep_0163"].add_interest(chatting[0])
    await s.tablet["xep_0115"].update_caps(s.tablet.boundjid, broadcast=False)
    s.tablet.send_presence()
    await s.tablet.item(s.bob.bare, *chatting)
    await s.publish(chatting[0], chatting[2].replace("jdev", "operators"), chatting[1])
    await s.tablet.item(s.bob.bare, chatting[0], chatting[1], chatting[2].replace("jdev", "operators"))
    # the plugin's remove_interest removes a name of its own making
    await s.tablet["xep_0030"].del_feature(feature=f"{chatting[0]}+notify")
    await s.tablet["xep_0115"].update_caps(s.tablet.boundjid, broadcast=False)
    s.tablet.send_presence(pstatus="quiet now")
    await s.tablet.until("its own presence", lambda name, p: name == "presence_available" and p["from"] == s.tablet.boundjid and p["status"] == "quiet now")
    await s.tablet.fence(s.bob)
    clear(s.tablet)
    await s.publish(chatting[0], chatting[2], chatting[1])
    await s.tablet.saw_nothing_of(chatting[0], s.bob)


async def payloads(s):
    """What is published comes out as it went in; the access models that OMEMO's clients ask for let strangers read, not hear."""
    for node, id, payload in [*PAYLOADS, bundle(12345, 30)]:
        node = node if node.startswith(("urn:xmpp:omemo", "eu.siacs")) else f"{node}#test"
        clear(s.phone)
        s.phone["xep_0163"].add_interest(node)
        await s.publish(node, payload, id, options=form("publish-options", access_model="open", max_items="max", persist_items=True))
        for reader in (s.alice, s.carol, s.phone):
            kept = (await reader["xep_0060"].get_item(s.bob.bare, node, id))["pubsub"]["items"]["item"]["payload"]
            assert canonical(kept) == canonical(payload), node
        await refused("conflict", s.publish(node, payload, id, options=form("publish-options", access_model="presence")), "precondition-not-met")
        # what clients do then
        await s.bob["xep_0060"].set_node_config(None, node, config(access_model="presence"))
        await s.publish(node, payload, id, options=form("publish-options", access_model="presence"))
        await refused("not-authorized", s.carol["xep_0060"].get_items(s.bob.bare, node), "presence-subscription-required")


async def avatar(s):
    """XEP-0084, for contacts; and where it is open to everyone, XEP-0398 for those who only know the vCard."""
    clear(*s.everyone)

    async def publish(**options):
        await s.bob["xep_0084"].publish_avatar(PHOTO, **options)
        await s.bob["xep_0084"].publish_avatar_metadata({"id": HASH, "type": "image/png", "bytes": len(PHOTO), "height": "1", "width": "1"}, **options)
        for client in (s.alice, s.bob):
            message, item = await client.told(s.bob.bare, METADATA, "item", lambda item: item.get("id") == HASH)
            info = item[0].find(f"{{{METADATA}}}info")
            assert (info.get("id"), info.get("bytes"), info.get("type")) == (HASH, str(len(PHOTO)), "image/png"), message

    await publish()
    data = await s.alice["xep_0084"].retrieve_avatar(JID(s.bob.bare), HASH)
    assert data["pubsub"]["items"]["item"]["avatar_data"]["value"] == PHOTO, data
    await refused("not-authorized", s.carol["xep_0084"].retrieve_avatar(JID(s.bob.bare), HASH), "presence-subscription-required")
    for client in (s.alice, s.tablet, s.phone):
        await client.saw_nothing_of(DATA, s.bob)
    for node in (DATA, METADATA):
        await s.bob["xep_0060"].set_node_config(None, node, config(access_model="open"))
    await publish(options=form("publish-options", access_model="open"))
    data = await s.carol["xep_0084"].retrieve_avatar(JID(s.bob.bare), HASH)
    assert data["pubsub"]["items"]["item"]["avatar_data"]["value"] == PHOTO, data
    photo = lambda presence: presence.xml.findtext("{vcard-temp:x:update}x/{vcard-temp:x:update}photo")
    await s.tablet.until("the hash in bob's presence", lambda name, p: name == "presence_available" and p["from"].bare == s.bob.bare and photo(p) == HASH)
    for reader in (s.tablet, s.carol):
        vcard = (await reader["xep_0054"].get_vcard(JID(s.bob.bare), cached=False))["vcard_temp"]
        assert (vcard["PHOTO"]["BINVAL"], vcard["PHOTO"]["TYPE"]) == (PHOTO, "image/png"), vcard
    s.tablet.history.clear()
    await s.bob["xep_0084"].stop()
    await s.alice.told(s.bob.bare, METADATA, "item", lambda item: len(item[0]) == 0)
    await s.tablet.until("no hash in bob's presence", lambda name, p: name == "presence_available" and p["from"].bare == s.bob.bare and photo(p) != HASH)


async def avatar_from_vcard(s):
    """XEP-0398 §3.2: what a client puts into the vCard, those see who only know XEP-0084."""
    clear(*s.everyone)
    photo = PHOTO + b"another"
    hash = hashlib.sha1(photo).hexdigest()
    vcard = s.bob["xep_0054"].make_vcard()
    vcard["FN"] = "Bob"
    vcard["PHOTO"]["TYPE"], vcard["PHOTO"]["BINVAL"] = "image/png", photo
    await s.bob["xep_0054"].publish_vcard(vcard)
    message, item = await s.alice.told(s.bob.bare, METADATA, "item", lambda item: item.get("id") == hash)
    info = item[0].find(f"{{{METADATA}}}info")
    assert (info.get("id"), info.get("bytes"), info.get("type")) == (hash, str(len(photo)), "image/png"), message
    data = await s.alice["xep_0084"].retrieve_avatar(JID(s.bob.bare), hash)
    assert data["pubsub"]["items"]["item"]["avatar_data"]["value"] == photo, data


async def hidden(s, node):
    """Neither a contact may read it, nor a stranger, who is not even told whether it is there."""
    await refused("not-allowed", s.alice["xep_0060"].get_items(s.bob.bare, node), "closed-node")
    for asked in (node, "urn:example:nowhere"):
        await refused("not-authorized", s.carol["xep_0060"].get_items(s.bob.bare, asked), "presence-subscription-required")


def conference(name, nick=None, autojoin=False, password=None):
    made = Conference()
    made["name"], made["autojoin"] = name, autojoin
    if nick:
        made["nick"] = nick
    if password:
        made["password"] = password
    return made


async def bookmarks(s):
    """XEP-0402 §4: stored and shared among the devices of one user, and of nobody else's."""
    clear(*s.everyone)
    store = lambda room, made: s.bob["xep_0060"].publish(None, BOOKMARKS, id=room, payload=made, options=private(
        max_items="max", send_last_published_item="never"))
    await store("orchard@rooms.localhost", conference("The Orchard & <more>", "Bob", True))
    _, item = await s.phone.told(s.bob.bare, BOOKMARKS, "item", lambda item: item.get("id") == "orchard@rooms.localhost")
    assert (item[0].get("name"), item[0].get("autojoin"), item[0].findtext(f"{{{BOOKMARKS}}}nick")) == ("The Orchard & <more>", "true", "Bob"), item
    await store("theplay@rooms.localhost", conference("The Play's the Thing", None, False, "secret"))
    await s.phone.told(s.bob.bare, BOOKMARKS, "item", lambda item: item.get("id") == "theplay@rooms.localhost")
    assert {"orchard@rooms.localhost", "theplay@rooms.localhost"} <= set(await s.ids(s.phone, BOOKMARKS))
    await hidden(s, BOOKMARKS)
    await s.bob["xep_0060"].retract(None, BOOKMARKS, "theplay@rooms.localhost", notify=True)
    await s.phone.told(s.bob.bare, BOOKMARKS, "retract", lambda item: item.get("id") == "theplay@rooms.localhost")
    assert "theplay@rooms.localhost" not in await s.ids(s.phone, BOOKMARKS)


async def bookmarks_converted(s):
    """XEP-0402 §6 and XEP-0411: the same list for clients of before."""
    clear(*s.everyone)
    info = (await s.bob["xep_0030"].get_info(JID(s.bob.bare), cached=False))["disco_info"]
    assert {"urn:xmpp:bookmarks:1#compat", "urn:xmpp:bookmarks-conversion:0"} <= set(info["features"]), info
    await s.bob["xep_0060"].publish(None, BOOKMARKS, id="attic@rooms.localhost", payload=conference("The Attic", "Bob", True),
                                    options=private(max_items="max", send_last_published_item="never"))
    kept = (await s.phone["xep_0048"].get_bookmarks(method="xep_0049"))["private"]["bookmarks"]
    attic = {str(one["jid"]): one for one in kept["conferences"]}["attic@rooms.localhost"]
    assert (attic["name"], attic["nick"], attic["autojoin"]) == ("The Attic", "Bob", True), kept
    # what a client of before stores is the whole list
    made = Bookmarks()
    made.add_conference("cellar@rooms.localhost", "Bob", name="The Cellar", autojoin=True)
    made.add_conference("attic@rooms.localhost", "Robert", name="The Attic", autojoin=False)
    await s.phone["xep_0048"].set_bookmarks(made, method="xep_0049")
    _, item = await s.phone.told(s.bob.bare, BOOKMARKS, "item", lambda item: item.get("id") == "cellar@rooms.localhost")
    assert (item[0].get("name"), item[0].get("autojoin") in ("true", "1"), item[0].findtext(f"{{{BOOKMARKS}}}nick")) == ("The Cellar", True, "Bob"), item
    assert sorted(await s.ids(s.bob, BOOKMARKS)) == ["attic@rooms.localhost", "cellar@rooms.localhost"]
    attic = (await s.bob["xep_0060"].get_item(s.bob.bare, BOOKMARKS, "attic@rooms.localhost"))["pubsub"]["items"]["item"]["conference"]
    assert (attic["nick"], attic["autojoin"]) == ("Robert", False), attic


async def storage(s):
    """XEP-0222 and XEP-0223 as the plugins ask for them, and the old bookmarks by the latter."""
    class Prefs(ElementBase):
        name = plugin_attrib = "prefs"
        namespace = "urn:example:prefs"
        interfaces = sub_interfaces = {"colour"}

    prefs = Prefs()
    prefs["colour"] = "mauve"
    await s.bob["xep_0223"].store(prefs, id="current")
    answer = await s.bob["xep_0223"].retrieve("urn:example:prefs")
    assert "mauve" in str(answer), answer
    kept = values((await s.bob["xep_0060"].get_node_config(None, "urn:example:prefs"))["pubsub_owner"]["configure"]["form"])
    assert (kept["access_model"], kept["persist_items"]) == ("whitelist", "1"), kept
    await hidden(s, "urn:example:prefs")
    await s.bob["xep_0223"].configure("urn:example:prefs")
    await s.bob["xep_0222"].store(prefs, node="urn:example:public", id="current")
    assert "mauve" in str(await s.bob["xep_0222"].retrieve("urn:example:public", id="current"))
    assert "mauve" in str(await s.alice["xep_0060"].get_items(s.bob.bare, "urn:example:public"))
    # XEP-0490
    await s.bob["xep_0490"].flag_chat(s.alice.bare, "0f710f2b-52ed-4d52-b928-784dad74a52b")
    await s.phone.told(s.bob.bare, DISPLAYED, "item", lambda item: item.get("id") == s.alice.bare)
    shown = await s.phone["xep_0490"].catch_up()
    assert "0f710f2b-52ed-4d52-b928-784dad74a52b" in str(shown), shown
    await refused("not-allowed", s.alice["xep_0060"].get_items(s.bob.bare, DISPLAYED), "closed-node")


async def explicit(s):
    """§4.3.2: who subscribes besides being interested is told once, where the interest is; who only subscribes, at the address he gave."""
    clear(*s.everyone)
    await s.alice["xep_0060"].subscribe(s.bob.bare, TUNE)
    await s.bob["xep_0118"].publish_tune(title="Once")
    title = lambda item: item[0].findtext(f"{{{TUNE}}}title") == "Once"
    await s.alice.told(s.bob.bare, TUNE, "item", title)
    for client in (s.alice, s.tablet):
        await client.fence(s.bob)
        assert not [e for e in client.events_of(TUNE) if "Once" in str(e)], client.events_of(TUNE)
    await s.alice["xep_0060"].unsubscribe(s.bob.bare, TUNE)
    note = "<note xmlns='urn:example:note'>{}</note>"
    await s.publish("urn:example:open", note.format(1), options=form("publish-options", access_model="open"))
    await s.carol["xep_0060"].subscribe(s.bob.bare, "urn:example:open")
    await s.publish("urn:example:open", note.format(2))
    message, _ = await s.carol.told(s.bob.bare, "urn:example:open", "item", lambda item: item[0].text == "2")
    assert message.xml.find("{http://jabber.org/protocol/address}addresses") is None, message
    await s.carol["xep_0060"].unsubscribe(s.bob.bare, "urn:example:open")


STEPS = [discovery, last_items, filtered, events, interest, payloads, avatar, avatar_from_vcard, bookmarks, bookmarks_converted, storage, explicit]


async def script(server):
    scene = Scene(server)
    await scene.begin()
    await run(STEPS, scene, server.get("steps"))
    await scene.end()


main(script)
