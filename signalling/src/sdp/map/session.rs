//! The session level. Jingle has no such level for most of what SDP lets stand there: it goes to every section that does not say it itself, and is
//! written per section on the way back. What is about the session alone is carried.

use smol_str::{SmolStr, ToSmolStr};

use super::words::{once, push};
use super::{carried, groups};
use crate::jingle::content::{Carried, GROUPS_MAX};
use crate::jingle::rtp::Bandwidth;
use crate::jingle::secret::Secret;
use crate::jingle::transport::{FINGERPRINTS_MAX, Fingerprint, Setup};
use crate::sdp::description::{Description, Section};
use crate::sdp::line::{Attribute, Connection, Direction, Numbered, Origin, OtherLine, SessionDescription};
use crate::sdp::warning::Warnings;

/// What the session level says.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// RFC 8866 §5.7.
    pub connection: Option<Connection>,
    /// RFC 8866 §6.7.
    pub direction: Option<Direction>,
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
    /// RFC 8840 §8.2: of every section.
    pub end_of_candidates: bool,
    /// RFC 8285 §5 and §6: `extmap`, `extmap-allow-mixed`.
    pub extensions: Vec<Numbered>,
    /// RFC 5888 §5.
    pub groups: Vec<groups::Line>,
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
                Attribute::Direction(direction) => once(&mut level.direction, direction, line, "direction", warnings),
                Attribute::Fingerprint(fingerprint) => {
                    push(&mut level.fingerprints, fingerprint, FINGERPRINTS_MAX, line, "fingerprints", warnings);
                }
                Attribute::Setup(setup) => once(&mut level.setup, (line, setup), line, "a=setup", warnings),
                Attribute::IceUfrag(ufrag) => once(&mut level.ufrag, ufrag, line, "a=ice-ufrag", warnings),
                Attribute::IcePwd(pwd) => once(&mut level.pwd, pwd, line, "a=ice-pwd", warnings),
                Attribute::IceOptions(options) => level.options.extend(options),
                Attribute::EndOfCandidates => level.end_of_candidates = true,
                Attribute::Extmap { .. } | Attribute::ExtmapAllowMixed => level.extensions.push(Numbered { line, attribute }),
                Attribute::Other { name, value } => carried::keep_attribute(&name, value.as_deref(), line, &mut level.carried, warnings),
                other => warnings
                    .at(line, format_args!("this attribute belongs into an m= section and is left out: a={}", carried::name(&other))),
            }
        }
        level
    }

    /// Whether every section has ICE by what stands here.
    pub fn is_ice(&self) -> bool {
        self.ufrag.is_some() || self.pwd.is_some()
    }

    /// Says what was meant for the sections and is in none of them.
    pub fn unused(&self, sections: &[Section], warnings: &mut Warnings) {
        if sections.is_empty() {
            warnings.add(format_args!("there is no m= line: no content says the attributes of the session"));
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

fn times(value: &str) -> Option<(u64, u64)> {
    let mut words = value.split_ascii_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, only, read, said, through, written};
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
            let back = through(&format!("{session}\n{AUDIO}\n{second}\n{own}"));
            let found: Vec<_> = back.lines().filter(|line| expected.contains(line)).collect();
            assert_eq!(found, expected, "{back}");
            assert!(back.starts_with("m="), "{back}");
        }
        assert_eq!(content(&format!("a=recvonly\n{AUDIO}")).senders, Some(Senders::Responder));
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
