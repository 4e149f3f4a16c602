"""What the programs for aioxmpp 0.13 share. It is Debian's (python3-aioxmpp), with Debian's Python.

Trust: the context that checks certificates is given the test's authority; the name must be the JID's domain, by default. Services are classes that a
client summons before it connects."""

import asyncio
import contextlib
import json
import logging
import sys
import traceback

import aioxmpp
import aioxmpp.pubsub.xso as pubsub_xso
import aioxmpp.security_layer
import aioxmpp.xso as xso

from settled import settled

PATIENCE = 30


def say(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


@pubsub_xso.as_payload_class
class Note(xso.XSO):
    TAG = "urn:example:note", "note"
    text = xso.Text()

    def __init__(self, text=""):
        super().__init__()
        self.text = text


class Device:
    """A client, and what happened to it: (name, arguments) in order."""

    def __init__(self, server, number, resource):
        jid, password = server["users"][number]
        self.admin = server["admin"]
        self.bare = aioxmpp.JID.fromstr(jid)

        def trusting():
            context = aioxmpp.security_layer.default_ssl_context()
            context.load_verify_locations(server["ca"])
            return context

        security = aioxmpp.make_security_layer(password, ssl_context_factory=trusting)
        peer = (server["host"], server["port"], aioxmpp.connector.STARTTLSConnector())
        self.client = aioxmpp.PresenceManagedClient(self.bare.replace(resource=resource), security, override_peer=[peer])
        self.history, self.looking = [], []
        self.pubsub = self.client.summon(aioxmpp.PubSubClient)
        self.listen(self.pubsub, "on_item_published", "on_item_retracted", "on_node_deleted", "on_affiliation_update", "on_subscription_update")
        self.presence = self.client.summon(aioxmpp.PresenceClient)
        self.listen(self.presence, "on_available", "on_changed")
        self.roster = self.client.summon(aioxmpp.RosterClient)
        self.listen(self.roster, "on_subscribe", "on_subscribed", "on_entry_subscription_state_changed")
        self.client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher).register_callback(
            None, None, lambda message: self.happened("message", (message,), {}))

    def listen(self, service, *signals):
        def hear(name):
            def happened(*arguments, **more):
                self.happened(name, arguments, more)
            return happened
        for name in signals:
            getattr(service, name).connect(hear(name))

    def happened(self, name, arguments, more):
        self.history.append((name, arguments, more))
        for look in list(self.looking):
            look()

    async def take(self, name, matches=lambda *arguments, **more: True):
        """Waits until a signal of this name came whose arguments match; it is gone from the history. Gives its arguments."""
        found = asyncio.get_running_loop().create_future()

        def look():
            for entry in self.history:
                if not found.done() and entry[0] == name and matches(*entry[1], **entry[2]):
                    found.set_result(entry)

        self.looking.append(look)
        look()
        try:
            entry = await asyncio.wait_for(found, PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.client.local_jid} waited {PATIENCE} s for {name}; saw {self.history[-12:]}") from None
        finally:
            self.looking.remove(look)
        self.history.remove(entry)
        return entry[1], entry[2]

    async def item(self, service, node, id=None, matches=lambda item: True):
        """The next item of this node that the service says was published, and the message that brought it."""
        arguments, more = await self.take("on_item_published", lambda jid, at, item, **more: (jid, at) == (service, node) and id in (None, item.id_) and matches(item))
        return arguments[2], more["message"]

    def items_of(self, node):
        return [entry for entry in self.history if entry[0] == "on_item_published" and entry[1][1] == node]

    async def fence(self, sender):
        """Waits until who was to be told has been, of all that happened at nodes before and of what the sender did.

        When the first message has come, the sender's requests are done with; the second one comes behind what the nodes sent."""
        await self.hear(sender)
        await settled(self.admin)
        await self.hear(sender)

    async def hear(self, sender):
        """Waits for a message that the sender sends now."""
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=self.client.local_jid)
        message.body[None] = word = f"fence {len(self.history)} {id(message)}"
        await sender.client.send(message)
        await self.take("message", lambda message: message.body.any() == word if message.body else False)


async def become_contacts(one, other):
    """RFC 6121 §3.1, both ways."""
    for asking, asked in ((one, other), (other, one)):
        if asking.bare not in asked.roster.items or asked.roster.items[asking.bare].subscription not in ("from", "both"):
            asking.roster.subscribe(asked.bare)
            await asked.take("on_subscribe")
            asked.roster.approve(asking.bare)
            await asking.take("on_subscribed")


async def refused(condition, answer, specific=None):
    """The request is answered with this error, and with this class of XEP-0060's own beside it."""
    try:
        done = await answer
    except aioxmpp.errors.XMPPError as error:
        assert error.condition == condition, f"{error.condition} instead of {condition}"
        assert specific is None or isinstance(error.application_defined_condition, specific), error.application_defined_condition
    else:
        raise AssertionError(f"no {condition}: {done}")


async def run(script, server, devices, steps):
    """Logs the devices in, does the steps (those that `server` names, else all), each on its own, and says which are done."""
    async with contextlib.AsyncExitStack() as stack:
        for device in devices:
            await asyncio.wait_for(stack.enter_async_context(device.client.connected()), PATIENCE)
            say("online", jid=str(device.client.local_jid))
        await script()
        for step in steps:
            if not server.get("steps") or step.__name__ in server["steps"]:
                await step()
                say(step.__name__)


def main(script):
    """Runs the script with its argument; says `done` or `failed`."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        asyncio.run(script(json.loads(sys.argv[1])))
    except BaseException as error:  # whatever it is, the test must read it
        traceback.print_exc()
        say("failed", why=f"{type(error).__name__}: {error}")
        sys.exit(1)
    say("done")
