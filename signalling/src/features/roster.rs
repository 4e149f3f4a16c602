//! RFC 6121 §2: the roster, with its versions (§2.6, formerly XEP-0237).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::account::{Account, wire_bytes};
use crate::features::{presence, subscription::Change};
use crate::homes::Home;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::BareJid;
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::pubsub::interest;
use crate::random;
use crate::router::Router;
use crate::session::Session;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::store::{RosterItem, RosterUpdate, RosterVersion};
use crate::xml::{Node, XmlWriter};

/// Longest handle and group name, in bytes; the RFC leaves it to the server (§2.3.3).
const NAME_BYTES_MAX: usize = 1023;
/// Groups of one item.
const GROUPS_MAX: usize = 32;
/// About what a push takes beside its item.
const PUSH_BYTES: usize = 200;

/// Answers roster requests.
#[derive(Debug)]
pub struct Roster {
    router: Router,
}

impl Roster {
    /// §2.1.3 and following. Nobody reads or changes another's roster (§2.1.5).
    pub fn register(router: &Router, table: &mut IqTable) {
        let roster = Arc::new(Self { router: router.clone() });
        table.feature(To::Account, ns::ROSTER);
        table.feature(To::Server, ns::ROSTER);
        table.get(To::Account, (ns::ROSTER, "query"), &roster, Self::get);
        table.set(To::Account, (ns::ROSTER, "query"), &roster, Self::set);
    }

    /// §2.2, and §2.6.2 where the client says which version it has.
    async fn get(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let session = iq.session()?;
        let known = iq.payload().attr("ver").and_then(|version| RosterVersion::parse(&version));
        // Memory and database agree, and no push comes in between.
        let turn = session.home.turn().await;
        let changes = match known {
            Some(known) => self.changes(&session.home, known).await?,
            None => None,
        };
        session.home.with(|account| {
            let payload = if changes.is_none() { whole(account) } else { Bytes::new() };
            let version = account.roster_version;
            let updates = changes.unwrap_or_default().into_iter().map(|(number, update)| match update {
                RosterUpdate::Set(item) => push(RosterVersion { number, ..version }, &item),
                RosterUpdate::Removed(contact) => push_removal(RosterVersion { number, ..version }, &contact),
            });
            let updates: Vec<_> = updates.collect();
            if let Some(session) = account.session(session.id) {
                session.interested = true;
                // Here and not later: pushes that follow tell what has changed since.
                session.send(Stanza::iq_result(&iq.stanza, payload));
            }
            if let Some(session) = account.sessions.iter().find(|own| own.id == session.id) {
                for update in updates {
                    session.send(to_session(account, session, update));
                }
            }
        });
        drop(turn);
        Ok(Reply::Sent)
    }

    /// §2.6.3: what has changed since the version that the client knows; `None` where the whole roster is the better answer. The caller
    /// holds the account's turn.
    async fn changes(&self, home: &Home, known: RosterVersion) -> Result<Option<Vec<(u64, RosterUpdate)>>, StanzaError> {
        let (current, whole) = home.with(|account| (account.roster_version, account.roster_wire_bytes()));
        if known == current {
            return Ok(Some(Vec::new()));
        }
        if known.epoch != current.epoch || known.number > current.number {
            return Ok(None);
        }
        let changes = self.router.store().rosters().changes_since(&home.jid, known.number).await;
        let changes = changes.map_err(self.router.internal("load the changes of a roster"))?;
        let pushed = |(_, update): &(u64, RosterUpdate)| {
            PUSH_BYTES
                + match update {
                    RosterUpdate::Set(item) => wire_bytes(item),
                    RosterUpdate::Removed(contact) => contact.as_str().len(),
                }
        };
        Ok(changes.filter(|changes| changes.iter().map(pushed).sum::<usize>() <= whole + PUSH_BYTES))
    }

    /// §2.3, §2.4, §2.5.
    async fn set(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let element = iq.element()?;
        let mut items = element.root().children_named(ns::ROSTER, "item");
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(StanzaError::bad_request("a roster set has exactly one <item/>"));
        };
        let jid = item.attr("jid").ok_or_else(|| StanzaError::bad_request("a roster item needs a `jid`"))?;
        let contact = BareJid::parse(jid).map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()))?;
        if item.attr("subscription") == Some("remove") {
            return self.remove(&iq, &contact).await;
        }
        let (name, groups) = (handle(item)?, groups(item)?);
        let home = &iq.session()?.home;
        if contact == home.jid {
            return Err(StanzaError::not_allowed().with_text("an account is not a contact of its own"));
        }
        let turn = home.turn().await;
        let known = home.with(|account| account.roster.get(&contact).cloned());
        let groups_before = known.as_ref().map(|known| known.groups.clone());
        // §2.1.2.5: what the client says of the subscription is ignored.
        let item = RosterItem { name, groups, ..known.unwrap_or_else(|| RosterItem::new(contact.clone())) };
        if !home.with(|account| account.roster_has_room(&item, self.router.limits())) {
            return Err(StanzaError::resource_constraint().with_text("the roster is full"));
        }
        let version = self.router.store().rosters().set(&home.jid, &item).await.map_err(self.router.internal("store a roster item"))?;
        home.with(|account| {
            account.roster_version.number = version;
            account.roster.insert(contact, item.clone());
        });
        self.router.push_roster_item(home, &item);
        drop(turn);
        let before = groups_before.filter(|before| item.subscription.is_from() && item.groups.iter().any(|group| !before.contains(group)));
        if let Some(before) = before {
            interest::groups_changed(&self.router, &home.jid, &item.jid, before);
        }
        Ok(Reply::Empty)
    }

    /// §2.5.2: ends the subscriptions first, so that the contact learns of it, then removes the item.
    async fn remove(&self, iq: &Iq, contact: &BareJid) -> Result<Reply, StanzaError> {
        let home = &iq.session()?.home;
        let known = home.with(|account| account.roster.get(contact).cloned());
        let known = known.ok_or_else(|| StanzaError::item_not_found().with_text("there is no such contact"))?;
        let requested = home.with(|account| account.requests.contains_key(contact));
        if known.subscription.is_to() || known.ask {
            presence::change_subscription(&self.router, home, Change::Unsubscribe, contact, None).await?;
        }
        if known.subscription.is_from() || requested {
            presence::change_subscription(&self.router, home, Change::Unsubscribed, contact, None).await?;
        }
        let turn = home.turn().await;
        let removed = self.router.store().rosters().remove(&home.jid, contact).await;
        let version = removed.map_err(self.router.internal("remove a roster item"))?;
        home.with(|account| {
            account.roster_version.number = version;
            account.roster.remove(contact);
        });
        self.router.push_roster_removal(home, contact);
        drop(turn);
        Ok(Reply::Empty)
    }
}

/// Stage of `pipeline::OUTBOUND`, §2.3.3: another's roster is forbidden, whether there is such an account or not.
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, _: &mut Effects) -> Verdict {
    let others = || stanza.to().is_some_and(|to| to.as_str() != walk.account.jid.as_str());
    let is_roster = || stanza.payload().is_some_and(|payload| payload.is(ns::ROSTER, "query"));
    match stanza.kind() {
        Kind::Iq(IqType::Get | IqType::Set) if others() && is_roster() => {
            Verdict::Bounce(StanzaError::forbidden().with_text("a roster is its owner's"))
        }
        _ => Verdict::Pass,
    }
}

/// §2.1.4: the roster as a whole.
fn whole(account: &Account) -> Bytes {
    let mut xml = query(account.roster_version);
    account.roster.values().for_each(|item| write_item(&mut xml, item));
    xml.close();
    xml.finish()
}

/// §2.1.6: the payload of a push that tells of an item.
pub fn push(version: RosterVersion, item: &RosterItem) -> Bytes {
    let mut xml = query(version);
    write_item(&mut xml, item);
    xml.close();
    xml.finish()
}

/// §2.5.1: the payload of a push that tells of a removal.
pub fn push_removal(version: RosterVersion, contact: &BareJid) -> Bytes {
    let mut xml = query(version);
    xml.open("item").attr("jid", contact.as_str()).attr("subscription", "remove").close();
    xml.close();
    xml.finish()
}

/// §2.1.6: a push to one resource.
pub fn to_session(account: &Account, session: &Session, payload: Bytes) -> Stanza {
    Stanza::iq(IqType::Set, random::id()).with_from(account.jid.clone()).with_to(session.jid.clone()).with_content(payload)
}

/// §2.1.1, with the version also for clients that have not asked for one (§2.6.3).
fn query(version: RosterVersion) -> XmlWriter {
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::ROSTER).attr("ver", &version.to_string());
    xml
}

/// §2.1.2.
fn write_item(xml: &mut XmlWriter, item: &RosterItem) {
    xml.open("item").attr("jid", item.jid.as_str());
    if item.approved {
        xml.attr("approved", "true");
    }
    if item.ask {
        xml.attr("ask", "subscribe");
    }
    xml.attr_opt("name", item.name.as_deref());
    xml.attr("subscription", item.subscription.name());
    for group in &item.groups {
        xml.open("group").text(group).close();
    }
    xml.close();
}

/// §2.1.2.4 and §2.3.3.
fn handle(item: Node<'_>) -> Result<Option<String>, StanzaError> {
    match item.attr("name") {
        Some(name) if name.len() > NAME_BYTES_MAX => Err(StanzaError::not_acceptable().with_text("the name is too long")),
        name => Ok(name.filter(|name| !name.is_empty()).map(str::to_owned)),
    }
}

/// §2.1.2.6 and §2.3.3.
fn groups(item: Node<'_>) -> Result<Vec<String>, StanzaError> {
    let mut groups = BTreeSet::new();
    for group in item.children_named(ns::ROSTER, "group") {
        let name = group.text().into_owned();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(StanzaError::not_acceptable().with_text("a group's name is empty or too long"));
        }
        if !groups.insert(name) {
            return Err(StanzaError::bad_request("a group is named twice"));
        }
        if groups.len() > GROUPS_MAX {
            return Err(StanzaError::not_acceptable().with_text("too many groups"));
        }
    }
    Ok(groups.into_iter().collect())
}
