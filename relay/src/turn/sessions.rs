//! Which sessions of the signalling live: credentials that belong to one are good as long as it lives, and no longer. Locked when
//! credentials are given out or shown, never for a packet.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A session's name in the credentials that belong to it: random, never used twice, the same over a restart that the session survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionTag(NonZeroU64);

impl SessionTag {
    /// A tag of eight random bytes.
    pub fn new(random: [u8; 8]) -> Self {
        Self(NonZeroU64::new(u64::from_be_bytes(random)).unwrap_or(NonZeroU64::MAX))
    }

    /// As it stands in a sealed name, and is kept with a session over a restart.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The opposite; `None` for 0, which no session has.
    pub fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// A session to which credentials belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaySession {
    /// Its tag.
    pub tag: SessionTag,
    /// The address under which it takes part in calls, as the signalling writes it.
    pub party: Arc<str>,
}

/// The live ones among the sessions that credentials were given to.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<SessionTag, Live>>);

#[derive(Debug)]
struct Live {
    party: Arc<str>,
    /// Somebody has shown its credentials: it may have allocations.
    shown: bool,
}

impl Sessions {
    /// The session lives. It does until [`Sessions::end`].
    pub fn begin(&self, session: &RelaySession) {
        self.locked().entry(session.tag).or_insert_with(|| Live { party: session.party.clone(), shown: false });
    }

    /// The session is over. Whether it may have allocations.
    pub fn end(&self, tag: SessionTag) -> bool {
        self.locked().remove(&tag).is_some_and(|live| live.shown)
    }

    /// Somebody shows credentials of this session: `None` if it is over.
    pub fn show(&self, tag: SessionTag) -> Option<RelaySession> {
        let mut sessions = self.locked();
        let live = sessions.get_mut(&tag)?;
        live.shown = true;
        Some(RelaySession { tag, party: live.party.clone() })
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.locked().len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<SessionTag, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lives_from_its_first_credentials_to_its_end() {
        let sessions = Sessions::default();
        let session = RelaySession { tag: SessionTag::new([7; 8]), party: "juliet@example.org/balcony".into() };
        assert_eq!(sessions.show(session.tag), None);
        sessions.begin(&session);
        sessions.begin(&session);
        assert_eq!(sessions.show(session.tag), Some(session.clone()));
        assert!(sessions.end(session.tag), "it may have allocations");
        assert!(!sessions.end(session.tag) && sessions.is_empty());
        sessions.begin(&session);
        assert!(!sessions.end(session.tag), "nobody has shown its credentials");
    }

    #[test]
    fn tags_are_never_zero() {
        assert_eq!(SessionTag::from_number(0), None);
        assert_eq!(SessionTag::new([0; 8]).get(), u64::MAX);
        let tag = SessionTag::new([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(SessionTag::from_number(tag.get()), Some(tag));
    }
}
