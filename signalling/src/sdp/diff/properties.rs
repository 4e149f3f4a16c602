//! The stanzas lead from any description to any other, or a warning says why not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::follow;
use super::*;
use crate::jingle::content::Group;
use crate::jingle::strategies::{self, Text};
use crate::jingle::transport::{Method, Transport};
use crate::sdp::apply::properties::{offer, sayable};

/// What may become of a section.
#[derive(Debug, Clone)]
enum Turn {
    Stays,
    Refused,
    Senders(Senders),
    Described(Box<Content>),
    Moved(Box<Transport>),
    Restarted,
    Trickled(Box<Transport>),
    /// Anything at all, under the same name.
    Other(Box<Content>),
}

fn turn() -> impl Strategy<Value = Turn> {
    let content = || sayable(Just("x")).prop_map(Box::new);
    let transport = || strategies::transport_of(Text::Line, Method::IceUdp).prop_map(Box::new);
    prop_oneof![
        Just(Turn::Stays),
        Just(Turn::Refused),
        strategies::senders().prop_map(Turn::Senders),
        content().prop_map(Turn::Described),
        transport().prop_map(Turn::Moved),
        Just(Turn::Restarted),
        transport().prop_map(Turn::Trickled),
        content().prop_map(Turn::Other),
    ]
}

/// Whether everything of it can be said.
fn turned(section: &mut Section, turn: Turn) -> bool {
    let content = &mut section.content;
    match turn {
        Turn::Stays => {}
        Turn::Refused => section.state = State::Refused,
        Turn::Senders(senders) => content.senders = Some(senders),
        Turn::Described(other) => {
            let media = content.media().into();
            (content.description, content.protocol, content.carried) = (other.description, other.protocol, other.carried);
            if let Some(crate::jingle::content::Description::Rtp(rtp)) = &mut content.description {
                rtp.media = media;
            }
        }
        Turn::Moved(transport) => {
            content.transport = Some(Transport { method: Method::RawUdp, candidates: transport.candidates, ..Transport::default() });
            return content.transport.as_ref().is_some_and(has_one_of_each);
        }
        Turn::Restarted => {
            let Some(transport) = &mut content.transport else { return true };
            if transport.method != Method::RawUdp {
                (transport.ufrag, transport.pwd) = (Some("another".into()), Some("anotherpasswordanother".into()));
                transport.candidates.clear();
                transport.remote_candidates.clear();
                transport.gathering_complete = false;
            }
        }
        Turn::Trickled(more) => {
            let Some(transport) = &mut content.transport else { return true };
            if transport.method != Method::RawUdp {
                transport.candidates.extend(more.candidates);
                transport.gathering_complete |= more.gathering_complete;
                transport.dtls = transport.dtls.take().or(more.dtls);
                return has_one_of_each(transport);
            }
        }
        Turn::Other(other) => {
            let (creator, name) = (content.creator, content.name.clone());
            *content = Content { creator, name, ..*other };
            return false;
        }
    }
    true
}

/// A candidate that comes twice is one.
fn has_one_of_each(transport: &Transport) -> bool {
    let mut seen = std::collections::HashSet::new();
    transport.candidates.iter().all(|candidate| seen.insert(crate::sdp::apply::key(candidate)))
}

fn change() -> impl Strategy<Value = (Description, Description, bool)> {
    let new = vec((sayable(prop::sample::select(vec!["e", "f", "g"])), any::<bool>()), 0..3);
    (offer(), vec(turn(), 4), new, any::<[bool; 2]>(), vec(strategies::carried(Text::Line), 0..2)).prop_map(
        |(mut previous, turns, new, [regrouped, restated], carried)| {
            let mut is_sayable = true;
            for (section, turn) in previous.sections.iter_mut().zip(&turns).skip(1).step_by(2) {
                // Some lines are refused from the beginning, and some of those are used again.
                if matches!(turn, Turn::Refused) {
                    section.state = State::Refused;
                }
            }
            regroup(&mut previous);
            let mut next = previous.clone();
            for (section, turn) in next.sections.iter_mut().zip(turns) {
                is_sayable &= section.content.transport.as_ref().is_none_or(has_one_of_each);
                is_sayable &= section.state == State::Refused || turned(section, turn);
            }
            for (content, reuses) in new {
                let content = Content { creator: next.party, ..content };
                if next.sections.iter().any(|section| section.content.name == content.name) {
                    continue;
                }
                is_sayable &= content.transport.as_ref().is_none_or(has_one_of_each);
                let refused = next.sections.iter_mut().find(|section| section.state == State::Refused);
                match refused.filter(|_| reuses) {
                    Some(section) => *section = Section::new(content, State::Active),
                    None => next.sections.push(Section::new(content, State::Active)),
                }
            }
            regroup(&mut next);
            if regrouped {
                let contents: Vec<_> = active_names(&next).rev().collect();
                next.groups = if contents.is_empty() { Vec::new() } else { vec![Group { semantics: "LS".into(), contents }] };
            }
            if restated {
                next.carried = carried;
            }
            (previous, next, is_sayable)
        },
    )
}

fn active_names(description: &Description) -> impl DoubleEndedIterator<Item = smol_str::SmolStr> {
    description.sections.iter().filter(|section| section.state == State::Active).map(|section| section.content.name.clone())
}

/// Groups of what is part of the session.
fn regroup(description: &mut Description) {
    let active: Vec<_> = active_names(description).collect();
    for group in &mut description.groups {
        group.contents.retain(|name| active.contains(name));
    }
    description.groups.retain(|group| !group.contents.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_stanzas_lead_from_one_to_the_other((previous, next, is_sayable) in change()) {
        let (stanzas, warnings) = follow(&previous, &next);
        prop_assert!(stanzas.len() <= 7);
        prop_assert!(!is_sayable || warnings.is_empty(), "{:?}", warnings);
    }

    #[test]
    fn the_stanzas_lead_from_any_to_any(previous in offer(), next in offer()) {
        follow(&previous, &next);
        // What is not offered can only be the party's own.
        let mut answer = Description { party: previous.party.other(), ..next };
        let own = answer.sections.iter_mut().skip(previous.sections.len());
        own.for_each(|section| section.content.creator = answer.party);
        follow(&previous.unanswered(), &answer);
    }
}
