//! The protocol of the m= line. Jingle has none (XEP-0167 §4 leaves the profile to what is used), so it follows from the rest; where SDP says
//! another one, it is carried.

use smol_str::SmolStr;

use super::data;
use crate::jingle::content::{Content, Description};
use crate::jingle::rtp::{Feedbacks, Rtp};
use crate::jingle::transport::Method;
use crate::sdp::warning::{Quoted, Warnings};

/// What an m= line is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// RTP by any profile.
    Rtp,
    /// A data channel.
    Data,
    /// What Jingle has no content for: T.38, MSRP, RTP over TCP without ICE, or without a payload type…
    #[default]
    Other,
}

/// Whether a protocol is one of RTP: RFC 8866 §8.2.4 and what was registered since.
pub(super) fn is_rtp(protocol: &str) -> bool {
    protocol.split('/').any(|word| word == "RTP")
}

/// Without ICE there is raw UDP, and no word for TCP.
pub(super) fn is_said(protocol: &str, is_ice: bool) -> bool {
    is_ice || !protocol.starts_with("TCP/")
}

/// The protocol that follows from a content.
pub(super) fn derived(content: &Content) -> &'static str {
    let Some(Description::Rtp(rtp)) = content.description.as_ref().filter(|_| !data::is_content(content)) else {
        return "UDP/DTLS/SCTP";
    };
    let has_dtls =
        content.transport.as_ref().and_then(|transport| transport.dtls.as_ref()).is_some_and(|dtls| !dtls.fingerprints.is_empty());
    match (has_dtls, has_crypto(rtp), has_feedback(rtp)) {
        (true, ..) => "UDP/TLS/RTP/SAVPF",
        (false, true, true) => "RTP/SAVPF",
        (false, true, false) => "RTP/SAVP",
        (false, false, true) => "RTP/AVPF",
        (false, false, false) => "RTP/AVP",
    }
}

fn has_crypto(rtp: &Rtp) -> bool {
    rtp.encryption.as_ref().is_some_and(|encryption| !encryption.cryptos.is_empty())
}

fn has_feedback(rtp: &Rtp) -> bool {
    let is_some = |feedback: &Feedbacks| feedback.trr_int.is_some() || !feedback.messages.is_empty();
    is_some(&rtp.feedback) || rtp.payload_types.iter().any(|payload| is_some(&payload.feedback))
}

/// Forgets a protocol that follows from the content anyway.
pub(super) fn settle(content: &mut Content) {
    if content.protocol.as_deref() == Some(derived(content)) {
        content.protocol = None;
    }
}

/// The protocol to write.
pub(super) fn of(content: &Content, warnings: &mut Warnings) -> SmolStr {
    let derived = derived(content);
    let is_ice = content.transport.as_ref().is_none_or(|transport| transport.method != Method::RawUdp);
    let fits = |protocol: &str| {
        let is_of_kind = if data::is_content(content) { data::is_protocol(protocol) } else { is_rtp(protocol) };
        is_of_kind && is_said(protocol, is_ice) && protocol.split('/').all(super::words::is_token)
    };
    let protocol = match &content.protocol {
        Some(protocol) if fits(protocol) => protocol.clone(),
        Some(protocol) => {
            warnings.add(format_args!("the protocol {} is left out: it is none of such a content", Quoted(protocol)));
            SmolStr::new_static(derived)
        }
        None => SmolStr::new_static(derived),
    };
    if let Some(Description::Rtp(rtp)) = &content.description {
        let required = rtp.encryption.as_ref().is_some_and(|encryption| encryption.required);
        match (has_crypto(rtp), required, protocol.contains("SAVP")) {
            (true, false, true) => warnings.add(format_args!("encryption is not required, and {protocol} requires it")),
            (true, true, false) => warnings.add(format_args!("encryption is required, and {protocol} does not say so")),
            _ => {}
        }
    }
    protocol
}

#[cfg(test)]
mod tests {
    use super::super::testing::{content, said, written};
    use super::*;

    #[test]
    fn s8_2_4_protocols_of_rtp() {
        let table = [
            ("RTP/AVP", true),
            ("UDP/TLS/RTP/SAVPF", true),
            ("TCP/TLS/RTP/SAVPF", true),
            ("udptl", false),
            ("UDP/DTLS/SCTP", false),
            ("TCP/MSRP", false),
            ("RTPX", false),
            ("", false),
        ];
        for (protocol, expected) in table {
            assert_eq!(is_rtp(protocol), expected, "{protocol}");
        }
    }

    #[test]
    fn xep_0167_s4_the_profile_follows_from_what_is_used() {
        let fingerprint = "\na=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
        let crypto = "\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        let both = format!("{fingerprint}{crypto}");
        let table = [
            ("RTP/AVP", "", None),
            ("RTP/AVPF", "", Some("RTP/AVPF")),
            ("RTP/AVPF", "\na=rtcp-fb:0 nack", None),
            ("RTP/AVPF", "\na=rtcp-fb:* trr-int 100", None),
            ("RTP/AVP", "\na=rtcp-fb:* nack", Some("RTP/AVP")),
            ("RTP/SAVP", crypto, None),
            ("RTP/AVP", crypto, Some("RTP/AVP")),
            ("RTP/SAVP", "", Some("RTP/SAVP")),
            ("UDP/TLS/RTP/SAVPF", fingerprint, None),
            ("UDP/TLS/RTP/SAVP", fingerprint, Some("UDP/TLS/RTP/SAVP")),
            ("RTP/SAVPF", fingerprint, Some("RTP/SAVPF")),
            ("UDP/TLS/RTP/SAVPF", &both, None),
        ];
        for (protocol, lines, expected) in table {
            let body = format!("m=audio 5 {protocol} 0\nc=IN IP4 192.0.2.1{lines}");
            let content = content(&body);
            assert_eq!(content.protocol.as_deref(), expected, "{body}");
            let (back, _) = written(&said(vec![content]).unwrap().0);
            assert!(back.starts_with(&format!("m=audio 5 {protocol} 0\n")), "{back}");
        }
    }

    #[test]
    fn a_protocol_of_another_kind_is_left_out() {
        for protocol in ["UDP/DTLS/SCTP", "TCP/RTP/AVP", "RTP/AVP 0\r\na=x", "RTP//AVP", ""] {
            let mut content = content("m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1");
            content.protocol = Some(protocol.into());
            let (body, warnings) = written(&said(vec![content]).unwrap().0);
            assert!(body.starts_with("m=audio 5 RTP/AVP 0\n"), "{body}");
            assert_eq!(warnings.len(), 1, "{warnings:?}");
        }
    }

    #[test]
    fn encryption_that_the_protocol_says_otherwise() {
        let mut content = content(
            "m=audio 5 RTP/SAVP 0\nc=IN IP4 192.0.2.1\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        );
        let Some(Description::Rtp(rtp)) = &mut content.description else { panic!() };
        rtp.encryption.as_mut().unwrap().required = false;
        let (body, warnings) = written(&said(vec![content]).unwrap().0);
        assert!(body.starts_with("m=audio 5 RTP/SAVP 0"), "{body}");
        assert_eq!(warnings, ["content 'audio': encryption is not required, and RTP/SAVP requires it"]);
    }
}
