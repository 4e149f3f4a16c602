"""XEP-0060 and XEP-0248 by slixmpp's xep_0060: alice owns the nodes, bob (two resources) is her contact, carol nobody's; see pubsub_clients.rs."""

from xml.etree import ElementTree as ET

from slixmpp import JID

from peer import main, run
from payloads import PAYLOADS, bundle, canonical
from pubsub_peer import EVENT, Subscriber, become_contacts, config, form, refused, values

PUBSUB = "{http://jabber.org/protocol/pubsub}"
NOTE = "<note xmlns='urn:example:note'>{}</note>"


def note(text):
    return ET.fromstring(NOTE.format(text))


class Scene:
    def __init__(self, server):
        plugins = ["xep_0050", "xep_0115"]
        self.service = server.get("service", "pubsub.localhost")
        self.alice, self.desk = Subscriber(server, 0, "home", plugins), Subscriber(server, 0, "desk", plugins)
        self.bob, self.phone, self.carol = (Subscriber(server, *who, plugins) for who in [(1, "home"), (1, "phone"), (2, "home")])
        self.everyone = [self.alice, self.desk, self.bob, self.phone, self.carol]

    async def begin(self):
        for client in self.everyone:
            await client.enter()
            # the plugin calls xep_0060, for each what its user would do with it
            client.pubsub = client["xep_0060"]
        await become_contacts(self.alice, self.bob, "Friends")

    async def end(self):
        for client in self.everyone:
            await client.disconnect()

    async def node(self, name, **fields):
        """A new node of alice's."""
        await self.alice.pubsub.create_node(self.service, name, config=form("node_config", **fields) if fields else None)
        return name

    async def ids(self, client, node, **which):
        answer = await client.pubsub.get_items(self.service, node, **which)
        return [item["id"] for item in answer["pubsub"]["items"]]


async def discovery(s):
    info = (await s.alice["xep_0030"].get_info(s.service, cached=False))["disco_info"]
    assert any(identity[:2] == ("pubsub", "service") for identity in info["identities"]), info
    missing = {f"http://jabber.org/protocol/pubsub#{feature}" for feature in [
        "access-open", "config-node", "create-and-configure", "create-nodes", "delete-items", "delete-nodes", "instant-nodes", "item-ids",
        "modify-affiliations", "outcast-affiliation", "persistent-items", "publish", "publisher-affiliation", "purge-nodes", "retract-items",
        "retrieve-affiliations", "retrieve-default", "retrieve-items", "retrieve-subscriptions", "subscribe", "subscription-options"]} - set(info["features"])
    assert not missing, missing
    await s.node("discovered", title="A node to find", type="urn:example:note")
    items = (await s.bob.pubsub.get_nodes(s.service))["disco_items"]["items"]
    assert (JID(s.service), "discovered", "A node to find") in {(JID(jid), node, name) for jid, node, name in items}, items
    info = (await s.bob["xep_0030"].get_info(s.service, "discovered", cached=False))["disco_info"]
    assert any(identity[:2] == ("pubsub", "leaf") for identity in info["identities"]), info
    await s.alice.pubsub.publish(s.service, "discovered", id="one", payload=note("one"))
    items = (await s.bob.pubsub.get_item_ids(s.service, "discovered"))["disco_items"]["items"]
    assert [item[2] or item[1] for item in items] == ["one"], items
    await refused("item-not-found", s.bob.pubsub.get_item_ids(s.service, "nowhere"))


async def configuration(s):
    pubsub = s.alice.pubsub
    default = values((await pubsub.get_node_config(s.service))["pubsub_owner"]["default"]["form"])
    assert default["access_model"] == "open" and default["persist_items"] == "1", default
    await s.node("configured", title="Before", max_items="5", notify_config=True)
    answer = await pubsub.get_node_config(s.service, "configured")
    kept = values(answer["pubsub_owner"]["configure"]["form"])
    assert (kept["title"], kept["max_items"], kept["notify_config"], kept["access_model"]) == ("Before", "5", "1", "open"), kept
    await s.bob.pubsub.subscribe(s.service, "configured")
    await pubsub.set_node_config(s.service, "configured", config(title="After & <more>", deliver_payloads=True))
    for device in (s.bob, s.phone):
        await device.told(s.service, "configured", "configuration")
    kept = values((await pubsub.get_node_config(s.service, "configured"))["pubsub_owner"]["configure"]["form"])
    assert (kept["title"], kept["max_items"], kept["notify_config"]) == ("After & <more>", "5", "1"), kept
    await refused("forbidden", s.bob.pubsub.get_node_config(s.service, "configured"))
    await refused("forbidden", s.bob.pubsub.set_node_config(s.service, "configured", config(title="Mine")))
    await refused("item-not-found", pubsub.get_node_config(s.service, "nowhere"))
    await refused("conflict", pubsub.create_node(s.service, "configured"))
    instant = (await pubsub.create_node(s.service, None))["pubsub"]["create"]["node"]
    assert instant, "no name"
    await pubsub.delete_node(s.service, instant)


async def publication(s):
    alice, bob = s.alice.pubsub, s.bob.pubsub
    await s.node("published", max_items="10", notify_retract=True, notify_delete=True)
    await bob.subscribe(s.service, "published")
    for kind, event in [("publish", "item"), ("retract", "retract"), ("purge", "purge"), ("delete", "delete")]:
        s.phone.pubsub.map_node_event("published", "mapped")
        s.phone.add_event_handler(f"mapped_{kind}", lambda message, kind=kind: s.phone._happened(f"mapped {kind}", message))
    mapped = lambda kind: s.phone.take(kind, lambda name, stanza: name == f"mapped {kind}")

    answer = await alice.publish(s.service, "published", id="first", payload=note("1"))
    assert answer["pubsub"]["publish"]["item"]["id"] == "first", answer
    for device in (s.bob, s.phone):
        await device.item(s.service, "published", "first", NOTE.format("1"))
    await mapped("publish")
    chosen = (await alice.publish(s.service, "published", payload=note("2")))["pubsub"]["publish"]["item"]["id"]
    assert chosen and chosen != "first", chosen
    await s.bob.item(s.service, "published", chosen, NOTE.format("2"))
    for number in range(3, 26):
        await alice.publish(s.service, "published", id=f"n{number}", payload=note(number))
        await s.bob.item(s.service, "published", f"n{number}")
    # as many as the node holds, in the order of publication
    assert await s.ids(s.bob, "published") == [f"n{number}" for number in range(16, 26)]
    assert await s.ids(s.bob, "published", max_items=2) == ["n24", "n25"]
    assert sorted(await s.ids(s.bob, "published", item_ids=["n17", "n20"])) == ["n17", "n20"]
    item = (await bob.get_item(s.service, "published", "n25"))["pubsub"]["items"]["item"]
    assert item["id"] == "n25" and canonical(item["payload"]) == canonical(NOTE.format("25")), item
    # XEP-0060 §7.1: an id that is there is overwritten, and the item is the newest
    await alice.publish(s.service, "published", id="n20", payload=note("again"))
    await s.bob.item(s.service, "published", "n20", NOTE.format("again"))
    assert await s.ids(s.bob, "published", max_items=1) == ["n20"]
    await refused("forbidden", bob.publish(s.service, "published", id="b", payload=note("b")))
    await refused("forbidden", bob.retract(s.service, "published", "n24"))

    await alice.retract(s.service, "published", "n24", notify=True)
    await s.bob.told(s.service, "published", "retract", lambda item: item.get("id") == "n24")
    await mapped("retract")
    assert "n24" not in await s.ids(s.bob, "published")
    await refused("item-not-found", alice.retract(s.service, "published", "n24"))
    await refused("forbidden", bob.purge(s.service, "published"))
    await alice.purge(s.service, "published")
    await s.bob.told(s.service, "published", "purge")
    await mapped("purge")
    assert await s.ids(s.bob, "published") == []
    await refused("forbidden", bob.delete_node(s.service, "published"))
    await alice.delete_node(s.service, "published")
    await s.bob.told(s.service, "published", "delete")
    await mapped("delete")
    await refused("item-not-found", bob.get_items(s.service, "published"))
    await refused("item-not-found", alice.delete_node(s.service, "published"))


async def pages(s):
    """XEP-0059: slixmpp reads ten at a time."""
    await s.node("paged", max_items="100")
    ids = [f"p{number:02}" for number in range(25)]
    for id in ids:
        await s.alice.pubsub.publish(s.service, "paged", id=id, payload=note(id))
    iterator = s.bob.pubsub.get_items(s.service, "paged", iterator=True)
    iterator.results = "items"
    sizes, seen = [], []
    async for page in iterator:
        found = [item.get("id") for item in page.xml.findall(f"{PUBSUB}pubsub/{PUBSUB}items/{PUBSUB}item")]
        sizes.append(len(found))
        seen += found
    assert seen == ids and sizes[:3] == [10, 10, 5], (sizes, seen)


async def payloads(s):
    """What is published comes out as it went in, to subscribers and to those who ask."""
    for node, id, payload in [*PAYLOADS, bundle(4)]:
        name = f"payload of {node}"
        await s.node(name)
        await s.bob.pubsub.subscribe(s.service, name)
        await s.alice.pubsub.publish(s.service, name, id=id, payload=ET.fromstring(payload))
        await s.bob.item(s.service, name, id, payload)
        kept = (await s.carol.pubsub.get_item(s.service, name, id))["pubsub"]["items"]["item"]["payload"]
        assert canonical(kept) == canonical(payload), node


async def subscriptions(s):
    alice, bob = s.alice.pubsub, s.bob.pubsub
    await s.node("subscribed")
    answer = (await bob.subscribe(s.service, "subscribed", bare=False))["pubsub"]["subscription"]
    assert (answer["node"], answer["jid"], answer["subscription"]) == ("subscribed", s.bob.boundjid, "subscribed"), answer
    own = (await bob.get_subscriptions(s.service))["pubsub"]["subscriptions"]
    assert ("subscribed", s.bob.boundjid, "subscribed") in {(one["node"], one["jid"], one["subscription"]) for one in own}, own
    own = (await bob.get_subscriptions(s.service, "subscribed"))["pubsub"]["subscriptions"]
    assert [one["jid"] for one in own] == [s.bob.boundjid], own
    all = (await alice.get_node_subscriptions(s.service, "subscribed"))["pubsub_owner"]["subscriptions"]
    assert [(one["jid"], one["subscription"]) for one in all] == [(s.bob.boundjid, "subscribed")], all
    await refused("forbidden", bob.get_node_subscriptions(s.service, "subscribed"))
    await alice.publish(s.service, "subscribed", id="1", payload=note("1"))
    await s.bob.item(s.service, "subscribed", "1")
    await s.phone.saw_nothing_of("subscribed", s.bob)
    await refused("bad-request", s.carol.pubsub.subscribe(s.service, "subscribed", subscribee=s.bob.bare), "invalid-jid")
    await refused("item-not-found", bob.subscribe(s.service, "nowhere"))

    await bob.unsubscribe(s.service, "subscribed", bare=False)
    await alice.publish(s.service, "subscribed", id="2", payload=note("2"))
    await s.bob.saw_nothing_of("subscribed", s.alice)
    await refused("unexpected-request", bob.unsubscribe(s.service, "subscribed", bare=False), "not-subscribed")
    # §8.8.2: an owner subscribes and unsubscribes others
    await alice.modify_subscriptions(s.service, "subscribed", [(s.carol.bare, "subscribed")])
    await alice.publish(s.service, "subscribed", id="3", payload=note("3"))
    await s.carol.item(s.service, "subscribed", "3")
    await alice.modify_subscriptions(s.service, "subscribed", [(s.carol.bare, "none")])
    all = (await alice.get_node_subscriptions(s.service, "subscribed"))["pubsub_owner"]["subscriptions"]
    assert [one for one in all] == [], all
    await refused("forbidden", bob.modify_subscriptions(s.service, "subscribed", [(s.bob.bare, "subscribed")]))


async def last_item(s):
    """§6.1.7: who subscribes gets the last item."""
    await s.node("last", send_last_published_item="on_sub")
    for id in ["1", "2"]:
        await s.alice.pubsub.publish(s.service, "last", id=id, payload=note(id))
    await s.carol.pubsub.subscribe(s.service, "last")
    message = await s.carol.item(s.service, "last", "2", NOTE.format("2"))
    assert message.xml.find("{urn:xmpp:delay}delay") is not None, message
    await s.carol.saw_nothing_of("last", s.alice)


async def options(s):
    bob = s.bob.pubsub
    await s.node("optional")
    await bob.subscribe(s.service, "optional")
    answer = await bob.get_subscription_options(s.service, "optional", s.bob.bare)
    kept = values(answer["pubsub"]["options"]["options"])
    assert kept["deliver"] == "1", kept
    default = (await bob.get_subscription_options(s.service))["pubsub"].xml.find(f"{PUBSUB}default")
    assert default is not None and default.find("{jabber:x:data}x") is not None, default
    # The plugin's own method asks instead of setting, and must get an answer as good as that to any who asks.
    answer = await bob.set_subscription_options(s.service, "optional", s.bob.bare, form("subscribe_options", deliver=False))
    assert values(answer["pubsub"]["options"]["options"])["deliver"] == "1", answer
    await set_options(s.bob, s.service, "optional", deliver=False)
    assert values((await bob.get_subscription_options(s.service, "optional", s.bob.bare))["pubsub"]["options"]["options"])["deliver"] == "0"
    await s.alice.pubsub.publish(s.service, "optional", id="1", payload=note("1"))
    await s.bob.saw_nothing_of("optional", s.alice)
    await set_options(s.bob, s.service, "optional", deliver=True, include_body=True)
    await s.alice.pubsub.publish(s.service, "optional", id="2", payload=note("2"))
    await s.bob.item(s.service, "optional", "2")
    await refused("bad-request", set_options(s.bob, s.service, "optional", deliver="perhaps"), "invalid-options")
    await refused("forbidden", s.carol.pubsub.get_subscription_options(s.service, "optional", s.bob.bare))
    await refused("unexpected-request", s.carol.pubsub.get_subscription_options(s.service, "optional", s.carol.bare), "not-subscribed")
    # §6.3.7: subscribed and configured by one request
    await s.node("optional from the start")
    await s.carol.pubsub.subscribe(s.service, "optional from the start", options=form("subscribe_options", deliver=False))
    answer = await s.carol.pubsub.get_subscription_options(s.service, "optional from the start", s.carol.bare)
    assert values(answer["pubsub"]["options"]["options"])["deliver"] == "0", answer


def set_options(client, service, node, **fields):
    iq = client.Iq(sto=service, stype="set")
    iq["pubsub"]["options"]["node"] = node
    iq["pubsub"]["options"]["jid"] = client.bare
    iq["pubsub"]["options"]["options"] = form("subscribe_options", **fields)
    return iq.send()


async def affiliations(s):
    alice, bob, carol = s.alice.pubsub, s.bob.pubsub, s.carol.pubsub
    await s.node("affiliated")
    await alice.modify_affiliations(s.service, "affiliated", [(s.bob.bare, "publisher"), (s.carol.bare, "outcast")])
    all = (await alice.get_node_affiliations(s.service, "affiliated"))["pubsub_owner"]["affiliations"]
    expected = {(s.alice.bare, "owner"), (s.bob.bare, "publisher"), (s.carol.bare, "outcast")}
    assert {(str(one["jid"]), one["affiliation"]) for one in all} == expected, all
    own = (await bob.get_affiliations(s.service))["pubsub"]["affiliations"]
    assert ("affiliated", "publisher") in {(one["node"], one["affiliation"]) for one in own}, own
    own = (await bob.get_affiliations(s.service, "affiliated"))["pubsub"]["affiliations"]
    assert [one["affiliation"] for one in own] == ["publisher"], own
    await alice.subscribe(s.service, "affiliated", bare=False)
    await bob.publish(s.service, "affiliated", id="b", payload=note("by bob"))
    await s.alice.item(s.service, "affiliated", "b", NOTE.format("by bob"))
    await refused("forbidden", carol.subscribe(s.service, "affiliated"))
    await refused("forbidden", carol.get_items(s.service, "affiliated"))
    await refused("forbidden", bob.get_node_affiliations(s.service, "affiliated"))
    await refused("forbidden", bob.modify_affiliations(s.service, "affiliated", [(s.carol.bare, "none")]))
    await alice.modify_affiliations(s.service, "affiliated", [(s.bob.bare, "none"), (s.carol.bare, "publish-only")])
    await refused("forbidden", bob.publish(s.service, "affiliated", id="c", payload=note("c")))
    await carol.publish(s.service, "affiliated", id="d", payload=note("by carol"))
    await refused("forbidden", carol.subscribe(s.service, "affiliated"))
    # §8.9.2: there is always an owner
    await refused("not-acceptable", alice.modify_affiliations(s.service, "affiliated", [(s.alice.bare, "none")]))


async def access(s):
    """§4.5: bob is alice's contact in the group Friends, carol is not."""
    alice, bob, carol = s.alice.pubsub, s.bob.pubsub, s.carol.pubsub
    refusals = {"whitelist": ("not-allowed", "closed-node"), "presence": ("not-authorized", "presence-subscription-required"),
                "roster": ("not-authorized", "not-in-roster-group")}
    for model, (condition, specific) in refusals.items():
        node = await s.node(f"for {model}", access_model=model, **({"roster_groups_allowed": ["Friends"]} if model == "roster" else {}))
        if model == "whitelist":
            await refused(condition, bob.subscribe(s.service, node), specific)
            await alice.modify_affiliations(s.service, node, [(s.bob.bare, "member")])
        await alice.publish(s.service, node, id="1", payload=note(model))
        for attempt in [carol.subscribe(s.service, node), carol.get_items(s.service, node)]:
            await refused(condition, attempt, specific)
        await bob.subscribe(s.service, node)
        assert await s.ids(s.bob, node) == ["1"], node
        await alice.publish(s.service, node, id="2", payload=note(model))
        await s.bob.item(s.service, node, "2")


async def authorization(s):
    """§8.6: an owner's word makes a subscriber."""
    pubsub, carol = s.alice.pubsub, s.carol.pubsub
    node = await s.node("for the approved", access_model="authorize")

    async def asks(who):
        message = await s.alice.take("a request", lambda name, m: name == "stanza" and JID(s.service) == m["from"] and m.xml.find("{jabber:x:data}x") is not None)
        asked = message["form"]
        assert (asked.get_values()["pubsub#node"], asked.get_values()["pubsub#subscriber_jid"]) == (node, who.bare), message
        return message

    def answer(message, allow):
        filled = s.alice["xep_0004"].make_form("submit")
        for var, field in message["form"].get_fields().items():
            filled.add_field(var=var, ftype=field["type"], value=allow if var == "pubsub#allow" else field["value"])
        reply = s.alice.Message()
        reply["to"] = s.service
        reply["id"] = message["id"]
        reply.append(filled)
        reply.send()

    assert (await carol.subscribe(s.service, node))["pubsub"]["subscription"]["subscription"] == "pending"
    request = await asks(s.carol)
    await refused("not-authorized", carol.get_items(s.service, node))
    # §8.7: who missed the request asks for it again, by an ad-hoc command, for a node that has some
    command = "http://jabber.org/protocol/pubsub#get-pending"
    offered = await s.alice["xep_0050"].send_command(s.service, command)
    assert node in str(offered["command"]["form"]), offered
    filled = s.alice["xep_0004"].make_form("submit")
    filled.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#subscribe_authorization")
    filled.add_field(var="pubsub#node", value=node)
    await s.alice["xep_0050"].send_command(s.service, command, payload=filled, sessionid=offered["command"]["sessionid"])
    request = await asks(s.carol)
    answer(request, True)
    _, told = await s.carol.told(s.service, node, "subscription")
    assert told.get("subscription") == "subscribed" and told.get("jid") == s.carol.bare, told.attrib
    await pubsub.publish(s.service, node, id="1", payload=note("approved"))
    await s.carol.item(s.service, node, "1")
    assert await s.ids(s.carol, node) == ["1"]

    await s.bob.pubsub.subscribe(s.service, node)
    answer(await asks(s.bob), False)
    _, told = await s.bob.told(s.service, node, "subscription")
    assert told.get("subscription") == "none", told.attrib
    await refused("not-authorized", s.bob.pubsub.get_items(s.service, node))


async def publish_options(s):
    """§7.1.5: preconditions of a node that is there, configuration of one that is made."""
    alice = s.alice.pubsub
    option = lambda **fields: form("publish-options", **fields)
    await alice.publish(s.service, "made by publishing", id="1", payload=note("1"), options=option(access_model="whitelist", max_items="3"))
    kept = values((await alice.get_node_config(s.service, "made by publishing"))["pubsub_owner"]["configure"]["form"])
    assert (kept["access_model"], kept["max_items"]) == ("whitelist", "3"), kept
    await alice.publish(s.service, "made by publishing", id="2", payload=note("2"), options=option(access_model="whitelist"))
    await refused("conflict", alice.publish(s.service, "made by publishing", id="3", payload=note("3"), options=option(access_model="open")), "precondition-not-met")
    assert await s.ids(s.alice, "made by publishing") == ["1", "2"]


async def transient(s):
    """§4.3: nodes that keep nothing, with a payload in the notification and without."""
    alice = s.alice.pubsub
    for node, payload in [("transient", note("gone")), ("bare event", None)]:
        await s.node(node, persist_items=False, deliver_payloads=payload is not None)
        await s.bob.pubsub.subscribe(s.service, node)
        await alice.publish(s.service, node, payload=payload)
        _, items = await s.bob.told(s.service, node, "items")
        assert [len(item) for item in items] == ([1] if payload is not None else []), ET.tostring(items)
    # §12.10: the last one may be remembered
    kept = await s.ids(s.bob, "transient")
    assert len(kept) <= 1, kept
    await refused("bad-request", alice.publish(s.service, "bare event", payload=note("too much")), "item-forbidden")
    await refused("bad-request", alice.publish(s.service, "transient"), "payload-required")


async def collections(s):
    """XEP-0248: a branch, its leaf, and a subscription of all that is below."""
    alice, bob = s.alice.pubsub, s.bob.pubsub
    await alice.create_node(s.service, "branch", config=form("node_config", title="A branch"), ntype="collection")
    await s.node("leaf", collection="branch")
    info = (await s.bob["xep_0030"].get_info(s.service, "branch", cached=False))["disco_info"]
    assert any(identity[:2] == ("pubsub", "collection") for identity in info["identities"]), info
    children = (await bob.get_nodes(s.service, "branch"))["disco_items"]["items"]
    assert [node for _, node, _ in children] == ["leaf"], children
    await bob.subscribe(s.service, "branch", options=form("subscribe_options", subscription_type="items", subscription_depth="all"))
    await alice.publish(s.service, "leaf", id="1", payload=note("below"))
    message = await s.bob.item(s.service, "leaf", "1", NOTE.format("below"))
    headers = {header.get("name"): header.text for header in message.xml.iter("{http://jabber.org/protocol/shim}header")}
    assert headers["Collection"] == "branch", message
    await refused("feature-not-implemented", alice.publish(s.service, "branch", id="1", payload=note("on a branch")))
    # §7.3.2.2: who asked for nodes hears of a leaf that joins and leaves
    await s.carol.pubsub.subscribe(s.service, "branch", options=form("subscribe_options", subscription_type="nodes", subscription_depth="1"))
    await s.node("other leaf")
    await alice.set_node_config(s.service, "other leaf", config(collection="branch"))
    _, event = await s.carol.told(s.service, "branch", "collection")
    assert [(child.tag, child.get("node")) for child in event] == [(f"{EVENT}associate", "other leaf")], ET.tostring(event)
    await alice.set_node_config(s.service, "other leaf", config(collection=""))
    _, event = await s.carol.told(s.service, "branch", "collection")
    assert [(child.tag, child.get("node")) for child in event] == [(f"{EVENT}dissociate", "other leaf")], ET.tostring(event)
    await alice.delete_node(s.service, "branch")
    assert (await s.bob["xep_0030"].get_info(s.service, "leaf", cached=False))["disco_info"]["identities"]


STEPS = [discovery, configuration, publication, pages, payloads, subscriptions, last_item, options, affiliations, access, authorization, publish_options,
         transient, collections]


async def script(server):
    scene = Scene(server)
    await scene.begin()
    await run(STEPS, scene, server.get("steps"))
    await scene.end()


main(script)
