//! The call's Jingle: what the WebRTC stack says as SDP becomes stanzas, and what arrives becomes SDP, by the mapping that is there for all
//! (`campanile_signalling::sdp`). A stanza that arrives malformed is an error; what a WebRTC stack needs and does not find it says itself.

use anyhow::{Context as _, bail};
use campanile_signalling::jingle::reading::Reading;
use campanile_signalling::jingle::{Jingle, Party};
use campanile_signalling::ns;
use campanile_signalling::sdp::convert::{self, Request};
use campanile_signalling::sdp::{self, map};
use campanile_signalling::xml::Element;

/// The stanza of a party's first description, with the candidates that are known: values of `a=candidate` with the attribute's name.
///
/// # Errors
/// Says which line is wrong.
pub fn from_sdp(sdp: &str, candidates: &[String], party: Party, sid: &str) -> anyhow::Result<Jingle> {
    let text = candidates.iter().fold(sdp.to_owned(), |sdp, candidate| sdp + "a=" + candidate + "\r\n");
    said(&text, &Request { party, action: None, before: None }, sid)
}

/// The transport-info of candidates that follow this description (XEP-0176 §5.4).
///
/// # Errors
/// Says which candidate is wrong.
pub fn from_candidates(candidates: &[String], description: &str, party: Party, sid: &str) -> anyhow::Result<Jingle> {
    said(&candidates.join("\r\n"), &Request { party, action: None, before: Some(description) }, sid)
}

fn said(text: &str, request: &Request<'_>, sid: &str) -> anyhow::Result<Jingle> {
    let (mut stanzas, _) = convert::to_jingle(text, request).context("what the WebRTC stack says is not understood")?;
    let stanza = stanzas.pop().context("the WebRTC stack says nothing")?;
    Ok(Jingle { sid: sid.into(), ..stanza })
}

/// The description in a session-initiate or session-accept.
///
/// # Errors
/// Says which element is wrong.
pub fn to_sdp(stanza: &Element, party: Party) -> anyhow::Result<String> {
    let (description, _) = map::from_jingle(read(stanza)?, party, None)?;
    Ok(sdp::write(&map::to_sdp(&description).0))
}

/// The candidates in a transport-info: values of `a=candidate` with the attribute's name.
///
/// # Errors
/// Says which element is wrong.
pub fn candidates(stanza: &Element, party: Party) -> anyhow::Result<Vec<String>> {
    let fragment = sdp::write(&map::to_fragment(&read(stanza)?, party, None).0);
    let attributes = fragment.lines().filter_map(|line| line.strip_prefix("a="));
    Ok(attributes.filter(|attribute| attribute.starts_with("candidate:")).map(str::to_owned).collect())
}

fn read(stanza: &Element) -> anyhow::Result<Jingle> {
    let mut reading = Reading::whole();
    let jingle = Jingle::read(stanza.root().child(ns::JINGLE, "jingle").context("no <jingle/>")?, &mut reading)?;
    match reading.into_problems().0.into_iter().find(|problem| problem.malformed) {
        Some(problem) => bail!("the <jingle/> that arrived is malformed: {problem}"),
        None => Ok(jingle),
    }
}

#[cfg(test)]
mod tests {
    use campanile_signalling::xml::{Bindings, XmlWriter};

    use super::*;

    const OFFER: &str = "v=0\r\no=- 3190583822949824813 410403575 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\na=ice-ufrag:Zxeg\r\na=ice-pwd:fjkFePwrclIDBBUipJzDOV\r\n\
        a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=ssrc:286331153 cname:<&'>\r\na=sendrecv\r\n\
        a=fingerprint:sha-256 98:CF:E9:0A:98:CF:E9:0A:98:CF:E9:0A:98:CF:E9:0A:98:CF:E9:0A:98:CF:E9:0A:98:CF:E9:0A:98:CF:E9:0A\r\n";
    const CANDIDATE: &str = "candidate:2763025403 1 udp 16777215 127.0.0.1 50855 typ relay raddr 127.0.0.1 rport 35116 generation 0";

    fn arrives(jingle: &Jingle) -> Element {
        let mut xml = XmlWriter::new();
        xml.open("iq");
        jingle.write(&mut xml);
        xml.close();
        Element::parse(&xml.finish(), &Bindings::client()).expect("well-formed")
    }

    #[test]
    fn a_description_and_its_candidates_come_through_a_stanza() {
        let offer = from_sdp(OFFER, &[CANDIDATE.to_owned()], Party::Initiator, "sid").expect("readable");
        assert_eq!((&*offer.sid, offer.action.as_str()), ("sid", "session-initiate"));
        let sdp = to_sdp(&arrives(&offer), Party::Initiator).expect("readable");
        for line in OFFER.lines().filter(|line| line.starts_with("a=")).chain([&*format!("a={CANDIDATE}")]) {
            assert!(sdp.contains(&format!("{line}\r\n")), "{line} is missing in {sdp}");
        }
    }

    #[test]
    fn xep0176_s5_4_candidates_travel_alone() {
        let info = from_candidates(&[CANDIDATE.to_owned()], OFFER, Party::Responder, "sid").expect("readable");
        assert_eq!((info.action.as_str(), &*info.contents[0].name), ("transport-info", "0"));
        assert_eq!(candidates(&arrives(&info), Party::Responder).expect("readable"), [CANDIDATE]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = from_candidates(&["candidate:1 1 udp 1 127.0.0.1".to_owned()], OFFER, Party::Responder, "sid").expect_err("incomplete");
        assert!(format!("{error:#}").contains("candidate"), "{error:#}");
        let nothing = Element::parse(b"<iq/>", &Bindings::client()).expect("well-formed");
        assert!(to_sdp(&nothing, Party::Initiator).is_err());
    }
}
