//! The session level. Jingle has no such level for most of what SDP lets stand there: it goes to every section that does not say it itself, and is
//! written per section on the way back. What is about the session alone is carried.

use smol_str::{SmolStr, ToSmolStr};

use super::outline::Outline;
use super::words::{once, push};
use super::{carried, groups, names};
use crate::jingle::content::{Carried, Description as Application, GROUPS_MAX, NAME_BYTES_MAX};
use crate::jingle::rtp::Bandwidth;
use crate::jingle::secret::Secret;
use crate::jingle::transport::{FINGERPRINTS_MAX, Fingerprint, Setup};
use crate::sdp::description::{Description, Section, State};
use crate::sdp::line::{Attribute, Connection, Direction, Numbered, Origin, OtherLine, SessionDescription};
use crate::sdp::warning::{Quoted, Warnings};

/// RFC 7622 §3.1: the longest JID, three parts of 1023 bytes and two separators.
const JID_BYTES_MAX: usize = 3 * 1023 + 2;

/// What the session level says.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// RFC 8866 §5.7.
    pub connection: Option<Connection>,
    /// RFC 8866 §6.7.
    pub direction: Option<Direction>,
    direction_line: u32,
    /// RFC 8122 §5.
    pub fingerprints: Vec<Fingerprint>,
    /// RFC 4145 §4, and its line.
    pub setup: Option<(u32, Setup)>,
    /// RFC 8839 §5.4.
    pub ufrag: Option<SmolStr>,
    /// RFC 8839 §5.4.
    pub pwd: Option<Secret>,
    /// RFC 8839 §5.6.
    pub options: Vec<SmolStr>,
    /// The last line of them.
    options_line: u32,
    /// RFC 8840 §8.2: of every section. Its line.
    pub end_of_candidates: Option<u32>,
    /// RFC 8285 §5 and §6: `extmap`, `extmap-allow-mixed`.
    pub extensions: Vec<Numbered>,
    /// RFC 5888 §5.
    pub groups: Vec<groups::Line>,
    /// XEP-0166 §7.1, where SDP has no place for it.
    pub sid: Option<SmolStr>,
    /// XEP-0166 §7.1.
    pub initiator: Option<SmolStr>,
    /// XEP-0166 §7.1.
    pub responder: Option<SmolStr>,
    /// The rest.
    pub carried: Vec<Carried>,
}

impl Level {
    /// `carried`: of lines before the attributes.
    pub fn read(attributes: Vec<Numbered>, connection: Option<Connection>, carried: Vec<Carried>, warnings: &mut Warnings) -> Self {
        let mut level = Self { connection, carried, ..Self::default() };
        for Numbered { line, attribute } in attributes {
            match attribute {
                Attribute::Group { semantics, mids } => {
                    push(&mut level.groups, groups::Line { line, semantics, mids }, GROUPS_MAX, line, "groups", warnings);
                }
                Attribute::Direction(direction) => {
                    once(&mut level.direction, direction, line, "direction", warnings);
                    level.direction_line = line;
                }
                Attribute::Fingerprint(fingerprint) => {
                    push(&mut level.fingerprints, fingerprint, FINGERPRINTS_MAX, line, "fingerprints", warnings);
                }
                Attribute::Setup(setup) => once(&mut level.setup, (line, setup), line, "a=setup", warnings),
                Attribute::IceUfrag(ufrag) => once(&mut level.ufrag, ufrag, line, "a=ice-ufrag", warnings),
                Attribute::IcePwd(pwd) => once(&mut level.pwd, pwd, line, "a=ice-pwd", warnings),
                Attribute::IceOptions(options) => {
                    level.options.extend(options);
                    level.options_line = line;
                }
                Attribute::EndOfCandidates => level.end_of_candidates = Some(line),
                Attribute::Extmap { .. } | Attribute::ExtmapAllowMixed => level.extensions.push(Numbered { line, attribute }),
                Attribute::Other { name, value } => {
                    if !level.take_ours(&name, value.as_deref().unwrap_or_default()) {
                        carried::keep_attribute(&name, value.as_deref(), line, &mut level.carried, warnings);
                    }
                }
                other => warnings
                    .at(line, format_args!("this attribute belongs into an m= section and is left out: a={}", carried::name(&other))),
            }
        }
        level
    }

    /// Takes what only Jingle has.
    fn take_ours(&mut self, name: &str, value: &str) -> bool {
        let (slot, bytes_max) = match name {
            names::SID => (&mut self.sid, NAME_BYTES_MAX),
            names::INITIATOR => (&mut self.initiator, JID_BYTES_MAX),
            names::RESPONDER => (&mut self.responder, JID_BYTES_MAX),
            _ => return false,
        };
        let text = names::decode_within(value, bytes_max).filter(|text| slot.is_none() && !text.is_empty());
        *slot = slot.take().or_else(|| text.clone());
        text.is_some()
    }

    /// Whether every section has ICE by what stands here.
    pub fn is_ice(&self) -> bool {
        self.ufrag.is_some() || self.pwd.is_some()
    }

    /// Says what a transport-info has no place for.
    pub fn unused_in_fragment(&self, warnings: &mut Warnings) {
        let groups = self.groups.iter().map(|group| (group.line, "group"));
        let extensions = self.extensions.iter().map(|extension| (extension.line, carried::name(&extension.attribute)));
        let direction = self.direction.map(|direction| (self.direction_line, direction.as_str()));
        for (line, name) in groups.chain(extensions).chain(direction) {
            warnings.at(line, format_args!("a={name} is left out: it does not belong into a fragment"));
        }
    }

    /// Says what was meant for the sections and is in none of them.
    pub fn unused(&self, sections: &[Section], outlines: &[Outline], warnings: &mut Warnings) {
        if sections.is_empty() {
            warnings.add(format_args!("there is no m= line: no content says the attributes of the session"));
        }
        let mut none = |line: u32, name: &str, what: &str| warnings.at(line, format_args!("a={name} is left out: there is no {what}"));
        let is_rtp = |section: &Section| section.state == State::Active && matches!(section.content.description, Some(Application::Rtp(_)));
        if !sections.iter().any(is_rtp) {
            self.extensions.iter().for_each(|extension| none(extension.line, carried::name(&extension.attribute), "section of RTP"));
        }
        if !outlines.iter().any(|outline| outline.is_ice && !outline.refused) {
            if !self.options.is_empty() {
                none(self.options_line, "ice-options", "ICE");
            }
            if let Some(line) = self.end_of_candidates {
                none(line, "end-of-candidates", "ICE");
            }
        }
        let has_dtls = |section: &Section| section.content.transport.as_ref().is_some_and(|transport| transport.dtls.is_some());
        if let Some((line, _)) = self.setup.filter(|_| !sections.iter().any(has_dtls)) {
            warnings.at(line, format_args!("a=setup is left out: there is no fingerprint for it"));
        }
    }
}

/// The lines before the attributes, but for `o=` and `c=`.
pub(super) fn carried_lines(
    name: SmolStr,
    timing: Vec<(u64, u64)>,
    others: Vec<OtherLine>,
    bandwidths: &[Bandwidth],
    warnings: &mut Warnings,
) -> Vec<Carried> {
    let mut kept = Vec::new();
    // RFC 8866 §5.3: a dash or a blank says that there is no name.
    if !matches!(name.trim(), "" | "-") {
        kept.push(Carried { kind: 's', value: name });
    }
    carried::keep_lines(others, &mut kept, warnings);
    kept.extend(bandwidths.iter().map(carried::bandwidth));
    // RFC 8866 §5.9: unbounded, as it is in every call.
    if timing.iter().any(|times| *times != (0, 0)) {
        kept.extend(timing.iter().map(|(start, stop)| Carried { kind: 't', value: smol_str::format_smolstr!("{start} {stop}") }));
    }
    kept
}

/// `o=` for a session that was none of SDP's: RFC 8829 §5.2.1.
pub(super) fn origin(sid: &str) -> Origin {
    let is_number = (1..=19).contains(&sid.len()) && sid.bytes().all(|byte| byte.is_ascii_digit());
    let session_id = if is_number { sid.into() } else { (fnv1a(sid) >> 1).to_smolstr() };
    let address = Connection { is_ipv6: false, address: SmolStr::new_static("0.0.0.0") };
    Origin { username: SmolStr::new_static("-"), session_id, version: 1, address }
}

/// FNV-1a: the same number for the same sid, here and in another process.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The session level of a description.
pub(super) fn write(description: &Description, mids: &[SmolStr], warnings: &mut Warnings) -> SessionDescription {
    let mut lines = SessionDescription {
        origin: Some(description.origin.clone()),
        name: SmolStr::new_static("-"),
        media: Vec::with_capacity(description.sections.len()),
        ..SessionDescription::default()
    };
    lines.attributes.extend(groups::write(&description.groups, &description.sections, mids, warnings));
    write_ours(description, &mut lines.attributes, warnings);
    for line in &description.carried {
        match line.kind {
            's' if lines.name == "-" => lines.name = carried::to_other(line, warnings).map_or(lines.name, |line| line.value),
            't' => lines.timing.extend(carried::to_other(line, warnings).and_then(|line| times(&line.value))),
            'b' => lines.bandwidths.extend(carried::to_bandwidth(line, warnings)),
            'e' | 'i' | 'p' | 'r' | 'u' | 'z' => lines.others.extend(carried::to_other(line, warnings)),
            'a' => lines.attributes.extend(carried::to_attribute(line, warnings)),
            _ => carried::unknown(line, warnings),
        }
    }
    if lines.timing.is_empty() {
        lines.timing.push((0, 0));
    }
    lines
}

/// What of the session only Jingle has.
fn write_ours(description: &Description, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let Description { sid, origin, initiator, responder, .. } = description;
    let sid = Some(sid).filter(|sid| **sid != origin.session_id);
    for (name, text) in [(names::SID, sid), (names::INITIATOR, initiator.as_ref()), (names::RESPONDER, responder.as_ref())] {
        match text {
            Some(text) if text.len() > JID_BYTES_MAX => {
                warnings.add(format_args!("{} is left out: it is longer than a JID", Quoted(text)));
            }
            Some(text) if !text.is_empty() => {
                out.push(Attribute::Other { name: SmolStr::new_static(name), value: Some(names::encode(text)) }.into());
            }
            _ => {}
        }
    }
}

fn times(value: &str) -> Option<(u64, u64)> {
    let mut words = value.split_ascii_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, only, read, said, written};
    use super::*;
    use crate::jingle::content::{Party, Senders};
    use crate::sdp::map::{from_sdp, to_sdp};
    use crate::sdp::{parse, write as text};

    #[test]
    fn rfc_8866_s5_lines_of_the_session_come_back() {
        let head = "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=SDP Seminar\r\ni=A Seminar on the session description protocol\r\n\
                    u=http://www.example.com/seminars/sdp.pdf\r\ne=j.doe@example.com (Jane Doe)\r\np=+1 617 555-6011\r\nb=X-YZ:128\r\n\
                    t=3724394400 3724398000\r\nt=0 0\r\nr=604800 3600 0 90000\r\nz=3730928400 -1h 3749680800 0\r\na=ice-lite\r\n";
        let body = format!("{head}{}\r\n", AUDIO.replace('\n', "\r\n"));
        let (description, warnings) = from_sdp(parse(&body).unwrap(), Party::Initiator, None).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(description.sid, "3724394400");
        assert!(text(&to_sdp(&description).0).starts_with(head), "{}", text(&to_sdp(&description).0));
    }

    #[test]
    fn rfc_8866_s5_12_keys_are_dropped() {
        let (description, warnings) = read(Party::Initiator, &format!("k=clear:secret\n{AUDIO}\nk=prompt"));
        assert_eq!(warnings, ["line 5: k= is left out: RFC 8866 §5.12", "line 10: k= is left out: RFC 8866 §5.12"]);
        assert!(only(&written(&description).0, &["k="]).is_empty());
    }

    #[test]
    fn what_is_meant_for_every_section_goes_to_those_that_have_none() {
        let second = AUDIO.replace("audio 9 RTP/AVP 0", "video 9 RTP/AVP 31");
        let table = [
            ("a=sendonly", "a=recvonly", ["a=sendonly", "a=recvonly"]),
            ("a=extmap:1 urn:a", "a=extmap:2 urn:b", ["a=extmap:1 urn:a", "a=extmap:2 urn:b"]),
            ("a=extmap-allow-mixed", "a=extmap:2 urn:b", ["a=extmap-allow-mixed", "a=extmap-allow-mixed"]),
        ];
        for (session, own, expected) in table {
            let (description, warnings) = read(Party::Initiator, &format!("{session}\n{AUDIO}\n{second}\n{own}"));
            // RFC 8285 §6 does not have them at both levels.
            let is_mixed = session.starts_with("a=extmap:");
            assert_eq!(warnings, vec!["line 5: a=extmap is left out: a section has its own (RFC 8285 §6)"; usize::from(is_mixed)]);
            let back = written(&description).0;
            let found: Vec<_> = back.lines().filter(|line| expected.contains(line)).collect();
            assert_eq!(found, expected, "{back}");
            assert!(back.starts_with("m="), "{back}");
        }
        assert_eq!(content(&format!("a=recvonly\n{AUDIO}")).senders, Some(Senders::Responder));
    }

    #[test]
    fn what_is_meant_for_sections_that_are_not_there_is_said() {
        let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\nc=IN IP4 192.0.2.1\na=sctp-port:5000";
        let table = [
            ("a=extmap-allow-mixed", "a=extmap-allow-mixed is left out: there is no section of RTP"),
            ("a=extmap:1 u", "a=extmap is left out: there is no section of RTP"),
            ("a=ice-options:trickle", "a=ice-options is left out: there is no ICE"),
            ("a=end-of-candidates", "a=end-of-candidates is left out: there is no ICE"),
            ("a=setup:active", "a=setup is left out: there is no fingerprint for it"),
            ("a=jingle-sid:", "a=jingle-sid is left out: it has no place here, or no value that it could have"),
        ];
        for (line, expected) in table {
            assert_eq!(read(Party::Initiator, &format!("{line}\n{data}")).1, [format!("line 5: {expected}")]);
        }
    }

    #[test]
    fn xep_0166_s7_1_what_only_jingle_says_of_the_session() {
        let mut description = said(vec![content(AUDIO)]).unwrap().0;
        description.sid = "a 73%".into();
        description.initiator = Some("romeo@montague.example/my orchard".into());
        description.responder = Some("juliet@capulet.example/\u{2028}".into());
        let (body, warnings) = written(&description);
        assert!(warnings.is_empty());
        let lines = [
            "a=jingle-sid:a%2073%25",
            "a=jingle-initiator:romeo@montague.example/my%20orchard",
            "a=jingle-responder:juliet@capulet.example/%E2%80%A8",
        ];
        assert_eq!(only(&body, &["a=jingle"]), lines);
        let (again, warnings) = read(Party::Initiator, &body);
        assert!(warnings.is_empty());
        assert_eq!((again.sid, again.initiator, again.responder), (description.sid, description.initiator, description.responder));
    }

    #[test]
    fn rfc_8829_s5_2_1_an_origin_for_a_session_of_jingle() {
        let table = [
            ("7", "7"),
            ("9223372036854775807", "9223372036854775807"),
            ("18446744073709551615", "8572975405156146730"),
            ("a73sjjvkla37jfea", "7782536479976685741"),
            ("", "7347990519673328018"),
        ];
        for (sid, expected) in table {
            let origin = origin(sid);
            assert_eq!((&*origin.username, &*origin.session_id, origin.version), ("-", expected, 1), "{sid}");
        }
        let (description, _) = said(vec![content(AUDIO)]).unwrap();
        assert_eq!(text(&to_sdp(&description).0).lines().nth(1), Some("o=- 7 1 IN IP4 0.0.0.0"));
    }

    #[test]
    fn carried_lines_make_no_others() {
        let (mut description, _) = said(vec![content(AUDIO)]).unwrap();
        let line = |kind, value: &str| Carried { kind, value: value.into() };
        let bad = [
            line('s', "x\r\na=mid:y"),
            line('t', "0"),
            line('m', "audio 9 RTP/AVP 0"),
            line('a', "setup:active"),
            line('k', "clear:x"),
            line('b', "AS"),
        ];
        description.carried = bad.to_vec();
        description.carried.extend([line('s', "a name"), line('s', "another")]);
        let (lines, warnings) = to_sdp(&description);
        assert_eq!((warnings.len(), &*lines.name), (7, "a name"), "{warnings:?}");
        assert_eq!(lines.attributes.len() + lines.others.len() + lines.bandwidths.len(), 0);
    }
}
