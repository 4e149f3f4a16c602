//! Lists: rooms for service discovery (§6.3), in the order of their addresses, and how many there are.

use std::sync::LazyLock;

use super::super::database::Row;
use super::super::listing::{Listed, Listing, number};
use super::{Rooms, StoreError, read_bare};
use crate::jid::BareJid;
use crate::rsm::{Place, Request};

/// A room in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomEntry {
    /// Its address.
    pub jid: BareJid,
    /// `muc#roomconfig_roomname`, which may be empty.
    pub name: String,
}

/// Some rooms, in the order of their addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomsPage {
    /// The rooms.
    pub rooms: Vec<RoomEntry>,
    /// The number of the first one among all.
    pub index: Option<usize>,
    /// How many there are.
    pub count: usize,
}

// An address may be too long for an index beside its domain; its first part is as good an order.
static LISTED: LazyLock<Listing> = LazyLock::new(|| rooms("rooms WHERE domain = $1 AND public = 1 AND locked = 0"));
static ALL: LazyLock<Listing> = LazyLock::new(|| rooms("rooms WHERE domain = $1"));
const HELD: &str = "SELECT COUNT(*) FROM rooms WHERE holder = $1";

fn rooms(rows: &str) -> Listing {
    Listing::new("local, jid, name", rows, "local")
}

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let lists: [&'static Listing; 2] = [&LISTED, &ALL];
    lists.into_iter().flat_map(Listing::statements).chain([HELD])
}

impl Rooms {
    /// A page of the rooms of a service that are public and open; at most `count_max`. It lies behind or before an address, whether there is a room
    /// or not.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, domain: &str, page: &Request, count_max: usize) -> Result<RoomsPage, StoreError> {
        self.page(&LISTED, domain, page, count_max).await
    }

    /// A page of all rooms of a service: for administrators.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_all(&self, domain: &str, page: &Request, count_max: usize) -> Result<RoomsPage, StoreError> {
        self.page(&ALL, domain, page, count_max).await
    }

    /// How many rooms a service has.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, domain: &str) -> Result<usize, StoreError> {
        ALL.count(&self.database, domain.into()).await
    }

    /// How many rooms count for an account: those that it has created.
    ///
    /// # Errors
    /// The database's.
    pub async fn created_by(&self, account: &BareJid) -> Result<usize, StoreError> {
        number(&self.database, HELD, &[account.as_str().into()]).await
    }

    async fn page(&self, listing: &'static Listing, domain: &str, page: &Request, count_max: usize) -> Result<RoomsPage, StoreError> {
        let local = |address: &String| address.split_once('@').map_or(address.as_str(), |(local, _)| local).to_owned();
        let place = match &page.place {
            Place::After(address) => Place::After(local(address)),
            Place::Before(address) => Place::Before(local(address)),
            other => other.clone(),
        };
        let page = Request { place, ..*page };
        let read = |row: &Row| Ok((row.text(0)?, RoomEntry { jid: read_bare(row, 1, "rooms.jid")?, name: row.text(2)? }));
        let Listed { entries: rooms, index, count } = listing.page(&self.database, || domain.into(), &page, count_max, read).await?;
        Ok(RoomsPage { rooms, index, count })
    }
}
