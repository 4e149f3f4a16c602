//! Whole descriptions, and the normal form.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use smol_str::SmolStr;

use super::*;
use crate::jingle::content::{self, JingleError};
use crate::jingle::reading::Reading;
use crate::jingle::strategies;
use crate::jingle::transport::Sctp;
use crate::sdp::convert::to_xml;
use crate::sdp::corpus::party_of;
use crate::sdp::losses;
use crate::sdp::normal::{is_whole, normal, normal_jingle, said_by_stanza};
use crate::sdp::{corpus, parse, write};
use crate::xml::{Bindings, Element};

/// With what tells where the first difference is.
fn check(name: &str, lines: &SessionDescription, expected: &SessionDescription) {
    if lines != expected {
        let (lines, expected) = (write(lines), write(expected));
        let first = lines.lines().zip(expected.lines()).find(|(line, expected)| line != expected);
        panic!("{name}: {first:?}\n{lines}\nis not\n{expected}");
    }
}

#[test]
fn every_description_of_the_corpus_comes_back_in_normal_form() {
    for (name, _, lines) in corpus::descriptions().into_iter().filter(|(.., lines)| lines.origin.is_some()) {
        let party = party_of(&name);
        let (description, _) = from_sdp(lines.clone(), party, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        comes_back(&name, lines, &description);
    }
}

fn comes_back(name: &str, lines: SessionDescription, description: &Description) {
    let expected = normal(lines, description.party);
    check(name, &to_sdp(description).0, &expected);
    check(name, &normal(expected.clone(), description.party), &expected);
    assert!(parse(&write(&expected)).is_ok(), "{name}");
    // By way of XML, which has all of it and nothing that is amiss.
    let jingle = description.to_jingle(Action::SessionInitiate);
    let xml = to_xml(&jingle);
    let mut reading = Reading::whole();
    let read = Element::parse(xml.as_bytes(), &Bindings::client()).map(|element| Jingle::read(element.root(), &mut reading));
    let read = read.unwrap_or_else(|error| panic!("{error}: {xml}")).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!(reading.into_problems().0, [], "{name}: {xml}");
    assert_eq!(read, jingle, "{name}: {xml}");
    let is_active = description.sections.iter().any(|section| section.state == State::Active);
    match from_jingle(read, description.party, None) {
        Ok((alone, _)) => check(name, &to_sdp(&alone).0, &said_by_stanza(expected)),
        Err(error) => assert!(!is_active, "{name}: {error}: {xml}"),
    }
}

fn read(xml: &str) -> Result<Jingle, JingleError> {
    let element = Element::parse(xml.trim().as_bytes(), &Bindings::client()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    Jingle::read(element.root(), &mut Reading::whole())
}

/// By way of text.
fn there_and_back(jingle: &Jingle, party: Party) -> Jingle {
    let (description, _) = from_jingle(jingle.clone(), party, None).unwrap_or_else(|error| panic!("{error}: {jingle:?}"));
    let text = write(&to_sdp(&description).0);
    let lines = parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    from_sdp(lines, party, None).unwrap_or_else(|error| panic!("{error}: {text}")).0.to_jingle(jingle.action)
}

#[test]
fn every_stanza_of_the_corpus_comes_back_in_normal_form() {
    // Every stanza can be read; those of other actions say no description.
    let (mut count, mut others) = (0, 0);
    for (name, text) in corpus::texts("jingle", "xml") {
        let jingle = match read(&text) {
            Ok(jingle) => jingle,
            // One element of a stanza.
            Err(_) if name.ends_with("-fragment.xml") => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        if !is_whole(&jingle) {
            others += usize::from(matches!(jingle.action, Action::SessionInitiate | Action::SessionAccept));
            continue;
        }
        let party = party_of(&name);
        let expected = normal_jingle(jingle.clone(), party);
        assert_eq!(there_and_back(&jingle, party), expected, "{name}");
        assert_eq!(there_and_back(&expected, party), expected, "{name}");
        count += 1;
    }
    assert_eq!((count, others), (46, 3), "stanzas with a description, and those that lack what SDP needs");
}

/// Programs that read lines as Unicode has them (aiortc by Python's `splitlines`) would take what follows for one.
#[test]
fn no_word_of_a_stanza_ends_a_line() {
    for end in ["&#x85;", "&#x2028;", "&#x2029;", "&#xd;&#xa;"] {
        let evil = format!("x{end}a=evil:1");
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{evil}' initiator='{evil}'>
             <content creator='initiator' name='{evil}' disposition='{evil}'>
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>
             <payload-type id='96' name='opus' clockrate='48000'><parameter name='a' value='{evil}'/><parameter name='{evil}' value='b'/>
             <rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='{evil}'/></payload-type>
             <rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='{evil}'/>
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'><parameter name='cname' value='{evil}'/></source>
             <stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='{evil}' track='t'/>
             <encryption><crypto crypto-suite='s' key-params='inline:{evil}' session-params='{evil}' tag='1'/></encryption></description>
             <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhY' pwd='asd88fgpdd777uzjYhagZg'>
             <candidate component='1' foundation='1' generation='0' id='1' ip='192.0.2.1' port='5' priority='1' protocol='udp' type='host' x='{evil}' network='{evil}'/>
             </transport></content></jingle>"
        );
        let (description, _) = from_jingle(read(&xml).unwrap(), Party::Initiator, None).unwrap();
        let text = write(&to_sdp(&description).0);
        let lines = text.split(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']);
        assert!(lines.clone().count() > 10 && !lines.clone().any(|line| line.starts_with("a=evil")), "{text}");
        assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}']) && parse(&text).is_ok(), "{text}");
    }
}

/// lib-jitsi-meet writes it for an m= line of port 0.
#[test]
fn rejected_senders_are_a_refusal() {
    let content = |name: &str, senders: &str| {
        format!(
            "<content creator='initiator' name='{name}' senders='{senders}'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{name}'>
             <payload-type id='96' name='x' clockrate='8000'/></description>
             <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhY' pwd='asd88fgpdd777uzjYhagZg'/></content>"
        )
    };
    let contents = content("audio", "both") + &content("video", "rejected");
    let xml = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='7'>{contents}</jingle>");
    let request = crate::sdp::convert::Request { party: Party::Initiator, action: None, before: None };
    let (text, warnings) = crate::sdp::convert::to_sdp(&xml, &request).unwrap();
    assert!(text.contains("m=audio") && !text.contains("m=video"), "{text}");
    let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["content 'video': the content is left out: senders='rejected' is no word of XEP-0166, and taken for a refusal"]);
}

/// The same with words that SDP has in their places.
fn sayable(mut jingle: Jingle, is_answer: bool) -> Jingle {
    let names: Vec<SmolStr> = jingle.contents.iter().map(|content| content.name.clone()).collect();
    jingle.groups.iter_mut().for_each(|group| group.contents.extend_from_slice(&names));
    jingle.action = if is_answer { Action::SessionAccept } else { Action::SessionInitiate };
    for content in &mut jingle.contents {
        content.protocol.take_if(|protocol| !protocol.split('/').all(words::is_token));
        if let Some(transport) = &mut content.transport {
            let ice = |text: &str, len: usize| SmolStr::from(format!("{}{}", text.replace('.', "/"), "x".repeat(len)));
            transport.ufrag = transport.ufrag.as_ref().map(|ufrag| ice(ufrag, 3));
            transport.pwd = transport.pwd.as_ref().map(|pwd| ice(pwd, 21).into());
            transport.candidates.iter_mut().for_each(|candidate| candidate.component = candidate.component.max(1));
            transport.remote_candidates.iter_mut().for_each(|candidate| candidate.component = candidate.component.max(1));
            let is_number = |sctp: &&mut Sctp| sctp.protocol.parse::<u16>().is_ok();
            transport.sctp.as_mut().filter(is_number).into_iter().for_each(|sctp| sctp.protocol = "webrtc-datachannel".into());
            if let Some(dtls) = &mut transport.dtls {
                dtls.fingerprints.iter_mut().for_each(|fingerprint| fingerprint.hash = fingerprint.hash.to_ascii_lowercase().into());
            }
        }
        if let Some(content::Description::Rtp(rtp)) = &mut content.description {
            for crypto in rtp.encryption.iter_mut().flat_map(|encryption| &mut encryption.cryptos) {
                crypto.key_params = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj".into();
            }
        }
    }
    jingle
}

/// What becomes of the lines of a description.
#[derive(Debug, Clone)]
enum Edit {
    Remove(Index),
    Move(Index, Index),
    Double(Index, Index),
    /// A line of another description.
    Borrow(Index, Index, Index),
    /// Two lines that are alike change what stands behind the first `:` or ` `.
    Mix(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Edit::Remove),
        (index(), index()).prop_map(|(from, to)| Edit::Move(from, to)),
        (index(), index()).prop_map(|(from, to)| Edit::Double(from, to)),
        (index(), index(), index()).prop_map(|(text, from, to)| Edit::Borrow(text, from, to)),
        (index(), index(), index()).prop_map(|(text, from, to)| Edit::Mix(text, from, to)),
    ]
}

fn edited(texts: &[Vec<String>], text: Index, edits: &[Edit]) -> String {
    let mut lines: Vec<String> = texts[text.index(texts.len())].to_vec();
    for edit in edits {
        match *edit {
            Edit::Remove(at) if lines.len() > 6 => drop(lines.remove(5 + at.index(lines.len() - 5))),
            Edit::Remove(_) => {}
            Edit::Move(from, to) => {
                let line = lines.remove(from.index(lines.len()));
                lines.insert(to.index(lines.len() + 1), line);
            }
            Edit::Double(from, to) => lines.insert(to.index(lines.len() + 1), lines[from.index(lines.len())].clone()),
            Edit::Borrow(text, from, to) => {
                let other = &texts[text.index(texts.len())];
                lines.insert(to.index(lines.len() + 1), other[from.index(other.len())].clone());
            }
            Edit::Mix(text, from, to) => {
                let other = &texts[text.index(texts.len())];
                let start = |line: &str| line.split_inclusive([':', ' ']).next().unwrap_or_default().to_owned();
                let line = &other[from.index(other.len())];
                let like: Vec<usize> = (0..lines.len()).filter(|place| start(&lines[*place]) == start(line)).collect();
                if !like.is_empty() {
                    lines[like[to.index(like.len())]] = line.clone();
                }
            }
        }
    }
    lines.join("\r\n") + "\r\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stanza_comes_back_in_normal_form(jingle in strategies::jingle(strategies::Text::Line), is_answer: bool) {
        let jingle = sayable(jingle, is_answer);
        if is_whole(&jingle) {
            let party = if is_answer { Party::Responder } else { Party::Initiator };
            let expected = normal_jingle(jingle.clone(), party);
            prop_assert_eq!(there_and_back(&jingle, party), expected.clone());
            prop_assert_eq!(there_and_back(&expected, party), expected);
        }
    }

    #[test]
    fn edited_descriptions_come_back_in_normal_form(text: Index, edits in proptest::collection::vec(edit(), 1..12), is_answer: bool) {
        static TEXTS: OnceLock<Vec<Vec<String>>> = OnceLock::new();
        let whole = |(_, text, lines): (String, String, SessionDescription)| {
            lines.origin.map(|_| text.lines().map(ToOwned::to_owned).collect())
        };
        let texts = TEXTS.get_or_init(|| corpus::descriptions().into_iter().filter_map(whole).collect());
        let text = edited(texts, text, &edits);
        let party = if is_answer { Party::Responder } else { Party::Initiator };
        if let Some((lines, (description, _))) = parse(&text).ok().and_then(|lines| Some((lines.clone(), from_sdp(lines, party, None).ok()?))) {
            let lost = losses::lost_lines(&lines, party);
            prop_assert!(lost.is_empty(), "{:?} of {}", lost, text);
            comes_back(&text, lines, &description);
        }
    }
}
