//! XEP-0191: Blocking Command, version 1.3. Lists are kept by `store/blocks.rs` and, for accounts in memory, in `Account::blocked`.
//!
//! Blocking is polite (§4): subscriptions stay as they are. What XEP-0377 puts into an `<item/>`, a report, is taken and not read.
//! Privacy lists (§5) are not offered.

use std::sync::Arc;

use bytes::Bytes;

use crate::account::{Account, BlockList};
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::random;
use crate::router::Router;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};
use crate::xml::XmlWriter;

/// Shows and changes block lists.
#[derive(Debug)]
pub struct Blocking {
    router: Router,
}

impl Blocking {
    /// §3. A request is for the own account only.
    pub fn register(router: &Router, table: &mut IqTable) {
        let blocking = Arc::new(Self { router: router.clone() });
        for to in [To::Server, To::Account] {
            table.feature(to, ns::BLOCKING);
        }
        table.get(To::Account, (ns::BLOCKING, "blocklist"), &blocking, Self::list);
        table.set(To::Account, (ns::BLOCKING, "block"), &blocking, Self::block);
        table.set(To::Account, (ns::BLOCKING, "unblock"), &blocking, Self::unblock);
    }

    /// §3.2. Whoever has asked is told of changes.
    async fn list(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let session = iq.session()?;
        session.home.with(|account| {
            let payload = written("blocklist", account.blocked.iter());
            if let Some(session) = account.session(session.id) {
                session.interested_in_blocks = true;
                // Here and not later: pushes that follow tell what has changed since.
                session.send(Stanza::iq_result(&iq.stanza, payload));
            }
        });
        Ok(Reply::Sent)
    }

    /// §3.3.
    async fn block(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let jids = jids(&iq)?;
        if jids.is_empty() {
            return Err(StanzaError::bad_request("there is no <item/> to block"));
        }
        let home = &iq.session()?.home;
        // No presence may slip out between the one that says goodbye and the block.
        let presence_turn = home.presence_turn().await;
        let turn = home.turn().await;
        let max = self.router.limits().blocked_jids;
        let room = home.with(|account| account.blocked.len() + jids.iter().filter(|jid| !account.blocked.has(jid)).count() <= max);
        if !room {
            return Err(StanzaError::resource_constraint().with_text("too many addresses are blocked"));
        }
        self.router.store().blocks().add(&home.jid, jids.clone()).await.map_err(self.router.internal("store a block list"))?;
        let goodbye = home.with(|account| {
            let before = account.blocked.clone();
            account.blocked.extend(jids.iter().cloned());
            push(account, &written("block", jids.iter()));
            account.leave_newly_blocked(&before)
        });
        drop(turn);
        self.router.route_all(goodbye).await;
        drop(presence_turn);
        Ok(Reply::Empty)
    }

    /// §3.4, and §3.5 where no item is named.
    async fn unblock(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let jids = jids(&iq)?;
        let home = &iq.session()?.home;
        let presence_turn = home.presence_turn().await;
        let turn = home.turn().await;
        let blocks = self.router.store().blocks();
        let stored = if jids.is_empty() { blocks.clear(&home.jid).await } else { blocks.remove(&home.jid, jids.clone()).await };
        stored.map_err(self.router.internal("store a block list"))?;
        let welcome = home.with(|account| {
            let before = account.blocked.clone();
            if jids.is_empty() {
                account.blocked = BlockList::default();
            }
            jids.iter().for_each(|jid| account.blocked.remove(jid));
            push(account, &written("unblock", jids.iter()));
            account.return_to_unblocked(&before)
        });
        // An answer to a probe may need a turn of its own.
        drop(turn);
        self.router.route_all(welcome).await;
        drop(presence_turn);
        Ok(Reply::Empty)
    }
}

/// Stage of `pipeline::OUTBOUND`, §3.3: nothing goes to a blocked address; the sender is told why.
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, _: &mut Effects) -> Verdict {
    match stanza.to() {
        Some(to) if walk.account.blocks(to) => {}
        _ => return Verdict::Pass,
    }
    match stanza.kind() {
        // RFC 6120 §8.3.1: neither an error nor an answer is answered by an error.
        Kind::Presence(PresenceType::Error) | Kind::Message(MessageType::Error) | Kind::Iq(IqType::Result | IqType::Error) => Verdict::Drop,
        _ => Verdict::Bounce(is_blocked()),
    }
}

/// Stage of `pipeline::INBOUND`, §3.3: what becomes of a stanza from a blocked address, whichever way the account was addressed.
pub fn inbound(walk: &Walk<'_>, stanza: &mut Stanza, _: &mut Effects) -> Verdict {
    match stanza.from() {
        Some(from) if walk.account.blocks(from) => {}
        _ => return Verdict::Pass,
    }
    match stanza.kind() {
        Kind::Presence(_) | Kind::Message(MessageType::Error) | Kind::Iq(IqType::Result | IqType::Error) => Verdict::Drop,
        // What is sent to many: to a room, an error says that this recipient is gone (XEP-0045 §18.1.2), and it would be removed since somebody else in
        // there is blocked.
        Kind::Message(MessageType::Groupchat | MessageType::Headline) => Verdict::Drop,
        Kind::Message(_) | Kind::Iq(IqType::Get | IqType::Set) => Verdict::Bounce(StanzaError::service_unavailable()),
    }
}

/// §3.3, example 9.
fn is_blocked() -> StanzaError {
    let mut blocked = XmlWriter::new();
    blocked.open("blocked").ns(ns::BLOCKING_ERRORS).close();
    StanzaError { extra: Some(blocked.finish()), ..StanzaError::new(Condition::NotAcceptable, ErrorType::Cancel) }
}

/// The addresses of a request's items.
fn jids(iq: &Iq) -> Result<Vec<Jid>, StanzaError> {
    let element = iq.element()?;
    let mut jids = Vec::new();
    for item in element.root().children_named(ns::BLOCKING, "item") {
        let jid = item.attr("jid").ok_or_else(|| StanzaError::bad_request("an <item/> needs a `jid`"))?;
        jids.push(Jid::parse(jid).map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()))?);
    }
    Ok(jids)
}

fn written<'a>(name: &str, jids: impl Iterator<Item = &'a Jid>) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open(name).ns(ns::BLOCKING);
    for jid in jids {
        xml.open("item").attr("jid", jid.as_str()).close();
    }
    xml.close();
    xml.finish()
}

/// Tells every resource that has asked for the list.
fn push(account: &Account, payload: &Bytes) {
    for session in account.sessions.iter().filter(|session| session.interested_in_blocks) {
        let push = Stanza::iq(IqType::Set, random::id()).with_from(account.jid.clone()).with_to(session.jid.clone());
        session.send(push.with_content(payload.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Targets;
    use crate::jid::BareJid;
    use crate::xml::Bindings;

    fn verdict(stage: crate::pipeline::Stage, xml: &str) -> Verdict {
        let mut account = Account::new(BareJid::parse("juliet@capulet.com").unwrap(), Vec::new(), Vec::new());
        account.blocked = ["montague.net", "capulet.com"].map(|jid| Jid::parse(jid).unwrap()).into_iter().collect();
        let mut stanza = Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap();
        let moment = crate::pipeline::Moment::for_tests();
        stage(&Walk { account: &account, sender: None, targets: &Targets::Nobody, moment: &moment }, &mut stanza, &mut Effects::default())
    }

    #[test]
    fn s3_3_each_kind_of_stanza_from_a_blocked_jid() {
        let bounce = || Verdict::Bounce(StanzaError::service_unavailable());
        for (rest, expected) in [
            ("presence", Verdict::Drop),
            ("presence type='unavailable'", Verdict::Drop),
            ("presence type='subscribe'", Verdict::Drop),
            ("presence type='unsubscribed'", Verdict::Drop),
            ("presence type='probe'", Verdict::Drop),
            ("presence type='error'", Verdict::Drop),
            ("message", bounce()),
            ("message type='chat'", bounce()),
            ("message type='headline'", Verdict::Drop),
            ("message type='groupchat'", Verdict::Drop),
            ("message type='error'", Verdict::Drop),
            ("iq type='get' id='1'", bounce()),
            ("iq type='set' id='1'", bounce()),
            ("iq type='result' id='1'", Verdict::Drop),
            ("iq type='error' id='1'", Verdict::Drop),
        ] {
            let content = if rest.starts_with("iq") { "<q xmlns='u'/>" } else { "" };
            let name = rest.split(' ').next().unwrap();
            for (from, blocked) in [
                ("romeo@montague.net/home", true),
                ("nurse@capulet.com", true),
                ("capulet.com", false),
                ("juliet@capulet.com/chamber", false),
            ] {
                let verdict = verdict(inbound, &format!("<{rest} from='{from}' to='juliet@capulet.com'>{content}</{name}>"));
                assert_eq!(&verdict, if blocked { &expected } else { &Verdict::Pass }, "{rest} from {from}");
            }
        }
    }

    #[test]
    fn s3_3_each_kind_of_stanza_to_a_blocked_jid() {
        for (xml, expected) in [
            ("<message to='romeo@montague.net/home'/>", Verdict::Bounce(is_blocked())),
            ("<message type='error' to='romeo@montague.net/home'/>", Verdict::Drop),
            ("<presence to='romeo@montague.net'/>", Verdict::Bounce(is_blocked())),
            ("<presence type='subscribe' to='romeo@montague.net'/>", Verdict::Bounce(is_blocked())),
            ("<presence type='error' to='romeo@montague.net'/>", Verdict::Drop),
            ("<iq type='get' id='1' to='romeo@montague.net/home'><q xmlns='u'/></iq>", Verdict::Bounce(is_blocked())),
            ("<iq type='result' id='1' to='romeo@montague.net/home'/>", Verdict::Drop),
            ("<presence/>", Verdict::Pass),
            ("<message to='capulet.com'/>", Verdict::Pass),
            ("<message to='juliet@capulet.com/chamber'/>", Verdict::Pass),
            ("<message to='nurse@capulet.com'/>", Verdict::Bounce(is_blocked())),
        ] {
            assert_eq!(verdict(outbound, xml), expected, "{xml}");
        }
        let error = is_blocked();
        assert_eq!((error.condition, error.type_), (Condition::NotAcceptable, ErrorType::Cancel));
        assert_eq!(error.extra.as_deref(), Some(&b"<blocked xmlns='urn:xmpp:blocking:errors'/>"[..]));
    }
}
