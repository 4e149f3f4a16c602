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
fn s7_2_1_content_accept() {
    let offered = with_offered();
    let own = content("initiator", "n", "video", &transport("ufrag='userB' pwd='anotherpasswordanother'", ""));
    let (after, _) = check(
        &offered,
        Responder,
        &stanza(
            "content-accept",
            &format!(
                "{own}<group xmlns='{}' semantics='BUNDLE'><content name='a'/><content name='v'/><content name='n'/></group>",
                ns::JINGLE_GROUPING
            ),
        ),
        &[
            "-a=group:BUNDLE a v",
            "-m=video 0 RTP/AVP 96",
            "+a=group:BUNDLE a v n",
            "+m=video 9 UDP/TLS/RTP/SAVPF 96",
            "+a=ice-ufrag:userB",
            "+a=ice-pwd:anotherpasswordanother",
            "+a=ice-options:trickle",
            // Bundled, it has the keys of the tagged section.
            "+a=fingerprint:sha-256 BB:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
            "+a=setup:active",
            "+a=sendrecv",
            "+a=rtcp-mux",
            "+a=rtpmap:96 H264/90000",
        ],
    );
    assert_eq!(after.sections[2].state, State::Active);

    // The initiator's own section stays; the senders of the answer hold for both, and it is bundle-only no more.
    let add =
        own.replace("userB", "userA").replace("</content>", &format!("<line xmlns='{}' type='a'>bundle-only</line></content>", ns::SDP));
    let (added, _) = initiator().apply(Initiator, &stanza("content-add", &add)).unwrap();
    assert!(text(&added).contains("m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0"), "{}", text(&added));
    let accept = stanza("content-accept", &own.replace("name='n'", "name='n' senders='initiator'"));
    check(&added, Responder, &accept, &["-m=video 0 RTP/AVP 96", "-a=sendrecv", "-a=bundle-only", "+m=video 9 RTP/AVP 96", "+a=sendonly"]);

    let table = [
        (&offered, Initiator, own.clone(), "out-of-order: content-accept of content 'n': nobody has asked for that"),
        (&after, Responder, own.clone(), "out-of-order: content-accept of content 'n': nobody has asked for that"),
        (
            &offered,
            Responder,
            own.replace("name='n'", "name='x'"),
            "item-not-found: content-accept: there is no content 'x' of the initiator",
        ),
        (
            &offered,
            Responder,
            named("initiator", "n", ""),
            "bad-request: content-accept of content 'n': expected a description of the kind that was offered",
        ),
        (
            &offered,
            Responder,
            content("initiator", "n", "audio", &transport("", "")),
            "bad-request: content-accept of content 'n': expected a description of the kind that was offered",
        ),
        (&offered, Responder, content("initiator", "n", "video", ""), "bad-request: content-accept of content 'n': expected a transport"),
        (&offered, Responder, String::new(), "bad-request: content-accept without contents"),
    ];
    for (before, from, contents, expected) in table {
        assert_eq!(error(before, from, &stanza("content-accept", &contents)), expected);
    }
}

#[test]
fn s7_2_2_content_add() {
    let new = content("initiator", "n", "video", &transport("ufrag='userC' pwd='anotherpasswordanother'", ""));
    let own = [
        "+m=video 9 RTP/AVP 96",
        "+c=IN IP4 0.0.0.0",
        "+a=ice-ufrag:userC",
        "+a=ice-pwd:anotherpasswordanother",
        "+a=ice-options:trickle",
        "+a=mid:n",
        "+a=sendrecv",
        "+a=rtcp-mux",
        "+a=rtpmap:96 H264/90000",
    ];
    check(&initiator(), Initiator, &stanza("content-add", &new), &own);
    let (offered, _) =
        check(&responder(), Initiator, &stanza("content-add", &new), &["+m=video 0 RTP/AVP 96", "+c=IN IP4 0.0.0.0", "+a=mid:n"]);
    assert_eq!(offered.sections[2].state, State::Offered);

    // XEP-0166 §7.3: the first of the alternatives; the name of the sender; contents of other kinds.
    let file = "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></content>";
    let (after, warnings) = check(&initiator(), Initiator, &stanza("content-add", &format!("{new}{new}{file}")), &own);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(after.sections.len(), 3);
    // What was left out can be spoken of.
    check(&after, Responder, &stanza("content-accept", file), &[]);

    assert_eq!(
        error(&initiator(), Initiator, &stanza("content-add", &new.replace("name='n'", "name='v'"))),
        "out-of-order: content-add of content 'v': it is in the session already"
    );
    let (_, warnings) = responder().apply(Responder, &stanza("content-add", &new)).unwrap();
    assert_eq!(warnings[0].to_string(), "content 'n': content-add says creator='initiator', it comes from the responder");
}

#[test]
fn rfc_8829_s5_2_2_a_content_takes_the_place_of_a_refused_one() {
    let before = initiator().apply(Responder, &stanza("content-remove", &named("initiator", "a", ""))).unwrap().0;
    let mark = |text: &str| format!("<line xmlns='{}' type='a'>{text}</line></content>", ns::SDP);
    let new = content("initiator", "n", "video", &transport("ufrag='userC' pwd='anotherpasswordanother'", ""));
    let table = [
        (new.clone(), 2),
        (new.replace("</content>", &mark("jingle-place:0")), 0),
        // Not free, and not there.
        (new.replace("</content>", &mark("jingle-place:1")), 2),
        (new.replace("</content>", &mark("jingle-place:9")), 2),
        // Of the same name.
        (new.replace("name='n'", "name='a'"), 0),
    ];
    for (xml, index) in table {
        let (after, _) = before.apply(Initiator, &stanza("content-add", &xml)).unwrap();
        assert_eq!(after.sections[index].content.transport.as_ref().unwrap().ufrag.as_deref(), Some("userC"), "{xml}");
        assert_eq!(after.sections[index].content.carried, [], "{xml}");
        assert_eq!(after.sections.len(), 2.max(index + 1), "{xml}");
    }
    // Where there is no room, the first one that is free.
    let mut full = before;
    for at in full.sections.len()..crate::jingle::content::CONTENTS_MAX {
        full = full.apply(Initiator, &stanza("content-add", &new.replace("name='n'", &format!("name='{at}'")))).unwrap().0;
    }
    let (full, _) = full.apply(Initiator, &stanza("content-add", &new)).unwrap();
    assert_eq!((full.sections.len(), &*full.sections[0].content.name), (crate::jingle::content::CONTENTS_MAX, "n"));
    assert_eq!(
        error(&full, Initiator, &stanza("content-add", &new.replace("name='n'", "name='m'"))),
        "resource-constraint: content-add: more than 128 contents"
    );
}

#[test]
fn s7_2_3_content_modify() {
    let modify = |senders: &str| stanza("content-modify", &format!("<content creator='initiator' name='a' {senders}/>"));
    for from in [Initiator, Responder] {
        check(&initiator(), from, &modify("senders='initiator'"), &["-a=sendrecv", "+a=sendonly"]);
        check(&responder(), from, &modify("senders='initiator'"), &["-a=sendrecv", "+a=recvonly"]);
        check(&responder(), from, &modify("senders='none'"), &["-a=sendrecv", "+a=inactive"]);
        check(&responder(), from, &modify("senders='both'"), &[]);
    }
    assert_eq!(error(&initiator(), Initiator, &modify("")), "bad-request: content-modify of content 'a': expected senders (XEP-0166 §7.3)");
    // Offered contents too: whose answer it is does not matter.
    let modify = stanza("content-modify", "<content creator='initiator' name='n' senders='initiator'/>");
    let (after, _) = check(&with_offered(), Initiator, &modify, &[]);
    let own = stanza("content-accept", &content("initiator", "n", "video", &transport("ufrag='userB' pwd='anotherpasswordanother'", "")));
    assert!(text(&after.apply(Responder, &own).unwrap().0).contains("a=mid:n\r\na=recvonly"));
}

#[test]
fn s7_2_4_content_reject_and_s7_2_5_content_remove() {
    let of = |action: &str, name: &str| stanza(action, &named("initiator", name, ""));
    let gone = [
        "-a=group:BUNDLE a v",
        "-m=video 9 UDP/TLS/RTP/SAVPF 96",
        "-a=ice-ufrag:userA",
        "-a=ice-pwd:passwordpasswordpassword",
        "-a=ice-options:trickle",
        "-a=fingerprint:sha-256 AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
        "-a=setup:actpass",
        "-a=sendrecv",
        "-a=rtcp-mux",
        "-a=rtpmap:96 VP8/90000",
        "+a=group:BUNDLE a",
        "+m=video 0 UDP/TLS/RTP/SAVPF 96",
    ];
    check(&initiator(), Responder, &of("content-reject", "v"), &gone);
    for from in [Initiator, Responder] {
        let (after, _) = check(&initiator(), from, &of("content-remove", "v"), &gone);
        let twice = error(&after, from, &of("content-remove", "v"));
        assert_eq!(twice, "item-not-found: content-remove: there is no content 'v' of the initiator");
    }
    // Both at once: the group goes with its last member.
    let both = stanza("content-remove", &(named("initiator", "v", "") + &named("initiator", "a", "")));
    assert_eq!(initiator().apply(Initiator, &both).unwrap().0.groups, []);
    let (after, _) = check(&with_offered(), Responder, &of("content-reject", "n"), &[]);
    assert_eq!(after.sections[2].state, State::Refused);
    for (before, from) in [(&with_offered(), Initiator), (&initiator(), Initiator), (&responder(), Responder)] {
        let name = if before.sections.len() > 2 { "n" } else { "v" };
        assert_eq!(
            error(before, from, &of("content-reject", name)),
            format!("out-of-order: content-reject of content '{name}': nobody has asked for that")
        );
    }
}

#[test]
fn s7_2_8_session_accept() {
    let own = |name: &str, media: &str, senders: &str| {
        content("initiator", name, media, &transport("ufrag='userB' pwd='anotherpasswordanother'", ""))
            .replace("name='v'", &format!("name='v' {senders}"))
    };
    // For the initiator: what is left out is refused, the senders are those of the answer.
    let accept = stanza("session-accept", &own("v", "video", "senders='responder'"));
    let (after, _) = initiator().apply(Responder, &accept).unwrap();
    let states: Vec<_> = after.sections.iter().map(|section| (&*section.content.name, section.state)).collect();
    assert_eq!(states, [("a", State::Refused), ("v", State::Active)]);
    assert!(text(&after).contains("a=mid:v\r\na=recvonly"), "{}", text(&after));
    assert_eq!((after.groups[0].contents.len(), after.origin.version), (1, 2));
    // For the responder: its first description.
    let unanswered = initiator().unanswered();
    assert_eq!((unanswered.party, unanswered.origin.version), (Responder, 0));
    let (answer, _) = unanswered.apply(Responder, &accept).unwrap();
    let states: Vec<_> = answer.sections.iter().map(|section| (&*section.content.name, section.state)).collect();
    assert_eq!(states, [("a", State::Refused), ("v", State::Active)]);
    assert_eq!((&*answer.sections[1].content.transport.as_ref().unwrap().ufrag.clone().unwrap(), answer.origin.version), ("userB", 1));
    assert_eq!(error(&answer, Responder, &accept), "out-of-order: session-accept of content 'v': nobody has asked for that");
    assert_eq!(error(&answer, Initiator, &accept), "out-of-order: session-accept by the initiator");
    assert_eq!(error(&answer, Initiator, &stanza("session-initiate", "")), "out-of-order: session-initiate within the session");
    // §7.2.8: contents of another disposition are not meant.
    let mut early = initiator();
    early.sections[0].content.disposition = Some("early-session".into());
    let (after, _) = early.apply(Responder, &accept).unwrap();
    assert_eq!(after.sections[0].state, State::Active);
}

#[test]
fn s7_2_11_session_terminate() {
    let (after, warnings) = with_offered().apply(Initiator, &stanza("session-terminate", "<reason><success/></reason>")).unwrap();
    assert_eq!(warnings[0].to_string(), "session-terminate: SDP has no line for the reason 'success'");
    assert!(after.sections.iter().all(|section| section.state == State::Refused));
    assert_eq!((after.groups.len(), after.origin.version), (0, with_offered().origin.version + 1));
}

#[test]
fn rfc_3264_s8_a_version_that_cannot_grow_is_said() {
    let mut before = initiator();
    before.origin.version = u64::MAX;
    let (after, warnings) = before.apply(Initiator, &stanza("content-remove", &named("initiator", "v", ""))).unwrap();
    assert_eq!((after.origin.version, warnings.len()), (u64::MAX, 1));
}

const CANDIDATE: &str = "<candidate component='1' foundation='1' generation='0' id='x' ip='192.0.2.1' network='0' port='5000' priority='7' protocol='udp' type='host'/>";

#[test]
fn xep_0176_s5_8_transport_info() {
    let info = |transport: &str| stanza("transport-info", &named("initiator", "a", transport));
    let first = info(&transport("ufrag='userA' pwd='passwordpasswordpassword'", CANDIDATE));
    let (after, _) = check(
        &initiator(),
        Initiator,
        &first,
        &[
            "-m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
            "-c=IN IP4 0.0.0.0",
            "+m=audio 5000 UDP/TLS/RTP/SAVPF 111 0",
            "+c=IN IP4 192.0.2.1",
            "+a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0",
        ],
    );
    // Again, and the other party's; without ufrag; with another priority.
    check(&after, Initiator, &first, &[]);
    check(&responder(), Initiator, &first, &[]);
    check(&after, Initiator, &info(&transport("", CANDIDATE)), &[]);
    check(
        &after,
        Initiator,
        &info(&transport("", &CANDIDATE.replace("priority='7'", "priority='8'"))),
        &["-a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0", "+a=candidate:1 1 udp 8 192.0.2.1 5000 typ host generation 0"],
    );
    // XEP-0371 §7, and its namespace for the same transport.
    let complete = transport("ufrag='userA' pwd='passwordpasswordpassword'", "<gathering-complete/>");
    check(&after, Initiator, &info(&complete), &["+a=end-of-candidates"]);
    let (done, _) = check(&after, Initiator, &info(&complete.replace(ns::JINGLE_ICE_UDP, ns::JINGLE_ICE)), &["+a=end-of-candidates"]);
    // XEP-0320 §1, example 3: keys.
    let fingerprint = "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F</fingerprint>";
    check(&initiator(), Initiator, &info(&transport("", fingerprint)), &["-a=setup:actpass", "+a=setup:active"]);
    // §5.9: a restart voids candidates and their end.
    let restart = info(&transport(
        "ufrag='userX' pwd='anotherpasswordanother'",
        &CANDIDATE.replace("generation='0'", "generation='1'").replace("5000", "6000"),
    ));
    check(
        &done,
        Initiator,
        &restart,
        &[
            "-m=audio 5000 UDP/TLS/RTP/SAVPF 111 0",
            "-a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0",
            "-a=end-of-candidates",
            "-a=ice-ufrag:userA",
            "-a=ice-pwd:passwordpasswordpassword",
            "+m=audio 6000 UDP/TLS/RTP/SAVPF 111 0",
            "+a=candidate:1 1 udp 7 192.0.2.1 6000 typ host generation 1",
            "+a=ice-ufrag:userX",
            "+a=ice-pwd:anotherpasswordanother",
        ],
    );
    assert_eq!(error(&after, Initiator, &info("")), "bad-request: transport-info of content 'a': expected a transport");
    let raw = format!("<transport xmlns='{}'>{CANDIDATE}</transport>", ns::JINGLE_RAW_UDP);
    assert_eq!(
        error(&after, Initiator, &info(&raw)),
        "bad-request: transport-info of content 'a': it has ice-udp, and transport-replace changes that"
    );
    // Half of it does not fit: nothing is changed, for there is only a new description.
    let half =
        stanza("transport-info", &(named("initiator", "v", &transport("", CANDIDATE)) + &named("initiator", "x", &transport("", ""))));
    assert_eq!(error(&after, Initiator, &half), "item-not-found: transport-info: there is no content 'x' of the initiator");
}

#[test]
fn s7_3_a_wrong_creator_is_told_by_the_name() {
    let wrong = stanza("transport-info", &named("responder", "a", &transport("", "<gathering-complete/>")));
    let (_, warnings) = check(&responder(), Responder, &wrong, &["+a=end-of-candidates"]);
    assert_eq!(warnings, ["content 'a': transport-info says creator='responder', it is the initiator"]);
}

#[test]
fn candidates_have_a_bound() {
    use crate::jingle::transport::CANDIDATES_MAX;
    let many = |from: usize| {
        let candidates = (from..from + 200).map(|port| CANDIDATE.replace("5000", &(10000 + port).to_string()));
        stanza("transport-info", &named("initiator", "a", &transport("", &candidates.collect::<String>())))
    };
    let (once, warnings) = initiator().apply(Initiator, &many(0)).unwrap();
    assert_eq!(warnings, []);
    let (twice, warnings) = once.apply(Initiator, &many(200)).unwrap();
    let transport = twice.sections[0].content.transport.as_ref().unwrap();
    assert_eq!((transport.candidates.len(), transport.candidates_left_out, warnings.len()), (CANDIDATES_MAX, 400 - CANDIDATES_MAX, 1));
}

#[test]
fn xep_0320_s1_what_is_said_before_the_answer_is_part_of_it() {
    let early = stanza("transport-info", &named("initiator", "n", &transport("ufrag='userB' pwd='anotherpasswordanother'", CANDIDATE)));
    let (after, _) = check(&with_offered(), Responder, &early, &[]);
    for attributes in ["ufrag='userB' pwd='anotherpasswordanother'", ""] {
        let accept = stanza("content-accept", &content("initiator", "n", "video", &transport(attributes, "<gathering-complete/>")));
        let (answer, _) = after.apply(Responder, &accept).unwrap();
        let transport = answer.sections[2].content.transport.as_ref().unwrap();
        assert_eq!((transport.ufrag.as_deref(), transport.candidates.len(), transport.gathering_complete), (Some("userB"), 1, true));
        assert_eq!(answer.sections[2].pending, crate::sdp::description::Pending::default());
    }
    // The other party's words about what it offers.
    let others = stanza("transport-info", &named("initiator", "n", &transport("ufrag='userA' pwd='anotherpasswordanother'", CANDIDATE)));
    let (after, _) = check(&with_offered(), Initiator, &others, &[]);
    assert_eq!(after.sections[2].content.transport.as_ref().unwrap().candidates.len(), 1);
}

fn raw_udp(port: u16) -> String {
    format!(
        "<transport xmlns='{}'><candidate component='1' generation='0' id='r' ip='192.0.2.9' port='{port}'/></transport>",
        ns::JINGLE_RAW_UDP
    )
}

#[test]
fn s7_2_15_transport_replace_and_its_answers() {
    let of = |action: &str, port: u16| stanza(action, &named("initiator", "a", &raw_udp(port)));
    let replace = of("transport-replace", 4000);
    let (asking, _) = initiator().apply(Initiator, &replace).unwrap();
    assert!(text(&asking).contains("m=audio 4000 RTP/AVP"), "{}", text(&asking));
    assert_eq!(asking.origin.version, 2);
    // Accepted, and refused: then what was before the first of them holds.
    let (accepted, _) = check(&asking, Responder, &of("transport-accept", 4444), &[]);
    assert_eq!(
        error(&accepted, Responder, &of("transport-accept", 4444)),
        "out-of-order: transport-accept of content 'a': nobody has asked for that"
    );
    let (again, _) = asking.apply(Initiator, &of("transport-replace", 4002)).unwrap();
    let (refused, _) = again.apply(Responder, &of("transport-reject", 4002)).unwrap();
    assert_eq!(changes(&text(&initiator()), &text(&refused)), Vec::<String>::new());
    assert_eq!(refused.origin.version, 4);

    // For the other party: nothing until it answers.
    let (asked, _) = check(&responder(), Initiator, &replace, &[]);
    let (accepting, _) = asked.apply(Responder, &of("transport-accept", 4444)).unwrap();
    assert!(text(&accepting).contains("m=audio 4444 RTP/AVP"), "{}", text(&accepting));
    check(&asked, Responder, &of("transport-reject", 4000), &[]);
    for (before, from) in [(&asked, Initiator), (&responder(), Responder), (&asking, Initiator)] {
        for action in ["transport-accept", "transport-reject"] {
            let expected = format!("out-of-order: {action} of content 'a': nobody has asked for that");
            assert_eq!(error(before, from, &of(action, 4000)), expected);
        }
    }
}

#[test]
fn s7_2_16_the_initiators_transport_replace_overrules() {
    let of = |port: u16| stanza("transport-replace", &named("initiator", "a", &raw_udp(port)));
    for before in [initiator(), responder()] {
        let (first, _) = before.apply(Initiator, &of(4000)).unwrap();
        assert_eq!(error(&first, Responder, &of(4444)), "tie-break: transport-replace of content 'a': the initiator's waits for an answer");
        // In the other order the responder's is void.
        let (second, _) = before.apply(Responder, &of(4444)).unwrap();
        let (second, warnings) = second.apply(Initiator, &of(4000)).unwrap();
        assert_eq!(warnings.len(), 1);
        assert_eq!(text(&first).lines().skip(2).collect::<Vec<_>>(), text(&second).lines().skip(2).collect::<Vec<_>>());
        assert_eq!(first.sections, second.sections);
    }
}

#[test]
fn xep_0176_s6_the_responder_replaces_the_transport_before_it_accepts() {
    let replace = stanza("transport-replace", &named("initiator", "a", &raw_udp(4444)));
    let (asked, _) = check(&initiator(), Responder, &replace, &[]);
    let accept = stanza("transport-accept", &named("initiator", "a", &raw_udp(4000)));
    let answer = stanza("session-accept", &content("initiator", "a", "audio", &raw_udp(4444)));
    let (offer, _) = asked.apply(Initiator, &accept).unwrap();
    assert!(text(&offer).contains("m=audio 4000 RTP/AVP"));
    let mut responder = initiator().unanswered();
    for (from, stanza) in [(Responder, &replace), (Initiator, &accept), (Responder, &answer)] {
        responder = responder.apply(from, stanza).unwrap().0;
    }
    assert!(text(&responder).contains("m=audio 4444 RTP/AVP"), "{}", text(&responder));
}

#[test]
fn xep_0167_s9_description_info() {
    let info = |name: &str, media: &str, children: &str, beside: &str| {
        let description = format!("<description xmlns='{}' media='{media}'>{children}</description>", ns::JINGLE_RTP);
        stanza("description-info", &named("initiator", name, &(description + beside)))
    };
    let own = |children: &str, expected: &[&str]| check(&initiator(), Initiator, &info("a", "audio", children, ""), expected);
    // As in example 14, parameters that are not named stay.
    own(
        "<payload-type id='111' name='opus' clockrate='48000' channels='2'><parameter name='minptime' value='20'/></payload-type>",
        &["-a=fmtp:111 minptime=10;useinbandfec=1", "+a=fmtp:111 minptime=20;useinbandfec=1"],
    );
    own(
        "<payload-type id='8' name='PCMA' clockrate='8000'/>",
        &["-m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "+m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8", "+a=rtpmap:8 PCMA/8000"],
    );
    own("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='5'><parameter name='cname' value='c'/></source>", &["+a=ssrc:5 cname:c"]);
    own("", &[]);
    // The other party's is about its own description.
    check(&responder(), Initiator, &info("a", "audio", "<payload-type id='8' name='PCMA' clockrate='8000'/>", ""), &[]);
    // The whole: what is not there is gone, lines that are carried too.
    let mut carrying = initiator();
    carrying.sections[0].content.carried.push(crate::jingle::content::Carried { kind: 'a', value: "label:1".into() });
    let whole = format!("<line xmlns='{}' type='a'>jingle-whole</line>", ns::SDP);
    check(
        &carrying,
        Initiator,
        &info("a", "audio", "<payload-type id='0' name='PCMU' clockrate='8000'/>", &whole),
        &[
            "-m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
            "-a=rtpmap:111 opus/48000/2",
            "-a=fmtp:111 minptime=10;useinbandfec=1",
            "-a=label:1",
            "-a=rtcp-mux",
            "+m=audio 9 UDP/TLS/RTP/SAVPF 0",
        ],
    );
    // XEP-0338: groups alone.
    let group = |contents: &str| {
        stanza("description-info", &format!("<group xmlns='{}' semantics='BUNDLE'>{contents}</group>", ns::JINGLE_GROUPING))
    };
    check(
        &initiator(),
        Initiator,
        &group("<content name='v'/><content name='a'/><content name='x'/>"),
        &["-a=group:BUNDLE a v", "+a=group:BUNDLE v a"],
    );
    check(&initiator(), Initiator, &group(""), &["-a=group:BUNDLE a v"]);
    check(&initiator(), Responder, &group(""), &[]);
    assert_eq!(error(&initiator(), Initiator, &stanza("description-info", "")), "bad-request: description-info without contents");
    let wrong = "bad-request: description-info of content 'a': expected a description of the kind that it has";
    assert_eq!(error(&initiator(), Initiator, &info("a", "video", "", "")), wrong);
}

#[test]
fn xep_0167_s8_session_info() {
    let info = |name: &str| stanza("session-info", &format!("<{name} xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>"));
    let video = |senders: &str| stanza("content-modify", &format!("<content creator='initiator' name='v' senders='{senders}'/>"));
    // RFC 3264 §8.4: sendrecv becomes sendonly, recvonly inactive; and back to what it was.
    let (before, _) = initiator().apply(Initiator, &video("responder")).unwrap();
    let (held, _) = check(&before, Initiator, &info("hold"), &["-a=sendrecv", "-a=recvonly", "+a=sendonly", "+a=inactive"]);
    check(&held, Initiator, &info("hold"), &[]);
    for word in ["unhold", "active"] {
        let (after, _) = check(&held, Initiator, &info(word), &["-a=sendonly", "-a=inactive", "+a=sendrecv", "+a=recvonly"]);
        assert_eq!(after.sections, before.sections);
        check(&before, Initiator, &info(word), &[]);
    }
    // What was before is not in the SDP.
    let forgetful = described(&text(&held), Initiator);
    check(&forgetful, Initiator, &info("unhold"), &["-a=sendonly", "-a=inactive", "+a=sendrecv", "+a=sendrecv"]);
    // Said anew, it is no hold any more.
    let (modified, _) = held.apply(Initiator, &video("both")).unwrap();
    check(&modified, Initiator, &info("active"), &["-a=sendonly", "+a=sendrecv"]);
    // The responder's: by role. The other party's hold, and what SDP does not have.
    check(&responder(), Responder, &info("hold"), &["-a=sendrecv", "-a=sendrecv", "+a=sendonly", "+a=sendonly"]);
    for (from, word, warned) in
        [(Responder, "hold", 0), (Responder, "active", 0), (Initiator, "mute", 1), (Initiator, "unmute", 1), (Responder, "ringing", 1)]
    {
        let (_, warnings) = check(&initiator(), from, &info(word), &[]);
        assert_eq!(warnings.len(), warned, "{word}");
    }
    check(&initiator(), Initiator, &stanza("session-info", ""), &[]);
    let (_, warnings) = check(&initiator(), Initiator, &stanza("security-info", "<content creator='initiator' name='a'/>"), &[]);
    assert_eq!(warnings, ["security-info: SDP has no line for security preconditions"]);
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
