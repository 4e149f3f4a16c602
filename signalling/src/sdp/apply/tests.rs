mod accept;
mod add;
mod info;
mod modify;
mod remove;
mod transport;

use super::*;
use crate::jingle::reading::Reading;
use crate::ns;
use crate::sdp::{map, parse, write};
use crate::xml::{Bindings, Element};

/// A call of two contents by the initiator; the responder's answer is [`ANSWER`].
pub(in crate::sdp) const OFFER: &str = "v=0
o=- 7 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE a v
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=ice-ufrag:userA
a=ice-pwd:passwordpasswordpassword
a=ice-options:trickle
a=fingerprint:sha-256 AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F
a=setup:actpass
a=mid:a
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=ice-ufrag:userA
a=ice-pwd:passwordpasswordpassword
a=ice-options:trickle
a=fingerprint:sha-256 AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F
a=setup:actpass
a=mid:v
a=sendrecv
a=rtcp-mux
a=rtpmap:96 VP8/90000
";

fn answer() -> String {
    OFFER.replace("AA:01", "BB:01").replace("actpass", "active").replace("userA", "userB").replace("o=- 7 1", "o=- 7 5")
}

pub(in crate::sdp) fn described(text: &str, party: Party) -> Description {
    let (description, _) = map::from_sdp(parse(text).unwrap(), party, None).unwrap();
    description
}

pub(in crate::sdp) fn stanza(action: &str, children: &str) -> Jingle {
    let xml = format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='7'>{children}</jingle>");
    let element = Element::parse(xml.as_bytes(), &Bindings::client()).unwrap();
    let mut reading = Reading::whole();
    let jingle = Jingle::read(element.root(), &mut reading).unwrap();
    let (problems, _) = reading.into_problems();
    assert!(problems.iter().all(|problem| !problem.malformed), "{problems:?}");
    jingle
}

/// A content with an RTP description and the beginning of a transport.
fn content(creator: &str, name: &str, media: &str, transport: &str) -> String {
    format!(
        "<content creator='{creator}' name='{name}'><description xmlns='{}' media='{media}'><payload-type id='96' name='H264' \
         clockrate='90000'/><rtcp-mux/></description>{transport}</content>",
        ns::JINGLE_RTP
    )
}

fn transport(attributes: &str, children: &str) -> String {
    format!("<transport xmlns='{}' {attributes}>{children}</transport>", ns::JINGLE_ICE_UDP)
}

fn named(creator: &str, name: &str, children: &str) -> String {
    format!("<content creator='{creator}' name='{name}'>{children}</content>")
}

pub(in crate::sdp) fn text(description: &Description) -> String {
    write(&map::to_sdp(description).0)
}

/// How two texts differ: lines that are gone with `-`, in the order of the first, then new ones with `+`; the origin is left out.
fn changes(before: &str, after: &str) -> Vec<String> {
    fn lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with("o=")).collect()
    }
    let (mut gone, mut new) = (Vec::new(), lines(after));
    for line in lines(before) {
        match new.iter().position(|new| *new == line) {
            Some(at) => drop(new.remove(at)),
            None => gone.push(format!("-{line}")),
        }
    }
    gone.into_iter().chain(new.into_iter().map(|line| format!("+{line}"))).collect()
}

/// Applies it and compares what it changes; the version has to grow with any change and with no other.
fn check(before: &Description, from: Party, stanza: &Jingle, expected: &[&str]) -> (Description, Vec<String>) {
    let (after, warnings) = before.apply(from, stanza).unwrap_or_else(|error| panic!("{error}\n{stanza:?}"));
    assert_eq!(changes(&text(before), &text(&after)), expected, "{stanza:?}");
    assert_eq!(after.origin.version, before.origin.version + u64::from(!expected.is_empty()), "{stanza:?}");
    (after, warnings.iter().map(ToString::to_string).collect())
}

fn error(before: &Description, from: Party, stanza: &Jingle) -> String {
    before.apply(from, stanza).map(drop).expect_err("it does not fit").to_string()
}

use Party::{Initiator, Responder};

fn initiator() -> Description {
    described(OFFER, Initiator)
}

fn responder() -> Description {
    described(&answer(), Responder)
}

/// The responder's description when the initiator has added a content called `n`.
fn with_offered() -> Description {
    let add = stanza("content-add", &content("initiator", "n", "video", &transport("ufrag='userA' pwd='anotherpasswordanother'", "")));
    responder().apply(Initiator, &add).unwrap().0
}

#[test]
fn s7_1_the_session_is_another() {
    let stanza = Jingle::new(Action::SessionInfo, "8");
    assert_eq!(error(&initiator(), Initiator, &stanza), "unknown-session: the session is '7', not '8'");
}

#[test]
fn rfc_3264_s8_a_version_that_cannot_grow_is_said() {
    let mut before = initiator();
    before.origin.version = u64::MAX;
    let (after, warnings) = before.apply(Initiator, &stanza("content-remove", &named("initiator", "v", ""))).unwrap();
    assert_eq!((after.origin.version, warnings.len()), (u64::MAX, 1));
}

#[test]
fn s7_3_a_wrong_creator_is_told_by_the_name() {
    let wrong = stanza("transport-info", &named("responder", "a", &transport("", "<gathering-complete/>")));
    let (_, warnings) = check(&responder(), Responder, &wrong, &["+a=end-of-candidates"]);
    assert_eq!(warnings, ["content 'a': transport-info says creator='responder', it is the initiator"]);
}

#[test]
fn contents_without_names_are_known_by_their_place() {
    let mut before = initiator();
    for section in &mut before.sections {
        section.content.name = "".into();
    }
    before.groups.clear();
    let info = stanza(
        "transport-info",
        &[transport("", ""), transport("", "<gathering-complete/>")].map(|transport| named("initiator", "", &transport)).concat(),
    );
    let (after, _) = before.apply(Initiator, &info).unwrap();
    let complete: Vec<_> = after.sections.iter().map(|section| section.content.transport.as_ref().unwrap().gathering_complete).collect();
    assert_eq!(complete, [false, true]);
}
