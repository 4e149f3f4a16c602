"""Two slixmpp clients with aiortc call each other by Jingle, through the relay of the server's XEP-0215 list and nothing else; each hears the other's tone.

Argument besides host, port, ca, users: "via": udp, tcp, tls, or the number of a port that speaks TLS; "until": a file, the call goes on until it is there, and both must hear each other
still."""

import array
import asyncio
import cmath
import fractions
import math
import os
import time
import uuid
from xml.etree import ElementTree as ET

from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from jingle_sdp import JINGLE, to_jingle, to_sdp
from peer import Client, main, say

EXTDISCO = "urn:xmpp:extdisco:2"
RATE, SAMPLES = 48000, 960


class Tone(MediaStreamTrack):
    """A sine of this pitch in Hz, in real time."""

    kind = "audio"

    def __init__(self, pitch):
        super().__init__()
        self.pitch, self.sent, self.started = pitch, 0, None

    async def recv(self):
        self.started = self.started or time.monotonic()
        await asyncio.sleep(max(0, self.started + self.sent / RATE - time.monotonic()))
        samples = array.array("h", (int(12000 * math.sin(2 * math.pi * self.pitch * (self.sent + i) / RATE)) for i in range(SAMPLES)))
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.sent, fractions.Fraction(1, RATE)
        self.sent += SAMPLES
        return frame


def share(samples, pitch, rate):
    """The share of the sound's energy that lies at this pitch: 1 for a pure tone."""
    energy = sum(s * s for s in samples)
    line = abs(sum(s * cmath.exp(-2j * math.pi * pitch * i / rate) for i, s in enumerate(samples)))
    return 2 * line * line / (len(samples) * energy) if energy > 1000 * len(samples) else 0.0


async def hear(track, pitch):
    """Listens until a quarter of a second in a row is this tone; gives how many frames that took."""
    window, frames, track = [], 0, await asyncio.wait_for(track, 30)
    while True:
        frame = await asyncio.wait_for(track.recv(), 30)
        frames += 1
        channels = len(frame.layout.channels)
        window = (window + list(array.array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples]))[::channels])[-frame.sample_rate // 4:]
        if len(window) == frame.sample_rate // 4 and frames % 5 == 0 and share(window, pitch, frame.sample_rate) > 0.8:
            return frames


async def skip(track):
    """Takes what comes and does not listen."""
    while True:
        await track.recv()


class Caller(Client):
    def __init__(self, server, number, pitch):
        super().__init__(server, number)
        self.via, self.pitch = server["via"], pitch
        self.requests = asyncio.Queue()
        self.register_handler(Callback("Jingle", MatchXPath(f"{{jabber:client}}iq/{{{JINGLE}}}jingle"), self._jingle))

    def _jingle(self, iq):
        if iq["type"] == "set":
            reply = iq.reply()
            reply.send()
            self.requests.put_nowait((iq["from"], iq.xml.find(f"{{{JINGLE}}}jingle")))

    async def next(self, action):
        while True:
            sender, jingle = await asyncio.wait_for(self.requests.get(), 30)
            if jingle.get("action") == action:
                return sender, jingle

    async def request(self, to, jingle):
        await self.make_iq_set(jingle, ito=to).send(timeout=30)

    async def relay(self):
        """The first relay of the wanted kind in the server's list."""
        iq = self.make_iq_get(ito=self.boundjid.host)
        iq.append(ET.Element(f"{{{EXTDISCO}}}services"))
        answer = await iq.send(timeout=30)
        services = answer.xml.findall(f"{{{EXTDISCO}}}services/{{{EXTDISCO}}}service")
        say("services", services=[{k: v for k, v in s.attrib.items() if k != "password"} for s in services])
        port = self.via if isinstance(self.via, int) else None
        kind, transport = ("turns", "tcp") if port or self.via == "tls" else ("turn", self.via)
        chosen = next(
            s for s in services if s.get("type") == kind and s.get("transport") == transport and port in (None, int(s.get("port")))
        )
        return RTCIceServer(f"{kind}:{chosen.get('host')}:{chosen.get('port')}?transport={transport}", chosen.get("username"), chosen.get("password"))

    async def connection(self):
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[await self.relay()], iceTransportPolicy=RTCIceTransportPolicy.RELAY))
        self.track = asyncio.get_running_loop().create_future()
        pc.on("track", lambda track: self.track.done() or self.track.set_result(track))
        pc.addTrack(Tone(self.pitch))
        self.connected = asyncio.Event()
        pc.on("connectionstatechange", lambda: self.connected.set() if pc.connectionState == "connected" else None)
        return pc


def only_relays(sdp):
    kinds = {line.split(" typ ")[1].split(" ")[0] for line in sdp.splitlines() if line.startswith("a=candidate:")}
    assert kinds == {"relay"}, f"candidates: {kinds or 'none'}"


async def call(server):
    os.environ["SSL_CERT_FILE"] = server["ca"]  # aioice verifies `turns:` with the system's trust
    alice, bob = Caller(server, 0, 440), Caller(server, 1, 880)
    for client in (alice, bob):
        await client.log_in()
        client.send_presence()
        await client.until("own presence", lambda name, s, me=client.boundjid: name == "presence_available" and s["from"] == me)
    started, sid = time.monotonic(), str(uuid.uuid4())

    async def caller():
        pc = alice.pc = await alice.connection()
        await pc.setLocalDescription(await pc.createOffer())
        only_relays(pc.localDescription.sdp)
        await alice.request(bob.boundjid, to_jingle(pc.localDescription.sdp, "initiator", "session-initiate", sid, initiator=str(alice.boundjid)))
        sender, accept = await alice.next("session-accept")
        assert sender == bob.boundjid and accept.get("sid") == sid
        await pc.setRemoteDescription(RTCSessionDescription(to_sdp(accept, "responder"), "answer"))

    async def callee():
        sender, initiate = await bob.next("session-initiate")
        assert sender == alice.boundjid
        pc = bob.pc = await bob.connection()
        await pc.setRemoteDescription(RTCSessionDescription(to_sdp(initiate, "initiator"), "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        only_relays(pc.localDescription.sdp)
        await bob.request(sender, to_jingle(pc.localDescription.sdp, "responder", "session-accept", sid, responder=str(bob.boundjid)))

    await asyncio.gather(caller(), callee())
    for client in (alice, bob):
        await asyncio.wait_for(client.connected.wait(), 30)
    say("connected", ms=round(1000 * (time.monotonic() - started)))
    heard = await asyncio.gather(hear(alice.track, bob.pitch), hear(bob.track, alice.pitch))
    say("heard", frames=heard, pitches=[bob.pitch, alice.pitch])

    if "until" in server:
        # what nobody takes is kept: what is heard then must be what comes then
        skipping = [asyncio.ensure_future(skip(client.track.result())) for client in (alice, bob)]
        while not os.path.exists(server["until"]):
            await asyncio.sleep(0.05)
        for task in skipping:
            task.cancel()
        heard = await asyncio.gather(hear(alice.track, bob.pitch), hear(bob.track, alice.pitch))
        say("still heard", frames=heard)

    terminate = ET.Element(f"{{{JINGLE}}}jingle", action="session-terminate", sid=sid)
    ET.SubElement(ET.SubElement(terminate, f"{{{JINGLE}}}reason"), f"{{{JINGLE}}}success")
    await alice.request(bob.boundjid, terminate)
    await bob.next("session-terminate")
    for client in (alice, bob):
        await client.pc.close()
        await client.disconnect()


main(call)
