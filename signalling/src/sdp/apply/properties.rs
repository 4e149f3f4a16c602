//! What holds for any stanza in any order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::text;
use super::*;
use crate::jingle::content::{Description as Application, Group};
use crate::jingle::strategies::{self, Text};
use crate::jingle::transport::Method;

/// A content with an m= line, of a name that others have too.
pub(in crate::sdp) fn sayable(name: impl Strategy<Value = &'static str>) -> impl Strategy<Value = Content> {
    let media = prop::sample::select(vec!["audio", "video"]);
    let method = prop::sample::select(vec![Method::IceUdp, Method::IceUdp, Method::IceUdp, Method::Ice, Method::RawUdp]);
    let transport = method.prop_flat_map(|method| strategies::transport_of(Text::Line, method));
    let description = (strategies::rtp(Text::Line), strategies::payload_type(Text::Line));
    (name, media, description, transport, strategies::content(Text::Line)).prop_map(
        |(name, media, (mut rtp, payload), mut transport, content)| {
            if rtp.payload_types.is_empty() {
                rtp.payload_types.push(payload);
            }
            rtp.media = media.into();
            transport.sctp = None;
            if transport.method != Method::RawUdp {
                transport.ufrag.get_or_insert_with(|| "ufrag".into());
                transport.pwd.get_or_insert_with(|| "passwordpasswordpassword".into());
            }
            Content {
                name: name.into(),
                description: Some(Application::Rtp(Box::new(rtp))),
                transport: Some(transport),
                disposition: None,
                ..content
            }
        },
    )
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "d"])
}

/// The first description of a session.
pub(in crate::sdp) fn offer() -> impl Strategy<Value = Description> {
    (vec(sayable(name()), 1..4), any::<bool>()).prop_map(|(contents, bundled)| {
        let mut description = super::tests::described("v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n", Party::Initiator);
        for content in contents {
            if description.sections.iter().all(|section| section.content.name != content.name) {
                let creator = Party::Initiator;
                description.sections.push(Section::new(Content { creator, ..content }, State::Active));
            }
        }
        if bundled {
            let contents = description.sections.iter().map(|section| section.content.name.clone()).collect();
            description.groups.push(Group { semantics: "BUNDLE".into(), contents });
        }
        description
    })
}

fn action() -> impl Strategy<Value = Action> {
    use Action as A;
    prop::sample::select(vec![
        A::ContentAccept,
        A::ContentAccept,
        A::ContentAdd,
        A::ContentAdd,
        A::ContentModify,
        A::ContentReject,
        A::ContentRemove,
        A::DescriptionInfo,
        A::SessionAccept,
        A::SessionAccept,
        A::SessionInfo,
        A::SessionTerminate,
        A::TransportAccept,
        A::TransportInfo,
        A::TransportReject,
        A::TransportReplace,
    ])
}

/// One that may well fit.
fn stanza() -> impl Strategy<Value = Jingle> {
    let groups = prop_oneof![3 => Just(Vec::new()), 1 => vec(vec(name(), 0..4), 1..3).prop_map(|groups| {
        groups.into_iter().map(|names| Group { semantics: "BUNDLE".into(), contents: names.into_iter().map(Into::into).collect() }).collect()
    })];
    let carried = vec(strategies::carried(Text::Line), 0..2);
    (action(), vec(sayable(name()), 1..3), groups, carried, strategies::info(Text::Line), any::<bool>()).prop_map(
        |(action, mut contents, groups, carried, info, whole)| {
            if whole {
                contents.iter_mut().for_each(|content| content.carried.push(Mark::Whole.carried()));
            }
            Jingle { contents, groups, carried, info: (action == Action::SessionInfo).then_some(info), ..Jingle::new(action, "7") }
        },
    )
}

fn wild() -> impl Strategy<Value = (Description, Party, Jingle)> {
    let state = prop::sample::select(vec![State::Active, State::Active, State::Offered, State::Refused]);
    let sections = vec((strategies::content(Text::Wild), state), 0..4);
    (sections, vec(strategies::group(Text::Wild), 0..2), strategies::party(), strategies::party(), strategies::jingle(Text::Wild)).prop_map(
        |(sections, groups, party, from, mut stanza)| {
            // So that some of it is known.
            for ((content, _), said) in sections.iter().zip(&mut stanza.contents) {
                (said.creator, said.name) = (content.creator, content.name.clone());
            }
            let mut description = super::tests::described("v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n", party);
            description.sections = sections.into_iter().map(|(content, state)| Section::new(content, state)).collect();
            (description.groups, description.sid) = (groups, stanza.sid.clone());
            (description, from, stanza)
        },
    )
}

/// The version grows by one with each change of the SDP and with nothing else.
fn version_follows_the_text(before: &Description, after: &Description) {
    let lines = |description: &Description| -> Vec<String> {
        text(description).lines().filter(|line| !line.starts_with("o=")).map(String::from).collect()
    };
    let changed = lines(before) != lines(after);
    assert_eq!(after.origin.version, before.origin.version + u64::from(changed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stanza_is_applied_or_does_not_fit((before, from, stanza) in wild()) {
        if let Ok((after, _)) = before.apply(from, &stanza) {
            version_follows_the_text(&before, &after);
            prop_assert!(after.sections.len() >= before.sections.len());
        }
    }

    /// Both parties' descriptions have the same m= lines, and what one says of a content fits to what the other says.
    #[test]
    fn the_descriptions_of_both_parties_agree(offer in offer(), said in vec((strategies::party(), stanza()), 1..10)) {
        let mut both = [offer.unanswered(), offer];
        for (from, mut stanza) in said {
            if stanza.action == Action::ContentAdd {
                stanza.contents.iter_mut().for_each(|content| content.creator = from);
            }
            let [Ok(responder), Ok(initiator)] = both.each_ref().map(|description| description.apply(from, &stanza)) else { continue };
            let after = [responder.0, initiator.0];
            for (before, after) in both.iter().zip(&after) {
                version_follows_the_text(before, after);
            }
            let [responder, initiator] = &after;
            prop_assert_eq!(responder.sections.len(), initiator.sections.len());
            for (one, other) in responder.sections.iter().zip(&initiator.sections) {
                prop_assert_eq!((one.content.creator, &one.content.name), (other.content.creator, &other.content.name));
                let states = (one.state, other.state);
                let fit = matches!(states, (State::Active, State::Active | State::Offered) | (State::Offered, State::Active) | (State::Refused, State::Refused));
                prop_assert!(fit, "{:?} after {:?}", states, stanza);
            }
            for description in &after {
                let is_active = |name: &SmolStr| description.sections.iter().any(|section| section.state == State::Active && section.content.name == *name);
                prop_assert!(description.groups.iter().all(|group| !group.contents.is_empty() && group.contents.iter().all(is_active)));
            }
            both = after;
        }
    }
}
