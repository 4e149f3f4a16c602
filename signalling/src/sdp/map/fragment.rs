//! Candidates that follow, and new credentials: transport-info (XEP-0176 §5.1 and §5.9) against fragments of SDP (RFC 8840 §9).

use smol_str::SmolStr;

use super::dtls::{self, DtlsBuilder};
use super::ice::{self, IceBuilder};
use super::names::{self, Name};
use super::session::Level;
use super::words::is_token;
use super::{MapError, Quoted, carried, refused};
use crate::jingle::content::{Action, Content, Jingle, Party};
use crate::jingle::transport::Method;
use crate::sdp::description::{Description, Section, State};
use crate::sdp::line::{Attribute, MediaDescription, Numbered, OtherLine, SessionDescription};
use crate::sdp::warning::{Warning, Warnings};

/// The transport-info of a fragment by this party. `previous` is what it said before, for names, creators, methods and the session's id; where the
/// fragment has no m= line, as single candidates from a browser, its first active section is meant.
///
/// # Errors
/// A section that is not known, or not said.
pub fn from_fragment(lines: SessionDescription, party: Party, previous: Option<&Description>) -> Result<(Jingle, Vec<Warning>), MapError> {
    let mut warnings = Warnings::default();
    let mut lines = lines;
    let known = previous.map_or(&[][..], |previous| &previous.sections);
    let mids = names::mids(known);
    if lines.media.is_empty() {
        let attributes = std::mem::take(&mut lines.attributes);
        let line = attributes.first().map_or(1, |numbered| numbered.line);
        let Some(index) = known.iter().position(|section| section.state == State::Active) else {
            return Err(MapError::line(
                line,
                format_args!("there is no m= line with an a=mid, and no description that had one (RFC 8840 §9)"),
            ));
        };
        let mid = Attribute::Mid(mids[index].clone()).into();
        lines.media.push(MediaDescription {
            line,
            attributes: std::iter::once(mid).chain(attributes).collect(),
            ..MediaDescription::default()
        });
    }
    let session = Level::read(lines.attributes, None, Vec::new(), &mut warnings);
    session.unused_in_fragment(&mut warnings);
    unused(lines.others, lines.connection.is_some(), !lines.bandwidths.is_empty(), &mut warnings);
    if previous.is_none() {
        warnings.add(format_args!("the sid is \"0\": a fragment does not say which session it is of"));
    }
    let mut jingle = Jingle::new(Action::TransportInfo, previous.map_or("0", |previous| &previous.sid));
    for media in lines.media {
        let line = media.line;
        let content = read(media, party, &session, known, &mids, &mut warnings)?;
        if jingle.contents.iter().any(|other| (other.creator, &other.name) == (content.creator, &content.name)) {
            return Err(MapError::line(line, format_args!("a second section of this a=mid: {}", Quoted(&content.name))));
        }
        jingle.contents.push(content);
    }
    warnings.leave();
    jingle.carried = session.carried;
    Ok((jingle, warnings.into_vec()))
}

/// Says what else than attributes of transports stands in a fragment.
fn unused(others: Vec<OtherLine>, has_connection: bool, has_bandwidth: bool, warnings: &mut Warnings) {
    for OtherLine { line, kind, .. } in others {
        warnings.at(line, format_args!("{kind}= is left out: it does not belong into a fragment"));
    }
    for kind in [has_connection.then_some('c'), has_bandwidth.then_some('b')].into_iter().flatten() {
        warnings.add(format_args!("{kind}= is left out: it does not belong into a fragment"));
    }
}

fn read(
    mut media: MediaDescription,
    party: Party,
    session: &Level,
    known: &[Section],
    mids: &[SmolStr],
    warnings: &mut Warnings,
) -> Result<Content, MapError> {
    let (mut mid, mut name, mut creator) = (None, None, None);
    let (mut ice, mut dtls, mut carried) = (IceBuilder::default(), DtlsBuilder::default(), Vec::new());
    for Numbered { line, attribute } in std::mem::take(&mut media.attributes) {
        match attribute {
            Attribute::Mid(text) if mid.is_none() && is_token(&text) => mid = Some(text),
            Attribute::Fingerprint(fingerprint) => dtls.fingerprint(line, fingerprint, warnings),
            Attribute::Setup(setup) => dtls.setup(line, setup, warnings),
            Attribute::Other { name: attribute, value } => match &*attribute {
                names::NAME if name.is_none() => name = value.as_deref().map_or(Some(SmolStr::default()), names::decode),
                names::CREATOR if creator.is_none() => creator = value.as_deref().and_then(Party::parse),
                _ => carried::keep_attribute(&attribute, value.as_deref(), line, &mut carried, warnings),
            },
            other => {
                if let Some(other) = ice.take(line, other, warnings) {
                    warnings.at(line, format_args!("a={} is left out: it does not belong into a fragment", carried::name(&other)));
                }
            }
        }
    }
    let Some(mid) = mid else {
        return Err(MapError::line(media.line, format_args!("an a=mid was expected in this section (RFC 8840 §9)")));
    };
    let index = mids.iter().position(|known| *known == mid);
    if index.is_none() && !known.is_empty() {
        return Err(MapError::line(media.line, format_args!("there is no section of this a=mid: {}", Quoted(&mid))));
    }
    let before = index.map(|index| &known[index].content);
    let name = match before {
        Some(content) => Name { creator: content.creator, name: content.name.clone() },
        None => Name { creator: creator.unwrap_or(Party::Initiator), name: name.unwrap_or(mid) },
    };
    warnings.enter(&name.name);
    unused(media.others, !media.connections.is_empty(), !media.bandwidths.is_empty(), warnings);
    let is_ice = before.and_then(Content::method) == Some(&Method::Ice);
    let mut transport = ice.finish_part(if is_ice { Method::Ice } else { Method::IceUdp }, session, warnings);
    transport.dtls = dtls.finish(party, session, warnings);
    // XEP-0176 §5.3: they "MUST be included whenever sending one or more candidates"; browsers give a candidate alone.
    if let (None, None, Some(before)) = (&transport.ufrag, &transport.pwd, before.and_then(|content| content.transport.as_ref())) {
        (transport.ufrag, transport.pwd) = (before.ufrag.clone(), before.pwd.clone());
    }
    Ok(Content {
        creator: name.creator,
        name: name.name,
        senders: None,
        disposition: None,
        description: None,
        transport: Some(transport),
        protocol: None,
        carried,
    })
}

/// The fragment of a transport-info by this party. `description` is what the party said before, for mids and the words of the m= lines.
#[must_use]
pub fn to_fragment(jingle: &Jingle, party: Party, description: Option<&Description>) -> (SessionDescription, Vec<Warning>) {
    let mut warnings = Warnings::default();
    let mut lines = SessionDescription::default();
    let known = description.map_or(&[][..], |description| &description.sections);
    let known_mids = names::mids(known);
    let contents: Vec<Section> = jingle.contents.iter().map(|content| Section::new(content.clone(), State::Active)).collect();
    let own_mids = names::mids(&contents);
    for (content, own_mid) in jingle.contents.iter().zip(own_mids) {
        warnings.enter(&content.name);
        let same_name = || known.iter().enumerate().filter(|(_, section)| section.content.name == content.name);
        let place = same_name().find(|(_, section)| section.content.creator == content.creator).or_else(|| same_name().next());
        let mid = place.map_or(own_mid, |(index, _)| known_mids[index].clone());
        let section = place.map(|(_, section)| &section.content);
        lines.media.extend(write(content, mid, party, section, &mut warnings));
    }
    warnings.leave();
    for line in &jingle.carried {
        match line.kind {
            'a' => lines.attributes.extend(carried::to_attribute(line, &mut warnings)),
            _ => carried::unknown(line, &mut warnings),
        }
    }
    (lines, warnings.into_vec())
}

fn write(content: &Content, mid: SmolStr, party: Party, known: Option<&Content>, warnings: &mut Warnings) -> Option<MediaDescription> {
    let transport = content.transport.as_ref().filter(|transport| matches!(transport.method, Method::IceUdp | Method::Ice));
    let Some(transport) = transport else {
        warnings.add(format_args!("the content is left out: a fragment of SDP has ICE only"));
        return None;
    };
    // RFC 8840 §9: the words of the m= line do not matter, but they should be those of the description.
    let mut section = match known {
        Some(known) => refused::line(known, warnings),
        None => MediaDescription {
            media: SmolStr::new_static("audio"),
            protocol: SmolStr::new_static("RTP/AVP"),
            formats: vec![SmolStr::new_static("0")],
            ..MediaDescription::default()
        },
    };
    section.port = super::destination::NO_PORT;
    let out = &mut section.attributes;
    names::write(content, mid, out);
    ice::write_candidates(transport, out, warnings);
    ice::write(transport, true, out, warnings);
    if let Some(dtls) = &transport.dtls {
        dtls::write(dtls, party, out, warnings);
    }
    out.extend(ice::remote_candidates(transport, warnings));
    for line in &content.carried {
        match line.kind {
            'a' => out.extend(carried::to_attribute(line, warnings)),
            _ => carried::unknown(line, warnings),
        }
    }
    Some(section)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, read};
    use super::*;
    use crate::sdp::{parse_fragment, write as text};

    const NO_SESSION: &str = "the sid is \"0\": a fragment does not say which session it is of";
    const CANDIDATE: &str = "a=candidate:1 1 udp 2130706431 10.0.1.1 8998 typ host generation 0";

    fn before() -> Description {
        let section = |media: &str, name: &str| format!("{}\n{name}", AUDIO.replace("audio", media));
        let mut body = section("audio", "a=mid:0\na=jingle-name:my microphone\n");
        body.push_str(&section("video", "a=mid:1\na=jingle-creator:responder"));
        read(Party::Initiator, &body).0
    }

    fn from(lines: &str, previous: Option<&Description>) -> Result<(Jingle, Vec<String>), String> {
        let lines = parse_fragment(lines).unwrap();
        let (jingle, warnings) = from_fragment(lines, Party::Initiator, previous).map_err(|error| error.to_string())?;
        Ok((jingle, warnings.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn rfc_8840_s9_what_does_not_belong_into_a_fragment() {
        let fragment = format!(
            "a=group:BUNDLE 0\na=sendonly\na=extmap:1 u\ni=x\nb=AS:1\nm=audio 9 RTP/AVP 0\nc=IN IP4 192.0.2.1\nb=AS:3\nk=prompt\na=mid:0\n{CANDIDATE}\n"
        );
        let text = "is left out: it does not belong into a fragment";
        let places = [
            "line 1: a=group",
            "line 3: a=extmap",
            "line 2: a=sendonly",
            "line 4: i=",
            "b=",
            "line 9: k=",
            "content '0': c=",
            "content '0': b=",
        ];
        let mut expected = Vec::from(places.map(|place| format!("{place} {text}")));
        expected.insert(5, NO_SESSION.to_owned());
        assert_eq!(from(&fragment, None).unwrap().1, expected);
    }

    #[test]
    fn xep_0176_s5_3_candidates_come_with_credentials() {
        let (jingle, _) = from(CANDIDATE, Some(&before())).unwrap();
        let transport = jingle.contents[0].transport.as_ref().unwrap();
        assert_eq!((transport.ufrag.as_deref(), transport.pwd.as_deref()), (Some("8hhY"), Some("asd88fgpdd777uzjYhagZg")));
    }

    #[test]
    fn rfc_8840_s9_there_and_back() {
        let fragment =
            format!("m=audio 9 RTP/AVP 0\na=mid:0\n{CANDIDATE}\na=end-of-candidates\na=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\n");
        let (jingle, warnings) = from(&fragment, None).unwrap();
        assert_eq!((jingle.action, &*jingle.sid, warnings), (Action::TransportInfo, "0", vec![NO_SESSION.to_owned()]));
        let content = &jingle.contents[0];
        assert_eq!((&*content.name, content.senders, &content.description), ("0", None, &None));
        assert!(content.transport.as_ref().unwrap().gathering_complete);
        let (lines, warnings) = to_fragment(&jingle, Party::Initiator, None);
        assert_eq!((text(&lines).replace("\r\n", "\n"), warnings), (fragment, Vec::new()));
    }

    #[test]
    fn xep_0176_s5_9_a_restart_of_the_session() {
        let fragment = format!(
            "a=ice-ufrag:9uB6\na=ice-pwd:YH75Fviy6338Vbrhrlp8Yh\na=ice-options:trickle\nm=audio 9 RTP/AVP 0\na=mid:audio\n{CANDIDATE}"
        );
        let before = before();
        let (jingle, _) = from(&fragment, Some(&before)).unwrap();
        let content = &jingle.contents[0];
        let transport = content.transport.as_ref().unwrap();
        assert_eq!((&*jingle.sid, &*content.name), ("7", "my microphone"));
        assert_eq!((transport.ufrag.as_deref(), &transport.options[..]), (Some("9uB6"), &["trickle".into()][..]));
        let (lines, _) = to_fragment(&jingle, Party::Initiator, Some(&before));
        let lines = text(&lines);
        assert!(lines.starts_with("m=audio 9 RTP/AVP 0\r\na=mid:audio\r\na=jingle-name:my%20microphone\r\na=candidate:"), "{lines}");
    }

    #[test]
    fn a_candidate_alone_belongs_to_the_first_section() {
        for line in [CANDIDATE, &CANDIDATE[2..]] {
            let (jingle, warnings) = from(line, Some(&before())).unwrap();
            assert_eq!((&*jingle.contents[0].name, warnings.len()), ("my microphone", 0));
            assert_eq!(jingle.contents[0].transport.as_ref().unwrap().candidates.len(), 1);
        }
        let error = "line 1: there is no m= line with an a=mid, and no description that had one (RFC 8840 §9)";
        assert_eq!(from(CANDIDATE, None).unwrap_err(), error);
    }

    #[test]
    fn creators_are_known_from_before() {
        let (jingle, _) = from("m=video 9 RTP/AVP 0\na=mid:1", Some(&before())).unwrap();
        assert_eq!((jingle.contents[0].creator, &*jingle.contents[0].name), (Party::Responder, "1"));
    }

    #[test]
    fn sections_that_are_not_known() {
        let table = [
            ("m=audio 9 RTP/AVP 0\na=end-of-candidates", "line 1: an a=mid was expected in this section (RFC 8840 §9)"),
            ("m=audio 9 RTP/AVP 0\na=mid:x", "line 1: there is no section of this a=mid: 'x'"),
            ("m=audio 9 RTP/AVP 0\na=mid:1\nm=audio 9 RTP/AVP 0\na=mid:1", "line 3: a second section of this a=mid: '1'"),
        ];
        for (fragment, expected) in table {
            assert_eq!(from(fragment, Some(&before())).unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_no_transport_is_said() {
        let (_, warnings) = from("m=audio 9 RTP/AVP 0\na=mid:1\na=rtpmap:0 PCMU/8000", Some(&before())).unwrap();
        assert_eq!(warnings, ["line 3: a=rtpmap is left out: it does not belong into a fragment"]);
        let mut jingle = from("m=audio 9 RTP/AVP 0\na=mid:1", None).unwrap().0;
        jingle.contents[0].transport.as_mut().unwrap().method = Method::RawUdp;
        let (lines, warnings) = to_fragment(&jingle, Party::Initiator, None);
        assert_eq!((lines.media.len(), warnings.len()), (0, 1));
    }
}
