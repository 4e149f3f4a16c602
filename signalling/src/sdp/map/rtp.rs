//! An RTP section: RFC 8866 and what hangs into it, against XEP-0167's `<description/>`. Each file below has one subject, both ways.
//!
//! Nothing here fails: what contradicts itself or is too much is left out with a warning, and the first of two counts.
//!
//! What comes from SDP is in normal form, and written and read again it is the same:
//!
//! - each payload type stands once, in the order of `m=`; a name comes with a clock rate, a static type with both; without a name there is neither
//!   clock rate nor channels; none of the three is 0 or empty;
//! - all payload types have the same `ptime` and `maxptime`, none of them 0;
//! - a parameter of `fmtp` has a value; without a name it holds no `=` but at its beginning; neither has `;` or blanks around it;
//! - words of `rtcp-fb` and `extmap` are split at their first `=` and have no empty value; the first word behind the type of a feedback is its
//!   subtype; `trr-int` is none of the messages;
//! - there is an encryption if there is a `crypto`, and it is required if the protocol has SAVP;
//! - no source stands twice, and `ssrc` is one without parameters; where sources have `msid`s of one track only, or there are `streams`, all have
//!   one; `streams` are those that no source has;
//! - every word is one: without blanks, a token where the grammar has one; no text has a control character; no list is longer than its bound.

mod bandwidth;
mod codecs;
mod extensions;
mod feedback;
mod limits;
#[cfg(test)]
mod properties;
mod security;
mod sources;
mod static_types;
#[cfg(test)]
mod testing;
mod words;

use smol_str::SmolStr;

use self::codecs::Codecs;
use self::sources::Sources;
use super::senders;
use crate::jingle::content::Party;
use crate::jingle::rtp::{Bandwidth, Feedbacks, HeaderExtension, PayloadType, Rtp, SourceGroup};
use crate::sdp::line::{Attribute, MediaDescription, Numbered};
use crate::sdp::warning::Warnings;

/// Gathers the lines of one section.
#[derive(Debug)]
pub(in crate::sdp) struct RtpBuilder {
    party: Party,
    /// Whether the protocol leaves no choice but encryption.
    is_secure: bool,
    codecs: Codecs,
    sources: Sources,
    /// The rest.
    rtp: Rtp,
}

impl RtpBuilder {
    /// Begins with the `m=` and `b=` lines, the payload types in the order of preference.
    pub fn new(party: Party, media: &MediaDescription, warnings: &mut Warnings) -> Self {
        Self {
            party,
            is_secure: security::is_required(&media.protocol),
            codecs: Codecs::new(media, warnings),
            sources: Sources::default(),
            rtp: Rtp { media: media.media.clone(), bandwidths: bandwidth::take(media.line, &media.bandwidths, warnings), ..Rtp::default() },
        }
    }

    /// Takes an attribute of the section; gives back what is not RTP's.
    pub fn take(&mut self, line: u32, attribute: Attribute, warnings: &mut Warnings) -> Option<Attribute> {
        match attribute {
            Attribute::Rtpmap { payload, name, clockrate, channels } => {
                let map = PayloadType { id: payload, name: Some(name), clockrate, channels, ..PayloadType::default() };
                self.codecs.rtpmap(line, map, warnings);
            }
            Attribute::Fmtp { payload, parameters } => self.codecs.fmtp(line, payload, parameters, warnings),
            Attribute::Ptime(ms) => self.codecs.ptime(line, ms, warnings),
            Attribute::Maxptime(ms) => self.codecs.maxptime(line, ms, warnings),
            Attribute::RtcpFb { payload, feedback } => {
                if let Some(of) = self.feedbacks(line, payload, warnings) {
                    feedback::take(line, feedback, of, warnings);
                }
            }
            Attribute::RtcpFbTrrInt { payload, value } => {
                if let Some(of) = self.feedbacks(line, payload, warnings) {
                    feedback::take_trr_int(line, value, of, warnings);
                }
            }
            Attribute::RtcpMux => self.rtp.rtcp_mux = true,
            Attribute::RtcpRsize => self.rtp.rtcp_reduced_size = true,
            Attribute::Extmap { id, direction, uri, parameters } => {
                let senders = direction.map(|direction| senders::from_direction(direction, self.party));
                let extension = HeaderExtension { id, uri, senders, parameters };
                extensions::take(line, extension, &mut self.rtp.header_extensions, warnings);
            }
            Attribute::ExtmapAllowMixed => self.rtp.extmap_allow_mixed = true,
            Attribute::Ssrc { ssrc, parameter } => self.sources.ssrc(line, ssrc, parameter, warnings),
            Attribute::SsrcGroup { semantics, sources } => self.sources.group(line, SourceGroup { semantics, sources }, warnings),
            Attribute::Msid(msid) => self.sources.msid(line, msid, warnings),
            Attribute::Crypto(crypto) => security::take_crypto(line, crypto, self.is_secure, &mut self.rtp.encryption, warnings),
            Attribute::ZrtpHash(hash) => security::take_zrtp_hash(line, hash, &mut self.rtp.zrtp_hashes, warnings),
            other => return Some(other),
        }
        None
    }

    /// Those of a payload type, or of the description.
    fn feedbacks(&mut self, line: u32, payload: Option<u8>, warnings: &mut Warnings) -> Option<&mut Feedbacks> {
        match payload {
            Some(id) => self.codecs.find(line, id, warnings).map(|payload| &mut payload.feedback),
            None => Some(&mut self.rtp.feedback),
        }
    }

    /// Whether the section has an `a=extmap` of its own, so that those of the session are not for it (they go through [`Self::take`] too).
    pub fn has_extensions(&self) -> bool {
        !self.rtp.header_extensions.is_empty()
    }

    /// The section's description.
    pub fn finish(self, warnings: &mut Warnings) -> Rtp {
        let mut rtp = self.rtp;
        rtp.payload_types = self.codecs.finish(&rtp.media, warnings);
        self.sources.finish(&mut rtp, warnings);
        rtp
    }
}

/// The formats of the `m=` line; none if there is no payload type, which SDP cannot say.
pub(in crate::sdp) fn formats(rtp: &Rtp) -> Vec<SmolStr> {
    codecs::formats(&rtp.payload_types)
}

/// The `b=` lines.
pub(in crate::sdp) fn bandwidths(rtp: &Rtp, warnings: &mut Warnings) -> Vec<Bandwidth> {
    bandwidth::write(&rtp.bandwidths, warnings)
}

/// The attributes that stand before the direction: `extmap`, `extmap-allow-mixed`.
pub(in crate::sdp) fn write_extensions(rtp: &Rtp, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    extensions::write(rtp, party, out, warnings);
}

/// Those that stand behind it, from `msid` to `ssrc`.
pub(in crate::sdp) fn write_media(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    sources::write_msids(rtp, out, warnings);
    if rtp.rtcp_mux {
        out.push(Attribute::RtcpMux.into());
    }
    if rtp.rtcp_reduced_size {
        out.push(Attribute::RtcpRsize.into());
    }
    security::write(rtp, out, warnings);
    codecs::write(rtp, out, warnings);
    feedback::write(None, &rtp.feedback, out, warnings);
    codecs::write_times(rtp, out, warnings);
    sources::write(rtp, out, warnings);
}

#[cfg(test)]
mod tests {
    use super::testing::{audio, check, feedbacks, parameters, payload, read, reads, rtp, source, write};
    use super::*;
    use crate::jingle::content::Senders;
    use crate::jingle::rtp::{Msid, Parameter};

    fn extension(id: u16, uri: &str, senders: Option<Senders>) -> HeaderExtension {
        HeaderExtension { id, uri: uri.into(), senders, parameters: Vec::new() }
    }

    #[test]
    fn rfc_5761_rfc_5506_flags() {
        let table =
            [("", false, false), ("a=rtcp-mux", true, false), ("a=rtcp-rsize", false, true), ("a=rtcp-mux\na=rtcp-rsize", true, true)];
        for (lines, rtcp_mux, rtcp_reduced_size) in table {
            // RFC 5761 §5.1.1: an attribute of the section; in the print of some clients twice.
            let section = |lines: &str| format!("m=audio 9 RTP/AVP 0\n{lines}\na=rtpmap:0 PCMU/8000").replace("\n\n", "\n");
            let rtp = Rtp { rtcp_mux, rtcp_reduced_size, ..audio() };
            check(&section(lines), &rtp);
            reads(&section(&format!("{lines}\n{lines}").trim()), &rtp, &[]);
        }
    }

    #[test]
    fn what_is_not_of_rtp_comes_back() {
        let media = MediaDescription { media: "audio".into(), formats: vec!["0".into()], ..MediaDescription::default() };
        let mut warnings = Warnings::default();
        let mut builder = RtpBuilder::new(Party::Initiator, &media, &mut warnings);
        let others = [
            Attribute::Mid("0".into()),
            Attribute::IceUfrag("abcd".into()),
            Attribute::EndOfCandidates,
            Attribute::SctpPort(5000),
            Attribute::Other { name: "rid".into(), value: Some("hi send".into()) },
        ];
        for attribute in others {
            assert_eq!(builder.take(3, attribute.clone(), &mut warnings), Some(attribute));
        }
        assert!(!builder.has_extensions());
        let extmap = Attribute::Extmap { id: 1, direction: None, uri: "u".into(), parameters: Vec::new() };
        assert_eq!(builder.take(4, extmap, &mut warnings), None);
        assert!(builder.has_extensions());
        assert_eq!(builder.finish(&mut warnings).media, "audio");
        assert!(warnings.into_vec().is_empty());
    }

    #[test]
    fn chromium() {
        let stream = "c7a526a0-b3e4-475a-8579-cb46801c19f3 1ea0646d-6611-45ec-b968-d5ba81186356";
        let msid = format!("msid={stream}");
        let opus = PayloadType {
            channels: Some(2),
            parameters: parameters(&["minptime=10", "useinbandfec=1"]),
            feedback: feedbacks(&["transport-cc"], None),
            ..payload(111, "opus", 48000)
        };
        let red = PayloadType { channels: Some(2), parameters: parameters(&["=111/111"]), ..payload(63, "red", 48000) };
        let types = vec![opus, red, payload(9, "G722", 8000), payload(0, "PCMU", 8000), payload(126, "telephone-event", 8000)];
        let expected = Rtp {
            rtcp_mux: true,
            rtcp_reduced_size: true,
            header_extensions: vec![
                extension(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level", None),
                extension(4, "urn:ietf:params:rtp-hdrext:sdes:mid", None),
            ],
            extmap_allow_mixed: true,
            sources: vec![source(3648622409, &["cname=wnTzd0DecscR3llJ", &msid])],
            ..rtp("audio", types)
        };
        let section = "m=audio 9 RTP/AVP 111 63 9 0 126
            a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
            a=extmap-allow-mixed
            a=msid:c7a526a0-b3e4-475a-8579-cb46801c19f3 1ea0646d-6611-45ec-b968-d5ba81186356
            a=rtcp-mux
            a=rtcp-rsize
            a=rtpmap:111 opus/48000/2
            a=rtcp-fb:111 transport-cc
            a=fmtp:111 minptime=10;useinbandfec=1
            a=rtpmap:63 red/48000/2
            a=fmtp:63 111/111
            a=rtpmap:9 G722/8000
            a=rtpmap:0 PCMU/8000
            a=rtpmap:126 telephone-event/8000
            a=ssrc:3648622409 cname:wnTzd0DecscR3llJ
            a=ssrc:3648622409 msid:c7a526a0-b3e4-475a-8579-cb46801c19f3 1ea0646d-6611-45ec-b968-d5ba81186356";
        check(section, &expected);
    }

    #[test]
    fn firefox() {
        let opus = PayloadType {
            channels: Some(2),
            parameters: parameters(&["maxplaybackrate=48000", "stereo=1", "useinbandfec=1"]),
            feedback: feedbacks(&["transport-cc"], None),
            ..payload(109, "opus", 48000)
        };
        let g722 = PayloadType { channels: Some(1), feedback: feedbacks(&["transport-cc"], None), ..payload(9, "G722", 8000) };
        let dtmf = PayloadType { channels: Some(1), parameters: parameters(&["=0-15"]), ..payload(101, "telephone-event", 8000) };
        let expected = Rtp {
            rtcp_mux: true,
            header_extensions: vec![
                extension(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level", None),
                extension(2, "urn:ietf:params:rtp-hdrext:csrc-audio-level", Some(Senders::Responder)),
            ],
            extmap_allow_mixed: true,
            sources: vec![source(2632677551, &["cname={8a984c92}", "msid={66c1bd31} {ded19991}"])],
            ..rtp("audio", vec![opus, g722, dtmf])
        };
        let section = "m=audio 9 UDP/TLS/RTP/SAVPF 109 9 101
            a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
            a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
            a=extmap-allow-mixed
            a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
            a=fmtp:101 0-15
            a=msid:{66c1bd31} {ded19991}
            a=rtcp-fb:109 transport-cc
            a=rtcp-fb:9 transport-cc
            a=rtcp-mux
            a=rtpmap:109 opus/48000/2
            a=rtpmap:9 G722/8000/1
            a=rtpmap:101 telephone-event/8000/1
            a=ssrc:2632677551 cname:{8a984c92}";
        reads(section, &expected, &[]);
        // Written in Chromium's order and with the msid in both places, it means the same.
        let (written, warnings) = write(Party::Initiator, &expected);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert!(written.ends_with("a=ssrc:2632677551 msid:{66c1bd31} {ded19991}\n"), "{written}");
        reads(&written, &expected, &[]);
    }

    #[test]
    fn hostile_sections_stay_small() {
        // As many lines as a text may have, each of another source, group, stream, extension, payload type.
        let kinds: [&dyn Fn(u32) -> String; 8] = [
            &|n| format!("a=ssrc:{n} cname:a"),
            &|n| format!("a=ssrc:{} a{n}:a", n % 300),
            &|n| format!("a=ssrc-group:FID {n} {n}"),
            &|n| format!("a=msid:{n} {n}"),
            &|n| format!("a=extmap:1 u{n}"),
            &|n| format!("a=fmtp:{} a={n};b={n}", n % 128),
            &|n| format!("a=rtcp-fb:{} nack {n}", n % 128),
            &|n| format!("a=crypto:1 s inline:{n}"),
        ];
        for line in kinds {
            let mut section = "m=audio 9 RTP/SAVP 0 96".to_owned();
            for n in 0..8000 {
                section.push('\n');
                section.push_str(&line(n));
            }
            let (rtp, warnings) = read(Party::Initiator, &section);
            assert!((100..=crate::sdp::warning::WARNINGS_MAX + 1).contains(&warnings.len()), "{}", warnings.len());
            assert!(rtp.sources.len() <= 256 && rtp.streams.len() <= 64 && rtp.header_extensions.len() <= 256);
            let (written, _) = write(Party::Initiator, &rtp);
            assert!(written.len() < section.len(), "{} {}", written.len(), section.len());
        }
    }

    #[test]
    fn line_breaks_make_no_lines() {
        let bad = SmolStr::new_static("x\r\na=crypto:1 s inline:k");
        let parameter = Parameter { name: bad.clone(), value: Some(bad.clone()) };
        let value = Parameter { name: "a".into(), value: Some(bad.clone()) };
        let crypto =
            crate::jingle::rtp::Crypto { tag: "1".into(), suite: "s".into(), key_params: bad.clone(), session_params: Some(bad.clone()) };
        let feedback = |kind: &SmolStr, subtype: Option<&SmolStr>, parameters: &[Parameter]| crate::jingle::rtp::Feedback {
            kind: kind.clone(),
            subtype: subtype.cloned(),
            parameters: parameters.to_vec(),
        };
        let word = SmolStr::new_static("a");
        let messages =
            vec![feedback(&bad, None, &[]), feedback(&word, Some(&bad), &[]), feedback(&word, Some(&word), &[parameter.clone()])];
        let feedback = Feedbacks { messages, trr_int: None };
        let rtp = Rtp {
            media: "audio".into(),
            payload_types: vec![PayloadType {
                name: Some(bad.clone()),
                parameters: vec![parameter.clone(), value.clone()],
                feedback: feedback.clone(),
                ..PayloadType::default()
            }],
            feedback,
            encryption: Some(crate::jingle::rtp::Encryption { required: false, cryptos: vec![crypto] }),
            zrtp_hashes: vec![crate::jingle::rtp::ZrtpHash { version: bad.clone(), hash: bad.clone() }],
            bandwidths: vec![Bandwidth { kind: bad.clone(), value: "1".into() }, Bandwidth { kind: "AS".into(), value: bad.clone() }],
            header_extensions: vec![
                extension(1, &bad, None),
                HeaderExtension { parameters: vec![value.clone()], ..extension(1, "u", None) },
            ],
            sources: vec![crate::jingle::rtp::Source { ssrc: 1, parameters: vec![parameter, value] }],
            source_groups: vec![SourceGroup { semantics: bad.clone(), sources: Vec::new() }],
            streams: vec![Msid { stream: bad.clone(), track: None }, Msid { stream: "a".into(), track: Some(bad) }],
            ..Rtp::default()
        };
        let (written, warnings) = write(Party::Initiator, &rtp);
        assert_eq!(written, "m=audio 9 RTP/AVP 0\na=ssrc:1\n");
        assert_eq!(warnings.len(), 20, "{warnings:#?}");
        assert!(warnings.iter().all(|text| !text.contains(['\r', '\n'])), "{warnings:#?}");
    }

    #[test]
    fn the_corpus_comes_back() {
        // The m= lines of fragments say nothing of payload types.
        for (name, _, description) in crate::sdp::corpus::descriptions().into_iter().filter(|(.., lines)| lines.origin.is_some()) {
            for media in description.media.iter().filter(|media| media.port != 0 && media.protocol.contains("RTP/")) {
                let mut warnings = Warnings::default();
                let mut builder = RtpBuilder::new(Party::Responder, media, &mut warnings);
                for numbered in &media.attributes {
                    builder.take(numbered.line, numbered.attribute.clone(), &mut warnings);
                }
                let rtp = builder.finish(&mut warnings);
                let said = warnings.into_vec();
                // Firefox's, of codecs that a page has taken away.
                let is_expected = |warning: &crate::sdp::Warning| name.starts_with("firefox/") && warning.text.contains("is not in m=");
                assert!(said.iter().all(is_expected), "{name}: {said:#?}");
                let (written, _) = write(Party::Responder, &rtp);
                assert_eq!(read(Party::Responder, &written).0, rtp, "{name}: {written}");
            }
        }
    }
}
