//! XEP-0313: Message Archive Management, version 1.1, of accounts; XEP-0441: its preferences, version 0.2.
//!
//! The stages decide what is kept, requests read it. Archives of rooms are read by `muc/mam.rs`. Not done: archives of nodes.

mod preferences;
pub(crate) mod query;
mod read;

use std::sync::Arc;

use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::message::{self, Keeping};
use crate::ns;
use crate::pipeline::{Effects, Kept, Verdict, Walk};
use crate::router::Router;
use crate::session::Session;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{Framing, MessageType, Stanza};
use crate::store::{ArchiveId, Page};
#[cfg(any(test, fuzzing))]
use crate::{
    store::Policy,
    xml::{Bindings, Element, Node},
};

use query::Query;
pub(crate) use read::{metadata, page, result, results};

/// Answers requests to the archive.
#[derive(Debug)]
pub struct Mam {
    router: Router,
}

impl Mam {
    /// §4, §5, §7. `To::Account` is the only address: nobody reads another's archive (§8.1).
    pub fn register(router: &Router, table: &mut IqTable) {
        let mam = Arc::new(Self { router: router.clone() });
        for feature in [ns::MAM, ns::MAM_EXTENDED, ns::MAM_GROUPCHAT_FIELD, ns::RSM, ns::RETRACTION] {
            table.feature(To::Account, feature);
        }
        table.get(To::Account, (ns::MAM, "query"), &mam, Self::form);
        table.set(To::Account, (ns::MAM, "query"), &mam, Self::query);
        table.get(To::Account, (ns::MAM, "metadata"), &mam, Self::metadata);
        table.get(To::Account, (ns::MAM, "prefs"), &mam, Self::preferences);
        table.set(To::Account, (ns::MAM, "prefs"), &mam, Self::set_preferences);
    }

    /// §4.1.5.
    async fn form(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        iq.session()?;
        Ok(Reply::Payload(query::form()))
    }

    /// §4: the results, then the answer.
    async fn query(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let session = iq.session()?;
        let account = &session.home.jid;
        let query = Query::read(iq.element()?.root(), self.router.limits().archive_page)?;
        let waiting = session.home.with(|account| account.session(session.id).map(|own| own.mailbox.bytes()));
        let Some(waiting) = waiting else { return Ok(Reply::Sent) };
        let (page, fin) = read::page(&self.router, account, &query, waiting).await?;
        let archive = self.router.store().archive();
        let seen = self.shown(&iq, &page).await?;
        session.home.with(|account| {
            let Some(own) = account.session(session.id) else { return };
            send_results(own, &query, &page);
            own.send(Stanza::iq_result(&iq.stanza, fin));
            let seen = account.messages.seen(seen);
            archive.delivered(&account.jid, seen);
        });
        Ok(Reply::Sent)
    }

    /// §6.1.1: of a page that a client reads before it is available, what waits for delivery need not be delivered again.
    async fn shown(&self, iq: &Iq, page: &Page) -> Result<Vec<ArchiveId>, StanzaError> {
        let session = iq.session()?;
        let before_presence = session
            .home
            .with(|account| account.messages.waiting() > 0 && account.session(session.id).is_some_and(|session| !session.is_available()));
        let (Some(first), Some(last), true) = (page.messages.first(), page.messages.last(), before_presence) else {
            return Ok(Vec::new());
        };
        let archive = self.router.store().archive();
        let waiting = archive.undelivered_between(&session.home.jid, first.id, last.id).await;
        let mut waiting = waiting.map_err(self.router.internal("look for messages that wait"))?;
        waiting.retain(|id| page.messages.binary_search_by_key(id, |message| message.id).is_ok());
        Ok(waiting)
    }

    /// §5.
    async fn metadata(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let account = &iq.session()?.home.jid;
        Ok(Reply::Payload(read::metadata(&self.router, account).await?))
    }

    /// XEP-0441 §2.1.
    async fn preferences(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let policy = self.router.store().archive().policy();
        let payload = iq.session()?.home.with(|account| preferences::write(&account.messages.preferences, policy));
        Ok(Reply::Payload(payload))
    }

    /// XEP-0441 §2.1.
    async fn set_preferences(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let home = &iq.session()?.home;
        let wanted = preferences::read(iq.element()?.root())?;
        let archive = self.router.store().archive();
        let turn = home.turn().await;
        archive.set_preferences(&home.jid, &wanted).await.map_err(self.router.internal("store archive preferences"))?;
        let payload = preferences::write(&wanted, archive.policy());
        home.with(|account| account.messages.preferences = wanted);
        drop(turn);
        Ok(Reply::Payload(payload))
    }
}

/// For `features/fuzz.rs`: reads an element as a query and as preferences, which must come back as they were written.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(element: Node<'_>) {
    if let Ok(query) = Query::read(element, 50) {
        // Refusals are fine, panics are not.
        drop((query.range(), query.named(), query.whole(), query.fin(&Page::default(), Some(0))));
    }
    if let Ok(read) = preferences::read(element) {
        let written = preferences::write(&read, Policy::Always);
        let again = Element::parse(&written, &Bindings::empty()).expect("what is written is valid");
        assert_eq!(preferences::read(again.root()), Ok(read));
    }
}

/// §4.2. The first result that finds the mailbox closed is the last.
fn send_results(session: &Session, query: &Query, page: &Page) {
    let result =
        |content| Stanza::message(MessageType::Normal).with_from(session.jid.to_bare()).with_to(session.jid.clone()).with_content(content);
    if !read::results(query, page).all(|content| session.send(result(content))) {
        tracing::debug!(jid = %session.jid, "an archive page found no reader");
    }
}

/// Stage of `pipeline::OUTBOUND`, §6.1.1: what an account sends goes into its archive. A message to itself is kept as it comes in.
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    let Some(to) = stanza.to().filter(|to| to.bare_str() != walk.account.jid.as_str()) else { return Verdict::Pass };
    if !archives(walk, to) || !Keeping::of(stanza).archive {
        return Verdict::Pass;
    }
    if !walk.moment.archive_has_room {
        return Verdict::Bounce(no_room());
    }
    let stanza = stanza.to_bytes(Framing::Alone);
    effects.kept = Some(Kept { id: next_id(walk), archived: true, waits: false, stanza: Some(stanza) });
    Verdict::Pass
}

/// Stage of `pipeline::INBOUND`, §3.5 and §6.1.1: what an account gets goes into its archive, and says so. What the archive does not want may
/// still have to be kept for delivery.
pub fn inbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    let keeping = Keeping::of(stanza);
    if !keeping.offline || !walk.targets.are_somebody() {
        return Verdict::Pass;
    }
    let peer = peer(walk, stanza);
    let archived = keeping.archive && peer.is_some_and(|peer| archives(walk, peer));
    if !walk.moment.archive_has_room {
        return if archived { Verdict::Bounce(no_room()) } else { Verdict::Pass };
    }
    let id = next_id(walk);
    let alone = archived.then(|| stanza.to_bytes(Framing::Alone));
    if archived {
        message::add_stanza_id(stanza, &walk.account.jid, id);
    }
    effects.kept = Some(Kept { id, archived, waits: false, stanza: alone });
    Verdict::Pass
}

/// XEP-0441 §2.3.3: the sender. Of a message to itself, the account it went to (§4.1.1).
fn peer<'s>(walk: &Walk<'_>, stanza: &'s Stanza) -> Option<&'s Jid> {
    let own = |jid: &&Jid| jid.bare_str() == walk.account.jid.as_str();
    stanza.from().filter(|from| !own(from)).or(stanza.to())
}

fn archives(walk: &Walk<'_>, peer: &Jid) -> bool {
    let in_roster = |bare: &str| walk.account.roster.contains_key(bare);
    walk.account.messages.preferences.archives(peer, walk.moment.archive_policy, in_roster)
}

fn next_id(walk: &Walk<'_>) -> ArchiveId {
    walk.account.messages.next_id(walk.moment.now, (walk.moment.random)())
}

/// The database does not keep up: better an error than a message that is lost.
fn no_room() -> StanzaError {
    StanzaError::new(Condition::InternalServerError, ErrorType::Wait).with_text("the archive does not keep up, try again later")
}
