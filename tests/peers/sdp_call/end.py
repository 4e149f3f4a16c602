"""An end of a call in aiortc. One request a line on standard input, `{"number": 1, "do": name, …}`, one answer a line: `{"number": 1, "is": …}` or `"error"`."""

import asyncio
import json
import pathlib
import sys

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import VideoStreamTrack
from aiortc.sdp import candidate_from_sdp

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from rtc_peer import Tone  # noqa: E402

# It leaves out loopback, where the test is.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class End:
    def __init__(self):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks, self.channel, self.connection = {}, None, asyncio.Event()
        self.answers = asyncio.Queue()
        self.pc.on("track", lambda track: self.tracks.setdefault(track.kind, track))
        self.pc.on("datachannel", self._datachannel)
        self.pc.on("connectionstatechange", lambda: self.connection.set() if self.pc.connectionState == "connected" else None)

    def _datachannel(self, channel):
        channel.on("message", lambda text: channel.send(f"{text}, says the other end"))

    async def add(self, kinds):
        for kind in kinds:
            self.pc.addTrack({"audio": lambda: Tone(440), "video": VideoStreamTrack}[kind]())

    async def open(self):
        self.channel = self.pc.createDataChannel("chat")
        self.channel.on("message", self.answers.put_nowait)

    async def echo(self, text):
        if self.channel.readyState != "open":
            opened = asyncio.Event()
            self.channel.on("open", opened.set)
            await opened.wait()
        self.channel.send(text)
        return await self.answers.get()

    async def describe(self, type):
        await self.pc.setLocalDescription(await (self.pc.createOffer() if type == "offer" else self.pc.createAnswer()))
        return self.pc.localDescription.sdp

    async def accept(self, type, sdp):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, type))

    async def take(self, candidate):
        if candidate["candidate"]:
            parsed = candidate_from_sdp(candidate["candidate"].removeprefix("candidate:"))
            parsed.sdpMid = candidate["sdpMid"]
            await self.pc.addIceCandidate(parsed)

    async def connected(self):
        await self.connection.wait()

    async def receives(self, kind):
        """Sound that is not silence, pictures."""
        for _ in range(20):
            frame = await self.tracks[kind].recv()
            while kind == "audio" and not any(bytes(frame.planes[0])):
                frame = await self.tracks[kind].recv()

    async def close(self):
        await self.pc.close()


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    end = End()

    async def answer(line):
        request = json.loads(line)
        number, name = request.pop("number"), request.pop("do")
        try:
            done = {"is": await getattr(end, name)(**request)}
        except Exception as error:
            done = {"error": repr(error)}
        print(json.dumps({"number": number, **done}), flush=True)

    running = set()
    while line := await reader.readline():
        task = asyncio.create_task(answer(line))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
