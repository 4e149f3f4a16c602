//! XEP-0045 §6: what services and rooms say of themselves, which rooms there are, and who is in them.

use std::sync::Arc;

use bytes::Bytes;

use super::context::Context;
use super::model::{Occupant, Role, Room};
use super::service::Muc;
use crate::capabilities::{Described, Info};
use crate::features::disco::{Item, Items, no_such_node, node};
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::ns;
use crate::rsm;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Rooms in one answer.
const ROOMS_MAX: usize = 200;
/// Occupants in one answer.
const OCCUPANTS_MAX: usize = 1_000;
/// §7.12.
const ROOMUSER_ITEM: &str = "x-roomuser-item";
/// §18.1.1: which extensions pass.
const TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";

/// What every room can do.
const FEATURES: &[&str] = &[
    ns::MUC,
    ns::MUC_ROOMCONFIG,
    ns::MUC_ROOMINFO,
    ns::MUC_STABLE_ID,
    ns::MUC_SELF_PING,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::RSM,
    ns::PING,
    ns::OCCUPANT_ID,
    ns::STANZA_ID,
    ns::VCARD,
    ns::MODERATION,
    ns::MODERATION_0,
    ns::RETRACTION,
];

impl Muc {
    pub(super) fn announce_disco(self: &Arc<Self>, table: &mut IqTable) {
        for namespace in [ns::DISCO_INFO, ns::DISCO_ITEMS] {
            table.feature(To::Muc, namespace);
        }
        table.get(To::Muc, (ns::DISCO_INFO, "query"), self, Self::service_info);
        table.get(To::Muc, (ns::DISCO_ITEMS, "query"), self, Self::service_items);
        table.get(To::Room, (ns::DISCO_INFO, "query"), self, Self::room_info);
        table.get(To::Room, (ns::DISCO_ITEMS, "query"), self, Self::room_items);
    }

    /// §6.2.
    async fn service_info(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        if node(&iq).is_some() {
            return Err(no_such_node());
        }
        let table = self.router.table();
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_INFO);
        for identity in table.identities(To::Muc) {
            xml.open("identity").attr("category", identity.category).attr("type", identity.kind).attr("name", identity.name).close();
        }
        table.features(To::Muc).for_each(|feature| write_feature(&mut xml, feature));
        xml.close();
        Ok(Reply::Payload(xml.finish()))
    }

    /// §6.3: the rooms that are public; to administrators of the server, all.
    async fn service_items(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        if node(&iq).is_some() {
            return Err(no_such_node());
        }
        let element = iq.element()?;
        let page = rsm::Request::of(element.root())?;
        let domain = iq.stanza.to().map(Jid::domain).unwrap_or_default();
        let is_admin = iq.stanza.from().is_some_and(|from| self.settings.hosts.is_admin(from));
        let found = match is_admin {
            true => self.store.list_all(domain, &page, ROOMS_MAX).await,
            false => self.store.list(domain, &page, ROOMS_MAX).await,
        };
        let found = found.map_err(self.router.internal("list rooms"))?;
        let ends = found.rooms.first().zip(found.rooms.last()).map(|(first, last)| (first.jid.to_string(), last.jid.to_string()));
        let partial = found.count > found.rooms.len();
        let answer = rsm::Answer { ends, index: found.index, count: Some(found.count) };
        let item = |room: crate::store::RoomEntry| {
            let name = if room.name.is_empty() { room.jid.local().map(str::to_owned) } else { Some(room.name) };
            Item { jid: room.jid.to_string(), node: None, name }
        };
        let items = Items {
            page: (partial || page != rsm::Request::default()).then_some(answer),
            items: found.rooms.into_iter().map(item).collect(),
        };
        Ok(Reply::Payload(items.write(None)))
    }

    /// §6.4, and the nodes of §7.12 and §18.1.1.
    async fn room_info(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let node = node(&iq);
        self.ask(&iq, |room, from, context| match node.as_deref() {
            None => Ok(info(room, from, context)),
            Some(ROOMUSER_ITEM) => Ok(room.roomuser_item(from)),
            Some(TRAFFIC) => Err(StanzaError::service_unavailable().with_text("everything passes")),
            Some(node) => of_commands(room, node, from, context),
        })
        .await
    }

    /// §6.5: who is there, where that is no secret; the commands of the room (XEP-0050).
    async fn room_items(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let node = node(&iq);
        let element = iq.element()?;
        let request = rsm::Request::of(element.root())?;
        self.ask(&iq, |room, from, context| {
            let items = match node.as_deref() {
                None => {
                    let open = room.shows_occupants_to(from, context);
                    let visible: Vec<_> = room.occupants.iter().filter(|occupant| open && room.shows(occupant, from, context)).collect();
                    let page = rsm::page(&visible, |occupant| occupant.nick(), &request, OCCUPANTS_MAX)?;
                    Items { items: page.entries.iter().map(|occupant| item(&occupant.jid)).collect(), page: page.answer }
                }
                Some(ns::COMMANDS) => {
                    let command = |(node, name): (&str, &str)| Item {
                        jid: room.lasting.jid.to_string(),
                        node: Some(node.to_owned()),
                        name: Some(name.to_owned()),
                    };
                    Items { items: room.hat_commands(from, context).into_iter().map(command).collect(), page: None }
                }
                Some(_) => return Err(no_such_node()),
            };
            Ok(items.write(node.as_deref()))
        })
        .await
    }

    /// Asks a room that is there and open, or whose owner asks.
    pub(super) async fn ask(
        self: &Arc<Self>,
        iq: &Iq,
        ask: impl FnOnce(&Room, &Jid, &Context<'_>) -> Result<Bytes, StanzaError>,
    ) -> Result<Reply, StanzaError> {
        let (Some(from), Some(to)) = (iq.stanza.from(), iq.stanza.to()) else { return Err(StanzaError::bad_request_without_text()) };
        let home = self.loaded(&to.to_bare()).await?;
        let context = self.context(from, None);
        let answer = home.look(|room| match room.exists_for(from, &context) {
            true => ask(room, from, &context),
            false => Err(no_such_room()),
        });
        answer.unwrap_or_else(|| Err(no_such_room())).map(Reply::Payload)
    }
}

impl Room {
    /// §6.5: whether somebody learns who is there: whoever is there, and others who may enter a public room, where its owner has not said otherwise.
    fn shows_occupants_to(&self, from: &Jid, context: &Context<'_>) -> bool {
        let config = &self.lasting.config;
        self.is_occupant(from) || context.administers || (config.public && config.public_occupants && self.is_open_to(from, context))
    }

    /// Whether one of them is among these: presence that only moderators get (`muc#roomconfig_presencebroadcast`) is no secret of discovery's either.
    fn shows(&self, occupant: &Occupant, from: &Jid, context: &Context<'_>) -> bool {
        self.is_seen(occupant.role) || occupant.account == from.bare_str() || self.power(from, context).1 == Role::Moderator
    }
}

/// §7.2.10 and §17.2: what is not there, or nobody may enter yet.
pub(super) fn no_such_room() -> StanzaError {
    StanzaError::item_not_found().with_text("there is no such room")
}

fn item(jid: &Jid) -> Item {
    Item { jid: jid.to_string(), node: None, name: None }
}

/// XEP-0050 §2.3: a command, or the node of all of them.
fn of_commands(room: &Room, node: &str, from: &Jid, context: &Context<'_>) -> Result<Bytes, StanzaError> {
    let commands = room.hat_commands(from, context);
    let (kind, name) = match commands.iter().find(|(known, _)| *known == node) {
        Some((_, name)) => ("command-node", *name),
        None if node == ns::COMMANDS && room.lasting.config.hats => ("command-list", ""),
        None => return Err(no_such_node()),
    };
    let identity = Described { category: "automation", kind, lang: "", name: name.into() };
    Ok(Info { identities: vec![identity], features: vec![ns::COMMANDS, ns::DATA_FORMS], forms: Vec::new() }.write(Some(node)))
}

fn write_feature(xml: &mut XmlWriter, feature: &str) {
    xml.open("feature").attr("var", feature).close();
}

/// §6.4, with §16.3 and §16.5.4.
fn info(room: &Room, from: &Jid, context: &Context<'_>) -> Bytes {
    let config = &room.lasting.config;
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::DISCO_INFO);
    xml.open("identity").attr("category", "conference").attr("type", "text").attr("name", room.title()).close();
    for feature in FEATURES.iter().copied().chain(room.features()) {
        write_feature(&mut xml, feature);
    }
    if config.archived {
        [ns::MAM, ns::MAM_EXTENDED, ns::TOMBSTONES].iter().for_each(|feature| write_feature(&mut xml, feature));
    }
    if config.allow_registration {
        [ns::REGISTER, ns::MUC_REGISTER].iter().for_each(|feature| write_feature(&mut xml, feature));
    }
    if config.allow_voice_requests {
        write_feature(&mut xml, ns::MUC_REQUEST);
    }
    if config.hats {
        [ns::HATS, ns::COMMANDS].iter().for_each(|feature| write_feature(&mut xml, feature));
    }
    room.write_info(&mut xml, from, context);
    xml.close();
    xml.finish()
}
