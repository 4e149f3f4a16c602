//! XEP-0357: Push Notifications, version 0.4.1: a client that has no stream is woken by its vendor's push service, for messages and for calls.
//!
//! Calls are what the specification does not speak of: one notification for each `<propose/>` (XEP-0353), whatever other devices do, and one more
//! when the call no longer rings. The state is the account's ([`Push`]); stages say what happened, [`notify`] publishes.

mod notification;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

pub use state::{Event, Push};

use crate::account::{Account, Targets};
use crate::homes::Home;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::{BareJid, Jid};
use crate::jingle::propose::{self, Verb};
use crate::mailbox::Delivery;
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::router::Router;
use crate::session::SessionRef;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{Child, IqType, Kind, MessageType, Stanza};
use crate::store::PushService;
use crate::time;
use crate::xml::{Element, Node};

/// Longest node that is kept.
const NODE_BYTES_MAX: usize = 1023;
/// Largest form of publish options that is kept.
const OPTIONS_BYTES_MAX: usize = 4096;
/// The element of a call goes along whole up to this size, beyond it only its name and id.
const CALL_BYTES_MAX: usize = 2048;
/// How long a service may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A proposal that has been under way for longer (XEP-0203) rings nobody any more.
const FRESH: Duration = Duration::from_secs(60);

/// Enables and disables services.
pub struct PushNotifications {
    router: Router,
}

impl PushNotifications {
    /// §4.1, §5, §6.
    pub fn register(router: &Router, table: &mut IqTable) {
        let push = Arc::new(Self { router: router.clone() });
        table.feature(To::Account, ns::PUSH);
        table.set(To::Account, (ns::PUSH, "enable"), &push, Self::enable);
        table.set(To::Account, (ns::PUSH, "disable"), &push, Self::disable);
    }

    /// §5.
    async fn enable(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let element = iq.element()?;
        let session = iq.session()?;
        let service = read_service(element.root(), session.jid.resource_str())?;
        if !self.router.is_local(service.service.domain()) {
            return Err(StanzaError::remote_server_not_found().with_text("this server does not federate yet"));
        }
        let home = &session.home;
        let turn = home.turn().await;
        if home.with(|account| account.push.others(&service)) >= self.router.limits().push_services {
            return Err(StanzaError::resource_constraint().with_text("too many push services are enabled"));
        }
        let stored = self.router.store().push_services().enable(&home.jid, &service).await;
        stored.map_err(self.router.internal("enable a push service"))?;
        home.with(|account| account.push.enable(service));
        drop(turn);
        Ok(Reply::Empty)
    }

    /// §6. What is not enabled is disabled already.
    async fn disable(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let payload = iq.payload();
        let service = read_address(payload.attr("jid").as_deref())?;
        let node = payload.attr("node");
        disable(&self.router, &iq.session()?.home, &service, node.as_deref()).await?;
        Ok(Reply::Empty)
    }
}

async fn disable(router: &Router, home: &Home, service: &Jid, node: Option<&str>) -> Result<(), StanzaError> {
    let _turn = home.turn().await;
    let stored = router.store().push_services().disable(&home.jid, service, node).await;
    stored.map_err(router.internal("disable a push service"))?;
    home.with(|account| account.push.disable(service, node));
    Ok(())
}

fn read_address(jid: Option<&str>) -> Result<Jid, StanzaError> {
    let jid = jid.ok_or_else(|| StanzaError::bad_request("a push service is named by its `jid`"))?;
    Jid::parse(jid).map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()))
}

fn read_service(enable: Node<'_>, resource: &str) -> Result<PushService, StanzaError> {
    let service = read_address(enable.attr("jid"))?;
    let node = enable.attr("node").unwrap_or_default().to_owned();
    if node.len() > NODE_BYTES_MAX {
        return Err(StanzaError::not_acceptable().with_text("the node's name is too long"));
    }
    let options = match enable.child(ns::DATA_FORMS, "x") {
        Some(form) if !is_publish_options(form) => {
            return Err(StanzaError::bad_request("the form's FORM_TYPE is not that of publish options"));
        }
        Some(form) => form.to_bytes(),
        None => Bytes::new(),
    };
    if options.len() > OPTIONS_BYTES_MAX {
        return Err(StanzaError::not_acceptable().with_text("the publish options are too large"));
    }
    Ok(PushService { service, node, resource: resource.to_owned(), options })
}

/// For `features/fuzz.rs`.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(element: Node<'_>) {
    if let Ok(service) = read_service(element, "r") {
        assert!(service.node.len() <= NODE_BYTES_MAX && service.options.len() <= OPTIONS_BYTES_MAX);
    }
}

fn is_publish_options(form: Node<'_>) -> bool {
    let mut types = form.children_named(ns::DATA_FORMS, "field").filter(|field| field.attr("var") == Some("FORM_TYPE"));
    types.next().and_then(|field| field.child(ns::DATA_FORMS, "value")).is_some_and(|value| value.text() == ns::PUBLISH_OPTIONS)
}

/// Stage of `pipeline::OUTBOUND`: a device of the account has taken or rejected a call.
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    if matches!(stanza.kind(), Kind::Message(_))
        && !walk.account.push.is_empty()
        && let Some((verb, call)) = propose::call_message(stanza)
        && matches!(verb, Verb::Accept | Verb::Proceed | Verb::Reject)
    {
        effects.push = Some(Box::new(Event::Over { call: id(&call), element: about(&call) }));
    }
    Verdict::Pass
}

/// Stage of `pipeline::INBOUND`, the last: what has come for the account, and will be delivered or kept.
pub fn inbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    let Kind::Message(kind) = stanza.kind() else { return Verdict::Pass };
    if walk.account.push.is_empty() || matches!(kind, MessageType::Error | MessageType::Groupchat) {
        return Verdict::Pass;
    }
    effects.push = withdrawn(walk, stanza).or_else(|| event(walk, kind, stanza)).map(Box::new);
    Verdict::Pass
}

fn event(walk: &Walk<'_>, kind: MessageType, stanza: &Stanza) -> Option<Event> {
    let own = stanza.from().is_some_and(|from| from.bare_str() == walk.account.jid.as_str());
    let bounced = matches!(walk.targets, Targets::Bounce(_) | Targets::Nobody);
    if let Some((verb, call)) = propose::call_message(stanza) {
        let resource = stanza.to().and_then(|to| to.resource()).map(Into::into);
        return match verb {
            Verb::Propose if !own && !bounced && is_fresh(stanza, SystemTime::now()) => {
                let caller = stanza.from().map_or("", |from| from.bare_str()).into();
                Some(Event::Proposed { call: id(&call), caller, resource, element: about(&call) })
            }
            Verb::Retract | Verb::Finish if !own => Some(Event::Over { call: id(&call), element: about(&call) }),
            Verb::Accept | Verb::Reject if own => Some(Event::Over { call: id(&call), element: about(&call) }),
            _ => None,
        };
    }
    (!own && !bounced && kind != MessageType::Headline && is_for_the_user(stanza)).then_some(Event::Message)
}

/// Whether a message is something to read: it has a text, perhaps an encrypted one.
fn is_for_the_user(stanza: &Stanza) -> bool {
    stanza.children().any(|child| {
        child.is(ns::CLIENT, "body")
            || matches!(
                (child.ns(), child.name()),
                (ns::OMEMO_0 | ns::OMEMO_2, "encrypted") | (ns::OPENPGP, "openpgp") | (ns::ENCRYPTED, "x")
            )
    })
}

/// Never for a stale one: a proposal that was kept somewhere says so (XEP-0203).
fn is_fresh(stanza: &Stanza, now: SystemTime) -> bool {
    stanza.children().filter(|child| child.is(ns::DELAY, "delay")).all(|delay| {
        let stamp = delay.attr("stamp").and_then(|stamp| time::parse_xep0082(&stamp));
        stamp.is_some_and(|stamp| now.duration_since(stamp).unwrap_or_default() <= FRESH)
    })
}

/// §8.
fn withdrawn(walk: &Walk<'_>, stanza: &Stanza) -> Option<Event> {
    let service = stanza.from()?;
    let pubsub = stanza.child(ns::PUBSUB, "pubsub")?;
    let node = pubsub.attr("node")?.into_owned();
    if !walk.account.push.has(service, &node) {
        return None;
    }
    let element = pubsub.element().ok()?;
    let gone = |affiliation: Node<'_>| affiliation.attr("affiliation") == Some("none");
    let about_us = |affiliation: &Node<'_>| affiliation.attr("jid") == Some(walk.account.jid.as_str());
    let is_withdrawn = element.root().children_named(ns::PUBSUB, "affiliation").filter(about_us).any(gone);
    is_withdrawn.then(|| Event::Withdrawn { service: service.clone(), node })
}

fn id(call: &Child<'_>) -> Box<str> {
    call.attr("id").unwrap_or_default().into()
}

/// The element about a call as it goes along: what rings knows media and id from it.
fn about(call: &Child<'_>) -> Bytes {
    let whole = call.element().map(|element: Element| element.root().to_bytes()).unwrap_or_default();
    if !whole.is_empty() && whole.len() <= CALL_BYTES_MAX {
        return whole;
    }
    let mut xml = crate::xml::XmlWriter::new();
    xml.open(call.name()).ns(call.ns()).attr("id", &id(call)).close();
    xml.finish()
}

/// The connection of a session is lost: what its client has not acknowledged may be worth a notification.
pub async fn lost(router: &Router, session: &SessionRef) {
    let event = session.home.with(|account| {
        if account.push.is_empty() {
            return None;
        }
        let own = account.session(session.id).filter(|own| own.hibernated.is_some())?;
        let mut unseen = Unseen::default();
        own.mailbox.look(|stanza| unseen.count(stanza, true));
        Some(unseen.event(session))
    });
    if let Some(event) = event {
        notify(router, &session.home, event).await;
    }
}

/// A session has ended while its stream seemed to be there, and its client did not get these: nobody was notified of them when they came. Messages
/// without a row in the store take their way once more, and are notified of then.
pub async fn ended(router: &Router, session: &SessionRef, left: &[Delivery]) {
    if session.home.with(|account| account.push.is_empty()) {
        return;
    }
    let mut unseen = Unseen::default();
    for Delivery { stanza, stored } in left {
        unseen.count(stanza, stored.is_some());
    }
    if unseen.messages > 0 || !unseen.calls.is_empty() {
        notify(router, &session.home, unseen.event(session)).await;
    }
}

/// What a client may not have seen and its user should.
#[derive(Default)]
struct Unseen {
    messages: u32,
    calls: Vec<(Box<str>, Bytes)>,
}

impl Unseen {
    fn count(&mut self, stanza: &Stanza, messages: bool) {
        match (stanza.kind(), propose::call_message(stanza)) {
            (Kind::Message(MessageType::Chat | MessageType::Normal), Some((Verb::Propose, call))) => {
                self.calls.push((id(&call), about(&call)))
            }
            (Kind::Message(MessageType::Chat | MessageType::Normal), None) if messages => {
                self.messages += u32::from(is_for_the_user(stanza));
            }
            _ => {}
        }
    }

    fn event(self, session: &SessionRef) -> Event {
        Event::Lost { resource: session.jid.resource_str().into(), messages: self.messages, calls: self.calls }
    }
}

/// Publishes what an event is worth (§7).
pub async fn notify(router: &Router, home: &Arc<Home>, event: Event) {
    if let Event::Withdrawn { service, node } = &event {
        tracing::debug!(account = %home.jid, %service, node, "the push service takes no more");
        // What cannot be stored was logged; the service's refusals end it then.
        return disable(router, home, service, Some(node)).await.unwrap_or_default();
    }
    let now = Instant::now();
    let notices = home.with(|account| {
        if account.disabled {
            return Vec::new();
        }
        let Account { push, sessions, .. } = account;
        let live = |resource: &str| sessions.iter().any(|session| session.hibernated.is_none() && session.jid.resource_str() == resource);
        push.handle(&event, live, now)
    });
    for notice in notices {
        if is_unwanted(router, &notice.service.service, &home.jid).await {
            continue;
        }
        let PushService { service, node, .. } = &notice.service;
        let published = Published { account: home.jid.clone(), service: service.clone(), node: node.clone() };
        let request = router.pushes().request(IqType::Set, home.jid.to_domain(), service.clone(), published, now);
        Box::pin(router.route(request.with_content(notification::publish(&notice)), None)).await;
    }
}

/// XEP-0191 §3.3: a service may be a client of a local account, which has blocked whom the notification is about. That it comes from the server
/// must not be a way around.
async fn is_unwanted(router: &Router, service: &Jid, account: &BareJid) -> bool {
    if !router.is_local(service.domain()) || service.local().is_none() {
        return false;
    }
    match router.home(&service.to_bare()).await {
        Ok(home) => home.is_some_and(|home| home.with(|owner| owner.blocks(account))),
        // Routing meets the same error, and says so.
        Err(_) => false,
    }
}

/// A notification whose answer is awaited.
#[derive(Debug)]
pub struct Published {
    account: BareJid,
    service: Jid,
    node: String,
}

/// §7.1: what a push service answers to a publish request.
pub async fn answered(router: &Router, Published { account, service, node }: Published, answer: &Stanza) {
    let Some(home) = router.home_in_memory(&account) else { return };
    let Some(error) = StanzaError::of(answer) else {
        return home.with(|account| account.push.accepted(&service, &node));
    };
    let may_recover = error.type_ == ErrorType::Wait
        || matches!(
            error.condition,
            Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
                | Condition::ServiceUnavailable
                | Condition::RecipientUnavailable
        );
    if home.with(|account| account.push.refused(&service, &node, may_recover)) {
        tracing::info!(%account, %service, condition = error.condition.name(), "a push service was disabled: it refuses notifications");
        // Logged where it failed; the next refusal tries again.
        disable(router, &home, &service, Some(&node)).await.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Bindings;

    fn parse(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap()
    }

    #[test]
    fn s5_what_enable_may_say() {
        let long = "n".repeat(NODE_BYTES_MAX + 1);
        for (enable, expected) in [
            ("<enable xmlns='urn:xmpp:push:0'/>", Err(Condition::BadRequest)),
            ("<enable xmlns='urn:xmpp:push:0' jid='@'/>", Err(Condition::JidMalformed)),
            ("<enable xmlns='urn:xmpp:push:0' jid='p.example'/>", Ok("")),
            ("<enable xmlns='urn:xmpp:push:0' jid='p.example' node='n'/>", Ok("n")),
            (&format!("<enable xmlns='urn:xmpp:push:0' jid='p.example' node='{long}'/>"), Err(Condition::NotAcceptable)),
            (
                "<enable xmlns='urn:xmpp:push:0' jid='p.example' node='n'><x xmlns='jabber:x:data' type='submit'/></enable>",
                Err(Condition::BadRequest),
            ),
            (
                "<enable xmlns='urn:xmpp:push:0' jid='p.example' node='n'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
                 <value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='secret'><value>s</value></field></x></enable>",
                Ok("n"),
            ),
        ] {
            let element = Element::parse(enable.as_bytes(), &Bindings::empty()).unwrap();
            let read = read_service(element.root(), "r").map(|service| service.node).map_err(|error| error.condition);
            assert_eq!(read.as_deref().map_err(|condition| *condition), expected, "{enable}");
        }
    }

    #[test]
    fn a_proposal_that_was_kept_is_stale() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_644_352); // 2026-11-25T22:05:52Z
        for (delay, fresh) in [
            ("", true),
            ("<delay xmlns='urn:xmpp:delay' stamp='2026-11-25T22:05:00Z'/>", true),
            ("<delay xmlns='urn:xmpp:delay' stamp='2026-11-25T22:04:00Z'/>", false),
            ("<delay xmlns='urn:xmpp:delay' stamp='whenever'/>", false),
        ] {
            assert_eq!(is_fresh(&parse(&format!("<message>{delay}</message>")), now), fresh, "{delay}");
        }
    }

    #[test]
    fn texts_and_encrypted_texts_are_for_the_user() {
        for (content, expected) in [
            ("<body>hi</body>", true),
            ("<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true),
            ("<encrypted xmlns='urn:xmpp:omemo:2'/>", true),
            ("<openpgp xmlns='urn:xmpp:openpgp:0'/>", true),
            ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", false),
            ("<received xmlns='urn:xmpp:receipts' id='1'/>", false),
        ] {
            assert_eq!(is_for_the_user(&parse(&format!("<message>{content}</message>"))), expected, "{content}");
        }
    }
}
