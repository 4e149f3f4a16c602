//! Calls: Jingle sessions (XEP-0166) and the messages that announce them (XEP-0353), as a server sees them that carries both.
//!
//! The server is no party: the clients answer each other, and what breaks a rule is routed all the same, for the other party to refuse.
//! Here it is read, so that relayed addresses belong to a call, end with it, and can be explained afterwards.
//!
//! - [`content`], [`rtp`], [`transport`], [`candidate`], [`reason`]: the typed description, which [`crate::sdp`] converts, and how it is [read](reading);
//! - [`session`]: the state machine of one session, [`propose`]: of one proposal, [`ladder`]: what was said, in order;
//! - [`calls`]: the table of live and past calls, pure; [`service`] and [`metrics`]: its shell.

/// An enum whose values are words of a specification.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$word_doc])* $variant,)* }

        impl $name {
            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value of a word, if the specification has it.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub mod calls;
pub mod candidate;
pub mod content;
pub mod ladder;
pub mod metrics;
mod names;
pub mod propose;
pub mod reading;
pub mod reason;
pub mod rtp;
pub mod secret;
pub mod service;
pub mod session;
pub(crate) mod shown;
pub mod transport;

pub use calls::{Call, CallId, Calls, Effect, Effects, Kind, Limits, Offering, Signal};
pub use content::{Action, Jingle, Party};
pub use propose::is_call_message;
pub use reason::Outcome;
pub use service::{Allocations, CallsService};

use crate::pipeline::{self, Verdict, Walk};
use crate::stanza::Stanza;

/// Stage of `pipeline::OUTBOUND`: the table of calls sees what a local account sends, once the other stages have let it pass.
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut pipeline::Effects) -> Verdict {
    if Signal::is_in(stanza) {
        effects.observed_from = Some(walk.account.jid.clone());
    }
    Verdict::Pass
}

/// The beginning of `text` that fits into `bytes_max`, cut between characters: what strangers write is kept only so far.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
pub(crate) mod strategies;

#[cfg(test)]
pub(crate) mod testing {
    use bytes::Bytes;

    use super::Jingle;
    use super::content::{Content, JingleError};
    use super::reading::{Problem, Reading};
    use crate::ns;
    use crate::stanza::Stanza;
    use crate::xml::{Bindings, Element, XmlWriter};

    /// A stanza as it comes from a client.
    pub fn stanza(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.trim().as_bytes()), &Bindings::client())
            .unwrap_or_else(|error| panic!("{error:?} in {xml}"))
    }

    /// The `<jingle/>` of an IQ around this content.
    pub fn jingle(action: &str, content: &str) -> Result<Jingle, JingleError> {
        let iq = format!(
            "<iq type='set' id='i' from='a@a/a' to='b@b/b'><jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s'>{content}</jingle></iq>"
        );
        read(&iq)
    }

    /// The `<jingle/>` of an IQ.
    pub fn read(iq: &str) -> Result<Jingle, JingleError> {
        let stanza = stanza(iq);
        let element = stanza.child(ns::JINGLE, "jingle").expect("there is a jingle").element().expect("it is valid");
        Jingle::read(element.root(), &mut Reading::outline())
    }

    /// A `<jingle/>` read whole, and what was amiss.
    pub fn whole(xml: &str) -> (Jingle, Vec<Problem>) {
        let element = Element::parse(xml.as_bytes(), &Bindings::client()).unwrap_or_else(|error| panic!("{error:?} in {xml}"));
        let mut reading = Reading::whole();
        let jingle = Jingle::read(element.root(), &mut reading).unwrap_or_else(|error| panic!("{error} in {xml}"));
        (jingle, reading.into_problems().0)
    }

    /// The same of a content in a session-initiate.
    pub fn content(children: &str) -> (Content, Vec<Problem>) {
        let (jingle, problems) = whole(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content creator='initiator' name='a'>{children}</content></jingle>"
        ));
        let content = jingle.contents.into_iter().next().expect("there is one");
        (content, problems)
    }

    /// How an element is written.
    pub fn written(write: impl FnOnce(&mut XmlWriter)) -> String {
        let mut out = XmlWriter::new();
        write(&mut out);
        String::from_utf8(out.into_inner()).expect("text")
    }
}
