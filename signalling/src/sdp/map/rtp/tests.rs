//! Whole sections: of browsers, of the corpus, of an enemy.

use super::testing::{audio, check, feedbacks, parameters, payload, read, reads, rtp, source, write};
use super::*;
use crate::jingle::content::Senders;
use crate::jingle::rtp::{Msid, Parameter};

fn extension(id: u16, uri: &str, senders: Option<Senders>) -> HeaderExtension {
    HeaderExtension { id, uri: uri.into(), senders, parameters: Vec::new() }
}

#[test]
fn rfc_5761_rfc_5506_flags() {
    let table = [("", false, false), ("a=rtcp-mux", true, false), ("a=rtcp-rsize", false, true), ("a=rtcp-mux\na=rtcp-rsize", true, true)];
    for (lines, rtcp_mux, rtcp_reduced_size) in table {
        // RFC 5761 §5.1.1: an attribute of the section; in the print of some clients twice.
        let section = |lines: &str| format!("m=audio 9 RTP/AVP 0\n{lines}\na=rtpmap:0 PCMU/8000").replace("\n\n", "\n");
        let rtp = Rtp { rtcp_mux, rtcp_reduced_size, ..audio() };
        check(&section(lines), &rtp);
        reads(&section(format!("{lines}\n{lines}").trim()), &rtp, &[]);
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
        vec![feedback(&bad, None, &[]), feedback(&word, Some(&bad), &[]), feedback(&word, Some(&word), std::slice::from_ref(&parameter))];
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
        header_extensions: vec![extension(1, &bad, None), HeaderExtension { parameters: vec![value.clone()], ..extension(1, "u", None) }],
        sources: vec![crate::jingle::rtp::Source { ssrc: 1, parameters: vec![parameter, value] }],
        source_groups: vec![SourceGroup { semantics: bad.clone(), sources: Vec::new() }],
        streams: vec![Msid { stream: bad.clone(), track: None }, Msid { stream: "a".into(), track: Some(bad) }],
        ..Rtp::default()
    };
    let (written, warnings) = write(Party::Initiator, &rtp);
    assert_eq!(written, "m=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=ssrc:1\n");
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
