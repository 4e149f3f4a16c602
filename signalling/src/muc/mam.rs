//! XEP-0313 §3.3.2 and §6.1.2: the archives of rooms. Who may enter may read; who may see real addresses sees them there, too.

use std::sync::Arc;

use super::config::Whois;
use super::context::Context;
use super::disco::no_such_room;
use super::homes;
use super::model::{Affiliation, Role, Room};
use super::service::Muc;
use crate::features::mam::{self, query, query::Query};
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, MessageType, Stanza};
use crate::store::{Page, Stored, Whose};
use crate::xml::XmlWriter;

/// What somebody may see of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    /// Who has sent what.
    sees_real: bool,
}

impl Room {
    /// §6.1.2: "A MUC archive MUST check that the user requesting the archive has the right to enter it at the time of the query".
    fn archive_access(&self, from: &Jid, context: &Context<'_>) -> Result<Access, StanzaError> {
        let config = &self.lasting.config;
        let (affiliation, role) = self.power(from, context);
        if !self.exists_for(from, context) {
            return Err(no_such_room());
        }
        let is_member = affiliation >= Affiliation::Member;
        let is_kept_out = (config.members_only || config.password.is_some()) && !is_member && !self.is_occupant(from);
        if affiliation == Affiliation::Outcast || is_kept_out {
            return Err(StanzaError::forbidden().with_text("only who may enter the room may read its archive"));
        }
        if !config.archived {
            return Err(StanzaError::service_unavailable().with_text("nothing is kept of what is said in this room"));
        }
        let sees_real = config.whois == Whois::Anyone || role == Role::Moderator || affiliation >= Affiliation::Admin;
        Ok(Access { sees_real })
    }
}

impl Muc {
    pub(super) fn announce_archives(self: &Arc<Self>, table: &mut IqTable) {
        table.get(To::Room, (ns::MAM, "query"), self, Self::archive_form);
        table.set(To::Room, (ns::MAM, "query"), self, Self::query);
        table.get(To::Room, (ns::MAM, "metadata"), self, Self::archive_ends);
    }

    /// §4.1.5.
    async fn archive_form(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        self.archive_of(&iq).await?;
        Ok(Reply::Payload(query::form()))
    }

    /// §5.
    async fn archive_ends(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let (room, _) = self.archive_of(&iq).await?;
        Ok(Reply::Payload(mam::metadata(&self.router, Whose::Room(&room)).await?))
    }

    /// §4: the results, then the answer.
    async fn query(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let (room, access) = self.archive_of(&iq).await?;
        let query = Query::read(iq.element()?.root(), self.router.limits().archive_page)?;
        if !access.sees_real && query.with().is_some_and(|with| with.bare_str() != room.as_str()) {
            return Err(StanzaError::forbidden().with_text("who has sent what is not for you to see: ask by nickname"));
        }
        let session = iq.session.as_ref();
        let waiting = session.and_then(|session| session.home.with(|account| account.session(session.id).map(|own| own.mailbox.bytes())));
        let (page, fin) = mam::page(&self.router, Whose::Room(&room), &query, waiting.unwrap_or_default()).await?;
        let Some(from) = iq.stanza.from() else { return Ok(Reply::Sent) };
        let to = |content| Stanza::message(MessageType::Normal).with_from(&room).with_to(from.clone()).with_content(content);
        let mut stanzas: Vec<_> = match access.sees_real {
            true => with_senders(&room, &query, &page).into_iter().map(to).collect(),
            false => mam::results(&query, &page).map(to).collect(),
        };
        stanzas.push(Stanza::iq_result(&iq.stanza, fin));
        match session {
            // All of it behind one another, whatever comes meanwhile.
            Some(session) => session.home.with(|account| {
                if let Some(own) = account.session(session.id) {
                    // The first that finds the mailbox closed is the last.
                    if !stanzas.into_iter().all(|stanza| own.send(stanza)) {
                        tracing::debug!(jid = %session.jid, "a page of a room's archive found no reader");
                    }
                }
            }),
            None => self.router.route_all(stanzas).await,
        }
        Ok(Reply::Sent)
    }

    async fn archive_of(&self, iq: &Iq) -> Result<(BareJid, Access), StanzaError> {
        let (Some(from), Some(to)) = (iq.stanza.from(), iq.stanza.to()) else { return Err(StanzaError::bad_request_without_text()) };
        let home = self.loaded(&to.to_bare()).await?;
        let context = self.context(from, None);
        let access = home.look(|room| room.archive_access(from, &context)).unwrap_or_else(|| Err(no_such_room()))?;
        Ok((home.jid.clone(), access))
    }
}

/// Example 27: each message says who has sent it, for those who may see that.
fn with_senders(room: &BareJid, query: &Query, page: &Page) -> Vec<bytes::Bytes> {
    let mut contents: Vec<_> = page.messages.iter().map(|message| mam::result(query, message, &with_sender(room, message))).collect();
    if query.flip {
        contents.reverse();
    }
    contents
}

fn with_sender(room: &BareJid, message: &Stored) -> bytes::Bytes {
    let Some(said) = homes::said(room, message.clone()).filter(|said| said.real != *room) else { return message.stanza.clone() };
    let mut xml = XmlWriter::new();
    xml.open("x").ns(ns::MUC_USER).open("item").attr("jid", said.real.as_str()).close().close();
    said.stanza.with_child(&xml.finish()).to_bytes(Framing::Alone)
}
