"""Collects the Jingle that Dino writes, from calls with a bare XMPP client of this file, into the folder given: tests/corpus/jingle/dino.

Called with a campanile program and that folder, as root: python3 tests/peers/jingle_corpus_dino.py target/debug/campanile tests/corpus/jingle/dino
Needs what tests/run installs, pulseaudio, and GStreamer's plugins for Dino's codecs (gstreamer1.0-pulseaudio, -plugins-good, -plugins-bad). Run by hand."""

import base64
import os
import pathlib
import re
import shutil
import ssl
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
PASSWORD, PATIENCE = "wherefore", 30
NETWORK = """ip link set lo up && ip link add out type veth peer name in && ip link set out up && ip link set in up && ip addr add 192.0.2.2/24 dev out && ip addr add 2001:db8::2/64 dev out nodad
exec "$@" """
CONFIG = """[server]
data_dir = "data"
log_format = "json"
public_address = "192.0.2.2"
[tls]
certificate = "cert.pem"
key = "key.pem"
[c2s]
listen = ["127.0.0.1:5222"]
direct_tls = ["127.0.0.1:5223"]
[http]
listen = []
tls_listen = []
[admin]
listen = []
[turn]
udp = ["192.0.2.2:0"]
tcp = []
tls = []
"""


class Wire:
    """A stream of this user: what comes is cut into stanzas as it was written."""

    def __init__(self, ca, user):
        context = ssl.create_default_context(cafile=ca)
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", 5223)), server_hostname="localhost")
        self.socket.settimeout(PATIENCE)
        self.buffer = b""
        header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>"
        self.send(header)
        self.read(rb".*</stream:features>")
        token = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>")
        self.read(rb"<success.*?(/>|</success>)")
        self.send(header)
        self.read(rb".*</stream:features>")
        self.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>home</resource></bind></iq>")
        self.read(rb".*?</iq>")
        self.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")  # RFC 6121 §2.1.3: it wants to hear of subscriptions

    def send(self, text):
        self.socket.sendall(text.encode())

    def read(self, pattern):
        while not (found := re.match(pattern, self.buffer, re.DOTALL)):
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"the stream ended: {self.buffer[-500:]}")
            self.buffer += data
        self.buffer = self.buffer[found.end():]
        return found.group().decode()

    def stanza(self, *wanted):
        """The next stanza with all of this in it; answers requests on the way."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            stanza = self.read(rb"\s*<(?:iq|message|presence|r|a)\b(?:[^>]*/>|[^>]*>.*?</(?:iq|message|presence)>)").strip()
            sender, number = (re.search(rf"^<[^>]*?\b{name}=['\"]([^'\"]*)", stanza) for name in ("from", "id"))
            if re.match(r"<iq[^>]*type=['\"](get|set)", stanza):
                payload = disco(stanza) if "disco#info" in stanza else ""
                self.send(f"<iq type='result' id='{number.group(1)}' to='{sender.group(1)}'>{payload}</iq>")
            if os.environ.get("SHOW"):
                print("<<", stanza[:400], file=sys.stderr)
            if all(part in stanza for part in wanted):
                return stanza
        raise AssertionError(f"nothing with {wanted}")


FEATURES = ["http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps", "urn:xmpp:jingle:1", "urn:xmpp:jingle:apps:rtp:1", "urn:xmpp:jingle:apps:rtp:audio",
            "urn:xmpp:jingle:apps:rtp:video", "urn:xmpp:jingle:transports:ice-udp:1", "urn:xmpp:jingle:apps:dtls:0", "urn:xmpp:jingle-message:0"]


def disco(stanza):
    node = re.search(r"node=['\"]([^'\"]*)", stanza)
    features = "".join(f"<feature var='{feature}'/>" for feature in FEATURES)
    return (f"<query xmlns='http://jabber.org/protocol/disco#info'{f' node=%r' % node.group(1) if node else ''}>"
            f"<identity category='client' type='pc' name='bob'/>{features}</query>")


CODECS = {
    "audio": "<payload-type id='111' name='opus' clockrate='48000' channels='2'/><payload-type id='0' name='PCMU' clockrate='8000'/>",
    "video": "<payload-type id='96' name='VP8' clockrate='90000'><rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='pli'/></payload-type>"
             "<payload-type id='97' name='H264' clockrate='90000'/>",
}
FINGERPRINT = ":".join(["AB"] * 32)


def contents(media, setup):
    for kind in media:
        yield (f"<content creator='initiator' name='{kind}' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{kind}'>{CODECS[kind]}<rtcp-mux/></description>"
               f"<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='bobU' pwd='bobspasswordbobspasswor'>"
               f"<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='{setup}'>{FINGERPRINT}</fingerprint>"
               f"<candidate component='1' foundation='1' generation='0' id='c1' ip='192.0.2.9' network='0' port='40000' priority='2130706431' protocol='udp' type='host'/>"
               f"</transport></content>")


class Kept:
    def __init__(self, folder, sid, party):
        self.folder, self.sid, self.party, self.number = folder, sid, party, 0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def keep(self, bob, *until):
        """Keeps all that Dino says in this session, up to the stanza with this in it and then while it says more."""
        for wanted in (until, ("<jingle",)):
            seen = ""
            while wanted and not (seen and all(part in seen for part in until)):
                bob.socket.settimeout(PATIENCE if wanted is until else 3)
                try:
                    seen = bob.stanza("<jingle")
                except TimeoutError:
                    if wanted is until:
                        raise
                    return
                jingle = re.search(r"<jingle\b.*</jingle>|<jingle\b[^>]*/>", seen, re.DOTALL).group()
                self.number += 1
                action = re.search(r"action=['\"]([a-z-]+)", jingle).group(1)
                (self.folder / f"{self.number:02}-{self.party}-{action}.xml").write_text(jingle)
                if wanted is not until:
                    seen = ""


def answered(bob, folder, sid, media):
    """Bob calls, Dino answers."""
    dino = "alice@localhost/dino"
    descriptions = "".join(f"<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{kind}'/>" for kind in media)
    bob.send(f"<message to='alice@localhost' type='chat' id='p{sid}'><propose xmlns='urn:xmpp:jingle-message:0' id='{sid}'>{descriptions}</propose><store xmlns='urn:xmpp:hints'/></message>")
    time.sleep(2)  # it does not say that it rings
    bob.send(f"<message to='alice@localhost' type='chat' id='a{sid}'><body>answer {sid}</body></message>")
    bob.stanza("<proceed", sid)
    kept = Kept(folder, sid, "responder")
    bob.send(f"<iq type='set' id='i{sid}' to='{dino}'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='bob@localhost/home' sid='{sid}'>"
             f"{''.join(contents(media, 'actpass'))}</jingle></iq>")
    kept.keep(bob, "session-accept")
    bob.send(f"<iq type='set' id='e{sid}' to='{dino}'><jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'><reason><success/></reason></jingle></iq>")
    print(folder.name, kept.number, flush=True)


def asked(bob, folder, kind):
    """Dino calls, as a person does, with its mouse; Bob answers what it offers, in its own names."""
    bob.send(f"<message to='alice@localhost' type='chat' id='c{kind}'><body>call {kind}</body></message>")
    sid = re.search(r"<propose[^>]*\bid=['\"]([^'\"]*)", bob.stanza("<propose")).group(1)
    dino, kept = "alice@localhost/dino", Kept(folder, sid, "initiator")
    bob.send(f"<message to='{dino}' type='chat' id='g{sid}'><proceed xmlns='urn:xmpp:jingle-message:0' id='{sid}'/></message>")
    kept.keep(bob, "session-initiate")
    media = ["audio", "video"] if kind == "video" else ["audio"]
    bob.send(f"<iq type='set' id='i{sid}' to='{dino}'><jingle xmlns='urn:xmpp:jingle:1' action='session-accept' initiator='{dino}' responder='bob@localhost/home' sid='{sid}'>"
             f"{''.join(contents(media, 'active'))}</jingle></iq>")
    bob.socket.settimeout(PATIENCE)
    try:
        kept.keep(bob, "session-terminate")  # it finds no way to Bob
    except (TimeoutError, AssertionError):
        bob.send(f"<iq type='set' id='e{sid}' to='{dino}'><jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'><reason><success/></reason></jingle></iq>")
    print(folder.name, kept.number, flush=True)


def certificate(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost")
    os.chmod(folder / "key.pem", 0o600)
    shutil.copy(folder / "cert.pem", folder / "ca.pem")


CALLS = [("audio-answer", answered, "s1", ["audio"]), ("audio-video-answer", answered, "s2", ["audio", "video"]), ("audio", asked, "audio"), ("audio-video", asked, "video")]


def main(program, out):
    work = pathlib.Path(tempfile.mkdtemp(prefix="jingle-corpus-"))
    certificate(work)
    (work / "campanile.toml").write_text(CONFIG)
    for user in ("alice", "bob"):
        subprocess.run([program, "user", "add", f"{user}@localhost", "--password", PASSWORD], cwd=work, check=True, capture_output=True)
    log = open(work / "log", "w")
    server = subprocess.Popen([program, "serve"], cwd=work, stdout=log, stderr=log)
    sound = subprocess.Popen(["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", "module-null-sink sink_name=null",
                              "-L", "module-remap-source master=null.monitor",  # a monitor alone is no microphone
                              "-L", f"module-native-protocol-unix socket={work}/sound auth-anonymous=1"], stdout=log, stderr=log, env=os.environ | {"HOME": str(work), "XDG_RUNTIME_DIR": str(work)})
    dino = None
    try:
        while "ready" not in (work / "log").read_text():
            assert server.poll() is None, (work / "log").read_text()
            time.sleep(0.1)
        bob, alice = (Wire(work / "ca.pem", user) for user in ("bob", "alice"))
        for one, name, other, contact in ((bob, "bob", alice, "alice"), (alice, "alice", bob, "bob")):
            one.send(f"<presence/><presence to='{contact}@localhost' type='subscribe'/>")
            other.send("<presence/>")
            other.stanza("type='subscribe'")
            other.send(f"<presence to='{name}@localhost' type='subscribed'/>")
            one.stanza("type='subscribed'")
        alice.send("<presence type='unavailable'/></stream:stream>")
        dino = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/usr/bin/python3", HERE / "dino.py", work, work / "ca.pem",
                                 "alice@localhost/dino", PASSWORD], stderr=open(work / "dino.log", "w"), env=os.environ | {"PULSE_SERVER": f"unix:{work}/sound"})
        bob.stanza("<presence", "from='alice@localhost/dino'")
        time.sleep(2)  # until it has looked around
        for name, step, *arguments in CALLS:
            bob.socket.settimeout(PATIENCE)
            try:
                step(bob, out / name, *arguments)
            except (AssertionError, TimeoutError) as error:  # on a busy machine it may be too late for a click
                print(name, "FAILED", error, flush=True)
    finally:
        for process in (dino, sound, server):
            if process:
                process.terminate()
                process.wait()
        print("see", work)


if __name__ == "__main__":
    if os.environ.get("INSIDE"):
        main(os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).absolute())
    else:
        os.execvp("unshare", ["unshare", "--net", "sh", "-c", NETWORK, "sh", "env", "INSIDE=1", sys.executable, *sys.argv])
