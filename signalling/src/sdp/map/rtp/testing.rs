//! Sections as text for tests: one line each, indentation does not matter. Lines in warnings count from the `m=`, which is 1.

use std::fmt::Write;

use super::{RtpBuilder, bandwidths, formats, write_extensions, write_media};
use crate::jingle::content::Party;
use crate::jingle::rtp::{Feedback, Feedbacks, Parameter, PayloadType, Rtp, Source};
use crate::sdp::line::{Attribute, Connection, MediaDescription, Origin, SessionDescription};
use crate::sdp::warning::{Place, Warnings};

const BLANKS: [char; 2] = [' ', '\t'];
const HEADER: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

/// What the section of a party means, and the warnings.
pub(super) fn read(party: Party, section: &str) -> (Rtp, Vec<String>) {
    let mut text = HEADER.to_owned();
    for line in section.trim_matches([' ', '\n']).lines() {
        text.push_str(line.trim_matches(BLANKS));
        text.push_str("\r\n");
    }
    let lines = crate::sdp::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let [media] = &lines.media[..] else { panic!("not one section: {text}") };
    let mut warnings = Warnings::default();
    let mut builder = RtpBuilder::new(party, media, &mut warnings);
    for numbered in &media.attributes {
        let other = builder.take(numbered.line, numbered.attribute.clone(), &mut warnings);
        assert_eq!(other, None, "line {}", numbered.line);
    }
    let rtp = builder.finish(&mut warnings);
    (rtp, texts(warnings))
}

/// The section of a party, and the warnings.
pub(super) fn write(party: Party, rtp: &Rtp) -> (String, Vec<String>) {
    let mut warnings = Warnings::default();
    let mut media = MediaDescription {
        media: rtp.media.clone(),
        port: 9,
        protocol: "RTP/AVP".into(),
        formats: formats(rtp),
        bandwidths: bandwidths(rtp, &mut warnings),
        ..MediaDescription::default()
    };
    write_extensions(rtp, party, &mut media.attributes, &mut warnings);
    write_media(rtp, &mut media.attributes, &mut warnings);
    let has_crypto = media.attributes.iter().any(|numbered| matches!(numbered.attribute, Attribute::Crypto(_)));
    if has_crypto && rtp.encryption.as_ref().is_some_and(|encryption| encryption.required) {
        media.protocol = "RTP/SAVP".into();
    }
    let address = Connection { is_ipv6: false, address: "0.0.0.0".into() };
    let origin = Origin { username: "-".into(), session_id: "0".into(), version: 0, address };
    let text = crate::sdp::write(&SessionDescription { origin: Some(origin), media: vec![media], ..SessionDescription::default() });
    let section = text.strip_prefix(HEADER).unwrap_or_else(|| panic!("{text}")).replace("\r\n", "\n");
    (section, texts(warnings))
}

fn texts(warnings: Warnings) -> Vec<String> {
    let text = |warning: crate::sdp::Warning| match warning.place {
        Place::Line(line) => format!("{}: {}", line - 4, warning.text),
        _ => warning.text,
    };
    warnings.into_vec().into_iter().map(text).collect()
}

/// Both are the same for the initiator, and nothing is worth a warning.
#[track_caller]
pub(super) fn check(section: &str, rtp: &Rtp) {
    reads(section, rtp, &[]);
    writes(rtp, section, &[]);
}

/// From SDP.
#[track_caller]
pub(super) fn reads(section: &str, rtp: &Rtp, warnings: &[&str]) {
    let (read, said) = read(Party::Initiator, section);
    assert_eq!(&read, rtp, "{section}");
    assert_eq!(said, warnings, "{section}");
}

/// To SDP.
#[track_caller]
pub(super) fn writes(rtp: &Rtp, section: &str, warnings: &[&str]) {
    let (written, said) = write(Party::Initiator, rtp);
    let expected = section.trim_matches([' ', '\n']).lines().fold(String::new(), |mut text, line| {
        writeln!(text, "{}", line.trim_matches(BLANKS)).expect("a string takes all");
        text
    });
    assert_eq!(written, expected, "{rtp:?}");
    assert_eq!(said, warnings, "{rtp:?}");
}

pub(super) fn rtp(media: &str, payload_types: Vec<PayloadType>) -> Rtp {
    Rtp { media: media.into(), payload_types, ..Rtp::default() }
}

/// PCMU alone: for what is not about payload types.
pub(super) fn audio() -> Rtp {
    rtp("audio", vec![payload(0, "PCMU", 8000)])
}

pub(super) fn payload(id: u8, name: &str, clockrate: u32) -> PayloadType {
    PayloadType { id, name: Some(name.into()), clockrate: Some(clockrate), ..PayloadType::default() }
}

/// `name=value`, `name` or `=value`.
pub(super) fn parameter(text: &str) -> Parameter {
    match text.split_once('=') {
        Some((name, value)) => Parameter { name: name.into(), value: Some(value.into()) },
        None => Parameter { name: text.into(), value: None },
    }
}

pub(super) fn parameters(texts: &[&str]) -> Vec<Parameter> {
    texts.iter().map(|text| parameter(text)).collect()
}

/// `kind [subtype [word…]]` each.
pub(super) fn feedbacks(lines: &[&str], trr_int: Option<u32>) -> Feedbacks {
    let feedback = |line: &&str| {
        let mut words = line.split(' ');
        Feedback {
            kind: words.next().unwrap_or_default().into(),
            subtype: words.next().map(Into::into),
            parameters: words.map(parameter).collect(),
        }
    };
    Feedbacks { messages: lines.iter().map(feedback).collect(), trr_int }
}

pub(super) fn source(ssrc: u32, texts: &[&str]) -> Source {
    Source { ssrc, parameters: parameters(texts) }
}
