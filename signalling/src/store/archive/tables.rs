//! The two tables of messages, those of accounts and those of rooms, and the statements that read them: the same but for whose the messages are.

use std::sync::LazyLock;

use super::super::database::Value;
use super::read::Range;
use super::rows;
use crate::jid::{BareJid, Jid};

/// Ids looked up by one statement.
pub(super) const IDS: usize = 64;

/// Whose messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Those of an account.
    Account(&'a BareJid),
    /// Those of a room.
    Room(&'a BareJid),
}

impl<'a> From<&'a BareJid> for Whose<'a> {
    fn from(account: &'a BareJid) -> Self {
        Self::Account(account)
    }
}

/// Which messages of a range are meant, by who sent them or got them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter<'a> {
    All,
    /// Any resource of this address.
    Bare(&'a Jid),
    Full(&'a Jid),
    /// Those sent under a nickname; in rooms only.
    Nick(&'a str),
}

impl<'a> Whose<'a> {
    pub(super) fn jid(self) -> &'a BareJid {
        match self {
            Self::Account(jid) | Self::Room(jid) => jid,
        }
    }

    pub(super) fn statements(self) -> &'static Statements {
        match self {
            Self::Account(_) => &ACCOUNTS,
            Self::Room(_) => &ROOMS,
        }
    }

    /// In a room, addresses of occupants stand for nicknames, and its own for all.
    pub(super) fn filter(self, range: &Range) -> Filter<'_> {
        match (&range.with, self) {
            (None, _) => Filter::All,
            (Some(with), Self::Room(room)) if with.bare_str() == room.as_str() => with.resource().map_or(Filter::All, Filter::Nick),
            (Some(with), _) if with.is_bare() => Filter::Bare(with),
            (Some(with), _) => Filter::Full(with),
        }
    }
}

impl<'a> Filter<'a> {
    /// Which of the statements of a kind.
    fn index(self) -> usize {
        match self {
            Self::All => 0,
            Self::Bare(_) => 1,
            Self::Full(_) => 2,
            Self::Nick(_) => 3,
        }
    }

    /// What follows whose they are and both ends.
    pub(super) fn values(self) -> Vec<Value<'a>> {
        match self {
            Self::All => Vec::new(),
            Self::Bare(jid) => vec![rows::hash(jid.bare_str()).into(), jid.bare_str().into()],
            Self::Full(jid) => {
                vec![rows::hash(jid.bare_str()).into(), jid.bare_str().into(), jid.resource().unwrap_or_default().into()]
            }
            Self::Nick(nick) => vec![rows::hash(nick).into(), nick.into()],
        }
    }

    /// Whether a message of this other side and nickname is meant.
    pub(super) fn matches(self, peer: &str, resource: &str, nick: &str) -> bool {
        match self {
            Self::All => true,
            Self::Bare(jid) => jid.bare_str() == peer,
            Self::Full(jid) => jid.bare_str() == peer && jid.resource() == Some(resource),
            Self::Nick(wanted) => wanted == nick,
        }
    }
}

/// A table of messages.
struct Table {
    name: &'static str,
    /// What the first value says.
    whose: &'static str,
    /// What hides messages, as one more condition.
    shown: &'static str,
    /// The nickname, or what stands for it.
    nick: &'static str,
    has_nicks: bool,
    /// Of a message in a page.
    columns: &'static str,
}

/// Statements over one table. `$1`: whose; `$2` and `$3`: between which ids; then come the filter's values and the limit.
pub(super) struct Statements {
    forwards: Vec<String>,
    backwards: Vec<String>,
    count: Vec<String>,
    /// Id, address, resource and nickname of so many messages.
    pub(super) by_id: String,
    /// One message, with the columns of a page.
    pub(super) one: String,
    /// The ids of the first and the last message.
    pub(super) ends: String,
}

static ACCOUNTS: LazyLock<Statements> = LazyLock::new(|| {
    let (whose, shown) = ("account = $1", "AND archived = 1");
    Statements::new(&Table { name: "messages", whose, shown, nick: "''", has_nicks: false, columns: "id, stanza" })
});
static ROOMS: LazyLock<Statements> = LazyLock::new(|| {
    let whose = "room_id = (SELECT r.id FROM rooms r WHERE r.jid = $1)";
    let columns = "id, stanza, peer, resource";
    Statements::new(&Table { name: "room_messages", whose, shown: "", nick: "nick", has_nicks: true, columns })
});

impl Statements {
    fn new(table: &Table) -> Self {
        let Table { name, whose, shown, nick, columns, .. } = table;
        let ids: Vec<String> = (2..IDS + 2).map(|place| format!("${place}")).collect();
        let end = |order| format!("(SELECT id FROM {name} WHERE {whose} {shown} ORDER BY id {order} LIMIT 1)");
        Self {
            forwards: for_each_filter(table, columns, Some("ASC")),
            backwards: for_each_filter(table, columns, Some("DESC")),
            count: for_each_filter(table, "COUNT(*)", None),
            by_id: format!(
                "SELECT id, peer, resource, {nick} FROM {name} WHERE {whose} {shown} AND id IN ({}) ORDER BY id",
                ids.join(", ")
            ),
            one: format!("SELECT {columns} FROM {name} WHERE {whose} AND id = $2 {shown}"),
            ends: format!("SELECT {}, {}", end("ASC"), end("DESC")),
        }
    }

    /// Messages of a range in order.
    pub(super) fn page(&'static self, filter: Filter<'_>, backwards: bool) -> &'static str {
        &(if backwards { &self.backwards } else { &self.forwards })[filter.index()]
    }

    /// How many a range has.
    pub(super) fn count(&'static self, filter: Filter<'_>) -> &'static str {
        &self.count[filter.index()]
    }
}

/// `order` is that of ids; statements with a filter go along an index by it, which needs its bounds as pairs to be chosen.
fn for_each_filter(table: &Table, columns: &str, order: Option<&str>) -> Vec<String> {
    let Table { name, whose, shown, has_nicks, .. } = table;
    let end = |limit: usize, columns: &[&str]| match order {
        None => String::new(),
        Some(order) => {
            let columns: Vec<String> = columns.iter().map(|column| format!("{column} {order}")).collect();
            format!("ORDER BY {} LIMIT ${limit}", columns.join(", "))
        }
    };
    let by = |column: &str| format!("AND ({column}_hash, id) > ($4, $2) AND ({column}_hash, id) < ($4, $3) AND {column} = $5");
    let peer = by("peer");
    let mut all = vec![
        format!("SELECT {columns} FROM {name} WHERE {whose} AND id > $2 AND id < $3 {shown} {}", end(4, &["id"])),
        format!("SELECT {columns} FROM {name} WHERE {whose} {peer} {shown} {}", end(6, &["peer_hash", "id"])),
        format!("SELECT {columns} FROM {name} WHERE {whose} {peer} AND resource = $6 {shown} {}", end(7, &["peer_hash", "id"])),
    ];
    if *has_nicks {
        all.push(format!("SELECT {columns} FROM {name} WHERE {whose} {} {shown} {}", by("nick"), end(6, &["nick_hash", "id"])));
    }
    all
}

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let tables: [&'static Statements; 2] = [&ACCOUNTS, &ROOMS];
    tables.into_iter().flat_map(|table| {
        let lists = table.forwards.iter().chain(&table.backwards).chain(&table.count);
        lists.chain([&table.by_id, &table.one, &table.ends]).map(String::as_str)
    })
}
