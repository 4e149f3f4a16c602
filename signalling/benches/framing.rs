//! What it costs to take a stanza from the wire: framed, validated, its head typed and its children indexed; beside quick-xml alone.

use std::hint::black_box;

use bytes::Bytes;
use campanile_signalling::stanza::{Framing, Stanza};
use campanile_signalling::xml::{Bindings, Element, Frame, Framer, Limits, validate};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quick_xml::Reader;
use quick_xml::events::Event;

/// A chat message with the extensions that clients add: 451 bytes.
const MESSAGE: &str = "<message to='juliet@capulet.example/balcony' from='romeo@montague.example/orchard' id='8b6f9f4c-6a5e-4f0b-9a53-2f6c1c9f0a77' type='chat' xml:lang='en'><body>Wherefore art thou, Romeo? Deny thy father and refuse thy name &amp; be my love.</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='8b6f9f4c-6a5e'/></message>";

/// Presence with capabilities and an avatar hash: 402 bytes.
const PRESENCE: &str = "<presence from='romeo@montague.example/orchard' id='5c1a7e2e-41c0' xml:lang='en'><show>away</show><status>Not here, but not far away either</status><priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example/caps' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/><x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x></presence>";

/// A `session-initiate` with audio and video, as a browser's client sends it.
fn session_initiate() -> String {
    let payload = |id: u32, name: &str| {
        format!(
            "<payload-type id='{id}' name='{name}' clockrate='90000'><parameter name='profile-id' value='0'/>\
             <rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='pli'/></payload-type>"
        )
    };
    let content = |name: &str, media: &str, payloads: String| {
        format!(
            "<content creator='initiator' name='{name}' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{media}'>{payloads}\
             <rtcp-mux/><rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='urn:ietf:params:rtp-hdrext:ssrc-audio-level'/></description>\
             <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='Yq3T' pwd='f0c6bCzqWx0CS3JqLdXyQ1Jm'>\
             <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2</fingerprint>\
             <candidate component='1' foundation='1' generation='0' id='el0747fg11' ip='192.0.2.17' network='1' port='49152' priority='2130706431' protocol='udp' type='host'/>\
             <candidate component='1' foundation='2' generation='0' id='y3s2b30v3r' ip='203.0.113.5' network='1' port='50000' priority='16777215' protocol='udp' rel-addr='192.0.2.17' rel-port='49152' type='relay'/></transport></content>"
        )
    };
    format!(
        "<iq to='juliet@capulet.example/balcony' from='romeo@montague.example/orchard' id='zid615d9' type='set'>\
         <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.example/orchard' sid='a73sjjvkla37jfea'>\
         {}{}<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='audio'/><content name='video'/></group></jingle></iq>",
        content("audio", "audio", payload(111, "opus")),
        content("video", "video", payload(96, "VP8") + &payload(98, "VP9"))
    )
}

fn framing(c: &mut Criterion) {
    let bindings = Bindings::client();
    let jingle = session_initiate();
    for (name, xml) in [("message", MESSAGE), ("presence", PRESENCE), ("session-initiate", &jingle)] {
        let frame = Bytes::copy_from_slice(xml.as_bytes());
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(xml.len() as u64));

        let mut framer = Framer::new(Limits { bytes_max: 262_144, depth_max: 64 });
        framer.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        assert!(matches!(framer.next(), Ok(Some(Frame::Open(_)))));
        group.bench_function("frame", |b| {
            b.iter(|| {
                framer.push(black_box(xml.as_bytes()));
                framer.next()
            });
        });
        group.bench_function("validate", |b| b.iter(|| validate(black_box(&frame), &bindings)));
        group.bench_function("parse", |b| b.iter(|| Stanza::parse(black_box(&frame).clone(), &bindings)));
        group.bench_function("frame and parse", |b| {
            b.iter(|| {
                framer.push(black_box(xml.as_bytes()));
                match framer.next() {
                    Ok(Some(Frame::Element(frame))) => Stanza::parse(frame, &bindings),
                    other => unreachable!("{other:?}"),
                }
            });
        });
        let stanza = Stanza::parse(frame.clone(), &bindings).expect("a valid stanza");
        group.bench_function("write", |b| {
            let mut out = Vec::with_capacity(8192);
            b.iter(|| {
                out.clear();
                black_box(&stanza).write(&mut out, Framing::Stream);
                out.len()
            });
        });
        group.bench_function("tree", |b| b.iter(|| Element::parse(black_box(&frame), &bindings)));
        group.bench_function("quick-xml events", |b| b.iter(|| quick_xml(black_box(xml), false)));
        group.bench_function("quick-xml events and attributes", |b| b.iter(|| quick_xml(black_box(xml), true)));
        group.finish();
    }
}

/// What quick-xml does on its own: tokens, and where asked for the names and raw values of attributes; no namespaces, no validation.
fn quick_xml(xml: &str, attributes: bool) -> usize {
    let mut reader = Reader::from_str(xml);
    let mut seen = 0;
    loop {
        match reader.read_event().expect("a valid stanza") {
            Event::Start(tag) | Event::Empty(tag) if attributes => {
                for attribute in tag.attributes() {
                    seen += attribute.expect("a valid stanza").value.len();
                }
            }
            Event::Eof => return seen,
            _ => seen += 1,
        }
    }
}

criterion_group!(benches, framing);
criterion_main!(benches);
