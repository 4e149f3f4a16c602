//! The stanzas by which a party says what has changed in its description: XEP-0166 §7.2.
//!
//! Each kind of change has its file, in the order in which they are said: `contents` that go, come and are accepted; `transport`s and
//! senders; `hints` about the rest. What no stanza can say is found by `differences`: each stanza is applied to a copy, and what
//! then still differs is a warning.

mod contents;
mod differences;
mod hints;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod transport;

use super::description::{Description, Section, State};
use super::warning::{Warning, Warnings};
use crate::jingle::content::{Action, Content, Jingle, Senders};

/// The stanzas, in the order in which they are to be sent: applied one after the other to `previous` they give `next`, up to its `o=` line and
/// what the warnings say.
///
/// A section of `next` is the content of `previous` at the same place if name and kind of media are the same.
#[must_use]
pub fn diff(previous: &Description, next: &Description) -> (Vec<Jingle>, Vec<Warning>) {
    let mut change = Change { now: previous.clone(), next, stanzas: Vec::new(), warnings: Warnings::default() };
    if previous.party != next.party {
        change.warnings.add(format_args!("the two descriptions are of different parties, no stanza leads from one to the other"));
        return (Vec::new(), change.warnings.into_vec());
    }
    change.contents();
    change.transports();
    change.senders();
    change.hints();
    change.differences();
    (change.stanzas, change.warnings.into_vec())
}

/// The way from one description to the next.
struct Change<'a> {
    /// What holds after the stanzas so far.
    now: Description,
    next: &'a Description,
    stanzas: Vec<Jingle>,
    warnings: Warnings,
}

impl<'a> Change<'a> {
    /// Says it, if there is something to be said.
    fn say(&mut self, stanza: Jingle) {
        if stanza.contents.is_empty() && stanza.groups.is_empty() && stanza.carried.is_empty() && stanza.action != Action::SessionTerminate
        {
            return;
        }
        match self.now.apply(self.now.party, &stanza) {
            // What it warns of, if it matters, is found among the differences.
            Ok((now, _)) => {
                self.now = now;
                self.stanzas.push(stanza);
            }
            Err(error) => {
                self.warnings.leave();
                self.warnings.add(format_args!("{} is not possible: {error}", stanza.action.as_str()));
            }
        }
    }

    fn stanza(&self, action: Action) -> Jingle {
        Jingle::new(action, &self.now.sid)
    }

    /// The sections that both describe, as they are now and as they are to be.
    fn active(&self) -> impl Iterator<Item = (&Section, &'a Section)> {
        self.now
            .sections
            .iter()
            .zip(&self.next.sections)
            .filter(|(now, next)| now.state == State::Active && next.state == State::Active && is_same(&now.content, &next.content))
    }

    /// content-modify: XEP-0166 §7.2.3.
    fn senders(&mut self) {
        let mut stanza = self.stanza(Action::ContentModify);
        let changed = self.active().filter(|(now, next)| senders(&now.content) != senders(&next.content));
        stanza.contents = changed.map(|(now, next)| Content { senders: Some(senders(&next.content)), ..named(&now.content) }).collect();
        self.say(stanza);
    }
}

/// Who sends; not said, both do.
fn senders(content: &Content) -> Senders {
    content.senders.unwrap_or(Senders::Both)
}

/// Whether two sections of the same place are one content. A party may change its mind about all but this (RFC 3264 §8.3.3).
fn is_same(one: &Content, other: &Content) -> bool {
    use crate::jingle::content::Description::Rtp;
    let is_same_media = match (&one.description, &other.description) {
        (Some(Rtp(one)), Some(Rtp(other))) => one.media == other.media,
        (Some(Rtp(_)), _) | (_, Some(Rtp(_))) => false,
        _ => true,
    };
    one.name == other.name && is_same_media
}

/// A content that says nothing but which one it is.
fn named(content: &Content) -> Content {
    Content::new(content.creator, &content.name)
}
