"""What the Python peers that call share: tones and ears with aiortc, relay-only connections, Jingle's requests and the server's relays for slixmpp clients."""

import array
import asyncio
import cmath
import fractions
import math
import time
from xml.etree import ElementTree as ET

from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from jingle_sdp import JINGLE
from peer import say

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


def only_relays(sdp):
    kinds = {line.split(" typ ")[1].split(" ")[0] for line in sdp.splitlines() if line.startswith("a=candidate:")}
    assert kinds == {"relay"}, f"candidates: {kinds or 'none'}"


class Line:
    """A connection to one other, through this relay and nothing else: a tone goes out, `track` is what comes in."""

    def __init__(self, relay, pitch):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[relay], iceTransportPolicy=RTCIceTransportPolicy.RELAY))
        self.track = asyncio.get_running_loop().create_future()
        self.pc.on("track", lambda track: self.track.done() or self.track.set_result(track))
        self.pc.addTrack(Tone(pitch))
        self.connected = asyncio.Event()
        self.pc.on("connectionstatechange", lambda: self.connected.set() if self.pc.connectionState == "connected" else None)

    async def offer(self):
        """The description to initiate with."""
        return await self._describe(await self.pc.createOffer())

    async def answer(self, offer):
        """The description to accept with."""
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        return await self._describe(await self.pc.createAnswer())

    async def answered(self, answer):
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def _describe(self, description):
        await self.pc.setLocalDescription(description)
        only_relays(self.pc.localDescription.sdp)
        return self.pc.localDescription.sdp


class Caller:
    """Makes a slixmpp client one that calls: `requests` are those of Jingle that came, with their senders, answered already."""

    def answer_calls(self, via):
        """`via`: udp, tcp, tls, or the number of a port that speaks TLS."""
        self.via = via
        self.requests = asyncio.Queue()
        self.register_handler(Callback("Jingle", MatchXPath(f"{{jabber:client}}iq/{{{JINGLE}}}jingle"), self._jingle))

    def _jingle(self, iq):
        if iq["type"] == "set":
            reply = iq.reply()
            reply.send()
            self.requests.put_nowait((iq["from"], iq.xml.find(f"{{{JINGLE}}}jingle")))

    async def request(self, to, jingle):
        await self.make_iq_set(jingle, ito=to).send(timeout=30)

    async def terminate(self, to, sid):
        """Ends a session, as everything was said."""
        jingle = ET.Element(f"{{{JINGLE}}}jingle", action="session-terminate", sid=sid)
        ET.SubElement(ET.SubElement(jingle, f"{{{JINGLE}}}reason"), f"{{{JINGLE}}}success")
        await self.request(to, jingle)

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
