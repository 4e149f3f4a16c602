"""What the Python peers share: slixmpp clients that trust the test's certificate, and events as one JSON object a line."""

import asyncio
import json
import logging
import sys
import traceback

from slixmpp import ClientXMPP


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
