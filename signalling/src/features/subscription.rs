//! RFC 6121 §3 and appendix A: the states of a subscription and how presence of the four subscription types moves them.
//!
//! Pure tables, from the view of one account (`user`) towards one contact; `features/presence.rs` acts on what they say.

use crate::stanza::PresenceType;
use crate::store::Subscription;

/// Appendix A.1: the nine states, as the four facts they are made of, and pre-approval (§3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The user sees the contact's presence.
    pub to: bool,
    /// The contact sees the user's presence.
    pub from: bool,
    /// The user has asked and waits (`ask='subscribe'`).
    pub pending_out: bool,
    /// The contact has asked and waits.
    pub pending_in: bool,
    /// A request by the contact is approved before it comes.
    pub approved: bool,
}

impl State {
    /// The state that a roster item and a stored request stand for.
    pub fn new(subscription: Subscription, ask: bool, approved: bool, requested: bool) -> Self {
        Self { to: subscription.is_to(), from: subscription.is_from(), pending_out: ask, pending_in: requested, approved }
    }

    /// The roster's word for it.
    pub fn subscription(self) -> Subscription {
        Subscription::of(self.to, self.from)
    }
}

/// The four types that manage subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Asks to see the other's presence.
    Subscribe,
    /// Grants it.
    Subscribed,
    /// No longer wants it.
    Unsubscribe,
    /// Denies or withdraws it.
    Unsubscribed,
}

impl Change {
    /// The change that a presence type asks for, if it is one of the four.
    pub fn of(kind: PresenceType) -> Option<Self> {
        match kind {
            PresenceType::Subscribe => Some(Self::Subscribe),
            PresenceType::Subscribed => Some(Self::Subscribed),
            PresenceType::Unsubscribe => Some(Self::Unsubscribe),
            PresenceType::Unsubscribed => Some(Self::Unsubscribed),
            _ => None,
        }
    }

    /// The presence type on the wire.
    pub fn kind(self) -> PresenceType {
        match self {
            Self::Subscribe => PresenceType::Subscribe,
            Self::Subscribed => PresenceType::Subscribed,
            Self::Unsubscribe => PresenceType::Unsubscribe,
            Self::Unsubscribed => PresenceType::Unsubscribed,
        }
    }
}

/// What becomes of a subscription stanza that the user sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// It goes on to the contact.
    pub route: bool,
    /// The state afterwards.
    pub next: State,
}

/// What becomes of a subscription stanza that the contact sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The user's resources get it.
    pub deliver: bool,
    /// The state afterwards.
    pub next: State,
    /// What the server answers on behalf of the user.
    pub reply: Option<Change>,
}

/// Appendix A.2 and §3.4.2.
pub fn outbound(state: State, change: Change) -> Outbound {
    let mut next = state;
    let route = match change {
        Change::Subscribe => {
            next.pending_out = !state.to;
            true
        }
        Change::Unsubscribe => {
            next.to = false;
            next.pending_out = false;
            true
        }
        Change::Subscribed if state.pending_in => {
            next.pending_in = false;
            next.from = true;
            true
        }
        Change::Subscribed => {
            next.approved = state.approved || !state.from;
            false
        }
        Change::Unsubscribed => {
            next.from = false;
            next.pending_in = false;
            next.approved = false;
            state.from || state.pending_in
        }
    };
    Outbound { route, next }
}

/// Appendix A.3 and §3.4.2.
pub fn inbound(state: State, change: Change) -> Inbound {
    let mut next = state;
    let (deliver, reply) = match change {
        Change::Subscribe if state.from => (false, Some(Change::Subscribed)),
        Change::Subscribe if state.pending_in => (false, None),
        Change::Subscribe if state.approved => {
            next.from = true;
            (false, Some(Change::Subscribed))
        }
        Change::Subscribe => {
            next.pending_in = true;
            (true, None)
        }
        Change::Unsubscribe => {
            next.from = false;
            next.pending_in = false;
            let changed = state.from || state.pending_in;
            (changed, changed.then_some(Change::Unsubscribed))
        }
        Change::Subscribed => {
            next.to = state.to || state.pending_out;
            next.pending_out = false;
            (state.pending_out && !state.to, None)
        }
        Change::Unsubscribed => {
            next.to = false;
            next.pending_out = false;
            (state.to || state.pending_out, None)
        }
    };
    Inbound { deliver, next, reply }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state by its name in appendix A.1: subscription, then `o` and `i` for what is pending.
    fn state(name: &str) -> State {
        let (subscription, pending) = name.split_once('+').unwrap_or((name, ""));
        State {
            to: matches!(subscription, "to" | "both"),
            from: matches!(subscription, "from" | "both"),
            pending_out: pending.contains('o'),
            pending_in: pending.contains('i'),
            approved: false,
        }
    }

    const STATES: [&str; 9] = ["none", "none+o", "none+i", "none+oi", "to", "to+i", "from", "from+o", "both"];

    #[track_caller]
    fn check_outbound(change: Change, table: [(bool, &str); 9]) {
        for (before, (route, after)) in STATES.iter().zip(table) {
            let got = outbound(state(before), change);
            let without_approval = State { approved: false, ..got.next };
            assert_eq!((got.route, without_approval), (route, state(after)), "{change:?} out of {before}");
        }
    }

    #[track_caller]
    fn check_inbound(change: Change, table: [(bool, &str, Option<Change>); 9]) {
        for (before, (deliver, after, reply)) in STATES.iter().zip(table) {
            let expected = Inbound { deliver, next: state(after), reply };
            assert_eq!(inbound(state(before), change), expected, "{change:?} into {before}");
        }
    }

    #[test]
    fn a_2_1_outbound_subscribe() {
        let t = true;
        let after = ["none+o", "none+o", "none+oi", "none+oi", "to", "to+i", "from+o", "from+o", "both"];
        check_outbound(Change::Subscribe, after.map(|name| (t, name)));
    }

    #[test]
    fn a_2_2_outbound_unsubscribe() {
        let after = ["none", "none", "none+i", "none+i", "none", "none+i", "from", "from", "from"];
        check_outbound(Change::Unsubscribe, after.map(|name| (true, name)));
    }

    #[test]
    fn a_2_3_outbound_subscribed() {
        let (t, f) = (true, false);
        let after =
            [(f, "none"), (f, "none+o"), (t, "from"), (t, "from+o"), (f, "to"), (t, "both"), (f, "from"), (f, "from+o"), (f, "both")];
        check_outbound(Change::Subscribed, after);
    }

    #[test]
    fn a_2_4_outbound_unsubscribed() {
        let (t, f) = (true, false);
        let after = [(f, "none"), (f, "none+o"), (t, "none"), (t, "none+o"), (f, "to"), (t, "to"), (t, "none"), (t, "none+o"), (t, "to")];
        check_outbound(Change::Unsubscribed, after);
    }

    #[test]
    fn a_3_1_inbound_subscribe() {
        let (t, f, granted) = (true, false, Some(Change::Subscribed));
        let after = [
            (t, "none+i", None),
            (t, "none+oi", None),
            (f, "none+i", None),
            (f, "none+oi", None),
            (t, "to+i", None),
            (f, "to+i", None),
            (f, "from", granted),
            (f, "from+o", granted),
            (f, "both", granted),
        ];
        check_inbound(Change::Subscribe, after);
    }

    #[test]
    fn a_3_2_inbound_unsubscribe() {
        let (t, f, gone) = (true, false, Some(Change::Unsubscribed));
        let after = [
            (f, "none", None),
            (f, "none+o", None),
            (t, "none", gone),
            (t, "none+o", gone),
            (f, "to", None),
            (t, "to", gone),
            (t, "none", gone),
            (t, "none+o", gone),
            (t, "to", gone),
        ];
        check_inbound(Change::Unsubscribe, after);
    }

    #[test]
    fn a_3_3_inbound_subscribed() {
        let (t, f) = (true, false);
        let after = [(f, "none"), (t, "to"), (f, "none+i"), (t, "to+i"), (f, "to"), (f, "to+i"), (f, "from"), (t, "both"), (f, "both")];
        check_inbound(Change::Subscribed, after.map(|(deliver, next)| (deliver, next, None)));
    }

    #[test]
    fn a_3_4_inbound_unsubscribed() {
        let (t, f) = (true, false);
        let after =
            [(f, "none"), (t, "none"), (f, "none+i"), (t, "none+i"), (t, "none"), (t, "none+i"), (f, "from"), (t, "from"), (t, "from")];
        check_inbound(Change::Unsubscribed, after.map(|(deliver, next)| (deliver, next, None)));
    }

    #[test]
    fn s3_4_a_request_approved_beforehand_is_granted_without_asking() {
        let approved = outbound(State::default(), Change::Subscribed);
        assert!(!approved.route && approved.next.approved);
        let got = inbound(approved.next, Change::Subscribe);
        assert_eq!((got.deliver, got.reply, got.next.from), (false, Some(Change::Subscribed), true));
        assert!(!outbound(approved.next, Change::Unsubscribed).next.approved, "unsubscribed cancels it");
    }

    /// One account's view, and what is on its way to it.
    fn send(states: &mut [State; 2], side: usize, change: Change) {
        let step = outbound(states[side], change);
        states[side] = step.next;
        if step.route {
            arrive(states, 1 - side, change);
        }
    }

    fn arrive(states: &mut [State; 2], side: usize, change: Change) {
        let step = inbound(states[side], change);
        states[side] = step.next;
        if let Some(reply) = step.reply {
            arrive(states, 1 - side, reply);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Whatever two people send each other, their rosters say the same of what is between them.
        #[test]
        fn two_views_of_one_subscription_agree(steps in proptest::collection::vec((0..2_usize, 0..4_usize), 0..40)) {
            let mut states = [State::default(); 2];
            for (side, change) in steps {
                send(&mut states, side, [Change::Subscribe, Change::Subscribed, Change::Unsubscribe, Change::Unsubscribed][change]);
                for (a, b) in [(states[0], states[1]), (states[1], states[0])] {
                    proptest::prop_assert_eq!((a.to, a.pending_out), (b.from, b.pending_in), "{:?}", states);
                    proptest::prop_assert!(!(a.to && a.pending_out), "{:?}", states);
                }
            }
        }
    }
}
