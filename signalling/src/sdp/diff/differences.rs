//! What no stanza has said: a warning for each.

use std::collections::HashMap;

use super::transport::is_alike;
use super::{Change, is_same, senders};
use crate::jingle::content::Content;
use crate::jingle::transport::Transport;
use crate::sdp::apply::key;
use crate::sdp::description::{Description, Section, State};
use crate::sdp::warning::Warnings;

impl Change<'_> {
    pub(super) fn differences(&mut self) {
        let Change { now, next, warnings, .. } = self;
        for (index, next_section) in next.sections.iter().enumerate() {
            warnings.enter(&next_section.content.name);
            match now.sections.get(index) {
                Some(section) => section_differs(section, next_section, is_bundled(next, &next_section.content), warnings),
                None if next_section.state == State::Offered => {}
                None => warnings.add(format_args!("no stanza says that there is an m= line more")),
            }
        }
        for section in now.sections.iter().skip(next.sections.len()) {
            warnings.enter(&section.content.name);
            warnings.add(format_args!("an m= line does not go away (RFC 3264 §8), it stays as a refused one"));
        }
        warnings.leave();
        if (&now.initiator, &now.responder) != (&next.initiator, &next.responder) {
            warnings.add(format_args!("no stanza says that the session has another initiator or responder"));
        }
        if now.groups != next.groups {
            warnings.add(format_args!("no stanza leads to these groups: they name contents that are not in the session"));
        }
        if now.carried != next.carried {
            warnings.add(format_args!("no stanza leads to these lines of the session"));
        }
    }
}

/// Whether it takes part in a BUNDLE with another's transport: then it has none of its own to speak of (RFC 8829 §5.2.2).
pub(super) fn is_bundled(description: &Description, content: &Content) -> bool {
    let others = description.groups.iter().filter(|group| group.semantics == "BUNDLE").filter_map(|group| group.contents.get(1..));
    others.flatten().any(|name| *name == content.name)
}

fn section_differs(now: &Section, next: &Section, is_bundled: bool, warnings: &mut Warnings) {
    match (now.state, next.state) {
        (State::Active, State::Active) => {}
        (now, next) if now == next => return,
        (_, State::Offered) => return,
        _ => {
            warnings.add(format_args!("no stanza leads to that state of the m= line"));
            return;
        }
    }
    let (now, next) = (&now.content, &next.content);
    if !is_same(now, next) {
        warnings.add(format_args!("it is another content at another m= line"));
        return;
    }
    let rest = [
        ("creator", now.creator != next.creator),
        ("description", now.description != next.description),
        ("disposition", now.disposition != next.disposition),
        ("protocol", now.protocol != next.protocol),
        ("senders", senders(now) != senders(next)),
        ("carried lines", now.carried != next.carried),
    ];
    for (what, _) in rest.iter().filter(|(_, differs)| *differs) {
        warnings.add(format_args!("no stanza changes its {what}"));
    }
    match (&now.transport, &next.transport) {
        (Some(now), Some(next)) => transport_differs(now, next, is_bundled, warnings),
        (None, None) => {}
        _ => warnings.add(format_args!("no stanza takes a transport away")),
    }
}

fn transport_differs(now: &Transport, next: &Transport, is_bundled: bool, warnings: &mut Warnings) {
    // Where none are said, a stanza means one.
    let are_assumed = next.options.is_empty() && now.options == ["trickle"] && now.candidates.is_empty();
    let rest = [
        ("ICE options", now.options != next.options && !are_assumed),
        ("keys", now.dtls != next.dtls || now.sctp != next.sctp),
        ("ufrag and pwd", now.ufrag != next.ufrag || now.pwd != next.pwd || now.method != next.method),
        ("remote candidates", now.remote_candidates != next.remote_candidates),
        ("end of candidates", !is_bundled && now.gathering_complete && !next.gathering_complete),
    ];
    for (what, _) in rest.iter().filter(|(_, differs)| *differs) {
        warnings.add(format_args!("no stanza takes its {what} back"));
    }
    let mut known: HashMap<_, _> = now.candidates.iter().map(|candidate| (key(candidate), candidate)).collect();
    let is_missing = next.candidates.iter().any(|candidate| !known.remove(&key(candidate)).is_some_and(|known| is_alike(known, candidate)));
    if is_missing {
        warnings.add(format_args!("no stanza says all of its candidates"));
    }
    if !known.is_empty() && !is_bundled {
        warnings.add(format_args!("{} candidates are gone: nothing but a restart of ICE takes them back", known.len()));
    }
}
