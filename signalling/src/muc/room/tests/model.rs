//! Whatever people do in whatever order: nobody is shown twice, nobody stays a ghost, and all agree on who is there. Every session is a client that
//! knows nothing but what it reads.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::jid::Jid;
use crate::muc::Why;
use crate::muc::config::Whois;
use crate::muc::fixtures::{Scene, bare, jid, parse, sent};
use crate::muc::model::{Affiliation, Occupant, Role, Room};
use crate::muc::outcome::Outcome;
use crate::ns;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};

const ACCOUNTS: [&str; 5] = ["crone1", "hecate", "hag66", "wiccarocks", "romeo@montague.lit"];
const RESOURCES: [&str; 3] = ["a", "b", "c"];
const NICKS: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    /// Presence with `<x/>`, whether there already or not.
    Enter(usize, usize, u8),
    /// Presence without: other presence, another nickname, or a stranger.
    Say(usize, usize, u8),
    Leave(usize),
    /// Something comes back from a session: it is not there any more, or does not like it.
    Bounce(usize, bool),
    Message(usize),
    Private(usize, usize),
    Affiliate(usize, Affiliation),
    BanDomain(bool),
    Role(usize, Role),
    /// Whose presence everyone sees: visitors', participants'.
    Broadcast(bool, bool),
    MembersOnly(bool),
    Moderated(bool),
    /// An owner sends the form: who sees real JIDs, and the four above.
    Configure([bool; 5]),
    /// An orderly stop.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let session = || 0..ACCOUNTS.len() * RESOURCES.len();
    let nick = || 0..NICKS.len();
    let role = prop_oneof![Just(Role::None), Just(Role::Visitor), Just(Role::Participant), Just(Role::Moderator)];
    let affiliation = prop::sample::select(Affiliation::ALL);
    prop_oneof![
        8 => (session(), nick(), 0..4u8).prop_map(|(session, nick, said)| Step::Enter(session, nick, said)),
        6 => (session(), nick(), 0..4u8).prop_map(|(session, nick, said)| Step::Say(session, nick, said)),
        3 => session().prop_map(Step::Leave),
        2 => (session(), any::<bool>()).prop_map(|(session, gone)| Step::Bounce(session, gone)),
        2 => session().prop_map(Step::Message),
        1 => (session(), nick()).prop_map(|(session, nick)| Step::Private(session, nick)),
        3 => (0..ACCOUNTS.len(), affiliation).prop_map(|(account, to)| Step::Affiliate(account, to)),
        1 => any::<bool>().prop_map(Step::BanDomain),
        3 => (nick(), role).prop_map(|(nick, to)| Step::Role(nick, to)),
        1 => any::<(bool, bool)>().prop_map(|(visitors, participants)| Step::Broadcast(visitors, participants)),
        1 => any::<bool>().prop_map(Step::MembersOnly),
        1 => any::<bool>().prop_map(Step::Moderated),
        1 => any::<[bool; 5]>().prop_map(Step::Configure),
        1 => Just(Step::Restart),
    ]
}

/// An occupant as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    affiliation: String,
    role: String,
    jid: Option<String>,
    said: Vec<String>,
}

/// What one session knows, from what it has read.
#[derive(Debug, Clone, Default, PartialEq)]
struct Client {
    me: Option<String>,
    /// It was a moderator in this visit, or everyone saw real JIDs, and it has not forgotten those that it was shown.
    knows_jids: bool,
    /// Everyone sees them since it is there: those who say nothing are shown as before.
    may_lack_jids: bool,
    there: BTreeMap<String, Seen>,
}

impl Client {
    fn read(&mut self, stanza: &Stanza) {
        let Kind::Presence(type_) = stanza.kind() else { return };
        let nick = stanza.from().and_then(Jid::resource).expect("presence is an occupant's").to_owned();
        let x = stanza.child(ns::MUC_USER, "x").expect("§17.3, rule 8").element().unwrap();
        let codes: Vec<&str> = x.root().children_named(ns::MUC_USER, "status").filter_map(|status| status.attr("code")).collect();
        let item = x.root().child(ns::MUC_USER, "item").expect("§17.3, rule 8");
        let attr = |name| item.attr(name).map(str::to_owned);
        let (is_own, renamed) = (codes.contains(&"110"), codes.contains(&"303"));
        match type_ {
            PresenceType::Available => {
                if is_own {
                    assert!(self.me.as_ref().is_none_or(|me| *me == nick), "one is one: {stanza:?}");
                    self.me = Some(nick.clone());
                    self.knows_jids |= item.attr("role") == Some("moderator");
                } else {
                    assert_ne!(self.me.as_ref(), Some(&nick), "nobody else is shown under one's own nickname: {stanza:?}");
                }
                let said = stanza.children().filter(|child| child.ns() == ns::CLIENT).map(|child| format!("{child:?}")).collect();
                let affiliation = attr("affiliation").expect("there is an affiliation");
                let role = attr("role").expect("there is a role");
                self.there.insert(nick, Seen { affiliation, role, jid: attr("jid"), said });
            }
            PresenceType::Unavailable if is_own && renamed => {
                assert_eq!(self.me.take(), Some(nick.clone()));
                self.there.remove(&nick);
            }
            // A stranger is told so, too.
            PresenceType::Unavailable if is_own => *self = Self::default(),
            PresenceType::Unavailable => {
                assert_ne!(self.me.as_ref(), Some(&nick), "whoever is removed is told that it is itself: {stanza:?}");
                assert!(self.there.remove(&nick).is_some(), "only who was seen goes: {stanza:?}");
                if renamed {
                    assert!(!self.there.contains_key(&attr("nick").expect("§7.6")), "nobody takes a nickname that is shown: {stanza:?}");
                }
            }
            _ => panic!("{stanza:?}"),
        }
    }
}

struct World {
    scene: Scene,
    clients: BTreeMap<String, Client>,
}

fn session(number: usize) -> String {
    format!("{}/{}", ACCOUNTS[number / RESOURCES.len()], RESOURCES[number % RESOURCES.len()])
}

impl World {
    fn deliver(&mut self, out: &Outcome) {
        for stanza in sent(out) {
            let to = stanza.to().expect("everything has a recipient");
            if let Some(client) = self.clients.get_mut(to.as_str()) {
                client.read(&stanza);
            } else {
                // §18.1, rule 2: messages to accounts that are not there.
                assert!(to.is_bare() && stanza.kind() == Kind::Message(MessageType::Normal), "{stanza:?}");
            }
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Room, &crate::muc::context::Context<'_>, &mut Outcome)) {
        let mut lasting = self.scene.room.lasting.clone();
        let ((), out) = self.scene.act(act);
        out.changes.iter().for_each(|change| change.clone().apply(&mut lasting));
        assert_eq!(lasting, self.scene.room.lasting, "what is stored is what is in memory");
        self.deliver(&out);
    }

    /// A stanza from a session; refusals are fine, and change nothing ([`Scene::handle`]).
    fn send(&mut self, stanza: &Stanza) -> bool {
        match self.scene.handle(stanza) {
            Ok(out) => {
                check_order(stanza, &out);
                self.deliver(&out);
                true
            }
            Err(_) => false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Enter(who, nick, said) => {
                let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
                let stanza =
                    parse(&format!("<presence from='{}' to='coven/{}'>{}{x}</presence>", session(*who), NICKS[*nick], said_as(*said)));
                // Who enters where it is already has lost what it knew.
                let client = self.clients.get_mut(jid(&session(*who)).as_str()).unwrap();
                let same = client.me.as_deref() == Some(NICKS[*nick]);
                let known = std::mem::take(client);
                if !same {
                    *client = known;
                    self.send(&stanza);
                } else if !self.send(&stanza) {
                    *self.clients.get_mut(jid(&session(*who)).as_str()).unwrap() = known;
                }
            }
            Step::Say(who, nick, said) => {
                let stanza = format!("<presence from='{}' to='coven/{}'>{}</presence>", session(*who), NICKS[*nick], said_as(*said));
                self.send(&parse(&stanza));
            }
            Step::Leave(who) => {
                assert!(self.send(&parse(&format!("<presence from='{}' to='coven/any' type='unavailable'/>", session(*who)))));
            }
            Step::Bounce(who, gone) => {
                let condition = if *gone { "recipient-unavailable" } else { "not-acceptable" };
                assert!(self.send(&parse(&format!(
                    "<message from='{}' to='coven/first' type='error'><error type='wait'>\
                     <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
                    session(*who)
                ))));
            }
            Step::Message(who) => {
                let is_there = self.scene.room.occupants.of(&jid(&session(*who))).is_some_and(|occupant| occupant.role > Role::Visitor);
                let message = format!("<message from='{}' to='coven' type='groupchat'><body>hi</body></message>", session(*who));
                assert_eq!(self.send(&parse(&message)), is_there);
            }
            Step::Private(who, nick) => {
                let is_there = self.scene.room.is_occupant(&jid(&session(*who))) && self.scene.room.occupant(NICKS[*nick]).is_some();
                let message =
                    format!("<message from='{}' to='coven/{}' type='chat'><body>hi</body></message>", session(*who), NICKS[*nick]);
                assert_eq!(self.send(&parse(&message)), is_there);
            }
            Step::Affiliate(account, to) => {
                self.act(|room, context, out| room.set_affiliation(&bare(ACCOUNTS[*account]), *to, &Why::default(), context, out));
            }
            Step::BanDomain(ban) => {
                let to = if *ban { Affiliation::Outcast } else { Affiliation::None };
                self.act(|room, context, out| room.set_affiliation(&bare("montague.lit"), to, &Why::default(), context, out));
            }
            Step::Role(nick, to) => self.act(|room, _, out| room.set_role(NICKS[*nick], *to, &Why::default(), out)),
            Step::Broadcast(visitors, participants) => self.act(|room, context, out| {
                let mut config = room.lasting.config.clone();
                let before = config.broadcast.clone();
                config.broadcast = [Role::Moderator].into();
                config.broadcast.extend(visitors.then_some(Role::Visitor));
                config.broadcast.extend(participants.then_some(Role::Participant));
                room.lasting.change(crate::muc::change::Change::Configure(Box::new(config)), out);
                room.configured(&before, context, out);
            }),
            Step::MembersOnly(members_only) => self.scene.room.lasting.config.members_only = *members_only,
            Step::Moderated(moderated) => self.scene.room.lasting.config.moderated = *moderated,
            Step::Configure(to) => self.configure(*to),
            Step::Restart => {
                let mut room = Room::of(self.scene.room.lasting.clone());
                (room.history, room.last_id) = (self.scene.room.history.clone(), self.scene.room.last_id);
                let saved: Vec<_> = self.scene.room.saved().collect();
                // Who lost its membership by a setting of its own may not come back: its session ends with that.
                let gone: Vec<_> = saved.iter().filter(|seat| !room.restore(seat, false)).map(|seat| seat.real.clone()).collect();
                if gone.is_empty() {
                    assert_eq!(room, self.scene.room);
                    self.scene.room = room;
                }
            }
        }
        self.check();
    }

    /// §10.2: the form, by whoever is an owner then. Who sees what of whom is as if it had been so from the beginning, but for real JIDs.
    fn configure(&mut self, [open, members_only, moderated, visitors, participants]: [bool; 5]) {
        let value = |var: &str, values: &[&str]| {
            let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
            format!("<field var='{var}'>{values}</field>")
        };
        let flag = |var: &str, on: bool| value(var, &[if on { "1" } else { "0" }]);
        let mut broadcast = vec!["moderator"];
        broadcast.extend(participants.then_some("participant"));
        broadcast.extend(visitors.then_some("visitor"));
        let fields = [
            value("FORM_TYPE", &["http://jabber.org/protocol/muc#roomconfig"]),
            value("muc#roomconfig_whois", &[if open { "anyone" } else { "moderators" }]),
            flag("muc#roomconfig_membersonly", members_only),
            flag("muc#roomconfig_moderatedroom", moderated),
            value("muc#roomconfig_presencebroadcast", &broadcast),
        ];
        let form = format!("<x xmlns='jabber:x:data' type='submit'>{}</x>", fields.concat());
        let was_open = self.scene.room.is_open();
        let owner = self.scene.room.lasting.affiliations.iter().find(|(_, entry)| entry.affiliation == Affiliation::Owner);
        let Some(owner) = owner.map(|(account, _)| account.clone()) else { return };
        let request = format!(
            "<iq type='set' id='c' from='{owner}/a' to='coven'><query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query></iq>"
        );
        assert!(self.send(&parse(&request)), "an owner may");
        assert_eq!(self.scene.room.is_open(), open);
        for client in self.clients.values_mut().filter(|client| client.me.is_some()) {
            client.may_lack_jids |= open && !was_open;
            client.knows_jids |= was_open;
        }
    }

    /// Every client agrees with the room.
    fn check(&self) {
        let room = &self.scene.room;
        let mut sessions = 0;
        for occupant in room.occupants.iter() {
            assert!(!occupant.seats.is_empty());
            sessions += occupant.seats.len();
            for seat in &occupant.seats {
                assert_eq!(room.occupants.of(&seat.jid), Some(occupant), "the index by JID is true");
                assert!(
                    room.occupants.of_account(occupant.account.as_str()).any(|found| found == occupant),
                    "the index by account is true"
                );
                assert_eq!(seat.jid.to_bare(), occupant.account);
            }
        }
        assert_eq!(sessions, room.occupants.sessions());
        let accounts: std::collections::BTreeSet<&str> = room.occupants.iter().map(|occupant| occupant.account.as_str()).collect();
        let indexed: usize = accounts.iter().map(|account| room.occupants.of_account(account).count()).sum();
        assert_eq!(indexed, room.occupants.len(), "nobody is found by an account who is not there");
        let bytes: usize = room.occupants.iter().flat_map(|occupant| occupant.seats.iter().map(|seat| seat.bytes(&occupant.jid))).sum();
        assert_eq!(bytes, room.occupants.presence_bytes());
        for (real, client) in &self.clients {
            let expected = match room.occupants.of(&jid(real)) {
                None => Client::default(),
                Some(own) => {
                    let sees = |other: &Occupant| other.jid == own.jid || own.role == Role::Moderator || room.is_seen(other.role);
                    let there = room.occupants.iter().filter(|other| sees(other));
                    let there = there.map(|other| (other.nick().to_owned(), as_seen(room, other, own, real))).collect();
                    Client { me: Some(own.nick().to_owned()), there, ..client.clone() }
                }
            };
            let (mut client, mut expected) = (client.clone(), expected);
            for (nick, expected) in &mut expected.there {
                let Some(seen) = client.there.get_mut(nick) else { continue };
                match (&seen.jid, &expected.jid) {
                    (Some(_), None) if client.knows_jids => seen.jid = None,
                    (None, Some(_)) if client.may_lack_jids => expected.jid = None,
                    _ => {}
                }
            }
            assert_eq!(client, expected, "{real}");
        }
    }
}

fn as_seen(room: &Room, other: &Occupant, own: &Occupant, real: &str) -> Seen {
    let jid = match other.jid == own.jid {
        true => Some(real.to_owned()),
        false if own.role == Role::Moderator || room.is_open() => Some(other.seats[0].jid.to_string()),
        false => None,
    };
    let hidden = other.role == Role::Visitor && !room.lasting.config.allow_visitor_status;
    let said = other.seats[0].presence.children().filter(|child| child.ns() == ns::CLIENT && !(hidden && child.name() == "status"));
    Seen {
        affiliation: other.affiliation.name().to_owned(),
        role: other.role.name().to_owned(),
        jid,
        said: said.map(|child| format!("{child:?}")).collect(),
    }
}

fn said_as(said: u8) -> &'static str {
    ["", "<show>xa</show>", "<status>gone</status>", "<muji xmlns='urn:xmpp:jingle:muji:0'/>"][usize::from(said)]
}

/// §7.1: others, oneself, history, subject.
fn check_order(stanza: &Stanza, out: &Outcome) {
    if stanza.child(ns::MUC, "x").is_none() {
        return;
    }
    let own: Vec<Stanza> = sent(out).into_iter().filter(|told| told.to() == stanza.from()).collect();
    let is_self =
        |told: &Stanza| format!("{told:?}").contains("<status code='110'/>") && told.kind() == Kind::Presence(PresenceType::Available);
    let at = own.iter().position(is_self).expect("whoever enters is told of itself");
    assert!(own[at + 1..].iter().all(|told| told.kind() == Kind::Message(MessageType::Groupchat)), "{own:?}");
    let subjects = own.iter().enumerate().filter(|(_, told)| told.child(ns::CLIENT, "subject").is_some());
    assert_eq!(subjects.map(|(at, _)| at).collect::<Vec<_>>(), [own.len() - 1]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn all_agree_on_who_is_there(open in any::<bool>(), status in any::<bool>(), steps in prop::collection::vec(step(), 1..120)) {
        let mut scene = Scene::with_config(|config| {
            config.whois = if open { Whois::Anyone } else { Whois::Moderators };
            config.allow_visitor_status = status;
        });
        scene.limits.history.count = 3;
        let sessions = (0..ACCOUNTS.len() * RESOURCES.len()).map(|number| (jid(&session(number)).to_string(), Client::default()));
        let mut world = World { scene, clients: sessions.collect() };
        for step in &steps {
            world.step(step);
        }
        // Everybody is gone in the end.
        for number in 0..ACCOUNTS.len() * RESOURCES.len() {
            world.step(&Step::Leave(number));
        }
        prop_assert!(world.scene.room.occupants.is_empty());
    }
}
