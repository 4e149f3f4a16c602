"""What the Python peers share: slixmpp clients that trust the test's certificate, and events as one JSON object a line."""

import asyncio
import json
import logging
import sys
import traceback

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqTimeout, XMPPError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath


def say(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


class Client(ClientXMPP):
    """A slixmpp client. `server` is the script's argument: host, port, direct_tls, ca, users."""

    def __init__(self, server, number, **options):
        jid, password = server["users"][number]
        super().__init__(f"{jid}/slixmpp-{number}", password, **options)
        self.address = server["host"], server["port"]
        self.ca_certs = server["ca"]
        self.enable_direct_tls = server.get("direct_tls", False)
        self.enable_starttls = not self.enable_direct_tls
        self.enable_plaintext = False
        self.wanted = []
        self.history = []
        for name in ["message", "message_error", "roster_update"]:
            self.add_event_handler(name, lambda stanza, name=name: self._happened(name, stanza))
        # slixmpp takes <show/> for a type.
        self.add_event_handler("presence", lambda stanza: self._happened(f"presence_{stanza.xml.get('type', 'available')}", stanza))

    def _happened(self, name, stanza):
        self.history.append((name, stanza))
        for waiting in list(self.wanted):
            waiting()

    async def until(self, what, condition):
        """Waits until `condition(event, stanza)` is true of something that happened, and gives that stanza."""
        found = asyncio.get_running_loop().create_future()

        def look():
            for name, stanza in self.history:
                if not found.done() and condition(name, stanza):
                    found.set_result(stanza)

        self.wanted.append(look)
        look()
        try:
            return await asyncio.wait_for(found, 30)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.boundjid.bare} waited 30 s for {what}; saw {[(n, str(s)[:300]) for n, s in self.history[-12:]]}") from None
        finally:
            self.wanted.remove(look)

    async def log_in(self):
        failed = asyncio.get_running_loop().create_future()
        for name in ["failed_all_auth", "ssl_invalid_chain", "connection_failed", "stream_error"]:
            self.add_event_handler(name, lambda detail, name=name: failed.done() or failed.set_exception(AssertionError(f"{name}: {detail}")))
        started = asyncio.ensure_future(self.wait_until("session_start", 30))
        self.connect(*self.address)
        await asyncio.wait([started, failed], return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            started.cancel()
            failed.result()
        failed.cancel()
        await started
        tls = self.transport.get_extra_info("ssl_object")
        say("online", jid=str(self.boundjid), tls=tls and tls.version(), mechanism=self["feature_mechanisms"].mech.name)
        return self


class Resource(Client):
    """A client with a name of its own for its resource; each message is an event `stanza` in its history, and what it has taken from there is gone."""

    def __init__(self, server, number, resource, plugins):
        super().__init__(server, number)
        self.requested_jid.resource = self.boundjid.resource = resource
        self.auto_authorize = self.auto_subscribe = None
        self.register_handler(Callback("all messages", MatchXPath("{jabber:client}message"), lambda message: self._happened("stanza", message)))
        for plugin in ["xep_0004", "xep_0030", "xep_0059", *plugins]:
            self.register_plugin(plugin)

    @property
    def bare(self):
        return self.boundjid.bare

    async def enter(self):
        """Logs in, and is back once its own presence is."""
        await self.log_in()
        await self.get_roster()
        self.send_presence()
        await self.until("own presence", lambda name, s: name == "presence_available" and s["from"] == self.boundjid)
        return self

    async def take(self, what, condition):
        """As `until`, for one of which there is one: it is gone from the history."""
        stanza = await self.until(what, condition)
        # the same stanza can be there for several events
        del self.history[next(at for at, (name, s) in enumerate(self.history) if s is stanza and condition(name, s))]
        return stanza

    async def hear(self, sender):
        """Waits for a message that the sender sends now."""
        word = f"fence {self.boundjid} {self.new_id()}"
        sender.send_message(mto=self.boundjid, mbody=word)
        await self.take("the fence", lambda name, s: name == "message" and s["body"] == word)
        self.history = [(name, s) for name, s in self.history if s.xml.findtext("{jabber:client}body") != word]


async def refused(condition, answer):
    """The request is answered with this error; gives it."""
    try:
        done = await answer
    except (IqTimeout, asyncio.TimeoutError):
        raise AssertionError(f"no answer instead of {condition}") from None
    except XMPPError as error:
        assert error.condition == condition, f"{error.condition} instead of {condition}: {vars(error)}"
        return error
    raise AssertionError(f"no {condition}: {done}")


async def run(steps, scene, wanted):
    """Each step stands by itself; `wanted` names those to run, all if it is empty. Says which are done."""
    for step in steps:
        if not wanted or step.__name__ in wanted:
            await step(scene)
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


async def until_over(client, host, port, over, troubles=("failed_all_auth", "ssl_invalid_chain", "connection_failed", "stream_error", "disconnected")):
    """Runs a client of its own until `over` is done; each of these events before that is what went wrong."""
    for trouble in troubles:
        client.add_event_handler(trouble, lambda what, trouble=trouble: over.done() or over.set_exception(AssertionError(f"{trouble}: {what}")))
    client.connect(host, int(port))
    await over
    await client.disconnect()
    say("done")
