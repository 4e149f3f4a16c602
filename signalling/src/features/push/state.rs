//! What one account's clients are notified of: pure, kept in the account's home.
//!
//! A client is notified while no stream of its resource is live. Messages: each one, within a rate; what is left out is in the next count. Calls:
//! once when it is proposed, and once more to the same clients when it is over for them (taken elsewhere, rejected, retracted).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::jid::Jid;
use crate::store::PushService;

/// How long a proposed call may ring; its end is no news later. Clients give up within a minute or two.
const RINGING: Duration = Duration::from_secs(180);
/// Calls of that time that are remembered; the oldest gives way.
const RINGING_MAX: usize = 64;
/// Calls of one caller within that time that wake anybody: whoever calls oftener rings those who are there.
const CALLS_PER_CALLER: usize = 6;
/// Notifications of messages that one client gets at once…
const BURST: u32 = 30;
/// …and one more for each of these.
const REFILL: Duration = Duration::from_secs(2);
/// Refused notifications in a row after which a service that may recover is taken for gone.
const REFUSED_MAX: u32 = 10;

/// What may be worth a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message for the user.
    Message,
    /// A call is proposed (XEP-0353 §3.1).
    Proposed {
        /// Its id.
        call: Box<str>,
        /// The caller's bare address.
        caller: Box<str>,
        /// The resource addressed, if not the whole account.
        resource: Option<Box<str>>,
        /// The element that says so.
        element: Bytes,
    },
    /// A call no longer rings: a device took or rejected it, or the caller gave up.
    Over {
        /// Its id.
        call: Box<str>,
        /// The element that says so.
        element: Bytes,
    },
    /// A client lost its stream; what it has not acknowledged it may never have seen.
    Lost {
        /// Its resource.
        resource: Box<str>,
        /// Messages for the user among that.
        messages: u32,
        /// Proposed calls among that: their ids and elements.
        calls: Vec<(Box<str>, Bytes)>,
    },
    /// XEP-0357 §8: the service takes no more.
    Withdrawn {
        /// Its address.
        service: Jid,
        /// Its node.
        node: String,
    },
}

/// A notification to publish (XEP-0357 §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where, and with what options.
    pub service: PushService,
    /// Messages since the client was last connected.
    pub messages: u32,
    /// It is about a new message.
    pub new_message: bool,
    /// The element about a call.
    pub call: Option<Bytes>,
}

/// The state of one account.
#[derive(Debug, Default)]
pub struct Push {
    clients: Vec<Client>,
    ringing: VecDeque<Ringing>,
}

#[derive(Debug)]
struct Client {
    service: PushService,
    messages: u32,
    refused: u32,
    /// Notifications it may get now, and when that was last reckoned.
    budget: u32,
    reckoned: Option<Instant>,
}

#[derive(Debug)]
struct Ringing {
    call: Box<str>,
    caller: Box<str>,
    since: Instant,
    /// It rings no more.
    over: bool,
    /// Who was told: address and node of the service. Nobody, while all have a stream.
    told: Vec<(Jid, String)>,
}

impl Push {
    /// The state with these services, as loaded.
    #[must_use]
    pub fn new(services: Vec<PushService>) -> Self {
        Self { clients: services.into_iter().map(Client::new).collect(), ringing: VecDeque::new() }
    }

    /// Whether any client wants notifications: a cheap test for each message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// How many services are enabled, without the one that `service` would replace.
    #[must_use]
    pub fn others(&self, service: &PushService) -> usize {
        self.clients.iter().filter(|client| !client.is(&service.service, &service.node)).count()
    }

    /// XEP-0357 §5: the last request counts.
    pub fn enable(&mut self, service: PushService) {
        self.clients.retain(|client| !client.is(&service.service, &service.node));
        self.clients.push(Client::new(service));
    }

    /// XEP-0357 §6.
    pub fn disable(&mut self, service: &Jid, node: Option<&str>) {
        self.clients.retain(|client| !(client.service.service == *service && node.is_none_or(|node| client.service.node == node)));
    }

    /// Whether the service and node are enabled.
    #[must_use]
    pub fn has(&self, service: &Jid, node: &str) -> bool {
        self.clients.iter().any(|client| client.is(service, node))
    }

    /// What to publish now. `live`: whether a stream of this resource is connected.
    pub fn handle(&mut self, event: &Event, live: impl Fn(&str) -> bool, now: Instant) -> Vec<Notice> {
        self.ringing.retain(|ringing| now.saturating_duration_since(ringing.since) < RINGING);
        match event {
            Event::Message => self.message(live, now),
            Event::Proposed { call, caller, resource, element } => self.proposed((call, caller), resource.as_deref(), element, live, now),
            Event::Over { call, element } => self.over(call, element, live),
            Event::Lost { resource, messages, calls } => self.lost(resource, *messages, calls, live, now),
            Event::Withdrawn { service, node } => {
                self.disable(service, Some(node));
                Vec::new()
            }
        }
    }

    fn message(&mut self, live: impl Fn(&str) -> bool, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        for client in &mut self.clients {
            if live(&client.service.resource) {
                client.messages = 0;
                continue;
            }
            client.messages = client.messages.saturating_add(1);
            notices.extend(client.about_messages(now));
        }
        notices
    }

    fn lost(
        &mut self,
        resource: &str,
        messages: u32,
        calls: &[(Box<str>, Bytes)],
        live: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        if live(resource) {
            return notices; // it came back, and gets them
        }
        for client in self.clients.iter_mut().filter(|client| client.service.resource == resource) {
            client.messages = messages;
            if messages > 0 {
                notices.extend(client.about_messages(now));
            }
            for (call, element) in calls {
                // Unless it is over meanwhile.
                let ringing = self.ringing.iter_mut().find(|ringing| ringing.call == *call && !ringing.over);
                if let Some(ringing) = ringing.filter(|ringing| !ringing.told.iter().any(|(service, node)| client.is(service, node))) {
                    ringing.told.push(client.key());
                    notices.push(client.about_call(element));
                }
            }
        }
        notices
    }

    fn proposed(
        &mut self,
        (call, caller): (&str, &str),
        to: Option<&str>,
        element: &Bytes,
        live: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<Notice> {
        let calls = self.ringing.iter().filter(|ringing| *ringing.caller == *caller).count();
        if calls >= CALLS_PER_CALLER || self.ringing.iter().any(|ringing| *ringing.call == *call && !ringing.over) {
            return Vec::new();
        }
        let wanted = |client: &&Client| to.is_none_or(|to| to == client.service.resource) && !live(&client.service.resource);
        let woken: Vec<&Client> = self.clients.iter().filter(wanted).collect();
        if self.ringing.len() >= RINGING_MAX {
            self.ringing.pop_front();
        }
        let told = woken.iter().map(|client| client.key()).collect();
        self.ringing.push_back(Ringing { call: call.into(), caller: caller.into(), since: now, over: false, told });
        woken.into_iter().map(|client| client.about_call(element)).collect()
    }

    fn over(&mut self, call: &str, element: &Bytes, live: impl Fn(&str) -> bool) -> Vec<Notice> {
        let Some(ringing) = self.ringing.iter_mut().find(|ringing| *ringing.call == *call && !ringing.over) else { return Vec::new() };
        ringing.over = true;
        let told = |client: &&Client| ringing.told.iter().any(|(service, node)| client.is(service, node));
        self.clients.iter().filter(told).filter(|client| !live(&client.service.resource)).map(|client| client.about_call(element)).collect()
    }

    /// The service took a notification.
    pub fn accepted(&mut self, service: &Jid, node: &str) {
        self.clients.iter_mut().filter(|client| client.is(service, node)).for_each(|client| client.refused = 0);
    }

    /// The service refused one (XEP-0357 §7.1), perhaps only for a while. Says whether it is to be disabled.
    pub fn refused(&mut self, service: &Jid, node: &str, may_recover: bool) -> bool {
        let Some(client) = self.clients.iter_mut().find(|client| client.is(service, node)) else { return false };
        client.refused += 1;
        !may_recover || client.refused >= REFUSED_MAX
    }
}

impl Client {
    fn new(service: PushService) -> Self {
        Self { service, messages: 0, refused: 0, budget: BURST, reckoned: None }
    }

    fn is(&self, service: &Jid, node: &str) -> bool {
        self.service.service == *service && self.service.node == node
    }

    fn key(&self) -> (Jid, String) {
        (self.service.service.clone(), self.service.node.clone())
    }

    fn about_messages(&mut self, now: Instant) -> Option<Notice> {
        let since = *self.reckoned.get_or_insert(now);
        let earned = now.saturating_duration_since(since).as_millis() / REFILL.as_millis();
        let earned = u32::try_from(earned).unwrap_or(BURST).min(BURST);
        if earned > 0 {
            self.budget = (self.budget + earned).min(BURST);
            self.reckoned = Some(now);
        }
        self.budget = self.budget.checked_sub(1)?;
        Some(Notice { service: self.service.clone(), messages: self.messages, new_message: true, call: None })
    }

    fn about_call(&self, element: &Bytes) -> Notice {
        Notice { service: self.service.clone(), messages: self.messages, new_message: false, call: Some(element.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(node: &str, resource: &str) -> PushService {
        let jid = Jid::parse("push.example").unwrap();
        PushService { service: jid, node: node.to_owned(), resource: resource.to_owned(), options: Bytes::new() }
    }

    fn push(services: &[(&str, &str)]) -> Push {
        Push::new(services.iter().map(|(node, resource)| service(node, resource)).collect())
    }

    fn proposed(call: &str) -> Event {
        Event::Proposed { call: call.into(), caller: call.into(), resource: None, element: Bytes::from_static(b"<propose/>") }
    }

    fn over(call: &str) -> Event {
        Event::Over { call: call.into(), element: Bytes::from_static(b"<retract/>") }
    }

    fn nodes(notices: &[Notice]) -> Vec<&str> {
        notices.iter().map(|notice| notice.service.node.as_str()).collect()
    }

    #[test]
    fn s7_each_message_goes_to_each_client_without_a_live_stream() {
        let mut push = push(&[("a", "phone"), ("b", "tablet")]);
        let now = Instant::now();
        let tablet_live = |resource: &str| resource == "tablet";
        for count in 1..=3 {
            let notices = push.handle(&Event::Message, tablet_live, now);
            assert_eq!(nodes(&notices), ["a"]);
            assert_eq!((notices[0].messages, notices[0].new_message), (count, true));
        }
        assert!(push.handle(&Event::Message, |_| true, now).is_empty());
        assert_eq!(push.handle(&Event::Message, |_| false, now)[0].messages, 1, "it was connected in between");
    }

    #[test]
    fn a_flood_is_summed_up_in_later_counts() {
        let mut push = push(&[("a", "phone")]);
        let now = Instant::now();
        let sent = (0..100).filter(|_| !push.handle(&Event::Message, |_| false, now).is_empty()).count();
        assert_eq!(sent, BURST as usize);
        let later = push.handle(&Event::Message, |_| false, now + REFILL);
        assert_eq!(later[0].messages, 101);
    }

    #[test]
    fn a_call_is_told_once_when_it_rings_and_once_when_it_is_over() {
        let mut push = push(&[("a", "phone"), ("b", "tablet"), ("c", "laptop")]);
        let now = Instant::now();
        let laptop_live = |resource: &str| resource == "laptop";
        assert_eq!(nodes(&push.handle(&proposed("1"), laptop_live, now)), ["a", "b"]);
        assert!(push.handle(&proposed("1"), laptop_live, now).is_empty(), "said again");
        assert_eq!(nodes(&push.handle(&over("1"), |resource| resource != "phone", now)), ["a"], "the tablet woke up");
        assert!(push.handle(&over("1"), |_| false, now).is_empty(), "accept to oneself, then proceed to the caller");
        assert!(push.handle(&over("2"), |_| false, now).is_empty(), "never rang");
        push.handle(&proposed("3"), |_| false, now);
        assert!(push.handle(&over("3"), |_| false, now + RINGING).is_empty(), "too late to be news");
    }

    #[test]
    fn a_call_for_one_device_wakes_that_one() {
        let mut push = push(&[("a", "phone"), ("b", "tablet")]);
        let event = Event::Proposed { call: "1".into(), caller: "a@b".into(), resource: Some("tablet".into()), element: Bytes::new() };
        assert_eq!(nodes(&push.handle(&event, |_| false, Instant::now())), ["b"]);
    }

    #[test]
    fn calls_that_ring_are_bounded() {
        let mut push = push(&[("a", "phone")]);
        let now = Instant::now();
        for call in 0..=RINGING_MAX {
            push.handle(&proposed(&call.to_string()), |_| false, now);
        }
        assert!(push.handle(&over("0"), |_| false, now).is_empty());
        assert_eq!(push.handle(&over("1"), |_| false, now).len(), 1);
    }

    #[test]
    fn who_calls_all_the_time_wakes_nobody_any_more_and_others_do() {
        let mut push = push(&[("a", "phone")]);
        let now = Instant::now();
        let call = |number: usize, caller: &str| Event::Proposed {
            call: number.to_string().into(),
            caller: caller.into(),
            resource: None,
            element: Bytes::new(),
        };
        let mut woken = 0;
        for number in 0..100 {
            woken += push.handle(&call(number, "flood@x"), |_| false, now).len();
            push.handle(&over(&number.to_string()), |_| false, now);
        }
        assert_eq!(woken, CALLS_PER_CALLER);
        assert_eq!(push.handle(&call(100, "friend@x"), |_| false, now).len(), 1);
        assert_eq!(push.handle(&call(101, "flood@x"), |_| false, now + RINGING).len(), 1);
    }

    #[test]
    fn s7_1_a_refused_service_is_disabled_at_once_or_after_some_times() {
        let mut push = push(&[("a", "phone")]);
        let jid = Jid::parse("push.example").unwrap();
        assert!(push.refused(&jid, "a", false));
        for _ in 0..5 {
            push.refused(&jid, "a", true);
        }
        push.accepted(&jid, "a");
        let disabled = (1..=REFUSED_MAX).map(|_| push.refused(&jid, "a", true)).collect::<Vec<_>>();
        assert_eq!(disabled.iter().position(|disabled| *disabled), Some(REFUSED_MAX as usize - 1));
        assert!(!push.refused(&jid, "unknown", false));
    }

    #[test]
    fn s5_and_s6_the_last_request_counts_and_all_nodes_can_go_at_once() {
        let mut push = push(&[("a", "phone"), ("b", "phone")]);
        let jid = Jid::parse("push.example").unwrap();
        assert_eq!(push.others(&service("a", "new")), 1);
        push.enable(service("a", "new"));
        assert_eq!(nodes(&push.handle(&Event::Message, |resource| resource == "phone", Instant::now())), ["a"]);
        push.disable(&jid, Some("a"));
        assert!(push.has(&jid, "b") && !push.has(&jid, "a"));
        push.disable(&jid, None);
        assert!(push.is_empty());
    }

    #[test]
    fn a_lost_stream_is_told_to_its_own_client_only() {
        let mut push = push(&[("a", "phone"), ("b", "tablet")]);
        let now = Instant::now();
        let lost = |messages: u32, calls: &[&str]| {
            let calls = calls.iter().map(|call| (Box::from(*call), Bytes::from_static(b"<propose/>"))).collect();
            Event::Lost { resource: "phone".into(), messages, calls }
        };
        let notices = push.handle(&lost(3, &[]), |_| false, now);
        assert_eq!((nodes(&notices), notices[0].messages), (vec!["a"], 3));
        assert!(push.handle(&lost(0, &[]), |_| false, now).is_empty());
        assert_eq!(push.handle(&Event::Message, |resource| resource == "tablet", now)[0].messages, 1, "counted anew");
        // It seemed to be there when the call was proposed.
        assert!(push.handle(&proposed("1"), |_| true, now).is_empty());
        assert_eq!(nodes(&push.handle(&lost(0, &["1"]), |_| false, now)), ["a"]);
        assert!(push.handle(&lost(0, &["1"]), |_| false, now).is_empty(), "told already");
        assert_eq!(nodes(&push.handle(&over("1"), |_| false, now)), ["a"]);
        assert!(push.handle(&proposed("2"), |_| true, now).is_empty() && push.handle(&over("2"), |_| true, now).is_empty());
        assert!(push.handle(&lost(0, &["2"]), |_| false, now).is_empty(), "it is over");
    }
}
