"""What applications publish, as the XEPs' own examples have it: (node, item id, payload)."""

import base64
import struct
import zlib
from xml.etree import ElementTree as ET

# one red pixel
PHOTO = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

ATOM = """<entry xmlns='http://www.w3.org/2005/Atom'><title type='text'>Soliloquy</title><id>tag:denmark.lit,2003:entry-32397</id>
<published>2003-12-13T18:30:02Z</published><updated>2003-12-13T18:30:02Z</updated><author><name>Hamlet &amp; Co</name></author>
<link rel='alternate' type='text/html' href='http://denmark.lit/2003/12/13/atom03?a=1&amp;b=2'/>
<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><p xml:lang='en'>To be, or <em>not</em> to be: ∃ ∨ ¬∃ 🎭</p></div></content>
<x:rank xmlns:x='urn:example:x' of='&lt;five&gt;'>1</x:rank></entry>"""

PAYLOADS = [
    # XEP-0277
    ("urn:xmpp:microblog:0", "1cb57d9c-1c46-11dd-838c-001143d5d5db", ATOM),
    # XEP-0118
    ("http://jabber.org/protocol/tune", "current", """<tune xmlns='http://jabber.org/protocol/tune'><artist>Yes</artist><length>686</length><rating>8</rating>
<source>Yessongs</source><title>Heart of the Sunrise</title><track>3</track><uri>http://www.yesworld.com/lyrics/Fragile.html#9</uri></tune>"""),
    # XEP-0107
    ("http://jabber.org/protocol/mood", "current", "<mood xmlns='http://jabber.org/protocol/mood'><annoyed/><text>curse my nurse!</text></mood>"),
    # XEP-0108
    ("http://jabber.org/protocol/activity", "current", """<activity xmlns='http://jabber.org/protocol/activity'><relaxing><partying/></relaxing>
<text xml:lang='en'>My nurse&apos;s birthday!</text></activity>"""),
    # XEP-0196
    ("urn:xmpp:gaming:0", "current", """<game xmlns='urn:xmpp:gaming:0'><character_name>Tunkin</character_name><level>30</level><name>World of Warcraft</name>
<server_address>eu.worldofwarcraft.example</server_address><server_name>Aszune</server_name></game>"""),
    # XEP-0194
    ("urn:xmpp:chatting:0", "current", """<room xmlns='urn:xmpp:chatting:0'><name>jdev</name><topic>General Discussion &amp; more</topic>
<uri>xmpp:jdev@conference.jabber.org</uri></room>"""),
    # XEP-0080
    ("http://jabber.org/protocol/geoloc", "current", """<geoloc xmlns='http://jabber.org/protocol/geoloc' xml:lang='it'><accuracy>20</accuracy><country>Italia</country>
<lat>45.44</lat><locality>Venezia</locality><lon>12.33</lon></geoloc>"""),
    # XEP-0152
    ("urn:xmpp:reach:0", "current", """<reach xmlns='urn:xmpp:reach:0'><addr uri='tel:+1-303-555-1212'/><addr uri='sip:romeo@sip.example'>
<desc xml:lang='en'>Home</desc></addr></reach>"""),
    # XEP-0358
    ("urn:xmpp:jinglepub:1", "9559976B-3FBF-4E7E-B457-2DAA225972BB", """<jinglepub xmlns='urn:xmpp:jinglepub:1' from='alice@localhost' id='9559976B-3FBF-4E7E-B457-2DAA225972BB'>
<uri>xmpp:alice@localhost?jingle;id=9559976B</uri><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></jinglepub>"""),
    # XEP-0384, its last version and the one that clients use
    ("urn:xmpp:omemo:2:devices", "current", "<devices xmlns='urn:xmpp:omemo:2'><device id='12345'/><device id='4223' label='Gajim on Ubuntu Linux'/></devices>"),
    ("eu.siacs.conversations.axolotl.devicelist", "current", "<list xmlns='eu.siacs.conversations.axolotl'><device id='12345'/></list>"),
]


def bundle(device, kilobytes=12):
    """A bundle as clients publish it (XEP-0384 0.3): a hundred keys, and as much more as makes it that large."""
    keys = "".join(f"<preKeyPublic preKeyId='{number}'>{'QQ' * (kilobytes * 5)}</preKeyPublic>" for number in range(1, 101))
    return (f"eu.siacs.conversations.axolotl.bundles:{device}", "current", f"""<bundle xmlns='eu.siacs.conversations.axolotl'>
<signedPreKeyPublic signedPreKeyId='1'>BQ==</signedPreKeyPublic><signedPreKeySignature>AA==</signedPreKeySignature><identityKey>BQ==</identityKey>
<prekeys>{keys}</prekeys></bundle>""")


def canonical(payload):
    """The payload in one way of writing it, whatever prefixes it had on the way."""
    text = payload if isinstance(payload, str) else ET.tostring(payload, encoding="unicode")
    return ET.canonicalize(text, rewrite_prefixes=True)


def picture(colour, size=64):
    """A PNG of one colour, `rrggbb`."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes.fromhex(colour) * size) * size
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
