//! What a description says, as a set of short sentences in which SDP and Jingle can be compared: read by nothing of ours but the XML parser.
//!
//! Each begins with the name of the content (empty for the session) and a tab: `0 ⇥ codec 111 opus/48000/2`. Orders that matter are sentences too.

use std::collections::BTreeSet;
use std::fmt::Display;

use campanile_signalling::xml::{Bindings, Element, Node};

/// The sentences.
pub type Facts = BTreeSet<String>;

const OPTION: &str = "http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option";

struct Collector {
    facts: Facts,
    content: String,
}

impl Collector {
    fn say(&mut self, fact: impl Display) {
        self.facts.insert(format!("{}\t{}", self.content, fact.to_string().trim()));
    }
}

/// Of SDP that says everything in each section, as what we and stanza.js write does. `role`: whose description it is.
pub fn of_sdp(sdp: &str, role: &str) -> Facts {
    let mut collector = Collector { facts: Facts::new(), content: String::new() };
    let mut sections = sdp.split("\r\nm=");
    for line in sections.next().unwrap_or_default().lines() {
        match line.split_once(':').unwrap_or((line, "")) {
            ("a=group", group) => collector.say(format_args!("group {group}")),
            _ if matches!(line.get(..2), Some("v=" | "o=")) || matches!(line, "s=-" | "t=0 0") => {}
            _ => collector.say(format_args!("line {line}")),
        }
    }
    for (index, section) in sections.enumerate() {
        let (media, lines) = section.split_once("\r\n").unwrap_or((section, ""));
        let mid = lines.lines().find_map(|line| line.strip_prefix("a=mid:"));
        collector.content = mid.map_or(format!("#{index}"), str::to_owned);
        of_media(media, &mut collector);
        lines.lines().for_each(|line| of_line(line, role, &mut collector));
    }
    collector.facts
}

fn of_media(line: &str, collector: &mut Collector) {
    let mut words = line.splitn(4, ' ');
    let (media, port, protocol, formats) =
        (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    collector.say(format_args!("media {media}"));
    collector.say(format_args!("protocol {protocol}"));
    if port == "0" {
        collector.say("port 0");
    }
    if media == "application" {
        collector.say(format_args!("sctp format {formats}"));
    } else {
        collector.say(format_args!("order {formats}"));
    }
}

fn of_line(line: &str, role: &str, collector: &mut Collector) {
    let Some(attribute) = line.strip_prefix("a=") else {
        return collector.say(format_args!("line {line}"));
    };
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
    match name {
        "mid" => {}
        "sendrecv" | "sendonly" | "recvonly" | "inactive" => collector.say(format_args!("senders {}", senders(name, role))),
        "rtpmap" => {
            let encoding = if rest.matches('/').count() == 2 { rest.to_owned() } else { format!("{rest}/1") };
            collector.say(format_args!("codec {first} {encoding}"));
        }
        "fmtp" => rest.split(';').filter(|parameter| !parameter.trim().is_empty()).for_each(|parameter| {
            collector.say(format_args!("parameter {first} {}", parameter.trim()));
        }),
        "rtcp-fb" => collector.say(format_args!("feedback {value}")),
        "extmap" => {
            let (id, direction) = first.split_once('/').unwrap_or((first, "sendrecv"));
            collector.say(format_args!("extension {id} {} {rest}", senders(direction, role)));
        }
        "ssrc" => collector.say(format_args!("source {value}")),
        "ssrc-group" => collector.say(format_args!("sources {value}")),
        "fingerprint" => collector.say(format_args!("fingerprint {value}")),
        "candidate" => of_candidate(value, collector),
        "sctpmap" => {
            let mut words = rest.split(' ');
            collector.say(format_args!("sctp port {first}"));
            collector.say(format_args!("sctp format {}", words.next().unwrap_or("")));
            words.for_each(|streams| collector.say(format_args!("sctp streams {streams}")));
        }
        "sctp-port" => collector.say(format_args!("sctp port {value}")),
        "ice-options" => value.split(' ').for_each(|option| collector.say(format_args!("ice-option {option}"))),
        "ice-ufrag" | "ice-pwd" | "setup" | "msid" | "rtcp-mux" | "rtcp-rsize" | "end-of-candidates" | "extmap-allow-mixed" => {
            collector.say(format_args!("{name} {value}"));
        }
        _ => collector.say(format_args!("line {line}")),
    }
}

fn senders(direction: &str, role: &str) -> &'static str {
    match (direction, role) {
        ("sendonly", "initiator") | ("recvonly", "responder") => "initiator",
        ("sendonly", _) | ("recvonly", _) => "responder",
        ("inactive", _) => "none",
        _ => "both",
    }
}

/// RFC 8839 §5.1: what XEP-0176 has attributes for is one sentence, each further extension another.
fn of_candidate(value: &str, collector: &mut Collector) {
    let words: Vec<&str> = value.split(' ').collect();
    let [foundation, component, transport, priority, address, port, "typ", kind, extensions @ ..] = &words[..] else {
        return collector.say(format_args!("line a=candidate:{value}"));
    };
    let extension = |name: &str| extensions.chunks(2).find(|pair| pair[0] == name).map_or("", |pair| pair[1]);
    let (related, related_port, tcp) = (extension("raddr"), extension("rport"), extension("tcptype"));
    let id = format!("{foundation} {component} {address} {port}");
    collector.say(format_args!("candidate {id} {} {priority} {kind} {related} {related_port} {tcp}", transport.to_ascii_lowercase()));
    for pair in extensions.chunks(2).filter(|pair| !matches!(pair[0], "raddr" | "rport" | "tcptype")) {
        collector.say(format_args!("candidate-extension {id} {}", pair.join(" ")));
    }
}

/// Of a `<jingle/>`.
pub fn of_jingle(xml: &str) -> Facts {
    let element = Element::parse(xml.trim().as_bytes(), &Bindings::client()).unwrap_or_else(|error| panic!("{error} in {xml}"));
    let mut collector = Collector { facts: Facts::new(), content: String::new() };
    for child in element.root().children() {
        collector.content.clear();
        match child.name() {
            "content" => of_content(child, &mut collector),
            "group" => {
                let names: Vec<&str> = child.children().filter_map(|content| content.attr("name")).collect();
                collector.say(format_args!("group {} {}", attr(child, "semantics"), names.join(" ")));
            }
            _ => of_other(child, &mut collector),
        }
    }
    collector.facts
}

fn attr<'a>(node: Node<'a>, name: &str) -> &'a str {
    node.attr(name).unwrap_or_default()
}

/// A carried line says what it says in SDP.
fn of_other(node: Node<'_>, collector: &mut Collector) {
    match node.name() {
        "line" => collector.say(format_args!("line {}={}", attr(node, "type"), node.text())),
        "protocol" => collector.say(format_args!("protocol {}", node.text())),
        name => collector.say(format_args!("element {name}")),
    }
}

fn of_content(content: Node<'_>, collector: &mut Collector) {
    collector.content = attr(content, "name").to_owned();
    collector.say(format_args!("creator {}", attr(content, "creator")));
    collector.say(format_args!("senders {}", content.attr("senders").unwrap_or("both")));
    for child in content.children() {
        match child.name() {
            "description" => of_description(child, collector),
            "transport" => of_transport(child, collector),
            _ => of_other(child, collector),
        }
    }
}

fn of_description(description: Node<'_>, collector: &mut Collector) {
    collector.say(format_args!("media {}", attr(description, "media")));
    if let Some(ssrc) = description.attr("ssrc") {
        collector.say(format_args!("ssrc {ssrc}"));
    }
    let order: Vec<&str> = description.children().filter(|child| child.name() == "payload-type").map(|child| attr(child, "id")).collect();
    collector.say(format_args!("order {}", order.join(" ")));
    for child in description.children() {
        match child.name() {
            "payload-type" => of_payload_type(child, collector),
            "rtcp-fb" | "rtcp-fb-trr-int" => of_feedback("*", child, collector),
            "rtp-hdrext" => {
                let parameters: String = child.children().map(|parameter| format!(" {}", attr(parameter, "name"))).collect();
                let senders = child.attr("senders").unwrap_or("both");
                collector.say(format_args!("extension {} {senders} {}{parameters}", attr(child, "id"), attr(child, "uri")));
            }
            "rtcp-mux" | "extmap-allow-mixed" => collector.say(child.name()),
            "rtcp-reduced-size" => collector.say("rtcp-rsize"),
            "source" => child.children().for_each(|parameter| {
                let (name, value) = (attr(parameter, "name"), parameter.attr("value").map(|value| format!(":{value}")).unwrap_or_default());
                if name == "msid" {
                    collector.say(format_args!("msid {}", value.get(1..).unwrap_or_default()));
                }
                collector.say(format_args!("source {} {name}{value}", attr(child, "ssrc")));
            }),
            "ssrc-group" => {
                let sources: String = child.children().map(|source| format!(" {}", attr(source, "ssrc"))).collect();
                collector.say(format_args!("sources {}{sources}", attr(child, "semantics")));
            }
            "stream" => collector.say(format_args!("msid {} {}", attr(child, "id"), attr(child, "track"))),
            _ => of_other(child, collector),
        }
    }
}

fn of_payload_type(payload: Node<'_>, collector: &mut Collector) {
    let id = attr(payload, "id");
    let channels = payload.attr("channels").unwrap_or("1");
    collector.say(format_args!("codec {id} {}/{}/{channels}", attr(payload, "name"), attr(payload, "clockrate")));
    for name in ["ptime", "maxptime"] {
        if let Some(value) = payload.attr(name) {
            collector.say(format_args!("{name} {id} {value}"));
        }
    }
    for child in payload.children() {
        match (child.name(), attr(child, "name"), child.attr("value")) {
            ("parameter", "", Some(value)) => collector.say(format_args!("parameter {id} {value}")),
            ("parameter", name, None) => collector.say(format_args!("parameter {id} {name}")),
            ("parameter", name, Some(value)) => collector.say(format_args!("parameter {id} {name}={value}")),
            ("rtcp-fb" | "rtcp-fb-trr-int", ..) => of_feedback(id, child, collector),
            _ => of_other(child, collector),
        }
    }
}

fn of_feedback(id: &str, feedback: Node<'_>, collector: &mut Collector) {
    if feedback.name() == "rtcp-fb-trr-int" {
        return collector.say(format_args!("feedback {id} trr-int {}", attr(feedback, "value")));
    }
    let parameters = feedback.children().map(|parameter| attr(parameter, "name"));
    let words: Vec<&str> =
        [attr(feedback, "type"), attr(feedback, "subtype")].into_iter().chain(parameters).filter(|word| !word.is_empty()).collect();
    collector.say(format_args!("feedback {id} {}", words.join(" ")));
}

fn of_transport(transport: Node<'_>, collector: &mut Collector) {
    collector.say(format_args!("method {}", transport.ns()));
    for (attribute, fact) in [("ufrag", "ice-ufrag"), ("pwd", "ice-pwd")] {
        if let Some(value) = transport.attr(attribute) {
            collector.say(format_args!("{fact} {value}"));
        }
    }
    for child in transport.children() {
        match child.name() {
            name if child.ns() == OPTION => collector.say(format_args!("ice-option {name}")),
            "fingerprint" => {
                collector.say(format_args!("fingerprint {} {}", attr(child, "hash"), child.text().trim()));
                collector.say(format_args!("setup {}", attr(child, "setup")));
            }
            "candidate" => {
                let (foundation, component, address, port) =
                    (attr(child, "foundation"), attr(child, "component"), attr(child, "ip"), attr(child, "port"));
                let id = format!("{foundation} {component} {address} {port}");
                let rest = ["protocol", "priority", "type", "rel-addr", "rel-port", "tcptype"].map(|name| attr(child, name));
                collector.say(format_args!("candidate {id} {}", rest.join(" ").to_ascii_lowercase()));
                for (_, name, value) in child.attrs() {
                    if !CANDIDATE.contains(&name) {
                        collector.say(format_args!("candidate-extension {id} {name} {value}"));
                    }
                }
            }
            "sctpmap" => {
                collector.say(format_args!("sctp port {}", attr(child, "number")));
                collector.say(format_args!("sctp format {}", attr(child, "protocol")));
                if let Some(streams) = child.attr("streams") {
                    collector.say(format_args!("sctp streams {streams}"));
                }
            }
            "gathering-complete" => collector.say("end-of-candidates"),
            _ => of_other(child, collector),
        }
    }
}

const CANDIDATE: [&str; 10] = ["foundation", "component", "ip", "port", "protocol", "priority", "type", "rel-addr", "rel-port", "tcptype"];
