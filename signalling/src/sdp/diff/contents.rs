//! Contents that go and come: content-reject and content-remove, content-add, content-accept or session-accept.

use super::{Change, is_same, named};
use crate::jingle::content::{Action, Carried, Content, Group, Jingle, Party};
use crate::sdp::apply::{Mark, place};
use crate::sdp::description::{Section, State};

/// What becomes of an m= line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    Comes,
    /// What was there is refused, and another content takes its place.
    Changes,
    Accepted,
}

impl Change<'_> {
    pub(super) fn contents(&mut self) {
        let fates = self.fates();
        if self.is_session_unanswered() {
            self.session_answer(&fates);
        } else {
            self.leave(&fates, State::Offered, Action::ContentReject);
        }
        self.leave(&fates, State::Active, Action::ContentRemove);
        self.come(&fates);
        self.accept(&fates);
    }

    fn fates(&self) -> Vec<Fate> {
        let lines = self.now.sections.len().max(self.next.sections.len());
        let mut fates = Vec::with_capacity(lines);
        for index in 0..lines {
            let (now, next) = (self.now.sections.get(index), self.next.sections.get(index));
            let was = now.map_or(State::Refused, |section| section.state);
            let is = next.map_or(State::Refused, |section| section.state);
            let is_same = now.zip(next).is_some_and(|(now, next)| is_same(&now.content, &next.content));
            fates.push(match (was, is) {
                (State::Active | State::Offered, State::Refused) => Fate::Goes,
                (State::Active, State::Active) | (State::Offered, State::Offered) if is_same => Fate::Stays,
                (State::Offered, State::Active) if is_same => Fate::Accepted,
                (State::Active | State::Offered, State::Active) => Fate::Changes,
                // A description that was SDP in between does not know what is offered: whose content it is tells.
                (State::Refused, State::Active) if next.is_some_and(|next| next.content.creator != self.next.party) => Fate::Accepted,
                (State::Refused, State::Active) => Fate::Comes,
                // What the other party offers is not this one's to say.
                (_, State::Offered) | (State::Refused, State::Refused) => Fate::Stays,
            });
        }
        fates
    }

    /// Whether the party has not answered the session-initiate.
    fn is_session_unanswered(&self) -> bool {
        let mut offered = self.now.sections.iter().filter(|section| section.content.creator == Party::Initiator).peekable();
        self.now.party == Party::Responder && offered.peek().is_some() && offered.all(|section| section.state == State::Offered)
    }

    /// XEP-0166 §7.2.8; what it leaves out is refused with it. If that is everything, it is no session (§6.3).
    fn session_answer(&mut self, fates: &[Fate]) {
        let accepted = self.accepted(fates);
        if accepted.is_empty() {
            if fates.iter().all(|fate| *fate == Fate::Goes) {
                self.say(self.now.declined());
            }
            return;
        }
        let contents = accepted.into_iter().map(|(_, content)| content).collect();
        let stanza =
            Jingle { contents, groups: self.next.groups.clone(), carried: self.next.carried.clone(), ..self.stanza(Action::SessionAccept) };
        self.say(stanza);
    }

    /// Refuses those that were in this state.
    fn leave(&mut self, fates: &[Fate], state: State, action: Action) {
        let leaving = self.now.sections.iter().zip(fates).filter(|(section, fate)| {
            let goes = matches!(fate, Fate::Goes | Fate::Changes);
            section.state == state && goes
        });
        let contents: Vec<Content> = leaving.map(|(section, _)| named(&section.content)).collect();
        if !contents.is_empty() {
            let groups = self.groups_without(&contents);
            self.say(Jingle { contents, groups, ..self.stanza(action) });
        }
    }

    fn come(&mut self, fates: &[Fate]) {
        let mut scratch = self.now.clone();
        let mut contents = Vec::new();
        for (index, section) in self.next.sections.iter().enumerate() {
            if !matches!(fates.get(index), Some(Fate::Comes | Fate::Changes)) {
                continue;
            }
            let mut content = Content { creator: self.next.party, ..section.content.clone() };
            if place(&scratch, &content, None) != Some(index) {
                content.carried.push(Mark::Place(index).carried());
            }
            if let Some(index) = place(&scratch, &content, Some(index)) {
                let section = Section::new(content.clone(), State::Active);
                match scratch.sections.get_mut(index) {
                    Some(refused) => *refused = section,
                    None => scratch.sections.push(section),
                }
            }
            contents.push(content);
        }
        self.say_with_groups(contents, Action::ContentAdd);
    }

    fn accept(&mut self, fates: &[Fate]) {
        let accepted = self.accepted(fates);
        for (index, _) in &accepted {
            self.offer(*index);
        }
        let contents = accepted.into_iter().map(|(_, content)| content).collect();
        self.say_with_groups(contents, Action::ContentAccept);
    }

    fn accepted(&self, fates: &[Fate]) -> Vec<(usize, Content)> {
        let mut accepted = Vec::new();
        for (index, (section, fate)) in self.next.sections.iter().zip(fates).enumerate() {
            let now = self.now.sections.get(index).filter(|now| now.state == State::Offered);
            let is_done = self.now.sections.get(index).is_some_and(|now| now.state == State::Active);
            if *fate == Fate::Accepted && !is_done {
                let creator = now.map_or(section.content.creator, |now| now.content.creator);
                accepted.push((index, Content { creator, ..section.content.clone() }));
            }
        }
        accepted
    }

    /// Makes an offer of what the other party must have offered, where [`Fate::Accepted`] was concluded from its creator.
    fn offer(&mut self, index: usize) {
        while self.now.sections.len() <= index {
            let section = &self.next.sections[self.now.sections.len()];
            self.now.sections.push(Section::new(section.content.clone(), State::Refused));
        }
        if self.now.sections[index].state == State::Refused {
            self.now.sections[index] = Section::new(self.next.sections[index].content.clone(), State::Offered);
        }
    }

    /// The groups are said with it, for what takes part in a BUNDLE has no transport of its own.
    fn say_with_groups(&mut self, contents: Vec<Content>, action: Action) {
        if !contents.is_empty() {
            let stanza = Jingle { contents, ..self.stanza(action) };
            let groups = self.groups_to_say();
            let carried = if self.now.carried == self.next.carried { Vec::new() } else { self.carried_to_say() };
            self.say(Jingle { groups, carried, ..stanza });
        }
    }

    /// All of `next`, and none where it has none any more. A stanza names only contents that are active with it.
    pub(super) fn groups_to_say(&self) -> Vec<Group> {
        if !self.next.groups.is_empty() {
            return self.next.groups.clone();
        }
        self.now.groups.iter().map(|group| Group { semantics: group.semantics.clone(), contents: Vec::new() }).collect()
    }

    pub(super) fn carried_to_say(&self) -> Vec<Carried> {
        let mut carried = self.next.carried.clone();
        if carried.is_empty() {
            carried.push(Mark::Whole.carried());
        }
        carried
    }

    /// The groups as they are without these contents.
    fn groups_without(&self, contents: &[Content]) -> Vec<Group> {
        let is_gone = |name: &str| contents.iter().any(|content| content.name == name);
        let groups = self.now.groups.iter().map(|group| Group {
            semantics: group.semantics.clone(),
            contents: group.contents.iter().filter(|name| !is_gone(name)).cloned().collect(),
        });
        groups.collect()
    }
}
