"""Collects what aiortc writes: two connections in one process, each constellation below negotiated, every description kept as a file.

Called with the folder to fill, tests/corpus/sdp/aiortc; run by hand in the Python environment of tests/run."""

import asyncio
import pathlib
import shutil
import sys

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

folder = pathlib.Path(sys.argv[1])


class Session:
    """A call in this constellation; the descriptions are numbered as they are made."""

    def __init__(self, name, policy=RTCBundlePolicy.BALANCED):
        self.folder, self.number = folder / name, 0
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.initiator, self.responder = (RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy)) for _ in range(2))
        for pc in (self.initiator, self.responder):
            sink = MediaBlackhole()
            pc.on("track", sink.addTrack)

    def keep(self, pc, what):
        self.number += 1
        party = "initiator" if pc is self.initiator else "responder"
        (self.folder / f"{self.number:02}-{party}-{what}.sdp").write_bytes(pc.localDescription.sdp.encode())

    async def negotiate(self, before_answer=lambda pc: None, offerer=None):
        offerer = offerer or self.initiator
        answerer = self.responder if offerer is self.initiator else self.initiator
        await offerer.setLocalDescription(await offerer.createOffer())
        self.keep(offerer, "offer")
        await answerer.setRemoteDescription(offerer.localDescription)
        before_answer(answerer)
        await answerer.setLocalDescription(await answerer.createAnswer())
        self.keep(answerer, "answer")
        await offerer.setRemoteDescription(answerer.localDescription)

    async def close(self):
        await asyncio.gather(self.initiator.close(), self.responder.close())


def audio(pc):
    pc.addTrack(AudioStreamTrack())


def video(pc):
    pc.addTrack(VideoStreamTrack())


def both(pc):
    audio(pc)
    video(pc)


def prefer(pc, kind, *names):
    """Only these codecs, in this order."""
    known = RTCRtpSender.getCapabilities(kind).codecs
    for transceiver in pc.getTransceivers():
        if transceiver.kind == kind:
            transceiver.setCodecPreferences([codec for name in names for codec in known if codec.name.lower() == name])


async def simple(name, offered, answered=lambda pc: None, **options):
    session = Session(name, **options)
    offered(session.initiator)
    await session.negotiate(answered)
    await session.close()


async def one_way(name, direction):
    def add(pc):
        pc.addTransceiver("audio", direction=direction)
        pc.addTransceiver("video", direction=direction)
    await simple(name, add, both)


async def added(name, first, then, offerer):
    """A second offer, by this party, once the first is agreed."""
    session = Session(name)
    first(session.initiator)
    await session.negotiate(first)
    pc = getattr(session, offerer)
    then(pc)
    await session.negotiate(offerer=pc)
    await session.close()


async def hold(name):
    """Each side holds and comes back, as re-offers with another direction."""
    session = Session(name)
    both(session.initiator)
    await session.negotiate(both)
    for pc in (session.initiator, session.responder):
        for direction in ("sendonly", "inactive", "sendrecv"):
            for transceiver in pc.getTransceivers():
                transceiver.direction = direction
            await session.negotiate(offerer=pc)
    await session.close()


async def stopped(name):
    """The video is stopped; its section stays."""
    session = Session(name)
    both(session.initiator)
    await session.negotiate(both)
    await next(t for t in session.initiator.getTransceivers() if t.kind == "video").stop()
    await session.negotiate()
    audio(session.initiator)
    await session.negotiate()
    await session.close()


def data(pc):
    pc.createDataChannel("chat")


def all_three(pc):
    both(pc)
    data(pc)


async def main():
    await simple("audio", audio, audio)
    await simple("audio-answered-without-track", audio)
    await simple("video", video, video)
    await simple("audio-video", both, both)
    await simple("data", data)
    await simple("audio-video-data", all_three, both)
    await simple("two-audio-two-video", lambda pc: (both(pc), both(pc)), both)
    for policy in RTCBundlePolicy:
        await simple(f"bundle-{policy.value}", all_three, both, policy=policy)
    for direction in ("sendonly", "recvonly", "inactive"):
        await one_way(direction, direction)
    await simple("pcma-only", lambda pc: (audio(pc), prefer(pc, "audio", "pcma")), audio)
    await simple("pcmu-pcma-opus", lambda pc: (audio(pc), prefer(pc, "audio", "pcmu", "pcma", "opus")), audio)
    await simple("h264-only", lambda pc: (video(pc), prefer(pc, "video", "h264", "rtx")), video)
    await added("video-added-by-initiator", audio, video, "initiator")
    await added("video-added-by-responder", audio, video, "responder")
    await added("data-added", audio, data, "initiator")
    await hold("hold")
    await stopped("video-stopped")


asyncio.run(main())
