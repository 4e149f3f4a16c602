//! Nothing vanishes in silence: what a text or a stanza says and what comes back does not, a warning names, or it is in the short lists here, which
//! are those of "Normal form" in `docs/sdp-mapping.md`.

use std::collections::BTreeSet;

use super::convert::to_xml;
use super::line::{Attribute, MediaDescription, Numbered, SessionDescription};
use super::map::{from_jingle, from_sdp, to_sdp};
use super::normal::is_whole;
use super::warning::{Place, Warning};
use super::{corpus, parse, write};
use crate::jingle::reading::Reading;
use crate::jingle::{Action, Jingle, Party};
use crate::sdp::corpus::party_of;
use crate::xml::{Bindings, Element, Node};

/// The lines that are lost without a word.
pub fn lost_lines(lines: &SessionDescription, party: Party) -> Vec<(u32, String)> {
    let Ok((description, mut warnings)) = from_sdp(lines.clone(), party, None) else { return Vec::new() };
    let (back, more) = to_sdp(&description);
    warnings.extend(more);
    let is_warned = |line: u32| warnings.iter().any(|warning| warning.place == Place::Line(line));
    // What is said of a payload type that m= does not have is warned of once.
    let is_of_none = |attribute: &Attribute, media: &MediaDescription| match attribute {
        Attribute::Rtpmap { payload, .. }
        | Attribute::Fmtp { payload, .. }
        | Attribute::RtcpFb { payload: Some(payload), .. }
        | Attribute::RtcpFbTrrInt { payload: Some(payload), .. } => {
            let lines = media.line..=media.attributes.last().map_or(media.line, |last| last.line);
            let is_here = |place: &Place| matches!(place, Place::Line(line) if lines.contains(line));
            let is_named = |text: &str| text.split(|char: char| !char.is_ascii_digit()).any(|word| word == payload.to_string());
            warnings.iter().any(|warning| is_here(&warning.place) && is_named(&warning.text))
        }
        _ => false,
    };
    let mut lost = Vec::new();
    let is_active = |media: &&MediaDescription| !is_refused(media);
    for Numbered { line, attribute } in &lines.attributes {
        // It goes to the sections, which may have their own (RFC 8122 §5, RFC 8839 §5.4); none may be left.
        let of_sections = || back.media.iter().filter(is_active).any(|media| is_in(attribute, media) || has_own(attribute, media));
        let is_said = back.attributes.iter().any(|back| back.attribute == *attribute);
        if !is_said && !of_sections() && !is_warned(*line) && back.media.iter().any(|media| !is_refused(media)) {
            lost.push((*line, format!("{attribute:?}")));
        }
    }
    for (media, back) in lines.media.iter().zip(&back.media) {
        // Of a refused section nothing could be answered.
        if is_refused(back) {
            assert!(media.port == 0 || is_warned(media.line), "{media:?}");
            continue;
        }
        for Numbered { line, attribute } in &media.attributes {
            if !is_in(attribute, back) && !is_moved(attribute, back) && !is_of_none(attribute, media) && !is_warned(*line) {
                lost.push((*line, format!("{attribute:?}")));
            }
        }
        let others =
            media.others.iter().filter(|other| !back.others.iter().any(|back| (back.kind, &back.value) == (other.kind, &other.value)));
        lost.extend(others.filter(|other| !is_warned(other.line)).map(|other| (other.line, other.value.to_string())));
        let is_same = media.media == back.media && media.protocol == back.protocol && media.bandwidths == back.bandwidths;
        let mut formats = media.formats.iter();
        let is_sctp = media.protocol.ends_with("SCTP");
        if !(is_same && (is_sctp || formats.all(|format| back.formats.contains(format))) || is_warned(media.line)) {
            lost.push((media.line, format!("{} {} {:?} {:?}", media.media, media.protocol, media.formats, media.bandwidths)));
        }
        // With ICE `c=` is the default destination, whatever it was.
        if (media.ports.is_some() || media.connections.len() > 1 && !is_ice(back)) && !is_warned(media.line) {
            lost.push((media.line, format!("{:?} {:?}", media.ports, media.connections)));
        }
    }
    lost
}

fn is_refused(media: &MediaDescription) -> bool {
    let is_bundle_only = |line: &Numbered| matches!(&line.attribute, Attribute::Other { name, .. } if name == "bundle-only");
    media.port == 0 && !media.attributes.iter().any(is_bundle_only)
}

/// Whether a section says what this attribute says, in the words of the normal form.
fn is_in(attribute: &Attribute, back: &MediaDescription) -> bool {
    let mut lines = back.attributes.iter().map(|line| &line.attribute);
    match attribute {
        // One list for all lines of a payload type.
        Attribute::Fmtp { payload, parameters } => {
            parameters.is_empty()
                || lines.any(|line| match line {
                    Attribute::Fmtp { payload: other, parameters: all } => {
                        other == payload && parameters.iter().all(|own| all.contains(own))
                    }
                    _ => false,
                })
        }
        // One line.
        Attribute::IceOptions(options) => {
            lines.any(|line| matches!(line, Attribute::IceOptions(all) if options.iter().all(|option| all.contains(option))))
        }
        Attribute::RemoteCandidates(own) => {
            lines.any(|line| matches!(line, Attribute::RemoteCandidates(all) if own.iter().all(|candidate| all.contains(candidate))))
        }
        // The clock rate is completed.
        Attribute::Rtpmap { payload, name, clockrate: None, .. } => {
            lines.any(|line| matches!(line, Attribute::Rtpmap { payload: other, name: its, .. } if other == payload && its == name))
        }
        // A source without attributes is one.
        Attribute::Ssrc { ssrc, parameter } if parameter.name.is_empty() => {
            lines.any(|line| matches!(line, Attribute::Ssrc { ssrc: other, .. } if other == ssrc))
        }
        // An empty value of a word is none.
        Attribute::RtcpFb { .. } | Attribute::Extmap { .. } => {
            let written = |attribute: &Attribute| {
                let mut text = String::new();
                super::write_attribute(attribute, &mut text);
                text.replace("= ", " ").trim_end_matches('=').to_owned()
            };
            let expected = written(attribute);
            lines.any(|line| written(line) == expected)
        }
        // Plan B: it is the sources'.
        Attribute::Msid(msid) => lines.any(|line| match line {
            Attribute::Msid(other) => other == msid,
            Attribute::Ssrc { parameter, .. } => {
                let text = msid.track.as_ref().map_or(msid.stream.to_string(), |track| format!("{} {track}", msid.stream));
                parameter.name == "msid" && parameter.value.as_deref() == Some(&text)
            }
            _ => false,
        }),
        // Ours are written where they say something.
        Attribute::Other { name, value: Some(value) } if name == "jingle-creator" && value == "initiator" => true,
        Attribute::Other { name, value: Some(value) } if name == "jingle-disposition" && value == "session" => true,
        Attribute::Other { name, value } if name == "jingle-name" => {
            let value = value.as_deref().unwrap_or_default();
            lines.any(|line| match line {
                Attribute::Mid(mid) => mid == value,
                Attribute::Other { name: its, .. } => its == name,
                _ => false,
            })
        }
        _ => lines.any(|line| line == attribute),
    }
}

fn is_ice(media: &MediaDescription) -> bool {
    let is_of_ice = |attribute: &Attribute| {
        matches!(attribute, Attribute::IceUfrag(_) | Attribute::IcePwd(_) | Attribute::Candidate(_) | Attribute::RemoteCandidates(_))
    };
    media.attributes.iter().any(|line| is_of_ice(&line.attribute))
}

/// What another line says on the way back.
fn is_moved(attribute: &Attribute, back: &MediaDescription) -> bool {
    let has = |is: fn(&Attribute) -> bool| back.attributes.iter().any(|line| is(&line.attribute));
    match attribute {
        // It is the default of component 2, or nobody's with rtcp-mux (RFC 5761 §5.1.3); the same address need not be said.
        Attribute::Rtcp { .. } => is_ice(back) || has(|line| matches!(line, Attribute::Rtcp { .. })),
        // RFC 8841 and the drafts before it say one thing.
        Attribute::SctpPort(_) | Attribute::Sctpmap { .. } => {
            has(|line| matches!(line, Attribute::SctpPort(_) | Attribute::Sctpmap { .. }))
        }
        // RFC 3264 §8.4: no address is hold.
        Attribute::Direction(_) => {
            matches!(&*back.connections[0].address, "0.0.0.0" | "::") && has(|line| matches!(line, Attribute::Direction(_)))
        }
        _ => false,
    }
}

/// Whether a section says itself what the session says for those that do not.
fn has_own(attribute: &Attribute, back: &MediaDescription) -> bool {
    let is_like = |line: &Numbered| std::mem::discriminant(&line.attribute) == std::mem::discriminant(attribute);
    let is_of_sections = matches!(
        attribute,
        Attribute::Direction(_) | Attribute::Fingerprint(_) | Attribute::Setup(_) | Attribute::IceUfrag(_) | Attribute::IcePwd(_)
    );
    is_of_sections && back.attributes.iter().any(is_like)
}

#[test]
fn no_line_of_the_corpus_is_lost_without_a_warning() {
    let mut lost = Vec::new();
    for (name, _, lines) in corpus::descriptions().into_iter().filter(|(.., lines)| lines.origin.is_some()) {
        lost.extend(lost_lines(&lines, party_of(&name)).into_iter().map(|(line, text)| format!("{name}:{line}: {text}")));
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// What an element says, one fact for each element, attribute and text; contents apart.
fn facts(node: Node<'_>, path: &str, out: &mut BTreeSet<String>) {
    let path = format!("{path}/{}", node.name());
    out.insert(format!("{path} xmlns={}", node.ns()));
    out.extend(node.attrs().map(|(_, name, value)| format!("{path} {name}={value}")));
    let text = node.text();
    out.extend(Some(text.trim()).filter(|text| !text.is_empty()).map(|text| format!("{path} text={}", text.to_uppercase())));
    for child in node.children() {
        facts(child, &path, out);
    }
}

/// Facts by content; those of the session have no name.
fn facts_of(xml: &str) -> Vec<(Option<String>, BTreeSet<String>)> {
    let element = Element::parse(xml.trim().as_bytes(), &Bindings::client()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let (mut session, mut contents) = (BTreeSet::new(), Vec::new());
    for (_, name, value) in element.root().attrs() {
        session.insert(format!("jingle {name}={value}"));
    }
    for child in element.root().children() {
        if child.name() == "content" {
            let mut of_content = BTreeSet::new();
            facts(child, "", &mut of_content);
            contents.push((Some(child.attr("name").unwrap_or_default().to_owned()), of_content));
        } else {
            facts(child, "jingle", &mut session);
        }
    }
    contents.push((None, session));
    contents
}

fn read(xml: &str) -> Option<(Jingle, Vec<Warning>)> {
    let element = Element::parse(xml.trim().as_bytes(), &Bindings::client()).ok()?;
    let mut reading = Reading::whole();
    let jingle = Jingle::read(element.root(), &mut reading).ok()?;
    let warning = |problem: crate::jingle::reading::Problem| Warning {
        place: problem.content.map_or(Place::Session, Place::Content),
        text: problem.text,
    };
    Some((jingle, reading.into_problems().0.into_iter().map(warning).collect()))
}

/// What comes back in other words. See "Normal form".
fn is_said_otherwise(fact: &str, back: &BTreeSet<String>) -> bool {
    let (path, said) = fact.split_once(' ').unwrap_or((fact, ""));
    let value = said.split_once('=').map_or("", |(_, value)| value);
    let has = |start: &str, end: &str| back.iter().any(|other| other.starts_with(start) && other.ends_with(end));
    match (path, said.split('=').next().unwrap_or_default()) {
        // Ids are made anew.
        ("/content/transport/candidate", "id") => true,
        // XEP-0167 §4 has a source as an attribute, XEP-0339 as an element.
        ("/content/description", "ssrc") => back.contains(&format!("/content/description/source ssrc={value}")),
        // stanza.js' stream is on the sources, as XEP-0339 has it.
        ("/content/description/stream", "xmlns") => has("/content/description/source/parameter name=msid", ""),
        ("/content/description/stream", _) => {
            has("/content/description/source/parameter value=", value)
                || has(&format!("/content/description/source/parameter value={value}"), "")
        }
        // A word without a name.
        ("/content/description/payload-type/parameter", "name") => has("/content/description/payload-type/parameter value=", value),
        _ => false,
    }
}

#[test]
fn no_fact_of_a_stanza_of_the_corpus_is_lost_without_a_warning() {
    let (mut lost, mut count) = (Vec::new(), 0);
    for (name, text) in corpus::texts("jingle", "xml") {
        let Some((jingle, mut warnings)) = read(&text).filter(|(jingle, _)| is_whole(jingle)) else { continue };
        let party = party_of(&name);
        let action: Action = jingle.action;
        let (description, more) = from_jingle(jingle, party, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        warnings.extend(more);
        let (lines, more) = to_sdp(&description);
        warnings.extend(more);
        let lines = parse(&write(&lines)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (description, more) = from_sdp(lines, party, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        warnings.extend(more);
        let back = facts_of(&to_xml(&description.into_jingle(action)));
        for (content, said) in facts_of(&text) {
            let is_place = |place: &Place| match (&content, place) {
                (Some(content), Place::Content(name)) => name == content,
                (None, Place::Session) => true,
                _ => false,
            };
            let texts: Vec<&str> = warnings.iter().filter(|warning| is_place(&warning.place)).map(|warning| &*warning.text).collect();
            let back = back.iter().find(|(name, _)| *name == content).map(|(_, facts)| facts);
            for fact in said {
                count += 1;
                let is_back = back.is_some_and(|back| back.contains(&fact));
                let is_renamed = back.is_some_and(|back| is_said_otherwise(&fact, back));
                if !is_back && !is_renamed && !is_named(&fact, &texts) {
                    lost.push(format!("{name}: {content:?}: {fact}"));
                }
            }
        }
    }
    assert!(count > 2500, "{count}");
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// Whether a warning names the element or the attribute.
fn is_named(fact: &str, warnings: &[&str]) -> bool {
    let (path, said) = fact.split_once(' ').unwrap_or((fact, ""));
    let element = path.rsplit('/').next().unwrap_or_default();
    let attribute = said.split('=').next().unwrap_or_default();
    let is_left_out = |text: &str| {
        text.contains("the content is left out") || path.starts_with("/content/description") && text.contains("not what it is for")
    };
    let names = |text: &str| {
        let is_element = path.matches('/').count() > 1 && text.contains(element);
        is_element || text.contains(&format!("attribute {attribute} ")) || text.contains(&format!(" {attribute}"))
    };
    warnings.iter().any(|text| is_left_out(text) || names(text))
}
