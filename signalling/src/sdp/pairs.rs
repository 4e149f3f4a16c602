//! What XEPs print twice, as SDP and as Jingle: each says what the other does. `tests/corpus/README.md` has what is wrong in print.

use std::collections::BTreeSet;

use super::convert::{self, Request};
use super::corpus;
use crate::jingle::{Action, Party};
use crate::xml::{Bindings, Element, Node};

const REQUEST: Request<'static> = Request { party: Party::Initiator, action: Some(Action::SessionInitiate), before: None };

/// Where the pairs differ: beginnings of lines and facts.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    // Parameters in another order.
    ("xep-0167/s6-video", &["a=fmtp:98 "]),
    // Another codec, other ports and names; RTCP's addresses are in Jingle alone, an origin and a time in SDP.
    (
        "xep-0293/05",
        &[
            "o=",
            "s=",
            "t=",
            "a=rtpmap:99 ",
            "description/payload-type name=H264",
            "jingle initiator=",
            "jingle sid=",
            "jingle/content name=",
            "transport/candidate ",
        ],
    ),
    // Two payload types more in `m=`.
    ("xep-0339/s3", &["m="]),
    // Against the roles of XEP-0166: what the initiator receives is what the responder sends.
    ("xep-0294/05", &["description/rtp-hdrext senders=", "a=extmap:2/", "m="]),
];

/// A description of what is printed.
fn sdp(printed: &str) -> String {
    if printed.starts_with("v=0") {
        return printed.to_owned();
    }
    let printed = printed.replace("m=video\r\n", "m=video 9 RTP/AVP 31\r\n").replace("m=video\n", "m=video 9 RTP/AVP 31\n");
    let (group, printed) = if printed.starts_with("a=group") { (printed.trim(), "") } else { ("", &*printed) };
    // With keys for RTP the profile says so.
    let profile = if printed.contains("a=crypto") { "RTP/SAVP" } else { "RTP/AVP" };
    let media = |name: &str| format!("m=audio 9 {profile} 0\r\na=mid:{name}\r\na=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n");
    let body = if printed.starts_with("m=") {
        printed.replacen('\n', "\na=mid:voice\r\na=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n", 1)
    } else {
        media("voice") + printed
    };
    let lines = ["v=0", "o=- 7 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", group, body.trim()];
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let second = if group.is_empty() { String::new() } else { media("webcam") };
    format!("{}\r\n{second}", lines.join("\r\n"))
}

/// A stanza around what is printed.
fn jingle(printed: &str) -> String {
    let name = printed.trim_start_matches('<').split([' ', '\n', '>']).next().unwrap_or_default();
    let (media, payload) =
        ("<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>", "<payload-type id='0' name='PCMU' clockrate='8000'/>");
    let ice = |inner: &str| {
        format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhY' pwd='asd88fgpdd777uzjYhagZg'>{inner}</transport>")
    };
    let content = |name: &str, description: &str, transport: &str| {
        format!("<content creator='initiator' name='{name}'>{description}{transport}</content>")
    };
    let bare = format!("{media}{payload}</description>");
    let contents = match name {
        "jingle" => return printed.to_owned(),
        "description" if printed.contains("<payload-type") => content("voice", printed, &ice("")),
        "description" => content("voice", &printed.replace("</description>", &format!("{payload}</description>")), &ice("")),
        "fingerprint" => content("voice", &bare, &ice(printed)),
        "group" => content("voice", &bare, &ice("")) + &content("webcam", &bare, &ice("")) + printed,
        "zrtp-hash" => {
            let crypto = "<crypto crypto-suite='AES_CM_128_HMAC_SHA1_80' key-params='inline:WVNf' tag='1'/>";
            content("voice", &format!("{media}{payload}<encryption>{crypto}{printed}</encryption></description>"), &ice(""))
        }
        _ => content("voice", &format!("{media}{payload}{printed}</description>"), &ice("")),
    };
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='7'>{contents}</jingle>")
}

/// `element attribute=value`, with the element that it stands in.
fn facts(node: Node<'_>, parent: &str, out: &mut BTreeSet<String>) {
    let path = if parent.is_empty() { node.name().to_owned() } else { format!("{parent}/{}", node.name()) };
    out.extend(node.attrs().map(|(_, name, value)| format!("{path} {name}={value}")));
    out.extend(Some(node.text().trim()).filter(|text| !text.is_empty()).map(|text| format!("{path} text={text}")));
    node.children().for_each(|child| facts(child, node.name(), out));
}

fn facts_of(xml: &str) -> BTreeSet<String> {
    let element = Element::parse(xml.trim().as_bytes(), &Bindings::client()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let mut out = BTreeSet::new();
    facts(element.root(), "", &mut out);
    out
}

#[test]
fn what_xeps_print_twice_is_one_thing() {
    let stanzas = corpus::texts("jingle", "xml");
    let mut wrong = Vec::new();
    let pairs = corpus::texts("jingle", "sdp");
    assert_eq!(pairs.len(), 12);
    for (name, lines) in pairs {
        let stem = name.trim_end_matches(".sdp");
        let xml = &stanzas.iter().find(|(name, _)| name.trim_end_matches(".xml") == stem).expect("a pair").1;
        let exceptions: Vec<&str> =
            EXCEPTIONS.iter().filter(|(name, _)| stem.starts_with(name)).flat_map(|(_, starts)| starts.iter().copied()).collect();
        let is_excepted = |text: &str| exceptions.iter().any(|start| text.starts_with(start));
        let text = sdp(&lines);
        let made = convert::to_jingle(&text, &REQUEST).unwrap_or_else(|error| panic!("{name}: {error}: {text}")).0;
        let made = convert::to_xml(&made[0]);
        let known = facts_of(&made);
        // The root of a fragment has another parent here.
        let is_known = |fact: &String| known.contains(fact) || known.iter().any(|known| known.ends_with(&format!("/{fact}")));
        let missing = facts_of(xml).into_iter().filter(|fact| !is_known(fact) && !is_excepted(fact));
        wrong.extend(missing.map(|fact| format!("{name}: {fact} is not in {made}")));
        let stanza = jingle(xml.trim());
        let written = convert::to_sdp(&stanza, &REQUEST).unwrap_or_else(|error| panic!("{name}: {error}: {stanza}")).0;
        for line in lines.lines().filter(|line| !is_excepted(line)) {
            let line = line.replace("; ", ";");
            // An m= line has its media and formats; the rest is the transport's.
            let is_said = written.lines().any(|written| match line.strip_prefix("m=") {
                Some(media) => {
                    let words: Vec<&str> = media.split(' ').collect();
                    written.starts_with(&format!("m={} ", words[0])) && written.ends_with(&words[3..].join(" "))
                }
                None => written == line.trim_end_matches(';'),
            });
            if !is_said {
                wrong.push(format!("{name}: {line} is not in {written}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
