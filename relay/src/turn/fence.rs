//! `turn.fence = "session"`: the allocations of a session reach only addresses that the other party of one of its live calls has offered, or from
//! which an authenticated connectivity check came (ADR 7). Told by the signalling, which sees each candidate before the party that it is for does;
//! asked when a permission is, and when a packet comes that none covers: never for a packet that is relayed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use campanile_ice::stun::integrity::Key;
use campanile_ice::stun::{AttributeType, Class, Message, Method};

use super::registry::CallId;

/// Addresses kept of one party of a call; the oldest is forgotten. Chromium with six networks and three relays offers some twenty.
const ADDRESSES_MAX: usize = 64;
/// Pairs of ufrag and password kept of one party of a call: one for each content that is not bundled, and for each restart of ICE.
const CREDENTIALS_MAX: usize = 16;
/// Calls of one party.
const CALLS_MAX: usize = 64;

/// What a party of a call tells the other of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Where it may be reached.
    pub addresses: Vec<IpAddr>,
    /// User fragment and password of ICE (RFC 8445 §5.3).
    pub credentials: Vec<(Box<str>, Box<str>)>,
}

/// What is known of the calls of those who may have allocations.
#[derive(Debug, Default)]
pub struct Fence {
    is_up: bool,
    calls: RwLock<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    by_party: HashMap<Arc<str>, Vec<Side>>,
    parties: HashMap<CallId, Vec<Arc<str>>>,
}

/// A call as one of its parties sees it.
#[derive(Debug)]
struct Side {
    call: CallId,
    /// What the other has offered.
    addresses: Vec<IpAddr>,
    /// The ufrags of the other.
    theirs: Vec<Box<str>>,
    /// The own ones, and the keys of checks that come in (RFC 8445 §7.2.2).
    own: Vec<(Box<str>, Key)>,
}

impl Fence {
    /// A fence that is up, or one that lets everything through and remembers nothing.
    pub fn new(is_up: bool) -> Self {
        Self { is_up, calls: RwLock::default() }
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// `from` has offered this to `to` in a live call. Both are addresses as in [`super::sessions::RelaySession::party`].
    pub fn offer(&self, call: CallId, from: &str, to: &str, offer: &Offer) {
        if !self.is_up {
            return;
        }
        let mut calls = self.write();
        if let Some(side) = calls.side(call, to) {
            offer.addresses.iter().for_each(|ip| keep(&mut side.addresses, ip.to_canonical(), ADDRESSES_MAX));
            offer.credentials.iter().for_each(|(ufrag, _)| keep(&mut side.theirs, ufrag.clone(), CREDENTIALS_MAX));
        }
        if let Some(side) = calls.side(call, from) {
            let own = offer.credentials.iter().map(|(ufrag, password)| (ufrag.clone(), Key::short_term(password)));
            own.for_each(|own| keep(&mut side.own, own, CREDENTIALS_MAX));
        }
    }

    /// The call is over.
    pub fn end_call(&self, call: CallId) {
        if !self.is_up {
            return;
        }
        let mut calls = self.write();
        for party in calls.parties.remove(&call).unwrap_or_default() {
            if let Some(sides) = calls.by_party.get_mut(&party) {
                sides.retain(|side| side.call != call);
                if sides.is_empty() {
                    calls.by_party.remove(&party);
                }
            }
        }
    }

    /// Whether an allocation of this party may reach an address.
    pub fn lets(&self, party: &str, ip: IpAddr) -> bool {
        !self.is_up || self.read().by_party.get(party).is_some_and(|sides| sides.iter().any(|side| side.addresses.contains(&ip)))
    }

    /// Whether the call lives.
    pub fn holds(&self, call: CallId) -> bool {
        self.read().parties.contains_key(&call)
    }

    /// The call to which this is a connectivity check for the party, which only the other party can have made (RFC 8445 §7.3): USERNAME is the
    /// ufrag of the party, a colon and that of the other, and the integrity attribute is made with the party's password. `may_verify` is asked
    /// once the names fit, before anything is computed: only who has seen a check can make names that fit.
    pub fn check(&self, party: &str, message: &Message<'_>, may_verify: impl FnOnce() -> bool) -> Option<CallId> {
        if (message.class(), message.method()) != (Class::Request, Method::BINDING) || !message.has_integrity() {
            return None;
        }
        let name = std::str::from_utf8(message.get(AttributeType::USERNAME)?).ok()?;
        let (own, theirs) = name.split_once(':')?;
        let calls = self.read();
        let sides = calls.by_party.get(party)?.iter().filter(|side| side.theirs.iter().any(|ufrag| **ufrag == *theirs));
        let mut keys = sides.flat_map(|side| {
            let keys = side.own.iter().filter(|(ufrag, _)| **ufrag == *own);
            keys.map(|(_, key)| (side.call, key))
        });
        let first = keys.next().filter(|_| may_verify())?;
        std::iter::once(first).chain(keys).find(|(_, key)| message.verify(key)).map(|(call, _)| call)
    }

    /// Whether nothing is kept of any call.
    pub fn is_empty(&self) -> bool {
        let calls = self.read();
        calls.by_party.is_empty() && calls.parties.is_empty()
    }

    fn read(&self) -> RwLockReadGuard<'_, Calls> {
        self.calls.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Calls> {
        self.calls.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn side(&mut self, call: CallId, party: &str) -> Option<&mut Side> {
        let party: Arc<str> = self.by_party.get_key_value(party).map_or_else(|| party.into(), |(known, _)| known.clone());
        let sides = self.by_party.entry(party.clone()).or_default();
        let place = match sides.iter().position(|side| side.call == call) {
            Some(place) => place,
            None if sides.len() >= CALLS_MAX => return None,
            None => {
                self.parties.entry(call).or_default().push(party);
                sides.push(Side { call, addresses: Vec::new(), theirs: Vec::new(), own: Vec::new() });
                sides.len() - 1
            }
        };
        Some(&mut sides[place])
    }
}

/// Adds what is not there, in the place of the oldest where there is no room.
fn keep<T: PartialEq>(list: &mut Vec<T>, new: T, max: usize) {
    if !list.contains(&new) {
        if list.len() == max {
            list.remove(0);
        }
        list.push(new);
    }
}

#[cfg(test)]
mod tests {
    use campanile_ice::stun::integrity::Integrity;
    use campanile_ice::stun::{TransactionId, Writer};
    use proptest::prelude::*;

    use super::*;

    const ROMEO: &str = "romeo@montague.lit/orchard";
    const JULIET: &str = "juliet@capulet.lit/balcony";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn offer(addresses: &[&str], credentials: &[(&str, &str)]) -> Offer {
        let credentials = credentials.iter().map(|(ufrag, password)| ((*ufrag).into(), (*password).into())).collect();
        Offer { addresses: addresses.iter().map(|text| ip(text)).collect(), credentials }
    }

    #[test]
    fn what_one_party_offers_the_other_may_reach_while_the_call_lives() {
        let fence = Fence::new(true);
        let (one, other) = (CallId(1), CallId(2));
        assert!(!fence.lets(JULIET, ip("8.8.8.8")));
        fence.offer(one, ROMEO, JULIET, &offer(&["8.8.8.8", "::ffff:9.9.9.9"], &[]));
        fence.offer(other, "nurse@capulet.lit/x", JULIET, &offer(&["8.8.8.8"], &[]));
        assert!(fence.lets(JULIET, ip("8.8.8.8")) && fence.lets(JULIET, ip("9.9.9.9")));
        assert!(!fence.lets(ROMEO, ip("8.8.8.8")), "not who offered it");
        assert!(!fence.lets("juliet@capulet.lit/chamber", ip("8.8.8.8")), "not another device");
        fence.end_call(one);
        assert!(fence.lets(JULIET, ip("8.8.8.8")) && !fence.lets(JULIET, ip("9.9.9.9")));
        fence.end_call(other);
        fence.end_call(other);
        assert!(!fence.lets(JULIET, ip("8.8.8.8")) && fence.is_empty());
    }

    #[test]
    fn a_fence_that_is_not_up_stops_and_keeps_nothing() {
        let fence = Fence::new(false);
        fence.offer(CallId(1), ROMEO, JULIET, &offer(&["8.8.8.8"], &[]));
        assert!(fence.is_empty() && fence.lets(JULIET, ip("1.1.1.1")));
    }

    #[test]
    fn rfc8445_s7_3_checks_that_the_other_party_made() {
        let fence = Fence::new(true);
        let call = CallId(1);
        fence.offer(call, ROMEO, JULIET, &offer(&[], &[("Rufr", "romeos password, 22 ch")]));
        fence.offer(call, JULIET, ROMEO, &offer(&[], &[("Jufr", "juliets password, 22 c")]));
        fence.offer(CallId(2), "nurse@capulet.lit/x", JULIET, &offer(&[], &[("Nufr", "nurses password, 22 ch")]));
        let is_check = |class, name: &str, password: &str, party| {
            let mut writer = Writer::new(class, Method::BINDING, TransactionId([1; 12]));
            writer.attribute(AttributeType::USERNAME, name.as_bytes());
            writer.sign(&Key::short_term(password), Integrity::Sha1);
            writer.fingerprint();
            let bytes = writer.finish();
            fence.check(party, &Message::parse(&bytes).unwrap(), || true).is_some()
        };
        let (juliets, romeos) = ("juliets password, 22 c", "romeos password, 22 ch");
        assert!(is_check(Class::Request, "Jufr:Rufr", juliets, JULIET));
        assert!(is_check(Class::Request, "Rufr:Jufr", romeos, ROMEO));
        for (class, name, password, party) in [
            (Class::Request, "Jufr:Rufr", romeos, JULIET),
            (Class::Request, "Jufr:Rufr", juliets, ROMEO),
            (Class::Request, "Rufr:Jufr", juliets, JULIET),
            (Class::Request, "Jufr:Nufr", juliets, JULIET),
            (Class::Request, "Jufr", juliets, JULIET),
            (Class::Request, "", juliets, JULIET),
            (Class::Request, "Jufr:Rufr", juliets, "juliet@capulet.lit/chamber"),
            (Class::Success, "Jufr:Rufr", juliets, JULIET),
            (Class::Indication, "Jufr:Rufr", juliets, JULIET),
        ] {
            assert!(!is_check(class, name, password, party), "{class:?} {name} {password} {party}");
        }
        let mut unsigned = Writer::new(Class::Request, Method::BINDING, TransactionId([1; 12]));
        unsigned.attribute(AttributeType::USERNAME, b"Jufr:Rufr");
        let unsigned = unsigned.finish();
        assert!(fence.check(JULIET, &Message::parse(&unsigned).unwrap(), || panic!("nothing is computed")).is_none());
    }

    #[test]
    fn lists_are_bounded() {
        let fence = Fence::new(true);
        for call in 0..200 {
            for host in 0..200u8 {
                fence.offer(CallId(call), ROMEO, JULIET, &offer(&[&format!("8.8.8.{host}")], &[(&format!("u{host}"), "p")]));
            }
        }
        {
            let calls = fence.read();
            let sides = &calls.by_party[JULIET];
            assert!(sides.len() == CALLS_MAX && sides.iter().all(|side| side.addresses.len() == ADDRESSES_MAX));
            assert!(calls.by_party[ROMEO].iter().all(|side| side.own.len() == CREDENTIALS_MAX));
        }
        assert!(fence.lets(JULIET, ip("8.8.8.199")) && !fence.lets(JULIET, ip("8.8.8.0")));
        (0..200).for_each(|call| fence.end_call(CallId(call)));
        assert!(fence.is_empty());
    }

    proptest! {
        /// The fence agrees with a list of what was offered in calls that live.
        #[test]
        fn a_model_agrees(steps in prop::collection::vec((0..4u8, 0..3u64, 0..3usize, 0..3usize, 0..5u8), 1..80)) {
            const PARTIES: [&str; 3] = [ROMEO, JULIET, "nurse@capulet.lit/x"];
            let fence = Fence::new(true);
            let mut model: Vec<(u64, usize, u8)> = Vec::new();
            for (what, call, from, to, host) in steps {
                if what == 0 {
                    fence.end_call(CallId(call));
                    model.retain(|(of, ..)| *of != call);
                } else {
                    fence.offer(CallId(call), PARTIES[from], PARTIES[to], &offer(&[&format!("8.8.8.{host}")], &[]));
                    model.push((call, to, host));
                }
                for (number, party) in PARTIES.iter().enumerate() {
                    for host in 0..5 {
                        let expected = model.iter().any(|(_, to, of)| (*to, *of) == (number, host));
                        prop_assert_eq!(fence.lets(party, ip(&format!("8.8.8.{host}"))), expected);
                    }
                }
            }
            (0..3).for_each(|call| fence.end_call(CallId(call)));
            prop_assert!(fence.is_empty());
        }
    }
}
