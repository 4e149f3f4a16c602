"""Two slixmpp clients with aiortc call each other by Jingle, through the relay of the server's XEP-0215 list and nothing else; each hears the other's tone.

Argument besides host, port, ca, users: "via": udp, tcp, tls, or the number of a port that speaks TLS; "until": a file, the call goes on until it is there, and both must hear each other
still."""

import asyncio
import os
import time
import uuid

from jingle_sdp import to_jingle, to_sdp
from peer import Client, main, say
from rtc_peer import Caller, Line, hear, skip


class Phone(Caller, Client):
    def __init__(self, server, number, pitch):
        super().__init__(server, number)
        self.pitch = pitch
        self.answer_calls(server["via"])

    async def next(self, action):
        while True:
            sender, jingle = await asyncio.wait_for(self.requests.get(), 30)
            if jingle.get("action") == action:
                return sender, jingle

    async def pick_up(self):
        self.line = Line(await self.relay(), self.pitch)
        return self.line


async def call(server):
    os.environ["SSL_CERT_FILE"] = server["ca"]  # aioice verifies `turns:` with the system's trust
    alice, bob = Phone(server, 0, 440), Phone(server, 1, 880)
    for client in (alice, bob):
        await client.log_in()
        client.send_presence()
        await client.until("own presence", lambda name, s, me=client.boundjid: name == "presence_available" and s["from"] == me)
    started, sid = time.monotonic(), str(uuid.uuid4())

    async def caller():
        line = await alice.pick_up()
        await alice.request(bob.boundjid, to_jingle(await line.offer(), "initiator", "session-initiate", sid, initiator=str(alice.boundjid)))
        sender, accept = await alice.next("session-accept")
        assert sender == bob.boundjid and accept.get("sid") == sid
        await line.answered(to_sdp(accept, "responder"))

    async def callee():
        sender, initiate = await bob.next("session-initiate")
        assert sender == alice.boundjid
        line = await bob.pick_up()
        answer = await line.answer(to_sdp(initiate, "initiator"))
        await bob.request(sender, to_jingle(answer, "responder", "session-accept", sid, responder=str(bob.boundjid)))

    await asyncio.gather(caller(), callee())
    lines = [alice.line, bob.line]
    for line in lines:
        await asyncio.wait_for(line.connected.wait(), 30)
    say("connected", ms=round(1000 * (time.monotonic() - started)))

    def both_hear():
        return asyncio.gather(hear(alice.line.track, bob.pitch), hear(bob.line.track, alice.pitch))
    say("heard", frames=await both_hear(), pitches=[bob.pitch, alice.pitch])

    if "until" in server:
        # what nobody takes is kept: what is heard then must be what comes then
        skipping = [asyncio.ensure_future(skip(line.track.result())) for line in lines]
        while not os.path.exists(server["until"]):
            await asyncio.sleep(0.05)
        for task in skipping:
            task.cancel()
        say("still heard", frames=await both_hear())

    await alice.terminate(bob.boundjid, sid)
    await bob.next("session-terminate")
    for client in (alice, bob):
        await client.line.pc.close()
        await client.disconnect()


main(call)
