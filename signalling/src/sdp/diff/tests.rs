use std::collections::BTreeMap;

use super::*;
use crate::jingle::Party;
use crate::sdp::apply::tests::text;
use crate::sdp::corpus;
use crate::sdp::map;

/// Follows the stanzas and compares with where they should lead.
fn follow(previous: &Description, next: &Description) -> (Vec<Jingle>, Vec<String>) {
    let (stanzas, warnings) = diff(previous, next);
    let mut now = previous.clone();
    for stanza in &stanzas {
        now = now.apply(now.party, stanza).unwrap_or_else(|error| panic!("{error}: {stanza:?}")).0;
    }
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    if warnings.is_empty() {
        assert_eq!(normal(&now), normal(next));
    }
    (stanzas, warnings)
}

/// The SDP of a description without what no stanza says and no warning either: `o=`, the order of candidates, their generation, and the candidates
/// of those who use the transport of another.
fn normal(description: &Description) -> String {
    let mut normal = description.clone();
    normal.origin = Default::default();
    for section in &mut normal.sections {
        if section.state == State::Refused {
            section.content = Content::new(Party::Initiator, &section.content.name);
        }
        let is_bundled = differences::is_bundled(description, &section.content);
        let Some(transport) = &mut section.content.transport else { continue };
        map::assume_trickle(transport);
        if is_bundled {
            transport.candidates.clear();
            transport.gathering_complete = false;
        }
        transport.candidates.iter_mut().for_each(|candidate| (candidate.generation, candidate.id) = (0, None));
        transport.candidates.sort_by_cached_key(|candidate| format!("{candidate:?}"));
    }
    text(&normal)
}

#[test]
fn explore() {
    let mut sessions: BTreeMap<String, Vec<(String, crate::sdp::SessionDescription)>> = BTreeMap::new();
    for (name, _, lines) in corpus::descriptions() {
        if lines.origin.is_none() { continue }
        let (folder, file) = name.rsplit_once('/').unwrap();
        sessions.entry(folder.into()).or_default().push((file.into(), lines));
    }
    for (folder, files) in sessions {
        if folder.starts_with("rfc") || folder.starts_with("draft") { continue; }
        let Ok((offer, _)) = map::from_sdp(files[0].1.clone(), Party::Initiator, None) else { println!("{folder} not read"); continue };
        let mut both = [offer.unanswered(), offer];
        for (file, lines) in &files[1..] {
            let at = usize::from(file.contains("initiator"));
            let next = match map::from_sdp(lines.clone(), both[at].party, Some(&both[at])) { Ok((next, _)) => next, Err(error) => { println!("{folder}/{file}: {error}"); break } };
            let (stanzas, warnings) = follow(&both[at], &next);
            let actions: Vec<_> = stanzas.iter().map(|stanza| stanza.action.as_str()).collect();
            if std::env::var("SHOW").is_ok_and(|show| show.split(',').any(|show| format!("{folder}/{file}").contains(show))) {
                for stanza in &stanzas { println!("{}", crate::sdp::convert::to_xml(stanza)); }
            }
            println!("{folder}/{file}: {actions:?} {warnings:?}");
            let from = both[at].party;
            for stanza in &stanzas {
                for description in &mut both {
                    *description = description.apply(from, stanza).unwrap_or_else(|error| panic!("{folder}/{file} {:?} {}: {error}", description.party, stanza.action.as_str())).0;
                }
            }
            let lines = |description: &Description| description.sections.iter().map(|section| (section.content.name.clone(), section.state == State::Refused)).collect::<Vec<_>>();
            assert_eq!(lines(&both[0]), lines(&both[1]), "{folder}/{file}");
        }
    }
}
