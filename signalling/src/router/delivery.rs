//! Messages between an account's sessions and the store: delivered, kept, acknowledged, left over when a session is over, and delivered at last.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::Router;
use crate::account::{Account, Lost, Targets};
use crate::homes::Home;
use crate::jid::{BareJid, Jid};
use crate::mailbox::{Delivery, Outgoing, Unread};
use crate::message;
use crate::pipeline::{Copy, Effects, Kept, Moment, Verdict};
use crate::session::{Session, SessionId, SessionRef};
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, IqType, Kind, MessageType, Stanza};
use crate::store::{ArchiveId, Page, Record, Stored};
use crate::xml::Bindings;

/// Messages of one slice of what waits.
const SLICE_MAX: usize = 64;
/// How long the sessions that get what another did not read may take to read it.
const HEIRS_PATIENCE: Duration = Duration::from_secs(2);
/// Of their bytes, so many slices may be in a mailbox before a session is available: less than half of what it holds.
const SLICES_FIRST: usize = 3;

impl Router {
    /// Step 9 of a stanza's life: head and shared body go to each mailbox, and what is to be kept joins the queue of the store. All under the
    /// account's lock, so that the order is the same everywhere.
    pub(super) fn deliver(
        &self,
        account: &mut Account,
        targets: &mut Targets,
        stanza: &Stanza,
        effects: &mut Effects,
        moment: &Moment,
        unread: &mut SmallVec<[Unread; 1]>,
    ) -> Verdict {
        let kept = effects.kept.take();
        let copies = std::mem::take(&mut effects.copies);
        if let Targets::Sessions(chosen) = targets {
            let taken = self.send_to(account, chosen, stanza, copies, kept.as_ref(), unread);
            // Presence may get lost with the stream that should have carried it.
            if taken || chosen.is_empty() || !matches!(stanza.kind(), Kind::Message(_) | Kind::Iq(_)) {
                return Verdict::Pass;
            }
            // Their streams have ended or end now: as if they were gone already.
            let room = account.messages.waiting() < moment.offline_messages_max;
            match kept {
                Some(kept) if room => self.keep(account, stanza, Kept { waits: true, ..kept }, true),
                _ => return Verdict::Bounce(StanzaError::service_unavailable()),
            }
            *targets = Targets::Offline;
        } else if let Some(kept) = kept.filter(|kept| kept.waits) {
            self.keep(account, stanza, kept, true);
        }
        Verdict::Pass
    }

    /// Whether a session took it, or a copy: it is not to be delivered once more.
    fn send_to(
        &self,
        account: &mut Account,
        chosen: &[SessionId],
        stanza: &Stanza,
        copies: Vec<Copy>,
        kept: Option<&Kept>,
        unread: &mut SmallVec<[Unread; 1]>,
    ) -> bool {
        let is_chosen = |session: &&Session| chosen.contains(&session.id);
        let Some(kept) = kept else {
            let copied = send_copies(copies);
            let sent = account.sessions.iter().filter(is_chosen).map(|session| session.send_unread(stanza.clone()));
            return sent.fold(copied > 0, |any, (taken, waits)| {
                unread.extend(waits);
                any | taken
            });
        };
        let reached = |session: &&Session| is_chosen(session) || copies.iter().any(|copy| copy.session == session.id);
        let noted = account.sessions.iter().filter(reached).any(Session::acknowledges);
        if !kept.archived && !noted {
            // Nobody will say what became of it but the mailbox, which gives it back whole.
            return self.send_to(account, chosen, stanza, copies, None, unread);
        }
        let has_it = |session: &&Session| session.send_stored(stanza.clone(), kept.id);
        let taken = account.sessions.iter().filter(is_chosen).filter(has_it).count();
        let copied = |copy: Copy| copy.mailbox.push(Outgoing::Stanza(Delivery { stanza: copy.stanza, stored: Some(kept.id) }));
        let taken = taken + copies.into_iter().map(copied).filter(|taken| *taken).count();
        if taken > 0 {
            account.messages.sent(kept.id, taken, noted, kept.archived);
            self.record(account, stanza, kept, noted);
        }
        taken > 0
    }

    /// Keeps a message that waits.
    fn keep(&self, account: &mut Account, stanza: &Stanza, kept: Kept, undelivered: bool) {
        account.messages.stored(kept.id);
        self.record(account, stanza, &kept, undelivered);
    }

    fn record(&self, account: &Account, stanza: &Stanza, kept: &Kept, undelivered: bool) {
        let own = |jid: &&Jid| jid.bare_str() == account.jid.as_str();
        let Some(peer) = stanza.from().filter(|from| !own(from)).or(stanza.to()) else { return };
        let stanza = kept.stanza.clone().unwrap_or_else(|| stanza.to_bytes(Framing::Alone));
        let record = Record { id: kept.id, peer: peer.clone(), archived: kept.archived, undelivered, stanza };
        self.store().archive().keep(&account.jid, record);
    }

    /// XEP-0313 §6.1.1: what an account sent joins the queue of the store.
    pub(super) fn keep_sent(&self, account: &Account, stanza: &Stanza, kept: Option<Kept>) {
        if let Some(kept) = kept {
            self.record(account, stanza, &kept, false);
        }
    }

    /// The client of this session has these stored messages: it acknowledged them (XEP-0198 §4), or without stream management their bytes
    /// were handed to its socket.
    pub fn acknowledged(&self, session: &SessionRef, ids: &[ArchiveId]) {
        if ids.is_empty() {
            return;
        }
        session.home.with(|account| {
            let received = account.messages.acknowledged(ids);
            let archive = self.store().archive();
            archive.delivered(&account.jid, received.delivered);
            archive.forget(&account.jid, received.forgotten);
        });
    }

    /// What a session that is over did not get, in order. What is stored waits for a session, or goes to one that is there, unless another one
    /// has it; other messages go where RFC 6121 §8.5.3.2 sends them when the resource is not there; requests are answered.
    pub async fn left_over(&self, home: &Arc<Home>, left: Vec<Delivery>) {
        if left.is_empty() {
            return;
        }
        tracing::debug!(account = %home.jid, stanzas = left.len(), "left over");
        let stored: Vec<_> = left.iter().filter_map(|delivery| delivery.stored).collect();
        let heir = home.with(|account| {
            let lost = |id: &ArchiveId| account.messages.lost(*id) == Lost::WaitsUnnoted;
            let unnoted: Vec<_> = stored.into_iter().filter(lost).collect();
            self.store().archive().undelivered(&account.jid, unnoted);
            // What waits again may be older than what they were given since.
            account.sessions.iter_mut().for_each(|session| session.given = None);
            // One that hibernates may be over before its client comes back.
            let heirs = account.sessions.iter().filter(|session| session.takes_bare_messages());
            heirs.min_by_key(|own| own.hibernated.is_some()).map(|own| (own.id, own.jid.clone()))
        });
        let mut patience = HEIRS_PATIENCE;
        for stanza in left.into_iter().filter(|delivery| delivery.stored.is_none()).map(|delivery| delivery.stanza) {
            heirs_have_room(home, stanza.size_bytes(), &mut patience).await;
            match stanza.kind() {
                Kind::Iq(IqType::Get | IqType::Set) => Box::pin(self.bounce(&stanza, StanzaError::service_unavailable(), None)).await,
                Kind::Message(type_) if !home.with(|account| is_settled(account, type_, &stanza)) => {
                    Box::pin(self.route(stanza, None)).await
                }
                _ => {}
            }
        }
        if let Some((id, jid)) = heir {
            self.pay_messages(&SessionRef { jid, id, home: home.clone() }).await;
        }
    }

    /// XEP-0160 §2: delivers the next slice of what waits for an account to one of its sessions, and leaves a marker if there is more.
    pub(super) async fn pay_messages(&self, session: &SessionRef) {
        if self.pay_slice(session).await {
            self.owe_messages(session);
        }
    }

    /// The same for a session that is about to become available: as much as its mailbox can well take at once, so that it comes before what is
    /// new. The marker for the rest comes later, [`Router::owe_messages`].
    pub(super) async fn pay_messages_first(&self, session: &SessionRef) {
        let bytes_max = SLICES_FIRST * self.limits().archive_page_bytes;
        session.home.with(|account| {
            if let Some(own) = account.session(session.id).filter(|own| !own.is_available()) {
                own.given = None;
            }
        });
        let has_room = || session.home.with(|account| account.session(session.id).is_some_and(|own| own.mailbox.bytes() < bytes_max));
        while self.pay_slice(session).await && has_room() {}
    }

    /// One slice; whether it was one and there is more.
    ///
    /// Errors of the database are logged: the messages wait on.
    async fn pay_slice(&self, session: &SessionRef) -> bool {
        let (account, archive) = (&session.home.jid, self.store().archive());
        while let Some(next) = session.home.with(|account| next_waiting(account, session)) {
            let after = ArchiveId::from_i64(next.to_i64() - 1);
            let page = match archive.waiting(account, Some(after), SLICE_MAX, self.limits().archive_page_bytes).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%account, %error, "cannot read messages that wait");
                    return false;
                }
            };
            // A slice that is all on its way to other sessions is none.
            if self.hand_over(session, &page, next) > 0 {
                return session.home.with(|account| next_waiting(account, session)).is_some();
            }
        }
        false
    }

    /// Leaves a marker in the mailbox of a session if messages wait: its connection asks for them when it has written what came before.
    pub(super) fn owe_messages(&self, session: &SessionRef) {
        session.home.with(|account| {
            if next_waiting(account, session).is_some()
                && let Some(own) = account.session(session.id)
            {
                own.mailbox.push(Outgoing::Owed);
            }
        });
    }

    /// How many messages of a slice, read from this one on, went to the session. Only what waits now does: since the slice was read, some may
    /// have gone elsewhere or been acknowledged.
    fn hand_over(&self, session: &SessionRef, page: &Page, from: ArchiveId) -> usize {
        session.home.with(|account| {
            let Account { jid, sessions, messages, .. } = account;
            let Some(position) = sessions.iter().position(|own| own.id == session.id) else { return 0 };
            // It goes on behind what was read, whatever became of it.
            let last = page.messages.last().map_or(from, |message| message.id);
            sessions[position].given = Some(last.max(from));
            let delayed: Vec<_> = page
                .messages
                .iter()
                .filter(|message| messages.waits(message.id))
                .filter_map(|message| Some((message, delayed(jid, message)?)))
                .collect();
            let mut count = 0;
            for (message, stanza) in delayed {
                // XEP-0191 §3.3: what came before the block waits for its end.
                if stanza.from().is_some_and(|from| account.blocks(from)) {
                    continue;
                }
                if !account.sessions[position].send_stored(stanza, message.id) {
                    break; // its stream has ended, and what it took is left over
                }
                account.messages.taken(message.id, message.archived);
                count += 1;
            }
            count
        })
    }
}

/// What one session did not read, all at once, must not be too much for another that reads. Waits until each mailbox has room, as long as there is
/// patience: who does not read by then has no claim to more.
async fn heirs_have_room(home: &Home, size_bytes: usize, patience: &mut Duration) {
    let is_full = |session: &Session| session.takes_bare_messages() && !session.mailbox.has_room_for(size_bytes);
    while !patience.is_zero() && home.with(|account| account.sessions.iter().any(is_full)) {
        let look_again = Duration::from_millis(10).min(*patience);
        tokio::time::sleep(look_again).await;
        *patience -= look_again;
    }
}

/// The first message that waits and that a session has not been given.
fn next_waiting(account: &mut Account, session: &SessionRef) -> Option<ArchiveId> {
    let given = account.session(session.id)?.given;
    account.messages.next_waiting(given)
}

/// Whether somebody else has a message that is not stored, or nobody is to have it: RFC 6121 §8.5.3.2.1 then says nothing more about it.
fn is_settled(account: &Account, type_: MessageType, stanza: &Stanza) -> bool {
    let own = stanza.from().is_none_or(|from| from.bare_str() == account.jid.as_str());
    // What was said in a room is for who is there: whoever enters anew is shown it by the room.
    let ignored = matches!(type_, MessageType::Error | MessageType::Headline | MessageType::Groupchat);
    let to_all = stanza.to().is_none_or(|to| to.is_bare());
    // To the bare address it went to all who take it; to a full one as a carbon to those that want them (XEP-0280 §7).
    own || ignored || account.sessions.iter().any(|other| if to_all { other.takes_bare_messages() } else { other.carbons })
}

/// XEP-0160 §2 and XEP-0203: a stored message as it is delivered at last.
fn delayed(account: &BareJid, message: &Stored) -> Option<Stanza> {
    let mut stanza = match Stanza::parse(message.stanza.clone(), &Bindings::empty()) {
        Ok(stanza) => stanza,
        Err(error) => {
            tracing::error!(%account, id = %message.id, ?error, "a stored message cannot be read");
            return None;
        }
    };
    if message.archived {
        message::add_stanza_id(&mut stanza, account, message.id);
    }
    message::add_delay(&mut stanza, account.domain(), message.id.time());
    Some(stanza)
}

/// Copies that are not kept; how many were taken.
pub(super) fn send_copies(copies: Vec<Copy>) -> usize {
    copies.into_iter().map(|Copy { mailbox, stanza, .. }| mailbox.push(Outgoing::Stanza(stanza.into()))).filter(|taken| *taken).count()
}
