"""SDP to Jingle and back for one bundled audio call, as aiortc writes and reads it: XEP-0166, 0167, 0176, 0320, 0338."""

from xml.etree import ElementTree as ET

JINGLE = "urn:xmpp:jingle:1"
RTP = "urn:xmpp:jingle:apps:rtp:1"
ICE = "urn:xmpp:jingle:transports:ice-udp:1"
DTLS = "urn:xmpp:jingle:apps:dtls:0"
GROUP = "urn:xmpp:jingle:apps:grouping:0"
DIRECTIONS = {"sendrecv": "both", "inactive": "none"}
CANDIDATE = ["foundation", "component", "protocol", "priority", "ip", "port"]


def other(role):
    return "responder" if role == "initiator" else "initiator"


def to_jingle(sdp, role, action, sid, **attributes):
    """The `<jingle/>` element of a description of the party with this role."""
    session, *sections = sdp.replace("\r\n", "\n").split("\nm=")
    jingle = ET.Element(f"{{{JINGLE}}}jingle", action=action, sid=sid, **attributes)
    group = ET.Element(f"{{{GROUP}}}group", semantics="BUNDLE")
    for section in sections:
        head, *lines = section.strip().split("\n")
        media, _, _, *formats = head.split(" ")
        values = [line[2:].partition(":")[::2] for line in lines + session.split("\n") if line.startswith("a=")]

        def one(name):
            return next((value for key, value in values if key == name), None)

        def of(name, payload):
            return next((value.split(" ", 1)[1] for key, value in values if key == name and value.split(" ")[0] == payload), None)

        direction = next((key for key, _ in values if key in ("sendrecv", "sendonly", "recvonly", "inactive")), "sendrecv")
        senders = DIRECTIONS.get(direction) or (role if direction == "sendonly" else other(role))
        content = ET.SubElement(jingle, f"{{{JINGLE}}}content", creator="initiator", name=one("mid"), senders=senders)
        ET.SubElement(group, f"{{{GROUP}}}content", name=one("mid"))
        description = ET.SubElement(content, f"{{{RTP}}}description", media=media)
        for payload in formats:
            name, clockrate, *channels = of("rtpmap", payload).split("/")
            entry = ET.SubElement(description, f"{{{RTP}}}payload-type", id=payload, name=name, clockrate=clockrate, channels=(channels or ["1"])[0])
            for parameter in filter(None, (of("fmtp", payload) or "").split(";")):
                key, _, value = parameter.strip().partition("=")
                ET.SubElement(entry, f"{{{RTP}}}parameter", name=key, value=value)
        if one("rtcp-mux") is not None:
            ET.SubElement(description, f"{{{RTP}}}rtcp-mux")
        transport = ET.SubElement(content, f"{{{ICE}}}transport", ufrag=one("ice-ufrag"), pwd=one("ice-pwd"))
        hash_, fingerprint = next(value for key, value in values if key == "fingerprint" and value.startswith("sha-256 ")).split(" ")
        ET.SubElement(transport, f"{{{DTLS}}}fingerprint", hash=hash_, setup=one("setup")).text = fingerprint
        for number, line in enumerate(value for key, value in values if key == "candidate"):
            words = line.split(" ")
            extra = dict(zip(words[6::2], words[7::2]))
            found = dict(zip(CANDIDATE, words), type=extra["typ"], id=f"c{number}", generation="0", network="0")
            if "raddr" in extra:
                found.update({"rel-addr": extra["raddr"], "rel-port": extra["rport"]})
            ET.SubElement(transport, f"{{{ICE}}}candidate", found)
    jingle.append(group)
    return jingle


def candidate_line(candidate):
    line = "candidate:" + " ".join(candidate.get(name) for name in CANDIDATE) + " typ " + candidate.get("type")
    if candidate.get("rel-addr"):
        line += f" raddr {candidate.get('rel-addr')} rport {candidate.get('rel-port')}"
    return line


def to_sdp(jingle, role):
    """The session description in `<jingle/>` sent by the party with this role."""
    names = [content.get("name") for content in jingle.findall(f"{{{JINGLE}}}content")]
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(names)}"]
    for content in jingle.findall(f"{{{JINGLE}}}content"):
        description, transport = content.find(f"{{{RTP}}}description"), content.find(f"{{{ICE}}}transport")
        types = description.findall(f"{{{RTP}}}payload-type")
        senders = content.get("senders", "both")
        direction = {"both": "sendrecv", "none": "inactive", role: "sendonly"}.get(senders, "recvonly")
        fingerprint = transport.find(f"{{{DTLS}}}fingerprint")
        lines += [f"m={description.get('media')} 9 UDP/TLS/RTP/SAVPF {' '.join(t.get('id') for t in types)}", "c=IN IP4 0.0.0.0",
                  f"a=mid:{content.get('name')}", f"a={direction}", "a=rtcp-mux",
                  f"a=ice-ufrag:{transport.get('ufrag')}", f"a=ice-pwd:{transport.get('pwd')}",
                  f"a=fingerprint:{fingerprint.get('hash')} {fingerprint.text}", f"a=setup:{fingerprint.get('setup')}"]
        for entry in types:
            channels = int(entry.get("channels", "1"))
            lines.append(f"a=rtpmap:{entry.get('id')} {entry.get('name')}/{entry.get('clockrate')}" + (f"/{channels}" if channels > 1 else ""))
            parameters = [f"{p.get('name')}={p.get('value')}" for p in entry.findall(f"{{{RTP}}}parameter")]
            if parameters:
                lines.append(f"a=fmtp:{entry.get('id')} {';'.join(parameters)}")
        lines += [f"a={candidate_line(candidate)}" for candidate in transport.findall(f"{{{ICE}}}candidate")]
    return "\r\n".join(lines + [""])
