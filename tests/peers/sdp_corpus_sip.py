"""Collects what SIP programs write: two of them call each other on loopback through the switch below, which keeps each session description as a file.

Called with a program (baresip, linphone, or a pair such as linphone-baresip), the folder to fill and, if wanted, names of constellations:
    python3 tests/peers/sdp_corpus_sip.py baresip tests/corpus/sdp/baresip hold
Debian's baresip-core, baresip-ffmpeg, linphone-cli; nothing else is needed. Run by hand: tests use the files."""

import asyncio
import dataclasses
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

PATIENCE, QUIET = 20, 2.5
PARTIES = ("initiator", "responder")


class Switch(asyncio.DatagramProtocol):
    """A SIP proxy without state for two users, called as the parties are, that stays in the dialog (RFC 3261 §16.6 step 4) and keeps the bodies."""

    def __init__(self, folder, host, port, homes):
        self.folder, self.address, self.homes = folder, (host, port), homes
        self.number, self.offered, self.kept, self.first = 0, {}, {}, None
        self.answered, self.failed, self.last = 0, None, 0.0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        if b"\r\n\r\n" not in data:  # keep-alive
            return
        head, body = data.split(b"\r\n\r\n", 1)
        start, *fields = re.sub(rb"\r\n[ \t]+", b" ", head).decode().split("\r\n")
        fields = [[name.strip(), value.strip()] for name, _, value in (field.partition(":") for field in fields)]
        self.keep(start, fields, body, next((party for party, home in self.homes.items() if home[1] == source[1]), None))
        to = self.route_response(fields) if start.startswith("SIP/2.0") else self.route_request(start, fields)
        if to:
            self.transport.sendto("\r\n".join([start] + [f"{name}: {value}" for name, value in fields] + ["", ""]).encode() + body, to)

    def here(self):
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def route_request(self, start, fields):
        method, uri, _ = start.split(" ")
        branch = re.search(r"branch=([^;,]*)", value_of(fields, "Via")).group(1)
        routes = [i for i, (name, value) in enumerate(fields) if name.lower() == "route"]
        if routes and self.here() in fields[routes[0]][1]:
            first, _, rest = fields[routes[0]][1].partition(",")
            fields[routes[0]][1] = rest.strip()
            if not rest:
                del fields[routes[0]]
        if method in ("INVITE", "UPDATE", "SUBSCRIBE"):
            fields.insert(0, ["Record-Route", f"<sip:{self.here()};lr>"])
        fields.insert(0, ["Via", f"SIP/2.0/UDP {self.here()};branch={branch}.s"])
        host, port = re.match(r"<?sips?:(?:[^@]*@)?(\[[^\]]*\]|[^:;>]*)(?::(\d+))?", uri).groups()
        if (port or "5060") == str(self.address[1]):
            return self.homes.get(re.match(r"<?sip:([^@:;]*)@", uri).group(1))
        return host.strip("[]"), int(port or 5060)

    def route_response(self, fields):
        fields.remove(next(field for field in fields if field[0].lower() in ("via", "v")))
        via = value_of(fields, "Via")
        return next((home for home in self.homes.values() if f":{home[1]};" in via.split(",")[0]), None)

    def keep(self, start, fields, body, party):
        number, method = value_of(fields, "CSeq").split()
        transaction = (value_of(fields, "Call-ID"), number)
        request = not start.startswith("SIP/2.0")
        sdp = "application/sdp" in (value_of(fields, "Content-Type") or "")
        status = 0 if request else int(start.split()[1])
        self.last = asyncio.get_running_loop().time()
        if method == "INVITE" and status in range(400, 700) and status not in (401, 407, 487):
            self.failed = start
        if request and method in ("INVITE", "UPDATE"):
            self.offered.setdefault(transaction, sdp)
        if sdp and method in ("INVITE", "UPDATE", "ACK"):
            self.first = self.first or party
            what = "offer" if request == self.offered.get(transaction, False) else "answer"
            if self.kept.get((transaction, party)) != body:  # not sent again, and not the 200 after the same 183
                self.kept[transaction, party] = body
                self.number += 1
                name = PARTIES[party != self.first]
                (self.folder / f"{self.number:02}-{name}-{what}.sdp").write_bytes(body)
        if request and method == "ACK" and not self.failed or status == 200 and method == "UPDATE":
            self.answered += 1

    async def settled(self):
        """Waits for an answered INVITE and then until nobody says anything more."""
        async with asyncio.timeout(PATIENCE):
            before = self.answered
            while self.answered == before:
                if self.failed:
                    raise AssertionError(self.failed)
                await asyncio.sleep(0.05)
        while asyncio.get_running_loop().time() - self.last < QUIET:
            await asyncio.sleep(0.1)


class Stun(asyncio.DatagramProtocol):
    """A STUN server (RFC 8489 §14.2) that sees everybody behind a NAT with this address."""

    PORT, OUTSIDE, COOKIE = 5060, bytes([203, 0, 113, 9]), bytes.fromhex("2112a442")

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        if data[:2] == b"\0\1":
            port = (source[1] ^ 0x2112).to_bytes(2)
            address = bytes(a ^ b for a, b in zip(self.OUTSIDE, self.COOKIE))
            self.transport.sendto(b"\1\1\0\x0c" + data[4:20] + b"\0\x20\0\x08\0\1" + port + address, source)


def value_of(fields, name):
    short = {"Via": "v", "Call-ID": "i", "Content-Type": "c"}.get(name, "")
    return next((value for key, value in fields if key.lower() in (name.lower(), short)), None)


class Program:
    def __init__(self, party, home, switch, folder, options):
        self.party, self.home, self.switch, self.folder = party, home, switch, folder
        self.options = options
        folder.mkdir()

    def uri(self, user, address):
        host, port = address
        return f"sip:{user}@[{host}]:{port}" if ":" in host else f"sip:{user}@{host}:{port}"

    async def start(self, *command, **options):
        self.log = open(self.folder / "log", "wb")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        self.process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=self.log, stderr=self.log, **options)

    async def said(self, pattern):
        async with asyncio.timeout(PATIENCE):
            while not re.search(pattern, (self.folder / "log").read_bytes()):
                await asyncio.sleep(0.1)

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 3)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self.log.close()


class Baresip(Program):
    """Options: `account` (what stands after the address), `config` (lines), `modules`, `command` (of the command line)."""

    MODULES = ["account", "menu", "ctrl_tcp", "aubridge", "fakevideo", "uuid", "g711", "opus"]

    async def run(self):
        host, port = self.home
        listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.control = port + 1000
        modules = self.MODULES + self.options.get("modules", [])
        lines = [f"sip_listen {listen}", f"ctrl_tcp_listen 127.0.0.1:{self.control}", "audio_player aubridge,x", "audio_source aubridge,x",
                 "audio_alert aubridge,x", "video_source fakevideo,x", "video_display fakevideo,x", "module_path /usr/lib/baresip/modules"]
        lines += [f"module{'_tmp' if m in ('account', 'uuid') else '_app' if m in ('menu', 'ctrl_tcp') else ''} {m}.so" for m in modules]
        (self.folder / "config").write_text("\n".join(lines + self.options.get("config", [])) + "\n")
        account = f"<{self.uri(self.party, self.switch)}>;regint=0;outbound=\"{self.uri('x', self.switch).replace('x@', '')};lr\";"
        account += "answermode=auto;" * (self.party == "responder") + self.options.get("account", "")
        (self.folder / "accounts").write_text(account + "\n")
        await self.start("baresip", "-f", str(self.folder), *self.options.get("command", []), stdin=asyncio.subprocess.DEVNULL)
        await self.said(b"baresip is ready")

    async def do(self, command, parameters=""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control)
        message = json.dumps({"command": command, "params": parameters, "token": "t"})
        writer.write(f"{len(message)}:{message},".encode())
        await asyncio.wait_for(reader.read(4096), 5)
        writer.close()

    async def call(self, user):
        await self.do("dial", self.uri(user, self.switch))

    async def hold(self):
        await self.do("hold")

    async def resume(self):
        await self.do("resume")

    async def again(self):
        await self.do("reinvite")


class Linphone(Program):
    """Options: `config` (sections of linphonerc), `command` (of the command line), `first` (what is typed before the call), `call` (what follows the address)."""

    async def run(self):
        host, port = self.home
        sections = {
            "sip": {"sip_port": port, "sip_tcp_port": 0, "sip_tls_port": 0, "guess_hostname": 0, "contact": f"sip:{self.party}@{host}:{port}",
                    "default_proxy": 0, "media_encryption": "none", "auto_net_state_mon": 0, "keepalive_period": 60000, "register_only_when_network_is_up": 0},
            "proxy_0": {"reg_proxy": f"<{self.uri('x', self.switch).replace('x@', '')}>", "reg_route": f"<{self.uri('x', self.switch).replace('x@', '')};lr>",
                        "reg_identity": self.uri(self.party, self.switch), "reg_sendregister": 0, "publish": 0},
            "sound": {"playback_dev_id": "", "capture_dev_id": ""},
            "net": {}, "rtp": {"audio_rtp_port": port + 2000, "video_rtp_port": port + 4000}, "misc": {"use_presence_list": 0}, "video": {"enabled": 0},
        }
        for section, values in self.options.get("config", {}).items():
            sections.setdefault(section, {}).update(values)
        text = "".join(f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in values.items()) for section, values in sections.items())
        (self.folder / "linphonerc").write_text(text)
        for folder in (".local/share/linphone", ".config/linphone"):
            (self.folder / folder).mkdir(parents=True)
        answering = ["-a"] if self.party == "responder" else []
        await self.start("linphonec", "-c", str(self.folder / "linphonerc"), *answering, *self.options.get("command", []), stdin=asyncio.subprocess.PIPE)
        await self.said(b"linphonec>")
        for line in self.options.get("first", []):
            await self.type(line)

    async def type(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()
        await asyncio.sleep(0.3)

    async def call(self, user):
        await self.type(f"call {self.uri(user, self.switch)} {self.options.get('call', '')}")

    async def hold(self):
        await self.type("pause")

    async def resume(self):
        await self.type("resume")

    async def camera(self):
        await self.type("camera on")

    async def confer(self):
        await self.type("conference add 1")


@dataclasses.dataclass
class Constellation:
    name: str
    initiator: dict = dataclasses.field(default_factory=dict)
    responder: dict | None = None  # None: as the initiator
    steps: list = dataclasses.field(default_factory=list)  # (party, verb) after the call
    host: str = "127.0.0.1"


def baresip():
    audio = ["g722", "g726", "gsm", "l16", "amr", "codec2", "mpa", "opus"]
    video = {"modules": ["vp8", "vp9", "avcodec"]}
    dtls, srtp, ice = ({"modules": [m]} for m in ("dtls_srtp", "srtp", "ice"))

    def with_(*parts, account="", config=()):
        modules = [module for part in parts for module in part.get("modules", [])]
        return {"modules": modules, "account": account, "config": list(config)}

    yield Constellation("audio")
    yield Constellation("audio-all-codecs", with_({"modules": audio}))
    yield Constellation("pcma-only-answer", {}, with_(account="audio_codecs=pcma"))
    yield Constellation("ptime", with_(account="ptime=40"), with_(account="ptime=10"))
    yield Constellation("bandwidth", with_(video, config=["rtp_bandwidth 512-1024"]))
    yield Constellation("audio-video", with_(video))
    yield Constellation("video-refused", with_(video), with_())
    yield Constellation("rtcp-mux", with_(video, config=["rtcp_mux yes"]))
    yield Constellation("rtcp-mux-refused", with_(config=["rtcp_mux yes"]), with_())
    for kind in ("srtp", "srtp-mand", "srtp-mandf"):
        yield Constellation(kind, with_(srtp, video, account=f"mediaenc={kind}"))
    yield Constellation("srtp-refused", with_(srtp, account="mediaenc=srtp"), with_())
    yield Constellation("dtls-srtp", with_(dtls, video, account="mediaenc=dtls_srtp"))
    yield Constellation("dtls-srtp-rtcp-mux", with_(dtls, video, account="mediaenc=dtls_srtp", config=["rtcp_mux yes"]))
    yield Constellation("ice", with_(ice, video, account="medianat=ice"))
    yield Constellation("ice-stun", with_(ice, video, account=f"medianat=ice;stunserver=\"stun:127.0.0.1:{Stun.PORT}\""))
    yield Constellation("ice-refused", with_(ice, account="medianat=ice"), with_())
    yield Constellation("ice-dtls-srtp-rtcp-mux", with_(ice, dtls, video, account="medianat=ice;mediaenc=dtls_srtp", config=["rtcp_mux yes"]))
    yield Constellation("hold", with_(video), steps=[("initiator", "hold"), ("initiator", "resume"), ("responder", "hold"), ("responder", "resume")])
    yield Constellation("hold-by-both", steps=[("initiator", "hold"), ("responder", "hold"), ("initiator", "resume"), ("responder", "resume")])
    yield Constellation("hold-srtp", with_(srtp, account="mediaenc=srtp-mand"), steps=[("initiator", "hold"), ("initiator", "resume")])
    yield Constellation("hold-ice-dtls-srtp", with_(ice, dtls, account="medianat=ice;mediaenc=dtls_srtp"), steps=[("responder", "hold"), ("responder", "resume")])
    yield Constellation("ipv6", {**video, "command": ["-6"]}, host="::1")
    yield Constellation("ipv6-ice", {**ice, "account": "medianat=ice", "command": ["-6"]}, host="::1")


def linphone():
    def with_(*parts, first=(), **sections):
        merged = {}
        for part in (*parts, {"config": sections}):
            for section, values in part.get("config", {}).items():
                merged.setdefault(section, {}).update(values)
        return {"command": [word for part in parts for word in part.get("command", [])], "config": merged,
                "first": [line for part in parts for line in part.get("first", [])] + list(first)}

    def encryption(kind, **more):
        return {"config": {"sip": {"media_encryption": kind, **more}}}

    video = {"command": ["-V"], "config": {"video": {"enabled": 1}}}
    policy = {"nat_policy_ref": "nat"}
    ice = {"config": {"net": policy, "proxy_0": policy, "nat_policy_0": {"ref": "nat", "protocols": "ice"}}}
    mux, avpf = {"config": {"rtp": {"rtcp_mux": 1}}}, {"config": {"proxy_0": {"avpf": 1, "avpf_rr_interval": 3}}}
    bundle = {"config": {"rtp": {"bundle": 1, "accept_bundle": 1}}}
    suites = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80", "AES_CM_256_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80 UNENCRYPTED_SRTCP"]
    pause = [("initiator", "hold"), ("initiator", "resume"), ("responder", "hold"), ("responder", "resume")]

    yield Constellation("audio")
    yield Constellation("audio-all-codecs", with_(first=[f"codec enable {number}" for number in range(40)]))
    yield Constellation("audio-video", with_(video))
    yield Constellation("video-refused", with_(video), with_())
    yield Constellation("avpf", with_(video, avpf))
    yield Constellation("rtcp-mux", with_(video, mux))
    yield Constellation("bundle", with_(video, mux, bundle))
    yield Constellation("bundle-ice-dtls-srtp", with_(video, mux, bundle, ice, avpf, encryption("dtls")))
    yield Constellation("bandwidth", with_(video, net={"download_bw": 512, "upload_bw": 256}))
    yield Constellation("ptime", with_(rtp={"upload_ptime": 40, "download_ptime": 60}))
    yield Constellation("srtp", with_(video, encryption("srtp")))
    yield Constellation("srtp-mandatory", with_(video, encryption("srtp", media_encryption_mandatory=1)))
    yield Constellation("srtp-suites", with_(encryption("srtp", srtp_crypto_suites=", ".join(suites))))
    yield Constellation("srtp-avpf", with_(video, avpf, encryption("srtp")))
    yield Constellation("dtls-srtp", with_(video, encryption("dtls")))
    yield Constellation("dtls-srtp-avpf-rtcp-mux", with_(video, avpf, mux, encryption("dtls")))
    yield Constellation("zrtp", with_(video, encryption("zrtp")))
    yield Constellation("zrtp-avpf-ice", with_(video, avpf, ice, encryption("zrtp")))
    yield Constellation("ice", with_(video, ice))
    yield Constellation("ice-rtcp-mux", with_(ice, mux))
    yield Constellation("ice-refused", with_(ice), with_())
    yield Constellation("capability-negotiation", with_(encryption("srtp", support_capability_negotiations=1, supported_encryptions="srtp,dtls,none")))
    yield Constellation("delayed-offer", with_(sip={"sdp_200_ack": 1}), with_())
    yield Constellation("early-media", with_(sip={"incoming_calls_early_media": 1}))
    yield Constellation("hold", with_(video), steps=pause)
    yield Constellation("hold-by-both", steps=[("initiator", "hold"), ("responder", "hold"), ("initiator", "resume"), ("responder", "resume")])
    yield Constellation("hold-ice-dtls-srtp", with_(ice, encryption("dtls")), steps=pause[:2])
    yield Constellation("hold-zrtp", with_(encryption("zrtp")), steps=pause[:2])
    yield Constellation("video-added", {**with_(video), "call": "--audio-only"}, steps=[("initiator", "camera")])
    yield Constellation("conference", steps=[("responder", "confer")])
    yield Constellation("ipv6", with_(video), host="::1")
    yield Constellation("ipv6-ice", with_(ice), host="::1")


def linphone_and_baresip():
    """The same four, whoever calls: (name, Linphone's options, baresip's)."""
    policy = {"nat_policy_ref": "nat"}
    ice = {"net": policy, "proxy_0": policy, "nat_policy_0": {"ref": "nat", "protocols": "ice"}}
    video = {"command": ["-V"], "config": {"video": {"enabled": 1}}}
    yield "audio-video", video, {"modules": ["vp8", "vp9"]}
    yield "srtp", {"config": {"sip": {"media_encryption": "srtp"}}}, {"modules": ["srtp"], "account": "mediaenc=srtp-mand"}
    yield "dtls-srtp", {"config": {"sip": {"media_encryption": "dtls"}, "proxy_0": {"avpf": 1}}}, {"modules": ["dtls_srtp"], "account": "mediaenc=dtls_srtp"}
    yield "ice", {"config": ice}, {"modules": ["ice"], "account": "medianat=ice"}


def pair(*order):
    def table():
        for name, *options in linphone_and_baresip():
            initiator, responder = options if order[0] == "linphone" else reversed(options)
            yield Constellation(name, initiator, responder, [("initiator", "hold"), ("initiator", "resume")])
    return table


KINDS = {"baresip": Baresip, "linphone": Linphone}
TABLES = {"baresip": baresip, "linphone": linphone, "linphone-baresip": pair("linphone", "baresip"), "baresip-linphone": pair("baresip", "linphone")}


async def collect(constellation, kinds, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    host = constellation.host
    homes = {party: (host, port) for party, port in zip(PARTIES, (5080, 5090))}
    transport, switch = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Switch(folder, host, 5070, homes), local_addr=(host, 5070))
    stun, _ = await asyncio.get_running_loop().create_datagram_endpoint(Stun, local_addr=("127.0.0.1", Stun.PORT))
    work = pathlib.Path(tempfile.mkdtemp(prefix="sdp-corpus-"))
    options = (constellation.initiator, constellation.initiator if constellation.responder is None else constellation.responder)
    programs = {party: kind(party, homes[party], (host, 5070), work / party, option) for party, kind, option in zip(PARTIES, kinds, options)}
    try:
        for program in reversed(programs.values()):
            await program.run()
        waiting = asyncio.create_task(switch.settled())
        await asyncio.sleep(0)
        await programs["initiator"].call("responder")
        await waiting
        for party, verb in constellation.steps:
            waiting = asyncio.create_task(switch.settled())
            await asyncio.sleep(0)
            await getattr(programs[party], verb)()
            await waiting
        print(constellation.name, switch.number, flush=True)
    except (AssertionError, TimeoutError) as error:
        print(constellation.name, "FAILED", type(error).__name__, error, "see", work, flush=True)
        return
    finally:
        for program in programs.values():
            if hasattr(program, "process"):
                await program.stop()
        transport.close()
        stun.close()
        await asyncio.sleep(0)  # closes then
    shutil.rmtree(work)


async def main(names, folder, *wanted):
    kinds = ([KINDS[name] for name in names.split("-")] * 2)[:2]
    for constellation in TABLES[names]():
        if not wanted or constellation.name in wanted:
            await collect(constellation, kinds, pathlib.Path(folder) / constellation.name)


asyncio.run(main(*sys.argv[1:]))
