//! XEP-0045 §7.2.13–§7.2.15: what was said, as newcomers see it, and how much of it they want.

use super::context::Context;
use super::model::{History, Room, Said};

impl History {
    /// One more message, and the oldest ones beyond `max` are forgotten.
    pub fn push(&mut self, said: Said, max: usize) {
        if max > 0 {
            self.limit(max - 1);
            self.messages.push_back(said);
        }
    }

    /// Forgets the oldest messages beyond `max`.
    pub fn limit(&mut self, max: usize) {
        let excess = self.messages.len().saturating_sub(max);
        drop(self.messages.drain(..excess));
    }
}

impl Room {
    /// How many messages are remembered.
    #[must_use]
    pub fn history_max(&self, context: &Context<'_>) -> usize {
        usize::try_from(self.lasting.config.history).unwrap_or(usize::MAX).min(context.limits.history)
    }
}
