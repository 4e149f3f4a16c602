use std::collections::BTreeMap;

use super::*;
use crate::jingle::Party::{self, Initiator, Responder};
use crate::jingle::content::Content;
use crate::sdp::apply::tests::{OFFER, described, text};
use crate::sdp::convert::to_xml;
use crate::sdp::{SessionDescription, corpus, map};

/// The SDP of a description without what neither a stanza nor a warning says: `o=`, how refused lines were described, the order, ids and
/// generations of candidates, and the candidates of those who use the transport of another.
pub(super) fn normal(description: &Description) -> String {
    let mut normal = description.clone();
    normal.origin = Default::default();
    for section in &mut normal.sections {
        if section.state == State::Refused {
            section.content = Content::new(Initiator, &section.content.name);
        }
        let is_bundled = differences::is_bundled(description, &section.content);
        let Some(transport) = &mut section.content.transport else { continue };
        map::assume_trickle(transport);
        if is_bundled {
            transport.candidates.clear();
            transport.gathering_complete = false;
        }
        for candidate in &mut transport.candidates {
            (candidate.generation, candidate.id) = (0, None);
        }
        transport.candidates.sort_by_cached_key(|candidate| format!("{candidate:?}"));
    }
    text(&normal)
}

/// The stanzas and warnings; where there are no warnings, the stanzas lead to `next`.
pub(super) fn follow(previous: &Description, next: &Description) -> (Vec<Jingle>, Vec<String>) {
    let (stanzas, warnings) = diff(previous, next);
    let mut now = previous.clone();
    for stanza in &stanzas {
        now = now.apply(now.party, stanza).unwrap_or_else(|error| panic!("{error}: {stanza:?}")).0;
    }
    if warnings.is_empty() {
        assert_eq!(normal(&now), normal(next), "{stanzas:?}");
    }
    (stanzas, warnings.iter().map(ToString::to_string).collect())
}

/// The offers and answers of each session in the corpus, in their order.
fn sessions() -> BTreeMap<String, Vec<(String, Party, SessionDescription)>> {
    let mut sessions = BTreeMap::<_, Vec<_>>::new();
    for (name, _, lines) in corpus::descriptions() {
        let (session, file) = name.rsplit_once('/').unwrap();
        // What specifications show are not the parts of one session.
        if lines.origin.is_some() && !session.starts_with("rfc") && !session.starts_with("draft") {
            let party = if file.contains("initiator") { Initiator } else { Responder };
            sessions.entry(session.into()).or_default().push((name, party, lines));
        }
    }
    sessions
}

#[test]
fn sessions_of_real_programs_are_said_in_stanzas() {
    let mut said = 0;
    for (session, files) in sessions() {
        let Ok((offer, _)) = map::from_sdp(files[0].2.clone(), Initiator, None) else { continue };
        let mut both = [offer.unanswered(), offer];
        for (name, party, lines) in &files[1..] {
            let speaker = &both[usize::from(*party == Initiator)];
            let Ok((next, _)) = map::from_sdp(lines.clone(), *party, Some(speaker)) else { panic!("{name}") };
            let (stanzas, warnings) = follow(speaker, &next);
            // RFC 8839 §4.4.1.2.2: when ICE has completed, an offer has the candidates that are in use and no others.
            assert!(
                warnings.iter().all(|warning| warning.ends_with("nothing but a restart of ICE takes them back")),
                "{name}: {warnings:?}"
            );
            said += stanzas.len();
            for stanza in &stanzas {
                both = both.map(|party_| party_.apply(*party, stanza).unwrap_or_else(|error| panic!("{name}: {error}")).0);
            }
            let lines = |description: &Description| -> Vec<_> {
                description.sections.iter().map(|section| (section.content.name.clone(), section.state == State::Refused)).collect()
            };
            assert_eq!(lines(&both[0]), lines(&both[1]), "{session}: {name}");
        }
    }
    assert!(said > 300, "{said}");
}

/// What is said of the change from one text to the other: actions and what is in the XML, or not, with `!`.
fn check(party: Party, before: &str, after: &str, expected: &[(&str, &[&str])]) {
    let before = described(before, party);
    let after = map::from_sdp(crate::sdp::parse(after).unwrap(), party, Some(&before)).unwrap().0;
    check_descriptions(&before, &after, expected, 0);
}

fn check_descriptions(before: &Description, after: &Description, expected: &[(&str, &[&str])], warned: usize) {
    let (stanzas, warnings) = follow(before, after);
    let actions: Vec<_> = stanzas.iter().map(|stanza| stanza.action.as_str()).collect();
    assert_eq!(actions, expected.iter().map(|(action, _)| *action).collect::<Vec<_>>(), "{warnings:?}");
    assert_eq!(warnings.len(), warned, "{warnings:?}");
    for (stanza, (_, words)) in stanzas.iter().zip(expected) {
        let xml = to_xml(stanza);
        for word in *words {
            match word.strip_prefix('!') {
                Some(word) => assert!(!xml.contains(word), "{word} is in {xml}"),
                None => assert!(xml.contains(word), "no {word} in {xml}"),
            }
        }
    }
}

/// The description after another offer of a content, as the initiator and as the responder.
const MORE: &str = "m=video 9 UDP/TLS/RTP/SAVPF 97
c=IN IP4 0.0.0.0
a=ice-ufrag:userA
a=ice-pwd:passwordpasswordpassword
a=ice-options:trickle
a=fingerprint:sha-256 AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F
a=setup:actpass
a=mid:n
a=rtpmap:97 VP9/90000
";

fn refused(text: &str, mid: &str) -> String {
    let at = text.find(&format!("a=mid:{mid}\n")).unwrap();
    let start = text[..at].rfind("m=").unwrap();
    let end = text[at..].find("m=").map_or(text.len(), |end| at + end);
    let line = text[start..end].lines().next().unwrap().replace(" 9 ", " 0 ");
    let section = format!("{line}\nc=IN IP4 0.0.0.0\na=mid:{mid}\n");
    let groups = |line: &str| match line.strip_prefix("a=group:BUNDLE ") {
        Some(mids) => format!("a=group:BUNDLE {}", mids.split(' ').filter(|one| *one != mid).collect::<Vec<_>>().join(" ")),
        None => line.to_owned(),
    };
    let level: String = text[..start].lines().map(groups).map(|line| line + "\n").collect();
    level.replace("a=group:BUNDLE \n", "") + &section + &text[end..]
}

fn with_more() -> String {
    OFFER.replace("BUNDLE a v", "BUNDLE a v n") + MORE
}

#[test]
fn nothing_has_changed() {
    check(Initiator, OFFER, OFFER, &[]);
    check(Responder, OFFER, &OFFER.replace("o=- 7 1", "o=- 7 2"), &[]);
}

#[test]
fn s7_2_2_a_new_section_is_a_content_add() {
    let group = "<content name='a'/><content name='v'/><content name='n'/></group>";
    for party in [Initiator, Responder] {
        let content = format!("<content creator='{}' name='n'", party.as_str());
        check(party, OFFER, &with_more(), &[("content-add", &[&content, group, "!name='a' senders", "!jingle-place"])]);
    }
    // All in one stanza.
    let two = with_more() + &MORE.replace("mid:n", "mid:m");
    check(Initiator, OFFER, &two, &[("content-add", &["name='n'", "name='m'"])]);
}

#[test]
fn rfc_8829_s5_2_2_a_section_in_the_place_of_a_refused_one() {
    let stopped = refused(OFFER, "a");
    let reused = MORE.replace("mid:n", "mid:x");
    let start = stopped.find("m=").unwrap();
    let second = stopped.find("m=video").unwrap();
    let text = stopped[..start].replace("BUNDLE v", "BUNDLE x v") + &reused + &stopped[second..];
    check(
        Initiator,
        &stopped,
        &text,
        &[("content-add", &["name='x'", "<line xmlns='urn:campanile:sdp:0' type='a'>jingle-place:0</line>"])],
    );
    // The same name finds its place without being told, as does what is appended.
    check(Initiator, &stopped, OFFER, &[("content-add", &["name='a'", "!jingle-place"])]);
    let appended = stopped.replace("BUNDLE v", "BUNDLE v n") + MORE;
    check(Initiator, &stopped, &appended, &[("content-add", &["name='n'", "!jingle-place"])]);
}

#[test]
fn s7_2_5_a_section_that_is_refused_is_a_content_remove() {
    let group = "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='a'/></group>";
    for party in [Initiator, Responder] {
        check(
            party,
            OFFER,
            &refused(OFFER, "v"),
            &[("content-remove", &["<content creator='initiator' name='v'/>", group, "!name='a' senders"])],
        );
    }
    check(Initiator, OFFER, &refused(&refused(OFFER, "v"), "a"), &[("content-remove", &["name='a'", "name='v'"])]);
    // RFC 3264 §8.3.3: another kind of media is another content.
    let before = described(OFFER, Initiator);
    let mut after = described(&OFFER.replace("a=mid:v", "a=mid:w").replace("BUNDLE a v", "BUNDLE a w"), Initiator);
    after.origin.version += 1;
    check_descriptions(&before, &after, &[("content-remove", &["name='v'"]), ("content-add", &["name='w'", "jingle-place:1"])], 0);
    // RFC 3264 §8: lines do not go away.
    after.sections.pop();
    after.groups[0].contents.pop();
    check_descriptions(&before, &after, &[("content-remove", &["name='v'"])], 1);
}

#[test]
fn s7_2_1_and_s7_2_8_what_is_offered_is_accepted_or_rejected() {
    let offer = described(&with_more(), Initiator);
    let answer = |text: &str, before: &Description| map::from_sdp(crate::sdp::parse(text).unwrap(), Responder, Some(before)).unwrap().0;
    let own = with_more().replace("userA", "userB").replace("actpass", "active");
    // The session: what is left out is refused.
    let unanswered = offer.unanswered();
    let group = "<content name='a'/><content name='v'/>";
    check_descriptions(&unanswered, &answer(&own, &unanswered), &[("session-accept", &["name='n' senders", group, "userB", "!userA"])], 0);
    let partly = answer(&refused(&own, "v"), &unanswered);
    check_descriptions(&unanswered, &partly, &[("session-accept", &["creator='initiator' name='a'", "!name='v'"])], 0);
    let nothing = ["a", "v", "n"].iter().fold(own.clone(), |text, mid| refused(&text, mid));
    check_descriptions(&unanswered, &answer(&nothing, &unanswered), &[("session-terminate", &["<decline/>"])], 0);
    // A content.
    let (asked, _) = described(OFFER, Responder).apply(Initiator, &only(&offer, "n")).unwrap();
    check_descriptions(&asked, &asked, &[], 0);
    let accepted = answer(&with_more(), &asked);
    check_descriptions(
        &asked,
        &accepted,
        &[("content-accept", &["creator='initiator' name='n'", "<content name='n'/></group>", "!name='v' senders"])],
        0,
    );
    check_descriptions(&asked, &answer(&refused(&with_more(), "n"), &asked), &[("content-reject", &["creator='initiator' name='n'"])], 0);
    // One that was SDP in between does not know what was offered.
    let mut forgetful = asked.clone();
    forgetful.sections.truncate(2);
    let (stanzas, _) = diff(&forgetful, &accepted);
    assert_eq!(stanzas[0].action, Action::ContentAccept);
}

/// The content-add of one content.
fn only(description: &Description, name: &str) -> Jingle {
    let contents = description.sections.iter().map(|section| section.content.clone()).filter(|content| content.name == name);
    Jingle { contents: contents.collect(), ..Jingle::new(Action::ContentAdd, &description.sid) }
}

#[test]
fn s7_2_3_a_direction_is_a_content_modify() {
    let held = OFFER.replacen("a=sendrecv", "a=sendonly", 1);
    check(Initiator, OFFER, &held, &[("content-modify", &["<content creator='initiator' name='a' senders='initiator'/>", "!name='v'"])]);
    check(Responder, OFFER, &held, &[("content-modify", &["senders='responder'"])]);
    check(
        Responder,
        &held,
        &OFFER.replace("sendrecv", "inactive"),
        &[("content-modify", &["name='a' senders='none'", "name='v' senders='none'"])],
    );
}

const LINE: &str = "a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0\n";

fn with_candidate(line: &str) -> String {
    OFFER.replacen("a=ice-ufrag", &format!("{line}a=ice-ufrag"), 1)
}

#[test]
fn xep_0176_s5_8_and_s5_9_transport_info() {
    let first = "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='passwordpasswordpassword' ufrag='userA'><candidate";
    let one = with_candidate(LINE);
    check(Initiator, OFFER, &one, &[("transport-info", &[first, "id='c1'", "!fingerprint", "!trickle", "!name='v'"])]);
    let two = with_candidate(&(LINE.to_owned() + &LINE.replace("5000", "5001") + "a=end-of-candidates\n"));
    check(Initiator, &one, &two, &[("transport-info", &["id='c2'", "port='5001'", "<gathering-complete", "!5000"])]);
    check(Initiator, &one, &one.replace("udp 7", "udp 8"), &[("transport-info", &["priority='8'", "id='c1'"])]);
    // A restart, in which the generation grows.
    let restarted = one.replacen("userA", "userX", 1).replacen("passwordpassword", "anotherpassword0", 1);
    check(Initiator, &two, &restarted, &[("transport-info", &["ufrag='userX'", "generation='1'", "!gathering-complete"])]);
    let without = OFFER.replacen("userA", "userX", 1);
    check(Initiator, &two, &without, &[("transport-info", &["ufrag='userX'", "!<candidate"])]);
    check(Initiator, &two, &restarted.replace("generation 0", "generation 4"), &[("transport-info", &["generation='4'"])]);
    // After it, too.
    let second = restarted.replace("generation 0", "generation 1");
    let more = second
        .replace(LINE.replace("generation 0", "generation 1").as_str(), &(LINE.replace("n 0", "n 1") + &LINE.replace("5000", "5001")));
    check(Initiator, &second, &more, &[("transport-info", &["port='5001'", "generation='1'"])]);
    // What was said is not taken back.
    check_descriptions(&described(&two, Initiator), &described(&one, Initiator), &[], 2);
}

#[test]
fn xep_0320_s1_setup_is_transport_info_and_other_keys_are_another_transport() {
    let setup = "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>AA:01";
    check(Initiator, OFFER, &OFFER.replace("actpass", "active"), &[("transport-info", &[setup, "name='a'", "name='v'"])]);
    let keys = "a=fingerprint:sha-1 01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14\n";
    check(Initiator, OFFER, &OFFER.replacen("a=setup", &format!("{keys}a=setup"), 1), &[("transport-info", &["sha-256", "sha-1"])]);
    check(Initiator, OFFER, &OFFER.replacen("AA:01", "CC:01", 1), &[("transport-replace", &["CC:01", "trickle", "!name='v'"])]);
}

#[test]
fn s7_2_15_another_method_is_a_transport_replace_or_its_answer() {
    let start = OFFER.find("m=").unwrap();
    let raw = OFFER[..start].replace("a=group:BUNDLE a v\n", "")
        + "m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.9\na=mid:a\na=sendrecv\na=rtcp-mux\na=rtpmap:0 PCMU/8000\n";
    let ice = raw
        .replace("a=mid:a", "a=ice-ufrag:userA\na=ice-pwd:passwordpasswordpassword\na=mid:a")
        .replace("192.0.2.9", "0.0.0.0")
        .replace("4000", "9");
    check(Initiator, &ice, &raw, &[("transport-replace", &["urn:xmpp:jingle:transports:raw-udp:1", "port='4000'"])]);
    // The address moves.
    check(Initiator, &raw, &raw.replace("4000", "4002"), &[("transport-replace", &["port='4002'", "!4000"])]);
    // The other party has asked for it.
    let replace = diff(&described(&ice, Initiator), &described(&raw, Initiator)).0.remove(0);
    let (asked, _) = described(&ice, Responder).apply(Initiator, &replace).unwrap();
    check_descriptions(&asked, &described(&raw, Responder), &[("transport-accept", &["port='4000'"])], 0);
}

#[test]
fn xep_0167_s9_description_info() {
    // Only what is modified.
    let fmtp = OFFER.replace("minptime=10", "minptime=20");
    check(
        Initiator,
        OFFER,
        &fmtp,
        &[("description-info", &["value='20'", "!PCMU", "!jingle-whole", "!<transport", "!senders", "!name='v'"])],
    );
    check(
        Initiator,
        OFFER,
        &(OFFER.to_owned() + "a=ssrc:5 cname:c\n"),
        &[("description-info", &["ssrc='5'", "!payload-type", "!jingle-whole"])],
    );
    // The whole, where something is gone.
    let without = OFFER.replace("SAVPF 111 0", "SAVPF 111").replace("a=rtpmap:0 PCMU/8000\n", "");
    check(Initiator, OFFER, &without, &[("description-info", &["opus", "type='a'>jingle-whole</line>", "!name='v'"])]);
    // Lines that are carried, and the session's.
    let carried = OFFER.to_owned() + "a=label:1\n";
    for (before, after) in [(OFFER, &*carried), (&carried, OFFER)] {
        check(Initiator, before, after, &[("description-info", &["jingle-whole"])]);
    }
    let session = OFFER.replacen("a=group", "a=msid-semantic: WMS x\na=group", 1);
    check(Initiator, OFFER, &session, &[("description-info", &["msid-semantic", "!jingle-whole", "!<content"])]);
    check(Initiator, &session, OFFER, &[("description-info", &["jingle-whole", "!<content"])]);
    // XEP-0338 has no stanza for groups alone.
    check(
        Initiator,
        OFFER,
        &OFFER.replace("BUNDLE a v", "BUNDLE v a"),
        &[("description-info", &["<content name='v'/><content name='a'/>"])],
    );
    check(Initiator, OFFER, &OFFER.replace("a=group:BUNDLE a v\n", ""), &[("description-info", &["semantics='BUNDLE'", "!<content"])]);
}

#[test]
fn the_stanzas_come_in_an_order_in_which_each_fits() {
    let after =
        refused(&with_more(), "v").replacen("sendrecv", "sendonly", 1).replace("minptime=10", "minptime=20").replacen("userA", "userX", 1);
    let words: &[&str] = &[];
    check(
        Initiator,
        OFFER,
        &after,
        &[
            ("content-remove", words),
            ("content-add", words),
            ("transport-info", words),
            ("content-modify", words),
            ("description-info", words),
        ],
    );
}

#[test]
fn descriptions_of_two_parties_have_no_difference_to_say() {
    check_descriptions(&described(OFFER, Initiator), &described(OFFER, Responder), &[], 1);
}
