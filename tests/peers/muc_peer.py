"""slixmpp clients that enter rooms, and what the scripts about rooms share."""

from slixmpp import JID
from slixmpp.plugins.xep_0004 import Form
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from peer import Resource

MUC = "{http://jabber.org/protocol/muc}"
MUC_USER = "{http://jabber.org/protocol/muc#user}"
# What xep_0045 and its like say by events; the history has them under the same names.
EVENTS = ["groupchat_affiliation_change", "groupchat_config_status", "groupchat_direct_invite", "groupchat_invite", "groupchat_message",
          "groupchat_message_error", "groupchat_presence", "groupchat_subject", "message_retract", "moderated_message"]


class Visitor(Resource):
    """A client that rooms tell things."""

    def __init__(self, server, number, resource, plugins=()):
        super().__init__(server, number, resource, ["xep_0045", *plugins])
        self.muc = self.plugin["xep_0045"]
        for event in EVENTS:
            self.add_event_handler(event, lambda stanza, event=event: self._happened(event, stanza))
        # slixmpp has no such event for who is in a room, its plugin one for each room
        path = StanzaPath("presence@type=error")
        self.register_handler(Callback("all presence errors", path, lambda stanza: self._happened("room_presence_error", stanza)))

    async def join(self, room, nick, **how):
        """Enters; gives the own presence, the subject, the occupants' presences and the history."""
        try:
            return await self.muc.join_muc_wait(room, nick, timeout=30, **how)
        except BaseException:
            # the plugin holds it for entered
            self.muc.rooms[None].pop(room, None)
            raise

    async def leave(self, room, nick, status=""):
        """Leaves, and is back once the room says so: the plugin would take that presence for an answer to the next join."""
        self.muc.leave_muc(room, nick, status)
        return await self.sees(room, nick, "unavailable", {110})

    async def gets(self, name, room, matches=lambda stanza: True):
        """The next event of this name that comes from the room or somebody in it."""
        return await self.take(f"{name} from {room}", lambda event, s: event == name and s["from"].bare == room and matches(s))

    async def sees(self, room, nick, kind="available", codes=frozenset(), **item):
        """The next presence of the occupant with these status codes at least, whose item has these values."""
        def matches(presence):
            return (presence["from"].resource == nick and presence.xml.get("type", "available") == kind and codes <= presence["muc"]["status_codes"]
                    and all(presence["muc"]["item"][name] == value for name, value in item.items()))
        return await self.gets("groupchat_presence", room, matches)

    async def hears(self, room, nick, body):
        """That the occupant says this to the room; nothing was heard before that nobody has taken."""
        message = await self.gets("groupchat_message", room)
        assert (message["from"].resource, message["body"]) == (nick, body), f"{message} instead of {body} from {nick}"
        return message

    async def fails(self, room, condition):
        """That the room sends a message back with this error."""
        error = await self.gets("groupchat_message_error", room)
        assert error["error"]["condition"] == condition, f"{error} instead of {condition}"

    def says(self, room, body):
        """Says it to everyone in the room; gives the message."""
        message = self.make_message(mto=room, mbody=body, mtype="groupchat")
        message.send()
        return message

    def forget(self):
        """What came so far is of no interest."""
        self.history.clear()

    def seen(self, room, kind="groupchat_presence"):
        """What came from the room that nobody has taken."""
        return [s for name, s in self.history if name == kind and s["from"].bare == room]


def configuration(**fields):
    """A form to submit; a field `membersonly` is `muc#roomconfig_membersonly`."""
    made = Form()
    made["type"] = "submit"
    made.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/muc#roomconfig")
    for name, value in fields.items():
        made.add_field(var=f"muc#roomconfig_{name}", ftype="text-multi" if isinstance(value, list) else None, value=value)
    return made


class Scene:
    """Alice, bob and carol at a service for rooms; bob has a phone, too."""

    def __init__(self, server, plugins=()):
        self.service = JID(server.get("service", "conference.localhost"))
        self.server, self.plugins = server, plugins
        self.alice, self.bob, self.phone, self.carol = (self.visitor(*who) for who in [(0, "home"), (1, "home"), (1, "phone"), (2, "home")])
        self.everyone = [self.alice, self.bob, self.phone, self.carol]

    def visitor(self, number, resource):
        return Visitor(self.server, number, resource, self.plugins)

    async def begin(self):
        for client in self.everyone:
            await client.enter()

    async def end(self):
        for client in self.everyone:
            await client.disconnect()

    def address(self, name):
        return JID(f"{name}@{self.service}")

    async def room(self, name, *guests, **fields):
        """A new room of Alice's, configured so, with these guests in it under the names of theirs."""
        room = self.address(name)
        presence, *_ = await self.alice.join(room, "Alice")
        assert {110, 201} <= presence["muc"]["status_codes"], presence
        await self.alice.muc.set_room_config(room, configuration(**fields))
        for guest in guests:
            await guest.join(room, guest.boundjid.user.capitalize())
        await self.together(room, self.alice, *guests)
        return room

    async def together(self, room, *clients):
        """Waits until each of them has seen all that happened in the room so far, and forgets that."""
        word = f"now {self.alice.new_id()}"
        self.alice.says(room, word)
        for client in clients:
            await client.gets("groupchat_message", room, lambda message: message["body"] == word)
            client.history = [(name, s) for name, s in client.history if s["from"].bare != room]


async def info(client, address, node=None):
    """Identities, features and the extended information of an address (XEP-0030, XEP-0128)."""
    found = (await client.plugin["xep_0030"].get_info(address, node, cached=False))["disco_info"]
    forms = found.xml.findall("{jabber:x:data}x/{jabber:x:data}field")
    more = {field.get("var"): [value.text or "" for value in field.findall("{jabber:x:data}value")] for field in forms}
    return {identity[:2] for identity in found["identities"]}, set(found["features"]), more
