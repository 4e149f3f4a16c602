"""XEP-0272: three slixmpp clients with aiortc make a conference in a room. Alice and bob prepare at once, carol comes when they have begun; each session is between real
addresses, goes through the server's relay and nothing else, and each hears the tones of both others.

Argument besides host, port, ca, users: "via" as for call.py; "until": a file, the conference goes on until it is there."""

import asyncio
import contextlib
import os
import time
import uuid
from xml.etree import ElementTree as ET

from aiortc import RTCPeerConnection

from jingle_sdp import GROUP, JINGLE, RTP, to_jingle, to_sdp
from muc_peer import Visitor, configuration
from peer import main, say
from rtc_peer import Caller, Line, Tone, hear, skip
from slixmpp import JID

MUJI = "urn:xmpp:jingle:muji:0"
# What the conference's one content is called, in presence and in each session (§3); and what aiortc calls it in its own descriptions.
VOICE, MID = "voice", "0"


def renamed(jingle, old, new):
    """The same `<jingle/>` with another name for its content."""
    for element in [*jingle.iter(f"{{{JINGLE}}}content"), *jingle.iter(f"{{{GROUP}}}content")]:
        assert element.get("name") == old, f"{element.get('name')} instead of {old}"
        element.set("name", new)
    return jingle


def payloads(content):
    """§3: which payload types a content has, by id."""
    entries = content.findall(f"{{{RTP}}}description/{{{RTP}}}payload-type")
    return {entry.get("id"): (entry.get("name"), entry.get("clockrate"), entry.get("channels")) for entry in entries}


class Participant(Caller, Visitor):
    def __init__(self, server, number, pitch):
        super().__init__(server, number, "muji")
        self.nick, self.pitch = self.boundjid.user.capitalize(), pitch
        self.answer_calls(server["via"])
        # what each occupant's presence says of the conference: `<muji/>` and the real address; and who waits for a change of that
        self.muji, self.changed = {}, asyncio.Event()
        # who was preparing, and who had contents, when the own presence came back with that: whoever comes later is the one to wait, or to initiate
        self.ahead = {}
        # by nick: the line to the other, the session's id, and whether it was initiated here
        self.lines, self.sids, self.initiated = {}, {}, set()
        self.add_event_handler("groupchat_presence", self._presence)

    def _presence(self, presence):
        self.muji[presence["from"].resource] = (presence.xml.find(f"{{{MUJI}}}muji"), presence["muc"]["jid"])
        if presence["type"] == "unavailable":
            del self.muji[presence["from"].resource]
        if presence["from"].resource == self.nick:
            for state, others in (("preparing", self.preparing()), ("contents", {nick for nick in self.muji if self.content(nick) is not None})):
                if self.nick in others:
                    self.ahead.setdefault(state, others - {self.nick})
        self.changed.set()

    def _child(self, nick, name):
        element = self.muji.get(nick, (None, None))[0]
        return None if element is None else element.find(f"{{{MUJI}}}{name}")

    def preparing(self):
        return {nick for nick in self.muji if self._child(nick, "preparing") is not None}

    def content(self, nick):
        """The content that the occupant's presence has, if it takes part."""
        element = self.muji.get(nick, (None, None))[0]
        return None if element is None else element.find(f"{{{JINGLE}}}content")

    async def come_to(self, what, condition):
        """Waits until what the presences say makes the condition true."""
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()
        return condition()

    def show(self, *children):
        """Its presence in the room, with these in `<muji/>`; without one if there are none."""
        presence = self.make_presence(pto=f"{self.room}/{self.nick}")
        if children:
            muji = ET.SubElement(presence.xml, f"{{{MUJI}}}muji")
            muji.extend(children)
        presence.send()

    async def offered(self):
        """The content that it takes part with."""
        pc = RTCPeerConnection()
        pc.addTrack(Tone(self.pitch))
        description = to_jingle((await pc.createOffer()).sdp, "initiator", "session-initiate", "")
        await pc.close()
        content = ET.Element(f"{{{JINGLE}}}content", creator="initiator", name=VOICE)
        content.append(description.find(f"{{{JINGLE}}}content/{{{RTP}}}description"))
        return content

    async def take_part(self):
        """§3, from preparation to the sessions with all who took part before."""
        self.show(ET.Element(f"{{{MUJI}}}preparing"))
        await self.come_to("own preparation", lambda: "preparing" in self.ahead)
        await self.come_to("the end of others' preparation", lambda: not self.ahead["preparing"] & self.preparing())
        mine = await self.offered()
        for nick in self.muji:
            theirs = self.content(nick)
            if theirs is not None:
                assert theirs.get("name") == VOICE, ET.tostring(theirs)
                same = payloads(theirs).keys() & payloads(mine).keys()
                assert same and all(payloads(theirs)[one] == payloads(mine)[one] for one in same), (payloads(theirs), payloads(mine))
        self.show(mine)
        await self.come_to("own contents", lambda: "contents" in self.ahead)
        assert self.nick not in self.preparing(), "contents, and still preparing"
        await asyncio.gather(*(self.initiate(nick) for nick in self.ahead["contents"]))

    async def initiate(self, nick):
        line = self.lines[nick] = Line(self.turn, self.pitch)
        self.sids[nick], self.accepted[nick] = str(uuid.uuid4()), asyncio.get_running_loop().create_future()
        self.initiated.add(nick)
        jingle = to_jingle(await line.offer(), "initiator", "session-initiate", self.sids[nick], initiator=str(self.boundjid))
        jingle.insert(0, ET.Element(f"{{{MUJI}}}muji", room=str(self.room)))
        await self.request(self.muji[nick][1], renamed(jingle, MID, VOICE))
        accept = await asyncio.wait_for(self.accepted[nick], 30)
        await line.answered(to_sdp(renamed(accept, VOICE, MID), "responder"))

    async def serve(self):
        """Accepts what others initiate, and hears of accepts and ends."""
        self.turn, self.accepted = await self.relay(), {}
        while True:
            sender, jingle = await self.requests.get()
            # §3: only who is in the conference
            nick = next(nick for nick, (_, jid) in self.muji.items() if jid == sender)
            action, sid = jingle.get("action"), jingle.get("sid")
            if action == "session-initiate":
                assert jingle.find(f"{{{MUJI}}}muji").get("room") == self.room, ET.tostring(jingle)
                assert self.content(nick) is not None and nick not in self.lines, f"{nick} may not initiate"
                line, self.sids[nick] = Line(self.turn, self.pitch), sid
                self.lines[nick] = line
                answer = to_jingle(await line.answer(to_sdp(jingle, "initiator")), "responder", "session-accept", sid, responder=str(self.boundjid))
                await self.request(sender, answer)
                self.changed.set()
            elif action == "session-accept":
                assert sid == self.sids[nick], ET.tostring(jingle)
                self.accepted[nick].set_result(jingle)
            elif action == "session-terminate":
                assert sid == self.sids.pop(nick), ET.tostring(jingle)
                await self.lines.pop(nick).pc.close()
                self.changed.set()

    async def go(self):
        """§4: the presence first, then the sessions."""
        self.show()
        await self.come_to("own presence without contents", lambda: self.content(self.nick) is None)
        for nick, line in list(self.lines.items()):
            await self.terminate(self.muji[nick][1], self.sids.pop(nick))
            await line.pc.close()
            del self.lines[nick]


async def hear_each_other(everyone):
    """Each hears each other; gives the frames that took, by who hears whom."""
    edges = [(one, other) for one in everyone for other in everyone if one is not other]
    frames = await asyncio.gather(*(hear(one.lines[other.nick].track, other.pitch) for one, other in edges))
    return {f"{one.nick} hears {other.nick}": count for (one, other), count in zip(edges, frames)}


@contextlib.asynccontextmanager
async def nobody_listening(everyone):
    """What comes meanwhile is not kept: what is heard afterwards comes then."""
    skipping = [asyncio.ensure_future(skip(line.track.result())) for one in everyone for line in one.lines.values()]
    yield
    for task in skipping:
        task.cancel()
    await asyncio.wait(skipping)


async def connected(everyone):
    for one in everyone:
        others = {other.nick for other in everyone} - {one.nick}
        await one.come_to("a line to each", lambda: one.lines.keys() == others)
        for line in one.lines.values():
            await asyncio.wait_for(line.connected.wait(), 30)


async def conference(server):
    os.environ["SSL_CERT_FILE"] = server["ca"]
    everyone = alice, bob, carol = Participant(server, 0, 440), Participant(server, 1, 660), Participant(server, 2, 880)
    room = JID(f"muji@{server.get('service', 'conference.localhost')}")
    serving = []
    for one in everyone:
        await one.enter()
        one.room = room
        serving.append(asyncio.ensure_future(one.serve()))
    broken = asyncio.ensure_future(asyncio.wait(serving, return_when=asyncio.FIRST_EXCEPTION))
    talk = asyncio.ensure_future(conversation(server, room, *everyone))
    await asyncio.wait([broken, talk], return_when=asyncio.FIRST_COMPLETED)
    for task in serving:
        if task.done():
            task.result()
        task.cancel()
    await talk
    for one in everyone:
        await one.disconnect()


async def conversation(server, room, alice, bob, carol):
    everyone = [alice, bob, carol]
    await alice.join(room, alice.nick)
    # sessions need real addresses
    await alice.muc.set_room_config(room, configuration(whois="anyone"))
    await bob.join(room, bob.nick)
    await alice.come_to("Bob", lambda: bob.nick in alice.muji)
    await asyncio.gather(alice.take_part(), bob.take_part())
    assert len(alice.initiated) + len(bob.initiated) == 1, "one of two initiates"
    await connected([alice, bob])
    say("two", initiated={one.nick: sorted(one.initiated) for one in (alice, bob)})

    started = time.monotonic()
    await carol.join(room, carol.nick)
    await carol.come_to("the others' contents", lambda: all(carol.content(one.nick) is not None for one in (alice, bob)))
    assert {nick: jid for nick, (_, jid) in carol.muji.items()} == {one.nick: one.boundjid for one in everyone}, carol.muji
    await carol.take_part()
    assert carol.initiated == {alice.nick, bob.nick}, carol.initiated
    await connected(everyone)
    say("mesh", ms=round(1000 * (time.monotonic() - started)), sessions=sum(len(one.initiated) for one in everyone))
    say("heard", frames=await hear_each_other(everyone))

    if "until" in server:
        async with nobody_listening(everyone):
            while not os.path.exists(server["until"]):
                await asyncio.sleep(0.05)

    async with nobody_listening([alice, bob]):
        await carol.go()
        for one in (alice, bob):
            await one.come_to("Carol's end", lambda: one.content(carol.nick) is None and carol.nick not in one.lines)
            assert carol.nick in one.muji, "she is in the room still"
    say("left", frames=await hear_each_other([alice, bob]))
    await bob.go()
    await alice.come_to("Bob's end", lambda: not alice.lines)
    await alice.go()


main(conference)
