//! XEP-0215: External Service Discovery, version 1.0, and its earlier namespace `urn:xmpp:extdisco:1`.
//!
//! The services are the TURN listeners that live in this process, so what is told is what serves. UDP comes first, since some
//! clients use the first entry only. Every TURN entry, `turns` too, has full credentials: browsers refuse a list that lacks any.
//!
//! Whoever asked for the list is told when it changes, and gets new credentials before the old ones end (§3.2): clients ask once, after log-in.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use campanile_relay::{Credentials, Relay, RelaySession, SessionTag, Transport};

use crate::account::Account;
use crate::homes::Home;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::random;
use crate::router::Router;
use crate::session::{Session, SessionRef};
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Stanza};
use crate::store::ServicesInterest;
use crate::time::xep0082;
use crate::xml::XmlWriter;

/// What part of their life credentials have behind them when they are renewed, in percent.
const RENEWED_AT: u32 = 80;
/// How often that is looked at, at the least; more often where credentials live for a shorter time.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How often of a life: what is found late has less than a fifth of it left, and more than a tenth.
const LOOKS: u32 = 20;

/// What a session was told of the services, and wants to be told again (§3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The namespace it asked in.
    namespace: &'static str,
    /// The types it asked for; empty for all.
    kinds: BTreeSet<&'static str>,
    /// When its credentials are to be renewed.
    renew_at: Option<SystemTime>,
}

/// The types of services there are.
const KINDS: [&str; 4] = ["stun", "stuns", "turn", "turns"];

impl Interest {
    /// As it is kept with a session that outlives a stop of the server.
    pub fn to_stored(&self) -> ServicesInterest {
        let since = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        ServicesInterest {
            namespace: self.namespace.to_owned(),
            kinds: self.kinds.iter().map(ToString::to_string).collect(),
            renew_at_ms: self.renew_at.and_then(|at| u64::try_from(since(at)).ok()).unwrap_or(u64::MAX),
        }
    }

    /// The opposite; `None` for a namespace that is not served any more.
    pub fn from_stored(stored: &ServicesInterest) -> Option<Self> {
        let namespace = [ns::EXTDISCO, ns::EXTDISCO_1].into_iter().find(|known| *known == stored.namespace)?;
        let kinds: BTreeSet<_> = KINDS.into_iter().filter(|known| stored.kinds.iter().any(|kind| kind == known)).collect();
        // None is all.
        if kinds.is_empty() && !stored.kinds.is_empty() {
            return None;
        }
        Some(Self { namespace, kinds, renew_at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(stored.renew_at_ms)) })
    }

    fn wants(&self, service: &Service) -> bool {
        self.kinds.is_empty() || self.kinds.contains(service.kind)
    }
}

/// One entry of the list, before credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Host name or address that clients are told.
    pub host: String,
    /// The port that clients are told.
    pub port: u16,
    /// `stun`, `stuns`, `turn` or `turns`.
    pub kind: &'static str,
    /// `udp` or `tcp`.
    pub transport: &'static str,
}

impl Service {
    fn is_restricted(&self) -> bool {
        self.kind.starts_with("turn")
    }
}

/// What clients are told.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The entries, in order.
    pub list: Vec<Service>,
    /// Anonymous sessions are given credentials too (XEP-0175 §3, item 5).
    pub anonymous: bool,
}

/// The order in which services are told: UDP before TCP before TLS, TURN before STUN within a port's list of hosts.
pub fn services(told: &[(Transport, u16)], hosts: &[String]) -> Vec<Service> {
    let mut services = Vec::new();
    for (wanted, turn, stun, transport) in
        [(Transport::Udp, "turn", Some("stun"), "udp"), (Transport::Tcp, "turn", None, "tcp"), (Transport::Tls, "turns", None, "tcp")]
    {
        let mut ports: Vec<u16> = told.iter().filter(|(transport, _)| *transport == wanted).map(|(_, port)| *port).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            for kind in std::iter::once(turn).chain(stun) {
                services.extend(hosts.iter().map(|host| Service { host: host.clone(), port, kind, transport }));
            }
        }
    }
    services
}

/// Answers for the services of this process.
pub struct Extdisco {
    router: Router,
    relay: Relay,
    services: ArcSwap<Vec<Service>>,
    /// Anonymous sessions are given credentials too.
    anonymous: bool,
}

impl std::fmt::Debug for Extdisco {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extdisco").field("services", &self.services).finish_non_exhaustive()
    }
}

impl Extdisco {
    /// §3.1 to §3.3, for the server's own users only.
    pub fn register(router: &Router, relay: Relay, services: Services, table: &mut IqTable) -> Arc<Self> {
        let Services { list, anonymous } = services;
        let extdisco = Arc::new(Self { router: router.clone(), relay, services: ArcSwap::from_pointee(list), anonymous });
        for namespace in [ns::EXTDISCO, ns::EXTDISCO_1] {
            table.feature(To::Server, namespace);
            table.get(To::Server, (namespace, "services"), &extdisco, Self::list);
            table.get(To::Server, (namespace, "credentials"), &extdisco, Self::credentials);
        }
        extdisco
    }

    /// §3.1, §3.2.
    async fn list(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let now = SystemTime::now();
        let payload = iq.payload();
        let namespace = ns::intern(payload.ns()).unwrap_or(ns::EXTDISCO);
        let kind = payload.attr("type");
        let session = own_session(&iq)?;
        // All of it under one lock: what is told, and that changes from then on are to be told.
        session.home.with(|account| {
            let given = self.gives_to(account);
            let session = alive(account, session)?;
            let services = self.services.load();
            let asked = || services.iter().filter(|service| kind.as_deref().is_none_or(|kind| service.kind == kind));
            let credentials = (given && asked().any(Service::is_restricted)).then(|| self.issue_to(session, now));
            let mut xml = XmlWriter::new();
            xml.open("services").ns(namespace);
            if let Some(kind) = kind.as_deref() {
                xml.attr("type", kind);
            }
            asked().for_each(|service| write(&mut xml, service, None, credentials.as_ref()));
            xml.close();
            session.services = interest(session.services.take(), namespace, kind.as_deref(), renew_at(now, credentials.as_ref()));
            session.send(Stanza::iq_result(&iq.stanza, xml.finish()));
            Ok(Reply::Sent)
        })
    }

    /// What is told, as of now.
    pub fn services(&self) -> Arc<Vec<Service>> {
        self.services.load_full()
    }

    /// The services have become others: whoever asked for them is told which (§3.2). `moved` says that their names stand for other addresses
    /// than before, which a client must look up again.
    pub fn replace(&self, services: Vec<Service>, moved: bool) {
        let before = self.services.swap(Arc::new(services));
        let changes = changes(&before, &self.services.load(), moved);
        if changes.is_empty() {
            return;
        }
        let now = SystemTime::now();
        for home in self.router.homes_in_memory() {
            home.with(|account| self.push(account, &changes, now, |_| true));
        }
    }

    /// Sends new credentials to whoever asked for the services and whose credentials are about to end.
    pub fn renew(&self, now: SystemTime) {
        let restricted = self.restricted();
        if restricted.is_empty() {
            return;
        }
        for home in self.router.homes_in_memory() {
            home.with(|account| self.push(account, &restricted, now, |interest| interest.renew_at.is_some_and(|at| at <= now)));
        }
    }

    /// What was issued to an account is void until `now`: those of its sessions that asked for the services get other credentials.
    pub fn reissue(&self, home: &Home, now: SystemTime) {
        // What is void goes by milliseconds, that of `now` among it.
        let now = now + Duration::from_millis(1);
        home.with(|account| self.push(account, &self.restricted(), now, |interest| interest.renew_at.is_some()));
    }

    fn restricted(&self) -> Vec<(Action, Service)> {
        let services = self.services.load();
        services.iter().filter(|service| service.is_restricted()).cloned().map(|of| (Action::Modify, of)).collect()
    }

    /// Renews for as long as the server runs; credentials live for `life`.
    pub async fn run(&self, life: Duration) {
        let every = (life / LOOKS).clamp(Duration::from_secs(1), LOOK_EVERY);
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            self.renew(SystemTime::now());
        }
    }

    /// §3.2: a push to those sessions of an account that it concerns.
    fn push(&self, account: &mut Account, changes: &[(Action, Service)], now: SystemTime, concerned: impl Fn(&Interest) -> bool) {
        if !account.sessions.iter().any(|session| session.services.as_deref().is_some_and(&concerned)) {
            return;
        }
        let given = self.gives_to(account);
        let services = self.services.load();
        for session in &mut account.sessions {
            let Some(interest) = session.services.as_deref().filter(|interest| !session.is_ending && concerned(interest)) else { continue };
            let is_wanted = |service: &Service| interest.wants(service) && (given || !service.is_restricted());
            let wanted: Vec<_> = changes.iter().filter(|(_, service)| is_wanted(service)).collect();
            if wanted.is_empty() {
                continue;
            }
            let gets_new = |service: &Service| wanted.iter().any(|(action, of)| *action != Action::Delete && of == service);
            let mut restricted = services.iter().filter(|service| service.is_restricted() && interest.wants(service));
            let (some, all) = (restricted.clone().any(gets_new), restricted.all(gets_new));
            let credentials = some.then(|| self.issue_to(session, now));
            let Some(interest) = session.services.as_deref_mut() else { continue };
            if let Some(at) = renew_at(now, credentials.as_ref()) {
                interest.renew_at = Some(interest.renew_at.map_or(at, |before| if all { at } else { before.min(at) }));
            }
            let payload = pushed(interest, &wanted, credentials.as_ref());
            let domain = Stanza::iq(IqType::Set, random::id()).with_from(session.jid.to_domain()).with_to(session.jid.clone());
            session.send(domain.with_content(payload));
        }
    }

    /// §3.3.
    async fn credentials(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let credentials = self.issue(&iq, SystemTime::now())?;
        let element = iq.element()?;
        let namespace = element.root().ns();
        let mut xml = XmlWriter::new();
        xml.open("credentials").ns(namespace);
        let mut found = false;
        for wanted in element.root().children_named(namespace, "service") {
            let (Some(host), Some(kind)) = (wanted.attr("host"), wanted.attr("type")) else {
                return Err(StanzaError::bad_request("a service is asked for by `host` and `type`"));
            };
            let port = wanted.attr("port").map(str::parse::<u16>).transpose().map_err(|_| StanzaError::bad_request("`port` is no port"))?;
            let matches = |service: &&Service| service.host == host && service.kind == kind && port.is_none_or(|port| port == service.port);
            for service in self.services.load().iter().filter(|service| service.is_restricted()).filter(matches) {
                if credentials.is_none() {
                    return Err(StanzaError::forbidden().with_text("no relay for anonymous sessions"));
                }
                write(&mut xml, service, None, credentials.as_ref());
                found = true;
            }
        }
        xml.close();
        if found {
            Ok(Reply::Payload(xml.finish()))
        } else {
            Err(StanzaError::item_not_found().with_text("no such service here needs credentials"))
        }
    }

    /// `None` for an anonymous session that is given none.
    fn issue(&self, iq: &Iq, now: SystemTime) -> Result<Option<Credentials>, StanzaError> {
        let session = own_session(iq)?;
        session.home.with(|account| {
            let given = self.gives_to(account);
            let own = alive(account, session)?;
            Ok(given.then(|| self.issue_to(own, now)))
        })
    }

    fn gives_to(&self, account: &Account) -> bool {
        self.anonymous || !account.anonymous
    }

    /// They are the session's, and end with it.
    fn issue_to(&self, session: &mut Session, now: SystemTime) -> Credentials {
        let tag = *session.relay.get_or_insert_with(|| SessionTag::new(random::bytes()));
        let party = session.jid.as_str().into();
        self.relay.issue_to(session.jid.bare_str(), &RelaySession { tag, party }, now)
    }
}

fn own_session(iq: &Iq) -> Result<&SessionRef, StanzaError> {
    iq.session.as_ref().ok_or_else(|| StanzaError::forbidden().with_text("only for this server's own users"))
}

/// Under the account's lock: nothing is issued to a session whose end has begun.
fn alive<'a>(account: &'a mut Account, session: &SessionRef) -> Result<&'a mut Session, StanzaError> {
    account.session(session.id).filter(|own| !own.is_ending).ok_or_else(StanzaError::not_authorized)
}

/// What becomes of a service in a push (§3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Add,
    Delete,
    Modify,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Delete => "delete",
            Self::Modify => "modify",
        }
    }
}

/// What one list has that another has not; and, when names stand for other addresses, what goes by a name in both.
fn changes(before: &[Service], now: &[Service], moved: bool) -> Vec<(Action, Service)> {
    let (stays, added): (Vec<_>, Vec<_>) = now.iter().cloned().partition(|service| before.contains(service));
    let added = added.into_iter().map(|service| (Action::Add, service));
    let deleted = before.iter().filter(|service| !now.contains(service)).map(|service| (Action::Delete, service.clone()));
    let moved = stays.into_iter().filter(|service| moved && service.host.parse::<IpAddr>().is_err());
    added.chain(deleted).chain(moved.map(|service| (Action::Modify, service))).collect()
}

/// What a session wants to be told of after one more request. It keeps what it wanted before, unless it asks in another namespace; there is nothing
/// to be told of a type that is none. `renew_at` is for what it was given now.
fn interest(
    before: Option<Box<Interest>>,
    namespace: &'static str,
    kind: Option<&str>,
    renew_at: Option<SystemTime>,
) -> Option<Box<Interest>> {
    let kind = match kind.map(|kind| KINDS.into_iter().find(|known| *known == kind)) {
        None => None,
        Some(Some(kind)) => Some(kind),
        Some(None) => return before,
    };
    let known = before.filter(|before| before.namespace == namespace);
    // Of what it was given before, the first to end counts.
    let before = known.as_ref().and_then(|known| known.renew_at);
    let kinds = match (kind, known.map(|known| known.kinds)) {
        (None, _) => return Some(Box::new(Interest { namespace, kinds: BTreeSet::new(), renew_at })),
        // It asked for all before.
        (Some(_), Some(known)) if known.is_empty() => known,
        (Some(kind), known) => known.unwrap_or_default().into_iter().chain([kind]).collect(),
    };
    Some(Box::new(Interest { namespace, kinds, renew_at: before.into_iter().chain(renew_at).min() }))
}

fn renew_at(now: SystemTime, credentials: Option<&Credentials>) -> Option<SystemTime> {
    Some(now + credentials?.expires.duration_since(now).unwrap_or_default() * RENEWED_AT / 100)
}

fn pushed(interest: &Interest, services: &[&(Action, Service)], credentials: Option<&Credentials>) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("services").ns(interest.namespace);
    // Example 5 names the type of a request that named one.
    if let (Some(kind), 1) = (interest.kinds.first(), interest.kinds.len()) {
        xml.attr("type", kind);
    }
    for (action, service) in services {
        write(&mut xml, service, Some(*action), credentials);
    }
    xml.close();
    xml.finish()
}

/// §2. `restricted` says that the service wants credentials; they are there at once, but for a service that is gone. Who is given none is not told
/// of what needs them, nor that it is gone.
fn write(xml: &mut XmlWriter, service: &Service, action: Option<Action>, credentials: Option<&Credentials>) {
    if service.is_restricted() && credentials.is_none() && action != Some(Action::Delete) {
        return;
    }
    xml.open("service").attr_opt("action", action.map(Action::name));
    xml.attr("type", service.kind).attr("host", &service.host).attr("port", &service.port.to_string());
    xml.attr("transport", service.transport);
    if let Some(credentials) = credentials.filter(|_| service.is_restricted() && action != Some(Action::Delete)) {
        xml.attr("restricted", "true").attr("username", &credentials.username).attr("password", &credentials.password);
        xml.attr("expires", &xep0082(credentials.expires));
    }
    xml.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(host: &str, kind: &'static str) -> Service {
        Service { host: host.to_owned(), port: 3478, kind, transport: "udp" }
    }

    #[test]
    fn s3_2_a_change_is_what_came_and_what_went() {
        let (old, new, stays) = (service("old", "turn"), service("new", "turn"), service("stays", "stun"));
        let (before, now) = ([old.clone(), stays.clone()], [stays.clone(), new.clone()]);
        assert_eq!(changes(&before, &now, false), [(Action::Add, new), (Action::Delete, old)]);
        assert_eq!(changes(&now, &now, false), []);
    }

    #[test]
    fn s3_2_a_name_for_another_address_is_told_again() {
        let (name, address) = (service("relay.example.org", "turn"), service("2001:db8::7", "turn"));
        let both = [name.clone(), address];
        assert_eq!(changes(&both, &both, true), [(Action::Modify, name)]);
    }

    #[test]
    fn s3_2_a_session_wants_what_it_has_asked_for() {
        let now = SystemTime::UNIX_EPOCH;
        let later = now + Duration::from_secs(60);
        let asks =
            |before: Option<Interest>, kind: &str| interest(before.map(Box::new), ns::EXTDISCO, Some(kind), None).map(|interest| *interest);
        let after = |before: Option<Interest>, kind: Option<&str>| {
            *interest(before.map(Box::new), ns::EXTDISCO, kind, Some(later)).expect("there is")
        };
        let wants = |interest: &Interest| [service("x", "turn"), service("x", "stun")].map(|service| interest.wants(&service));
        let turn = after(None, Some("turn"));
        assert_eq!(wants(&turn), [true, false]);
        assert_eq!(Interest::from_stored(&turn.to_stored()), Some(turn.clone()));
        let both = after(Some(turn.clone()), Some("stun"));
        assert_eq!(wants(&both), [true, true]);
        let all = after(Some(turn.clone()), None);
        assert_eq!((wants(&all), &all.kinds.len()), ([true, true], &0));
        assert_eq!(after(Some(all.clone()), Some("turn")), all);
        let other = Interest { namespace: ns::EXTDISCO_1, ..all };
        assert_eq!(wants(&after(Some(other), Some("turn"))), [true, false]);
        // A type that is none is no interest, and changes none.
        assert_eq!(asks(None, "foo"), None);
        assert_eq!(asks(Some(turn.clone()), "foo"), Some(turn.clone()));
        let unknown = ServicesInterest { kinds: vec!["foo".to_owned()], ..turn.to_stored() };
        assert_eq!(Interest::from_stored(&unknown), None);
        // Without credentials nothing is to be renewed; of several, the first to end says when.
        assert_eq!(asks(None, "stun").expect("there is").renew_at, None);
        assert_eq!((asks(Some(turn.clone()), "stun").expect("there is").renew_at, turn.renew_at), (Some(later), Some(later)));
        let earlier = Interest { renew_at: Some(now), ..turn };
        assert_eq!(after(Some(earlier.clone()), Some("turns")).renew_at, Some(now));
        assert_eq!(after(Some(earlier), None).renew_at, Some(later));
    }

    #[test]
    fn credentials_are_renewed_when_four_fifths_of_their_life_are_over() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_644_352);
        let credentials = Credentials { username: String::new(), password: String::new(), expires: now + Duration::from_secs(1000) };
        assert_eq!(renew_at(now, Some(&credentials)), Some(now + Duration::from_secs(800)));
    }
}
