"""Two libnice agents (the library below Dino's calls), each with a relay of the server's XEP-0215 list and nothing else, are joined by Jingle between two
slixmpp clients; each hears the other.

libnice is called as Dino calls it: gather, tell candidates, set the other's credentials and candidates."""

import asyncio
import ctypes
import threading
import uuid
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_uint, c_void_p
from xml.etree import ElementTree as ET

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from peer import Client, main, say

EXTDISCO, JINGLE, ICE = "urn:xmpp:extdisco:2", "urn:xmpp:jingle:1", "urn:xmpp:jingle:transports:ice-udp:1"
glib, gobject, nice = (ctypes.CDLL(name) for name in ("libglib-2.0.so.0", "libgobject-2.0.so.0", "libnice.so.10"))
READY = 4

for function, result, *arguments in (
    (glib.g_main_context_new, c_void_p), (glib.g_main_loop_new, c_void_p, c_void_p, c_int), (glib.g_main_loop_run, None, c_void_p),
    (nice.nice_agent_new, c_void_p, c_void_p, c_int), (nice.nice_agent_add_stream, c_uint, c_void_p, c_uint),
    (nice.nice_agent_set_stream_name, c_int, c_void_p, c_uint, c_char_p),
    (nice.nice_agent_set_relay_info, c_int, c_void_p, c_uint, c_uint, c_char_p, c_uint, c_char_p, c_char_p, c_int),
    (nice.nice_agent_gather_candidates, c_int, c_void_p, c_uint), (nice.nice_agent_generate_local_sdp, c_void_p, c_void_p),
    (nice.nice_agent_parse_remote_sdp, c_int, c_void_p, c_char_p), (nice.nice_agent_get_component_state, c_int, c_void_p, c_uint, c_uint),
    (nice.nice_agent_send, c_int, c_void_p, c_uint, c_uint, c_uint, c_char_p), (nice.nice_address_new, c_void_p),
    (nice.nice_address_set_from_string, c_int, c_void_p, c_char_p), (nice.nice_agent_add_local_address, c_int, c_void_p, c_void_p),
    (nice.nice_agent_get_local_credentials, c_int, c_void_p, c_uint, POINTER(c_char_p), POINTER(c_char_p)),
):
    function.restype, function.argtypes = result, arguments
Received = CFUNCTYPE(None, c_void_p, c_uint, c_uint, c_uint, c_void_p, c_void_p)
nice.nice_agent_attach_recv.restype = c_int
nice.nice_agent_attach_recv.argtypes = [c_void_p, c_uint, c_uint, c_void_p, Received, c_void_p]


class Agent:
    """One end of ICE with one component; its callbacks run in a thread of their own."""

    def __init__(self, controlling, relay):
        self.heard, context = threading.Event(), glib.g_main_context_new()
        loop = glib.g_main_loop_new(context, 0)
        self.agent = nice.nice_agent_new(context, 0)
        for name, value in ((b"controlling-mode", controlling), (b"force-relay", True), (b"upnp", False)):
            gobject.g_object_set(c_void_p(self.agent), c_char_p(name), c_int(value), c_void_p(None))
        address = nice.nice_address_new()
        assert nice.nice_address_set_from_string(address, relay["host"].encode())
        nice.nice_agent_add_local_address(self.agent, address)
        self.stream = nice.nice_agent_add_stream(self.agent, 1)
        assert nice.nice_agent_set_stream_name(self.agent, self.stream, b"audio")
        user, password = relay["username"].encode(), relay["password"].encode()
        assert nice.nice_agent_set_relay_info(self.agent, self.stream, 1, relay["host"].encode(), int(relay["port"]), user, password, 0)
        self.received = Received(lambda *_: self.heard.set())
        assert nice.nice_agent_attach_recv(self.agent, self.stream, 1, context, self.received, None)
        threading.Thread(target=glib.g_main_loop_run, args=(loop,), daemon=True).start()
        assert nice.nice_agent_gather_candidates(self.agent, self.stream)

    def sdp(self):
        return ctypes.string_at(nice.nice_agent_generate_local_sdp(self.agent)).decode()

    async def candidates(self):
        """The relayed ones, once there are some: lines of SDP."""
        while True:
            found = [line for line in self.sdp().splitlines() if line.startswith("a=candidate:") and " typ relay" in line]
            if found:
                return found
            await asyncio.sleep(0.05)

    async def transport(self):
        ufrag, password = c_char_p(), c_char_p()
        candidates = await self.candidates()
        assert nice.nice_agent_get_local_credentials(self.agent, self.stream, byref(ufrag), byref(password))
        transport = ET.Element(f"{{{ICE}}}transport", ufrag=ufrag.value.decode(), pwd=password.value.decode())
        for number, line in enumerate(candidates):
            foundation, component, protocol, priority, ip, port, _, kind, *_ = line.removeprefix("a=candidate:").split()
            ET.SubElement(transport, f"{{{ICE}}}candidate", component=component, foundation=foundation, generation="0", id=f"c{number}", ip=ip, port=port,
                          priority=priority, protocol=protocol.lower(), type=kind)
        return transport

    def connect(self, transport):
        lines = ["m=audio 1 ICE/SDP", "c=IN IP4 0.0.0.0", f"a=ice-ufrag:{transport.get('ufrag')}", f"a=ice-pwd:{transport.get('pwd')}"]
        for found in transport.findall(f"{{{ICE}}}candidate"):
            a = found.attrib
            lines.append(f"a=candidate:{a['foundation']} {a['component']} UDP {a['priority']} {a['ip']} {a['port']} typ {a['type']} raddr 0.0.0.0 rport 9")
        taken = nice.nice_agent_parse_remote_sdp(self.agent, ("\n".join(lines) + "\n").encode())
        assert taken > 0, f"libnice took {taken} candidates of {lines}"

    async def speak(self, other):
        """Until both have heard: one that has been heard early must not fall silent before it is heard itself."""
        while not other.heard.is_set() or nice.nice_agent_get_component_state(self.agent, self.stream, 1) != READY or not self.heard.is_set():
            if nice.nice_agent_get_component_state(self.agent, self.stream, 1) >= 3:
                nice.nice_agent_send(self.agent, self.stream, 1, 5, b"hello")
            await asyncio.sleep(0.05)


class Caller(Client):
    def __init__(self, server, number):
        super().__init__(server, number)
        self.requests = asyncio.Queue()
        self.register_handler(Callback("Jingle", MatchXPath(f"{{jabber:client}}iq/{{{JINGLE}}}jingle"), self._jingle))

    def _jingle(self, iq):
        if iq["type"] == "set":
            iq.reply().send()
            self.requests.put_nowait((iq["from"], iq.xml.find(f"{{{JINGLE}}}jingle")))

    async def relay(self):
        iq = self.make_iq_get(ito=self.boundjid.host)
        iq.append(ET.Element(f"{{{EXTDISCO}}}services"))
        services = (await iq.send(timeout=30)).xml.findall(f"{{{EXTDISCO}}}services/{{{EXTDISCO}}}service")
        return next(s.attrib for s in services if s.get("type") == "turn" and s.get("transport") == "udp")

    async def tell(self, to, action, sid, transport):
        jingle = ET.Element(f"{{{JINGLE}}}jingle", action=action, sid=sid)
        content = ET.SubElement(jingle, f"{{{JINGLE}}}content", creator="initiator", name="audio")
        ET.SubElement(content, "{urn:xmpp:jingle:apps:rtp:1}description", media="audio")
        content.append(transport)
        await self.make_iq_set(jingle, ito=to).send(timeout=30)


async def call(server):
    alice, bob = Caller(server, 0), Caller(server, 1)
    for client in (alice, bob):
        await client.log_in()
        client.send_presence()
        await client.until("own presence", lambda name, s, me=client.boundjid: name == "presence_available" and s["from"] == me)
    sid = str(uuid.uuid4())
    caller = Agent(True, await alice.relay())
    await alice.tell(bob.boundjid, "session-initiate", sid, await caller.transport())
    sender, initiate = await asyncio.wait_for(bob.requests.get(), 30)
    callee = Agent(False, await bob.relay())
    callee.connect(initiate.find(f".//{{{ICE}}}transport"))
    await bob.tell(sender, "session-accept", sid, await callee.transport())
    _, accept = await asyncio.wait_for(alice.requests.get(), 30)
    caller.connect(accept.find(f".//{{{ICE}}}transport"))
    await asyncio.wait_for(asyncio.gather(caller.speak(callee), callee.speak(caller)), 60)
    say("heard")
    for client in (alice, bob):
        await client.disconnect()


main(call)
