"""slixmpp clients that keep what pubsub services tell them, and what the scripts about PubSub and PEP share."""

from slixmpp import JID
from slixmpp.plugins.xep_0004 import Form
from slixmpp.plugins.xep_0059.stanza import Set
from slixmpp.plugins.xep_0060 import stanza
from slixmpp.xmlstream import register_stanza_plugin

import peer
from peer import Resource
from payloads import canonical
from settled import settled

# Its iterator over items takes this for done.
register_stanza_plugin(stanza.Pubsub, Set)

EVENT = "{http://jabber.org/protocol/pubsub#event}"


class Subscriber(Resource):
    """A client that PubSub services tell things."""

    def __init__(self, server, number, resource, plugins):
        super().__init__(server, number, resource, ["xep_0060", *plugins])
        self.admin = server["admin"]

    async def told(self, service, node, kind, matches=lambda event: True):
        """The next notification from this node; `kind` is the child of `<event/>`, or what is in its `<items/>`. Gives the message and that element."""
        def child(message):
            if message["from"].bare != JID(service).bare:
                return None
            for element in message.xml.findall(f"{EVENT}event/*"):
                if element.get("node") == node:
                    found = [element] if element.tag == EVENT + kind else element.findall(EVENT + kind)
                    if found and matches(found[0]):
                        return found[0]
            return None
        message = await self.take(f"{kind} from {node} at {service}", lambda name, s: name == "stanza" and child(s) is not None)
        return message, child(message)

    async def item(self, service, node, id, payload=None):
        """The notification that this item was published, with this payload; gives the message."""
        message, item = await self.told(service, node, "item", lambda item: item.get("id") == id)
        if payload is not None:
            assert len(item) == 1 and canonical(item[0]) == canonical(payload), f"{item.get('id')}: {message}"
        return message

    def events_of(self, node):
        """The notifications from this node that nobody has taken."""
        return [s for name, s in self.history if name == "stanza" and any(e.get("node") == node for e in s.xml.findall(f"{EVENT}event/*"))]

    async def fence(self, sender):
        """Waits until who was to be told has been, of all that happened at nodes before and of what the sender did.

        When the first message has come, the sender's requests are done with; the second one comes behind what the nodes sent."""
        await self.hear(sender)
        await settled(self.admin)
        await self.hear(sender)

    async def saw_nothing_of(self, node, sender):
        """Nothing came from the node, though everybody has been told."""
        await self.fence(sender)
        assert not self.events_of(node), f"{self.boundjid}: {self.events_of(node)}"


def form(kind, **fields):
    """A form to submit: `node_config`, `publish-options`, `subscribe_options`; a field `access_model` is `pubsub#access_model`."""
    made = Form()
    made["type"] = "submit"
    if kind != "node_config":  # create_node adds it
        made.add_field(var="FORM_TYPE", ftype="hidden", value=f"http://jabber.org/protocol/pubsub#{kind}")
    for name, value in fields.items():
        made.add_field(var=f"pubsub#{name}", ftype="text-multi" if isinstance(value, list) else None, value=value)
    return made


def config(**fields):
    """The same for `set_node_config`, which does not add the type of the form."""
    made = form("node_config", **fields)
    made.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#node_config")
    return made


def values(form):
    """What a form holds."""
    return {field["var"].removeprefix("pubsub#"): field.get_value(convert=False) for field in form["fields"]}


async def refused(condition, answer, specific=None):
    """As `peer.refused`, with this condition of XEP-0060's own beside the error."""
    error = await peer.refused(condition, answer)
    if specific is not None:
        found = [child.tag for child in error.iq.xml.iter() if child.tag.startswith("{http://jabber.org/protocol/pubsub#errors}")]
        assert found == ["{http://jabber.org/protocol/pubsub#errors}" + specific], f"{found} instead of {specific}"


async def become_contacts(one, other, group):
    """RFC 6121 §3.1, both ways; `other` stands in that group of `one`'s roster."""
    def sees(client, who, kind):
        return client.until(f"{kind} of {who}", lambda name, s: name == f"presence_{kind}" and s["from"].bare == who)

    if one.client_roster[other.bare]["subscription"] == "both":
        return
    await one.update_roster(other.bare, groups=[group])
    for asking, asked in ((one, other), (other, one)):
        asking.send_presence_subscription(pto=asked.bare, ptype="subscribe")
        await sees(asked, asking.bare, "subscribe")
        asked.send_presence_subscription(pto=asking.bare, ptype="subscribed")
        await sees(asking, asked.bare, "available")
