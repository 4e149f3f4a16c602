"""Each method and signal of aioxmpp.PubSubClient: alice owns the nodes, bob and carol use them; see pubsub_clients.rs."""

import aioxmpp
import aioxmpp.forms as forms
import aioxmpp.pubsub.xso as pubsub_xso
from aioxmpp import ErrorCondition

from aioxmpp_peer import Device, Note, become_contacts, main, refused, run

Feature = pubsub_xso.Feature


def filled(kind, **fields):
    """A form to submit: `publish-options`, `subscribe_options`, `node_config`."""
    data = forms.Data(forms.DataType.SUBMIT)
    data.fields.append(forms.Field(type_=forms.FieldType.HIDDEN, var="FORM_TYPE", values=[f"http://jabber.org/protocol/pubsub#{kind}"]))
    for name, value in fields.items():
        data.fields.append(forms.Field(var=f"pubsub#{name}", values=[value]))
    return data


def values(data):
    return {field.var.removeprefix("pubsub#"): list(field.values) for field in data.fields}


async def script(server):
    service = aioxmpp.JID.fromstr(server.get("service", "pubsub.localhost"))
    alice, bob, carol = Device(server, 0, "aioxmpp"), Device(server, 1, "aioxmpp"), Device(server, 2, "aioxmpp")

    async def begin():
        await become_contacts(alice, bob)

    async def features():
        found = await alice.pubsub.get_features(service)
        missing = {Feature.ACCESS_OPEN, Feature.CONFIG_NODE, Feature.CREATE_NODES, Feature.DELETE_NODES, Feature.INSTANT_NODES,
                   Feature.MODIFY_AFFILIATIONS, Feature.PERSISTENT_ITEMS, Feature.PUBLISH, Feature.PURGE_NODES, Feature.RETRIEVE_ITEMS,
                   Feature.RETRIEVE_SUBSCRIPTIONS, Feature.SUBSCRIBE, Feature.SUBSCRIPTION_OPTIONS} - found
        assert not missing, missing

    async def nodes():
        assert await alice.pubsub.create(service, "made") == "made"
        instant = await alice.pubsub.create(service)
        assert instant, instant
        listed = {node for node, _ in await bob.pubsub.get_nodes(service)}
        assert {"made", instant} <= listed, listed
        await refused(ErrorCondition.CONFLICT, alice.pubsub.create(service, "made"))
        await alice.pubsub.delete(service, instant)
        # aioxmpp checks the type of each field against its own declaration of the form
        form = aioxmpp.pubsub.NodeConfigForm.from_xso(await alice.pubsub.get_node_config(service, "made"))
        assert (form.access_model.value, form.persist_items.value) == ("open", True), form
        form.title.value, form.max_items.value = "Made & <kept>", "7"
        await alice.pubsub.set_node_config(service, form.render_reply(), "made")
        form = aioxmpp.pubsub.NodeConfigForm.from_xso(await alice.pubsub.get_node_config(service, "made"))
        assert (form.title.value, form.max_items.value) == ("Made & <kept>", "7"), (form.title.value, form.max_items.value)
        # aioxmpp remembers what it was told, bob what the list was before
        assert ("made", "Made & <kept>") in await carol.pubsub.get_nodes(service)
        await refused(ErrorCondition.FORBIDDEN, bob.pubsub.get_node_config(service, "made"))

    async def items():
        await alice.pubsub.create(service, "items")
        answer = await bob.pubsub.subscribe(service, "items")
        assert (answer.payload.node, answer.payload.jid, answer.payload.subscription) == ("items", bob.bare, "subscribed"), answer.payload
        assert await alice.pubsub.publish(service, "items", Note("one & <1>"), id_="1") == "1"
        item, message = await bob.item(service, "items", "1")
        assert item.registered_payload.text == "one & <1>" and message.type_ == aioxmpp.MessageType.HEADLINE, message
        chosen = await alice.pubsub.publish(service, "items", Note("two"))
        assert chosen, "no id"
        await bob.item(service, "items", chosen)
        await alice.pubsub.publish(service, "items", Note("three"), id_="3")
        await bob.item(service, "items", "3")
        read = lambda answer: [(item.id_, item.registered_payload.text) for item in answer.payload.items]
        assert read(await bob.pubsub.get_items(service, "items")) == [("1", "one & <1>"), (chosen, "two"), ("3", "three")]
        assert read(await bob.pubsub.get_items(service, "items", max_items=1)) == [("3", "three")]
        assert sorted(read(await bob.pubsub.get_items_by_id(service, "items", ["1", "3"]))) == [("1", "one & <1>"), ("3", "three")]
        await alice.pubsub.retract(service, "items", "3", notify=True)
        arguments, _ = await bob.take("on_item_retracted")
        assert arguments == (service, "items", "3"), arguments
        await refused(ErrorCondition.FORBIDDEN, bob.pubsub.purge(service, "items"))
        await alice.pubsub.purge(service, "items")
        assert read(await bob.pubsub.get_items(service, "items")) == []
        await alice.pubsub.delete(service, "items", redirect_uri=f"xmpp:{service}?;node=made")
        arguments, more = await bob.take("on_node_deleted")
        assert arguments == (service, "items") and more["redirect_uri"] == f"xmpp:{service}?;node=made", (arguments, more)
        # XEP-0060 §6.1.3.11
        await refused(ErrorCondition.GONE, bob.pubsub.subscribe(service, "items"))

    async def notify():
        """A notification without an item is for nodes that neither keep nor deliver any (§7.1.3.6)."""
        await alice.pubsub.create(service, "bare")
        await alice.pubsub.set_node_config(service, filled("node_config", persist_items="0", deliver_payloads="0"), "bare")
        await alice.pubsub.notify(service, "bare")
        await alice.pubsub.create(service, "full")
        await refused(ErrorCondition.BAD_REQUEST, alice.pubsub.notify(service, "full"), pubsub_xso.ItemRequired)

    async def options():
        await alice.pubsub.create(service, "options")
        default = values(await bob.pubsub.get_default_config(service, "options"))
        assert default["deliver"] in (["1"], ["true"]), default
        answer = await bob.pubsub.subscribe(service, "options", config=filled("subscribe_options", deliver="0"))
        subid = answer.payload.subid
        assert values(await bob.pubsub.get_subscription_config(service, "options", subid=subid))["deliver"] in (["0"], ["false"])
        await alice.pubsub.publish(service, "options", Note("unheard"), id_="1")
        await bob.fence(alice)
        assert not bob.items_of("options"), bob.history
        await bob.pubsub.set_subscription_config(service, filled("subscribe_options", deliver="1"), "options", subid=subid)
        await alice.pubsub.publish(service, "options", Note("heard"), id_="2")
        await bob.item(service, "options", "2")
        own = await bob.pubsub.get_subscriptions(service)
        assert ("options", bob.bare, "subscribed") in {(one.node, one.jid, one.subscription) for one in own.subscriptions}, own
        own = await bob.pubsub.get_subscriptions(service, "options")
        assert [(one.jid, one.subscription) for one in own.subscriptions] == [(bob.bare, "subscribed")], own
        await bob.pubsub.unsubscribe(service, "options", subid=subid)
        await refused(ErrorCondition.UNEXPECTED_REQUEST, bob.pubsub.unsubscribe(service, "options"), pubsub_xso.NotSubscribed)
        # a resource of its own, by its full address
        await bob.pubsub.subscribe(service, "options", subscription_jid=bob.client.local_jid)
        await alice.pubsub.publish(service, "options", Note("by the full address"), id_="3")
        await bob.item(service, "options", "3")
        await bob.pubsub.unsubscribe(service, "options", subscription_jid=bob.client.local_jid)

    async def administration():
        await alice.pubsub.create(service, "managed")
        await alice.pubsub.change_node_affiliations(service, "managed", [(bob.bare, "publisher"), (carol.bare, "outcast")])
        found = await alice.pubsub.get_node_affiliations(service, "managed")
        found = {(one.jid, one.affiliation) for one in found.payload.affiliations}
        assert found == {(alice.bare, "owner"), (bob.bare, "publisher"), (carol.bare, "outcast")}, found
        # §8.9.4
        arguments, _ = await bob.take("on_affiliation_update")
        assert (arguments[0], arguments[2]) == (service, "publisher"), arguments
        await bob.pubsub.publish(service, "managed", Note("by bob"), id_="b")
        await refused(ErrorCondition.FORBIDDEN, carol.pubsub.subscribe(service, "managed"))
        await alice.pubsub.change_node_subscriptions(service, "managed", [(bob.bare, "subscribed")])
        found = await alice.pubsub.get_node_subscriptions(service, "managed")
        assert [(one.jid, one.subscription) for one in found.payload.subscriptions] == [(bob.bare, "subscribed")], found
        await alice.pubsub.publish(service, "managed", Note("for bob"), id_="a")
        await bob.item(service, "managed", "a")
        await alice.pubsub.change_node_subscriptions(service, "managed", [(bob.bare, "none")])
        await refused(ErrorCondition.FORBIDDEN, bob.pubsub.get_node_subscriptions(service, "managed"))
        await refused(ErrorCondition.ITEM_NOT_FOUND, alice.pubsub.get_node_affiliations(service, "nowhere"))

    async def publish_options():
        await alice.pubsub.publish(service, "by options", Note("1"), id_="1", publish_options=filled("publish-options", access_model="whitelist"))
        form = aioxmpp.pubsub.NodeConfigForm.from_xso(await alice.pubsub.get_node_config(service, "by options"))
        assert form.access_model.value == "whitelist", form.access_model.value
        await refused(ErrorCondition.CONFLICT, alice.pubsub.publish(service, "by options", Note("2"), id_="2", publish_options=filled("publish-options", access_model="open")))
        await refused(ErrorCondition.NOT_ALLOWED, carol.pubsub.subscribe(service, "by options"), pubsub_xso.ClosedNode)

    await run(begin, server, [alice, bob, carol], [features, nodes, items, notify, options, administration, publish_options])


main(script)
